// SPDX-License-Identifier: GPL-3.0-or-later
#include "text/units.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "text/text.hpp"

namespace ums::text {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array<Unit, 6> duration_units{
    {{"w", 7ULL * 86'400'000}, {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

constexpr std::array<Unit, 10> byte_units{{{"", 1},
                                           {"k", 1000},
                                           {"K", 1000},
                                           {"M", 1'000'000},
                                           {"G", 1'000'000'000},
                                           {"T", 1'000'000'000'000},
                                           {"Ki", 1ULL << 10},
                                           {"Mi", 1ULL << 20},
                                           {"Gi", 1ULL << 30},
                                           {"Ti", 1ULL << 40}}};

// `<digits><blanks><rest>`
struct Amount {
    std::uint64_t number;
    std::string_view unit;
};

std::optional<Amount> split_amount(std::string_view text) {
    text = trim(text);
    const auto digits = text.find_first_not_of("0123456789");
    const auto number = parse_number(text.substr(0, digits));
    if (!number) return std::nullopt;
    return Amount{*number, digits == std::string_view::npos ? std::string_view{} : trim(text.substr(digits))};
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    const auto amount = split_amount(text);
    if (!amount) return std::nullopt;
    if (amount->unit.empty()) return amount->number == 0 ? std::optional(Duration::zero()) : std::nullopt;
    for (const auto& unit : duration_units) {
        if (amount->unit != unit.name) continue;
        // A hundred years is more than anybody waits, and far from overflow in microseconds.
        if (amount->number > 100ULL * 366 * 86'400'000 / unit.factor) return std::nullopt;
        return Duration(static_cast<std::int64_t>(amount->number * unit.factor));
    }
    return std::nullopt;
}

std::string format_duration(Duration duration) {
    if (duration.count() == 0) return "0s";
    const std::string sign = duration.count() < 0 ? "-" : "";
    const auto amount = static_cast<std::uint64_t>(std::abs(duration.count()));
    for (const auto& unit : duration_units) {
        if (amount % unit.factor == 0) return sign + std::to_string(amount / unit.factor) + std::string(unit.name);
    }
    return sign + std::to_string(amount) + "ms";
}

std::string rough_duration(Duration duration) {
    if (duration.count() < 0) return "-" + rough_duration(-duration);
    const auto amount = static_cast<std::uint64_t>(duration.count());
    if (amount < 1000) return std::to_string(amount) + "ms";
    for (std::size_t i = 1; i < 5; ++i) {  // days to seconds
        const auto& unit = duration_units.at(i);
        if (amount < unit.factor) continue;
        std::string out = std::to_string(amount / unit.factor) + std::string(unit.name);
        const auto& smaller = duration_units.at(i + 1);
        const auto rest = amount % unit.factor / smaller.factor;
        if (i < 4 && rest > 0) out += " " + std::to_string(rest) + std::string(smaller.name);
        return out;
    }
    return "0s";
}

std::optional<Bytes> parse_bytes(std::string_view text) {
    const auto amount = split_amount(text);
    if (!amount) return std::nullopt;
    auto name = amount->unit;
    if (name.ends_with('B')) name.remove_suffix(1);
    for (const auto& unit : byte_units) {
        if (name != unit.name) continue;
        if (amount->number > std::numeric_limits<std::uint64_t>::max() / unit.factor) return std::nullopt;
        return Bytes{amount->number * unit.factor};
    }
    return std::nullopt;
}

std::string format_bytes(Bytes bytes) {
    static constexpr std::array<const char*, 5> names{"B", "kB", "MB", "GB", "TB"};
    auto value = static_cast<double>(bytes.count);
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < names.size()) {
        value /= 1000;
        ++unit;
    }
    std::array<char, 32> out{};
    std::snprintf(out.data(), out.size(), unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, names.at(unit));
    return out.data();
}

}  // namespace ums::text
