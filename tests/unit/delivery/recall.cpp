// SPDX-License-Identifier: GPL-3.0-or-later
//
// Taking back what a kernel was given and has not fetched, under every fault: in the end the kernel has each message once.
#include "world.hpp"

using namespace ums;
using namespace ums::test;

namespace {

// Messages that the kernel was given and has not fetched, and one who takes them back.
struct Lying : World {
    explicit Lying(unsigned messages) : World(messages) {
        work([](Courier& courier, spool::Spool& spool) {
            courier.deliver(spool.due(Queue::kernel("munich-1")));
            courier.finish();
        });
    }
    std::map<std::string, int> fetched;  ///< content -> how often the kernel has

    void work(const std::function<void(Courier&, spool::Spool&)>& what) {
        auto to = destination();
        to.keep_sent = true;
        World::work(to, what);
    }
    std::vector<delivery::Report> take_back() {
        std::vector<delivery::Report> reports;
        work([&](Courier& courier, spool::Spool&) {
            const auto lying = courier.lying();
            reports = courier.recall(lying);
            if (!courier.target_fault()) courier.clean();
        });
        return reports;
    }
    void settle() {
        work([](Courier& courier, spool::Spool&) {
            courier.settle();
            if (!courier.target_fault()) courier.clean();
        });
    }
    void kernel_fetches_all() {
        std::erase_if(store.files, [&](const auto& file) {
            const bool is_final = file.first.starts_with("R_ExConn/Out/");
            if (is_final) ++fetched[file.second];
            return is_final;
        });
    }
    void kernel_does(int what) {
        if (what == 0) return;
        if (what == 1) kernel_fetches_all();
        if (what == 2 && store.files.lower_bound("R_ExConn/Out/") == store.files.lower_bound("R_ExConn/Out0"))
            store.directories.erase("R_ExConn/Out");
    }
    /// Settles, sends what was taken back, and lets the kernel fetch: each message once.
    void check_fetched_once() {
        disk.plan(FaultyDisk::Fault::none, 0);
        store.plan(FakeStore::Fault::none, 0);
        store.meanwhile = nullptr;
        // What is late comes at any time, also when it is sent and lies there again.
        settle();
        for (int i = 0; i < 3; ++i) {
            work([](Courier& courier, spool::Spool& spool) {
                courier.settle();
                courier.deliver(spool.due(Queue::kernel("munich-1")));
                courier.finish();
            });
            if (i == 0) store.deliver_late();
            settle();
        }
        kernel_fetches_all();
        settle();
        CHECK(in(Queue::kernel("munich-1"), State::publishing) == 0);
        CHECK(in(Queue::kernel("munich-1"), State::fresh) == 0);
        CHECK(in(Queue::sent(), State::fresh) == contents.size());
        for (const auto& content : contents) {
            INFO(content);
            REQUIRE(fetched[content] == 1);
        }
        check_stage_is_clean();
    }
};

std::size_t requests_of_taking_back() {
    Lying world(2);
    world.store.plan(FakeStore::Fault::none, 0);
    world.take_back();
    return world.store.requests();
}

}  // namespace

TEST_CASE("what a kernel has not fetched is taken back, and sent under another name", "[delivery][recall]") {
    Lying world(3);
    REQUIRE(world.in(Queue::sent(), State::fresh) == 3);
    const auto before = world.store.files;
    // The kernel takes one of them first.
    const auto taken = world.store.files.lower_bound("R_ExConn/Out/");
    ++world.fetched[taken->second];
    world.store.files.erase(taken);
    const auto reports = world.take_back();
    REQUIRE(reports.size() == 2);
    for (const auto& report : reports) {
        CHECK(report.outcome == Outcome::deferred);
        CHECK(report.detail == "taken back from 'munich-1', which had not fetched it; sent again");
        CHECK(report.name.number('b') == 1);
        CHECK(report.name.get('k').empty());
        CHECK(report.name.get('v').empty());
    }
    CHECK(world.in(Queue::kernel("munich-1"), State::fresh) == 2);
    CHECK(world.in(Queue::sent(), State::fresh) == 1);
    world.check_fetched_once();
    for (const auto& [path, content] : world.store.files) CHECK((path == ".BER1/owner" || !before.contains(path)));
}

TEST_CASE("what the kernel fetches while it is taken back was delivered", "[delivery][recall]") {
    std::size_t fetched = 0;
    for (std::size_t at = 1; at < 20; ++at) {
        Lying world(1);
        world.store.plan(FakeStore::Fault::none, 0);
        world.store.meanwhile = [&](std::size_t request) {
            if (request == at) world.kernel_fetches_all();
        };
        for (const auto& report : world.take_back()) {
            const bool is_back = report.outcome == Outcome::deferred;
            const bool is_fetched = report.outcome == Outcome::delivered;
            CHECK((is_back || is_fetched));
            if (is_fetched) CHECK(report.detail.ends_with(" (fetched before it could be taken back)"));
            fetched += is_fetched;
        }
        world.check_fetched_once();
    }
    CHECK(fetched > 0);
}

TEST_CASE("another kernel's messages, and what nobody sent, are not taken back", "[delivery][recall]") {
    Lying world(1);
    world.store.files["R_ExConn/Out/1795406406123456.k2j4x7ab.BER1-00000000.tmp"] = "a stranger's";
    world.work([&](Courier&, spool::Spool& spool) {
        const auto sent = spool.list(Queue::sent(), State::fresh);
        REQUIRE(sent.size() == 1);
        REQUIRE(spool.move(sent[0], {Queue::sent(), State::fresh, sent[0].name.with('v', "000000another")}));
    });
    CHECK(world.take_back().empty());
    CHECK(world.store.files.size() == 3);
}

TEST_CASE("who does not give a message back keeps it", "[delivery][recall]") {
    using transport::Verdict;
    Lying world(2);
    world.store.refuses_rename = [](const std::string& from) -> std::optional<transport::Answer> {
        if (!from.starts_with("R_ExConn/Out/")) return std::nullopt;
        return transport::Answer{Verdict::denied, "403 Forbidden", 403, {}};
    };
    const auto reports = world.take_back();
    REQUIRE(reports.size() == 2);
    for (const auto& report : reports) {
        CHECK(report.outcome == Outcome::delivered);
        CHECK(report.detail.ends_with("(it lies there, and is not given back: 403 Forbidden)"));
    }
    CHECK(world.in(Queue::sent(), State::fresh) == 2);
    // Once: nobody is told of it by every look.
    CHECK(world.take_back().empty());
    world.check_fetched_once();
}

TEST_CASE("strangers' files hide no message, however many there are", "[delivery][recall]") {
    Lying world(1);
    for (int i = 0; i < 2000; ++i) world.store.files["R_ExConn/Out/" + std::to_string(i) + ".tmp"] = "a stranger's";
    const auto reports = world.take_back();
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].outcome == Outcome::deferred);
}

TEST_CASE("what is taken back begins anew: no refusals, no pause, and its waiting counts from now",
          "[delivery][recall]") {
    Lying world(1);
    world.work([&](Courier&, spool::Spool& spool) {
        const auto sent = spool.list(Queue::sent(), State::fresh);
        REQUIRE(sent.size() == 1);
        const auto name = sent[0].name.with('r', 4ULL).with('q', 4ULL).with('l', 2ULL);
        REQUIRE(spool.move(sent[0], {Queue::sent(), State::fresh, name}));
    });
    world.clock.sleep(std::chrono::hours(30));
    const auto reports = world.take_back();
    REQUIRE(reports.size() == 1);
    for (const char key : {'r', 'q', 'l', 't'}) CHECK(reports[0].name.get(key).empty());
    CHECK(reports[0].name.number('e') == clock::whole_seconds(world.clock.now()));
}

TEST_CASE("taking back, every fault at every request: the kernel has each message once", "[delivery][recall][fault]") {
    using F = FakeStore::Fault;
    const auto requests = requests_of_taking_back();
    REQUIRE(requests >= 12);
    std::size_t fired = 0;
    for (unsigned kind = 0; kind < 4; ++kind) {
        for (const F fault : {F::unreachable, F::lost_request, F::lost_answer, F::late, F::gateway, F::error,
                              F::crash_before, F::crash_after, F::crash_late}) {
            const bool is_late = fault == F::late || fault == F::gateway || fault == F::crash_late;
            for (std::size_t at = 1; at <= requests; ++at) {
                for (std::size_t delay = 1; delay <= (is_late ? 30U : 1U); ++delay) {
                    INFO("fault " << static_cast<int>(fault) << " at request " << at << ", late by " << delay
                                  << ", kind " << kind);
                    Lying world(2);
                    world.store.looks_backwards = (kind & 1) != 0;
                    world.store.renames_by_handle = (kind & 2) != 0;
                    world.store.plan(fault, at, delay);
                    try {
                        world.take_back();
                    } catch (const test::Crash&) {
                    }
                    REQUIRE(world.store.fired());
                    ++fired;
                    world.check_fetched_once();
                }
            }
        }
    }
    REQUIRE(fired > 4 * 9 * 12);
}

TEST_CASE("taking back, while the kernel fetches at any moment: it has each message once",
          "[delivery][recall][fault]") {
    const auto requests = requests_of_taking_back();
    for (const bool crashes : {false, true}) {
        for (const bool backwards : {false, true}) {
            for (std::size_t at = 1; at <= requests; ++at) {
                for (std::size_t fetches = 1; fetches <= requests; ++fetches) {
                    INFO("fetched before request " << fetches << ", fault at " << at);
                    Lying world(2);
                    world.store.looks_backwards = backwards;
                    world.store.plan(crashes ? FakeStore::Fault::crash_after : FakeStore::Fault::lost_answer, at);
                    world.store.meanwhile = [&](std::size_t request) {
                        if (request == fetches) world.kernel_fetches_all();
                    };
                    try {
                        world.take_back();
                    } catch (const test::Crash&) {
                    }
                    world.check_fetched_once();
                }
            }
        }
    }
}

TEST_CASE("taking back, a death, then a fault in the run that looks: the kernel has each message once",
          "[delivery][recall][fault]") {
    using F = FakeStore::Fault;
    const auto requests = requests_of_taking_back();
    std::size_t both = 0;
    // Afterwards the kernel fetches nothing, everything, or removes its empty directory, as some do.
    for (const int kernel : {0, 1, 2}) {
        for (const F death : {F::none, F::crash_before, F::crash_after}) {
            for (std::size_t at = 1; at <= requests; ++at) {
                for (const F fault : {F::error, F::crash_after}) {
                    for (std::size_t second = 1; second <= requests; ++second) {
                        INFO("death " << static_cast<int>(death) << " at request " << at << ", then fault "
                                      << static_cast<int>(fault) << " at " << second << ", kernel " << kernel);
                        Lying world(2);
                        world.store.plan(death, at);
                        if (death == F::none) {
                            world.store.meanwhile = [&](std::size_t request) {
                                if (request == at) world.kernel_does(kernel);
                            };
                        }
                        try {
                            world.take_back();
                        } catch (const test::Crash&) {
                        }
                        world.store.meanwhile = nullptr;
                        if (death != F::none) world.kernel_does(kernel);
                        world.store.plan(fault, second);
                        try {
                            world.settle();
                        } catch (const test::Crash&) {
                        }
                        both += world.store.fired();
                        world.check_fetched_once();
                    }
                }
            }
        }
    }
    REQUIRE(both > 1000);
}

TEST_CASE("taking back, a crash at every change of the spool: the kernel has each message once",
          "[delivery][recall][fault]") {
    std::size_t calls = 0;
    {
        Lying world(2);
        world.disk.plan(FaultyDisk::Fault::none, 0);
        world.take_back();
        calls = world.disk.calls();
    }
    REQUIRE(calls >= 6);
    for (const auto fault : {FaultyDisk::Fault::crash_before, FaultyDisk::Fault::crash_after}) {
        for (const bool fetches : {false, true}) {
            for (std::size_t at = 1; at <= calls; ++at) {
                INFO("crash at change " << at << (fetches ? ", then the kernel fetches" : ""));
                Lying world(2);
                world.disk.plan(fault, at);
                REQUIRE_THROWS_AS(world.take_back(), test::Crash);
                if (fetches) world.kernel_fetches_all();
                world.check_fetched_once();
            }
        }
    }
}
