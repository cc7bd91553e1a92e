// SPDX-License-Identifier: GPL-3.0-or-later
#include "number/parts.hpp"

#include <algorithm>
#include <utility>

#include "number/forming.hpp"

namespace ums::number {

void note(Steps* steps, std::string what, const std::string& number) {
    if (steps != nullptr) steps->push_back({std::move(what), number});
}

bool apply_conversions(const std::vector<Conversion>& conversions, Conversion::Direction direction,
                       Conversion::Kind kind, std::string& number, Steps* steps) {
    const Conversion* used = nullptr;
    auto converted = convert(conversions, direction, kind, number, &used);
    if (!converted) return false;
    number = std::move(*converted);
    if (steps != nullptr) note(steps, "conversion '" + used->text + "'", number);
    return true;
}

std::string written(const Numbering& site, std::string_view subscriber) {
    std::string out = "+" + site.country;
    if (!site.area.empty()) out.append(" ").append(site.area);
    return out.append(" ").append(subscriber);
}

unsigned most_extension_digits(const Numbering& site) {
    return site.extension_digits ? site.extension_digits->most : usual_extension_digits;
}

const MainNumber* main_number_of(const Numbering& site, std::string_view extension) {
    const auto& all = site.subscribers;
    const auto named = std::find_if(
        all.begin(), all.end(), [&](const MainNumber& one) { return !one.extensions.empty() && one.takes(extension); });
    if (named != all.end()) return &*named;
    const auto open =
        std::find_if(all.begin(), all.end(), [](const MainNumber& one) { return one.extensions.empty(); });
    if (open != all.end()) return &*open;
    return all.empty() ? nullptr : &all.front();
}

std::optional<std::string_view> behind_main(const Numbering& site, std::string_view international,
                                            const MainNumber** main) {
    if (site.country.empty() || !international.starts_with('+')) return std::nullopt;
    auto rest = international.substr(1);
    for (const std::string_view part : {std::string_view(site.country), std::string_view(site.area)}) {
        if (!rest.starts_with(part)) return std::nullopt;
        rest.remove_prefix(part.size());
    }
    if (site.subscribers.empty()) return rest;
    const MainNumber* longest = nullptr;
    for (const auto& one : site.subscribers) {
        if (!rest.starts_with(one.number) || !one.takes(rest.substr(one.number.size()))) continue;
        if (longest == nullptr || one.number.size() > longest->number.size()) longest = &one;
    }
    if (longest == nullptr) return std::nullopt;
    if (main != nullptr) *main = longest;
    return rest.substr(longest->number.size());
}

}  // namespace ums::number
