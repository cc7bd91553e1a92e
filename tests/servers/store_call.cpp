// SPDX-License-Identifier: GPL-3.0-or-later
//
// Calls one store as a script tells it: a line on stdin is an operation and its arguments, separated by tabs; its
// answers come back as lines `verdict TAB status TAB text`, after those that it found. The store stays the same, and
// with it its connections.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "clock/clock.hpp"
#include "store_from_environment.hpp"
#include "text/text.hpp"
#include "transport/probe.hpp"

using namespace ums;
using namespace ums::transport;

namespace {

void print(const Answer& answer) {
    std::cout << to_string(answer.verdict) << '\t' << answer.status << '\t' << text::escape(answer.text);
    if (answer.retry_after) std::cout << "\tretry after " << answer.retry_after->count();
    std::cout << '\n';
}

void print(const std::vector<Answer>& answers) {
    for (const auto& answer : answers) print(answer);
}

void print(const Item& item) {
    static constexpr std::array<std::string_view, 3> kinds{"file", "directory", "other"};
    std::cout << kinds[static_cast<std::size_t>(item.kind)] << '\t' << item.size.count << '\t'
              << text::escape(item.name) << '\n';
}

io::Fd temporary() {
    std::string name = environment("TMPDIR", "/tmp") + "/store_call.XXXXXX";
    io::Fd fd(::mkstemp(name.data()));
    ::unlink(name.c_str());
    return fd;
}

void call(Store& store, io::Disk& disk, const std::vector<std::string>& words) {
    const auto& operation = words.at(0);
    const std::vector<std::string> rest(words.begin() + 1, words.end());
    if (operation == "list") {
        std::size_t count = 0;
        const auto most = rest.size() > 1 ? std::stoul(rest[1]) : 1000;
        const auto answer = store.list(rest.at(0), [&](const Item& item) {
            if (count < 20) print(item);
            return ++count < most;
        });
        std::cout << "listed\t" << count << '\n';
        print(answer);
    } else if (operation == "look") {
        std::vector<Item> items;
        const auto answers = store.look(rest, items);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            if (answers[i].done()) print(items[i]);
            print(answers[i]);
        }
    } else if (operation == "upload") {  // path size, path size, ...
        const io::Fd source = temporary();
        std::vector<Upload> uploads;
        for (std::size_t i = 0; i + 1 < rest.size(); i += 2) {
            const auto size = std::stoul(rest[i + 1]);
            if (disk.info(source, "source").size.count < size &&
                ::ftruncate(source.get(), static_cast<off_t>(size)) != 0) {
                throw std::runtime_error("cannot make a source");
            }
            uploads.push_back({rest[i], {"", &source, 0, Bytes{size}}});
        }
        print(store.upload(uploads));
    } else if (operation == "rename" || operation == "claim") {
        const bool contested = operation == "claim";
        std::vector<Rename> renames;
        for (std::size_t i = 0; i + 1 < rest.size(); i += 2) renames.push_back({rest[i], rest[i + 1], contested});
        const auto answers = store.rename(renames);
        print(answers);
        if (contested && answers.front().held) std::cout << "held\n";
    } else if (operation == "download") {
        const io::Fd into = temporary();
        Download download{rest.at(0), &into, Bytes{std::stoull(rest.at(1))}, {}};
        print(store.download({&download, 1}));
    } else if (operation == "read") {
        std::string content;
        const auto answer = store.read(rest.at(0), Bytes{std::stoull(rest.at(1))}, content);
        std::cout << "content\t" << text::escape(content) << '\n';
        print(answer);
    } else if (operation == "remove") {
        print(store.remove(rest));
    } else if (operation == "mkdir") {
        print(store.make_directory(rest.at(0)));
    } else if (operation == "describe") {
        std::cout << store.describe() << '\n';
    } else if (operation == "probe") {
        static constexpr std::array<std::string_view, 3> findings{"good", "warning", "bad"};
        clock::SystemClock clock;
        probe(store, rest.at(0), clock, [](const Check& check) {
            std::cout << check.name << '\t' << findings[static_cast<std::size_t>(check.finding)] << '\t' << check.detail
                      << '\n';
        });
    } else {
        throw std::runtime_error("no such operation: " + operation);
    }
}

}  // namespace

int main() {
    try {
        const Library library;
        io::PosixDisk disk;
        const auto store = store_from_environment(disk);
        for (std::string line; std::getline(std::cin, line);) {
            std::vector<std::string> words;
            for (const auto word : text::split(line, '\t')) words.emplace_back(word);
            try {
                call(*store, disk, words);
            } catch (const Error& error) {
                std::cout << "thrown\t" << exit_code(error.fault()) << '\t' << error.what() << '\n';
            }
            std::cout << '.' << std::endl;
        }
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "store_call: " << error.what() << '\n';
        return 1;
    }
}
