// SPDX-License-Identifier: GPL-3.0-or-later
//
// number: telephone numbers between what people write, E.164, and what a PBX dials.
//
// Pure functions. The words are those of the domain: country `49`, area `8142` (without its leading 0, but Italy keeps
// it: `02`), subscriber `4799` (the PBX's main number), extension, outside line, national prefix `0`, international
// prefix `00`. Numbers that look wrong are never refused: real extensions are longer than any metadata says.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ums::number {

/// The numbering of a place. Empty strings mean "there is none".
struct Numbering {
    std::string country;                       ///< digits
    std::string area;                          ///< digits; empty where a country has no area codes
    std::string subscriber;                    ///< digits; empty for point-to-multipoint lines
    std::optional<unsigned> extension_digits;  ///< at most so many digits are direct dial-in
    std::string national_prefix = "0";
    std::string international_prefix = "00";
    std::string outside_line;      ///< what the PBX wants before an external number
    unsigned internal_length = 0;  ///< numbers up to so many digits are internal; 0: none
    bool e164_only = false;
    bool always_dial_area = false;  ///< national form even within the own area (Italy, Belgium)
    bool operator==(const Numbering&) const = default;
};

/// Only the digits and a leading `+`: blanks, dashes, slashes, dots, brackets gone (Unicode's too), and the `(0)` that
/// people put behind a country code, unless it is Italy's, where the 0 belongs to the number: `+49 (0)89/4799-123` ->
/// `+49894799123`. `tel:` and its parameters are removed (RFC 3966). Full-width and Arabic-Indic digits become ASCII
/// digits. All else stays, letters too, so that a wrong number stays recognisable; bytes that are no UTF-8 become
/// U+FFFD.
std::string strip(std::string_view spelling);

/// True if strip() leaves only digits, at least one, and perhaps a leading `+`: what can be compared as a number at
/// all.
bool is_number(std::string_view spelling);

/// strip(), then in international form: `00...` (and the `home`'s international prefix) becomes `+...`, and with a
/// `home` that has a country a number with its national prefix becomes `+<country>...`, one without any prefix
/// `+<country><area>...` if it is longer than `home.internal_length` (`+<country>...` where the national prefix is
/// empty and the area always dialled: Italy). Without a home only `+` and `00` are understood; the rest stays as it is,
/// and so does what is more than digits. Idempotent: normalise(normalise(x)) == normalise(x).
std::string normalise(std::string_view spelling, const Numbering* home = nullptr);

/// The same for a pattern with `*` and `?`, which stay: `0049 8142-4838*` -> `+4981424838*`. `?` counts as a digit. A
/// pattern whose start is open is not completed: `*4838` stays. text::matches_wildcard() compares it with normalise()
/// of a number.
std::string normalise_pattern(std::string_view pattern, const Numbering* home = nullptr);

/// True if `pattern` is made of what numbers are made of, `*` and `?`, with at least one digit or `+`.
bool is_number_pattern(std::string_view pattern) noexcept;

/// One step of a computation, for people: what was done, and what the number was after it.
struct Step {
    std::string what;
    std::string number;
};

/// `<Direction>;<Match>;<Conversion>`, as in `O;D=00498142;D=8[9]`: the destination of an outgoing call that begins
/// with 00498142 becomes 8 and what stands from position 9 on. Direction I or O; kinds D destination, O originator,
/// R redirector; both kinds of a rule are the same. Without `[n]` nothing is kept.
struct Conversion {
    enum class Direction { incoming, outgoing } direction = Direction::outgoing;
    enum class Kind { destination, originator, redirector } kind = Kind::destination;
    std::string match;          ///< prefix: digits, `+`, `*`, `#`
    std::string replacement;    ///< put in its place
    std::size_t keep_from = 0;  ///< position, from 1, of the first character kept; 0: nothing is kept
    std::string text;           ///< as it was written
    bool operator==(const Conversion&) const = default;
};
/// Throws Error{configuration} with what is wrong.
Conversion parse_conversion(std::string_view text);
/// The first conversion of `direction` and `kind` that matches, applied; nothing if none does.
std::optional<std::string> convert(const std::vector<Conversion>& conversions, Conversion::Direction direction,
                                   Conversion::Kind kind, std::string_view number, const Conversion** used = nullptr);

/// The limit of incoming() where a site does not say its extension digits.
inline constexpr unsigned usual_extension_digits = 4;

/// What the PBX of `site` signalled, as `+<country> <area> <subscriber><extension>`, `+49 30 456987123`: conversions
/// first; a number that begins with `+`, or with the international prefix, is international already and gets no blanks; otherwise the
/// site's country, area and subscriber are put in front, always. But if the number already begins with the subscriber
/// number (or with area and subscriber, with or without the national prefix, or with country, area and subscriber) and
/// is longer than `extension_digits`, it is the full one, and only what is missing is put in front: the doubled number
/// that administrators fear. Without a country in the site the number stays as it is after the conversions.
std::string incoming(const Numbering& site, const std::vector<Conversion>& conversions, std::string_view signalled,
                     std::vector<Step>* steps = nullptr);

/// What the PBX of `site` must dial for `wanted`. Only a literal `+` is shortened: same area, subscriber number (not if
/// `always_dial_area`); same country, national prefix; else international prefix; then the outside line. Without `+`:
/// up to `internal_length` digits as they are, else the outside line in front. Then the conversions. `e164_only` and a
/// number without `+` throws Error{unusable}.
std::string outgoing(const Numbering& site, const std::vector<Conversion>& conversions, std::string_view wanted,
                     std::vector<Step>* steps = nullptr);

}  // namespace ums::number
