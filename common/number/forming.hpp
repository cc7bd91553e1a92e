// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a place makes of a number: of what its PBX signalled, the international form; of a number that is wanted, what
// its PBX must dial.
//
// Incoming, in this order:
//
//  1. conversion rules I;
//  2. what begins with `+` or an international prefix is international, unless it is as short as an extension and fewer than
//     five digits stand behind the prefix; else what its type says is completed by what is missing: subscriber, country and
//     area (a called one as short as an extension is one); national, country;
//  3. of type unknown, or none: a destination gets the place's country, area and main number in front, always, unless it is
//     the full number already; an originator or redirector is read as a person there would dial it: up to
//     `internal_length` digits (else `extension_digits`) it is an extension of the place, with the national prefix national, else
//     a number of its area, or one with its area where that is always dialled.
//
// The trap: a PBX that signals the full number of a subscriber, of which 3 would make `+49 30 456987456987123`. It is seen
// by its length: longer than an extension, and beginning with the main number (with area, or country and area, before it).
// It is mended and told (Formed::doubled).
// Without a main number the full number is seen by its area: behind the national prefix, or by its length.
//
// Outgoing, in this order:
//
//  1. only a literal `+` is shortened, without a prefix that is dialled within the country only (`+49 0431`): a number of the
//     place itself to its extension (if `internal_calls`), of its area to the subscriber number (see DialArea), of its
//     country to the national form, all else to the international one; without `+`, up to `internal_length` digits are
//     internal;
//  2. the outside line goes in front, but not of what is internal;
//  3. conversion rules O.
//
// A number that was shortened, prefixed or converted never begins like an emergency or other short number, unless it was
// written like one: shortening stops before it; where that does not help, the number is refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "number/conversion.hpp"
#include "number/number.hpp"

namespace ums::number {

/// The most digits of an extension where a place does not say.
inline constexpr unsigned usual_extension_digits = 4;

struct Formed {
    std::string number;                    ///< `+49 30 456987123`; as it is, without a country in the place
    bool changed = false;                  ///< more was done than removing blanks
    bool doubled = false;                  ///< the trap: it would have been, or was, doubled
    std::optional<std::string> extension;  ///< what stands behind the main number, if it is one of the place
};

/// What the PBX of `site` signalled as `kind`. `type`: as the message says; nothing: as the site says.
Formed form(const Numbering& site, const std::vector<Conversion>& conversions, Conversion::Kind kind,
            std::string_view signalled, std::optional<TypeOfNumber> type = std::nullopt, Steps* steps = nullptr);

/// form() of a destination, its number alone.
std::string incoming(const Numbering& site, const std::vector<Conversion>& conversions, std::string_view signalled,
                     Steps* steps = nullptr);

/// What the PBX of `site` must dial for `wanted`. Throws Error{unusable} for a number without `+` where the site takes
/// only those (`e164_only`), for a `blocked` one, for one that could only be dialled as something that begins like a
/// short number, for a country code with nothing behind it, and for one of which a conversion leaves nothing.
std::string outgoing(const Numbering& site, const std::vector<Conversion>& conversions, std::string_view wanted,
                     Steps* steps = nullptr);

/// What must be dialled anywhere else for what is dialled as `wanted` at `place`: `+49891234` for `1234`. Without a country
/// there, and with `+`, it is `wanted`. Nothing for what only that place knows: an internal number that nobody outside can
/// dial, a short number, one that a conversion changes.
std::optional<std::string> elsewhere(const Numbering& place, const std::vector<Conversion>& conversions,
                                     std::string_view wanted);

/// Why `site` does not dial `wanted` at all: it takes only numbers with `+`, or blocks this one. Nothing if it does.
std::optional<std::string> refusal(const Numbering& site, std::string_view wanted);

/// How many digits of the called number tell that it is one of `site`: country, area and main number, as far as the
/// number has them. 0: it is not, or an extension alone does not tell. `signalled` as a PBX signals it.
std::size_t own_digits(const Numbering& site, std::string_view signalled,
                       std::optional<TypeOfNumber> type = std::nullopt);

/// What stands behind the main number in an international number (`+4930456987123` -> `123`) of `site`; nothing for
/// other numbers. A place without a main number has all behind its area.
std::optional<std::string> extension_of(const Numbering& site, std::string_view international);

}  // namespace ums::number
