// SPDX-License-Identifier: GPL-3.0-or-later
//
// Ageing: what has waited for too long, as functions over time. Arrival times are of a clock that may jump, so nothing is
// concluded from them while the clock is not to be trusted.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "clock/clock.hpp"

namespace ums::health {

/// The waits that are told of, once each.
inline constexpr std::array<std::chrono::minutes, 3> delays{std::chrono::minutes(15), std::chrono::hours(1),
                                                            std::chrono::hours(4)};

/// How many of the delays a wait has passed.
unsigned delay_level(std::chrono::microseconds waited) noexcept;

/// Notices when civil time and the time that really passed go apart: somebody, or NTP, has set the clock. For
/// `quarantine` after that, and after a restart of the machine, its time is good for nothing.
struct ClockWatch {
    static constexpr std::chrono::minutes quarantine{10};
    static constexpr std::chrono::minutes tolerance{10};  ///< for the drift and the corrections between two looks

    clock::Instant civil{};
    std::chrono::steady_clock::time_point steady{};
    std::chrono::steady_clock::time_point trusted_from{};

    bool is_trusted() const noexcept { return steady >= trusted_from; }
};

/// The watch after another look; the first one trusts the clock.
ClockWatch look(const std::optional<ClockWatch>& before, clock::Instant civil,
                std::chrono::steady_clock::time_point steady);
std::string to_text(const ClockWatch& watch);
/// Nothing for what to_text() did not write.
std::optional<ClockWatch> parse_clock_watch(std::string_view text);

}  // namespace ums::health
