// SPDX-License-Identifier: GPL-3.0-or-later
#include "health/health.hpp"

#include <catch2/catch.hpp>

#include "forwarding_disk.hpp"
#include "random_text.hpp"
#include "temporary_directory.hpp"

using namespace ums;
using health::Admin;
using health::AdminState;
using health::Health;
using health::Look;
using health::Policy;
using health::Seen;
using health::Status;
using std::chrono::seconds;

namespace {

const clock::Instant start{seconds(1'800'000'000)};
const Look good{true, ""};
const Look bad{false, "507 insufficient storage"};

struct Kernel {
    Policy policy;  // fall 3, rise 2, hold-down 60 s, interval 10 s
    Health health;
    clock::Instant now = start;

    Status look(const Look& look, seconds later = seconds(5)) {
        now += later;
        health = after_look(health, look, policy, now);
        return health.status;
    }
    Status seen(unsigned failures, clock::Instant when) {
        health = after_seen(health, {failures, when, {}, "connection refused"}, policy, now);
        return health.status;
    }
    Kernel& down() {
        for (int i = 0; i < 3; ++i) look(bad);
        REQUIRE(health.status == Status::down);
        return *this;
    }
    Kernel& probation() {
        down();
        REQUIRE(look(good) == Status::probation);
        return *this;
    }
};

}  // namespace

// Looks.

TEST_CASE("a kernel never looked at is up, and is looked at", "[health]") {
    const Kernel kernel;
    REQUIRE(kernel.health.status == Status::up);
    REQUIRE(kernel.health.next_look <= kernel.now);
    REQUIRE(rank_for_new(kernel.health, Admin::enabled) == 0);
}

TEST_CASE("good looks keep it up", "[health]") {
    Kernel kernel;
    for (int i = 0; i < 10; ++i) REQUIRE(kernel.look(good) == Status::up);
    REQUIRE(kernel.health.since == start + seconds(5));
    REQUIRE(kernel.health.last_look == kernel.now);
    REQUIRE(kernel.health.next_look == kernel.now + seconds(10));
    REQUIRE(kernel.health.successes == 10);
    REQUIRE(kernel.health.failures == 0);
}

TEST_CASE("one bad look makes it suspect, a good one clears it", "[health]") {
    Kernel kernel;
    kernel.look(good);
    REQUIRE(kernel.look(bad) == Status::suspect);
    REQUIRE(kernel.health.since == kernel.now);
    REQUIRE(kernel.health.why == bad.text);
    REQUIRE(kernel.health.next_look == kernel.now + seconds(5));
    REQUIRE(kernel.health.successes == 0);
    REQUIRE(kernel.look(good) == Status::up);
    REQUIRE(kernel.health.since == kernel.now);
    REQUIRE(kernel.health.why.empty());
    REQUIRE(kernel.health.failures == 0);
}

TEST_CASE("bad looks that are not in a row never make it down", "[health]") {
    Kernel kernel;
    for (int i = 0; i < 20; ++i) {
        REQUIRE(kernel.look(bad) == Status::suspect);
        REQUIRE(kernel.look(bad) == Status::suspect);
        REQUIRE(kernel.look(good) == Status::up);
    }
}

TEST_CASE("`fall` bad looks in a row make it down", "[health]") {
    for (const unsigned fall : {1U, 2U, 3U, 7U}) {
        Kernel kernel;
        kernel.policy.fall = fall;
        for (unsigned i = 1; i < fall; ++i) REQUIRE(kernel.look(bad) == Status::suspect);
        REQUIRE(kernel.look(bad) == Status::down);
        REQUIRE(kernel.health.since == kernel.now);
        REQUIRE(kernel.health.failures == fall);
    }
}

TEST_CASE("while it is down the pause between looks grows, to a bound", "[health]") {
    Kernel kernel;
    kernel.down();
    REQUIRE(kernel.health.next_look == kernel.now + seconds(30));
    const auto since = kernel.health.since;
    std::vector<long> pauses;
    for (int i = 0; i < 14; ++i) {
        REQUIRE(kernel.look(bad) == Status::down);
        pauses.push_back(std::chrono::duration_cast<seconds>(kernel.health.next_look - kernel.now).count());
    }
    REQUIRE(pauses == std::vector<long>{30, 30, 30, 40, 50, 60, 70, 80, 90, 100, 100, 100, 100, 100});
    REQUIRE(kernel.health.since == since);
    REQUIRE(kernel.look(good) == Status::probation);
    REQUIRE(kernel.health.next_look == kernel.now + seconds(5));
    REQUIRE(kernel.look(bad) == Status::down);
    REQUIRE(kernel.health.next_look == kernel.now + seconds(30));
    kernel.health.outages = ~0ULL - 1;
    kernel.look(bad);
    REQUIRE(kernel.health.next_look == kernel.now + seconds(100));
}

TEST_CASE("a good look puts it on probation, never up at once", "[health]") {
    Kernel kernel;
    kernel.probation();
    REQUIRE(kernel.health.since == kernel.now);
    REQUIRE(kernel.health.successes == 1);
    REQUIRE(kernel.health.failures == 0);
    REQUIRE(kernel.health.why == bad.text);
    REQUIRE(kernel.look(bad) == Status::down);
    REQUIRE(kernel.look(good) == Status::probation);
    REQUIRE(kernel.health.successes == 1);
}

TEST_CASE("after an outage one message is let through, then more and more", "[health]") {
    Kernel kernel;
    REQUIRE(kernel.health.allowed == 0);
    kernel.probation();
    auto& health = kernel.health;
    for (const unsigned allowed : {1U, 8U, 64U, 512U, 4096U}) {
        REQUIRE(health.allowed == allowed);
        // Nothing was given to it, or it has not taken what it was given.
        REQUIRE(health::after_queue(health, 0) == health);
        health.was_assigned = true;
        REQUIRE(health::after_queue(health, 1) == health);
        REQUIRE(kernel.look(good, seconds(1)) != Status::down);
        REQUIRE(health.allowed == allowed);
        health = health::after_queue(health, 0);
        REQUIRE_FALSE(health.was_assigned);
    }
    REQUIRE(health.allowed == 0);
    SECTION("it goes down again in between: from the start") {
        kernel.probation();
        kernel.health.was_assigned = true;
        kernel.health = health::after_queue(kernel.health, 0);
        REQUIRE(kernel.health.allowed == 8);
        REQUIRE(kernel.look(bad) == Status::down);
        REQUIRE(kernel.look(good) == Status::probation);
        REQUIRE(kernel.health.allowed == 1);
        REQUIRE_FALSE(kernel.health.was_assigned);
    }
    SECTION("without a hold-down it gets all at once") {
        kernel.policy.hold_down = seconds(0);
        kernel.probation();
        REQUIRE(kernel.health.allowed == 0);
    }
}

TEST_CASE("who was relieved of what he had not fetched gets one message, until he has fetched one", "[health]") {
    Kernel kernel;
    auto& health = kernel.health;
    kernel.policy.hold_down = seconds(0);
    REQUIRE_FALSE(health::has_enough(health, 1'000'000));
    while (kernel.look(bad) != Status::down) continue;
    health = health::after_relief(health, kernel.now);
    REQUIRE(health.relieved == kernel.now);
    REQUIRE(health::after_relief(health, kernel.now + seconds(5)).unproved == 1);
    REQUIRE(kernel.look(good) != Status::down);
    while (kernel.look(bad) != Status::down) continue;
    REQUIRE(health::after_relief(health, kernel.now).unproved == 2);
    REQUIRE(kernel.look(good) != Status::down);
    REQUIRE(health.allowed == 1);
    REQUIRE_FALSE(health::has_enough(health, 0));
    REQUIRE(health::has_enough(health, 1));
    health.was_assigned = true;
    REQUIRE(health::has_enough(health, 0));
    REQUIRE(health::after_queue(health, 0) == health);
    SECTION("it was fetched") {
        health = health::after_proof(health, health::Proof::fetched);
        REQUIRE_FALSE(health::has_enough(health, 0));
        REQUIRE(health::after_queue(health, 0).allowed == 8);
    }
    SECTION("it went elsewhere: the next one is the proof") {
        health = health::after_proof(health, health::Proof::nothing_given);
        REQUIRE(health.unproved == 1);
        REQUIRE_FALSE(health::has_enough(health, 0));
        REQUIRE(health::has_enough(health, 1));
    }
    SECTION("a person says that it works, now, and not before") {
        health::AdminState admin{health::Admin::enabled, health.relieved, ""};
        REQUIRE(health::after_enable(health, admin, kernel.policy, kernel.now).unproved == 1);
        admin.since += std::chrono::microseconds(1);
        REQUIRE(health::after_enable(health, admin, kernel.policy, kernel.now).unproved == 0);
        admin.admin = health::Admin::drain;
        REQUIRE(health::after_enable(health, admin, kernel.policy, kernel.now).unproved == 1);
    }
}

TEST_CASE("who was relieved several times in a row is on probation for longer and longer", "[health]") {
    for (const unsigned times : {0U, 1U, 2U, 3U, 7U, 8U, 100U}) {
        Kernel kernel;
        kernel.policy.hold_down = seconds(60);
        kernel.health.unproved = times;
        kernel.probation();
        const long factor = times < 2 ? 1 : times > 7 ? 64 : 1L << (times - 1);
        INFO(times << " times: " << factor);
        REQUIRE(kernel.look(good, seconds(60 * factor - 1)) == Status::probation);
        REQUIRE(kernel.look(good, seconds(1)) == Status::up);
    }
}

TEST_CASE("probation ends after `rise` good looks and the hold-down, not before both", "[health]") {
    Kernel kernel;
    kernel.probation();
    for (int i = 0; i < 11; ++i) REQUIRE(kernel.look(good) == Status::probation);
    REQUIRE(kernel.look(good) == Status::up);  // 60 s
    REQUIRE(kernel.health.since == kernel.now);
    REQUIRE(kernel.health.why.empty());

    Kernel slow;
    slow.policy.rise = 3;
    slow.probation();
    REQUIRE(slow.look(good, seconds(100)) == Status::probation);
    REQUIRE(slow.look(good) == Status::up);

    Kernel exact;
    exact.probation();
    exact.look(good, seconds(59));
    REQUIRE(exact.health.status == Status::probation);
    REQUIRE(exact.look(good, seconds(1)) == Status::up);

    Kernel quick;
    quick.policy.rise = 1;
    quick.policy.hold_down = std::chrono::milliseconds(0);
    quick.down();
    REQUIRE(quick.look(good) == Status::up);
}

TEST_CASE("with fail-back: manual it stays on probation until the administrator says so", "[health]") {
    Kernel kernel;
    kernel.policy.returns_by_itself = false;
    kernel.probation();
    const auto enable = [&](Admin admin, clock::Instant since) {
        kernel.health = after_enable(kernel.health, {admin, since, "it"}, kernel.policy, kernel.now);
        return kernel.health.status;
    };
    REQUIRE(enable(Admin::enabled, kernel.now) == Status::probation);  // one good look is not `rise`
    for (int i = 0; i < 50; ++i) REQUIRE(kernel.look(good) == Status::probation);
    REQUIRE(enable(Admin::enabled, kernel.health.since - seconds(1)) == Status::probation);  // said before
    REQUIRE(enable(Admin::drain, kernel.now) == Status::probation);
    REQUIRE(enable(Admin::disabled, kernel.now) == Status::probation);
    REQUIRE(enable(Admin::enabled, kernel.health.since) == Status::up);
    REQUIRE(kernel.health.since == kernel.now);
    REQUIRE(kernel.health.why.empty());
}

TEST_CASE("enabling changes nothing in any other state, nor with fail-back: auto", "[health]") {
    Kernel kernel;
    const auto enabled = [&] {
        return after_enable(kernel.health, {Admin::enabled, kernel.now, ""}, kernel.policy, kernel.now);
    };
    REQUIRE(enabled() == kernel.health);
    kernel.policy.returns_by_itself = false;
    kernel.look(bad);
    REQUIRE(enabled() == kernel.health);
    kernel.down();
    REQUIRE(enabled() == kernel.health);
    kernel.look(good);
    kernel.look(good);
    kernel.policy.returns_by_itself = true;
    REQUIRE(enabled() == kernel.health);
}

// What ums-push met.

TEST_CASE("what ums-push met counts, from `passive-fall` in a row on", "[health]") {
    for (const Status status : {Status::up, Status::suspect, Status::probation}) {
        Kernel kernel;
        if (status == Status::up) kernel.look(good);
        if (status == Status::suspect) kernel.look(bad);
        if (status == Status::probation) kernel.probation();
        REQUIRE(kernel.health.status == status);
        const auto before = kernel.health;
        kernel.now += seconds(10);
        kernel.seen(4, kernel.now);
        REQUIRE(kernel.health == before);
        REQUIRE(kernel.seen(5, kernel.now) == Status::down);
        REQUIRE(kernel.health.since == kernel.now);
        REQUIRE(kernel.health.why == "connection refused");
        REQUIRE(kernel.health.successes == 0);
        REQUIRE(kernel.health.next_look == kernel.now + seconds(30));
    }
}

TEST_CASE("a kernel never looked at falls by what ums-push met", "[health]") {
    Kernel kernel;
    REQUIRE(kernel.seen(5, kernel.now) == Status::down);
}

TEST_CASE("old news are none: what made it fall does not make it fall again", "[health]") {
    Kernel kernel;
    kernel.look(good);
    const auto failed_at = kernel.now + seconds(1);
    kernel.now += seconds(2);
    REQUIRE(kernel.seen(9, failed_at) == Status::down);
    const auto down = kernel.health;
    kernel.now += seconds(2);
    kernel.seen(9, failed_at);
    REQUIRE(kernel.health == down);
    REQUIRE(kernel.look(good) == Status::probation);
    REQUIRE(kernel.seen(9, failed_at) == Status::probation);
    REQUIRE(kernel.seen(9, kernel.health.since) == Status::probation);
    for (int i = 0; i < 20; ++i) kernel.look(good);
    REQUIRE(kernel.health.status == Status::up);
    REQUIRE(kernel.seen(9, failed_at) == Status::up);
    REQUIRE(kernel.seen(9, kernel.now + seconds(1)) == Status::up);  // from the future
    REQUIRE(kernel.seen(9, kernel.now) == Status::down);
}

TEST_CASE("failures met while it is down neither change it nor put off the next look", "[health]") {
    Kernel kernel;
    kernel.down();
    const auto down = kernel.health;
    kernel.now += seconds(10);
    kernel.seen(9, kernel.now);
    REQUIRE(kernel.health == down);
}

// Clocks that jump.

TEST_CASE("a clock set back never makes a wait endless", "[health]") {
    Kernel kernel;
    kernel.probation();
    kernel.look(good);
    REQUIRE(kernel.look(good, seconds(-1'000'000)) == Status::up);

    Kernel down;
    down.down();
    down.look(bad, seconds(-1'000'000));
    REQUIRE(down.health.next_look == down.now + seconds(30));
    REQUIRE(down.look(good) == Status::probation);
    REQUIRE(down.health.since == down.now);
}

TEST_CASE("after a clock was set back, what ums-push meets now is news again", "[health]") {
    Kernel kernel;
    kernel.look(good);
    kernel.now -= seconds(1'000'000);
    REQUIRE(kernel.seen(5, kernel.now) == Status::down);
    REQUIRE(kernel.health.since == kernel.now);
}

TEST_CASE("a clock set forward ends a hold-down early, and nothing else", "[health]") {
    Kernel kernel;
    kernel.probation();
    REQUIRE(kernel.look(good, seconds(1'000'000)) == Status::up);
    REQUIRE(kernel.look(bad, seconds(1'000'000)) == Status::suspect);
    REQUIRE(kernel.look(bad, seconds(1'000'000)) == Status::suspect);
    REQUIRE(kernel.look(bad, seconds(1'000'000)) == Status::down);
}

// The order of things, whatever comes.

TEST_CASE("no step but those of the picture, whatever is seen and whenever", "[health][property]") {
    test::RandomText random(7);
    std::size_t changes = 0;
    for (int life = 0; life < 300; ++life) {
        Kernel kernel;
        kernel.policy.fall = static_cast<unsigned>(random.below(4)) + 1;
        kernel.policy.rise = static_cast<unsigned>(random.below(3)) + 1;
        kernel.policy.returns_by_itself = random.below(2) == 0;
        for (int step = 0; step < 60; ++step) {
            const auto before = kernel.health;
            const auto jump = seconds(static_cast<long>(random.below(200)) - (random.below(10) == 0 ? 5000 : 0));
            const auto act = random.below(4);
            if (act < 3) {
                kernel.look(random.below(2) == 0 ? good : bad, jump);
            } else {
                kernel.seen(static_cast<unsigned>(random.below(9)), kernel.now - seconds(random.below(20)));
            }
            const auto from = before.status;
            const auto to = kernel.health.status;
            if (act < 3) {
                REQUIRE(kernel.health.next_look > kernel.now);
                REQUIRE(kernel.health.next_look <= kernel.now + seconds(100));
                REQUIRE((kernel.health.failures == 0) != (kernel.health.successes == 0));
            }
            if (from == to) {
                if (before.since != clock::Instant{}) REQUIRE(kernel.health.since == before.since);
                continue;
            }
            ++changes;
            REQUIRE(kernel.health.since == kernel.now);
            if (from == Status::down)
                REQUIRE((to == Status::probation || (to == Status::up && kernel.policy.rise == 1)));
            if (to == Status::suspect) REQUIRE(from == Status::up);
            if (to == Status::up && from != Status::suspect) REQUIRE(kernel.policy.returns_by_itself);
        }
    }
    REQUIRE(changes > 1000);
}

// What it means.

TEST_CASE("status and administrator decide what a kernel gets", "[health]") {
    struct Row {
        Status status;
        Admin admin;
        std::optional<int> rank;
        bool send;
        bool leave;
    };
    for (const Row& row :
         {Row{Status::up, Admin::enabled, 0, true, false}, Row{Status::suspect, Admin::enabled, 1, true, false},
          Row{Status::probation, Admin::enabled, 2, true, false},
          Row{Status::down, Admin::enabled, std::nullopt, false, true},
          Row{Status::up, Admin::drain, std::nullopt, true, false},
          Row{Status::suspect, Admin::drain, std::nullopt, true, false},
          Row{Status::probation, Admin::drain, std::nullopt, true, false},
          Row{Status::down, Admin::drain, std::nullopt, false, true},
          Row{Status::up, Admin::disabled, std::nullopt, false, true},
          Row{Status::suspect, Admin::disabled, std::nullopt, false, true},
          Row{Status::probation, Admin::disabled, std::nullopt, false, true},
          Row{Status::down, Admin::disabled, std::nullopt, false, true}}) {
        Health health;
        health.status = row.status;
        INFO(to_string(row.status) << ", " << to_string(row.admin));
        REQUIRE(rank_for_new(health, row.admin) == row.rank);
        REQUIRE(may_send(health, row.admin) == row.send);
        REQUIRE(must_leave(health, row.admin) == row.leave);
    }
}

TEST_CASE("words of status and administrator", "[health]") {
    for (const Admin admin : {Admin::enabled, Admin::drain, Admin::disabled})
        REQUIRE(health::parse_admin(to_string(admin)) == admin);
    for (const char* text : {"", "enable", "Enabled", "enabled ", "up"}) REQUIRE_FALSE(health::parse_admin(text));
    REQUIRE(to_string(Status::probation) == "probation");
}

TEST_CASE("a kernel follows the first site that has it", "[health]") {
    config::Config config;
    config.sites.resize(3);
    config.sites[0].kernels = {"other"};
    config.sites[0].hold_down = seconds(1);
    config.sites[1].kernels = {"other", "k"};
    config.sites[1].hold_down = seconds(2);
    config.sites[1].fail_back = config::FailBack::manual;
    config.sites[2].kernels = {"k"};
    config.sites[2].hold_down = seconds(3);
    config::Kernel kernel;
    kernel.name = "k";
    kernel.check.interval = seconds(7);
    kernel.check.fall = 4;
    kernel.check.rise = 6;
    const auto policy = health::policy_of(kernel, config);
    REQUIRE(policy.hold_down == seconds(2));
    REQUIRE_FALSE(policy.returns_by_itself);
    REQUIRE(policy.interval == seconds(7));
    REQUIRE(policy.fall == 4);
    REQUIRE(policy.rise == 6);
    kernel.name = "nowhere";
    REQUIRE(health::policy_of(kernel, config).hold_down == seconds(60));
    REQUIRE(health::policy_of(kernel, config).returns_by_itself);
}

// Files.

TEST_CASE("what is saved is loaded", "[health][files]") {
    test::TemporaryDirectory directory;
    io::QuickDisk disk;
    health::Files files(disk, directory.path() + "/state");
    test::RandomText random(11);
    const std::vector<std::string_view> nasty{"\n", "\r",          "\t",       "\\",       "\\n",
                                              "=",  "status=up\n", "\x1b[31m", "\xc3\xa4", "\xff",
                                              " ",  "x",           "\\x41",    "\x7f",     "\xe2\x80\xae"};
    for (int i = 0; i < 200; ++i) {
        Health health;
        health.status = static_cast<Status>(random.below(4));
        health.since = start + std::chrono::milliseconds(random.below(1'000'000));
        health.failures = static_cast<unsigned>(random.below(10));
        health.successes = static_cast<unsigned>(random.below(10));
        health.outages = random.below(1000);
        health.last_look = start + std::chrono::milliseconds(random.below(1'000'000));
        health.next_look = start + std::chrono::milliseconds(random.below(1'000'000));
        health.why = random.of(nasty, 8);
        files.save("k1", health);
        REQUIRE(files.load_health("k1") == health);
        const Seen seen{health.failures, health.last_look, health.since, random.of(nasty, 8)};
        files.save("k1", seen);
        REQUIRE(files.load_seen("k1") == seen);
        const AdminState admin{static_cast<Admin>(random.below(3)), health.since, random.of(nasty, 8)};
        files.save("k1", admin);
        const auto loaded = files.load_admin("k1");
        REQUIRE(loaded.admin == admin.admin);
        REQUIRE(loaded.since == admin.since);
        REQUIRE(loaded.who == admin.who);
    }
    REQUIRE(test::names_in(directory.path() + "/state") == std::set<std::string>{"health", "seen", "admin"});
    REQUIRE(test::names_in(directory.path() + "/state/health") == std::set<std::string>{"k1"});
}

TEST_CASE("a reason that is loaded and saved again and again stays what it is", "[health][files]") {
    test::TemporaryDirectory directory;
    io::QuickDisk disk;
    health::Files files(disk, directory.path());
    Health health;
    health.why = "cannot write '\\\\kernel\\share': \x01";
    files.save("k", health);
    const auto size = test::content_of(directory.path() + "/health/k").size();
    for (int i = 0; i < 40; ++i) files.save("k", files.load_health("k"));
    REQUIRE(test::content_of(directory.path() + "/health/k").size() == size);
    REQUIRE(files.load_health("k") == health);
}

TEST_CASE("a text of any length is cut, not in the way", "[health][files]") {
    test::TemporaryDirectory directory;
    io::QuickDisk disk;
    health::Files files(disk, directory.path());
    Health health;
    health.status = Status::down;
    health.why = "start " + std::string(1 << 20, '\2');
    files.save("k", health);
    REQUIRE(files.load_health("k").status == Status::down);
    REQUIRE(files.load_health("k").why.starts_with("start \2"));
}

TEST_CASE("state files hold text that a person can read, a line for each value", "[health][files]") {
    test::TemporaryDirectory directory;
    io::QuickDisk disk;
    health::Files files(disk, directory.path());
    Health health;
    health.status = Status::suspect;
    health.since = start;
    health.failures = 2;
    health.why = "two\nlines";
    files.save("k", health);
    REQUIRE(test::content_of(directory.path() + "/health/k") ==
            "status=suspect\nsince=2027-01-15T08:00:00.000Z\nfailures=2\nsuccesses=0\noutages=0\n"
            "last-look=1970-01-01T00:00:00.000Z\nnext-look=1970-01-01T00:00:00.000Z\nwhy=two\\nlines\n"
            "allowed=0\nwas-assigned=0\nunproved=0\nrelieved=1970-01-01T00:00:00.000Z\n");
}

TEST_CASE("a file that is missing or makes no sense is a fresh state", "[health][files]") {
    test::TemporaryDirectory directory;
    io::QuickDisk disk;
    health::Files files(disk, directory.path());
    REQUIRE(files.load_health("k") == Health{});
    REQUIRE(files.load_seen("k") == Seen{});
    REQUIRE(files.load_admin("k").admin == Admin::enabled);
    for (const char* kind : {"health", "seen", "admin"}) disk.make_directory(directory.path() + "/" + kind);
    test::RandomText random(13);
    std::vector<std::string> contents{"",
                                      "\n",
                                      "=",
                                      "status",
                                      "status=\nsince=",
                                      "status=Down\nfailures=-1\nsince=yesterday\n",
                                      "admin=disable\n",
                                      std::string(1 << 20, 'x')};
    for (int i = 0; i < 50; ++i) contents.push_back(random.bytes(200));
    for (const auto& content : contents) {
        for (const char* kind : {"health", "seen", "admin"})
            test::write_to(directory.path() + "/" + kind + "/k", content);
        INFO(content.substr(0, 80));
        REQUIRE(files.load_health("k") == Health{});
        REQUIRE(files.load_seen("k") == Seen{});
        REQUIRE(files.load_admin("k").admin == Admin::enabled);
    }
    test::write_to(directory.path() + "/health/k",
                   "future=1\nstatus=down\nfailures=99999999999999999999\nno line\nstatus=up\n");
    REQUIRE(files.load_health("k").status == Status::down);
    REQUIRE(files.load_health("k").failures == 0);
    test::write_to(directory.path() + "/health/k", "status=down\nfailures=4294967296\nsuccesses=4294967297\n");
    REQUIRE(files.load_health("k").failures == 4294967295U);
    REQUIRE(files.load_health("k").successes == 4294967295U);
}
