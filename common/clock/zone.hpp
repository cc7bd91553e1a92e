// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the clock on the wall shows in some time zone (IANA names, from the system's tzdata).
#pragma once

#include <string>
#include <string_view>

#include "clock/clock.hpp"

namespace ums::clock {

struct WallTime {
    int year = 0;
    unsigned month = 0;    ///< 1 to 12
    unsigned day = 0;      ///< 1 to 31
    unsigned weekday = 0;  ///< 0 Monday to 6 Sunday (ISO 8601)
    unsigned minute = 0;   ///< of the day: 0 to 1439
    bool operator==(const WallTime&) const = default;
};

/// Whether the system knows a zone of that name: `Europe/Berlin`, `UTC`.
bool is_zone(std::string_view name);

/// Empty: the zone of the system, or UTC if it has none. Throws Error{configuration} for a zone that is not known.
WallTime wall_time(Instant instant, std::string_view zone);

}  // namespace ums::clock
