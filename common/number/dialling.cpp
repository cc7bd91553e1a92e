// SPDX-License-Identifier: GPL-3.0-or-later
//
// Of forming.hpp, what is dialled.
#include <algorithm>
#include <utility>

#include "error/error.hpp"
#include "number/forming.hpp"
#include "number/parts.hpp"
#include "text/text.hpp"

namespace ums::number {

namespace {

using Direction = Conversion::Direction;
using Kind = Conversion::Kind;

bool all_digits(std::string_view text) noexcept {
    return text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The code of the country of an international number; empty if nobody has it.
std::string_view country_of(const Numbering& site, std::string_view international) {
    constexpr std::size_t longest = 3;
    const auto digits = international.substr(1);
    if (!site.country.empty() && digits.starts_with(site.country)) return site.country;
    for (std::size_t length = 1; length <= std::min(longest, digits.size()); ++length) {
        if (is_country(digits.substr(0, length))) return digits.substr(0, length);
    }
    return {};
}

// Prefixes that are dialled within a country only, as they are left in behind its code. No 8, with which ordinary numbers
// begin; of Mexico those that went in 2019.
std::vector<std::string_view> trunk_prefixes(const Numbering& site, std::string_view country) {
    const auto habits = habits_of(country);
    std::vector<std::string_view> out;
    if (country == site.country) {
        out.push_back(site.national_prefix());
        if (habits && !habits->national_prefix.starts_with('0')) out.push_back(habits->national_prefix);
    } else {
        out.push_back(habits ? habits->national_prefix : "0");
    }
    if (country == "52") out.insert(out.end(), {"01", "1"});
    std::erase_if(out, [](std::string_view prefix) { return prefix.empty() || prefix == "8"; });
    return out;
}

// `+49 0431 2200`, `+1 1 212 5551234`: no national number begins with 0 where calls within the country do; where they begin
// with another digit, the length tells.
std::string without_trunk_prefix(const Numbering& site, std::string number, unsigned* count = nullptr) {
    if (!number.starts_with('+')) return number;
    const std::string country(country_of(site, number));
    if (country.empty()) return number;
    const auto prefixes = trunk_prefixes(site, country);
    const auto least = least_whole_digits(country);
    for (;;) {
        const auto national = std::string_view(number).substr(1 + country.size());
        const auto found = std::find_if(prefixes.begin(), prefixes.end(), [&](std::string_view prefix) {
            if (national.size() <= prefix.size() || !national.starts_with(prefix)) return false;
            return prefix.front() == '0' || (least > 0 && national.size() - prefix.size() >= least);
        });
        if (found == prefixes.end()) return number;
        number.erase(1 + country.size(), found->size());
        if (count != nullptr) ++*count;
    }
}

// Emergency and service numbers of a place, and whether a number begins with one of them.
class ShortNumbers {
  public:
    explicit ShortNumbers(const Numbering& site) : own_(site.short_numbers) {
        if (!own_) usual_ = emergency_numbers(site.country);
    }
    /// The longest one that `dialled` begins with; empty if none.
    std::string_view hit(std::string_view dialled) const {
        std::string_view longest;
        const auto look = [&](std::string_view one) {
            if (one.size() > longest.size() && dialled.starts_with(one)) longest = one;
        };
        if (own_) std::for_each(own_->begin(), own_->end(), look);
        std::for_each(usual_.begin(), usual_.end(), look);
        return longest;
    }

  private:
    const std::optional<std::vector<std::string>>& own_;
    std::vector<std::string_view> usual_;
};

// Whether a PBX may take the outside line and what follows for `hit`. It knows 112 and 911 by itself, as any telephone does
// (3GPP TS 22.101 10.1); not others, with which ordinary numbers begin behind the outside line (0 91... in Spain, where
// 091 is the police). Nor those with which the outside line and a prefix of the site begin.
bool is_known_by_itself(const Numbering& site, std::string_view hit) {
    const std::string outside(site.outside_line());
    return (hit == "112" || hit == "911") && !(outside + std::string(site.international_prefix())).starts_with(hit) &&
           !(outside + std::string(site.national_prefix())).starts_with(hit);
}

// A number as it is dialled, in one of the forms that reach it.
struct Dialled {
    std::string number;
    std::string what;
    bool outside = true;      // wants the outside line
    bool calls_away = false;  // begins with a prefix that is not meant: somebody else would be called
};

const std::string* matching(const std::vector<std::string>& patterns, const std::string& number,
                            std::string_view not_this = {}) {
    const auto found = std::find_if(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
        return pattern != not_this && text::matches_wildcard(pattern, number);
    });
    return found == patterns.end() ? nullptr : &*found;
}

// The pattern that blocks a normalised number, if any does.
const std::string* blocked_by(const Numbering& site, const std::string& normalised) {
    const bool is_own_country = !site.country.empty() && normalised.starts_with("+" + site.country);
    return matching(site.blocked, normalised, is_own_country ? "+*" : "");
}

// Whether what is dialled is another number to who is called than to who wanted it: +49 89 0900 1 within the area.
bool is_blocked(const Numbering& site, const std::string& dialled) {
    return site.blocks() && blocked_by(site, without_trunk_prefix(site, normalise(dialled, &site))) != nullptr;
}

// The forms of an international number, the shortest first.
std::vector<Dialled> forms_of(const Numbering& site, const std::string& number, bool explain) {
    std::vector<Dialled> forms;
    const auto add = [&](std::string dialled, const auto& what, bool outside = true, bool calls_away = false) {
        forms.push_back({std::move(dialled), explain ? std::string(what()) : std::string(), outside, calls_away});
    };
    const std::string_view digits = std::string_view(number).substr(1);
    const std::string international(site.international_prefix());
    if (!site.country.empty() && digits.starts_with(site.country)) {
        const auto national = digits.substr(site.country.size());
        const bool has_area = !is_of_whole_country(site.country, national);
        const std::string prefix(has_area ? site.national_prefix() : std::string_view());
        // What begins with a prefix that is not meant calls somebody else, abroad perhaps: +49 89 0043 1 as 0043 1.
        const auto calls_away = [&](std::string_view dialled, std::string_view meant) {
            const auto begins_with = [&](const std::string& one) {
                return !one.empty() && one != meant && dialled.starts_with(one);
            };
            return std::any_of(site.international_prefixes.begin(), site.international_prefixes.end(), begins_with) ||
                   (meant.empty() && !prefix.empty() && dialled.starts_with(prefix));
        };
        const bool same_area =
            has_area && !site.area.empty() && national.size() > site.area.size() && national.starts_with(site.area);
        if (site.internal_calls && !site.subscribers.empty()) {
            const auto extension = behind_main(site, number);
            const unsigned most = site.internal_length > 0 ? site.internal_length : most_extension_digits(site);
            // An extension that begins with the outside line leaves the house when it is dialled.
            const bool leaves = extension && std::any_of(site.outside_lines.begin(), site.outside_lines.end(),
                                                         [&](const std::string& line) {
                                                             return !line.empty() && extension->starts_with(line);
                                                         });
            if (extension && !extension->empty() && extension->size() <= most && !leaves) {
                add(
                    std::string(*extension), [] { return "a number of the site itself: internal, no outside line"; },
                    false);
            }
        }
        const auto subscriber = same_area ? national.substr(site.area.size()) : std::string_view();
        if (same_area && site.dial_area() == DialArea::no) {
            add(
                std::string(subscriber), [] { return "same area: subscriber number"; }, true,
                calls_away(subscriber, ""));
        } else if (same_area && site.dial_area() == DialArea::bare) {
            add(
                std::string(national), [] { return "same area: area and subscriber number"; }, true,
                calls_away(national, ""));
        }
        const auto whole = prefix + std::string(national);
        add(
            whole,
            [&] {
                return std::string(same_area && site.dial_area() == DialArea::yes ? "same area, always dialled"
                                                                                  : "same country") +
                       ": national prefix '" + prefix + "'";
            },
            true, calls_away(whole, prefix));
        add(international + std::string(digits),
            [&] { return "no shorter form reaches it: international prefix '" + international + "'"; });
        return forms;
    }
    add(international + std::string(digits),
        [&] { return "another country: international prefix '" + international + "'"; });
    return forms;
}

// An internal number as it is dialled from outside; nothing if it is no extension, or leaves the house by itself.
std::optional<std::string> called_from_outside(const Numbering& place, const std::string& extension) {
    if (behind_prefix(place.outside_lines, extension)) return std::nullopt;
    const auto digits = place.extension_digits.value_or(Digits(usual_extension_digits));
    const auto* main = main_number_of(place, extension);
    if (main == nullptr || !digits.contains(extension.size()) || !main->takes(extension)) return std::nullopt;
    return strip(written(place, main->number + extension));
}

// Numbers that each country has for itself: 411 and others of up to three digits, 116117 and 11833, those with which only
// services begin, and what is too short where all numbers are whole. No subscriber's number is one.
bool is_service_number(const Numbering& place, const std::string& number) {
    constexpr std::size_t shortest = 4;
    constexpr std::size_t longest = 6;
    if (number.size() < shortest) return true;
    if (number.size() <= longest) {
        // No subscriber's number begins with 1 where numbers have fixed lengths: 1471, 131234, 1818.
        const bool only_services = number.starts_with('1') && least_whole_digits(place.country) > 0;
        if (only_services || number.starts_with("11") || is_of_whole_country(place.country, number)) return true;
    }
    return number.size() <= shortest && place.dial_area() != DialArea::no;
}

}  // namespace

std::string outgoing(const Numbering& site, const std::vector<Conversion>& conversions, std::string_view wanted,
                     Steps* steps) {
    std::string stripped = strip(wanted);
    note(steps, "wanted", stripped);
    if (stripped.empty()) return stripped;
    if (const auto why = refusal(site, wanted)) throw Error(Fault::unusable, *why);
    const ShortNumbers shorts(site);
    const bool international = stripped.starts_with('+');
    if (stripped == "+" || stripped == "+" + site.country) {
        throw Error(Fault::unusable,
                    text::quote(wanted) + " cannot be dialled: nothing stands behind the country code");
    }
    unsigned prefixes = 0;
    if (auto plain = without_trunk_prefix(site, stripped, &prefixes); plain != stripped) {
        if (prefixes > 1) {
            throw Error(Fault::unusable,
                        text::quote(wanted) + " cannot be dialled: no number begins so behind the country");
        }
        stripped = std::move(plain);
        note(steps, "a prefix behind the country removed, which only calls within it have", stripped);
    }
    // Who writes a short number means it: this one, whatever stands behind it, and no other; alone, it is dialled in any case.
    const std::string meant(shorts.hit(stripped));
    const bool meant_alone = !meant.empty() && stripped == meant;
    const auto accident = [&](std::string_view dialled) {
        const auto hit = meant_alone ? std::string_view() : shorts.hit(dialled);
        return hit == meant ? std::string_view() : hit;
    };

    // What is internal and begins with the outside line leaves the house.
    const auto behind_any_line = [&](std::string_view dialled) {
        for (const auto& line : site.outside_lines) {
            if (line.empty() || !dialled.starts_with(line)) continue;
            if (const auto found = accident(dialled.substr(line.size())); !found.empty()) return found;
        }
        return std::string_view();
    };

    std::vector<Dialled> forms;
    if (international) {
        forms = forms_of(site, stripped, steps != nullptr);
    } else {
        const bool internal = stripped.size() <= site.internal_length && all_digits(stripped);
        forms.push_back({stripped, internal ? "internal number: no outside line" : "", !internal});
    }
    std::string why_not;
    for (auto& form : forms) {
        Steps own;
        Steps* noted = steps == nullptr ? nullptr : &own;
        std::string number = std::move(form.number);
        if (noted != nullptr && !form.what.empty()) note(noted, form.what, number);
        if (form.calls_away) {
            if (steps != nullptr) note(steps, "not dialled so: with this beginning somebody else is called", number);
            if (why_not.empty()) why_not = text::quote(number) + " would call somebody else";
            continue;
        }
        if (form.outside && international && is_blocked(site, number)) {
            if (steps != nullptr) note(steps, "not dialled so: the site blocks that", number);
            if (why_not.empty()) why_not = "the site blocks " + text::quote(number);
            continue;
        }
        std::string_view hit = accident(number);
        if (!form.outside && hit.empty()) hit = behind_any_line(number);
        const std::string outside(form.outside ? site.outside_line() : std::string_view());
        if (!outside.empty()) {
            number.insert(0, outside);
            if (noted != nullptr) note(noted, "outside line '" + outside + "'", number);
        }
        const bool converted = apply_conversions(conversions, Direction::outgoing, Kind::destination, number, noted);
        if (number.empty()) {
            throw Error(Fault::unusable,
                        text::quote(wanted) + " cannot be dialled: a conversion rule of the site leaves nothing of it");
        }
        if (hit.empty() || converted) {
            std::string_view dialled = number;
            if (!outside.empty() && dialled.starts_with(outside)) dialled.remove_prefix(outside.size());
            hit = accident(dialled);
            if (hit.empty() && converted) hit = behind_any_line(number);
            if (hit.empty() && is_known_by_itself(site, shorts.hit(number))) hit = accident(number);
        }
        if (hit.empty()) {
            if (steps != nullptr) steps->insert(steps->end(), own.begin(), own.end());
            return number;
        }
        if (why_not.empty()) {
            why_not = text::quote(number) + " begins like the short number " + text::quote(hit) +
                      ", which nobody shall reach by accident";
        }
        if (steps != nullptr) {
            note(steps, "not dialled so: it begins like the short number '" + std::string(hit) + "'", number);
        }
    }
    throw Error(Fault::unusable, text::quote(wanted) + " cannot be dialled: " + why_not);
}

std::optional<std::string> elsewhere(const Numbering& place, const std::vector<Conversion>& conversions,
                                     std::string_view wanted) {
    auto number = strip(wanted);
    if (number.empty() || number.starts_with('+') || !all_digits(number)) return number;
    if (ShortNumbers(place).hit(number) == number) return std::nullopt;
    const bool internal = number.size() <= place.internal_length;
    const std::string dialled = (internal ? std::string() : std::string(place.outside_line())) + number;
    if (convert(conversions, Direction::outgoing, Kind::destination, dialled)) return std::nullopt;
    if (place.country.empty()) return number;
    if (internal) return called_from_outside(place, number);
    if (is_service_number(place, number)) return std::nullopt;
    auto there = place;
    there.internal_length = 0;
    return normalise(number, &there);
}

std::optional<std::string> refusal(const Numbering& site, std::string_view wanted) {
    if (!site.e164_only && !site.blocks()) return std::nullopt;
    const auto number = strip(wanted);
    if (number.empty()) return std::nullopt;
    if (site.e164_only && !number.starts_with('+')) {
        return text::quote(wanted) + " is not international: the site takes only numbers with '+'";
    }
    const auto normalised = normalise(number, &site);
    const auto* pattern = blocked_by(site, normalised);
    if (pattern == nullptr) pattern = blocked_by(site, without_trunk_prefix(site, normalised));
    if (pattern == nullptr && number.size() > site.internal_length) {
        pattern = matching(site.blocked_as_written, number);
    }
    if (pattern == nullptr) return std::nullopt;
    return text::quote(wanted) + " is not dialled: the site blocks " + text::quote(*pattern);
}

}  // namespace ums::number
