// SPDX-License-Identifier: GPL-3.0-or-later
//
// Delivery by mail under every fault: at each step of the dialogue, each way in which it can go wrong; at each change of
// the spool, a crash before and after it. Whatever happened: a message reaches its recipient, at most once without the
// mark of a possible duplicate, and what may not be sent twice is not.
#include "delivery/mailer.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "delivery/attempt.hpp"
#include "fake_mail_server.hpp"
#include "temporary_directory.hpp"

using namespace ums;
using delivery::Mailer;
using delivery::Outcome;
using spool::Entry;
using spool::EntryName;
using spool::Queue;
using spool::State;
using test::FakeMailServer;
using test::FaultyDisk;
using MailFault = FakeMailServer::Fault;

namespace {

const clock::Instant start_time{std::chrono::seconds(1'800'000'000)};

// The steps of the first mail, after two looks for a connection.
constexpr std::size_t offering = 3;
constexpr std::size_t ending = 4;

struct World {
    test::TemporaryDirectory directory;
    io::QuickDisk real;
    FaultyDisk disk{real};
    clock::ManualClock clock{start_time};
    FakeMailServer server;
    config::Config config;

    explicit World(unsigned messages, const std::string& service = "fax", std::size_t width = 2) : server(width) {
        config.mds.id = "BER1";
        config.connectors.emplace_back();
        config.connectors[0].name = "Mail";
        config.connectors[0].deliver.emplace();
        config.connectors[0].deliver->url.host = "mail.example.com";
        spool::Spool spool(real, clock, directory.path() + "/spool", "BER1");
        for (unsigned i = 0; i < messages; ++i) put(spool, "RCPT TO:" + service + "#+4930" + std::to_string(i));
    }
    EntryName put(spool::Spool& spool, const std::string& lines) {
        const auto name = EntryName::make(clock.now(), "BER1").with('c', "Mail");
        std::vector<spool::Draft> one;
        one.push_back(spool.draft(Queue::incoming(), name));
        one.front().write("MAIL FROM:+49891\r\n" + lines + "\r\nSubject: x\r\n\r\nbody\r\n");
        spool.accept(one);
        REQUIRE(spool.move({Queue::incoming(), State::fresh, name}, {Queue::connector("Mail"), State::fresh, name}));
        return name;
    }
    /// One run of ums-push.
    std::vector<delivery::Report> run(std::optional<transport::Answer>* fault = nullptr) {
        spool::Spool spool(disk, clock, directory.path() + "/spool", "BER1");
        const auto worker = spool.work(Queue::connector("Mail"));
        REQUIRE(worker);
        Mailer mailer(spool, *worker, server, config, config.connectors[0], clock);
        auto reports = mailer.settle();
        const auto due = spool.due(Queue::connector("Mail"));
        auto more = mailer.deliver(due);
        reports.insert(reports.end(), more.begin(), more.end());
        if (fault != nullptr) *fault = mailer.target_fault();
        return reports;
    }
    std::size_t count(State state) {
        spool::Spool spool(real, clock, directory.path() + "/spool", "BER1");
        return spool.list(Queue::connector("Mail"), state).size();
    }
    std::size_t left() {
        spool::Spool spool(real, clock, directory.path() + "/spool", "BER1");
        std::size_t all = spool.list(Queue::failed(), State::fresh).size();
        for (const State state : {State::fresh, State::sending, State::publishing, State::hold}) all += count(state);
        return all;
    }
    void recover() {
        disk.plan(FaultyDisk::Fault::none, 0);
        server.plan(MailFault::none, 0);
        for (int i = 0; i < 8; ++i) {
            clock.sleep(std::chrono::hours(1));
            run();
        }
    }
    std::map<std::string, std::vector<bool>> marks() const {
        std::map<std::string, std::vector<bool>> found;
        for (const auto& one : server.delivered) found[one.recipient].push_back(one.marked());
        return found;
    }
    /// Everybody has it, and an unmarked copy is the only one without the mark.
    void check_arrived(std::size_t messages) {
        REQUIRE(left() == 0);
        const auto all = marks();
        REQUIRE(all.size() == messages);
        for (const auto& [recipient, copies] : all) {
            INFO(recipient);
            REQUIRE(std::count(copies.begin(), copies.end(), false) <= 1);
            REQUIRE(copies.size() <= 2);
        }
    }
};

}  // namespace

TEST_CASE("mails leave with an address made of the number", "[mailer]") {
    World world(3);
    auto reports = world.run();
    REQUIRE(reports.size() == 3);
    std::sort(reports.begin(), reports.end(), [](const auto& a, const auto& b) { return a.detail < b.detail; });
    for (const auto& report : reports) {
        INFO(report.detail);
        CHECK(report.outcome == Outcome::delivered);
    }
    CHECK(reports[0].detail == "Mail <+49300@mail.example.com> 250 taken");
    world.check_arrived(3);
    CHECK(world.server.delivered[0].sender.empty());
    CHECK(world.server.delivered[0].text.find("RCPT TO") == std::string::npos);
    CHECK(world.server.delivered[0].text.find("MAIL FROM") == std::string::npos);
    CHECK_FALSE(world.server.delivered[0].marked());
}

TEST_CASE("what was delivered is kept where keep-sent says so", "[mailer]") {
    World world(1);
    world.config.mds.keep_sent = std::chrono::hours(1);
    world.run();
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    const auto sent = spool.list(Queue::sent(), State::fresh);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].name.get('w').empty());
}

TEST_CASE("every step, every fault: all arrive, and once without a mark", "[mailer][fault]") {
    for (const std::size_t width : {1, 2, 3}) {
        std::size_t steps = 0;
        {
            World world(3, "fax", width);
            world.run();
            steps = world.server.steps();
        }
        REQUIRE(steps >= 7);
        for (const MailFault fault : {MailFault::later, MailFault::not_here, MailFault::lost_request,
                                      MailFault::lost_answer, MailFault::crash_before, MailFault::crash_after}) {
            for (std::size_t at = 1; at <= steps; ++at) {
                INFO("fault " << static_cast<int>(fault) << " at step " << at << ", width " << width);
                World world(3, "fax", width);
                world.server.plan(fault, at);
                try {
                    world.run();
                } catch (const test::Crash&) {
                }
                REQUIRE(world.server.fired());
                const bool doubt = world.server.at_commit && fault != MailFault::later && fault != MailFault::not_here;
                REQUIRE((world.count(State::publishing) > 0) == doubt);
                world.recover();
                world.check_arrived(3);
                // A certain failure makes no mark.
                if (!doubt && fault != MailFault::crash_before && fault != MailFault::crash_after) {
                    for (const auto& one : world.server.delivered) CHECK_FALSE(one.marked());
                    CHECK(world.server.delivered.size() == 3);
                }
                if (fault == MailFault::lost_answer && doubt) CHECK(world.server.delivered.size() == 4);
                if (fault == MailFault::lost_request && doubt) CHECK(world.server.delivered.size() == 3);
            }
        }
    }
}

TEST_CASE("a crash at every change of the spool: all arrive, and once without a mark", "[mailer][fault]") {
    std::size_t calls = 0;
    {
        World world(3);
        world.disk.plan(FaultyDisk::Fault::none, 0);
        world.run();
        calls = world.disk.calls();
    }
    REQUIRE(calls > 10);
    for (const auto fault :
         {FaultyDisk::Fault::crash_before, FaultyDisk::Fault::crash_after, FaultyDisk::Fault::fail}) {
        for (const bool keep : {false, true}) {
            for (std::size_t at = 1; at <= calls; ++at) {
                INFO("fault " << static_cast<int>(fault) << " at change " << at << ", keep-sent " << keep);
                World world(3);
                if (keep) world.config.mds.keep_sent = std::chrono::hours(1);
                world.disk.plan(fault, at);
                try {
                    world.run();
                } catch (const test::Crash&) {
                } catch (const Error&) {
                }
                if (!keep) REQUIRE(world.disk.fired());
                // Whatever the server has is gone from new/: nobody sends it again unasked.
                const auto had = world.server.delivered.size();
                world.disk.plan(FaultyDisk::Fault::none, 0);
                world.run();
                for (std::size_t i = had; i < world.server.delivered.size(); ++i) {
                    for (std::size_t k = 0; k < had; ++k) {
                        REQUIRE(world.server.delivered[i].recipient != world.server.delivered[k].recipient);
                    }
                }
                world.recover();
                world.check_arrived(3);
            }
        }
    }
}

TEST_CASE("what may not be sent twice is held", "[mailer][fault]") {
    for (const MailFault fault :
         {MailFault::lost_request, MailFault::lost_answer, MailFault::crash_before, MailFault::crash_after}) {
        World world(1, "sms");
        world.server.plan(fault, ending);
        try {
            world.run();
        } catch (const test::Crash&) {
        }
        REQUIRE(world.server.fired());
        REQUIRE(world.count(State::publishing) == 1);
        const auto had = world.server.delivered.size();
        world.recover();
        CHECK(world.server.delivered.size() == had);
        REQUIRE(world.count(State::hold) == 1);
        spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
        const auto held = spool.list(Queue::connector("Mail"), State::hold);
        CHECK(held[0].name.number('d') == 1);
        CHECK(spool.why(held[0]).value_or("").find("may have reached Mail") != std::string::npos);
    }
}

TEST_CASE("a doubt waits for the time that in-doubt says", "[mailer]") {
    World world(1);
    world.server.plan(MailFault::lost_answer, ending);
    std::optional<transport::Answer> fault;
    auto reports = world.run(&fault);
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].outcome == Outcome::in_doubt);
    CHECK(reports[0].name.number('w') == 1'800'000'000);
    CHECK(fault);
    world.server.plan(MailFault::none, 0);
    world.clock.sleep(std::chrono::minutes(29));
    CHECK(world.run().empty());
    CHECK(world.count(State::publishing) == 1);
    world.clock.sleep(std::chrono::minutes(2));
    reports = world.run();
    REQUIRE(reports.size() == 2);
    CHECK(reports[0].outcome == Outcome::deferred);
    CHECK(reports[1].outcome == Outcome::delivered);
    CHECK(world.server.delivered.size() == 2);
    CHECK(world.server.delivered[1].marked());
}

TEST_CASE("after a doubt the others wait", "[mailer]") {
    World world(3, "fax", 1);
    world.server.plan(MailFault::lost_answer, ending);
    std::optional<transport::Answer> fault;
    const auto reports = world.run(&fault);
    REQUIRE(fault);
    REQUIRE(reports.size() == 3);
    CHECK(world.server.delivered.size() == 1);
    CHECK(world.count(State::fresh) == 2);
}

TEST_CASE("4xx waits longer each time, and is never parked", "[mailer]") {
    World world(1);
    std::vector<unsigned long long> pauses;
    for (int i = 0; i < 12; ++i) {
        world.server.plan(MailFault::later, offering);
        const auto now = std::chrono::floor<std::chrono::seconds>(world.clock.now()).time_since_epoch().count();
        const auto reports = world.run();
        REQUIRE(reports.size() == 1);
        CHECK(reports[0].outcome == Outcome::deferred);
        pauses.push_back(reports[0].name.number('t') - static_cast<unsigned long long>(now));
        CHECK(world.run().empty());
        world.clock.sleep(std::chrono::hours(1));
    }
    CHECK(pauses[0] >= 60);
    CHECK(pauses[0] <= 75);
    CHECK(pauses[1] >= 120);
    CHECK(pauses[1] <= 150);
    CHECK(pauses.back() >= 1920);
    CHECK(pauses.back() <= 2400);
    CHECK(world.count(State::fresh) == 1);
}

TEST_CASE("5xx is parked with what the server said, before the dot and after it", "[mailer]") {
    for (const std::size_t at : {offering, ending}) {
        World world(1);
        world.server.plan(MailFault::never, at);
        const auto reports = world.run();
        REQUIRE(reports.size() == 1);
        CHECK(reports[0].outcome == Outcome::parked);
        spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
        const auto failed = spool.list(Queue::failed(), State::fresh);
        REQUIRE(failed.size() == 1);
        CHECK(failed[0].name.get('w').empty());
        CHECK(spool.why(failed[0]).value_or("") == "Mail <+49300@mail.example.com>: 550 never");
    }
}

TEST_CASE("a mail in which the connection is cut goes behind the others", "[mailer]") {
    World world(2, "fax", 1);
    std::string behind;
    for (int i = 0; i < 2; ++i) {
        world.server.plan(MailFault::not_here, offering);
        std::optional<transport::Answer> fault;
        const auto reports = world.run(&fault);
        REQUIRE(fault);
        REQUIRE(reports.size() == 2);
        CHECK((reports[0].name.number('t') == 0) == (i == 0));
        CHECK(reports[1].name.number('t') == 0);
        behind = reports[0].name.id();
    }
    world.server.plan(MailFault::none, 0);
    const auto reports = world.run();
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].outcome == Outcome::delivered);
    CHECK(reports[0].name.id() != behind);
}

TEST_CASE("a message with several recipients goes back to be split", "[mailer]") {
    World world(0);
    {
        spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
        world.put(spool, "RCPT TO:+491\r\nRCPT TO:+492");
    }
    const auto reports = world.run();
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].outcome == Outcome::deferred);
    CHECK(world.server.delivered.empty());
    spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
    const auto back = spool.list(Queue::incoming(), State::fresh);
    REQUIRE(back.size() == 1);
    CHECK(back[0].name.get('c') == "Mail");
}

TEST_CASE("a message that can be no mail stops no other", "[mailer]") {
    World world(0);
    {
        spool::Spool spool(world.real, world.clock, world.directory.path() + "/spool", "BER1");
        world.put(spool, "RCPT TO:a b@example.com");
        world.put(spool, "X-No: recipient");
        world.put(spool, "RCPT TO:boss@example.com");
    }
    const auto reports = world.run();
    REQUIRE(reports.size() == 3);
    CHECK(std::count_if(reports.begin(), reports.end(), [](const auto& r) { return r.outcome == Outcome::parked; }) ==
          2);
    REQUIRE(world.server.delivered.size() == 1);
    CHECK(world.server.delivered[0].recipient == "boss@example.com");
}

TEST_CASE("pauses grow, and spread: what was refused together does not come back together", "[delivery]") {
    std::set<long> first;
    for (int i = 0; i < 50; ++i) {
        const auto name = EntryName::make(clock::Instant(std::chrono::seconds(1'800'000'000 + i)), "BER1");
        for (unsigned refusals = 1; refusals <= 8; ++refusals) {
            const auto least = 60L << std::min(refusals - 1, 5U);
            const auto pause = delivery::pause_after(name, refusals).count();
            CHECK(pause >= least);
            CHECK(pause <= least * 5 / 4);
            if (refusals == 1) first.insert(pause);
        }
    }
    CHECK(first.size() > 8);
}
