// SPDX-License-Identifier: GPL-3.0-or-later
//
// The delivery protocol under every fault: at each request of a run, each way in which a request can go wrong; at each
// change of the spool, a crash before and after it. Whatever happened, after recovery every message has arrived exactly
// once, nothing is left in the spool, and the stage directory has its owner file alone.
#include "delivery/courier.hpp"

#include <cerrno>

#include "recording_disk.hpp"
#include "world.hpp"

using namespace ums;
using namespace ums::test;

namespace {

std::size_t requests_of_a_run(unsigned messages) {
    World world(messages);
    world.run();
    return world.store.requests();
}

}  // namespace

TEST_CASE("messages arrive in the directory of their connector, byte for byte", "[delivery]") {
    World world(3);
    std::vector<delivery::Report> reports;
    world.run(&reports);
    REQUIRE(reports.size() == 3);
    for (const auto& report : reports) REQUIRE(report.outcome == Outcome::delivered);
    world.check_arrived_once();
    std::size_t in_out = 0;
    for (const auto& [path, content] : world.store.files) in_out += path.starts_with("R_ExConn/Out/") ? 1 : 0;
    REQUIRE(in_out == 3);
}

TEST_CASE("every request, every fault: all arrive exactly once", "[delivery][fault]") {
    using F = FakeStore::Fault;
    const auto requests = requests_of_a_run(3);
    REQUIRE(requests > 12);
    std::size_t fired = 0;
    for (const bool eats : {false, true}) {
        for (const F fault :
             {F::unreachable, F::lost_request, F::lost_answer, F::error, F::full, F::crash_before, F::crash_after}) {
            for (std::size_t at = 1; at <= requests; ++at) {
                INFO("fault " << static_cast<int>(fault) << " at request " << at
                              << (eats ? ", kernel takes files" : ""));
                World world(3);
                world.store.kernel_eats = eats;
                world.store.plan(fault, at);
                try {
                    world.run();
                } catch (const test::Crash&) {
                }
                REQUIRE(world.store.fired());
                ++fired;
                world.recover();
                world.check_arrived_once();
            }
        }
    }
    REQUIRE(fired == requests * 14);
}

TEST_CASE("a request that is carried out late: still exactly once", "[delivery][fault]") {
    const auto requests = requests_of_a_run(2);
    for (unsigned world_kind = 0; world_kind < 8; ++world_kind) {
        const bool eats = (world_kind & 1) != 0;
        const bool by_handle = (world_kind & 2) != 0;
        const bool backwards = (world_kind & 4) != 0;
        for (std::size_t at = 1; at <= requests; ++at) {
            for (std::size_t delay = 1; delay <= 40; ++delay) {
                INFO("request " << at << " late by " << delay << (eats ? ", kernel takes files" : "")
                                << (by_handle ? ", SMB" : "") << (backwards ? ", backwards" : ""));
                World world(2);
                world.store.kernel_eats = eats;
                world.store.renames_by_handle = by_handle;
                world.store.looks_backwards = backwards;
                world.store.plan(FakeStore::Fault::late, at, delay);
                world.run();
                REQUIRE(world.store.fired());
                world.store.plan(FakeStore::Fault::none, 0);
                world.recover();
                world.check_arrived_once();
            }
        }
    }
}

TEST_CASE("a publish that is lost, then a request that is carried out late: still exactly once", "[delivery][fault]") {
    const auto requests = requests_of_a_run(1);
    std::size_t fired = 0;
    for (const bool backwards : {false, true}) {
        for (std::size_t at = 1; at <= requests; ++at) {
            for (std::size_t second = at + 1; second <= at + 10; ++second) {
                for (std::size_t delay = 1; delay <= 16; ++delay) {
                    INFO("lost " << at << ", late " << second << " by " << delay << (backwards ? ", backwards" : ""));
                    World world(1);
                    world.store.looks_backwards = backwards;
                    world.store.plan(FakeStore::Fault::lost_request, at);
                    world.store.plan_second(delay % 2 == 0 ? FakeStore::Fault::late : FakeStore::Fault::gateway, second,
                                            (delay + 1) / 2);
                    world.run();
                    if (world.store.fired()) ++fired;
                    world.store.plan(FakeStore::Fault::none, 0);
                    world.recover();
                    world.check_arrived_once();
                }
            }
        }
    }
    REQUIRE(fired > 90);
}

TEST_CASE("a death after which the last request is carried out late: still exactly once", "[delivery][fault]") {
    std::size_t fired = 0;
    for (unsigned kind = 0; kind < 8; ++kind) {
        for (std::size_t at = 1; at <= 16; ++at) {
            for (std::size_t delay = 1; delay <= 20; ++delay) {
                INFO("request " << at << " late by " << delay << ", kind " << kind);
                World world(2);
                world.store.looks_backwards = (kind & 1) != 0;
                world.store.kernel_eats = (kind & 2) != 0;
                world.store.renames_by_handle = (kind & 4) != 0;
                world.store.plan(FakeStore::Fault::crash_late, at, delay);
                for (int i = 0; i < 4; ++i) {
                    try {
                        world.run();
                    } catch (const test::Crash&) {
                        ++fired;
                    }
                }
                world.recover();
                world.check_arrived_once();
            }
        }
    }
    REQUIRE(fired > 2000);
}

TEST_CASE("each batch has a witness of its own", "[delivery]") {
    World world(2);
    spool::Spool spool(world.disk, world.clock, world.directory.path() + "/spool", "BER1");
    const auto worker = spool.work(Queue::kernel("munich-1"));
    Courier courier(spool, *worker, world.store, destination(), world.clock);
    REQUIRE(courier.prepare().done());
    const auto due = spool.due(Queue::kernel("munich-1"));
    courier.deliver(std::span(due).first(1));
    courier.deliver(std::span(due).last(1));
    courier.finish();
    std::size_t witnesses = 0;
    for (const auto& [path, content] : world.store.files) witnesses += path.starts_with(".BER1/witness.");
    REQUIRE(witnesses == 2);
    courier.clean();
    world.check_arrived_once();
}

TEST_CASE("a stage directory that somebody clears: nothing counts as arrived that did not", "[delivery][fault]") {
    std::size_t lost_publish = 0;
    for (const bool eats : {false, true}) {
        for (std::size_t at = 1; at <= 24; ++at) {
            for (std::size_t lost = 0; lost <= 16; ++lost) {
                INFO("cleared at " << at << ", lost request " << lost << (eats ? ", kernel takes files" : ""));
                World world(2);
                world.store.kernel_eats = eats;
                world.store.plan(FakeStore::Fault::lost_request, lost);
                world.store.meanwhile = [&](std::size_t request) {
                    if (request != at) return;
                    std::erase_if(world.store.files, [](const auto& file) {
                        return file.first.starts_with(".BER1/") && file.first != ".BER1/owner";
                    });
                };
                for (int i = 0; i < 4; ++i) {
                    world.run();
                    world.clock.sleep(std::chrono::hours(1));
                }
                std::size_t arrived = 0;
                for (const auto& content : world.contents) {
                    REQUIRE(world.store.arrivals[content] <= 1);
                    arrived += static_cast<std::size_t>(world.store.arrivals[content]);
                }
                // What has not arrived waits: to be sent, or for the policy.
                REQUIRE(world.left() >= world.contents.size() - arrived);
                lost_publish += arrived < world.contents.size();
            }
        }
    }
    REQUIRE(lost_publish > 10);
}

TEST_CASE("a crash at every change of the spool: all arrive exactly once", "[delivery][fault]") {
    std::size_t calls = 0;
    {
        World world(3);
        world.disk.plan(FaultyDisk::Fault::none, 0);
        world.run();
        calls = world.disk.calls();
    }
    REQUIRE(calls > 10);
    for (const bool at_once : {false, true}) {
        for (const auto fault : {FaultyDisk::Fault::crash_before, FaultyDisk::Fault::crash_after}) {
            for (std::size_t at = 1; at <= calls; ++at) {
                INFO("crash at change " << at << (at_once ? ", ended at once" : ""));
                World world(3);
                world.disk.works_at_once = at_once;
                world.disk.plan(fault, at);
                REQUIRE_THROWS_AS(world.run(), test::Crash);
                REQUIRE(world.disk.fired());
                world.recover();
                world.check_arrived_once();
            }
        }
    }
}

TEST_CASE("a death, then a fault while the next run looks: all arrive exactly once", "[delivery][fault]") {
    using F = FakeStore::Fault;
    const auto requests = requests_of_a_run(2);
    std::size_t both = 0;
    for (const F death : {F::crash_after, F::crash_late}) {
        for (std::size_t at = requests / 2; at <= requests; ++at) {
            // The second run dies too, in the midst of its looks: what it has changed is seen by the third.
            for (std::size_t second = 0; second <= 10; ++second) {
                for (const F fault : {F::error, F::lost_answer}) {
                    for (std::size_t third = 1; third <= 10; ++third) {
                        INFO("death at request " << at << ", then at " << second << ", then fault "
                                                 << static_cast<int>(fault) << " at " << third);
                        World world(2);
                        const auto run = [&](F what, std::size_t when) {
                            world.store.plan(what, when, 3);
                            try {
                                world.run();
                            } catch (const test::Crash&) {
                            }
                            world.clock.sleep(std::chrono::hours(1));
                        };
                        run(death, at);
                        if (second > 0) run(F::crash_after, second);
                        run(fault, third);
                        both += world.store.fired();
                        world.recover();
                        world.check_arrived_once();
                    }
                }
            }
        }
    }
    REQUIRE(both > 1000);
}

TEST_CASE("two faults in one life: a lost answer, then a crash anywhere while it is settled", "[delivery][fault]") {
    for (std::size_t at = 1; at <= 40; ++at) {
        for (std::size_t crash = 1; crash <= 60; ++crash) {
            INFO("lost answer at " << at << ", crash at " << crash);
            World world(1);
            world.disk.works_at_once = crash % 3 == 0;
            world.store.kernel_eats = crash % 2 == 0;
            world.store.plan(FakeStore::Fault::lost_answer, at);
            world.disk.plan(FaultyDisk::Fault::crash_after, crash);
            try {
                world.run();
                world.store.plan(FakeStore::Fault::none, 0);
                world.run();
            } catch (const test::Crash&) {
            }
            world.recover();
            world.check_arrived_once();
        }
    }
}

TEST_CASE("a failed system call of the spool loses and doubles nothing, and what has left it is told",
          "[delivery][fault]") {
    std::size_t told = 0;
    for (const bool at_once : {false, true}) {
        for (std::size_t at = 1; at <= 40; ++at) {
            INFO("failure at change " << at << (at_once ? ", ended at once" : ""));
            World world(2);
            world.disk.works_at_once = at_once;
            world.disk.plan(FaultyDisk::Fault::fail, at);
            std::vector<delivery::Report> reports;
            bool failed = false;
            try {
                world.run(&reports);
            } catch (const Error&) {
                failed = true;
            }
            const auto delivered =
                static_cast<std::size_t>(std::count_if(reports.begin(), reports.end(), [](const auto& report) {
                    return report.outcome == Outcome::delivered;
                }));
            // The one whose end failed may be gone as well.
            CHECK(delivered + world.left() >= (failed ? 1U : 2U));
            CHECK(delivered <= world.store.arrivals.size());
            if (failed) told += delivered;
            world.recover();
            world.check_arrived_once();
        }
    }
    REQUIRE(told > 10);
}

TEST_CASE("a server whose rename copies is found out, and sends once", "[delivery]") {
    World world(1);
    world.store.renames_copy = true;
    const auto count = [&] { return world.store.requests(); };
    world.run();
    const auto requests = count();
    for (std::size_t at = 1; at <= requests; ++at) {
        World again(1);
        again.store.renames_copy = true;
        again.store.plan(FakeStore::Fault::lost_answer, at);
        again.run();
        again.recover();
        INFO("lost answer at " << at);
        REQUIRE(again.left() == 0);
        REQUIRE(again.store.arrivals[again.contents[0]] == 1);
    }
}

TEST_CASE("a stage directory that was cleared proves nothing: the doubt stays", "[delivery]") {
    World world(1);
    world.store.kernel_eats = true;
    // The last request of a run before clean() is the publish: find it by trying.
    for (std::size_t at = 1; at <= 20; ++at) {
        World one(1);
        one.store.kernel_eats = true;
        one.store.plan(FakeStore::Fault::crash_after, at);
        bool published = false;
        try {
            one.run();
        } catch (const test::Crash&) {
            published = one.store.arrivals[one.contents[0]] == 1;
        }
        if (!published) continue;
        for (auto it = one.store.files.begin(); it != one.store.files.end();) {
            it = it->first.starts_with(".BER1/") && it->first != ".BER1/owner" ? one.store.files.erase(it)
                                                                               : std::next(it);
        }
        one.store.plan(FakeStore::Fault::none, 0);
        std::vector<delivery::Report> reports;
        one.run(&reports);
        REQUIRE(reports.size() == 1);
        REQUIRE(reports[0].outcome == Outcome::in_doubt);
        REQUIRE(reports[0].name.number('w') == 1'800'000'000);
        REQUIRE(!reports[0].told_before);
        REQUIRE(one.left() == 1);
        reports.clear();
        one.run(&reports);
        REQUIRE(reports.size() == 1);
        REQUIRE(reports[0].told_before);
        // Another message goes out, with a witness of its own: that proves nothing for the first.
        {
            spool::Spool spool(one.real, one.clock, one.directory.path() + "/spool", "BER1");
            one.put(spool, "RCPT TO:fax#2\r\n\r\nlater\r\n");
        }
        for (int i = 0; i < 3; ++i) one.run();
        REQUIRE(one.store.arrivals["RCPT TO:fax#2\r\n\r\nlater\r\n"] == 1);
        REQUIRE(one.left() == 1);
        return;
    }
    FAIL("no request published");
}

TEST_CASE("a file of another size under the final name proves nothing", "[delivery]") {
    const bool revoked = GENERATE(true, false);
    const bool marked = GENERATE(true, false);
    World world(1);
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    const auto queue = Queue::kernel("munich-1");
    auto entry = spool.list(queue, State::fresh).at(0);
    if (marked) {
        REQUIRE(spool.move(entry, {queue, State::fresh, entry.name.with('d', 1)}));
        entry.name = entry.name.with('d', 1);
        world.contents[0].insert(world.contents[0].find("\r\n") + 2, "X-UMS-Possible-Duplicate: yes\r\n");
    }
    const auto final = "R_ExConn/Out/" + delivery::final_name(entry.name, spool.uuid(), ".tmp");
    if (revoked) {
        // Somebody planted the name.
        world.store.files[final] = "planted";
        world.run();
    } else {
        // It was published, and the process died; then half of it was lost.
        world.store.crash_at_arrival = true;
        REQUIRE_THROWS_AS(world.run(), test::Crash);
        world.store.crash_at_arrival = false;
        world.store.files[final].resize(7);
    }
    for (int i = 0; i < 2; ++i) {
        std::vector<delivery::Report> reports;
        world.run(&reports);
        REQUIRE(reports.size() == 1);
        REQUIRE(reports[0].outcome == Outcome::in_doubt);
        REQUIRE(reports[0].name.number('w') > 0);
        REQUIRE_THAT(reports[0].detail,
                     Catch::Contains("with 7 bytes in place of " + std::to_string(world.contents[0].size())));
        REQUIRE(spool.list(queue, State::publishing).size() == 1);
    }
    // A server that was slow to copy it: as soon as all of it is there, it has arrived.
    world.store.files[final] = world.contents[0];
    std::vector<delivery::Report> reports;
    world.run(&reports);
    REQUIRE(reports.size() == 1);
    REQUIRE(reports[0].outcome == Outcome::delivered);
    REQUIRE(world.left() == 0);
}

TEST_CASE("a stage directory of another spool is a configuration error", "[delivery]") {
    World world(1);
    world.store.directories.insert(".BER1");
    world.store.files[".BER1/owner"] = "somebody else\n";
    REQUIRE_THROWS_WITH(world.run(), Catch::Contains("belongs to another spool"));
    REQUIRE(world.left() == 1);
    REQUIRE(world.store.arrivals.empty());
}

TEST_CASE("a stage name that is taken is no fault of the message", "[delivery]") {
    World world(2);
    world.run();  // the stage directory is there now
    const auto name = [&] {
        spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
        world.contents.push_back("RCPT TO:fax#9\r\n\r\nplanted\r\n");
        return world.put(spool, world.contents.back());
    }();
    const auto planted = ".BER1/" + std::string(name.id()) + ".1.part";
    world.store.files[planted] = "planted";
    std::vector<delivery::Report> reports;
    world.run(&reports);
    REQUIRE(reports.size() == 1);
    REQUIRE(reports[0].outcome == Outcome::deferred);
    REQUIRE(reports[0].name.get('r').empty());
    REQUIRE(reports[0].name.get('t').empty());
    world.run();
    world.check_arrived_once();
}

TEST_CASE("two kernels that lead to one directory do not sweep each other's stage", "[delivery][fault]") {
    const auto requests = requests_of_a_run(2);
    for (const bool eats : {false, true}) {
        for (std::size_t at = 1; at <= requests; ++at) {
            // With and without a doubt of the first kernel that outlives its run.
            for (std::size_t lost = 0; lost <= requests; ++lost) {
                INFO("the other kernel is worked at request " << at << ", answer " << lost << " is lost"
                                                              << (eats ? ", kernel takes files" : ""));
                World world(2);
                {
                    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
                    world.contents.push_back("RCPT TO:fax#9\r\n\r\nby the other\r\n");
                    world.put(spool, world.contents.back(), "ExConn", "munich-2");
                }
                world.store.kernel_eats = eats;
                world.store.plan(lost == 0 ? FakeStore::Fault::none : FakeStore::Fault::lost_answer, lost);
                bool worked = false;
                world.store.meanwhile = [&](std::size_t request) {
                    if (request != at || worked) return;
                    worked = true;
                    world.run(nullptr, "munich-2");
                };
                world.run();
                world.store.meanwhile = nullptr;
                REQUIRE((worked || lost > 0));
                world.run(nullptr, "munich-2");
                world.recover();
                world.run(nullptr, "munich-2");
                world.check_arrived_once();
            }
        }
    }
}

TEST_CASE("the witness of a doubt outlives the other kernel of the directory", "[delivery][fault]") {
    World world(1);
    world.store.kernel_eats = true;
    world.run();
    {
        spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
        world.contents.push_back("RCPT TO:fax#9\r\n\r\nin doubt\r\n");
        world.put(spool, world.contents.back());
    }
    const auto witnesses = [&] {
        return std::count_if(world.store.files.begin(), world.store.files.end(),
                             [](const auto& file) { return file.first.starts_with(".BER1/witness."); });
    };
    // The process dies as the kernel takes the file; then the other kernel's queue is worked.
    world.store.crash_at_arrival = true;
    REQUIRE_THROWS_AS(world.run(), test::Crash);
    world.store.crash_at_arrival = false;
    REQUIRE(witnesses() == 1);
    world.run(nullptr, "munich-2");
    REQUIRE(witnesses() == 1);
    std::vector<delivery::Report> reports;
    world.run(&reports);
    REQUIRE(reports.size() == 1);
    REQUIRE(reports[0].outcome == Outcome::delivered);
    world.check_arrived_once();
}

TEST_CASE("what the target does not take of one message is not the target's fault", "[delivery]") {
    using transport::Verdict;
    struct Kind {
        Verdict verdict;
        int status;
        bool parks;
    };
    const auto [verdict, status, parks] =
        GENERATE(Kind{Verdict::refused, 413, true}, Kind{Verdict::denied, 403, true}, Kind{Verdict::denied, 0, true},
                 Kind{Verdict::full, 507, false}, Kind{Verdict::broken, 500, false});
    const bool alone = GENERATE(true, false);
    INFO("status " << status << (alone ? ", alone" : ", with others"));
    World world(alone ? 0 : 2);
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    world.put(spool, "RCPT TO:fax#1\r\n\r\npoison\r\n");
    world.store.dislikes = [&](const std::string& content) -> std::optional<transport::Answer> {
        if (content.find("poison") == std::string::npos) return std::nullopt;
        return transport::Answer{verdict, "not this one", status, {}};
    };
    std::chrono::seconds pause{60};
    for (unsigned refusals = 1; refusals <= 7; ++refusals) {
        std::vector<delivery::Report> reports;
        world.run(&reports);
        const auto poison = std::find_if(reports.begin(), reports.end(),
                                         [](const auto& report) { return report.outcome != Outcome::delivered; });
        REQUIRE(poison != reports.end());
        REQUIRE(reports.size() == (alone || refusals > 1 ? 1 : 3));
        REQUIRE(poison->name.number('r') == refusals);
        if (parks && refusals == 5) {
            REQUIRE(poison->outcome == Outcome::parked);
            break;
        }
        REQUIRE(poison->outcome == Outcome::deferred);
        const auto until = std::chrono::sys_seconds(std::chrono::seconds(poison->name.number('t')));
        const auto waits = until - std::chrono::floor<std::chrono::seconds>(world.clock.now());
        REQUIRE(waits >= pause);
        REQUIRE(waits <= pause * 5 / 4);
        REQUIRE(spool.due(Queue::kernel("munich-1")).empty());
        world.clock.sleep(waits);
        pause = std::min<std::chrono::seconds>(2 * pause, std::chrono::minutes(32));
    }
    REQUIRE(world.left() == 1);
    world.store.dislikes = nullptr;
    if (!parks) {
        world.contents.emplace_back("RCPT TO:fax#1\r\n\r\npoison\r\n");
        world.recover();
    }
    if (!parks) world.check_arrived_once();
}

TEST_CASE("a target that takes no canary either is at fault, and the message is not", "[delivery]") {
    using transport::Verdict;
    const auto [verdict, status] =
        GENERATE(std::pair{Verdict::refused, 400}, std::pair{Verdict::denied, 403}, std::pair{Verdict::denied, 401},
                 std::pair{Verdict::full, 507}, std::pair{Verdict::broken, 500}, std::pair{Verdict::unknown, 0});
    World world(1);
    world.batches = 1;
    world.run();
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    for (int i = 0; i < 2; ++i) {
        world.contents.push_back("RCPT TO:fax#1\r\n\r\nanother " + std::to_string(i) + "\r\n");
        world.put(spool, world.contents.back());
    }
    world.store.dislikes = [&](const std::string&) -> std::optional<transport::Answer> {
        return transport::Answer{verdict, "nothing", status, {}};
    };
    for (int i = 0; i < 7; ++i) {
        std::vector<delivery::Report> reports;
        world.run(&reports);
        REQUIRE(reports.size() == 2);
        for (const auto& report : reports) {
            REQUIRE(report.outcome == Outcome::deferred);
            REQUIRE(report.name.number('r') == 0);
            REQUIRE(report.name.number('t') == 0);
        }
    }
    world.store.dislikes = nullptr;
    world.recover();
    world.check_arrived_once();
}

TEST_CASE("who takes small messages and refuses large ones has no room, whatever it says", "[delivery]") {
    using transport::Verdict;
    World world(0);
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    const std::string large = "RCPT TO:fax#1\r\n\r\n" + std::string(60'000, 'x') + "\r\n";
    world.contents.push_back(large);
    world.put(spool, large);
    std::size_t largest = 100;
    world.batches = GENERATE(1, 2);
    const bool unwanted = GENERATE(true, false);
    world.store.dislikes = [&](const std::string& content) -> std::optional<transport::Answer> {
        if (content.size() <= largest) return std::nullopt;
        return transport::Answer{Verdict::refused, "PUT: 405 Method Not Allowed", 405, {}};
    };
    for (int i = 0; i < 8; ++i) {
        world.contents.push_back("RCPT TO:fax#1\r\n\r\nsmall " + std::to_string(i) + "\r\n");
        world.put(spool, world.contents.back());
        std::vector<delivery::Report> reports;
        world.run(&reports);
        const auto waiting = std::find_if(reports.begin(), reports.end(),
                                          [](const auto& report) { return report.outcome != Outcome::delivered; });
        REQUIRE(reports.size() == 2);
        REQUIRE(waiting != reports.end());
        REQUIRE(waiting->outcome == Outcome::deferred);
        INFO(waiting->detail);
        REQUIRE(waiting->detail.starts_with("not taken: PUT: 405"));
        REQUIRE(waiting->name.number('q') == 0);
        world.clock.sleep(std::chrono::hours(1));
    }
    largest = 1'000'000;
    if (unwanted) {
        // Somebody takes as large a one: then it is this one that is not wanted.
        world.store.dislikes = [&](const std::string& content) -> std::optional<transport::Answer> {
            if (content != large) return std::nullopt;
            return transport::Answer{Verdict::refused, "no", 405, {}};
        };
        std::vector<delivery::Report> reports;
        for (int i = 0; i < 5; ++i) {
            reports.clear();
            world.run(&reports);
            REQUIRE(reports.size() == 1);
            world.clock.sleep(std::chrono::hours(1));
        }
        REQUIRE(reports[0].outcome == Outcome::parked);
        REQUIRE(world.left() == 1);
        REQUIRE(world.store.arrivals.size() == world.contents.size() - 1);
        return;
    }
    world.recover();
    world.check_arrived_once();
}

TEST_CASE("a message that cannot be opened waits, the others go", "[delivery]") {
    // Root may open anything, so the disk says no.
    class ForbiddingDisk final : public io::ForwardingDisk {
      public:
        using io::ForwardingDisk::ForwardingDisk;
        std::string id;
        int number = EACCES;
        std::optional<io::Fd> open(const std::string& path) override {
            if (!id.empty() && path.find(id) != std::string::npos)
                throw system_error(fault_of_errno(number, Fault::cannot_read), "open " + path, number);
            return ForwardingDisk::open(path);
        }
    };
    World world(2);
    ForbiddingDisk disk(world.real);
    const auto queue = Queue::kernel("munich-1");
    spool::Spool spool(disk, world.clock, world.directory.path() + "/spool", "BER1");
    disk.id = std::string(spool.list(queue, State::fresh).at(0).name.id());
    const auto deliver = [&] {
        const auto worker = spool.work(queue);
        REQUIRE(worker);
        Courier courier(spool, *worker, world.store, destination(), world.clock);
        REQUIRE(courier.prepare().done());
        auto reports = courier.deliver(spool.due(queue));
        REQUIRE(!courier.target_fault());
        for (auto& report : courier.finish()) reports.push_back(report);
        return reports;
    };
    disk.number = EMFILE;
    REQUIRE_THROWS_AS(deliver(), Error);
    disk.number = EACCES;
    const auto reports = deliver();
    REQUIRE(reports.size() == 2);
    REQUIRE(reports[0].outcome == Outcome::deferred);
    REQUIRE(reports[0].name.id() == disk.id);
    REQUIRE_THAT(reports[0].detail, Catch::Contains("open"));
    REQUIRE(reports[0].name.number('t') == 1'800'000'060);
    REQUIRE(reports[0].name.number('r') == 0);
    REQUIRE(reports[1].outcome == Outcome::delivered);
    disk.id.clear();
    world.recover();
    world.check_arrived_once();
}

TEST_CASE("a message without a connector is parked, the others go", "[delivery]") {
    World world(1);
    {
        spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
        world.put(spool, "RCPT TO:1\n\n", "");
    }
    std::vector<delivery::Report> reports;
    world.run(&reports);
    REQUIRE(reports.size() == 2);
    REQUIRE(world.store.arrivals[world.contents[0]] == 1);
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    const auto failed = spool.list(Queue::failed(), State::fresh);
    REQUIRE(failed.size() == 1);
    REQUIRE_THAT(spool.why(failed[0]).value(), Catch::Contains("connector"));
}

TEST_CASE("a possible duplicate is marked, and its body stays", "[delivery]") {
    World world(0);
    {
        spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
        const auto name = world.put(spool, "RCPT TO:fax#1\r\nSubject: x\r\n\r\nbody\r\n");
        REQUIRE(spool.move({Queue::kernel("munich-1"), State::fresh, name},
                           {Queue::kernel("munich-1"), State::fresh, name.with('d', 1)}));
    }
    world.run();
    REQUIRE(world.store.arrivals.size() == 1);
    REQUIRE(world.store.arrivals.begin()->first ==
            "RCPT TO:fax#1\r\nX-UMS-Possible-Duplicate: yes\r\nSubject: x\r\n\r\nbody\r\n");
}

TEST_CASE("want of room never adds up to parking", "[delivery]") {
    World world(2);
    int times = 0;
    world.store.dislikes = [&](const std::string& content) -> std::optional<transport::Answer> {
        if (content != world.contents[0]) return std::nullopt;
        // Seven times no room, then four refusals: it takes five.
        if (++times <= 7) return transport::Answer{transport::Verdict::full, "507", 507, {}};
        if (times <= 11) return transport::Answer{transport::Verdict::refused, "415", 415, {}};
        return std::nullopt;
    };
    for (int i = 0; i < 30 && world.left() > 0; ++i) {
        world.run();
        world.clock.sleep(std::chrono::hours(1));
    }
    REQUIRE(times == 12);
    world.check_arrived_once();
}

TEST_CASE("where a copy of what was sent finds no room, there is none, and the others go on", "[delivery][fault]") {
    struct NoRoom final : io::ForwardingDisk {
        using ForwardingDisk::ForwardingDisk;
        bool is_told = false;  // by statfs, or only by the failure
        std::size_t refused = 0;
        io::Space space(const std::string& path) override {
            auto space = ForwardingDisk::space(path);
            if (is_told) space.available = Bytes{4096};
            return space;
        }
        io::Renamed rename(const std::string& from, const std::string& to) override {
            if (to.find("/sent/") == std::string::npos) return ForwardingDisk::rename(from, to);
            ++refused;
            throw system_error(Fault::cannot_write, "rename", ENOSPC);
        }
    };
    const bool is_told = GENERATE(false, true);
    World world(5);
    NoRoom disk(world.real);
    disk.is_told = is_told;
    spool::Spool spool(disk, world.clock, world.directory.path() + "/spool", "BER1");
    const auto worker = spool.work(Queue::kernel("munich-1"));
    REQUIRE(worker);
    auto to = destination();
    to.keep_sent = true;
    Courier courier(spool, *worker, world.store, to, world.clock);
    REQUIRE(courier.prepare().done());
    courier.deliver(spool.due(to.queue));
    REQUIRE(courier.finish().size() == 5);
    courier.clean();
    REQUIRE((disk.refused > 0) != is_told);
    world.check_arrived_once();
}

TEST_CASE("attempt numbers never repeat", "[delivery]") {
    World world(1);
    for (int i = 0; i < 4; ++i) {
        world.store.plan(FakeStore::Fault::error, 7);
        world.run();
        world.clock.sleep(std::chrono::hours(1));
    }
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    const auto waiting = spool.list(Queue::kernel("munich-1"), State::fresh);
    REQUIRE(waiting.size() == 1);
    REQUIRE(waiting[0].name.number('n') == 4);
}

TEST_CASE("final names are made of the id and characters that every server takes", "[delivery]") {
    const auto name = EntryName::parse("1795406406123456.k2j4x7ab.BER1~2,c=ExConn").value();
    const auto final = delivery::final_name(name, "uuid", ".tmp");
    REQUIRE(final.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
            std::string::npos);
    REQUIRE(final.ends_with(".tmp"));
    REQUIRE(final == delivery::final_name(name.with('n', 7), "uuid", ".tmp"));
    REQUIRE(final != delivery::final_name(name, "another", ".tmp"));
}

TEST_CASE("a publish that was refused and revoked tells what the answer was, and where", "[delivery]") {
    std::size_t requests = 0;
    {
        World probe(1);
        probe.run();
        requests = probe.store.requests();
    }
    std::size_t told = 0;
    for (std::size_t at = 1; at <= requests; ++at) {
        World one(1);
        one.store.plan(FakeStore::Fault::error, at);
        std::vector<delivery::Report> reports;
        one.run(&reports);
        for (const auto& report : reports) {
            if (report.detail.find("(revoked)") == std::string::npos) continue;
            ++told;
            REQUIRE(report.outcome == Outcome::deferred);
            REQUIRE(report.detail.starts_with("R_ExConn/Out/"));
            REQUIRE(report.detail.find(": " + std::string(transport::to_string(transport::Verdict::broken)) +
                                       "; it did not arrive") != std::string::npos);
        }
    }
    REQUIRE(told == 1);
}

TEST_CASE("what a killed run left in publishing/ is durable before the target is asked", "[delivery][fault]") {
    World world(1);
    world.disk.plan(FaultyDisk::Fault::none, 0);
    // Killed when it had been moved there, before the syncs.
    world.store.plan(FakeStore::Fault::none, 0);
    world.store.meanwhile = nullptr;
    const auto root = world.directory.path() + "/spool";
    spool::Spool before(world.real, world.clock, root, "BER1");
    const auto entry = before.list(Queue::kernel("munich-1"), State::fresh).at(0);
    const Entry publishing{entry.queue, State::publishing, entry.name.with('n', 1).with('v', "000000nobody")};
    REQUIRE(before.move(entry, publishing));

    RecordingDisk disk(world.real, root);
    spool::Spool spool(disk, world.clock, root, "BER1");
    const auto worker = spool.work(Queue::kernel("munich-1"));
    Courier courier(spool, *worker, world.store, destination(), world.clock);
    REQUIRE(courier.prepare().done());
    disk.steps.clear();
    std::size_t first = 0;
    world.store.meanwhile = [&](std::size_t) {
        if (first == 0) first = disk.steps.size();
    };
    courier.settle();
    REQUIRE(first > 0);
    REQUIRE(disk.find("directory", "kernel/munich-1/publishing") < first);
    REQUIRE(disk.find("directory", "kernel/munich-1/sending") < first);
}

TEST_CASE("what attempts of a killed run left at the target goes when it is durable that they have ended",
          "[delivery][fault]") {
    World world(1);
    world.run();
    const auto root = world.directory.path() + "/spool";
    RecordingDisk disk(world.real, root);
    spool::Spool spool(disk, world.clock, root, "BER1");
    const auto worker = spool.work(Queue::kernel("munich-1"));
    Courier courier(spool, *worker, world.store, destination(), world.clock);
    REQUIRE(courier.prepare().done());
    disk.steps.clear();
    courier.clean();
    REQUIRE(disk.steps.empty());  // nothing is there
    world.store.files[".BER1/1800000000000000.k2j4x7ab.BER1.1.revoked"] = "x";
    bool removed = false;
    world.store.meanwhile = [&](std::size_t) {
        const auto synced = disk.find("directory", "kernel/munich-1/publishing");
        if (world.store.files.contains(".BER1/1800000000000000.k2j4x7ab.BER1.1.revoked"))
            removed = synced < disk.steps.size();
    };
    courier.clean();
    REQUIRE(removed);
    world.check_stage_is_clean();
}

TEST_CASE("what its site does not send is decided about anew", "[delivery]") {
    for (const bool anew : {true, false}) {
        World world(1);
        auto blocking = destination();
        blocking.edits = [](const EntryName&) { return true; };
        blocking.edit = [](const EntryName&, const message::HeaderBlock&) -> message::Edit {
            throw Error(Fault::unusable, "blocked");
        };
        if (anew) blocking.rejected = Queue::outgoing();
        spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
        const auto worker = spool.work(blocking.queue).value();
        // It was refused for what it is before, and this is none of the kernel's refusals.
        const auto first = spool.list(blocking.queue, State::fresh).at(0);
        REQUIRE(spool.move(first, {first.queue, State::fresh, first.name.with('s', "munich").with('q', 4)}));
        Courier courier(spool, worker, world.store, blocking, world.clock);
        REQUIRE(courier.prepare().done());
        const auto reports = courier.deliver(spool.list(blocking.queue, State::fresh));
        REQUIRE(reports.size() == 1);
        CHECK(reports[0].outcome == (anew ? Outcome::deferred : Outcome::parked));
        CHECK(reports[0].detail == (anew ? "blocked; the rules decide anew" : "blocked"));
        const auto entries = spool.list(anew ? Queue::outgoing() : Queue::failed(), State::fresh);
        REQUIRE(entries.size() == 1);
        CHECK(entries[0].name.get('s') == (anew ? "" : "munich"));
        CHECK(world.store.arrivals.empty());
    }
}
