// SPDX-License-Identifier: GPL-3.0-or-later
#include "clock/zone.hpp"

#include <catch2/catch.hpp>

#include "error/error.hpp"

using namespace ums;
using clock::WallTime;

namespace {

clock::Instant at(const char* text) { return clock::parse(text).value(); }

}  // namespace

TEST_CASE("the clock on the wall goes with zone and season", "[clock]") {
    CHECK(clock::wall_time(at("2026-11-23T04:00:06Z"), "Europe/Berlin") == WallTime{2026, 11, 23, 0, 5 * 60});
    CHECK(clock::wall_time(at("2026-07-23T22:30:00Z"), "Europe/Berlin") == WallTime{2026, 7, 24, 4, 30});
    CHECK(clock::wall_time(at("2026-12-31T23:59:59Z"), "UTC") == WallTime{2026, 12, 31, 3, 23 * 60 + 59});
    CHECK(clock::wall_time(at("2027-01-01T00:00:00Z"), "America/New_York") == WallTime{2026, 12, 31, 3, 19 * 60});
    // The minute before and after the clock goes back.
    CHECK(clock::wall_time(at("2026-10-25T00:59:00Z"), "Europe/Berlin").minute == 2 * 60 + 59);
    CHECK(clock::wall_time(at("2026-10-25T01:00:00Z"), "Europe/Berlin").minute == 2 * 60);
    CHECK(clock::wall_time(at("2024-02-29T12:00:00Z"), "Asia/Kathmandu") == WallTime{2024, 2, 29, 3, 17 * 60 + 45});
}

TEST_CASE("zones are those of the system", "[clock]") {
    CHECK(clock::is_zone("Europe/Vienna"));
    CHECK_FALSE(clock::is_zone("Europe/Munich"));
    CHECK_FALSE(clock::is_zone(""));
    CHECK_FALSE(clock::is_zone("../../etc/passwd"));
    CHECK_NOTHROW(clock::wall_time(at("2026-11-23T04:00:06Z"), ""));
    CHECK_THROWS_AS(clock::wall_time(at("2026-11-23T04:00:06Z"), "Nowhere/Never"), Error);
}
