// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/disk.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <future>
#include <thread>

#include "faulty_disk.hpp"
#include "forwarding_disk.hpp"
#include "random_text.hpp"
#include "temporary_directory.hpp"

using namespace ums;
using io::FileKind;
using io::PosixDisk;
using io::Renamed;
using test::content_of;
using test::write_to;

namespace {

struct Place {
    test::TemporaryDirectory directory;
    PosixDisk disk;
    std::string path(const std::string& name) const { return directory.path() + "/" + name; }
    std::string make(const std::string& name, const std::string& content = "x") const {
        write_to(path(name), content);
        return path(name);
    }
    std::string read(const io::Fd& fd, std::uint64_t offset, std::size_t length) {
        std::string buffer(length, '\0');
        buffer.resize(disk.read(fd, buffer, offset, "f"));
        return buffer;
    }
};

// A directory on another file system than TemporaryDirectory's, if there is one.
struct ElsewhereFile {
    std::string path = std::filesystem::temp_directory_path().string() + "/ums-test-XXXXXX";
    ElsewhereFile() { ::close(::mkstemp(path.data())); }
    ~ElsewhereFile() { ::unlink(path.c_str()); }
};

}  // namespace

TEST_CASE("a file is created once, for us alone to write", "[io]") {
    Place place;
    const auto umask_before = ::umask(0);
    const auto file = place.path("a");
    {
        const auto fd = place.disk.create(file);
        place.disk.write(fd, "hello", file);
        place.disk.write(fd, "", file);
        place.disk.write(fd, " you", file);
        place.disk.sync(fd, file);
    }
    io::PosixDisk shared(io::Sharing::by_umask);
    shared.create(place.path("b"));
    shared.make_directory(place.path("d"));
    place.disk.make_directory(place.path("e"));
    ::umask(umask_before);
    REQUIRE(content_of(file) == "hello you");
    const auto mode = [&](const char* name) {
        return static_cast<unsigned>(std::filesystem::status(place.path(name)).permissions());
    };
    REQUIRE(mode("a") == 0640);
    REQUIRE(mode("b") == 0666);
    REQUIRE(mode("d") == 0777);
    REQUIRE(mode("e") == 0750);
    try {
        place.disk.create(file);
        FAIL("created twice");
    } catch (const Error& error) {
        REQUIRE(error.fault() == Fault::cannot_write);
        REQUIRE(error.error_number() == EEXIST);
        REQUIRE_THAT(error.what(), Catch::Contains("create '" + file + "'"));
    }
    ::symlink(place.path("nowhere").c_str(), place.path("link").c_str());
    REQUIRE_THROWS_AS(place.disk.create(place.path("link")), Error);
    REQUIRE_THROWS_AS(place.disk.create(place.path("no/such")), Error);
    REQUIRE_FALSE(std::filesystem::exists(place.path("nowhere")));
}

TEST_CASE("only regular files are opened, and nothing blocks", "[io]") {
    Place place;
    const auto file = place.make("file", "content");
    ::symlink(file.c_str(), place.path("link").c_str());
    REQUIRE(::mkfifo(place.path("fifo").c_str(), 0600) == 0);
    std::filesystem::create_directory(place.path("directory"));
    for (const char* name : {"link", "fifo", "directory", "missing", "file/below", "missing/below"}) {
        INFO(name);
        REQUIRE_FALSE(place.disk.open(place.path(name)));
        REQUIRE_FALSE(place.disk.open_to_write(place.path(name)));
    }
    REQUIRE_FALSE(place.disk.open("/dev/null"));
    const auto fd = place.disk.open(file);
    REQUIRE(fd);
    REQUIRE(place.read(*fd, 0, 100) == "content");
    REQUIRE_THROWS_AS(place.disk.write(*fd, "x", file), Error);
    const auto both = place.disk.open_to_write(file);
    REQUIRE(both);
    place.disk.write(*both, "C", file);
    REQUIRE(content_of(file) == "Content");
    REQUIRE((::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("reading gives what is there, from any offset", "[io]") {
    Place place;
    const auto fd = place.disk.open(place.make("f", "0123456789"));
    REQUIRE(place.read(*fd, 3, 4) == "3456");
    REQUIRE(place.read(*fd, 8, 4) == "89");
    REQUIRE(place.read(*fd, 10, 4).empty());
    REQUIRE(place.read(*fd, 1 << 20, 4).empty());
    REQUIRE(place.read(*fd, 0, 0).empty());
    const io::Fd directory(::open(place.directory.path().c_str(), O_RDONLY));
    REQUIRE_THROWS_AS(place.read(directory, 0, 4), Error);
}

TEST_CASE("a rename never replaces, and tells the three outcomes apart", "[io]") {
    Place place;
    place.make("a", "a");
    place.make("b", "b");
    REQUIRE(place.disk.rename(place.path("a"), place.path("b")) == Renamed::target_exists);
    REQUIRE(content_of(place.path("a")) == "a");
    REQUIRE(content_of(place.path("b")) == "b");
    REQUIRE(place.disk.rename(place.path("a"), place.path("a")) == Renamed::target_exists);
    REQUIRE(place.disk.rename(place.path("none"), place.path("c")) == Renamed::source_missing);
    REQUIRE(place.disk.rename(place.path("a"), place.path("none/c")) == Renamed::source_missing);
    REQUIRE(place.disk.rename(place.path("a"), place.path("c")) == Renamed::moved);
    REQUIRE(test::names_in(place.directory.path()) == std::set<std::string>{"b", "c"});
    REQUIRE_THROWS_AS(place.disk.rename(place.path("c"), place.path("b/x")), Error);
    place.disk.replace(place.path("c"), place.path("b"));
    REQUIRE(content_of(place.path("b")) == "a");
    REQUIRE_THROWS_AS(place.disk.replace(place.path("c"), place.path("b")), Error);
}

TEST_CASE("a copy is byte for byte, from any offset, within and between file systems", "[io]") {
    Place place;
    ElsewhereFile elsewhere;
    test::RandomText random(23);
    const std::string content = [&] {
        std::string all;
        while (all.size() < 1'500'000) all += random.bytes(9000);
        return all;
    }();
    place.make("here", content);
    write_to(elsewhere.path, content);
    int n = 0;
    for (const auto& source : {place.path("here"), elsewhere.path}) {
        const auto from = place.disk.open(source);
        for (const auto& [offset, length] : std::vector<std::pair<std::size_t, std::size_t>>{{0, content.size()},
                                                                                             {0, 0},
                                                                                             {1, 1},
                                                                                             {4097, 70'000},
                                                                                             {262'143, 262'146},
                                                                                             {content.size() - 1, 1},
                                                                                             {content.size(), 0}}) {
            const auto target = place.path("copy" + std::to_string(++n));
            const auto to = place.disk.create(target);
            place.disk.write(to, "head ", target);
            place.disk.copy(*from, offset, Bytes{length}, to, target);
            place.disk.write(to, " tail", target);
            const auto copied = content_of(target);
            INFO(source << " from " << offset << ", " << length);
            REQUIRE(copied.size() == length + 10);
            REQUIRE((copied == "head " + content.substr(offset, length) + " tail"));
        }
    }
}

TEST_CASE("a copy of more than there is is an error", "[io]") {
    Place place;
    ElsewhereFile elsewhere;
    place.make("here", "0123456789");
    write_to(elsewhere.path, "0123456789");
    for (const auto& source : {place.path("here"), elsewhere.path}) {
        const auto from = place.disk.open(source);
        const auto to = place.disk.create(place.path("to" + io::random_token()));
        try {
            place.disk.copy(*from, 5, Bytes{6}, to, source);
            FAIL("no error");
        } catch (const Error& error) {
            REQUIRE(error.fault() == Fault::cannot_read);
        }
        REQUIRE_THROWS_AS(place.disk.copy(*from, 100, Bytes{1}, to, source), Error);
    }
}

TEST_CASE("appended lines of several writers stay whole", "[io]") {
    Place place;
    const auto file = place.path("log");
    std::vector<std::jthread> writers;
    for (char c = 'a'; c < 'e'; ++c) {
        writers.emplace_back([&, c] {
            for (int i = 0; i < 100; ++i) place.disk.append(file, std::string(200, c) + "\n");
        });
    }
    writers.clear();
    const auto content = content_of(file);
    REQUIRE(content.size() == 4 * 100 * 201);
    for (std::size_t i = 0; i < content.size(); i += 201) {
        REQUIRE(content.substr(i, 200) == std::string(200, content[i]));
        REQUIRE(content[i + 200] == '\n');
    }
    REQUIRE_THROWS_AS(place.disk.append(place.path("no/log"), "x"), Error);
}

TEST_CASE("a directory that is not there cannot be made durable", "[io]") {
    Place place;
    REQUIRE_NOTHROW(place.disk.sync_directory(place.directory.path()));
    REQUIRE_THROWS_AS(place.disk.sync_directory(place.path("none")), Error);
    REQUIRE_THROWS_AS(place.disk.sync_directory(place.make("file")), Error);
    io::QuickDisk quick;
    REQUIRE_THROWS_AS(quick.sync_directory(place.path("none")), Error);
}

TEST_CASE("many files are synced at once, and a bad one is told", "[io]") {
    Place place;
    std::vector<io::Fd> files;
    for (int i = 0; i < 100; ++i) files.push_back(place.disk.create(place.path("f" + std::to_string(i))));
    std::vector<const io::Fd*> all;
    place.disk.sync_all(all, "none");
    for (const auto& fd : files) all.push_back(&fd);
    REQUIRE_NOTHROW(place.disk.sync_all(all, "all"));
    REQUIRE_NOTHROW(place.disk.sync_all(std::span(all).first(1), "one"));
    const io::Fd closed;
    all[57] = &closed;
    REQUIRE_THROWS_WITH(place.disk.sync_all(all, "the batch"), Catch::Contains("the batch"));
    REQUIRE_THROWS_AS(place.disk.sync_all(std::span(all).subspan(57, 1), "one"), Error);
    REQUIRE_THROWS_AS(place.disk.sync(closed, "closed"), Error);
}

TEST_CASE("work goes on while other things are done, and tells at its end", "[io]") {
    Place place;
    std::promise<void> may_end;
    std::atomic<int> ended = 0;
    auto work = place.disk.start([&] {
        may_end.get_future().wait();
        ++ended;
    });
    REQUIRE(ended == 0);
    may_end.set_value();  // it would wait for ever if it ran only in finish()
    REQUIRE_NOTHROW(work->finish());
    REQUIRE(ended == 1);
    REQUIRE_NOTHROW(work->finish());
    REQUIRE(ended == 1);
    const io::Fd closed;
    work = place.disk.start([&] { place.disk.sync(closed, "the batch"); });
    REQUIRE_THROWS_WITH(work->finish(), Catch::Contains("the batch"));
    REQUIRE_NOTHROW(work->finish());
    // Nobody asks any more: it comes to its end all the same.
    work = place.disk.start([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        ++ended;
        place.disk.sync(closed, "forgotten");
    });
    work.reset();
    REQUIRE(ended == 2);
    REQUIRE_NOTHROW(place.disk.write_back(closed));
}

TEST_CASE("a disk that can do one thing at a time does the work at its end", "[io]") {
    Place place;
    io::ForwardingDisk disk(place.disk);
    int done = 0;
    const auto work = disk.start([&] { ++done; });
    REQUIRE(done == 0);
    work->finish();
    work->finish();
    REQUIRE(done == 1);
    disk.start([&] { ++done; });
    REQUIRE(done == 1);
}

TEST_CASE("a lock excludes every other descriptor, in this process and in others", "[io]") {
    Place place;
    const auto file = place.path("lock");
    auto one = place.disk.open_or_create(file);
    const auto two = place.disk.open_or_create(file);
    REQUIRE(place.disk.try_lock(one, file));
    REQUIRE(place.disk.try_lock(one, file));
    REQUIRE_FALSE(place.disk.try_lock(two, file));
    const pid_t pid = ::fork();
    if (pid == 0) {
        const auto fd = place.disk.open_or_create(file);
        ::_exit(place.disk.try_lock(fd, file) ? 1 : 0);
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    REQUIRE(status == 0);
    one.reset();
    REQUIRE(place.disk.try_lock(two, file));
    REQUIRE_THROWS_AS(place.disk.try_lock(io::Fd(), file), Error);
}

TEST_CASE("a lock lives as long as the last copy of its descriptor, in a child too", "[io]") {
    Place place;
    const auto file = place.path("lock");
    std::optional<io::Fd> one(place.disk.open_or_create(file));
    REQUIRE(place.disk.try_lock(*one, file));
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::close(ends[1]);
        char none = 0;
        static_cast<void>(!::read(ends[0], &none, 1));
        ::_exit(0);
    }
    ::close(ends[0]);
    one.reset();
    const auto two = place.disk.open_or_create(file);
    REQUIRE_FALSE(place.disk.try_lock(two, file));
    ::close(ends[1]);
    ::waitpid(pid, nullptr, 0);
    REQUIRE(place.disk.try_lock(two, file));
}

TEST_CASE("who is still writing a file is seen", "[io]") {
    ::signal(SIGIO, SIG_IGN);
    Place place;
    const auto file = place.make("f");
    const auto fd = place.disk.open(file);
    REQUIRE_FALSE(place.disk.has_writer(*fd));
    {
        const io::Fd writer(::open(file.c_str(), O_WRONLY));
        REQUIRE(place.disk.has_writer(*fd));
        REQUIRE(place.disk.has_writer(*fd));
    }
    REQUIRE_FALSE(place.disk.has_writer(*fd));
    const io::Fd reader(::open(file.c_str(), O_RDONLY));
    REQUIRE_FALSE(place.disk.has_writer(*fd));
    REQUIRE_FALSE(place.disk.has_writer(io::Fd()));
    // No lease stays: a writer is not held up.
    const io::Fd writer(::open(file.c_str(), O_WRONLY | O_NONBLOCK));
    REQUIRE(writer);
}

TEST_CASE("a directory is listed, an early end is taken, and what is none is said to be none", "[io]") {
    Place place;
    for (int i = 0; i < 500; ++i) place.make("f" + std::to_string(i));
    place.make(".hidden");
    std::set<std::string> seen;
    REQUIRE(place.disk.list(place.directory.path(), [&](std::string_view name) { return seen.emplace(name).second; }));
    REQUIRE(seen.size() == 501);
    REQUIRE(seen == test::names_in(place.directory.path()));
    int calls = 0;
    REQUIRE(place.disk.list(place.directory.path(), [&](std::string_view) { return ++calls < 3; }));
    REQUIRE(calls == 3);
    const auto none = [](std::string_view) { return true; };
    REQUIRE_FALSE(place.disk.list(place.path("none"), none));
    REQUIRE_FALSE(place.disk.list(place.path("f1"), none));
    REQUIRE_FALSE(place.disk.list(place.path("f1/below"), none));
    struct Stop {};
    REQUIRE_THROWS_AS(place.disk.list(place.directory.path(), [](std::string_view) -> bool { throw Stop(); }), Stop);
}

TEST_CASE("what a name is", "[io]") {
    Place place;
    const auto file = place.make("f", "12345");
    std::filesystem::create_directory(place.path("d"));
    ::symlink(file.c_str(), place.path("l").c_str());
    ::mkfifo(place.path("p").c_str(), 0600);
    ::link(file.c_str(), place.path("g").c_str());
    const auto info = place.disk.info(file);
    REQUIRE(info);
    REQUIRE(info->kind == FileKind::regular);
    REQUIRE(info->size == Bytes{5});
    REQUIRE(info->links == 2);
    REQUIRE(info->inode == place.disk.info(place.path("g"))->inode);
    REQUIRE(info->modified_ns > 1'700'000'000'000'000'000);
    REQUIRE(place.disk.info(place.path("d"))->kind == FileKind::directory);
    REQUIRE(place.disk.info(place.path("l"))->kind == FileKind::symlink);
    REQUIRE(place.disk.info(place.path("p"))->kind == FileKind::other);
    REQUIRE_FALSE(place.disk.info(place.path("none")));
    REQUIRE_FALSE(place.disk.info(file + "/below"));
    const auto fd = place.disk.open(file);
    REQUIRE(place.disk.info(*fd, file).inode == info->inode);
    REQUIRE(place.disk.remove(file));
    REQUIRE(place.disk.remove(place.path("g")));
    REQUIRE(place.disk.info(*fd, file).links == 0);
    REQUIRE_THROWS_AS(place.disk.info(io::Fd(), "closed"), Error);
}

TEST_CASE("removing and making tell whether there was something to do", "[io]") {
    Place place;
    const auto directory = place.path("d");
    REQUIRE(place.disk.make_directory(directory));
    REQUIRE_FALSE(place.disk.make_directory(directory));
    place.make("d/f");
    REQUIRE_FALSE(place.disk.remove_directory(directory));
    REQUIRE(place.disk.remove(place.path("d/f")));
    REQUIRE_FALSE(place.disk.remove(place.path("d/f")));
    REQUIRE_THROWS_AS(place.disk.remove(directory), Error);
    REQUIRE(place.disk.remove_directory(directory));
    REQUIRE_FALSE(place.disk.remove_directory(directory));
    REQUIRE_THROWS_AS(place.disk.make_directory(place.path("no/d")), Error);
}

TEST_CASE("a disk has room, and a local one is no network file system", "[io]") {
    Place place;
    const auto space = place.disk.space(place.directory.path());
    REQUIRE(space.total.count > 0);
    REQUIRE(space.available <= space.total);
    REQUIRE_FALSE(place.disk.network_file_system(place.directory.path()));
    REQUIRE_THROWS_AS(place.disk.space(place.path("none")), Error);
    REQUIRE_THROWS_AS(place.disk.network_file_system(place.path("none")), Error);
}

TEST_CASE("descriptors have one owner", "[io]") {
    Place place;
    auto one = place.disk.create(place.path("f"));
    const int number = one.get();
    io::Fd two(std::move(one));
    REQUIRE_FALSE(one);  // NOLINT(bugprone-use-after-move): empty is the promise
    REQUIRE(two.get() == number);
    io::Fd three = place.disk.create(place.path("g"));
    const int other = three.get();
    three = std::move(two);
    REQUIRE(three.get() == number);
    REQUIRE(::fcntl(other, F_GETFD) == -1);
    auto& same = three;
    three = std::move(same);
    REQUIRE(three.get() == number);
    three.reset();
    three.reset();
    REQUIRE(::fcntl(number, F_GETFD) == -1);
    REQUIRE(io::Fd().release() == -1);
}

// Small files.

TEST_CASE("a small file is read whole or not at all", "[io]") {
    Place place;
    const auto file = place.make("f", std::string(100, 'x'));
    REQUIRE(io::read_file(place.disk, file) == std::string(100, 'x'));
    REQUIRE(io::read_file(place.disk, file, Bytes{100}) == std::string(100, 'x'));
    REQUIRE_THROWS_AS(io::read_file(place.disk, file, Bytes{99}), Error);
    REQUIRE_FALSE(io::read_file(place.disk, place.path("none")));
    REQUIRE_FALSE(io::read_file(place.disk, place.directory.path()));
    REQUIRE(io::read_file(place.disk, place.make("empty", "")) == "");
}

TEST_CASE("a state file is the old or the new one, whole, wherever the process died", "[io][fault]") {
    using F = test::FaultyDisk::Fault;
    std::size_t calls = 0;
    for (const F fault : {F::none, F::crash_before, F::crash_after, F::fail}) {
        for (std::size_t at = 1; at <= std::max<std::size_t>(calls, 1); ++at) {
            INFO("fault " << static_cast<int>(fault) << " at " << at);
            Place place;
            test::FaultyDisk disk(place.disk);
            const auto file = place.make("state", "old");
            place.make("state.tmp", "left by a crash, longer than the new content");
            disk.plan(fault, at);
            try {
                io::write_file(disk, file, "new one");
                REQUIRE(fault == F::none);
                REQUIRE(content_of(file) == "new one");
            } catch (const test::Crash&) {
            } catch (const Error&) {
            }
            const auto content = content_of(file);
            REQUIRE((content == "old" || content == "new one"));
            if (fault == F::none) {
                calls = disk.calls();
                REQUIRE(calls >= 5);
                REQUIRE(test::names_in(place.directory.path()) == std::set<std::string>{"state"});
            } else {
                REQUIRE(disk.fired());
                disk.plan(F::none, 0);
                io::write_file(disk, file, "later");
                REQUIRE(content_of(file) == "later");
                REQUIRE(test::names_in(place.directory.path()) == std::set<std::string>{"state"});
            }
        }
    }
}

TEST_CASE("a state file is synced before it replaces, and its directory after", "[io][order]") {
    class Order final : public io::ForwardingDisk {
      public:
        explicit Order(io::Disk& real) : ForwardingDisk(real) {}
        std::string order;
        void write(const io::Fd& fd, std::string_view data, const std::string& path) override {
            order += "write ";
            ForwardingDisk::write(fd, data, path);
        }
        void sync(const io::Fd&, const std::string&) override { order += "sync "; }
        void replace(const std::string& from, const std::string& to) override {
            order += "replace ";
            ForwardingDisk::replace(from, to);
        }
        void sync_directory(const std::string& path) override { order += "directory " + io::name_of(path); }
    };
    Place place;
    Order disk(place.disk);
    disk.make_directory(place.path("d"));
    io::write_file(disk, place.path("d/f"), "x");
    REQUIRE(disk.order == "write sync replace directory d");
}

TEST_CASE("missing directories are made, each durable in its parent", "[io]") {
    class Parents final : public io::ForwardingDisk {
      public:
        explicit Parents(io::Disk& real) : ForwardingDisk(real) {}
        std::vector<std::string> synced;
        void sync_directory(const std::string& path) override {
            synced.push_back(io::name_of(path));
            ForwardingDisk::sync_directory(path);
        }
    };
    Place place;
    Parents disk(place.disk);
    io::make_directories(disk, place.path("a/b/c"));
    REQUIRE(std::filesystem::is_directory(place.path("a/b/c")));
    REQUIRE(disk.synced == std::vector<std::string>{io::name_of(place.directory.path()), "a", "b"});
    io::make_directories(disk, place.path("a/b/c"));
    io::make_directories(disk, "/");
    REQUIRE(disk.synced.size() == 3);
    place.make("file");
    REQUIRE_THROWS_AS(io::make_directories(disk, place.path("file/x")), Error);
}

TEST_CASE("parts of a path", "[io]") {
    REQUIRE(io::parent_of("/a/b") == "/a");
    REQUIRE(io::parent_of("/a") == "/");
    REQUIRE(io::parent_of("/") == "/");
    REQUIRE(io::parent_of("a") == "/");
    REQUIRE(io::name_of("/a/b") == "b");
    REQUIRE(io::name_of("/a/") == "");
    REQUIRE(io::name_of("a") == "a");
}

TEST_CASE("random tokens differ, and use all of their alphabet", "[io]") {
    std::set<std::string> tokens;
    std::set<char> used;
    for (int i = 0; i < 2000; ++i) {
        const auto token = io::random_token();
        REQUIRE(token.size() == 16);
        REQUIRE(token.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567") == std::string::npos);
        tokens.insert(token);
        used.insert(token.begin(), token.end());
    }
    REQUIRE(tokens.size() == 2000);
    REQUIRE(used.size() == 32);
}
