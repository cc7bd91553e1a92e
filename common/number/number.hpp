// SPDX-License-Identifier: GPL-3.0-or-later
//
// number: telephone numbers between what people write, E.164, and what a PBX dials.
//
// Pure functions. The words are those of the domain: country `49`, area `8142` (without its leading 0, but Italy keeps
// it: `02`), subscriber `4799` (the PBX's main number), extension, outside line, national prefix `0`, international
// prefix `00`. Numbers that look wrong are never refused: real extensions are longer than any metadata says.
//
// This header: how a number is spelled, and the numbering of a place. What a place makes of a number is in
// number/forming.hpp, conversion rules are in number/conversion.hpp, what metadata says of a number in number/advice.hpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ums::number {

/// How many digits something has, both ends included.
struct Digits {
    unsigned least = 0;
    unsigned most = 0;
    constexpr Digits() = default;
    constexpr Digits(unsigned up_to) : most(up_to) {}
    constexpr Digits(unsigned from, unsigned to) : least(from), most(to) {}
    bool contains(std::size_t count) const noexcept { return count >= least && count <= most; }
    bool operator==(const Digits&) const = default;
};

/// Extensions of one length: `100` to `299`, both ends included.
struct Extensions {
    std::string first;
    std::string last;  ///< as many digits as `first`
    bool contains(std::string_view extension) const noexcept {
        return extension.size() == first.size() && extension >= first && extension <= last;
    }
    bool operator==(const Extensions&) const = default;
};

/// A main number of a PBX: what stands before the extension.
struct MainNumber {
    std::string number;                    ///< digits; empty only for a block whose extensions are whole numbers
    std::vector<Extensions> extensions{};  ///< only these are its own; empty: all of the right length
    bool takes(std::string_view extension) const noexcept;
    bool operator==(const MainNumber&) const = default;
};

/// The type of a number as ISDN and SIP trunks signal it (Q.931 4.5.8): how much of it is there.
enum class TypeOfNumber { unknown, subscriber, national, international };
std::string_view to_string(TypeOfNumber type) noexcept;
/// The word, in any case, or its code in Q.931 (0 unknown, 1 international, 2 national, 4 subscriber; 3 and others say
/// nothing of the length: unknown). Nothing for other text.
std::optional<TypeOfNumber> parse_type_of_number(std::string_view text) noexcept;

/// Whether the area is dialled within the area itself.
enum class DialArea {
    no,    ///< the subscriber number alone
    yes,   ///< in national form: Italy, Belgium
    bare,  ///< area and subscriber number, without the national prefix: the ten digits of North America
};

/// Whether there may be more digits than are seen, as in a pattern.
enum class Length { known, open };

/// The numbering of a place. Empty strings and lists mean "there is none".
struct Numbering {
    std::string country;                     ///< digits
    std::string area;                        ///< digits; empty where a country has no area codes
    std::vector<MainNumber> subscribers;     ///< the first is the usual one; empty for point-to-multipoint lines
    std::optional<Digits> extension_digits;  ///< so many digits are direct dial-in
    /// Of these three, the first is dialled, all are understood. A place without a national prefix has `{}` or `{""}`.
    std::vector<std::string> national_prefixes{"0"};
    std::vector<std::string> international_prefixes{"00"};
    std::vector<std::string> outside_lines;  ///< what the PBX wants before an external number
    unsigned internal_length = 0;            ///< numbers up to so many digits are internal; 0: none
    bool internal_calls = false;             ///< a number of the place itself is dialled as its extension
    bool remove_outside_line = false;        ///< the PBX puts its outside line before the numbers of callers
    bool e164_only = false;
    DialArea always_dial_area = DialArea::no;
    /// What a number is of which the message does not say its type.
    TypeOfNumber destination_type = TypeOfNumber::unknown;
    TypeOfNumber originator_type = TypeOfNumber::unknown;
    TypeOfNumber redirector_type = TypeOfNumber::unknown;
    /// Emergency and service numbers that no other number may reach; nothing: those of the country.
    std::optional<std::vector<std::string>> short_numbers;
    /// Patterns as normalise_pattern() leaves them: numbers that are not dialled, premium ones for instance. `+*` are those of
    /// other countries.
    std::vector<std::string> blocked;
    /// The same for what is written without `+`, but for internal numbers: patterns with `*` as they were written.
    std::vector<std::string> blocked_as_written;

    bool blocks() const noexcept { return !blocked.empty() || !blocked_as_written.empty(); }
    /// Whether no number is dialled without a prefix, those of the own area neither: Belgium, France.
    bool has_no_local_form() const noexcept;

    /// The prefixes that are dialled; empty where there is none.
    std::string_view national_prefix() const noexcept;
    std::string_view international_prefix() const noexcept;
    std::string_view outside_line() const noexcept;
    /// `always_dial_area`; `yes` also where the country has no other way: Italy, and where there are no areas.
    DialArea dial_area() const noexcept;
    /// Whether a number that is dialled without any prefix has its area in it, or needs none.
    bool has_area(std::string_view digits, Length length = Length::known) const;
    /// The same wherever the area is dialled otherwise, by what the number itself tells.
    bool is_whole(std::string_view digits, Length length = Length::known) const;
    /// Whether a number without any prefix has its country in it: it is too long for one of the country, 34612345678 in Spain.
    bool has_country(std::string_view digits) const noexcept;
    /// What stands behind the longest national prefix that `digits` begins with; nothing if with none, or if only a whole number
    /// may follow and this is none: 8122345678 in Russia is a number of Saint Petersburg.
    std::optional<std::string_view> behind_national_prefix(std::string_view digits,
                                                           Length length = Length::known) const noexcept;
    bool operator==(const Numbering&) const = default;
};

/// What stands behind the longest of the prefixes that `digits` begins with and is more than.
std::optional<std::string_view> behind_prefix(const std::vector<std::string>& prefixes,
                                              std::string_view digits) noexcept;

/// Where a country does not dial as most do, `0` and `00`: its prefixes, as its places would configure them. Nothing
/// for the others. A test compares them with the metadata of libphonenumber.
struct Habits {
    std::string_view name;                  ///< `Denmark`
    std::string_view national_prefix;       ///< empty: none
    std::string_view international_prefix;  ///< `00`
    bool has_areas = true;
};
std::optional<Habits> habits_of(std::string_view country) noexcept;

/// Whether the 0 of an area belongs to the number, and is dialled from everywhere: Italy, San Marino, the Vatican.
bool keeps_zero(std::string_view country) noexcept;

/// Where the area is dialled within it, behind the national prefix: Belgium, France, South Africa, Switzerland. A place must
/// say so itself, see DialArea.
bool always_dials_area(std::string_view country) noexcept;

/// Patterns of national numbers that belong to no area and are dialled without prefix: 1300, 1800, 1900 and 13 in Australia,
/// 1800 in Ireland, 115 and 118.. in Germany, 116... in Europe.
std::vector<std::string_view> numbers_of_whole_country(std::string_view country);
bool is_of_whole_country(std::string_view country, std::string_view national);

/// With so many digits, a number that is dialled without any prefix has its area in it: those of an area are shorter. 0 where
/// the length does not tell, as in Germany.
std::size_t least_whole_digits(std::string_view country) noexcept;
/// No national number of a subscriber has more; 0 likewise.
std::size_t most_whole_digits(std::string_view country) noexcept;

/// Whether a country, or several, has this code.
bool is_country(std::string_view country) noexcept;

/// The emergency numbers of a country; `112` where it is not known.
std::vector<std::string_view> emergency_numbers(std::string_view country);

/// Only the digits and a leading `+`: blanks, dashes, slashes, dots, brackets gone (Unicode's too), and the `(0)` that
/// people put behind a country code, unless it is Italy's, where the 0 belongs to the number: `+49 (0)89/4799-123` ->
/// `+49894799123`. `tel:` and its parameters are removed (RFC 3966). Full-width and Arabic-Indic digits become ASCII
/// digits. All else stays, letters too, so that a wrong number stays recognisable; bytes that are no UTF-8 become
/// U+FFFD.
std::string strip(std::string_view spelling);

/// True if strip() leaves only digits, at least one, and perhaps a leading `+`: what can be compared as a number at
/// all.
bool is_number(std::string_view spelling);
/// The same of what strip() returned.
bool is_stripped_number(std::string_view stripped) noexcept;

/// strip(), then in international form: `00...` (and an international prefix of `home`) becomes `+...`, and with a
/// `home` that has a country a number with its national prefix becomes `+<country>...`, one without any prefix
/// `+<country><area>...` if it is longer than `home.internal_length` (`+<country>...` where the national prefix is
/// empty and the area always dialled: Italy; and for one that is_whole()). Without a home only `+` and `00` are
/// understood; the rest stays as it is, and so does what is more than digits. Idempotent: normalise(normalise(x)) == normalise(x).
std::string normalise(std::string_view spelling, const Numbering* home = nullptr);

/// The same for a pattern with `*` and `?`, which stay: `0049 8142-4838*` -> `+4981424838*`. `?` counts as a digit. A
/// pattern whose start is open is not completed: `*4838` stays. text::matches_wildcard() compares it with normalise()
/// of a number.
std::string normalise_pattern(std::string_view pattern, const Numbering* home = nullptr);

/// Adds `pattern` to what `place` blocks. With `*` it is no internal number; it covers numbers of the own area where they are
/// dialled without a prefix, those of the whole country that begin so, and in North America those of an area: `900*`.
void block(Numbering& place, std::string_view pattern);

/// True if `pattern` is made of what numbers are made of, `*` and `?`, with at least one digit or `+`.
bool is_number_pattern(std::string_view pattern) noexcept;

/// One step of a computation, for people: what was done, and what the number was after it.
struct Step {
    std::string what;
    std::string number;
};
using Steps = std::vector<Step>;

}  // namespace ums::number
