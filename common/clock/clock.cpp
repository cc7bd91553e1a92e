// SPDX-License-Identifier: GPL-3.0-or-later
#include "clock/clock.hpp"

#include <algorithm>
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

unsigned long long whole_seconds(Instant instant) noexcept {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(instant).time_since_epoch().count();
    return static_cast<unsigned long long>(std::max<long long>(seconds, 0));
}

std::string format(Instant instant) { return format_with(instant, false); }
std::string format_precise(Instant instant) { return format_with(instant, true); }

std::string format_mail(Instant instant) {
    static constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto day = std::chrono::floor<std::chrono::days>(instant);
    const std::chrono::year_month_day date(day);
    const std::string iso = format(instant);  // 2026-11-23T04:00:06Z
    return std::string(days.at(std::chrono::weekday(day).c_encoding())) + ", " +
           std::to_string(static_cast<unsigned>(date.day())) + " " +
           months.at(static_cast<unsigned>(date.month()) - 1) + " " + std::to_string(static_cast<int>(date.year())) +
           " " + iso.substr(11, 8) + " +0000";
}

std::optional<Instant> parse(std::string_view text) {
    static constexpr std::string_view seconds_form = "dddd-dd-ddTdd:dd:ddZ";
    static constexpr std::string_view precise_form = "dddd-dd-ddTdd:dd:dd.dddZ";
    const auto form = text.size() == precise_form.size() ? precise_form : seconds_form;
    const auto fits = [](char c, char f) { return f == 'd' ? c >= '0' && c <= '9' : c == f; };
    if (!std::equal(text.begin(), text.end(), form.begin(), form.end(), fits)) return std::nullopt;

    const auto value = [&](std::size_t from, std::size_t length) {
        int number = 0;
        for (const char digit : text.substr(from, length)) number = number * 10 + (digit - '0');
        return number;
    };
    const std::chrono::year_month_day date{std::chrono::year(value(0, 4)),
                                           std::chrono::month(static_cast<unsigned>(value(5, 2))),
                                           std::chrono::day(static_cast<unsigned>(value(8, 2)))};
    const int hour = value(11, 2);
    const int minute = value(14, 2);
    const int second = value(17, 2);
    if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
    const int milliseconds = form == precise_form ? value(20, 3) : 0;
    return Instant(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
           std::chrono::seconds(second) + std::chrono::milliseconds(milliseconds);
}

}  // namespace ums::clock
