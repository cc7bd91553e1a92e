// SPDX-License-Identifier: GPL-3.0-or-later
#include "clock/clock.hpp"

#include <catch2/catch.hpp>

using namespace ums::clock;
using namespace std::chrono_literals;

namespace {
Instant at(std::int64_t microseconds) { return Instant(std::chrono::microseconds(microseconds)); }
}  // namespace

TEST_CASE("instants are written in UTC") {
    CHECK(format(at(0)) == "1970-01-01T00:00:00Z");
    CHECK(format(at(1'000'000)) == "1970-01-01T00:00:01Z");
    CHECK(format_precise(at(1'234'567)) == "1970-01-01T00:00:01.234Z");
    CHECK(format_precise(at(999)) == "1970-01-01T00:00:00.000Z");
    CHECK(format(at(1'795'406'406'000'000)) == "2026-11-23T04:00:06Z");
    CHECK(format(at(951'782'400'000'000)) == "2000-02-29T00:00:00Z");
}

TEST_CASE("instants before 1970 are rounded down") {
    CHECK(format_precise(at(-1)) == "1969-12-31T23:59:59.999Z");
    CHECK(format(at(-1'000'000)) == "1969-12-31T23:59:59Z");
}

TEST_CASE("what is written is read back") {
    for (const std::int64_t microseconds :
         {0LL, 1'000'000LL, 1'795'406'406'000'000LL, 951'782'400'000'000LL, 1'795'406'406'987'000LL}) {
        const auto instant = at(microseconds);
        CHECK(parse(format_precise(instant)) == instant);
        CHECK(parse(format(instant)) == std::chrono::floor<std::chrono::seconds>(instant));
    }
}

TEST_CASE("only what was written is read") {
    for (const char* text : {"",
                             "2026",
                             "2026-11-23",
                             "2026-11-23T04:00:06",
                             "2026-11-23T04:00:06z",
                             "2026-11-23 04:00:06Z",
                             "2026-13-23T04:00:06Z",
                             "2026-02-29T04:00:06Z",
                             "2026-11-23T24:00:06Z",
                             "2026-11-23T04:60:06Z",
                             "2026-11-23T04:00:60Z",
                             "2026-11-23T04:00:06ZZ",
                             "2026-11-23T04:00:06.Z",
                             "2026-11-23T04:00:06.12Z",
                             "2026-11-23T04:00:06.1234Z",
                             "2026-11-23T04:00:06.-12Z",
                             "2026-11-23T04:00:06.+12Z",
                             "2026-11-23T04:00:06. 12Z",
                             "2026-11-23T04:00:06.1xZ",
                             "-026-11-23T04:00:06Z",
                             "2026-11-23T+4:00:06Z",
                             "2026-11-23T-0:00:06Z",
                             " 2026-11-23T04:00:06Z",
                             "2026-11-23T 4:00:06Z",
                             "2026-1-23T04:00:06Z",
                             "2026-11-23T04:00:6Z",
                             "2026-11-+3T04:00:06Z",
                             "26-11-23T04:00:06Z",
                             "2026--1-23T04:00:06Z"}) {
        INFO(text);
        CHECK_FALSE(parse(text).has_value());
    }
}

TEST_CASE("the manual clock moves when told") {
    ManualClock clock(at(1'000'000));
    const auto before = clock.steady();
    CHECK(clock.now() == at(1'000'000));
    clock.sleep(1500ms);
    CHECK(clock.now() == at(2'500'000));
    CHECK(clock.steady() - before == 1500ms);
    clock.set(at(0));
    CHECK(clock.now() == at(0));
}

TEST_CASE("the system clock goes forward and sleeps no less than asked") {
    SystemClock clock;
    const auto before = clock.steady();
    clock.sleep(0ms);
    clock.sleep(-5ms);
    clock.sleep(2ms);
    CHECK(clock.steady() - before >= 2ms);
    CHECK(clock.now() > at(1'600'000'000'000'000));
}
