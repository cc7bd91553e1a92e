// SPDX-License-Identifier: GPL-3.0-or-later
//
// The disk that loses its power, which tests/faults/power proves with: what it may lose, and what not.
#include "power_disk.hpp"

#include <array>
#include <catch2/catch.hpp>

using namespace ums;
using test::PowerDisk;
using Model = PowerDisk::Model;

namespace {

constexpr std::array models{Model::journal, Model::directories, Model::names};

/// What may be there after a loss of power: path and content of each file.
std::set<std::vector<std::pair<std::string, std::string>>> left(const PowerDisk& disk) {
    std::set<std::vector<std::pair<std::string, std::string>>> all;
    test::Dice dice(1);
    PowerDisk::survivors(disk.state(), disk.model(), 10'000, dice, [&](PowerDisk::State&& state) {
        PowerDisk after(disk.model());
        after.restore(state);
        all.insert(after.files());
    });
    return all;
}

void make(PowerDisk& disk, const std::string& path, const std::string& content) {
    const auto fd = disk.create(path);
    disk.write(fd, content, path);
    disk.sync(fd, path);
}

using Files = std::vector<std::pair<std::string, std::string>>;

}  // namespace

TEST_CASE("what was not synced may be gone, in part or as a whole", "[power]") {
    for (const auto model : models) {
        PowerDisk disk(model);
        const auto fd = disk.create("/a");
        disk.write(fd, "12345678", "/a");
        const std::string zeros(8, '\0');
        CHECK(left(disk).size() == 6);
        for (const auto& files :
             {Files{}, Files{{"/a", ""}}, Files{{"/a", "1234"}}, Files{{"/a", zeros}}, Files{{"/a", "12345678"}}})
            CHECK(left(disk).contains(files));
        disk.sync_directory("/");
        CHECK(left(disk).size() == 5);  // the name is safe, the content is not
        disk.sync(fd, "/a");
        CHECK(left(disk) == std::set{Files{{"/a", "12345678"}}});
        disk.remove("/a");
        CHECK(left(disk).size() == 2);
        disk.sync_directory("/");
        CHECK(left(disk) == std::set{Files{}});
    }
}

TEST_CASE("a sync of a file keeps its name where there is one journal for all", "[power]") {
    for (const auto model : models) {
        PowerDisk disk(model);
        make(disk, "/a", "1");
        CHECK(left(disk).size() == (model == Model::journal ? 1 : 2));
    }
}

TEST_CASE("a rename is atomic, and certain when both directories are synced", "[power]") {
    for (const auto model : models) {
        PowerDisk disk(model);
        disk.make_directory("/from");
        disk.make_directory("/to");
        make(disk, "/from/a", "1");
        disk.settle();
        REQUIRE(disk.rename("/from/a", "/to/b") == io::Renamed::moved);
        const std::set either{Files{{"/from/a", "1"}}, Files{{"/to/b", "1"}}};
        const std::set moved{Files{{"/to/b", "1"}}};
        CHECK(left(disk) == either);
        disk.sync_directory("/to");
        CHECK(left(disk) == (model == Model::journal ? moved : either));
        disk.sync_directory("/from");
        CHECK(left(disk) == moved);
    }
}

TEST_CASE("where names are logged, a file may have both, until the directory that it left is synced", "[power]") {
    PowerDisk disk(Model::twice);
    REQUIRE(disk.may_keep_both_names("/"));
    disk.make_directory("/from");
    disk.make_directory("/to");
    make(disk, "/from/a", "1");
    disk.settle();
    REQUIRE(disk.rename("/from/a", "/to/b") == io::Renamed::moved);
    const Files both{{"/from/a", "1"}, {"/to/b", "1"}};
    CHECK_FALSE(left(disk).contains(both));
    disk.sync_directory("/to");
    CHECK(left(disk) == std::set{Files{{"/from/a", "1"}}, Files{{"/to/b", "1"}}, both});
    test::Dice dice(1);
    PowerDisk::survivors(disk.state(), disk.model(), 10, dice, [&](PowerDisk::State&& state) {
        PowerDisk after(disk.model());
        after.restore(state);
        if (after.files().size() < 2) return;
        const auto a = after.info("/from/a");
        const auto b = after.info("/to/b");
        CHECK(a->inode == b->inode);
        CHECK(a->links == 2);
        after.remove("/from/a");
        CHECK(after.info("/to/b")->links == 1);
    });
    disk.sync_directory("/from");
    CHECK(left(disk) == std::set{Files{{"/to/b", "1"}}});
    // And all that was pending: the file system cannot log what left.
    make(disk, "/from/c", "2");
    disk.sync_directory("/from");
    disk.remove("/to/b");
    make(disk, "/to/d", "3");
    disk.sync_directory("/to");
    CHECK(left(disk) == std::set{Files{{"/from/c", "2"}, {"/to/d", "3"}}});
}

TEST_CASE("changes survive in the order that the model keeps", "[power]") {
    for (const auto model : models) {
        PowerDisk disk(model);
        disk.make_directory("/d");
        disk.settle();
        make(disk, "/d/1", "");
        if (model == Model::journal) continue;  // the sync has kept it
        make(disk, "/2", "");
        make(disk, "/d/3", "");
        const auto all = left(disk);
        CHECK(all.size() == (model == Model::directories ? 6 : 8));
        CHECK(all.contains(Files{{"/2", ""}}));
        CHECK(all.contains(Files{{"/d/3", ""}}) == (model == Model::names));
    }
    PowerDisk journal(Model::journal);
    journal.make_directory("/1");
    journal.make_directory("/2");
    std::size_t count = 0;
    test::Dice dice(1);
    PowerDisk::survivors(journal.state(), Model::journal, 100, dice, [&](PowerDisk::State&& state) {
        PowerDisk after(Model::journal);
        after.restore(state);
        ++count;
        CHECK((after.info("/1") || !after.info("/2")));
    });
    CHECK(count == 3);
}

TEST_CASE("what is in a directory whose own name was not synced goes with it", "[power]") {
    PowerDisk disk(Model::names);
    disk.make_directory("/d");
    make(disk, "/d/a", "1");
    disk.sync_directory("/d");
    CHECK(left(disk) == std::set{Files{}, Files{{"/d/a", "1"}}});
    disk.sync_directory("/");
    CHECK(left(disk) == std::set{Files{{"/d/a", "1"}}});
}

TEST_CASE("a later change that is certain makes those certain that it stands on", "[power]") {
    PowerDisk disk(Model::names);
    for (const char* directory : {"/a", "/b", "/c"}) disk.make_directory(directory);
    make(disk, "/a/x", "1");
    disk.settle();
    disk.rename("/a/x", "/b/x");
    disk.rename("/b/x", "/c/x");
    disk.sync_directory("/c");
    CHECK(left(disk).size() == 3);
    disk.sync_directory("/b");
    CHECK(left(disk) == std::set{Files{{"/c/x", "1"}}});
}

TEST_CASE("it is read like a disk", "[power]") {
    PowerDisk disk(Model::names);
    io::make_directories(disk, "/s/state");
    io::write_file(disk, "/s/state/file", "one\n");
    io::write_file(disk, "/s/state/file", "two\n");
    CHECK(io::read_file(disk, "/s/state/file") == "two\n");
    CHECK(left(disk) == std::set{Files{{"/s/state/file", "two\n"}}});
    disk.append("/s/journal", "a");
    disk.append("/s/journal", "b");
    CHECK(io::read_file(disk, "/s/journal") == "ab");
    CHECK_THROWS_AS(disk.create("/s/journal"), Error);
    CHECK_THROWS_AS(disk.create("/none/x"), Error);
    CHECK_THROWS_AS(disk.sync_directory("/none"), Error);
    CHECK(disk.rename("/s/journal", "/s/state/file") == io::Renamed::target_exists);
    CHECK(disk.rename("/s/none", "/s/x") == io::Renamed::source_missing);
    CHECK_FALSE(disk.remove_directory("/s/state"));
    const auto fd = disk.open_directory("/s", "state");
    CHECK(disk.info("/proc/self/fd/" + std::to_string(fd.get()) + "/file")->size == Bytes{4});
    const auto file = disk.open("/s/journal");
    disk.remove("/s/journal");
    CHECK(disk.info(*file, "").links == 0);
}
