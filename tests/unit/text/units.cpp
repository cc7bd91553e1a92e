// SPDX-License-Identifier: GPL-3.0-or-later
#include "text/units.hpp"

#include <catch2/catch.hpp>
#include <limits>

using namespace ums;
using namespace ums::text;
using namespace std::chrono_literals;

TEST_CASE("durations are read with their unit") {
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("5s") == 5s);
    CHECK(parse_duration("30m") == 30min);
    CHECK(parse_duration("4h") == 4h);
    CHECK(parse_duration("5d") == 120h);
    CHECK(parse_duration("2w") == 336h);
    CHECK(parse_duration(" 5 s ") == 5s);
    CHECK(parse_duration("0") == 0s);
    CHECK(parse_duration("0s") == 0s);
    for (const char* text : {"", "5", "s", "-5s", "5x", "5 s s", "1h30m", "5.5s", "5S", "99999999999999999999s",
                             "9999999w", "200000d", "9223372036854775807ms"}) {
        INFO(text);
        CHECK(parse_duration(text) == std::nullopt);
    }
}

TEST_CASE("durations are written so that they are read back") {
    CHECK(format_duration(0s) == "0s");
    CHECK(format_duration(90s) == "90s");
    CHECK(format_duration(120h) == "5d");
    CHECK(format_duration(336h) == "2w");
    CHECK(format_duration(1500ms) == "1500ms");
    CHECK(format_duration(-5s) == "-5s");
    for (const auto duration : {1ms, 999ms, 60000ms, 61000ms, 3600000ms, 86400000ms}) {
        CHECK(parse_duration(format_duration(duration)) == duration);
    }
}

TEST_CASE("durations for people") {
    CHECK(rough_duration(0ms) == "0ms");
    CHECK(rough_duration(999ms) == "999ms");
    CHECK(rough_duration(12s) == "12s");
    CHECK(rough_duration(12500ms) == "12s");
    CHECK(rough_duration(90s) == "1m 30s");
    CHECK(rough_duration(60s) == "1m");
    CHECK(rough_duration(76h) == "3d 4h");
    CHECK(rough_duration(24h + 59min) == "1d");
    CHECK(rough_duration(-90s) == "-1m 30s");
}

TEST_CASE("sizes are read with their unit") {
    CHECK(parse_bytes("10MB") == Bytes{10'000'000});
    CHECK(parse_bytes("512 kB") == Bytes{512'000});
    CHECK(parse_bytes("4096") == Bytes{4096});
    CHECK(parse_bytes("4096B") == Bytes{4096});
    CHECK(parse_bytes("1KiB") == Bytes{1024});
    CHECK(parse_bytes("1Gi") == Bytes{1ULL << 30});
    CHECK(parse_bytes("2T") == Bytes{2'000'000'000'000});
    CHECK(parse_bytes("18446744073709551615") == Bytes{std::numeric_limits<std::uint64_t>::max()});
    for (const char* text :
         {"", "MB", "-1", "1.5MB", "1 M B", "1XB", "18446744073709551616", "18446744073709552k", "1BB"}) {
        INFO(text);
        CHECK(parse_bytes(text) == std::nullopt);
    }
}

TEST_CASE("sizes for people") {
    CHECK(format_bytes(Bytes{0}) == "0 B");
    CHECK(format_bytes(Bytes{999}) == "999 B");
    CHECK(format_bytes(Bytes{1000}) == "1.0 kB");
    CHECK(format_bytes(Bytes{1'500'000}) == "1.5 MB");
    CHECK(format_bytes(Bytes{999'999}) == "1.0 MB");
    CHECK(format_bytes(Bytes{150'000}) == "150 kB");
    CHECK(format_bytes(Bytes{99'949}) == "99.9 kB");
    CHECK(format_bytes(Bytes{99'950}) == "100 kB");
    CHECK(format_bytes(Bytes{5'000'000'000'000'000}) == "5000 TB");
}
