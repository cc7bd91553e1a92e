// SPDX-License-Identifier: GPL-3.0-or-later
#include "number/forming.hpp"

#include <algorithm>
#include <utility>

#include "number/parts.hpp"

namespace ums::number {

namespace {

using Kind = Conversion::Kind;

// written() of a number with its area in it, `8912345`.
std::string written_national(const Numbering& site, std::string_view national) {
    if (!site.area.empty() && national.size() > site.area.size() && national.starts_with(site.area)) {
        return written(site, national.substr(site.area.size()));
    }
    return "+" + site.country + " " + std::string(national);
}

// Fewer digits behind a prefix are no number.
constexpr std::size_t shortest_number = 5;

// Whether the digits behind a prefix are too few for a number: then all of them are an extension like any
// other. A PBX that numbers its extensions from 000 has some that begin with 00.
bool may_be_extension(std::string_view number, std::string_view behind_prefix, unsigned most) {
    return number.size() <= most && behind_prefix.size() < shortest_number;
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

TypeOfNumber usual_type(const Numbering& site, Kind kind) {
    switch (kind) {
        case Kind::destination: return site.destination_type;
        case Kind::originator: return site.originator_type;
        case Kind::redirector: return site.redirector_type;
    }
    return TypeOfNumber::unknown;
}

// Of type subscriber: a called number is one of the PBX, so what has no more digits than an extension is one, unless the main
// number is in it.
bool is_called_extension(const Numbering& site, std::string_view number) {
    const auto& all = site.subscribers;
    return site.extension_digits && number.size() <= most_extension_digits(site) && !all.empty() &&
           std::none_of(all.begin(), all.end(),
                        [&](const MainNumber& one) { return one.number.empty() || number.starts_with(one.number); });
}

// Of a place without a main number: the international form of a called number that is whole already, and so one of its area.
// It has the area behind the national prefix, or by its length, or with a 0 that belongs to it (Italy); or the country too.
std::optional<std::string> called_whole(const Numbering& site, std::string_view number) {
    if (!site.subscribers.empty() || site.country.empty()) return std::nullopt;
    const auto is_own = [&](std::string_view national) {
        return national.size() > site.area.size() && national.starts_with(site.area);
    };
    if (site.has_country(number) && is_own(number.substr(site.country.size()))) return "+" + std::string(number);
    const auto rest = site.behind_national_prefix(number);
    const bool is_whole = rest || site.is_whole(number) || (keeps_zero(site.country) && site.area.starts_with('0'));
    const auto national = rest.value_or(number);
    const bool lacks_only_country = site.area.empty() && !rest;
    if (!is_whole || lacks_only_country || !is_own(national)) return std::nullopt;
    return "+" + site.country + std::string(national);
}

// written() of an international number of the place's country.
std::string written_international(const Numbering& site, std::string_view international) {
    return written_national(site, international.substr(1 + site.country.size()));
}

class Forming {
  public:
    /// `type`: as the message says; nothing: as the site says.
    Forming(const Numbering& site, Kind kind, std::optional<TypeOfNumber> type, Steps* steps)
        : site_(site),
          kind_(kind),
          type_(type.value_or(usual_type(site, kind))),
          is_told_(type.has_value()),
          steps_(steps) {}

    Formed form(std::string number) {
        Formed formed;
        formed.number = std::move(number);
        if (formed.number.starts_with('+')) {
            note(steps_, "is international already", formed.number);
            mend(formed);
            return formed;
        }
        if (kind_ != Kind::destination && site_.remove_outside_line) remove_outside_line(formed);
        if (!is_told_ && type_ != TypeOfNumber::unknown && !site_.country.empty() && kind_ != Kind::destination &&
            formed.number.size() <= most_internal()) {
            extension(formed);
            return formed;
        }
        if (type_ == TypeOfNumber::international) return typed_international(std::move(formed));
        if (const auto rest = behind_prefix(site_.international_prefixes, formed.number);
            rest && is_from_abroad(formed.number, *rest)) {
            const std::string was = formed.number.substr(0, formed.number.size() - rest->size());
            set(formed, "+" + std::string(*rest), "international prefix '" + was + "' is '+'");
            mend(formed);
            return formed;
        }
        if (site_.country.empty()) {
            note(steps_, "the site has no country: the number stays", formed.number);
            return formed;
        }
        switch (type_) {
            case TypeOfNumber::subscriber: typed_subscriber(formed); break;
            case TypeOfNumber::national: typed_national(formed); break;
            default: kind_ == Kind::destination ? destination(formed) : caller(formed);
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

    // No national or subscriber's number begins with 0 and what abroad wants, whatever type a PBX says.
    bool is_from_abroad(std::string_view number, std::string_view behind_prefix) const {
        if (type_ == TypeOfNumber::unknown) return !is_extension(number, behind_prefix);
        return number.starts_with('0') && behind_prefix.size() >= shortest_number;
    }

    void mend(Formed& formed) {
        if (kind_ != Kind::destination) return;
        if (auto better = mended(site_, strip(formed.number))) {
            formed.doubled = true;
            set(formed, std::move(*better), "has the main number twice: mended");
        }
    }

    void remove_outside_line(Formed& formed) {
        const auto rest = behind_prefix(site_.outside_lines, formed.number);
        if (!rest || formed.number.size() <= site_.internal_length) return;
        const std::string was = formed.number.substr(0, formed.number.size() - rest->size());
        set(formed, std::string(*rest), "outside line '" + was + "' removed");
    }

    Formed typed_international(Formed formed) {
        const auto rest = behind_prefix(site_.international_prefixes, formed.number).value_or(formed.number);
        set(formed, "+" + std::string(rest), "type international: '+' in front");
        mend(formed);
        return formed;
    }

    void typed_subscriber(Formed& formed) {
        if (kind_ == Kind::destination) {
            if (is_called_extension(site_, formed.number)) return extension(formed);
            if (is_full(formed)) return;
        }
        const auto rest = site_.behind_national_prefix(formed.number);
        if (rest ? rest->size() >= shortest_number : site_.is_whole(formed.number)) {
            set(formed, written_national(site_, rest.value_or(formed.number)),
                "type subscriber, but with its area: country of the site in front");
        } else {
            set(formed, written(site_, formed.number), "type subscriber: country and area of the site in front");
        }
        mend(formed);
    }

    // Whether the called number is the full one already, and so is not completed.
    bool is_full(Formed& formed) {
        const std::string& number = formed.number;
        if (!site_.subscribers.empty() && number.size() > most_extension_digits(site_)) {
            const auto full = find_full(site_, number);
            // A subscriber's number is what the type says.
            if (full && (full->before > 0 || type_ != TypeOfNumber::subscriber)) {
                formed.doubled = true;
                set(formed, written(site_, number.substr(full->before)),
                    "is the full " + std::string(full->what) + " already: not doubled");
                mend(formed);
                return true;
            }
        }
        const auto whole = called_whole(site_, number);
        if (!whole) return false;
        formed.doubled = true;
        set(formed, written_international(site_, *whole), "is the full number already: not doubled");
        return true;
    }

    void typed_national(Formed& formed) {
        const auto national = site_.behind_national_prefix(formed.number).value_or(formed.number);
        set(formed, written_national(site_, national), "type national: country of the site in front");
        mend(formed);
    }

    void extension(Formed& formed) {
        in_front(formed, "an extension of the site: country, area and subscriber in front");
    }

    void destination(Formed& formed) {
        if (!is_full(formed)) in_front(formed, "country, area and subscriber of the site in front");
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
        if (const auto rest = site_.behind_national_prefix(formed.number);
            rest && !is_extension(formed.number, *rest)) {
            set(formed, written_national(site_, *rest), "national prefix: country of the site in front");
            return;
        }
        if (formed.number.size() <= most_internal()) {
            extension(formed);
        } else if (site_.has_country(formed.number)) {
            set(formed, "+" + formed.number,
                "a number with its country, too long for one of this country: '+' in front");
        } else if (site_.has_area(formed.number)) {
            set(formed, written_national(site_, formed.number), "a number with its area: country of the site in front");
        } else {
            set(formed, written(site_, formed.number), "a number of the area: country and area of the site in front");
        }
    }

    const Numbering& site_;
    Kind kind_;
    TypeOfNumber type_;
    bool is_told_;
    Steps* steps_;
};

}  // namespace

Formed form(const Numbering& site, const std::vector<Conversion>& conversions, Kind kind, std::string_view signalled,
            std::optional<TypeOfNumber> type, Steps* steps) {
    std::string number = strip(signalled);
    if (steps != nullptr) {
        note(steps, type ? "signalled, type " + std::string(to_string(*type)) : "signalled", number);
    }
    if (number.empty()) return {};
    const bool converted = apply_conversions(conversions, Conversion::Direction::incoming, kind, number, steps);
    auto formed = Forming(site, kind, type, steps).form(std::move(number));
    formed.changed = formed.changed || converted;
    if (kind == Kind::destination) formed.extension = extension_of(site, strip(formed.number));
    return formed;
}

std::string incoming(const Numbering& site, const std::vector<Conversion>& conversions, std::string_view signalled,
                     Steps* steps) {
    return form(site, conversions, Kind::destination, signalled, std::nullopt, steps).number;
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
    if (is == TypeOfNumber::subscriber && is_called_extension(site, number)) return 0;
    if (is == TypeOfNumber::unknown) {
        if (const auto rest = behind_prefix(site.international_prefixes, number);
            rest && (site.subscribers.empty() || !may_be_extension(number, *rest, most_extension_digits(site)))) {
            return of_international("+" + std::string(*rest));
        }
        if (number.size() <= most_extension_digits(site)) return 0;
        const auto full = find_full(site, number);
        if (full && full->main->takes(std::string_view(number).substr(full->digits()))) return full->digits();
        // A number with its area tells the place, also where that has no main number.
        const auto whole = site.area.empty() ? std::nullopt : called_whole(site, number);
        if (const auto behind = whole ? behind_main(site, *whole) : std::nullopt) return number.size() - behind->size();
        return 0;
    }
    return of_international(strip(form(site, {}, Kind::destination, number, is).number));
}

}  // namespace ums::number
