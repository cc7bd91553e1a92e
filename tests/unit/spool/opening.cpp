// SPDX-License-Identifier: GPL-3.0-or-later
//
// A spool comes into being, by one program or by several at once; and what is no spool is left alone.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "faulty_disk.hpp"
#include "power_disk.hpp"
#include "world.hpp"

using namespace ums;
using spool::NetworkFileSystem;
using spool::Opening;
using spool::Queue;
using spool::Spool;
using spool::State;
using test::Place;

namespace {

Fault fault_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.fault();
    }
    FAIL("no error");
    return Fault::internal;
}

class NetworkDisk final : public io::ForwardingDisk {
  public:
    using ForwardingDisk::ForwardingDisk;
    std::optional<std::string> network_file_system(const std::string&) override { return "NFS"; }
};

class LoggingDisk final : public io::ForwardingDisk {
  public:
    using ForwardingDisk::ForwardingDisk;
    bool may_keep_both_names(const std::string&) override { return true; }
};

}  // namespace

TEST_CASE("of two names of one message, as a loss of power may leave them, one stays", "[spool]") {
    const std::string id = "1795406406000000.aaaaaaaa.BER1";
    struct Pair {
        std::string kept;
        std::string removed;
    };
    const std::vector<Pair> pairs{
        {"outgoing/sending/" + id + ",c=ExConn", "outgoing/new/" + id + ",c=ExConn"},
        {"outgoing/new/" + id + ",c=ExConn", "outgoing/tmp/" + id + ",c=ExConn"},
        {"site/munich/new/" + id + ",s=munich", "outgoing/sending/" + id},
        {"kernel/k1/new/" + id + ",s=munich", "site/munich/new/" + id + ",s=munich"},
        // What may be at the kernel is looked up there.
        {"kernel/k1/publishing/" + id + ",w=abc", "kernel/k1/sending/" + id},
        {"kernel/k1/publishing/" + id + ",w=abc", "kernel/k1/new/" + id},
        {"kernel/k1/publishing/" + id + ",w=abc", "site/munich/new/" + id},
        {"connector/ExConn/publishing/" + id, "failed/new/" + id},
        // What arrived is not looked for again; what was taken back from there has not arrived.
        {"sent/new/" + id + ",w=abc", "kernel/k1/publishing/" + id + ",w=abc"},
        {"site/munich/new/" + id, "sent/new/" + id + ",w=abc"},
        {"outgoing/new/" + id, "failed/new/" + id},
    };
    const auto opening = GENERATE(spool::Opening::create, spool::Opening::change);
    for (const auto& pair : pairs) {
        INFO(pair.kept + " and " + pair.removed);
        Place place;
        const auto file = [&](const std::string& name) { return place.root + "/" + name; };
        {
            auto spool = place.open();
            for (const auto& path : {pair.kept, pair.removed}) {
                std::filesystem::create_directories(io::parent_of(file(path)));
            }
        }
        test::write_to(file(pair.kept), "x");
        std::filesystem::create_hard_link(file(pair.kept), file(pair.removed));
        LoggingDisk disk(place.real);
        place.open(disk, spool::Opening::examine);
        CHECK(std::filesystem::exists(file(pair.removed)));
        for (int look = 0; look < 2; ++look) {
            const auto spool = place.open(disk, opening);
            CHECK(std::filesystem::exists(file(pair.kept)));
            CHECK_FALSE(std::filesystem::exists(file(pair.removed)));
            const auto told = spool.journal_of(id);
            REQUIRE(told.size() == 1);
            CHECK(told.front()[3] == "found twice");
        }
    }
}

TEST_CASE("messages that are two, or have a name elsewhere, are left alone", "[spool]") {
    const std::string id = "1795406406000000.aaaaaaaa.BER1";
    Place place;
    place.open();
    const std::string one = place.root + "/outgoing/new/" + id + ",c=ExConn";
    const std::string other = place.root + "/outgoing/hold/" + id + ",c=ExConn";
    const std::string part = place.root + "/outgoing/publishing/" + id + "~1,s=munich";
    test::write_to(one, "x");
    test::write_to(other, "y");
    std::filesystem::create_hard_link(one, part);
    std::filesystem::create_hard_link(one, place.directory.path() + "/copy");
    std::filesystem::create_hard_link(other, place.directory.path() + "/other");
    LoggingDisk disk(place.real);
    place.open(disk);
    CHECK(std::filesystem::exists(one));
    CHECK(std::filesystem::exists(other));
    CHECK(std::filesystem::exists(part));
}

TEST_CASE("a missing spool is created, with its parents", "[spool]") {
    Place place;
    place.root = place.directory.path() + "/a/b/spool";
    const auto spool = place.open();
    REQUIRE(test::content_of(place.root + "/VERSION") == "ums-spool 1\n");
    REQUIRE(place.names("") == std::set<std::string>{"VERSION", "state", "outgoing", "incoming", "noroute", "failed"});
    REQUIRE(place.names("outgoing") == std::set<std::string>{"tmp", "new", "sending", "publishing", "hold", "lock"});
    REQUIRE(place.names("incoming") == std::set<std::string>{"tmp", "new", "sending", "publishing", "hold"});
    REQUIRE(place.names("noroute") == std::set<std::string>{"new", "hold"});
    REQUIRE(place.names("failed") == std::set<std::string>{"new", "hold"});
    REQUIRE(place.names("state") == std::set<std::string>{"uuid", "claims", "deleted", "fetch"});
    REQUIRE(spool.root() == place.root);
    REQUIRE(spool.mds_id() == "BER1");
}

TEST_CASE("a spool keeps its identity, and another has another", "[spool]") {
    Place place;
    const auto uuid = place.open().uuid();
    REQUIRE(uuid.size() == 32);
    REQUIRE(place.open().uuid() == uuid);
    Place other;
    REQUIRE(other.open().uuid() != uuid);
}

TEST_CASE("several programs create one spool at once, and agree on its identity", "[spool]") {
    for (int round = 0; round < 10; ++round) {
        Place place;
        std::array<int, 2> ends{};
        std::array<int, 2> gate{};
        REQUIRE(::pipe(ends.data()) == 0);
        REQUIRE(::pipe(gate.data()) == 0);
        constexpr int programs = 8;
        for (int i = 0; i < programs; ++i) {
            const pid_t pid = ::fork();
            REQUIRE(pid >= 0);
            if (pid > 0) continue;
            std::string line(64, ' ');
            ::close(gate[1]);
            char none = 0;
            static_cast<void>(!::read(gate[0], &none, 1));
            try {
                line.replace(0, 32, place.open().uuid());
            } catch (const std::exception& error) {
                line.replace(0, 60, std::string(error.what()).substr(0, 60));
                line.resize(64, ' ');
            }
            static_cast<void>(!::write(ends[1], line.data(), line.size()));
            ::_exit(0);
        }
        ::close(ends[1]);
        ::close(gate[0]);
        ::close(gate[1]);  // all start now
        std::set<std::string> said;
        std::string line(64, ' ');
        int lines = 0;
        while (::read(ends[0], line.data(), line.size()) == 64) {
            said.insert(line);
            ++lines;
        }
        ::close(ends[0]);
        while (::wait(nullptr) > 0) {
        }
        REQUIRE(lines == programs);
        INFO(*said.begin() << "; " << *said.rbegin());
        REQUIRE(said.size() == 1);
        REQUIRE(said.begin()->starts_with(place.open().uuid()));
        REQUIRE(place.names("state") == std::set<std::string>{"uuid", "claims", "deleted", "fetch"});
    }
}

TEST_CASE("what first runs left that died while they made the spool is swept", "[spool]") {
    Place place;
    auto spool = place.open();
    for (const char* name : {"VERSION.k2j4x7ab", "state/uuid.k2j4x7ab"}) {
        static_cast<void>(place.real.create(place.root + "/" + name));
    }
    const auto uuid = spool.uuid();
    REQUIRE(spool.work(Queue::outgoing()));
    REQUIRE(place.names("").contains("VERSION"));
    REQUIRE_FALSE(place.names("").contains("VERSION.k2j4x7ab"));
    REQUIRE(place.names("state") == std::set<std::string>{"uuid", "claims", "deleted", "fetch"});
    REQUIRE(place.open().uuid() == uuid);
}

TEST_CASE("killed while it is made, and used by the next: a loss of power takes no message with a directory's name",
          "[spool][fault]") {
    using test::PowerDisk;
    const auto use = [](io::Disk& disk, const clock::Clock& clock, std::string& uuid) {
        Spool spool(disk, clock, "/s", "BER1");
        std::vector<spool::Draft> one;
        one.push_back(spool.draft(Queue::outgoing()));
        one[0].write("RCPT TO:1\r\n\r\n");
        const spool::Entry accepted{Queue::outgoing(), State::fresh, one[0].name()};
        spool.accept(one);
        spool.move(accepted, {Queue::site("munich"), State::fresh, accepted.name});
        uuid = spool.uuid();
    };
    clock::ManualClock clock(test::start_time);
    std::string uuid;
    std::size_t changes = 0;
    {
        PowerDisk disk(PowerDisk::Model::names);
        disk.before_change = [&](std::string_view, const std::string&) { ++changes; };
        use(disk, clock, uuid);
    }
    REQUIRE(changes > 60);
    std::size_t states = 0;
    for (std::size_t at = 1; at <= changes; ++at) {
        PowerDisk disk(PowerDisk::Model::names);
        std::size_t change = 0;
        disk.before_change = [&](std::string_view, const std::string&) {
            if (++change >= at) throw test::Crash{};
        };
        try {
            use(disk, clock, uuid);
        } catch (const test::Crash&) {
        }
        REQUIRE(change >= at);
        disk.before_change = nullptr;
        use(disk, clock, uuid);
        test::Dice dice(at);
        states +=
            PowerDisk::survivors(disk.state(), PowerDisk::Model::names, 50, dice, [&](PowerDisk::State&& survivor) {
                INFO("killed before change " << at);
                PowerDisk after(PowerDisk::Model::names);
                after.restore(survivor);
                Spool spool(after, clock, "/s", "BER1");
                REQUIRE(spool.uuid() == uuid);
                REQUIRE(spool.list(Queue::site("munich"), State::fresh).size() >= 1);
            });
    }
    REQUIRE(states > changes);
}

// The same race with its worst moment chosen: the other program finishes between our look for VERSION and our look
// around.
TEST_CASE("a spool that another program finishes meanwhile is no foreign directory", "[spool]") {
    class Late final : public io::ForwardingDisk {
      public:
        Late(Place& place, io::Disk& real) : ForwardingDisk(real), place_(place) {}
        bool list(const std::string& path, const std::function<bool(std::string_view)>& each) override {
            if (path == place_.root && !done_) {
                done_ = true;
                place_.open();
            }
            return ForwardingDisk::list(path, each);
        }

      private:
        Place& place_;
        bool done_ = false;
    };
    Place place;
    Late disk(place, place.real);
    const auto uuid = place.open(disk).uuid();
    REQUIRE(uuid == place.open().uuid());
}

TEST_CASE("a first run that died anywhere is finished by the next", "[spool][fault]") {
    std::size_t calls = 0;
    {
        Place place;
        test::FaultyDisk disk(place.real);
        place.open(disk);
        calls = disk.calls();
    }
    REQUIRE(calls > 10);
    for (const auto fault :
         {test::FaultyDisk::Fault::crash_before, test::FaultyDisk::Fault::crash_after, test::FaultyDisk::Fault::fail}) {
        for (std::size_t at = 1; at <= calls; ++at) {
            INFO("at change " << at);
            Place place;
            test::FaultyDisk disk(place.real);
            disk.plan(fault, at);
            try {
                place.open(disk);
            } catch (const test::Crash&) {
            } catch (const Error&) {
            }
            REQUIRE(disk.fired());
            auto spool = place.open();
            REQUIRE(spool.uuid().size() == 32);
            place.put(spool, Queue::outgoing());
        }
    }
}

TEST_CASE("a spool of another version is refused and not touched", "[spool]") {
    Place place;
    place.open();
    test::write_to(place.root + "/VERSION", "ums-spool 2\n");
    std::filesystem::remove_all(place.root + "/incoming");
    REQUIRE(fault_of([&] { place.open(); }) == Fault::configuration);
    REQUIRE_FALSE(std::filesystem::exists(place.root + "/incoming"));
    REQUIRE_THROWS_WITH(place.open(), Catch::Contains("'ums-spool 2'") && Catch::Contains("'ums-spool 1'"));
    test::write_to(place.root + "/VERSION", "");
    REQUIRE(fault_of([&] { place.open(); }) == Fault::configuration);
    REQUIRE(fault_of([&] {
                Spool(place.real, place.clock, place.root, "BER1", NetworkFileSystem::refuse, Opening::examine);
            }) == Fault::configuration);
}

TEST_CASE("somebody's directory is not made a spool", "[spool]") {
    Place place;
    std::filesystem::create_directories(place.root);
    test::write_to(place.root + "/letter.txt", "x");
    REQUIRE(fault_of([&] { place.open(); }) == Fault::configuration);
    REQUIRE(place.names("") == std::set<std::string>{"letter.txt"});
}

TEST_CASE("an empty directory becomes a spool", "[spool]") {
    Place place;
    std::filesystem::create_directories(place.root);
    REQUIRE_NOTHROW(place.open());
}

TEST_CASE("an identity that was lost is an error, not a new one in silence", "[spool]") {
    Place place;
    place.open();
    test::write_to(place.root + "/state/uuid", "\n");
    REQUIRE(fault_of([&] { place.open(); }) == Fault::cannot_read);
}

TEST_CASE("a network file system is refused unless forced", "[spool]") {
    Place place;
    NetworkDisk disk(place.real);
    REQUIRE(fault_of([&] { place.open(disk); }) == Fault::configuration);
    REQUIRE_THROWS_WITH(place.open(disk), Catch::Contains("NFS") && Catch::Contains("force-spool"));
    REQUIRE(place.names("").empty());
    REQUIRE_NOTHROW(Spool(disk, place.clock, place.root, "BER1", NetworkFileSystem::allow));
    REQUIRE(place.names("").contains("VERSION"));
    REQUIRE(fault_of([&] { place.open(disk); }) == Fault::configuration);
}

TEST_CASE("who only looks creates nothing", "[spool]") {
    Place place;
    const auto examine = [&] {
        return Spool(place.real, place.clock, place.root, "BER1", NetworkFileSystem::refuse, Opening::examine).uuid();
    };
    REQUIRE(fault_of([&] { examine(); }) == Fault::cannot_read);
    REQUIRE_FALSE(std::filesystem::exists(place.root));
    std::filesystem::create_directories(place.root);
    REQUIRE(fault_of([&] { examine(); }) == Fault::cannot_read);
    REQUIRE(place.names("").empty());
    const auto uuid = place.open().uuid();
    std::filesystem::remove_all(place.root + "/failed");
    REQUIRE(examine() == uuid);
    REQUIRE_FALSE(std::filesystem::exists(place.root + "/failed"));

    Spool spool(place.real, place.clock, place.root, "BER1", NetworkFileSystem::refuse, Opening::examine);
    REQUIRE(spool.list(Queue::failed(), State::fresh).empty());
    REQUIRE(spool.list(Queue::site("munich"), State::fresh).empty());
    REQUIRE(spool.due(Queue::kernel("k")).empty());
    REQUIRE(spool.all_queues().size() == 5);
    REQUIRE_FALSE(spool.is_busy(Queue::kernel("k")));
    REQUIRE(spool.find("1795406406123456.k2j4x7ab.BER1").empty());
    REQUIRE(spool.journal_of("1795406406123456.k2j4x7ab.BER1").empty());
    REQUIRE(place.names("") == std::set<std::string>{"VERSION", "state", "outgoing", "incoming", "noroute"});
    REQUIRE(place.names("outgoing") == std::set<std::string>{"tmp", "new", "sending", "publishing", "hold", "lock"});
}

TEST_CASE("who only looks, if it is there, finds a spool that is not there empty", "[spool]") {
    Place place;
    const auto look = [&] {
        return Spool(place.real, place.clock, place.root, "BER1", NetworkFileSystem::refuse, Opening::examine_if_there)
            .uuid();
    };
    REQUIRE(look().empty());
    REQUIRE_FALSE(std::filesystem::exists(place.root));
    Spool none(place.real, place.clock, place.root, "BER1", NetworkFileSystem::refuse, Opening::examine_if_there);
    for (const auto& queue : none.all_queues()) REQUIRE(none.list(queue, State::fresh).empty());
    std::filesystem::create_directories(place.root);
    REQUIRE(fault_of([&] { look(); }) == Fault::cannot_read);
    const auto uuid = place.open().uuid();
    REQUIRE(look() == uuid);
}

TEST_CASE("queues have names, there and back", "[spool]") {
    for (const char* text :
         {"outgoing", "incoming", "site/munich", "kernel/munich-1", "connector/ExConn", "noroute", "failed", "sent"}) {
        const auto queue = spool::parse_queue(text);
        INFO(text);
        REQUIRE(queue);
        REQUIRE(spool::to_string(*queue) == text);
    }
    for (const char* text : {"", "out", "outgoing/", "outgoing/x", "site", "site/", "site/.", "site/..", "site/.x",
                             "site/a/b", "/site/a", "Site/a", "sent/x", "state", "kernels/a"}) {
        INFO(text);
        REQUIRE_FALSE(spool::parse_queue(text));
    }
}

TEST_CASE("the queues on disk are listed, known or not, and stray files stop nobody", "[spool]") {
    Place place;
    auto spool = place.open();
    const auto entry = place.put(spool, Queue::site("vienna"));
    place.put(spool, Queue::site("munich"));
    place.put(spool, Queue::kernel("k1"));
    test::write_to(place.root + "/site/README", "x");
    std::filesystem::create_directories(place.root + "/site/.hidden/new");
    const auto sites = spool.queues(Queue::Kind::site);
    REQUIRE(std::count(sites.begin(), sites.end(), Queue::site("munich")) == 1);
    REQUIRE(std::count(sites.begin(), sites.end(), Queue::site("vienna")) == 1);
    REQUIRE(std::is_sorted(sites.begin(), sites.end()));
    REQUIRE(std::count(sites.begin(), sites.end(), Queue::site(".hidden")) == 0);
    for (const auto& queue : spool.all_queues()) {
        for (const State state : {State::fresh, State::sending, State::publishing, State::hold})
            spool.list(queue, state);
    }
    REQUIRE(spool.find(entry.name.id()).size() == 1);
}
