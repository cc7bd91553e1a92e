// SPDX-License-Identifier: GPL-3.0-or-later
//
// The intake protocol under every fault, as for delivery: each file of the source is accepted exactly once, and nothing
// of ours stays at the source, whatever went wrong.
#include "intake/intake.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "fake_store.hpp"
#include "recording_disk.hpp"
#include "temporary_directory.hpp"

using namespace ums;
using spool::Queue;
using spool::State;
using test::FakeStore;
using test::FaultyDisk;

namespace {

const clock::Instant start_time{std::chrono::seconds(1'800'000'000)};
// So many messages go into a basket, where the server has them.
constexpr unsigned in_a_basket = 8;
constexpr unsigned in_a_small_basket = 9;  // which goes when it is empty only

struct World {
    test::TemporaryDirectory directory;
    io::QuickDisk real;
    FaultyDisk disk{real};
    clock::ManualClock clock{start_time};
    FakeStore store;
    std::vector<std::string> contents;
    double rate;  ///< of the runs' pace: 1 makes a batch of each message, and the next begins before it is committed

    explicit World(unsigned messages, double messages_per_second = 0) : rate(messages_per_second) {
        spool::Spool spool(real, clock, directory.path() + "/spool", "BER1");
        store.directories.insert("Out");
        if (messages == in_a_basket) store.directories_go = FakeStore::DirectoryRemoval::whole;
        if (messages == in_a_small_basket) store.directories_go = FakeStore::DirectoryRemoval::empty;
        for (unsigned i = 0; i < messages; ++i) {
            contents.push_back("RCPT TO:fax#+49 " + std::to_string(i) + "\r\n\r\nbody\r\n");
            store.files["Out/job" + std::to_string(i) + ".tmp"] = contents.back();
        }
    }
    intake::Source source() const {
        intake::Source s;
        s.name = "ExConn/Out";
        s.key = "connector.ExConn.Out";
        s.directory = "Out";
        s.connector = "ExConn";
        return s;
    }
    std::vector<intake::Report> run(std::chrono::milliseconds settle = std::chrono::milliseconds(0),
                                    const std::string& mds = "BER1", const std::string& spool_name = "spool") {
        spool::Spool spool(disk, clock, directory.path() + "/" + spool_name, mds);
        // As ums-route does: it sweeps what belongs to nobody.
        static_cast<void>(spool.work(Queue::outgoing()));
        transport::Pace pace(clock, rate);
        intake::Intake intake(spool, store, source(), settle, clock, pace);
        std::vector<intake::Report> reports;
        if (intake.recover(reports).done())
            intake.collect(
                0, [] { return false; }, reports);
        return reports;
    }
    void recover() {
        disk.plan(FaultyDisk::Fault::none, 0);
        store.plan(FakeStore::Fault::none, 0);
        for (int i = 0; i < 3; ++i) run();
        store.deliver_late();
        for (int i = 0; i < 2; ++i) run();
    }
    std::map<std::string, int> accepted(const std::string& spool_name = "spool") {
        spool::Spool spool(real, clock, directory.path() + "/" + spool_name, "BER1");
        std::map<std::string, int> found;
        for (const auto& entry : spool.list(Queue::outgoing(), State::fresh))
            ++found[test::content_of(spool.path(entry))];
        return found;
    }
    void check_accepted_once() {
        const auto found = accepted();
        for (const auto& content : contents) {
            INFO(content);
            REQUIRE(found.contains(content));
            REQUIRE(found.at(content) == 1);
        }
        REQUIRE(found.size() == contents.size());
        REQUIRE(store.files.empty());
        const auto root = directory.path() + "/spool";
        REQUIRE(test::names_in(root + "/outgoing/tmp").empty());
        REQUIRE(test::names_in(root + "/state/fetch").empty());
        const auto claims = root + "/state/claims/" + source().key;
        if (disk.info(claims)) {
            clock.sleep(std::chrono::minutes(11));  // what could still be on its way has come
            run();
        }
        REQUIRE_FALSE(disk.info(claims));
        REQUIRE(store.directories == std::set<std::string>{"", "Out"});
    }
};

std::string id_of(const std::string& name) { return name.substr(0, name.find(',')); }

std::string claim_of(World& world, const std::string& id) {
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    return ".ums-claim-" + spool.uuid().substr(0, 8) + "-" + id;
}

}  // namespace

TEST_CASE("every file is accepted once, with its connector, and removed at the source", "[intake]") {
    World world(3);
    const auto reports = world.run();
    REQUIRE(reports.size() == 3);
    for (const auto& report : reports) REQUIRE(report.name.find(",c=ExConn") != std::string::npos);
    world.check_accepted_once();
}

TEST_CASE("content is durable before its note, and the note before the message moves", "[intake]") {
    World world(3);
    const auto root = world.directory.path() + "/spool";
    test::RecordingDisk disk(world.real, root);
    spool::Spool spool(disk, world.clock, root, "BER1");
    transport::Pace pace(world.clock);
    intake::Intake intake(spool, world.store, world.source(), std::chrono::milliseconds(0), world.clock, pace);
    std::vector<intake::Report> reports;
    REQUIRE(intake.recover(reports).done());
    disk.steps.clear();
    std::size_t source_synced = 0;
    world.store.on_sync = [&](std::span<const std::string> directories) {
        REQUIRE(directories.size() == 1);
        REQUIRE(directories[0] == "Out");
        if (source_synced == 0) source_synced = disk.steps.size();
    };
    REQUIRE(intake
                .collect(
                    0, [] { return false; }, reports)
                .done());
    REQUIRE(reports.size() == 3);
    const auto content = disk.find("content", "outgoing/tmp");
    REQUIRE(content < disk.steps.size());
    REQUIRE(disk.steps[content].to == "3");
    // Nothing is synced twice.
    REQUIRE(std::count_if(disk.steps.begin(), disk.steps.end(),
                          [](const auto& step) { return step.what == "content" && step.path == "outgoing/tmp"; }) == 1);
    const auto written = disk.find("content", "state/fetch/connector.ExConn.Out", content);
    REQUIRE(written < disk.steps.size());
    REQUIRE(disk.steps[written].to == "3");
    REQUIRE(disk.find("directory", "outgoing/tmp", content) < written);
    // Nor is anything noted whose claim a power failure at the source could undo.
    REQUIRE(source_synced > 0);
    REQUIRE(source_synced <= written);
    const auto notes = disk.find("directory", "state/fetch/connector.ExConn.Out", written);
    for (const auto& report : reports) {
        const auto note = disk.find("open", "state/fetch/connector.ExConn.Out/" + id_of(report.name));
        REQUIRE(content < note);
        REQUIRE(note < notes);
        const auto accepted = disk.find("rename", "outgoing/tmp/" + report.name);
        REQUIRE(notes < accepted);
        REQUIRE(accepted < disk.find("remove", "state/fetch/connector.ExConn.Out/" + id_of(report.name)));
    }
    REQUIRE(disk.wrong_order().empty());
}

TEST_CASE("what is not for us is left alone", "[intake]") {
    World world(0);
    for (const char* name :
         {"Out/.hidden", "Out/half.part", "Out/.ums-claim-otherspl-1795406406123456.k2j4x7ab.OTHER"}) {
        world.store.files[name] = "x";
    }
    world.store.files["Out/empty.tmp"] = "";
    REQUIRE(world.run().empty());
    REQUIRE(world.store.files.size() == 4);
    REQUIRE(world.accepted().empty());
}

TEST_CASE("every request, every fault: each file is accepted exactly once", "[intake][fault]") {
    using F = FakeStore::Fault;
    for (const auto& [messages, rate] :
         {std::pair(3U, 0.0), std::pair(3U, 1.0), std::pair(in_a_basket, 0.0), std::pair(in_a_small_basket, 0.0)}) {
        std::size_t requests = 0;
        {
            World world(messages, rate);
            world.run();
            requests = world.store.requests();
        }
        REQUIRE(requests >= 2 * messages + 3);
        for (const bool hides_dotfiles : {false, true}) {
            for (const F fault : {F::unreachable, F::lost_request, F::lost_answer, F::error, F::full, F::crash_before,
                                  F::crash_after}) {
                for (std::size_t at = 1; at <= requests; ++at) {
                    INFO("fault " << static_cast<int>(fault) << " at request " << at << ", rate " << rate
                                  << ", messages " << messages << (hides_dotfiles ? ", dotfiles hidden" : ""));
                    World world(messages, rate);
                    world.store.hides_dotfiles = hides_dotfiles;
                    world.store.plan(fault, at);
                    try {
                        world.run();
                    } catch (const test::Crash&) {
                    }
                    REQUIRE(world.store.fired());
                    world.recover();
                    world.check_accepted_once();
                }
            }
        }
    }
}

TEST_CASE("a claim or a removal that is carried out late", "[intake][fault]") {
    for (unsigned kind = 0; kind < 32; ++kind) {
        const bool baskets = (kind & 16) != 0;
        const double rate = (kind & 1) != 0 && !baskets ? 1.0 : 0.0;
        const bool backwards = (kind & 2) != 0;
        const bool hides = (kind & 4) != 0;
        const auto fault = (kind & 8) != 0 ? FakeStore::Fault::gateway : FakeStore::Fault::late;
        for (std::size_t at = 1; at <= (baskets ? 22 : 12); ++at) {
            for (std::size_t delay = 1; delay <= (baskets ? 50 : 25); delay += baskets ? 3 : 1) {
                INFO("request " << at << " late by " << delay << ", kind " << kind);
                World world(baskets ? in_a_basket : 2, rate);
                world.store.looks_backwards = backwards;
                world.store.hides_dotfiles = hides;
                world.store.plan(fault, at, delay);
                world.run();
                world.store.plan(FakeStore::Fault::none, 0);
                world.recover();
                world.check_accepted_once();
            }
        }
    }
}

TEST_CASE("a death after which the last request is carried out late", "[intake][fault]") {
    std::size_t fired = 0;
    for (unsigned kind = 0; kind < 4; ++kind) {
        const bool hides = (kind & 1) != 0;
        const bool baskets = (kind & 2) != 0;
        for (std::size_t at = 1; at <= (baskets ? 22 : 12); ++at) {
            for (std::size_t delay = 1; delay <= (baskets ? 70 : 40); delay += baskets ? 2 : 1) {
                INFO("request " << at << " late by " << delay << ", kind " << kind);
                World world(baskets ? in_a_basket : 2);
                world.store.hides_dotfiles = hides;
                world.store.plan(FakeStore::Fault::crash_late, at, delay);
                for (int i = 0; i < 5; ++i) {
                    try {
                        world.run();
                    } catch (const test::Crash&) {
                        ++fired;
                    }
                }
                world.recover();
                world.check_accepted_once();
            }
        }
    }
    REQUIRE(fired > 2'000);
}

TEST_CASE("a crash at every change of the disk: each file is accepted exactly once", "[intake][fault]") {
    for (const auto& [messages, rate] :
         {std::pair(3U, 0.0), std::pair(3U, 1.0), std::pair(in_a_basket, 0.0), std::pair(in_a_small_basket, 0.0)}) {
        std::size_t calls = 0;
        {
            World world(messages, rate);
            world.disk.plan(FaultyDisk::Fault::none, 0);
            world.run();
            calls = world.disk.calls();
        }
        REQUIRE(calls > (rate > 0 ? 40 : 15));
        for (const bool hides_dotfiles : {false, true}) {
            for (const auto fault :
                 {FaultyDisk::Fault::crash_before, FaultyDisk::Fault::crash_after, FaultyDisk::Fault::fail}) {
                for (std::size_t at = 1; at <= calls; ++at) {
                    INFO("fault " << static_cast<int>(fault) << " at change " << at << ", rate " << rate
                                  << ", messages " << messages << (hides_dotfiles ? ", dotfiles hidden" : ""));
                    World world(messages, rate);
                    world.store.hides_dotfiles = hides_dotfiles;
                    world.disk.plan(fault, at);
                    try {
                        world.run();
                    } catch (const test::Crash&) {
                    } catch (const Error&) {
                    }
                    REQUIRE(world.disk.fired());
                    world.recover();
                    world.check_accepted_once();
                }
            }
        }
    }
}

TEST_CASE("a batch is committed although the one after it cannot be taken", "[intake][fault]") {
    World world(3, 1);
    spool::Spool spool(world.disk, world.clock, world.directory.path() + "/spool", "BER1");
    transport::Pace pace(world.clock, 1);
    intake::Intake intake(spool, world.store, world.source(), std::chrono::milliseconds(0), world.clock, pace);
    std::vector<intake::Report> reports;
    REQUIRE(intake.recover(reports).done());
    std::size_t batches = 0;
    const auto full = [&] {
        if (++batches == 2) world.disk.plan(FaultyDisk::Fault::fail, 1);
        return false;
    };
    REQUIRE_THROWS_AS(intake.collect(0, full, reports), Error);
    REQUIRE(world.disk.fired());
    REQUIRE(reports.size() == 1);
    REQUIRE(world.accepted().size() == 1);
    world.recover();
    world.check_accepted_once();
}

TEST_CASE("a second crash while recovering", "[intake][fault]") {
    for (const auto& [messages, rate] :
         {std::pair(2U, 0.0), std::pair(2U, 1.0), std::pair(in_a_basket, 0.0), std::pair(in_a_small_basket, 0.0)}) {
        for (std::size_t first = 1; first <= 80; first += messages == 2 ? 1 : 3) {
            for (std::size_t second = 1; second <= 60; second += 2) {
                INFO("crash at " << first << ", then at " << second << ", rate " << rate << ", messages " << messages);
                World world(messages, rate);
                world.disk.plan(FaultyDisk::Fault::crash_after, first);
                try {
                    world.run();
                } catch (const test::Crash&) {
                }
                world.disk.plan(FaultyDisk::Fault::crash_before, second);
                try {
                    world.run();
                } catch (const test::Crash&) {
                }
                world.recover();
                world.check_accepted_once();
            }
        }
    }
}

// Apache looks first and renames then: who loses the race between the two is told 500.
TEST_CASE("a file that another MDS takes meanwhile is no error, whatever the server calls it", "[intake][fault]") {
    World world(2);
    world.store.meanwhile = [&](std::size_t request) {
        if (request == 2) world.store.files.erase("Out/job0.tmp");
    };
    world.store.plan(FakeStore::Fault::error, 2);
    spool::Spool spool(world.disk, world.clock, world.directory.path() + "/spool", "BER1");
    transport::Pace pace(world.clock);
    intake::Intake intake(spool, world.store, world.source(), std::chrono::milliseconds(0), world.clock, pace);
    std::vector<intake::Report> reports;
    REQUIRE(intake.recover(reports).done());
    const auto answer = intake.collect(
        0, [] { return false; }, reports);
    CHECK(world.store.fired());
    CHECK(answer.done());
    REQUIRE(reports.size() == 1);
    CHECK(reports.front().outcome == intake::Report::Outcome::fetched);
    CHECK(world.store.files.empty());
    CHECK(test::names_in(world.directory.path() + "/spool/state/claims").empty());

    // The same answer while the file stays is one.
    world.store.meanwhile = nullptr;
    world.store.files["Out/job2.tmp"] = "RCPT TO:fax#+49 2\r\n\r\nbody\r\n";
    world.store.plan(FakeStore::Fault::error, 2);
    CHECK_FALSE(intake
                    .collect(
                        0, [] { return false; }, reports)
                    .done());
    CHECK(world.store.fired());
}

// 504 of somebody in between, another MDS has the file, a new one of its name comes, and now our rename is carried out.
TEST_CASE("a rename into a basket that is carried out late, with another file of that name", "[intake][fault]") {
    World world(in_a_basket);
    const std::string later = "RCPT TO:fax#+49 99\r\n\r\nlater\r\n";
    world.store.plan(FakeStore::Fault::gateway, 3, 18);
    world.store.meanwhile = [&](std::size_t request) {
        if (request == 4) world.store.files.erase("Out/job0.tmp");
        if (request == 20) world.store.files["Out/job0.tmp"] = later;
    };
    const auto reports = world.run();
    for (const auto& report : reports) UNSCOPED_INFO(report.name << ": " << report.detail);
    REQUIRE(reports.size() == in_a_basket - 1);
    REQUIRE(world.store.fired());
    world.store.meanwhile = nullptr;
    REQUIRE(world.store.files.size() == 1);
    REQUIRE(world.store.files.begin()->first.find(".ums-claim-") != std::string::npos);  // it is in the basket
    world.contents.front() = later;
    world.recover();
    world.check_accepted_once();
}

TEST_CASE("a batch goes by claims of its own where no directory can be made", "[intake]") {
    World world(in_a_basket);
    world.store.makes_directories = false;
    REQUIRE(world.run().size() == in_a_basket);
    world.check_accepted_once();
}

TEST_CASE("a basket goes by one request, and a lost race for all of it leaves none", "[intake]") {
    World world(in_a_basket);
    world.run();
    // A listing, the basket, renames, downloads, a sync, the basket, a sync.
    REQUIRE(world.store.requests() == 1 + 1 + 2 * in_a_basket + 1 + 1 + 1);
    world.check_accepted_once();

    World other(in_a_basket);
    other.store.meanwhile = [&](std::size_t request) {
        if (request == 3) other.store.files.clear();
    };
    REQUIRE(other.run().empty());
    REQUIRE(other.store.directories == std::set<std::string>{"", "Out"});
}

TEST_CASE("what somebody puts into a basket is told, and keeps it", "[intake][fault]") {
    World world(in_a_basket);
    world.store.plan(FakeStore::Fault::crash_before, 3 + 2 * in_a_basket);
    REQUIRE_THROWS_AS(world.run(), test::Crash);
    REQUIRE(world.store.fired());
    const auto basket = *std::find_if(world.store.directories.begin(), world.store.directories.end(),
                                      [](const auto& name) { return name.find(".ums-claim-") != std::string::npos; });
    world.store.plan(FakeStore::Fault::none, 0);
    world.store.files[basket + "/stranger"] = "RCPT TO:fax#+49 7\r\n\r\nstranger\r\n";
    world.run();
    REQUIRE(world.accepted().size() == in_a_basket);
    world.clock.sleep(std::chrono::minutes(11));
    const auto reports = world.run();
    REQUIRE(reports.size() == 1);
    REQUIRE(reports.front().outcome == intake::Report::Outcome::left);
    REQUIRE(reports.front().name.ends_with("/stranger"));
    REQUIRE(world.store.files.size() == 1);
    world.store.files.clear();
    world.run();
    world.check_accepted_once();
}

TEST_CASE("where directories go only when they are empty a basket goes after what is in it", "[intake]") {
    World world(in_a_small_basket);
    world.run();
    REQUIRE(world.store.requests() == 1 + 1 + 3 * in_a_small_basket + 1 + 1 + 1);
    world.check_accepted_once();
}

TEST_CASE("a basket that a server only says that it deleted is told, and nothing of it is taken again", "[intake]") {
    World world(in_a_basket);
    world.store.keeps_deleted = true;
    REQUIRE(world.run().size() == in_a_basket);
    for (int i = 0; i < 2; ++i) {
        const auto reports = world.run();
        REQUIRE(reports.size() == 1);
        REQUIRE(reports.front().detail.find("said that it deleted it") != std::string::npos);
    }
    REQUIRE(world.accepted().size() == in_a_basket);
    world.store.keeps_deleted = false;
    world.run();
    REQUIRE(world.store.directories == std::set<std::string>{"", "Out"});
}

TEST_CASE("what a server shows again after it said that a basket is deleted is not taken again, after a death too",
          "[intake]") {
    World world(in_a_basket);
    world.store.keeps_deleted = true;
    world.store.plan(FakeStore::Fault::crash_after, 2 + 2 * in_a_basket + 2);  // the basket's removal, as it seems
    REQUIRE_THROWS_AS(world.run(), test::Crash);
    world.store.plan(FakeStore::Fault::none, 0);
    world.run();
    REQUIRE(world.accepted().size() == in_a_basket);
    World other(in_a_basket);
    other.store.keeps_deleted = true;
    other.run();
    // The list of claims as it was before they were deleted.
    spool::Spool spool(other.real, other.clock, other.directory.path() + "/spool", "BER1");
    std::string claims;
    for (const auto& [path, content] : other.store.files) claims += path.substr(4) + "\n";
    io::write_file(other.real, spool.state_path("claims/" + other.source().key), claims);
    for (const auto& entry : spool.list(Queue::outgoing(), State::fresh)) other.real.remove(spool.path(entry));  // sent
    other.run();
    REQUIRE(other.accepted().empty());
}

TEST_CASE("a server that says of every directory that it is not there keeps no copies", "[intake]") {
    World world(in_a_basket);
    world.store.directories_go = FakeStore::DirectoryRemoval::whole;
    world.store.denies_directories = true;
    REQUIRE(world.run().size() == in_a_basket);
    REQUIRE(world.store.files.empty());
    world.store.denies_directories = false;
    world.check_accepted_once();
}

TEST_CASE("what is in a basket is found although no state knows it", "[intake]") {
    for (const std::size_t at :
         {std::size_t{3 + in_a_basket}, std::size_t{4 + 2 * in_a_basket}}) {  // not accepted; accepted
        INFO("death at request " << at);
        World world(in_a_basket);
        world.store.plan(FakeStore::Fault::crash_before, at);
        REQUIRE_THROWS_AS(world.run(), test::Crash);
        REQUIRE(world.store.files.begin()->first.find(".ums-claim-") != std::string::npos);
        world.real.remove(world.directory.path() + "/spool/state/claims/" + world.source().key);
        world.recover();
        world.check_accepted_once();
    }
}

TEST_CASE("a note whose claim cannot be found stays until it can", "[intake]") {
    World world(in_a_basket);
    world.store.plan(FakeStore::Fault::crash_before, 4 + 2 * in_a_basket);
    REQUIRE_THROWS_AS(world.run(), test::Crash);
    REQUIRE(world.accepted().size() == in_a_basket);
    world.store.plan(FakeStore::Fault::none, 0);
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    world.real.remove(spool.state_path("claims/" + world.source().key));
    for (const auto& entry : spool.list(Queue::outgoing(), State::fresh)) world.real.remove(spool.path(entry));  // sent
    world.store.unlisted = io::parent_of(world.store.files.begin()->first);
    world.run();
    world.store.unlisted.clear();
    world.run();
    REQUIRE(world.accepted().empty());
    REQUIRE(world.store.files.empty());
}

TEST_CASE("files that cannot be renamed into a basket get claims of their own", "[intake]") {
    for (const int status : {403, 409, 412}) {
        INFO(status);
        World world(in_a_basket);
        std::size_t refused = 0;
        world.store.refuses_rename_to = [&](const std::string& to) -> std::optional<transport::Answer> {
            if (std::count(to.begin(), to.end(), '/') < 2) return std::nullopt;
            ++refused;
            return transport::Answer{status == 409   ? transport::Verdict::absent
                                     : status == 403 ? transport::Verdict::denied
                                                     : transport::Verdict::exists,
                                     "no", status};
        };
        REQUIRE(world.run().size() == in_a_basket);
        REQUIRE(refused == in_a_basket);
        world.check_accepted_once();
    }
}

TEST_CASE("a file of which is said that it is not there, and that is there, is told", "[intake]") {
    World world(1);
    world.store.refuses_rename = [](const std::string&) -> std::optional<transport::Answer> {
        return transport::Answer{transport::Verdict::absent, "no", 409};
    };
    spool::Spool spool(world.disk, world.clock, world.directory.path() + "/spool", "BER1");
    transport::Pace pace(world.clock);
    intake::Intake intake(spool, world.store, world.source(), std::chrono::milliseconds(0), world.clock, pace);
    std::vector<intake::Report> reports;
    const auto answer = intake.collect(
        0, [] { return false; }, reports);
    REQUIRE(answer.verdict == transport::Verdict::broken);
    world.store.refuses_rename = nullptr;
    world.run();
    world.check_accepted_once();
}

TEST_CASE("a basket that cannot be read stops no other file", "[intake]") {
    World world(in_a_basket);
    world.store.plan(FakeStore::Fault::crash_before, 3 + in_a_basket);
    REQUIRE_THROWS_AS(world.run(), test::Crash);
    world.store.plan(FakeStore::Fault::none, 0);
    world.store.unlisted = io::parent_of(world.store.files.begin()->first);
    world.contents.push_back("RCPT TO:fax#+49 55\r\n\r\nnew\r\n");
    world.store.files["Out/new.tmp"] = world.contents.back();
    const auto reports = world.run();
    REQUIRE(reports.size() == 2);
    REQUIRE(world.accepted().size() == 1);
    world.store.unlisted.clear();
    world.run();
    world.check_accepted_once();
}

TEST_CASE("where directories stay no more of them are made", "[intake]") {
    World world(in_a_basket);
    world.store.keeps_directories = true;
    REQUIRE(world.run().size() == in_a_basket);
    REQUIRE(world.store.files.empty());
    REQUIRE(world.store.directories.size() == 3);
    world.clock.sleep(std::chrono::minutes(11));
    for (unsigned i = 0; i < in_a_basket; ++i) {
        world.contents.push_back("RCPT TO:fax#+49 77" + std::to_string(i) + "\r\n\r\nmore\r\n");
        world.store.files["Out/more" + std::to_string(i) + ".tmp"] = world.contents.back();
    }
    REQUIRE(world.run().size() == in_a_basket + 1);
    REQUIRE(world.store.directories.size() == 3);
    world.store.keeps_directories = false;
    world.check_accepted_once();
}

TEST_CASE("take-over finds what is in the baskets of a dead MDS", "[intake]") {
    World world(in_a_basket);
    world.store.plan(FakeStore::Fault::crash_before, 3 + in_a_basket);
    REQUIRE_THROWS_AS(world.run(std::chrono::milliseconds(0), "OLD"), test::Crash);
    REQUIRE(world.store.fired());
    world.store.plan(FakeStore::Fault::none, 0);
    REQUIRE(world.run(std::chrono::milliseconds(0), "NEW", "other").empty());
    spool::Spool spool(world.disk, world.clock, world.directory.path() + "/other", "NEW");
    transport::Pace pace(world.clock);
    intake::Intake intake(spool, world.store, world.source(), std::chrono::milliseconds(0), world.clock, pace);
    std::vector<intake::Report> reports;
    REQUIRE(intake.take_over("OLD", reports).done());
    REQUIRE(intake.recover(reports).done());
    REQUIRE(world.accepted("other").size() == in_a_basket);
    REQUIRE(world.store.directories == std::set<std::string>{"", "Out"});
}

TEST_CASE("two spools with one MDS id do not take each other's claims", "[intake]") {
    World world(1);
    world.store.plan(FakeStore::Fault::crash_after, 3);  // list, list, claim
    REQUIRE_THROWS_AS(world.run(), test::Crash);
    world.store.plan(FakeStore::Fault::none, 0);
    REQUIRE(world.store.files.begin()->first.starts_with("Out/.ums-claim-"));
    world.run(std::chrono::milliseconds(0), "BER1", "another");
    REQUIRE(world.accepted("another").empty());
    world.recover();
    world.check_accepted_once();
}

TEST_CASE("take-over makes the claims of a dead MDS ours", "[intake]") {
    World world(1);
    world.store.plan(FakeStore::Fault::crash_after, 3);
    REQUIRE_THROWS_AS(world.run(), test::Crash);
    world.store.plan(FakeStore::Fault::none, 0);
    spool::Spool spool(world.disk, world.clock, world.directory.path() + "/another", "BER2");
    transport::Pace pace(world.clock);
    intake::Intake intake(spool, world.store, world.source(), std::chrono::milliseconds(0), world.clock, pace);
    std::vector<intake::Report> reports;
    REQUIRE(intake.take_over("NOBODY", reports).done());
    REQUIRE(intake.recover(reports).done());
    REQUIRE(reports.empty());
    REQUIRE(intake.take_over("BER1", reports).done());
    REQUIRE(intake.recover(reports).done());
    REQUIRE(world.accepted("another").size() == 1);
    REQUIRE(world.store.files.empty());
}

TEST_CASE("a file is taken when it was the same for the settle time", "[intake]") {
    World world(1);
    const auto settle = std::chrono::seconds(5);
    REQUIRE(world.run(settle).empty());
    world.clock.sleep(std::chrono::seconds(4));
    REQUIRE(world.run(settle).empty());
    world.clock.sleep(std::chrono::seconds(2));
    REQUIRE(world.run(settle).size() == 1);
    world.check_accepted_once();
}

TEST_CASE("a file that grows is not taken, and its wait begins again", "[intake]") {
    World world(1);
    const auto settle = std::chrono::seconds(5);
    for (int i = 0; i < 5; ++i) {
        REQUIRE(world.run(settle).empty());
        world.clock.sleep(std::chrono::seconds(6));
        world.store.files["Out/job0.tmp"] += "more\r\n";
        world.contents[0] += "more\r\n";
    }
    REQUIRE(world.run(settle).empty());
    world.clock.sleep(std::chrono::seconds(6));
    REQUIRE(world.run(settle).size() == 1);
    world.check_accepted_once();
}

TEST_CASE("a clock that is set back makes nothing wait for ever", "[intake]") {
    World world(1);
    const auto settle = std::chrono::seconds(5);
    REQUIRE(world.run(settle).empty());
    world.clock.set(start_time - std::chrono::hours(48));
    REQUIRE(world.run(settle).empty());
    world.clock.sleep(std::chrono::seconds(6));
    REQUIRE(world.run(settle).size() == 1);
}

TEST_CASE("an important message is marked in its name", "[intake]") {
    World world(0);
    world.store.files["Out/a.tmp"] = "RCPT TO:1\r\nImportance: high\r\n\r\n";
    const auto reports = world.run();
    REQUIRE(reports.size() == 1);
    REQUIRE(reports[0].name.find(",p=1") != std::string::npos);
}

TEST_CASE("what was seen is kept between runs, whatever the names", "[intake]") {
    intake::Looks looks(std::chrono::seconds(5));
    const transport::Item item{"a\tb\nc %41 ü", transport::ItemKind::file, Bytes{7}, "v\t1", {}};
    REQUIRE_FALSE(looks.look(item, start_time));
    REQUIRE(looks.failed(item.name, start_time, "why\tnot") == 1);
    looks.claimed(item.name, "claim\t1");
    intake::Looks again(std::chrono::seconds(5));
    again.read(looks.to_text());
    REQUIRE(again.original("claim\t1") == item.name);
    REQUIRE(again.why("claim\t1") == "why\tnot");
    auto claim = item;
    claim.name = "claim\t1";
    REQUIRE(again.look(claim, start_time + std::chrono::seconds(5)));
    REQUIRE(again.failed(claim.name, start_time, "why\tnot") == 2);
    again.read(looks.to_text());
    const std::string good = "\t1\tv\t2026-11-23T04:00:06.000Z\t0\t2026-11-23T04:00:06.000Z\t\t\n";
    again.read("nonsense\n\t\t\t\t\t\t\t\n%zz" + good);
    REQUIRE(again.to_text() == looks.to_text());
}

TEST_CASE("a claim that cannot be taken is tried less and less often, for ever, and told by every run", "[intake]") {
    World world(2);
    world.store.unreadable = world.contents[0];
    // Tries are seen by what they cost: the store is asked for nothing else of the claim.
    const auto tries = [&] {
        const auto before = world.store.download_count;
        const auto reports = world.run();
        REQUIRE(std::count_if(reports.begin(), reports.end(), [](const auto& report) {
                    return report.outcome == intake::Report::Outcome::left && report.name == "job0.tmp";
                }) == 1);
        return world.store.download_count - before;
    };
    REQUIRE(tries() == 2);
    for (int i = 0; i < 4; ++i) REQUIRE(tries() == 1);
    for (const auto& [minutes, expected] :
         {std::pair{9, 0}, {1, 1}, {19, 0}, {1, 1}, {39, 0}, {1, 1}, {59, 0}, {1, 1}, {59, 0}, {1, 1}}) {
        world.clock.sleep(std::chrono::minutes(minutes));
        INFO("after " << minutes << " minutes more");
        REQUIRE(tries() == static_cast<std::size_t>(expected));
    }
    // Told by a dry run too, as what stays.
    spool::Spool spool(world.disk, world.clock, world.directory.path() + "/spool", "BER1");
    transport::Pace pace(world.clock);
    intake::Intake intake(spool, world.store, world.source(), std::chrono::milliseconds(0), world.clock, pace);
    std::vector<intake::Report> seen;
    REQUIRE(intake.examine([&](auto report) { seen.push_back(std::move(report)); }).done());
    REQUIRE(seen.size() == 1);
    REQUIRE(seen[0].outcome == intake::Report::Outcome::left);
    REQUIRE(seen[0].detail.find(".ums-claim-") != std::string::npos);
    // A clock set back ends the rest; what was mended is taken.
    world.store.unreadable.clear();
    world.clock.set(start_time - std::chrono::hours(1));
    REQUIRE(world.run().size() == 1);
    world.check_accepted_once();
}

namespace {}  // namespace

TEST_CASE("a file named like a claim of ours is a new message, whatever id it names", "[intake]") {
    World world(1);
    const auto taken = world.run();
    REQUIRE(taken.size() == 1);
    const auto plant = [&](const std::string& id) {
        world.contents.push_back("RCPT TO:planted as " + id + "\r\n\r\n");
        world.store.files["Out/" + claim_of(world, id)] = world.contents.back();
    };
    plant(id_of(taken[0].name));              // accepted
    plant(taken[0].name);                     // with an attribute
    plant("1795406406123456.aaaaaaaa.BER1");  // never seen
    plant("1795406406123456.aaaaaaaa.BER1,c=Foo");
    plant("1795406406123456.aaaaaaaa.BER1,z=" + std::string(160, 'x'));
    plant("nonsense");
    world.store.files["Out/good.tmp"] = "RCPT TO:2\r\n\r\n";
    world.contents.emplace_back("RCPT TO:2\r\n\r\n");
    const auto reports = world.run();
    std::set<std::string> ids{id_of(taken[0].name), "1795406406123456.aaaaaaaa.BER1"};
    for (const auto& report : reports) {
        INFO(report.name << " " << report.detail);
        REQUIRE(report.outcome == intake::Report::Outcome::fetched);
        REQUIRE(ids.insert(id_of(report.name)).second);
        REQUIRE(report.name.find(",z=") == std::string::npos);
    }
    REQUIRE(reports.size() == 7);
    world.check_accepted_once();
}

TEST_CASE("a planted claim waits to settle as every file does", "[intake]") {
    World world(0);
    world.store.files["Out/" + claim_of(world, "1795406406123456.aaaaaaaa.BER1")] = "RCPT TO:1\r\n\r\n";
    REQUIRE(world.run(std::chrono::seconds(5)).empty());
    world.clock.sleep(std::chrono::seconds(6));
    REQUIRE(world.run(std::chrono::seconds(5)).size() == 1);
}

TEST_CASE("a noted claim whose id is taken stops no other, and is claimed anew", "[intake]") {
    World world(1);
    const auto claim = claim_of(world, id_of(world.run().at(0).name));
    const auto spool = world.directory.path() + "/spool";
    // The process died between the removal of the note and that of the claim's name; then somebody used the name.
    test::write_to(spool + "/state/claims/connector.ExConn.Out", claim + "\n");
    for (const char* number : {"2", "3"}) {
        world.contents.push_back(std::string("RCPT TO:") + number + "\r\n\r\n");
        world.store.files["Out/" + (*number == '2' ? claim : "good.tmp")] = world.contents.back();
    }
    const auto reports = world.run();
    REQUIRE(reports.size() >= 2);
    REQUIRE(reports[0].outcome == intake::Report::Outcome::left);
    REQUIRE(reports.back().outcome == intake::Report::Outcome::fetched);
    world.run();
    world.check_accepted_once();
}

TEST_CASE("a note whose message clashes stops no other", "[intake]") {
    World world(1);
    const auto name = world.run().at(0).name;
    const auto id = id_of(name);
    const auto spool = world.directory.path() + "/spool";
    test::write_to(spool + "/outgoing/tmp/" + name, "RCPT TO:9\r\n\r\n");
    std::filesystem::create_directories(spool + "/state/fetch/connector.ExConn.Out");
    test::write_to(spool + "/state/fetch/connector.ExConn.Out/" + id, "");
    world.contents.emplace_back("RCPT TO:2\r\n\r\n");
    world.store.files["Out/good.tmp"] = world.contents.back();
    const auto reports = world.run();
    REQUIRE(reports.size() == 2);
    REQUIRE(reports[0].outcome == intake::Report::Outcome::left);
    REQUIRE(reports[0].fault == Fault::cannot_write);
    REQUIRE(world.accepted().size() == 2);
}

TEST_CASE("what does not fit on the disk stops no other, whatever its size is said to be", "[intake]") {
    for (const std::uint64_t size :
         {std::uint64_t{1} << 52, ~std::uint64_t{0}, ~std::uint64_t{0} - (std::uint64_t{20} << 20)}) {
        for (const bool is_claimed : {false, true}) {
            INFO(size << (is_claimed ? ", claimed before" : ""));
            World world(3);
            world.store.false_sizes[world.contents[0]] = size;
            std::string name = "job0.tmp";
            if (is_claimed) {
                name = claim_of(world, "1795406406123456.aaaaaaaa.BER1");
                auto file = world.store.files.extract("Out/job0.tmp");
                file.key() = "Out/" + name;
                world.store.files.insert(std::move(file));
                std::filesystem::create_directories(world.directory.path() + "/spool/state/claims");
                test::write_to(world.directory.path() + "/spool/state/claims/connector.ExConn.Out", name + "\n");
            }
            const auto reports = world.run();
            REQUIRE(reports.size() == 3);
            REQUIRE(reports[0].name == name);
            REQUIRE(reports[0].outcome == intake::Report::Outcome::left);
            REQUIRE(reports[0].fault == Fault::cannot_write);
            REQUIRE(reports[0].detail.find(" do not fit") != std::string::npos);
            REQUIRE(world.accepted().size() == 2);
            REQUIRE(world.store.files.size() == 1);
            world.store.false_sizes.clear();
            world.run();
            world.check_accepted_once();
        }
    }
}

TEST_CASE("what does not fit does not use up --limit", "[intake]") {
    World world(2);
    world.store.false_sizes[world.contents[0]] = std::uint64_t{1} << 52;
    spool::Spool spool(world.disk, world.clock, world.directory.path() + "/spool", "BER1");
    transport::Pace pace(world.clock);
    intake::Intake intake(spool, world.store, world.source(), std::chrono::milliseconds(0), world.clock, pace);
    std::vector<intake::Report> reports;
    REQUIRE(intake
                .collect(
                    1, [] { return false; }, reports)
                .done());
    REQUIRE(world.accepted().size() == 1);
}

TEST_CASE("names that no file system has are left alone, and told once a run", "[intake]") {
    World world(1);
    const auto longest = "Out/" + std::string(255, 'a');
    world.store.files[longest] = "RCPT TO:2\r\n\r\n";
    world.contents.push_back(world.store.files[longest]);
    for (int i = 0; i < 3; ++i)
        world.store.files["Out/" + std::to_string(i) + std::string(255, 'a')] = "RCPT TO:3\r\n\r\n";
    for (const std::size_t fetched : {2U, 0U}) {
        const auto reports = world.run();
        REQUIRE(reports.size() == fetched + 1);
        REQUIRE(reports[0].outcome == intake::Report::Outcome::told);
        REQUIRE(reports[0].detail.starts_with("3 of its names"));
        REQUIRE_FALSE(reports[0].fault);
    }
    REQUIRE(world.accepted().size() == 2);
}

TEST_CASE("what is remembered of a source is bounded, the oldest first out", "[intake]") {
    intake::Looks looks(std::chrono::seconds(5));
    const auto see = [&](const std::string& name, clock::Instant now) {
        return looks.look({name, transport::ItemKind::file, Bytes{1}, std::string(10'000, 'v'), {}}, now);
    };
    const auto later = start_time + std::chrono::seconds(1);
    for (std::size_t i = 0; i < 2 * intake::Looks::most + 10; ++i) see(std::to_string(i), start_time);
    see("new", later);
    looks.forget_unseen();
    const auto text = looks.to_text();
    REQUIRE(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) == intake::Looks::most);
    REQUIRE(text.size() < intake::Looks::most * 200);
    REQUIRE(see("new", later + std::chrono::seconds(5)));
}

TEST_CASE("what was seen is begun anew if it cannot be read", "[intake]") {
    World world(1);
    const auto path = world.directory.path() + "/spool/state/looks/connector.ExConn.Out";
    REQUIRE(world.run(std::chrono::seconds(5)).empty());
    std::filesystem::resize_file(path, 300ULL << 20);
    world.clock.sleep(std::chrono::seconds(6));
    REQUIRE(world.run(std::chrono::seconds(5)).empty());
    REQUIRE(std::filesystem::file_size(path) < 1000);
    world.clock.sleep(std::chrono::seconds(6));
    REQUIRE(world.run(std::chrono::seconds(5)).size() == 1);
    world.check_accepted_once();
}

namespace {

/// Fills up while what was seen is written.
class DiskFullOfLooks final : public io::ForwardingDisk {
  public:
    using ForwardingDisk::ForwardingDisk;
    bool is_full = true;
    io::Space room{Bytes{100ULL << 30}, Bytes{100ULL << 30}};
    io::Space space(const std::string&) override { return room; }
    void write(const io::Fd& fd, std::string_view data, const std::string& path) override {
        const bool fails = is_full && path.find("/looks/") != std::string::npos;
        ForwardingDisk::write(fd, fails ? data.substr(0, data.size() / 2) : data, path);
        if (fails) throw Error(Fault::cannot_write, "no room");
    }
};

}  // namespace

TEST_CASE("what was seen and cannot be kept is told, leaves no part, and stops nothing", "[intake]") {
    World world(1);
    DiskFullOfLooks disk(world.real);
    spool::Spool spool(disk, world.clock, world.directory.path() + "/spool", "BER1");
    const auto collect = [&](std::chrono::seconds settle) {
        transport::Pace pace(world.clock);
        intake::Intake intake(spool, world.store, world.source(), settle, world.clock, pace);
        std::vector<intake::Report> reports;
        REQUIRE(intake
                    .collect(
                        0, [] { return false; }, reports)
                    .done());
        return reports;
    };
    const auto looks = world.directory.path() + "/spool/state/looks";
    for (const bool leaves_reserve : {true, false}) {
        disk.is_full = leaves_reserve;
        if (!leaves_reserve) disk.room.available = Bytes{(16 << 20) + 10};
        const auto reports = collect(std::chrono::seconds(5));
        REQUIRE(reports.size() == 1);
        REQUIRE(reports[0].outcome == intake::Report::Outcome::told);
        REQUIRE(reports[0].fault == Fault::cannot_write);
        REQUIRE(test::names_in(looks).empty());
    }
    disk.room.available = disk.room.total;
    REQUIRE(collect(std::chrono::seconds(0)).size() == 1);
    world.check_accepted_once();
}

TEST_CASE("a batch leaves the inodes that finishing it needs", "[intake]") {
    World world(10);
    DiskFullOfLooks disk(world.real);
    disk.is_full = false;
    disk.room.files = 1'000'000;
    disk.room.available_files = 64 + 2 * 4 + 1;
    spool::Spool spool(disk, world.clock, world.directory.path() + "/spool", "BER1");
    transport::Pace pace(world.clock);
    intake::Intake intake(spool, world.store, world.source(), std::chrono::milliseconds(0), world.clock, pace);
    std::vector<intake::Report> reports;
    bool pause = false;
    REQUIRE(intake
                .collect(
                    0, [&] { return std::exchange(pause, true); }, reports)
                .done());
    REQUIRE(world.accepted().size() == 4);
    REQUIRE(world.store.files.size() == 6);
    disk.room.available_files = 64;
    REQUIRE_THROWS_AS(intake.collect(
                          0, [] { return false; }, reports),
                      Error);
    REQUIRE(world.store.files.size() == 6);
}

TEST_CASE("what a server says that it deleted is not taken again while it is there", "[intake]") {
    World world(3);
    world.store.keeps_deleted = true;
    REQUIRE(world.run().size() == 3);
    const auto kept = world.store.files;
    REQUIRE(kept.size() == 3);
    for (int i = 0; i < 3; ++i) {
        const auto reports = world.run();
        REQUIRE(reports.size() == 3);
        for (const auto& report : reports) {
            REQUIRE(report.outcome == intake::Report::Outcome::left);
            REQUIRE(report.detail.find("still there") != std::string::npos);
        }
        REQUIRE(world.store.files == kept);
        REQUIRE(world.accepted().size() == 3);
        for (const auto& [content, count] : world.accepted()) REQUIRE(count == 1);
    }
    world.store.keeps_deleted = false;
    REQUIRE(world.run().size() == 3);
    REQUIRE(world.run().empty());
    world.check_accepted_once();
    REQUIRE(test::names_in(world.directory.path() + "/spool/state/deleted").size() == 1);
    world.clock.sleep(std::chrono::minutes(11));
    REQUIRE(world.run().empty());
    REQUIRE(test::names_in(world.directory.path() + "/spool/state/deleted").empty());
}

TEST_CASE("what a server only lost sight of is not taken again", "[intake]") {
    World world(3);
    world.store.loses_sight = true;
    REQUIRE(world.run().size() == 3);
    REQUIRE(world.store.files.size() == 3);
    world.store.loses_sight = false;
    for (int i = 0; i < 3; ++i) world.run();
    world.check_accepted_once();
}

TEST_CASE("what comes back in a later listing is not taken again", "[intake]") {
    World world(1);
    const auto name = id_of(world.run().at(0).name);
    REQUIRE(world.run().empty());
    world.clock.sleep(std::chrono::minutes(9));
    REQUIRE(world.run().empty());
    world.store.files["Out/" + claim_of(world, name)] = world.contents[0];
    const auto reports = world.run();
    REQUIRE(reports.size() == 1);
    REQUIRE(reports[0].outcome == intake::Report::Outcome::left);
    world.run();
    world.check_accepted_once();
}

TEST_CASE("files that cannot be claimed do not keep younger ones waiting for ever", "[intake]") {
    for (const auto verdict : {transport::Verdict::denied, transport::Verdict::broken, transport::Verdict::full}) {
        World world(0);
        for (int i = 0; i < 40; ++i) world.store.files["Out/bad" + std::to_string(i)] = "RCPT TO:1\r\n\r\n";
        world.contents.emplace_back("RCPT TO:2\r\n\r\n");
        world.store.files["Out/good"] = world.contents[0];
        world.store.refuses_rename = [&](const std::string& path) -> std::optional<transport::Answer> {
            if (path.find("/bad") == std::string::npos) return std::nullopt;
            return transport::Answer{verdict, "no", 403, {}};
        };
        std::size_t runs = 0;
        while (world.accepted().empty() && ++runs < 20) world.run();
        INFO("verdict " << static_cast<int>(verdict));
        REQUIRE(world.accepted().size() == 1);
        REQUIRE(world.store.files.size() == 40);
    }
}

TEST_CASE("a crash of any kind does not take again what a server only says that it deleted", "[intake][fault]") {
    using F = FakeStore::Fault;
    for (const bool hides_dotfiles : {false, true}) {
        for (const F fault : {F::lost_answer, F::crash_before, F::crash_after}) {
            for (std::size_t at = 1; at <= 14; ++at) {
                INFO("fault " << static_cast<int>(fault) << " at request " << at);
                World world(3, at % 2 == 0 ? 1 : 0);
                world.store.keeps_deleted = true;
                world.store.hides_dotfiles = hides_dotfiles;
                world.store.plan(fault, at);
                try {
                    world.run();
                } catch (const test::Crash&) {
                }
                world.store.plan(F::none, 0);
                for (int i = 0; i < 3; ++i) world.run();
                REQUIRE(world.accepted().size() == 3);
                for (const auto& [content, count] : world.accepted()) REQUIRE(count == 1);
            }
        }
    }
}

TEST_CASE("notes of a killed run are durable before they are believed", "[intake][fault]") {
    World world(2);
    const auto root = world.directory.path() + "/spool";
    // Killed when the first note is there.
    for (std::size_t at = 1; test::names_in(root + "/state/fetch/connector.ExConn.Out").empty(); ++at) {
        REQUIRE(at < 100);
        world.disk.plan(FaultyDisk::Fault::crash_after, at);
        try {
            world.run();
        } catch (const test::Crash&) {
        }
    }
    world.disk.plan(FaultyDisk::Fault::none, 0);
    test::RecordingDisk disk(world.real, root);
    spool::Spool spool(disk, world.clock, root, "BER1");
    transport::Pace pace(world.clock);
    intake::Intake intake(spool, world.store, world.source(), std::chrono::milliseconds(0), world.clock, pace);
    disk.steps.clear();
    std::vector<intake::Report> reports;
    REQUIRE(intake.recover(reports).done());
    const auto removed = disk.find("remove", "state/fetch/connector.ExConn.Out/" + id_of(reports.at(0).name));
    REQUIRE(removed < disk.steps.size());
    for (const char* directory : {"state/fetch/connector.ExConn.Out", "state/fetch", "outgoing/new", "outgoing/tmp"}) {
        INFO(directory);
        REQUIRE(disk.find("directory", directory) < disk.find("rename", "outgoing/tmp/" + reports[0].name));
    }
    world.recover();
    world.check_accepted_once();
}
