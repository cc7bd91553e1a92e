// SPDX-License-Identifier: GPL-3.0-or-later
//
// Delivery to a target whose rename cannot be had or trusted.
#include "world.hpp"

using namespace ums;
using namespace ums::test;

namespace {

struct InPlace : World {
    using World::World;
    std::vector<delivery::Report> deliver(bool in_place = true) {
        auto to = destination();
        to.in_place = in_place;
        to.address = "dav://munich-1/CR";
        std::vector<delivery::Report> reports;
        work(to, [&](Courier& courier, spool::Spool& spool) {
            reports = courier.settle();
            if (courier.target_fault()) return;
            for (auto& report : courier.deliver(spool.due(to.queue))) reports.push_back(report);
            for (auto& report : courier.finish()) reports.push_back(report);
        });
        return reports;
    }
    std::size_t in_doubt() { return in(Queue::kernel("munich-1"), State::publishing); }
};

}  // namespace

TEST_CASE("a target whose rename replaces, or that knows none, is refused unless delivery is in place", "[delivery]") {
    for (const bool replaces : {false, true}) {
        InPlace world(3);
        (replaces ? world.store.renames_replace = true : world.store.knows_rename = false);
        for (int i = 0; i < 2; ++i) {
            try {
                world.deliver(false);
                FAIL("it was used");
            } catch (const Error& error) {
                CHECK(error.fault() == Fault::configuration);
                CHECK_THAT(error.what(), Catch::Contains("'munich-1'") && Catch::Contains("in-place: yes"));
            }
        }
        CHECK(world.store.arrivals.empty());
        CHECK(world.left() == 3);
        // Mended, or told.
        if (replaces) {
            world.store.renames_replace = false;
            CHECK(world.deliver(false).size() == 3);
        } else {
            CHECK(world.deliver(true).size() == 3);
        }
        CHECK(world.left() == 0);
        for (const auto& content : world.contents) CHECK(world.store.arrivals[content] == 1);
    }
}

TEST_CASE("whether a rename replaces is tried once", "[delivery]") {
    InPlace world(1);
    world.deliver(false);
    const auto first = world.store.requests();
    world.store.plan(FakeStore::Fault::none, 0);
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    world.put(spool, "RCPT TO:fax#2\r\n\r\n");
    world.deliver(false);
    CHECK(world.store.requests() < first);
}

TEST_CASE("in place: every request, every fault: nothing is lost, nothing doubled, doubts are seen",
          "[delivery][fault]") {
    using F = FakeStore::Fault;
    std::size_t doubts = 0;
    for (const bool eats : {false, true}) {
        for (const F fault :
             {F::unreachable, F::lost_request, F::lost_answer, F::error, F::full, F::crash_before, F::crash_after}) {
            for (std::size_t at = 1; at <= 9; ++at) {
                INFO("fault " << static_cast<int>(fault) << " at request " << at << (eats ? ", eaten" : ""));
                InPlace world(3);
                world.store.kernel_eats = eats;
                world.store.plan(fault, at);
                try {
                    world.deliver();
                } catch (const test::Crash&) {
                }
                world.store.plan(F::none, 0);
                for (int i = 0; i < 3; ++i) {
                    world.clock.sleep(std::chrono::hours(1));
                    world.deliver();
                }
                for (const auto& content : world.contents) CHECK(world.store.arrivals[content] <= 1);
                CHECK(world.store.arrivals.size() + world.in_doubt() >= 3);
                CHECK(world.left() == world.in_doubt());
                doubts += world.in_doubt();
                // What can be seen is no doubt, and what was refused is none.
                if (!eats && (fault == F::lost_answer || fault == F::unreachable || fault == F::full)) {
                    CHECK(world.in_doubt() == 0);
                }
            }
        }
    }
    CHECK(doubts > 0);
}

TEST_CASE("in place: what was begun through a stage is ended there", "[delivery]") {
    InPlace world(3);
    world.deliver(false);
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    world.put(spool, "RCPT TO:fax#2\r\n\r\n");
    world.store.plan(FakeStore::Fault::crash_after, world.store.requests());
    for (std::size_t at = 1; at < 20; ++at) {
        world.store.plan(FakeStore::Fault::lost_request, at);
        world.deliver(false);
        if (world.in_doubt() == 1) break;
    }
    world.store.plan(FakeStore::Fault::none, 0);
    world.clock.sleep(std::chrono::hours(1));
    world.deliver(true);
    world.clock.sleep(std::chrono::hours(1));
    world.deliver(true);
    CHECK(world.left() == 0);
    CHECK(world.store.arrivals["RCPT TO:fax#2\r\n\r\n"] == 1);
}

TEST_CASE("in place: what one message is refused for does not stop the others", "[delivery]") {
    InPlace world(4);
    world.store.dislikes = [&](const std::string& content) -> std::optional<transport::Answer> {
        if (content != world.contents[1]) return std::nullopt;
        return transport::Answer{transport::Verdict::refused, "415", 415, {}};
    };
    for (int i = 0; i < 6; ++i) {
        world.deliver();
        world.clock.sleep(std::chrono::hours(1));
    }
    CHECK(world.store.arrivals.size() == 3);
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    CHECK(spool.list(Queue::failed(), State::fresh).size() == 1);
}
