// SPDX-License-Identifier: GPL-3.0-or-later
#include "clock/clock.hpp"

#include <array>
#include <cstdio>
#include <ctime>

namespace ums::clock {

Instant SystemClock::now() const {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::chrono::steady_clock::time_point SystemClock::steady() const { return std::chrono::steady_clock::now(); }

void SystemClock::sleep(std::chrono::milliseconds duration) {
    if (duration.count() <= 0) return;
    const timespec wait{static_cast<time_t>(duration.count() / 1000),
                        static_cast<long>(duration.count() % 1000 * 1'000'000)};
    nanosleep(&wait, nullptr);
}

namespace {

std::string format_with(Instant instant, bool milliseconds) {
    const auto days = std::chrono::floor<std::chrono::days>(instant);
    const std::chrono::year_month_day date(days);
    const std::chrono::hh_mm_ss time(instant - days);
    std::array<char, 64> out{};
    std::snprintf(out.data(), out.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()));
    std::string text = out.data();
    if (milliseconds) {
        std::snprintf(out.data(), out.size(), ".%03d", static_cast<int>(time.subseconds().count() / 1000));
        text += out.data();
    }
    return text + "Z";
}

}  // namespace

std::string format(Instant instant) { return format_with(instant, false); }
std::string format_precise(Instant instant) { return format_with(instant, true); }

std::optional<Instant> parse(std::string_view text) {
    int year = 0;
    unsigned month = 0;
    unsigned day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    int used = 0;
    const std::string copy(text);
    if (std::sscanf(copy.c_str(), "%4d-%2u-%2uT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second, &used) != 6) {
        return std::nullopt;
    }
    int milliseconds = 0;
    std::string_view rest = std::string_view(copy).substr(static_cast<std::size_t>(used));
    if (rest.size() == 5 && rest[0] == '.') {
        if (std::sscanf(copy.c_str() + used, ".%3d", &milliseconds) != 1) return std::nullopt;
        rest.remove_prefix(4);
    }
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
    if (rest != "Z" || !date.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) {
        return std::nullopt;
    }
    return Instant(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
           std::chrono::seconds(second) + std::chrono::milliseconds(milliseconds);
}

}  // namespace ums::clock
