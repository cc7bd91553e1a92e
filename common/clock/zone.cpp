// SPDX-License-Identifier: GPL-3.0-or-later
#include "clock/zone.hpp"

#include <date/tz.h>

#include <stdexcept>

#include "error/error.hpp"

namespace ums::clock {

namespace {

// The library throws where a zone, or all of tzdata, is not there.
const date::time_zone* find_zone(std::string_view name) {
    try {
        return name.empty() ? date::current_zone() : date::locate_zone(name);
    } catch (const std::runtime_error&) {
        return nullptr;
    }
}

}  // namespace

bool is_zone(std::string_view name) { return !name.empty() && find_zone(name) != nullptr; }

WallTime wall_time(Instant instant, std::string_view zone) {
    std::chrono::microseconds local = instant.time_since_epoch();
    if (const auto* found = find_zone(zone)) {
        local = found->to_local(instant).time_since_epoch();
    } else if (!zone.empty()) {
        throw Error(Fault::configuration, "there is no time zone '" + std::string(zone) + "'");
    }
    const std::chrono::sys_time<std::chrono::microseconds> shown(local);
    const auto day = std::chrono::floor<std::chrono::days>(shown);
    const std::chrono::year_month_day date(day);
    return {static_cast<int>(date.year()), static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
            std::chrono::weekday(day).iso_encoding() - 1,
            static_cast<unsigned>(std::chrono::floor<std::chrono::minutes>(shown - day).count())};
}

}  // namespace ums::clock
