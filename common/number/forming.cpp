// SPDX-License-Identifier: GPL-3.0-or-later
#include "number/forming.hpp"

#include <algorithm>
#include <utility>

#include "error/error.hpp"
#include "text/text.hpp"

namespace ums::number {

namespace {

using Direction = Conversion::Direction;
using Kind = Conversion::Kind;

bool all_digits(std::string_view text) noexcept {
    return text.find_first_not_of("0123456789") == std::string_view::npos;
}

void note(Steps* steps, std::string what, const std::string& number) {
    if (steps != nullptr) steps->push_back({std::move(what), number});
}

bool apply_conversions(const std::vector<Conversion>& conversions, Direction direction, Kind kind, std::string& number,
                       Steps* steps) {
    const Conversion* used = nullptr;
    auto converted = convert(conversions, direction, kind, number, &used);
    if (!converted) return false;
    number = std::move(*converted);
    if (steps != nullptr) note(steps, "conversion '" + used->text + "'", number);
    return true;
}

// What stands behind the longest of the prefixes that `number` begins with and is more than.
std::optional<std::string_view> behind_prefix(const std::vector<std::string>& prefixes, std::string_view number,
                                              std::string_view* prefix = nullptr) {
    std::size_t longest = 0;
    for (const auto& one : prefixes) {
        if (one.size() > longest && number.size() > one.size() && number.starts_with(one)) longest = one.size();
    }
    if (longest == 0) return std::nullopt;
    if (prefix != nullptr) *prefix = number.substr(0, longest);
    return number.substr(longest);
}

// `+49 30 456987123`: country and area of the site in front.
std::string written(const Numbering& site, std::string_view subscriber) {
    std::string out = "+" + site.country;
    if (!site.area.empty()) out.append(" ").append(site.area);
    return out.append(" ").append(subscriber);
}

// The same of a number with its area in it, `8912345`.
std::string written_national(const Numbering& site, std::string_view national) {
    if (!site.area.empty() && national.size() > site.area.size() && national.starts_with(site.area)) {
        return written(site, national.substr(site.area.size()));
    }
    return "+" + site.country + " " + std::string(national);
}

unsigned most_extension_digits(const Numbering& site) {
    return site.extension_digits ? site.extension_digits->most : usual_extension_digits;
}

// Whether the digits behind a prefix are too few for a number: then all of them are an extension like any
// other. A PBX that numbers its extensions from 000 has some that begin with 00.
bool may_be_extension(std::string_view number, std::string_view behind_prefix, unsigned most) {
    constexpr std::size_t shortest_number = 5;
    return number.size() <= most && behind_prefix.size() < shortest_number;
}

// Trunk prefixes that were left in, `+49 0431 2200`: no national number begins with 0 where calls within the country do.
std::string without_trunk_prefix(const Numbering& site, std::string number, unsigned* count = nullptr) {
    const auto prefix = site.national_prefix();
    const std::string own = "+" + site.country;
    if (site.country.empty() || !prefix.starts_with('0') || !number.starts_with(own)) return number;
    for (;;) {
        const auto national = std::string_view(number).substr(own.size());
        if (national.size() <= prefix.size() || !national.starts_with(prefix)) return number;
        number.erase(own.size(), prefix.size());
        if (count != nullptr) ++*count;
    }
}

// The main number that `extension` belongs to: the first that names it among its own, else the first that takes all.
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

// A number that begins with a main number of the site, in one of the forms that a PBX may signal.
struct Full {
    const MainNumber* main = nullptr;
    std::size_t before = 0;      // digits before the main number
    std::string_view what = {};  // `subscriber number`
    std::size_t digits() const { return before + main->number.size(); }
};

std::optional<Full> find_full(const Numbering& site, std::string_view number) {
    std::optional<Full> found;
    const auto try_form = [&](const MainNumber& main, std::string_view first, std::string_view second,
                              std::string_view third, std::string_view what) {
        auto rest = number;
        for (const auto part : {first, second, third}) {
            if (!rest.starts_with(part)) return;
            rest.remove_prefix(part.size());
        }
        const std::size_t before = number.size() - rest.size();
        if (!rest.starts_with(main.number)) return;
        const Full full{&main, before, what};
        if (!found || full.digits() > found->digits()) found = full;
    };
    for (const auto& main : site.subscribers) {
        if (main.number.empty()) continue;
        try_form(main, "", "", "", "subscriber number");
        for (const auto& prefix : site.national_prefixes) try_form(main, "", prefix, site.area, "national number");
        try_form(main, "", "", site.area, "national number");
        try_form(main, "", site.country, site.area, "international number");
    }
    return found;
}

// Of `+<country><area><main>...` what stands behind the main number, of the longest one.
std::optional<std::string_view> behind_main(const Numbering& site, std::string_view international,
                                            const MainNumber** main = nullptr) {
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

// An international number in which the main number stands twice, without the first of the two.
std::optional<std::string> mended(const Numbering& site, const std::string& international) {
    for (const auto& main : site.subscribers) {
        const std::string own = "+" + site.country + site.area + main.number;
        if (main.number.empty() || site.country.empty() || !international.starts_with(own)) continue;
        const auto rest = std::string_view(international).substr(own.size());
        if (rest.size() <= most_extension_digits(site)) continue;
        const auto again = find_full(site, rest);
        if (!again) continue;
        return written(site, rest.substr(again->before));
    }
    return std::nullopt;
}

class Forming {
  public:
    Forming(const Numbering& site, Kind kind, TypeOfNumber type, Steps* steps)
        : site_(site), kind_(kind), type_(type), steps_(steps) {}

    Formed form(std::string number) {
        Formed formed;
        formed.number = std::move(number);
        if (formed.number.starts_with('+')) {
            note(steps_, "is international already", formed.number);
            mend(formed);
            return formed;
        }
        if (kind_ != Kind::destination && site_.remove_outside_line) remove_outside_line(formed);
        if (type_ == TypeOfNumber::international) return typed_international(std::move(formed));
        std::string_view prefix;
        if (const auto rest = behind_prefix(site_.international_prefixes, formed.number, &prefix);
            rest && type_ == TypeOfNumber::unknown && !is_extension(formed.number, *rest)) {
            const std::string was(prefix);
            set(formed, "+" + std::string(*rest), "international prefix '" + was + "' is '+'");
            mend(formed);
            return formed;
        }
        if (site_.country.empty()) {
            note(steps_, "the site has no country: the number stays", formed.number);
            return formed;
        }
        if (type_ == TypeOfNumber::subscriber) {
            set(formed, written(site_, formed.number), "type subscriber: country and area of the site in front");
            mend(formed);
        } else if (type_ == TypeOfNumber::national) {
            auto national = behind_prefix(site_.national_prefixes, formed.number).value_or(formed.number);
            set(formed, written_national(site_, national), "type national: country of the site in front");
            mend(formed);
        } else if (kind_ == Kind::destination) {
            destination(formed);
        } else {
            caller(formed);
        }
        return formed;
    }

  private:
    void set(Formed& formed, std::string number, const std::string& what) {
        formed.number = std::move(number);
        formed.changed = true;
        note(steps_, what, formed.number);
    }

    // Numbers up to so many digits are those of extensions.
    unsigned most_internal() const {
        if (kind_ == Kind::destination) return most_extension_digits(site_);
        if (site_.internal_length > 0) return site_.internal_length;
        return site_.extension_digits ? site_.extension_digits->most : 0;
    }

    bool is_extension(std::string_view number, std::string_view behind_prefix) const {
        return !site_.subscribers.empty() && may_be_extension(number, behind_prefix, most_internal());
    }

    void mend(Formed& formed) {
        if (kind_ != Kind::destination) return;
        if (auto better = mended(site_, strip(formed.number))) {
            formed.doubled = true;
            set(formed, std::move(*better), "has the main number twice: mended");
        }
    }

    void remove_outside_line(Formed& formed) {
        std::string_view prefix;
        const auto rest = behind_prefix(site_.outside_lines, formed.number, &prefix);
        if (!rest || formed.number.size() <= site_.internal_length) return;
        const std::string was(prefix);
        set(formed, std::string(*rest), "outside line '" + was + "' removed");
    }

    Formed typed_international(Formed formed) {
        const auto rest = behind_prefix(site_.international_prefixes, formed.number).value_or(formed.number);
        set(formed, "+" + std::string(rest), "type international: '+' in front");
        mend(formed);
        return formed;
    }

    void destination(Formed& formed) {
        const std::string& number = formed.number;
        if (!site_.subscribers.empty() && number.size() > most_extension_digits(site_)) {
            if (const auto full = find_full(site_, number)) {
                formed.doubled = true;
                set(formed, written(site_, number.substr(full->before)),
                    "is the full " + std::string(full->what) + " already: not doubled");
                mend(formed);
                return;
            }
        }
        in_front(formed, "country, area and subscriber of the site in front");
    }

    void in_front(Formed& formed, std::string what) {
        const auto* main = main_number_of(site_, formed.number);
        if (main != nullptr && steps_ != nullptr && site_.subscribers.size() > 1) {
            what += ", main number '" + main->number + "'";
            if (!main->takes(formed.number)) what += ", though no main number has this extension";
        }
        set(formed, written(site_, (main != nullptr ? main->number : std::string()) + formed.number), what);
    }

    void caller(Formed& formed) {
        if (const auto rest = behind_prefix(site_.national_prefixes, formed.number);
            rest && !is_extension(formed.number, *rest)) {
            set(formed, written_national(site_, *rest), "national prefix: country of the site in front");
            return;
        }
        if (formed.number.size() <= most_internal()) {
            in_front(formed, "an extension of the site: country, area and subscriber in front");
        } else if (site_.has_area(formed.number)) {
            set(formed, written_national(site_, formed.number), "a number with its area: country of the site in front");
        } else {
            set(formed, written(site_, formed.number), "a number of the area: country and area of the site in front");
        }
    }

    const Numbering& site_;
    Kind kind_;
    TypeOfNumber type_;
    Steps* steps_;
};

TypeOfNumber usual_type(const Numbering& site, Kind kind) {
    switch (kind) {
        case Kind::destination: return site.destination_type;
        case Kind::originator: return site.originator_type;
        case Kind::redirector: return site.redirector_type;
    }
    return TypeOfNumber::unknown;
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

// The pattern that blocks a normalised number, if any does.
const std::string* blocked_by(const Numbering& site, const std::string& normalised) {
    const bool is_own_country = !site.country.empty() && normalised.starts_with("+" + site.country);
    const auto found = std::find_if(site.blocked.begin(), site.blocked.end(), [&](const std::string& pattern) {
        return text::matches_wildcard(pattern, normalised) && !(is_own_country && pattern == "+*");
    });
    return found == site.blocked.end() ? nullptr : &*found;
}

// Whether what is dialled is another number to who is called than to who wanted it: +49 89 0900 1 within the area.
bool is_blocked(const Numbering& site, const std::string& dialled) {
    return !site.blocked.empty() && blocked_by(site, without_trunk_prefix(site, normalise(dialled, &site))) != nullptr;
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
        const std::string prefix(is_of_whole_country(site.country, national) ? std::string_view()
                                                                             : site.national_prefix());
        // What begins with a prefix that is not meant calls somebody else, abroad perhaps: +49 89 0043 1 as 0043 1.
        const auto calls_away = [&](std::string_view dialled, std::string_view meant) {
            const auto begins_with = [&](const std::string& one) {
                return !one.empty() && one != meant && dialled.starts_with(one);
            };
            return std::any_of(site.international_prefixes.begin(), site.international_prefixes.end(), begins_with) ||
                   (meant.empty() && !prefix.empty() && dialled.starts_with(prefix));
        };
        const bool same_area =
            !site.area.empty() && national.size() > site.area.size() && national.starts_with(site.area);
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

// Numbers that each country has for itself: 411 and others of up to three digits, 116117 and 11833, and what is too short
// where all numbers are whole. No subscriber's number is one.
bool is_service_number(const Numbering& place, const std::string& number) {
    constexpr std::size_t shortest = 4;
    constexpr std::size_t longest = 6;
    if (number.size() < shortest || (number.starts_with("11") && number.size() <= longest)) return true;
    return number.size() <= shortest && place.dial_area() != DialArea::no;
}

}  // namespace

Formed form(const Numbering& site, const std::vector<Conversion>& conversions, Kind kind, std::string_view signalled,
            std::optional<TypeOfNumber> type, Steps* steps) {
    std::string number = strip(signalled);
    if (steps != nullptr) {
        note(steps, type ? "signalled, type " + std::string(to_string(*type)) : "signalled", number);
    }
    if (number.empty()) return {};
    const bool converted = apply_conversions(conversions, Direction::incoming, kind, number, steps);
    auto formed = Forming(site, kind, type.value_or(usual_type(site, kind)), steps).form(std::move(number));
    formed.changed = formed.changed || converted;
    if (kind == Kind::destination) formed.extension = extension_of(site, strip(formed.number));
    return formed;
}

std::string incoming(const Numbering& site, const std::vector<Conversion>& conversions, std::string_view signalled,
                     Steps* steps) {
    return form(site, conversions, Kind::destination, signalled, std::nullopt, steps).number;
}

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
                        text::quote(wanted) + " cannot be dialled: no number begins so behind +" + site.country);
        }
        stripped = std::move(plain);
        note(steps, "national prefix '" + std::string(site.national_prefix()) + "' behind the country removed",
             stripped);
    }
    // Who writes a short number means it: this one, whatever stands behind it, and no other; alone, it is dialled in any case.
    const std::string meant(shorts.hit(stripped));
    const bool meant_alone = !meant.empty() && stripped == meant;
    const auto accident = [&](std::string_view dialled) {
        const auto hit = meant_alone ? std::string_view() : shorts.hit(dialled);
        return hit == meant ? std::string_view() : hit;
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
        // What is internal and begins with the outside line leaves the house.
        const auto behind_any_line = [&](std::string_view dialled) {
            for (const auto& line : site.outside_lines) {
                if (line.empty() || !dialled.starts_with(line)) continue;
                if (const auto found = accident(dialled.substr(line.size())); !found.empty()) return found;
            }
            return std::string_view();
        };
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
    if (!site.e164_only && site.blocked.empty()) return std::nullopt;
    const auto number = strip(wanted);
    if (number.empty()) return std::nullopt;
    if (site.e164_only && !number.starts_with('+')) {
        return text::quote(wanted) + " is not international: the site takes only numbers with '+'";
    }
    const auto* pattern = blocked_by(site, without_trunk_prefix(site, normalise(number, &site)));
    if (pattern == nullptr) return std::nullopt;
    return text::quote(wanted) + " is not dialled: the site blocks " + text::quote(*pattern);
}

std::optional<std::string> extension_of(const Numbering& site, std::string_view international) {
    const auto behind = behind_main(site, international);
    return behind ? std::optional<std::string>(*behind) : std::nullopt;
}

std::size_t own_digits(const Numbering& site, std::string_view signalled, std::optional<TypeOfNumber> type) {
    const auto number = strip(signalled);
    if (site.country.empty() || !is_stripped_number(number)) return 0;
    const auto of_international = [&](std::string_view international) -> std::size_t {
        const MainNumber* main = nullptr;
        const auto behind = behind_main(site, international, &main);
        return behind ? international.size() - 1 - behind->size() : 0;
    };
    if (number.starts_with('+')) return of_international(number);
    const auto is = type.value_or(site.destination_type);
    if (is == TypeOfNumber::unknown) {
        if (const auto rest = behind_prefix(site.international_prefixes, number);
            rest && (site.subscribers.empty() || !may_be_extension(number, *rest, most_extension_digits(site)))) {
            return of_international("+" + std::string(*rest));
        }
        if (number.size() <= most_extension_digits(site)) return 0;
        const auto full = find_full(site, number);
        if (full && full->main->takes(std::string_view(number).substr(full->digits()))) return full->digits();
        // A number with its area tells the place, also where that has no main number.
        for (const auto& prefix : site.national_prefixes) {
            if (!prefix.empty() && !site.area.empty() && site.subscribers.empty() &&
                number.starts_with(prefix + site.area)) {
                return site.area.size();
            }
        }
        return 0;
    }
    return of_international(strip(form(site, {}, Kind::destination, number, is).number));
}

}  // namespace ums::number
