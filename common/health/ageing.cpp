// SPDX-License-Identifier: GPL-3.0-or-later
#include "health/ageing.hpp"

#include "text/text.hpp"

namespace ums::health {

namespace {

using Steady = std::chrono::steady_clock;

std::string nanoseconds(Steady::time_point time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

std::optional<Steady::time_point> steady_of(std::string_view text) {
    const auto number = text::parse_number(text);
    constexpr unsigned long long most = 1ULL << 62;
    if (!number || *number > most) return std::nullopt;
    return Steady::time_point(std::chrono::nanoseconds(*number));
}

}  // namespace

unsigned delay_level(std::chrono::microseconds waited) noexcept {
    unsigned level = 0;
    while (level < delays.size() && waited >= delays[level]) ++level;
    return level;
}

ClockWatch look(const std::optional<ClockWatch>& before, clock::Instant civil, Steady::time_point steady) {
    ClockWatch now{civil, steady, before ? before->trusted_from : steady};
    if (!before) return now;
    if (steady < before->steady) {  // it counts from the start of the machine
        now.trusted_from = steady + ClockWatch::quarantine;
        return now;
    }
    const auto apart = (civil - before->civil) - (steady - before->steady);
    if (apart > ClockWatch::tolerance || apart < -ClockWatch::tolerance)
        now.trusted_from = steady + ClockWatch::quarantine;
    return now;
}

std::string to_text(const ClockWatch& watch) {
    return clock::format_precise(watch.civil) + " " + nanoseconds(watch.steady) + " " +
           nanoseconds(watch.trusted_from) + "\n";
}

std::optional<ClockWatch> parse_clock_watch(std::string_view text) {
    const auto words = text::split(text::trim(text), ' ');
    if (words.size() != 3) return std::nullopt;
    const auto civil = clock::parse(words[0]);
    const auto steady = steady_of(words[1]);
    const auto trusted_from = steady_of(words[2]);
    if (!civil || !steady || !trusted_from) return std::nullopt;
    return ClockWatch{*civil, *steady, *trusted_from};
}

}  // namespace ums::health
