// SPDX-License-Identifier: GPL-3.0-or-later
#include "canary.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "delivery/store_of.hpp"
#include "text/text.hpp"

namespace ums::failover {

namespace {

using transport::Answer;
using transport::Verdict;

constexpr char finished_mark = '=';
constexpr char configuration_mark = '!';
constexpr char permission_mark = '#';

constexpr std::string_view stuck_word = "stuck: ";

/// Empty if what lies in the kernel's `R_*/Out` is not older than `most`, compared with a file that was written just now.
std::string stuck(transport::Store& store, const std::string& just_written, std::chrono::milliseconds most) {
    std::vector<transport::Item> now;
    const std::array<std::string, 1> path{just_written};
    if (!store.look(path, now).front().done() || !now[0].modified) return "";  // its clock is not known
    std::vector<std::string> directories;
    const auto listed = store.list("", [&](const transport::Item& item) {
        if (item.kind == transport::ItemKind::directory && item.name.starts_with("R_"))
            directories.push_back(item.name);
        return true;
    });
    if (!listed.done()) return "";
    std::size_t old = 0;
    std::chrono::seconds oldest{0};
    std::string where;
    for (const auto& directory : directories) {
        static_cast<void>(store.list(directory + "/Out", [&](const transport::Item& item) {
            if (item.kind != transport::ItemKind::file || item.name.starts_with('.') || !item.modified) return true;
            const auto age = *now[0].modified - *item.modified;
            if (age <= most) return true;
            ++old;
            if (age > oldest) {
                oldest = age;
                where = directory + "/Out";
            }
            return true;
        }));
    }
    if (old == 0) return "";
    return std::string(stuck_word) + std::to_string(old) + (old == 1 ? " file has" : " files have") +
           " not been fetched by it for " + text::format_duration(most) + ", the oldest, in " + where + ", for " +
           text::rough_duration(oldest);
}

/// Empty if the kernel would take a message now, else why not. Throws Error{configuration} or {permission} where only a person can help.
std::string canary(const config::Config& config, const config::Kernel& kernel, const std::string& uuid) {
    io::PosixDisk disk(io::Sharing::by_umask);
    const auto store = delivery::store_of(kernel, disk);
    const auto stage = delivery::stage_of(config, kernel);
    // One look at a time (the pass holds a lock), so the names may be fixed, and what a look that was ended left behind is
    // found by the next one. Two kernels that lead to one directory are looked at together: each has names of its own.
    const std::string own = text::hex(text::hash(kernel.name)).substr(0, 6);
    const std::string first = stage + "/canary." + own + ".new";
    const std::string second = stage + "/canary." + own + ".seen";
    const std::array<std::string, 2> both{first, second};
    const std::string content = uuid + " " + io::random_token() + "\n";
    const auto failed = [](const char* step, const Answer& answer) { return std::string(step) + ": " + answer.text; };

    if (const auto answer = store->make_directory(stage); !answer.done()) return failed("stage directory", answer);
    // ums-push refuses to deliver there, so messages must find another kernel.
    std::string owner;
    if (store->read(stage + "/owner", Bytes{4096}, owner).done() && text::trim(owner) != uuid) {
        throw Error(Fault::configuration, "the stage directory " + text::quote(stage) +
                                              " belongs to another spool with our MDS id; give this MDS another id");
    }
    const std::array<transport::Upload, 1> upload{{{first, {content, nullptr, 0, Bytes{0}}}}};
    const std::array<transport::Rename, 1> rename{{{first, second}}};
    if (kernel.in_place) {
        auto written = store->upload(upload).front();
        if (written.verdict == Verdict::exists) {
            store->remove(both);
            written = store->upload(upload).front();
        }
        if (!written.done()) return failed("write", written);
        std::string seen;
        const auto read = store->read(first, Bytes{4096}, seen);
        const auto is_stuck = kernel.stuck ? stuck(*store, first, *kernel.stuck) : "";
        const auto removed = store->remove(both);
        if (!read.done()) return failed("read", read);
        if (seen != content) return "read: what was read is not what was written";
        return removed[0].done() ? is_stuck : failed("remove", removed[0]);
    }
    auto written = store->upload(upload).front();
    auto renamed = written.done() ? store->rename(rename).front() : Answer{};
    if (written.verdict == Verdict::exists || renamed.verdict == Verdict::exists) {
        store->remove(both);
        written = store->upload(upload).front();
        renamed = written.done() ? store->rename(rename).front() : Answer{};
    }
    if (!written.done()) return failed("write", written);
    // ums-push refuses such a kernel, too.
    bool replaces = false;
    if (kernel.url.scheme != target::Scheme::file && renamed.done() && store->upload(upload).front().done()) {
        replaces = store->rename(rename).front().done();
    }
    std::string seen;
    const auto read = renamed.done() ? store->read(second, Bytes{4096}, seen) : Answer{};
    const auto is_stuck = renamed.done() && kernel.stuck ? stuck(*store, second, *kernel.stuck) : "";
    const auto removed = store->remove(both);
    if (replaces || renamed.status == 405 || renamed.status == 501) {
        throw Error(Fault::configuration, (replaces ? "its rename replaces what is there" : renamed.text) +
                                              "; 'in-place: yes' there uploads straight to the final names");
    }
    if (!renamed.done()) return failed("rename", renamed);
    if (!read.done()) return failed("read", read);
    if (seen != content) return "read: what was read is not what was written";
    if (!removed[1].done()) return failed("remove", removed[1]);
    return is_stuck;
}

struct Child {
    pid_t pid = -1;
    io::Fd output;
    std::string text;
    bool ended = false;
};

Child start(const config::Config& config, const config::Kernel& kernel, const std::string& uuid) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error(Fault::later, "make a pipe", errno);
    io::Fd read_end(ends[0]);
    io::Fd write_end(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) throw system_error(Fault::later, "start a look at a kernel", errno);
    if (pid == 0) {
        // The first character says that the look was finished; without it the process died.
        std::string text;
        try {
            text = finished_mark + canary(config, kernel, uuid);
        } catch (const Error& error) {
            const char mark = error.fault() == Fault::configuration ? configuration_mark
                              : error.fault() == Fault::permission  ? permission_mark
                                                                    : finished_mark;
            text = mark + std::string(error.what());
        } catch (const std::exception& error) {
            text = finished_mark + std::string(error.what());
        }
        text.resize(std::min<std::size_t>(text.size(), 2000));
        static_cast<void>(!::write(write_end.get(), text.data(), text.size()));
        ::_exit(0);
    }
    return {pid, std::move(read_end), "", false};
}

}  // namespace

bool is_stuck(std::string_view why) noexcept { return why.starts_with(stuck_word); }

std::vector<health::Look> look_at(const config::Config& config, const std::vector<const config::Kernel*>& kernels,
                                  const spool::Spool& spool) {
    using Steady = std::chrono::steady_clock;
    std::vector<Child> children;
    std::vector<Steady::time_point> deadlines;
    for (const auto* kernel : kernels) {
        children.push_back(start(config, *kernel, spool.uuid()));
        deadlines.push_back(Steady::now() + kernel->check.timeout);
    }
    for (;;) {
        std::vector<pollfd> polls;
        std::vector<std::size_t> index;
        auto nearest = Steady::time_point::max();
        for (std::size_t i = 0; i < children.size(); ++i) {
            if (children[i].ended) continue;
            polls.push_back({children[i].output.get(), POLLIN, 0});
            index.push_back(i);
            nearest = std::min(nearest, deadlines[i]);
        }
        if (polls.empty()) break;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(nearest - Steady::now());
        ::poll(polls.data(), polls.size(), static_cast<int>(std::clamp<long long>(left.count() + 1, 0, 60'000)));
        for (std::size_t k = 0; k < polls.size(); ++k) {
            auto& child = children[index[k]];
            if (polls[k].revents != 0) {
                std::array<char, 4096> buffer{};
                const auto n = ::read(child.output.get(), buffer.data(), buffer.size());
                if (n > 0) child.text.append(buffer.data(), static_cast<std::size_t>(n));
                if (n == 0 || (n < 0 && errno != EINTR)) child.ended = true;
            } else if (Steady::now() >= deadlines[index[k]]) {
                child.ended = true;
                child.text = finished_mark + std::string("no answer within ") +
                             text::format_duration(kernels[index[k]]->check.timeout);
                ::kill(child.pid, SIGKILL);
            }
        }
    }
    std::vector<health::Look> looks;
    for (auto& child : children) {
        // A process stuck in the kernel (a dead mount) cannot be waited for: whoever inherits it will.
        for (int tries = 0; tries < 50 && ::waitpid(child.pid, nullptr, WNOHANG) == 0; ++tries) ::usleep(2000);
        std::optional<Fault> needs_a_person;
        if (child.text.starts_with(configuration_mark)) needs_a_person = Fault::configuration;
        if (child.text.starts_with(permission_mark)) needs_a_person = Fault::permission;
        const bool finished = needs_a_person || child.text.starts_with(finished_mark);
        const auto text = finished ? child.text.substr(1) : std::string("the look at it was ended by a crash");
        looks.push_back({text.empty() && !needs_a_person, text, needs_a_person});
    }
    return looks;
}

}  // namespace ums::failover
