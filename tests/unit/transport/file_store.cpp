// SPDX-License-Identifier: GPL-3.0-or-later
//
// What differs from other stores, and what only a failing disk shows; the rest is tests/servers/store_conformance.cpp.
#include "transport/file_store.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "forwarding_disk.hpp"

using namespace ums;
using namespace ums::transport;
namespace fs = std::filesystem;

namespace {

// Fails the named call with an errno, as PosixDisk would say it.
class FailingDisk final : public io::ForwardingDisk {
  public:
    using io::ForwardingDisk::ForwardingDisk;

    std::map<std::string, int> errors;
    int syncs = 0;
    int synced_directories = 0;

    io::Fd create(const std::string& path) override {
        fail("create", Fault::cannot_write);
        return ForwardingDisk::create(path);
    }
    void write(const io::Fd& fd, std::string_view data, const std::string& path) override {
        fail("write", Fault::cannot_write);
        ForwardingDisk::write(fd, data, path);
    }
    void copy(const io::Fd& from, std::uint64_t offset, Bytes length, const io::Fd& to,
              const std::string& path) override {
        fail("copy", Fault::cannot_write);
        fail("copy source", Fault::cannot_read);
        ForwardingDisk::copy(from, offset, length, to, path);
    }
    void sync_all(std::span<const io::Fd* const> fds, const std::string& what) override {
        fail("sync", Fault::cannot_write);
        syncs += static_cast<int>(fds.size());
        ForwardingDisk::sync_all(fds, what);
    }
    void sync_directory(const std::string& path) override {
        fail("sync directory", Fault::cannot_write);
        ++synced_directories;
        ForwardingDisk::sync_directory(path);
    }
    io::Renamed rename(const std::string& from, const std::string& to) override {
        fail("rename", Fault::cannot_write);
        return ForwardingDisk::rename(from, to);
    }
    bool list(const std::string& path, const std::function<bool(std::string_view)>& each) override {
        fail("list", Fault::cannot_read);
        return ForwardingDisk::list(path, each);
    }
    std::optional<io::FileInfo> info(const std::string& path) override {
        fail("info", Fault::cannot_read);
        return ForwardingDisk::info(path);
    }
    io::FileInfo info(const io::Fd& fd, const std::string& path) override {
        auto info = ForwardingDisk::info(fd, path);
        if (errors.contains("short")) info.size.count -= 1;
        return info;
    }

  private:
    void fail(const std::string& call, Fault fault) {
        if (const auto found = errors.find(call); found != errors.end()) {
            throw system_error(fault_of_errno(found->second, fault), call, found->second);
        }
    }
};

struct Place {
    Place() {
        std::string name = (fs::temp_directory_path() / "file_store.XXXXXX").string();
        root = ::mkdtemp(name.data());
        store = std::make_unique<FileStore>(root, disk);
    }
    ~Place() { fs::remove_all(root); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    Answer put(const std::string& path, const std::string& content) {
        const Upload upload{path, {content, nullptr, 0, {}}};
        return store->upload({&upload, 1}).front();
    }
    Answer put_copy(const std::string& path, const io::Fd& source, std::uint64_t length) {
        const Upload upload{path, {"", &source, 0, Bytes{length}}};
        return store->upload({&upload, 1}).front();
    }
    Answer move(const std::string& from, const std::string& to) {
        const Rename rename{from, to};
        return store->rename({&rename, 1}).front();
    }
    Answer fetch(const std::string& path, std::uint64_t expected) {
        const io::Fd into = posix.create(root + "/into");
        posix.remove(root + "/into");
        Download download{path, &into, Bytes{expected}, {}};
        return store->download({&download, 1}).front();
    }
    Answer look(const std::string& path, Item& item) {
        std::vector<Item> items;
        auto answer = store->look({&path, 1}, items).front();
        item = items.front();
        return answer;
    }
    std::string content(const std::string& path) {
        std::ifstream in(root + "/" + path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    io::PosixDisk posix;
    FailingDisk disk{posix};
    std::string root;
    std::unique_ptr<FileStore> store;
};

}  // namespace

TEST_CASE("a root that is not there is never made", "[file_store]") {
    Place p;
    const std::string missing = p.root + "/not-mounted";
    FileStore store(missing, p.posix);
    const Upload upload{"a", {"x", nullptr, 0, {}}};
    const Rename rename{"a", "b"};
    const std::string path = "a";
    Download download{"a", nullptr, {}, {}};
    std::vector<Item> items;
    std::string content;
    CHECK(store.upload({&upload, 1}).front().verdict == Verdict::unreachable);
    CHECK(store.rename({&rename, 1}).front().verdict == Verdict::unreachable);
    CHECK(store.download({&download, 1}).front().verdict == Verdict::unreachable);
    CHECK(store.look({&path, 1}, items).front().verdict == Verdict::unreachable);
    CHECK(store.remove({&path, 1}).front().verdict == Verdict::unreachable);
    CHECK(store.list("", [](const Item&) { return true; }).verdict == Verdict::unreachable);
    CHECK(store.read("a", Bytes{1}, content).verdict == Verdict::unreachable);
    CHECK(store.make_directory("a").verdict == Verdict::unreachable);
    CHECK(store.sync({&path, 1}).verdict == Verdict::unreachable);
    CHECK_FALSE(fs::exists(missing));

    std::ofstream(missing) << "a file";
    CHECK(store.make_directory("a").verdict == Verdict::unreachable);
}

TEST_CASE("the root may be a symbolic link, a file may not", "[file_store]") {
    Place p;
    fs::create_directory(p.root + "/real");
    fs::create_directory_symlink("real", p.root + "/link");
    FileStore store(p.root + "/link", p.posix);
    CHECK(store.make_directory("d").done());

    std::ofstream(p.root + "/secret") << "secret";
    fs::create_symlink("secret", p.root + "/a");
    ::mkfifo((p.root + "/fifo").c_str(), 0600);
    std::string content;
    CHECK_FALSE(p.store->read("a", Bytes{100}, content).done());
    CHECK_FALSE(p.store->read("fifo", Bytes{100}, content).done());
    CHECK(content.empty());
    CHECK(p.fetch("a", 6).verdict == Verdict::refused);
    CHECK(p.fetch("fifo", 0).verdict == Verdict::refused);
    CHECK(p.fetch("real", 0).verdict == Verdict::refused);
    CHECK(p.put("a", "x").verdict == Verdict::exists);
    CHECK(p.content("secret") == "secret");

    std::map<std::string, ItemKind> kinds;
    CHECK(p.store->list("", [&](const Item& item) { return kinds.emplace(item.name, item.kind).second; }).done());
    CHECK(kinds == std::map<std::string, ItemKind>{{"a", ItemKind::other},
                                                   {"fifo", ItemKind::other},
                                                   {"link", ItemKind::other},
                                                   {"real", ItemKind::directory},
                                                   {"secret", ItemKind::file}});
    CHECK(p.move("a", "b").done());  // the link itself
    CHECK(fs::is_symlink(p.root + "/b"));
    CHECK(p.content("secret") == "secret");
}

TEST_CASE("below the root no link is followed", "[file_store]") {
    Place p;
    Place elsewhere;
    REQUIRE(p.store->make_directory("d").done());
    REQUIRE(p.store->make_directory("d/real").done());
    REQUIRE(p.put("d/real/file", "mine").done());
    std::ofstream(elsewhere.root + "/secret") << "secret";
    fs::create_directory(elsewhere.root + "/sub");
    fs::create_directory_symlink(elsewhere.root, p.root + "/link");
    fs::create_directory_symlink(elsewhere.root, p.root + "/d/link");
    fs::create_directory_symlink("real", p.root + "/d/near");
    const auto before = [&] {
        std::vector<std::string> names;
        for (const auto& entry : fs::recursive_directory_iterator(elsewhere.root)) names.push_back(entry.path());
        std::sort(names.begin(), names.end());
        return names;
    };
    const auto names = before();
    for (const std::string link : {"link", "d/link", "d/near"}) {
        for (const std::string& path : {link + "/secret", link + "/file", link + "/sub/x"}) {
            INFO(path);
            std::vector<Answer> answers;
            Item item;
            std::string content;
            answers.push_back(p.put(path, "x"));
            answers.push_back(p.move(path, "stolen"));
            answers.push_back(p.move("d/real/file", path + "2"));
            answers.push_back(p.fetch(path, 6));
            answers.push_back(p.look(path, item));
            answers.push_back(p.store->read(path, Bytes{100}, content));
            answers.push_back(p.store->remove({&path, 1}).front());
            answers.push_back(p.store->make_directory(path + "3"));
            answers.push_back(p.store->list(link, [](const Item&) { return false; }));
            answers.push_back(p.store->make_directory(link));
            answers.push_back(p.store->sync({&link, 1}));
            for (const auto& answer : answers) {
                CHECK(answer.verdict == Verdict::denied);
                CHECK(answer.text ==
                      "'" + p.root + "/" + link +
                          "' is a symbolic link; below the root of a kernel or connector none is followed");
            }
        }
    }
    CHECK(before() == names);
    CHECK(p.content("d/real/file") == "mine");
    Item item;
    CHECK(p.look("link", item).done());  // the link itself
    CHECK(item.kind == ItemKind::other);
}

TEST_CASE("a directory that becomes a link while a call is at it leads nowhere else", "[file_store]") {
    // As the first file is made, its directory goes away and a link stands there.
    class SwappingDisk final : public io::ForwardingDisk {
      public:
        using io::ForwardingDisk::ForwardingDisk;
        std::function<void()> swap;
        io::Fd create(const std::string& path) override {
            if (swap) std::exchange(swap, nullptr)();
            return ForwardingDisk::create(path);
        }
    };
    Place p;
    Place elsewhere;
    SwappingDisk disk(p.posix);
    FileStore store(p.root, disk);
    REQUIRE(store.make_directory("d").done());
    disk.swap = [&] {
        fs::rename(p.root + "/d", p.root + "/moved");
        fs::create_directory_symlink(elsewhere.root, p.root + "/d");
    };
    const std::vector<Upload> uploads{{"d/a", {"x", nullptr, 0, {}}}, {"d/b", {"x", nullptr, 0, {}}}};
    store.upload(uploads);
    CHECK(fs::is_empty(elsewhere.root));
    CHECK(fs::exists(p.root + "/moved/a"));
    CHECK(store.upload({uploads.data(), 1}).front().verdict == Verdict::denied);
}

TEST_CASE("answers name the paths that people know", "[file_store]") {
    Place p;
    REQUIRE(p.store->make_directory("it's").done());
    REQUIRE(p.put("it's/a", "x").done());
    CHECK_THAT(p.put("it's/a", "x").text, Catch::Contains("'" + p.root + "/it's/a'"));
    CHECK_THAT(p.put("missing/a", "x").text, Catch::Contains("'" + p.root + "/missing' is not there"));
}

TEST_CASE("what the disk says, said as an answer", "[file_store]") {
    const std::map<int, Verdict> verdicts{
        {ENOSPC, Verdict::full},          {EDQUOT, Verdict::full},   {EACCES, Verdict::denied},
        {EPERM, Verdict::denied},         {EROFS, Verdict::broken},  {EIO, Verdict::broken},
        {ENAMETOOLONG, Verdict::refused}, {ENOENT, Verdict::absent}, {ENOTDIR, Verdict::absent},
        {EEXIST, Verdict::exists},        {ESTALE, Verdict::broken}, {EFBIG, Verdict::refused}};
    for (const auto& [error, verdict] : verdicts) {
        Place p;
        REQUIRE(p.put("there", "x").done());
        for (const std::string call : {"create", "write", "sync"}) {
            INFO(call << " " << error);
            p.disk.errors = {{call, error}};
            CHECK(p.put("a", "content").verdict == verdict);
            CHECK_FALSE(fs::exists(p.root + "/a"));  // a full disk needs its room back
        }
        p.disk.errors = {{"rename", error}};
        CHECK(p.move("there", "b").verdict == verdict);
        p.disk.errors = {{"list", error}};
        CHECK(p.store->list("", [](const Item&) { return true; }).verdict == verdict);
        p.disk.errors = {{"sync directory", error}};
        const std::string top;
        CHECK(p.store->sync({&top, 1}).verdict == verdict);
    }
}

TEST_CASE("our own faults are no answers", "[file_store]") {
    Place p;
    const io::Fd source = p.posix.create(p.root + "/source");
    p.posix.write(source, "0123456789", "source");
    CHECK_THROWS_AS(p.put_copy("a", source, 11), Error);
    CHECK_FALSE(fs::exists(p.root + "/a"));
    for (const int error : {EMFILE, ENFILE, ENOMEM}) {
        p.disk.errors = {{"create", error}};
        CHECK_THROWS_AS(p.put("a", "x"), Error);
    }
    // Of a download, the other way round: what cannot be written is ours.
    p.disk.errors = {{"copy", ENOSPC}};
    CHECK_THROWS_AS(p.fetch("source", 10), Error);
    p.disk.errors = {{"copy source", EIO}};
    CHECK(p.fetch("source", 10).verdict == Verdict::broken);
    p.disk.errors = {{"copy", EIO}};
    CHECK(p.fetch("source", 10).verdict == Verdict::broken);
}

TEST_CASE("a mount that died is unreachable", "[file_store]") {
    Place p;
    p.disk.errors = {{"info", ESTALE}};
    CHECK(p.put("a", "x").verdict == Verdict::unreachable);
    CHECK(p.move("a", "b").verdict == Verdict::unreachable);
    p.disk.errors = {{"info", EACCES}};
    CHECK(p.put("a", "x").verdict == Verdict::denied);
}

TEST_CASE("contents are synced before they count, names when asked", "[file_store]") {
    Place p;
    std::vector<Upload> uploads;
    for (int i = 0; i < 150; ++i) uploads.push_back({"f" + std::to_string(i), {"x", nullptr, 0, {}}});
    for (const auto& answer : p.store->upload(uploads)) CHECK(answer.done());
    CHECK(p.disk.syncs == 150);
    CHECK(p.disk.synced_directories == 0);
    const std::vector<std::string> directories{"", "missing"};
    CHECK(p.store->sync({directories.data(), 1}).done());
    CHECK(p.disk.synced_directories == 1);
    CHECK(p.store->sync(directories).verdict == Verdict::absent);
}

TEST_CASE("a size that is not what was sent is broken", "[file_store]") {
    Place p;
    p.disk.errors = {{"short", 0}};
    CHECK(p.put("a", "content").verdict == Verdict::broken);
    CHECK_FALSE(fs::exists(p.root + "/a"));
}

TEST_CASE("a file that another makes over is another version", "[file_store]") {
    Place p;
    Item before;
    Item after;
    REQUIRE(p.put("a", "same").done());
    REQUIRE(p.look("a", before).done());
    CHECK(before.modified.has_value());
    fs::rename(p.root + "/a", p.root + "/b");
    std::ofstream(p.root + "/a") << "same";
    REQUIRE(p.look("a", after).done());
    CHECK(before.version != after.version);
    CHECK(p.look("b", after).done());
    CHECK(before.version == after.version);
}
