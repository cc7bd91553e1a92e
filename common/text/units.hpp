// SPDX-License-Identifier: GPL-3.0-or-later
//
// Amounts with their unit, as administrators write them: `10MB`, `5s`, `30m`, `5d`.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ums {

/// A number of bytes.
struct Bytes {
    std::uint64_t count = 0;
    constexpr auto operator<=>(const Bytes&) const = default;
    constexpr Bytes& operator+=(Bytes other) {
        count += other.count;
        return *this;
    }
};

namespace text {

using Duration = std::chrono::milliseconds;

/// `250ms`, `5s`, `30m`, `4h`, `5d`, `2w`, and `0` alone. A number without a unit is nothing: it would be guessed at.
std::optional<Duration> parse_duration(std::string_view text);
/// The largest unit that says it in a whole number: `90s`, `5d`, `0s`.
std::string format_duration(Duration duration);
/// For people: at most two units, `3d 4h`, `12s`.
std::string rough_duration(Duration duration);

/// `10MB`, `512 kB`, `4096`; k, M, G, T are powers of 1000, Ki, Mi, Gi, Ti of 1024; the `B` may be missing.
std::optional<Bytes> parse_bytes(std::string_view text);
/// For people: `1.5 MB`.
std::string format_bytes(Bytes bytes);

}  // namespace text
}  // namespace ums
