// SPDX-License-Identifier: GPL-3.0-or-later
//
// Drafts: accepted only when everything is durable, swept only when they belong to nobody.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "faulty_disk.hpp"
#include "recording_disk.hpp"
#include "world.hpp"

using namespace ums;
using spool::Draft;
using spool::EntryName;
using spool::Queue;
using spool::Spool;
using spool::State;
using test::FaultyDisk;
using test::Place;
using test::RecordingDisk;

namespace {

class SmallDisk final : public io::ForwardingDisk {
  public:
    using ForwardingDisk::ForwardingDisk;
    io::Space room{Bytes{100ULL << 30}, Bytes{100ULL << 30}};
    io::Space space(const std::string&) override { return room; }
};

std::vector<Draft> drafts_of(Spool& spool, unsigned count) {
    std::vector<Draft> drafts;
    for (unsigned i = 0; i < count; ++i) {
        drafts.push_back(spool.draft(Queue::outgoing()));
        drafts.back().write("message " + std::to_string(i));
    }
    return drafts;
}

}  // namespace

TEST_CASE("a draft stands in tmp/, and in new/ once it is accepted", "[spool]") {
    Place place;
    auto spool = place.open();
    auto drafts = drafts_of(spool, 3);
    REQUIRE(place.names("outgoing/tmp").size() == 3);
    REQUIRE(place.names("outgoing/new").empty());
    REQUIRE(drafts[0].path() == place.root + "/outgoing/tmp/" + drafts[0].name().text());
    REQUIRE(drafts[0].queue() == Queue::outgoing());
    spool.accept(drafts);
    REQUIRE(place.names("outgoing/tmp").empty());
    for (const auto& draft : drafts) REQUIRE(place.names("outgoing/new").contains(draft.name().text()));
    REQUIRE(test::content_of(place.root + "/outgoing/new/" + drafts[2].name().text()) == "message 2");
    drafts.clear();
    REQUIRE(place.names("outgoing/new").size() == 3);
    REQUIRE_NOTHROW(spool.accept(drafts));
}

TEST_CASE("accepting: the content is synced, then all renamed, then new/ is synced, then tmp/", "[spool][order]") {
    Place place;
    place.open();
    RecordingDisk disk(place.real, place.root);
    auto spool = place.open(disk);
    auto drafts = drafts_of(spool, 3);
    disk.steps.clear();
    spool.accept(drafts);
    REQUIRE(disk.steps.size() == 6);
    REQUIRE(disk.steps[0].what == "content");
    REQUIRE(disk.steps[0].to == "3");
    for (std::size_t i = 1; i <= 3; ++i) REQUIRE(disk.steps[i].what == "rename");
    REQUIRE((disk.steps[4].what == "directory" && disk.steps[4].path == "outgoing/new"));
    REQUIRE((disk.steps[5].what == "directory" && disk.steps[5].path == "outgoing/tmp"));
    REQUIRE(disk.wrong_order().empty());
}

TEST_CASE("a draft that is not accepted is discarded, a kept one stays", "[spool]") {
    Place place;
    auto spool = place.open();
    {
        auto gone = spool.draft(Queue::outgoing());
        gone.write("x");
        auto moved = std::move(gone);
    }
    REQUIRE(place.names("outgoing/tmp").empty());
    {
        auto kept = spool.draft(Queue::outgoing());
        kept.keep();
        auto moved = std::move(kept);
    }
    REQUIRE(place.names("outgoing/tmp").size() == 1);
    spool.sweep(Queue::outgoing());
    REQUIRE(place.names("outgoing/tmp").empty());
    auto discarded = spool.draft(Queue::outgoing());
    discarded.keep();
    discarded.discard();
    discarded.discard();
    REQUIRE(place.names("outgoing/tmp").empty());
}

TEST_CASE("a draft can still be given attributes, but no other id", "[spool]") {
    Place place;
    auto spool = place.open();
    auto drafts = drafts_of(spool, 1);
    const auto name = drafts[0].name().with('c', "ExConn").with('p', 1);
    drafts[0].rename(name);
    REQUIRE_THROWS_AS(drafts[0].rename(EntryName::make(place.clock.now(), "BER1")), Error);
    spool.accept(drafts);
    REQUIRE(place.names("outgoing/new") == std::set<std::string>{name.text()});
    REQUIRE(place.names("outgoing/tmp").empty());
}

TEST_CASE("a draft takes pieces of files", "[spool]") {
    Place place;
    auto spool = place.open();
    const auto file = place.directory.path() + "/source";
    test::write_to(file, "0123456789");
    const auto source = place.real.open(file);
    auto draft = spool.draft(Queue::incoming());
    draft.write("head ");
    draft.copy(*source, 3, Bytes{4});
    REQUIRE(test::content_of(draft.path()) == "head 3456");
}

TEST_CASE("a sweep leaves what is in use and what is noted, and takes the rest", "[spool]") {
    Place place;
    auto spool = place.open();
    const auto in_use = spool.draft(Queue::outgoing());
    std::string noted;
    std::string abandoned;
    {
        auto one = spool.draft(Queue::outgoing());
        one.keep();
        noted = one.name().text();
        spool.state_path("fetch/source/x");
        test::write_to(spool.note_path("source", one.name().id()), "");
        auto two = spool.draft(Queue::outgoing());
        two.keep();
        abandoned = two.name().text();
    }
    test::write_to(place.root + "/outgoing/tmp/stranger", "x");
    auto other = place.open();
    other.sweep(Queue::outgoing());
    REQUIRE(place.names("outgoing/tmp") == std::set<std::string>{in_use.name().text(), noted, "stranger"});
    other.sweep(Queue::incoming());
    REQUIRE(place.names("outgoing/tmp").size() == 3);
}

TEST_CASE("a note that comes while the sweep waits at the file protects it", "[spool]") {
    class Noting final : public io::ForwardingDisk {
      public:
        explicit Noting(io::Disk& real) : ForwardingDisk(real) {}
        std::string note;
        std::optional<io::Fd> open_to_write(const std::string& path) override {
            if (!note.empty()) test::write_to(note, "");
            return ForwardingDisk::open_to_write(path);
        }
    };
    Place place;
    Noting disk(place.real);
    auto spool = place.open(disk);
    {
        auto draft = spool.draft(Queue::outgoing());
        draft.keep();
        spool.state_path("fetch/source/x");
        disk.note = spool.note_path("source", draft.name().id());
    }
    spool.sweep(Queue::outgoing());
    REQUIRE(place.names("outgoing/tmp").size() == 1);
}

// A sweep opened the file; its owner dies, another run discards it and makes a new one of that name: the lock that the
// sweep then gets is on a file without a name, and says nothing about the new one.
TEST_CASE("a sweep never takes a draft that came under the same name meanwhile", "[spool]") {
    class Slow final : public io::ForwardingDisk {
      public:
        explicit Slow(io::Disk& real) : ForwardingDisk(real) {}
        std::function<void()> after_open;
        std::optional<io::Fd> open_to_write(const std::string& path) override {
            auto fd = ForwardingDisk::open_to_write(path);
            if (after_open) std::exchange(after_open, nullptr)();
            return fd;
        }
    };
    Place place;
    Slow disk(place.real);
    auto sweeper = place.open(disk);
    auto spool = place.open();
    std::optional<Draft> first(spool.draft(Queue::outgoing()));
    const auto name = first->name();
    std::vector<Draft> second;
    disk.after_open = [&] {
        first->discard();
        second.push_back(spool.draft(Queue::outgoing(), name));
        second.back().write("whole");
    };
    sweeper.sweep(Queue::outgoing());
    REQUIRE(second.size() == 1);
    REQUIRE(place.names("outgoing/tmp") == std::set<std::string>{name.text()});
    REQUIRE_NOTHROW(spool.accept(second));
}

// Between the creation of a draft's file and its lock a sweep may have the lock for a moment, and take the file away.
TEST_CASE("a draft whose new file a sweep has just locked is made again", "[spool]") {
    class Racing final : public io::ForwardingDisk {
      public:
        explicit Racing(io::Disk& real) : ForwardingDisk(real) {}
        bool armed = false;
        std::optional<io::Fd> sweep;
        std::string swept;
        int looks = 0;
        io::Fd create(const std::string& path) override {
            auto fd = ForwardingDisk::create(path);
            if (armed) {
                armed = false;
                swept = path;
                sweep = ForwardingDisk::open_to_write(path);
                ForwardingDisk::try_lock(*sweep, path);
            }
            return fd;
        }
        bool try_lock(const io::Fd& fd, const std::string& path) override {
            if (sweep && path == swept && ++looks == 2) {  // the sweep goes on after our first look
                ForwardingDisk::remove(path);
                sweep.reset();
            }
            return ForwardingDisk::try_lock(fd, path);
        }
    };
    Place place;
    Racing disk(place.real);
    auto spool = place.open(disk);
    disk.armed = true;
    std::vector<Draft> drafts;
    drafts.push_back(spool.draft(Queue::outgoing()));
    drafts[0].write("whole");
    spool.accept(drafts);
    REQUIRE(test::content_of(place.root + "/outgoing/new/" + drafts[0].name().text()) == "whole");
}

TEST_CASE("what a dead process left is adopted under its lock", "[spool]") {
    Place place;
    auto spool = place.open();
    std::optional<Draft> draft(spool.draft(Queue::outgoing()));
    draft->write("whole");
    draft->keep();
    const auto name = draft->name();
    auto other = place.open();
    REQUIRE_FALSE(other.adopt(Queue::outgoing(), "1795406406123456.k2j4x7ab.BER1"));
    try {
        other.adopt(Queue::outgoing(), name.id());
        FAIL("adopted what is in use");
    } catch (const Error& error) {
        REQUIRE(error.fault() == Fault::later);
    }
    draft.reset();
    {
        const auto again = other.adopt(Queue::outgoing(), name.id());
        REQUIRE(again);
        REQUIRE(again->name() == name);
        spool.sweep(Queue::outgoing());
        REQUIRE(place.names("outgoing/tmp").size() == 1);
    }
    REQUIRE(place.names("outgoing/tmp").size() == 1);
    std::vector<Draft> last;
    last.push_back(*other.adopt(Queue::outgoing(), name.id()));
    other.accept(last);
    REQUIRE(test::content_of(place.root + "/outgoing/new/" + name.text()) == "whole");
}

TEST_CASE("the drafts of a killed process are swept", "[spool]") {
    Place place;
    auto spool = place.open();
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        const auto draft = place.open().draft(Queue::outgoing());
        ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(pid, nullptr, 0);
    REQUIRE(place.names("outgoing/tmp").size() == 1);
    spool.sweep(Queue::outgoing());
    REQUIRE(place.names("outgoing/tmp").empty());
}

TEST_CASE("a full disk takes nothing new, and still moves what is there", "[spool]") {
    Place place;
    SmallDisk disk(place.real);
    auto spool = place.open(disk);
    const auto entry = place.put(spool, Queue::outgoing());
    constexpr std::uint64_t reserve = 16ULL << 20;
    disk.room.available = Bytes{reserve - 1};
    try {
        spool.draft(Queue::outgoing());
        FAIL("taken");
    } catch (const Error& error) {
        REQUIRE(error.fault() == Fault::cannot_write);
        REQUIRE_THAT(error.what(), Catch::Contains("disk is full"));
    }
    REQUIRE(place.names("outgoing/tmp").empty());
    REQUIRE(spool.move(entry, {Queue::site("munich"), State::fresh, entry.name}));
    disk.room.available = Bytes{reserve};
    REQUIRE_NOTHROW(spool.draft(Queue::outgoing()));
    REQUIRE_THROWS_AS(spool.require_room(Queue::outgoing(), Bytes{1}), Error);
    disk.room.available = Bytes{reserve + 10};
    REQUIRE_NOTHROW(spool.require_room(Queue::outgoing(), Bytes{10}));
    // A twentieth of a small one.
    disk.room.total = Bytes{20 << 20};
    disk.room.available = Bytes{1 << 20};
    REQUIRE_NOTHROW(spool.draft(Queue::outgoing()));
    disk.room.available = Bytes{(1 << 20) - 1};
    REQUIRE_THROWS_AS(spool.draft(Queue::outgoing()), Error);
}

TEST_CASE("nothing new is taken when the disk has too few inodes left", "[spool]") {
    Place place;
    SmallDisk disk(place.real);
    auto spool = place.open(disk);
    disk.room.files = 1'000'000;
    disk.room.available_files = 64;
    REQUIRE_THROWS_WITH(spool.draft(Queue::outgoing()), Catch::Contains("64 inodes left"));
    disk.room.available_files = 65;
    REQUIRE_NOTHROW(spool.draft(Queue::outgoing()));
    REQUIRE_THROWS_AS(spool.require_room(Queue::outgoing(), Bytes{0}, 2), Error);
    // A quarter of very few.
    disk.room.files = 100;
    disk.room.available_files = 25;
    REQUIRE_THROWS_AS(spool.draft(Queue::outgoing()), Error);
    disk.room.available_files = 26;
    REQUIRE_NOTHROW(spool.draft(Queue::outgoing()));
    // A file system that does not count them.
    disk.room.files = 0;
    disk.room.available_files = 0;
    REQUIRE_NOTHROW(spool.draft(Queue::outgoing()));
}

TEST_CASE("a size near the largest number does not wrap around to one that fits", "[spool]") {
    Place place;
    auto spool = place.open();
    for (const std::uint64_t below : {0ULL, 1ULL, 16ULL << 20, 17ULL << 20}) {
        REQUIRE_THROWS_AS(spool.require_room(Queue::outgoing(), Bytes{~std::uint64_t{0} - below}), Error);
    }
}

TEST_CASE("a draft whose file was taken away is not accepted, the others are", "[spool]") {
    Place place;
    auto spool = place.open();
    auto drafts = drafts_of(spool, 3);
    place.real.remove(drafts[1].path());
    REQUIRE_THROWS_WITH(spool.accept(drafts), Catch::Contains(drafts[1].name().text()));
    drafts.clear();
    REQUIRE(place.names("outgoing/new").size() == 2);
    REQUIRE(place.names("outgoing/tmp").empty());
}

TEST_CASE("a crash or failure anywhere while accepting: each is in new/ or was never accepted", "[spool][fault]") {
    for (const auto fault :
         {FaultyDisk::Fault::crash_before, FaultyDisk::Fault::crash_after, FaultyDisk::Fault::fail}) {
        for (std::size_t at = 1; at <= 6; ++at) {
            INFO("at change " << at);
            Place place;
            place.open();
            FaultyDisk disk(place.real);
            {
                auto spool = place.open(disk);
                auto drafts = drafts_of(spool, 3);
                disk.plan(fault, at);
                bool accepted = false;
                try {
                    spool.accept(drafts);
                    accepted = true;
                } catch (const test::Crash&) {
                } catch (const Error&) {
                }
                REQUIRE(disk.fired());
                REQUIRE_FALSE(accepted);
            }
            auto spool = place.open();
            REQUIRE(spool.work(Queue::outgoing()));
            REQUIRE(place.names("outgoing/tmp").empty());
            for (const auto& entry : spool.list(Queue::outgoing(), State::fresh)) {
                REQUIRE(test::content_of(spool.path(entry)).starts_with("message "));
            }
        }
    }
}

TEST_CASE("content that cannot be synced is not accepted", "[spool][fault]") {
    Place place;
    place.open();
    FaultyDisk disk(place.real);
    auto spool = place.open(disk);
    {
        auto drafts = drafts_of(spool, 2);
        disk.plan(FaultyDisk::Fault::fail, 1);
        REQUIRE_THROWS_AS(spool.accept(drafts), Error);
        REQUIRE(place.names("outgoing/new").empty());
    }
    REQUIRE(place.names("outgoing/tmp").empty());
}
