// SPDX-License-Identifier: GPL-3.0-or-later
#include "health/ageing.hpp"

#include <catch2/catch.hpp>

using namespace ums;
using namespace ums::health;
using namespace std::chrono_literals;

namespace {

using Steady = std::chrono::steady_clock::time_point;
const clock::Instant noon = *clock::parse("2026-11-23T12:00:00Z");

}  // namespace

TEST_CASE("each delay is passed once its time is over", "[health]") {
    CHECK(delay_level(-5min) == 0);
    CHECK(delay_level(0s) == 0);
    CHECK(delay_level(15min - 1us) == 0);
    CHECK(delay_level(15min) == 1);
    CHECK(delay_level(1h - 1us) == 1);
    CHECK(delay_level(1h) == 2);
    CHECK(delay_level(4h - 1us) == 2);
    CHECK(delay_level(4h) == 3);
    CHECK(delay_level(1000h) == 3);
}

TEST_CASE("a clock is trusted until it and the time that really passed go apart", "[health]") {
    const auto first = look(std::nullopt, noon, Steady(1000s));
    CHECK(first.is_trusted());
    SECTION("they go together, also over a long pause") {
        CHECK(look(first, noon + 100h, Steady(1000s) + 100h).is_trusted());
        CHECK(look(first, noon + 9min, Steady(1000s)).is_trusted());
        CHECK(look(first, noon - 9min, Steady(1000s)).is_trusted());
    }
    for (const auto jump : {std::chrono::minutes(11), std::chrono::minutes(-11), std::chrono::minutes(5'000'000),
                            std::chrono::minutes(-5'000'000)}) {
        INFO(jump.count() << " minutes");
        auto watch = look(first, noon + jump, Steady(1000s));
        CHECK_FALSE(watch.is_trusted());
        // Not before ten minutes of real time have passed, whatever the clock says.
        watch = look(watch, noon + jump + 9min, Steady(1000s) + 9min);
        CHECK_FALSE(watch.is_trusted());
        CHECK(look(watch, noon + jump + 10min, Steady(1000s) + 10min).is_trusted());
        // Set back within them: it begins again.
        const auto again = look(watch, noon + 9min, Steady(1000s) + 9min);
        CHECK_FALSE(look(again, noon + 18min, Steady(1000s) + 18min).is_trusted());
        CHECK(look(again, noon + 19min, Steady(1000s) + 19min).is_trusted());
    }
    SECTION("after a restart of the machine nobody knows") {
        auto watch = look(first, noon + 100h, Steady(20s));
        CHECK_FALSE(watch.is_trusted());
        watch = look(watch, noon + 100h + 9min, Steady(20s) + 9min);
        CHECK_FALSE(watch.is_trusted());
        CHECK(look(watch, noon + 100h + 10min, Steady(20s) + 10min).is_trusted());
    }
}

TEST_CASE("what is known of the clock is kept", "[health]") {
    const ClockWatch watch{noon, Steady(1234567890123ns), Steady(99s)};
    const auto same = parse_clock_watch(to_text(watch));
    REQUIRE(same);
    CHECK(same->civil == watch.civil);
    CHECK(same->steady == watch.steady);
    CHECK(same->trusted_from == watch.trusted_from);
    for (const char* text : {"", "x", "2026-11-23T12:00:00Z 1", "2026-11-23T12:00:00Z 1 x", "2026-11-23T12:00:00Z x 1",
                             "x 1 1", "2026-11-23T12:00:00Z 1 1 1", "2026-11-23T12:00:00Z 99999999999999999999 1",
                             "2026-11-23T12:00:00Z 1 9223372036854775807"}) {
        CHECK_FALSE(parse_clock_watch(text));
    }
}
