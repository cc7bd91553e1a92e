// SPDX-License-Identifier: GPL-3.0-or-later
//
// text: small functions on strings. All work on bytes; letter case is ASCII's only, whatever the locale.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ums::text {

/// `text` fit for a terminal, a log and a tab-separated line: control characters (C0, DEL, C1), backslash and bytes
/// that are no UTF-8 become `\n`, `\t`, `\r`, `\\` or `\xHH`. Bidirectional overrides (U+202A..202E, U+2066..2069) too:
/// they can make a line read as another. Printable UTF-8 stays.
std::string escape(std::string_view text);
/// What escape() wrote, as it was before: a text that is read and written again and again must not grow.
std::string unescape(std::string_view text);

/// The same for a sentence that is escaped in its parts already: control characters go, backslashes stay as they are.
std::string visible(std::string_view text);

/// escape() in single quotes, for names in sentences.
std::string quote(std::string_view text);

/// `text` as a JSON string with its quotes (RFC 8259). Bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

/// The UTF-8 character that `text` (not empty) begins with. Overlong forms, surrogates and what lies above U+10FFFF are
/// invalid (RFC 3629): their `length` is 0, and the first byte stands for itself.
struct Character {
    char32_t code = 0;
    std::size_t length = 0;
};
Character decode(std::string_view text) noexcept;
/// Whether all of it is characters.
bool is_utf8(std::string_view text) noexcept;
/// As UTF-8 what is Latin-1 (ISO 8859-1), which has a character for each byte.
std::string from_latin1(std::string_view text);

std::string lower(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;
bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) noexcept;

/// Without leading and trailing space, tab, CR and LF.
std::string_view trim(std::string_view text) noexcept;

/// The parts of `text` between separators; an empty text has one empty part.
std::vector<std::string_view> split(std::string_view text, char separator);

/// Whether `pattern` covers all of `text`: `*` any bytes, also none; `?` exactly one byte (one UTF-8 character).
/// Everything else stands for itself, letters in either case if `IgnoreCase::yes`. At most |text| x |pattern| steps.
enum class IgnoreCase { no, yes };
bool matches_wildcard(std::string_view pattern, std::string_view text, IgnoreCase ignore = IgnoreCase::no);

/// The candidate nearest to a mistyped `word`, if one is near enough to be meant (Damerau-Levenshtein distance of at
/// most a third of its length).
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

/// A decimal number without sign, blanks or overflow; nothing else.
std::optional<unsigned long long> parse_number(std::string_view text) noexcept;

/// 64-bit FNV-1a, and its 16 lower-case hexadecimal digits: stable names for things, no protection against anybody.
unsigned long long hash(std::string_view text) noexcept;
std::string hex(unsigned long long value);

}  // namespace ums::text
