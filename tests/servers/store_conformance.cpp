// SPDX-License-Identifier: GPL-3.0-or-later
//
// What every store promises, tried on the one that store_from_environment() opens. UMS_STORE_PROTECTS_CREATE is `no`
// for a server that overwrites in spite of `If-None-Match: *`, UMS_STORE_LISTS_HIDDEN is `no` for one that does not
// list names with a leading dot, UMS_STORE_KEEPS_CONTROLS for one that stores control characters in names as others.
// UMS_STORE_NAMES is `windows` for one that has only the names that Windows allows.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "clock/clock.hpp"
#include "store_from_environment.hpp"
#include "transport/probe.hpp"

using namespace ums;
using namespace ums::transport;

namespace {

// A store and a new directory in it.
struct Place {
    Library library;
    io::PosixDisk disk;
    std::unique_ptr<Store> store = store_from_environment(disk);
    std::string directory = "t-" + io::random_token();

    Place() { REQUIRE(store->make_directory(directory).done()); }

    std::string at(const std::string& name) const { return directory + "/" + name; }

    io::Fd temporary() const {
        std::string name = environment("TMPDIR", "/tmp") + "/conformance.XXXXXX";
        io::Fd fd(::mkstemp(name.data()));
        REQUIRE(fd);
        ::unlink(name.c_str());
        return fd;
    }

    Answer put(const std::string& path, const std::string& content) {
        const Upload upload{path, {content, nullptr, 0, {}}};
        return store->upload({&upload, 1}).front();
    }

    Answer move(const std::string& from, const std::string& to) {
        const Rename rename{from, to};
        return store->rename({&rename, 1}).front();
    }

    Answer look(const std::string& path, Item& item) {
        std::vector<Item> items;
        auto answer = store->look({&path, 1}, items).front();
        item = items.front();
        return answer;
    }

    Verdict remove(const std::string& path) { return store->remove({&path, 1}).front().verdict; }

    std::string content(const std::string& path) {
        std::string got = "(nothing)";
        const auto answer = store->read(path, Bytes{1 << 20}, got);
        INFO(path << ": " << answer.text);
        CHECK(answer.done());
        return got;
    }
};

std::string pattern(std::size_t size, unsigned seed) {
    std::string out(size, '\0');
    for (auto& c : out) {
        seed = seed * 1664525 + 1013904223;
        c = static_cast<char>(seed >> 24);
    }
    return out;
}

std::string verdict(const Answer& answer) {
    return std::string(to_string(answer.verdict)) + (answer.text.empty() ? "" : ": " + answer.text);
}

}  // namespace

TEST_CASE("what is uploaded is there, with its size, and reads back the same", "[conformance]") {
    Place p;
    const io::Fd source = p.temporary();
    const std::string file = pattern(300'000, 1);
    p.disk.write(source, "skip" + file, "source");

    const std::vector<Upload> uploads{{p.at("head only"), {"head", nullptr, 0, {}}},
                                      {p.at("empty"), {}},
                                      {p.at("both"), {"head\r\n", &source, 4, Bytes{file.size()}}},
                                      {p.at("middle"), {"", &source, 10, Bytes{5}}}};
    for (const auto& answer : p.store->upload(uploads)) {
        INFO(verdict(answer));
        CHECK(answer.done());
    }
    CHECK(p.content(p.at("head only")) == "head");
    CHECK(p.content(p.at("empty")).empty());
    CHECK(p.content(p.at("both")) == "head\r\n" + file);
    CHECK(p.content(p.at("middle")) == file.substr(6, 5));

    std::vector<Item> items;
    const std::vector<std::string> paths{p.at("both"), p.at("nothing"), p.directory, p.at("empty")};
    const auto answers = p.store->look(paths, items);
    REQUIRE(items.size() == 4);
    CHECK(answers[0].done());
    CHECK(items[0].name == "both");
    CHECK(items[0].kind == ItemKind::file);
    CHECK(items[0].size == Bytes{file.size() + 6});
    CHECK_FALSE(items[0].version.empty());
    CHECK(items[0].modified.has_value());
    CHECK(answers[1].verdict == Verdict::absent);
    CHECK(answers[2].done());
    CHECK(items[2].kind == ItemKind::directory);
    CHECK(answers[3].done());
    CHECK(items[3].size == Bytes{0});
    CHECK(p.store->sync({&p.directory, 1}).done());
}

TEST_CASE("what is taken is renamed and comes whole; what cannot be renamed is not asked for", "[conformance]") {
    Place p;
    const std::string basket = p.at(".ums-claim-x");
    REQUIRE(p.store->make_directory(basket).done());
    const std::string small = "RCPT TO:fax#+49 1\r\n\r\n";
    const std::string large = pattern(700'000, 3);
    REQUIRE(p.put(p.at("small"), small).done());
    REQUIRE(p.put(p.at("large"), large).done());
    REQUIRE(p.put(p.at("longer"), "more than was said").done());
    std::vector<io::Fd> files;
    std::vector<Take> takes;
    const auto take = [&](const std::string& name, std::size_t size) {
        Take one;
        one.claim = {.from = p.at(name), .to = basket + "/" + name, .unique = true};
        one.download.expected = Bytes{size};
        takes.push_back(one);
        files.push_back(p.temporary());
    };
    take("small", small.size());
    take("nothing", 5);
    take("large", large.size());
    take("longer", 4);
    for (std::size_t i = 0; i < takes.size(); ++i) takes[i].download.into = &files[i];
    p.store->take(takes);
    const auto came = [&](std::size_t i) {
        std::string content(1'000'000, '\0');
        content.resize(p.disk.read(files[i], content, 0, "what came"));
        return content;
    };
    for (const std::size_t i : {0U, 2U}) {
        INFO(verdict(takes[i].claimed) << ", " << verdict(takes[i].received));
        CHECK(takes[i].claimed.done());
        CHECK(takes[i].received.done());
        CHECK(takes[i].download.received == takes[i].download.expected);
        CHECK(came(i) == (i == 0 ? small : large));
        Item item;
        CHECK(p.look(takes[i].claim.from, item).verdict == Verdict::absent);
        CHECK(p.look(takes[i].claim.to, item).done());
    }
    CHECK(takes[1].claimed.verdict == Verdict::absent);
    CHECK(came(1).empty());
    CHECK(takes[3].claimed.done());
    CHECK(takes[3].received.verdict == Verdict::broken);
    CHECK(came(3).size() <= 4);

    // What is hidden is found by its directory's name.
    std::set<std::string> names;
    REQUIRE(p.store->list(basket, [&](const Item& item) { return names.insert(item.name).second; }).done());
    CHECK(names == std::set<std::string>{"small", "large", "longer"});
}

TEST_CASE("a directory goes, as the store says that it does", "[conformance]") {
    Place p;
    const std::string basket = p.at(".ums-claim-x");
    REQUIRE(p.store->make_directory(basket).done());
    std::vector<Upload> uploads;
    for (int i = 0; i < 20; ++i) uploads.push_back({basket + "/file " + std::to_string(i), {"x", nullptr, 0, {}}});
    for (const auto& answer : p.store->upload(uploads)) REQUIRE(answer.done());
    REQUIRE(p.put(p.at("beside"), "y").done());
    const auto answer = p.store->remove_directory(basket);
    INFO(verdict(answer));
    Item item;
    if (p.store->directory_removal() == Store::DirectoryRemoval::whole) {
        CHECK(answer.done());
    } else {
        CHECK_FALSE(answer.done());
        for (const auto& one : uploads) {
            CHECK(p.look(one.path, item).done());
            CHECK(p.remove(one.path) == Verdict::done);
        }
        const bool goes = p.store->directory_removal() == Store::DirectoryRemoval::empty;
        CHECK(p.store->remove_directory(basket).done() == goes);
        if (!goes) return;
    }
    CHECK(p.look(basket, item).verdict == Verdict::absent);
    CHECK(p.store->remove_directory(basket).verdict == Verdict::absent);
    CHECK(p.look(p.at("beside"), item).done());
}

TEST_CASE("the version changes with the content", "[conformance]") {
    Place p;
    REQUIRE(p.put(p.at("a"), "one").done());
    Item before;
    Item same;
    Item after;
    REQUIRE(p.look(p.at("a"), before).done());
    REQUIRE(p.look(p.at("a"), same).done());
    REQUIRE(p.remove(p.at("a")) == Verdict::done);
    REQUIRE(p.put(p.at("a"), "another").done());
    REQUIRE(p.look(p.at("a"), after).done());
    CHECK(before.version == same.version);
    CHECK(before.version != after.version);
}

TEST_CASE("a name that is taken is not created again", "[conformance]") {
    Place p;
    REQUIRE(p.put(p.at("a"), "first").done());
    const auto again = p.put(p.at("a"), pattern(5'000'000, 2));
    INFO(verdict(again));
    if (environment("UMS_STORE_PROTECTS_CREATE", "yes") == "yes") {
        CHECK(again.verdict == Verdict::exists);
        CHECK(p.content(p.at("a")) == "first");
    } else {
        CHECK(again.done());  // and the probe says so
    }
}

TEST_CASE("a rename replaces nothing", "[conformance]") {
    Place p;
    REQUIRE(p.put(p.at("a"), "from").done());
    REQUIRE(p.put(p.at("b"), "target").done());
    CHECK(p.move(p.at("a"), p.at("b")).verdict == Verdict::exists);
    CHECK(p.content(p.at("a")) == "from");
    CHECK(p.content(p.at("b")) == "target");

    CHECK(p.move(p.at("a"), p.at("c")).done());
    CHECK(p.content(p.at("c")) == "from");
    Item item;
    CHECK(p.look(p.at("a"), item).verdict == Verdict::absent);
    CHECK(p.move(p.at("a"), p.at("d")).verdict == Verdict::absent);
    CHECK(p.look(p.at("d"), item).verdict == Verdict::absent);

    REQUIRE(p.store->make_directory(p.at("sub")).done());
    CHECK(p.move(p.at("c"), p.at("sub/c")).done());
    CHECK(p.content(p.at("sub/c")) == "from");
    // nginx creates the directories; the answer must be true in any case.
    const auto nowhere = p.move(p.at("sub/c"), p.at("no/such/c"));
    INFO(verdict(nowhere));
    CHECK(p.content(nowhere.done() ? p.at("no/such/c") : p.at("sub/c")) == "from");
    CHECK(p.look(nowhere.done() ? p.at("sub/c") : p.at("no/such/c"), item).verdict == Verdict::absent);
}

TEST_CASE("of many renames of one file exactly one wins", "[conformance]") {
    Place p;
    for (int round = 0; round < 5; ++round) {
        const std::string from = p.at("from" + std::to_string(round));
        REQUIRE(p.put(from, from).done());
        std::vector<Rename> claims;
        for (int i = 0; i < 8; ++i) claims.push_back({from, from + "." + std::to_string(i), true});
        const auto answers = p.store->rename(claims);
        CHECK(std::count_if(answers.begin(), answers.end(), [](auto& a) { return a.done(); }) == 1);
        Item item;
        for (std::size_t i = 0; i < answers.size(); ++i) {
            INFO(verdict(answers[i]));
            if (answers[i].done()) {
                CHECK(p.content(claims[i].to) == from);
            } else {
                CHECK(p.look(claims[i].to, item).verdict == Verdict::absent);
            }
        }
    }
}

// Apache looks first and renames then, so that of two renames at the same moment both can win: names are unique for
// that.
TEST_CASE("of many renames to one name exactly one wins", "[atomic]") {
    Place p;
    std::vector<Rename> renames;
    const std::string target = p.at("target");
    for (int i = 0; i < 8; ++i) {
        const std::string from = p.at("from" + std::to_string(i));
        REQUIRE(p.put(from, from).done());
        renames.push_back({from, target});
    }
    const auto answers = p.store->rename(renames);
    CHECK(std::count_if(answers.begin(), answers.end(), [](auto& a) { return a.done(); }) == 1);
    for (std::size_t i = 0; i < answers.size(); ++i) {
        CHECK(p.content(answers[i].done() ? target : renames[i].from) == renames[i].from);
    }
}

TEST_CASE("a directory is made once, and only below one that is there", "[conformance]") {
    Place p;
    CHECK(p.store->make_directory(p.at("d")).done());
    CHECK(p.store->make_directory(p.at("d")).done());
    CHECK(p.store->make_directory(p.at("x/y")).verdict == Verdict::absent);
    REQUIRE(p.put(p.at("file"), "x").done());
    const auto on_file = p.store->make_directory(p.at("file"));
    INFO(verdict(on_file));
    CHECK_FALSE(on_file.done());
    CHECK(p.put(p.at("no/such/directory/a"), "x").verdict == Verdict::absent);
    CHECK(p.store->list(p.at("no"), [](const Item&) { return true; }).verdict == Verdict::absent);
}

TEST_CASE("a listing has every entry once", "[conformance]") {
    Place p;
    constexpr std::size_t count = 3000;
    std::vector<Upload> uploads;
    std::map<std::string, std::size_t> expected;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string name = "entry " + std::to_string(i) + ".tmp";
        uploads.push_back({p.at(name), {std::string(i % 7, 'x'), nullptr, 0, {}}});
        expected[name] = i % 7;
    }
    const auto answers = p.store->upload(uploads);
    for (const auto& answer : answers) {
        if (!answer.done()) FAIL_CHECK(verdict(answer));
    }
    REQUIRE(p.store->make_directory(p.at("sub")).done());
    REQUIRE(p.put(p.at("sub/deeper"), "x").done());

    std::map<std::string, std::size_t> found;
    std::set<std::string> directories;
    const auto answer = p.store->list(p.directory, [&](const Item& item) {
        if (item.kind == ItemKind::directory) {
            directories.insert(item.name);
        } else {
            CHECK(found.emplace(item.name, item.size.count).second);
            if (item.version.empty()) FAIL_CHECK("no version");
        }
        return true;
    });
    CHECK(answer.done());
    CHECK(found == expected);
    CHECK(directories == std::set<std::string>{"sub"});

    std::size_t seen = 0;
    CHECK(p.store->list(p.directory, [&](const Item&) { return ++seen < 10; }).done());
    CHECK(seen == 10);
    struct Ours {};
    CHECK_THROWS_AS(p.store->list(p.directory, [&](const Item&) -> bool { throw Ours(); }), Ours);
    CHECK(p.content(p.at("entry 3.tmp")) == "xxx");
}

TEST_CASE("a download has the length that was listed, or is broken", "[conformance]") {
    Place p;
    const std::string content = pattern(100'000, 3);
    REQUIRE(p.put(p.at("a"), content).done());
    const auto fetch = [&](const std::string& path, std::size_t expected, std::string& got) {
        const io::Fd into = p.temporary();
        Download download{path, &into, Bytes{expected}, {}};
        const auto answer = p.store->download({&download, 1}).front();
        got.resize(p.disk.info(into, "into").size.count);
        p.disk.read(into, got, 0, "into");
        if (answer.done()) CHECK(download.received == Bytes{got.size()});
        return answer;
    };
    std::string got;
    CHECK(fetch(p.at("a"), content.size(), got).done());
    CHECK(got == content);
    CHECK(fetch(p.at("a"), content.size() - 1, got).verdict == Verdict::broken);
    CHECK(got.size() < content.size());
    CHECK(fetch(p.at("a"), content.size() + 1, got).verdict == Verdict::broken);
    CHECK(fetch(p.at("a"), 0, got).verdict == Verdict::broken);
    CHECK(fetch(p.at("none"), 5, got).verdict == Verdict::absent);

    std::string whole;
    CHECK(p.store->read(p.at("a"), Bytes{content.size()}, whole).done());
    CHECK(p.store->read(p.at("a"), Bytes{content.size() - 1}, whole).verdict == Verdict::broken);
    CHECK(p.store->read(p.at("none"), Bytes{10}, whole).verdict == Verdict::absent);
}

TEST_CASE("removing", "[conformance]") {
    Place p;
    REQUIRE(p.put(p.at("a"), "a").done());
    REQUIRE(p.put(p.at("b"), "b").done());
    const std::vector<std::string> paths{p.at("a"), p.at("none"), p.at("b")};
    const auto answers = p.store->remove(paths);
    CHECK(answers[0].done());
    CHECK(answers[1].verdict == Verdict::absent);
    CHECK(answers[2].done());
    CHECK(p.remove(p.at("a")) == Verdict::absent);
}

TEST_CASE("odd names are kept as they are", "[conformance]") {
    Place p;
    const std::vector<std::string> names{
        "with space", " space first",     "space last ", "-\xc3\xbc\xc3\x9f\xe2\x82\xac",
        "50%41",      "%2e%2e",           "%",           "#?&+;=,:@!$*'()[]{}",
        "a\\b",       "<b>&amp;\"x\"<b>", "~tilde",      "...",
        ".hidden",    "semi;colon",       "tab\there",   std::string(200, 'n')};
    // Windows has no such names; a server that stands in for one lists them under others.
    const bool windows = environment("UMS_STORE_NAMES") == "windows";
    const auto wanted = [&](const std::string& name) {
        return !windows ||
               (name.find_first_of("<>:\"/\\|?*\t") == std::string::npos && name.back() != ' ' && name.back() != '.');
    };
    std::set<std::string> expected;
    for (const auto& name : names) {
        INFO(name);
        if (!wanted(name)) continue;
        if (name.find('\t') != std::string::npos && environment("UMS_STORE_KEEPS_CONTROLS", "yes") != "yes") continue;
        const auto answer = p.put(p.at("x"), name);
        REQUIRE(answer.done());
        const auto moved = p.move(p.at("x"), p.at(name));
        INFO(verdict(moved));
        // Some servers refuse some names; none may take one for another.
        if (!moved.done()) {
            WARN("refused: " << name << ": " << verdict(moved));
            CHECK(p.remove(p.at("x")) == Verdict::done);
            continue;
        }
        if (name.front() != '.' || environment("UMS_STORE_LISTS_HIDDEN", "yes") == "yes") expected.insert(name);
        CHECK(p.content(p.at(name)) == name);
        Item item;
        CHECK(p.look(p.at(name), item).done());
        CHECK(item.name == name);
    }
    std::set<std::string> found;
    CHECK(p.store->list(p.directory, [&](const Item& item) { return found.insert(item.name).second; }).done());
    CHECK(found == expected);
    CHECK(found.size() >= static_cast<std::size_t>(std::count_if(names.begin(), names.end(), wanted)) - 3);
    for (const auto& name : found) CHECK(p.remove(p.at(name)) == Verdict::done);
}

TEST_CASE("paths that could lead elsewhere are refused", "[conformance]") {
    Place p;
    Item item;
    for (const std::string path : {"../x", "a/../../x", "/x", "a//b", "./a"}) {
        INFO(path);
        CHECK(p.put(path, "x").verdict == Verdict::refused);
        CHECK(p.move(path, p.at("y")).verdict == Verdict::refused);
        CHECK(p.remove(path) == Verdict::refused);
        CHECK(p.look(path, item).verdict == Verdict::refused);
        CHECK(p.store->make_directory(path).verdict == Verdict::refused);
    }
    CHECK(p.remove("") == Verdict::refused);
}

TEST_CASE("many uploads of all sizes at once arrive byte for byte", "[conformance]") {
    Place p;
    const io::Fd source = p.temporary();
    const std::string file = pattern(4'000'000, 4);
    p.disk.write(source, file, "source");
    std::vector<Upload> uploads;
    std::vector<std::string> contents;
    for (std::size_t i = 0; i < 200; ++i) {
        const std::size_t size = i % 20 == 0 ? 3'000'000 : i % 5 == 0 ? 130'000 + i : i * 37;
        const std::string head = i % 3 == 0 ? "Head: " + std::to_string(i) + "\r\n" : "";
        uploads.push_back({p.at("m" + std::to_string(i)), {head, &source, i * 1000, Bytes{size}}});
        contents.push_back(head + file.substr(i * 1000, size));
    }
    for (const auto& answer : p.store->upload(uploads)) {
        if (!answer.done()) FAIL_CHECK(verdict(answer));
    }
    std::vector<io::Fd> fds;
    std::vector<Download> downloads;
    for (std::size_t i = 0; i < uploads.size(); ++i) fds.push_back(p.temporary());
    for (std::size_t i = 0; i < uploads.size(); ++i) {
        downloads.push_back({uploads[i].path, &fds[i], Bytes{contents[i].size()}, {}});
    }
    for (const auto& answer : p.store->download(downloads)) {
        if (!answer.done()) FAIL_CHECK(verdict(answer));
    }
    for (std::size_t i = 0; i < uploads.size(); ++i) {
        std::string got(contents[i].size() + 1, '\0');
        got.resize(p.disk.read(fds[i], got, 0, "into"));
        if (got != contents[i]) FAIL_CHECK("message " << i << " is not the same");
    }
    std::vector<Rename> renames;
    for (const auto& upload : uploads) renames.push_back({upload.path, upload.path + ".done"});
    for (const auto& answer : p.store->rename(renames)) {
        if (!answer.done()) FAIL_CHECK(verdict(answer));
    }
}

TEST_CASE("a source that is shorter than it was is our own fault", "[conformance]") {
    Place p;
    const io::Fd source = p.temporary();
    p.disk.write(source, "short", "source");
    const Upload upload{p.at("a"), {"", &source, 0, Bytes{100}}};
    CHECK_THROWS_AS(p.store->upload({&upload, 1}), Error);
    CHECK(p.put(p.at("b"), "the store goes on").done());
}

TEST_CASE("the probe finds nothing bad", "[conformance]") {
    Place p;
    clock::SystemClock clock;
    std::vector<Check> checks;
    probe(*p.store, p.at(".BER1/probe"), clock, [&](Check check) { checks.push_back(std::move(check)); });
    std::set<std::string> names;
    for (const auto& check : checks) {
        INFO(check.name << ": " << check.detail);
        CHECK(check.finding != Finding::bad);
        names.insert(check.name);
        if (check.name == "create protection") {
            const bool protects = environment("UMS_STORE_PROTECTS_CREATE", "yes") == "yes";
            CHECK((check.finding == Finding::good) == protects);
        }
        if (check.name == "clock") CHECK(check.finding == Finding::good);
        if (check.name == "hidden names") {
            const bool lists = environment("UMS_STORE_LISTS_HIDDEN", "yes") == "yes";
            CHECK((check.finding == Finding::good) == lists);
        }
    }
    CHECK(names == std::set<std::string>{"connect", "login", "list", "write", "clock", "create protection", "rename",
                                         "overwrite protection", "odd names", "hidden names", "latency", "remove"});
    std::size_t left = 0;
    CHECK(p.store->list(p.at(".BER1/probe"), [&](const Item&) { return ++left != 0; }).done());
    CHECK(left == 0);
}
