// SPDX-License-Identifier: GPL-3.0-or-later
#include "number/number.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "error/error.hpp"
#include "text/text.hpp"

namespace ums::number {

namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_wildcard(char c) noexcept { return c == '*' || c == '?'; }

bool is_digits(std::string_view text) noexcept { return std::all_of(text.begin(), text.end(), is_digit); }

// What people and their programs put between digits: blanks, dashes and invisible marks of Unicode as well as ASCII's.
bool is_separator(char32_t c) noexcept {
    static constexpr std::u32string_view ascii = U" \t\r\n-/.()[]";
    if (c < 0x80) return ascii.find(c) != std::u32string_view::npos;
    return c == 0xa0 || c == 0xad || c == 0x61c || (c >= 0x2000 && c <= 0x2015) || (c >= 0x2028 && c <= 0x202f) ||
           c == 0x205f || (c >= 0x2060 && c <= 0x2069) || c == 0x2212 || c == 0x2215 || c == 0x3000 || c == 0xfeff ||
           c == 0xff08 || c == 0xff09 || c == 0xff0d || c == 0xff0e || c == 0xff0f;
}

// ASCII's spelling of a digit or plus of another script; 0 for anything else.
char to_ascii(char32_t c) noexcept {
    for (const char32_t zero : {U'\uff10', U'\u0660', U'\u06f0'}) {
        if (c >= zero && c < zero + 10) return static_cast<char>('0' + (c - zero));
    }
    return c == U'\uff0b' ? '+' : '\0';
}

// The length of a `(0)` at the start of `text`, or of another of the prefixes; 0 if there is none.
std::size_t trunk_prefix(std::string_view text, std::string_view prefixes) noexcept {
    std::size_t i = 1;
    bool found = false;
    for (; i < text.size() && text[i] != ')'; ++i) {
        if (prefixes.find(text[i]) != prefixes.npos && !found) {
            found = true;
        } else if (text[i] != ' ') {
            return 0;
        }
    }
    return found && i < text.size() ? i + 1 : 0;
}

// The prefixes that people put behind a country code in brackets; none for Italy, where the 0 belongs to the number.
std::string_view trunk_prefixes_behind(std::string_view country_code) noexcept {
    if (country_code == "+39" || country_code == "0039") return "";
    return country_code == "+7" || country_code == "007" ? "08" : "0";
}

std::string without_separators(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        if (is_digit(text[0]) || text[0] == '+') {
            out += text[0];
            text.remove_prefix(1);
            continue;
        }
        if (text[0] == '(' && !out.empty()) {
            if (const auto length = trunk_prefix(text, trunk_prefixes_behind(out)); length > 0) {
                text.remove_prefix(length);
                continue;
            }
        }
        const auto c = text::decode(text);
        if (c.length == 0) {
            out += "\xef\xbf\xbd";
        } else if (const char ascii = to_ascii(c.code); ascii != '\0') {
            out += ascii;
        } else if (!is_separator(c.code)) {
            out += text.substr(0, c.length);
        }
        text.remove_prefix(std::max<std::size_t>(c.length, 1));
    }
    return out;
}

// RFC 3966: `tel:1234;phone-context=+49-89` is +49891234; a context that is no number (a domain) is dropped, as all parameters.
std::optional<std::string> without_scheme(std::string_view text) {
    constexpr std::string_view scheme = "tel:";
    constexpr std::string_view context = ";phone-context=";
    if (!text::starts_with_ignoring_case(text, scheme)) return std::nullopt;
    text.remove_prefix(scheme.size());
    const auto number = text.substr(0, text.find(';'));
    std::string out(number);
    for (auto rest = text.substr(number.size()); !rest.empty();) {
        const auto end = rest.find(';', 1);
        if (text::starts_with_ignoring_case(rest, context) && !text::trim(number).starts_with('+')) {
            const auto value = text::trim(rest.substr(0, end).substr(context.size()));
            if (value.starts_with('+')) out = std::string(value) + out;
        }
        rest.remove_prefix(std::min(end, rest.size()));
    }
    return out;
}

// Whether `text` has no more than `limit` digits before its first `*`.
bool is_internal(std::string_view text, unsigned limit) noexcept {
    return text.substr(0, text.find('*')).size() <= limit;
}

std::string_view first_of(const std::vector<std::string>& texts) noexcept {
    return texts.empty() ? std::string_view() : std::string_view(texts.front());
}

// normalise() of something already stripped, a pattern or a number; both have only digits in `digits_of` sense.
std::string complete(std::string stripped, const Numbering* home) {
    const std::string_view text = stripped;
    if (text.empty() || text[0] == '+' || is_wildcard(text[0])) return stripped;
    const auto only = [](char c) { return is_digit(c) || is_wildcard(c); };
    if (!std::all_of(text.begin(), text.end(), only)) return stripped;
    const auto plus = [](std::string_view country, std::string_view area, std::string_view rest) {
        return std::string("+").append(country).append(area).append(rest);
    };
    // The longest prefix counts: 0011 of Australia, not 00.
    static const std::vector<std::string> usual{"00"};
    auto rest = behind_prefix(usual, text);
    if (home != nullptr) {
        const auto own = behind_prefix(home->international_prefixes, text);
        if (own && (!rest || own->size() < rest->size())) rest = own;
    }
    if (rest) return plus("", "", *rest);
    if (home == nullptr || home->country.empty()) return stripped;
    const auto star = text.find('*');
    const auto length = star == text.npos ? Length::known : Length::open;
    if (const auto national = home->behind_national_prefix(text, length)) return plus(home->country, "", *national);
    if (is_internal(text, home->internal_length)) return stripped;
    const auto digits = text.substr(0, star);
    // Where the area comes behind a prefix, what has no prefix has no area, unless its length tells.
    const bool has_area = home->has_no_local_form() ? home->is_whole(digits, length) : home->has_area(digits, length);
    return plus(home->country, has_area ? std::string_view() : std::string_view(home->area), text);
}

}  // namespace

bool MainNumber::takes(std::string_view extension) const noexcept {
    return extensions.empty() || std::any_of(extensions.begin(), extensions.end(),
                                             [&](const Extensions& one) { return one.contains(extension); });
}

std::optional<std::string_view> behind_prefix(const std::vector<std::string>& prefixes,
                                              std::string_view digits) noexcept {
    std::size_t longest = 0;
    for (const auto& one : prefixes) {
        if (one.size() > longest && digits.size() > one.size() && digits.starts_with(one)) longest = one.size();
    }
    return longest == 0 ? std::nullopt : std::optional(digits.substr(longest));
}

std::optional<std::string_view> Numbering::behind_national_prefix(std::string_view digits,
                                                                  Length length) const noexcept {
    const auto rest = behind_prefix(national_prefixes, digits);
    // No number of an area begins with 0.
    const bool may_be_area = !digits.starts_with('0') && length == Length::known;
    return rest && may_be_area && rest->size() < least_whole_digits(country) ? std::nullopt : rest;
}

std::string_view Numbering::national_prefix() const noexcept { return first_of(national_prefixes); }
bool Numbering::has_no_local_form() const noexcept {
    return country != "1" && dial_area() == DialArea::yes && !national_prefix().empty();
}
std::string_view Numbering::international_prefix() const noexcept { return first_of(international_prefixes); }
std::string_view Numbering::outside_line() const noexcept { return first_of(outside_lines); }

std::string_view to_string(TypeOfNumber type) noexcept {
    switch (type) {
        case TypeOfNumber::unknown: return "unknown";
        case TypeOfNumber::subscriber: return "subscriber";
        case TypeOfNumber::national: return "national";
        case TypeOfNumber::international: return "international";
    }
    return "unknown";
}

std::optional<TypeOfNumber> parse_type_of_number(std::string_view text) noexcept {
    text = text::trim(text);
    for (const auto type :
         {TypeOfNumber::unknown, TypeOfNumber::subscriber, TypeOfNumber::national, TypeOfNumber::international}) {
        if (text::equal_ignoring_case(text, to_string(type))) return type;
    }
    if (text.size() != 1 || text[0] < '0' || text[0] > '7') return std::nullopt;
    if (text[0] == '1') return TypeOfNumber::international;
    if (text[0] == '2') return TypeOfNumber::national;
    return text[0] == '4' ? TypeOfNumber::subscriber : TypeOfNumber::unknown;
}

std::string strip(std::string_view spelling) {
    std::string out(text::trim(spelling));
    // `t el:` has become a scheme by the second time.
    for (auto bare = std::optional(out); bare;) {
        while (auto shorter = without_scheme(*bare)) bare = std::move(shorter);
        out = without_separators(*bare);
        bare = without_scheme(out);
    }
    return out;
}

bool is_stripped_number(std::string_view stripped) noexcept {
    const auto digits = stripped.substr(stripped.starts_with('+') ? 1 : 0);
    return !digits.empty() && is_digits(digits);
}

bool is_number(std::string_view spelling) { return is_stripped_number(strip(spelling)); }

std::string normalise(std::string_view spelling, const Numbering* home) {
    std::string stripped = strip(spelling);
    // `*` and `?` are no digits of a number: `*21#` is a code for the PBX.
    if (stripped.find_first_of("*?") != std::string::npos) return stripped;
    return complete(std::move(stripped), home);
}

std::string normalise_pattern(std::string_view pattern, const Numbering* home) {
    return complete(strip(pattern), home);
}

void block(Numbering& place, std::string_view pattern) {
    const auto stripped = strip(pattern);
    const auto star = stripped.find('*');
    if (star == stripped.npos) {
        place.blocked.push_back(normalise_pattern(pattern, &place));
        return;
    }
    auto outside = place;
    outside.internal_length = 0;
    const auto whole = normalise_pattern(pattern, &outside);
    const auto own = "+" + place.country;
    const bool has_no_prefix =
        !place.country.empty() && (whole == own + stripped || whole == own + place.area + stripped);
    if (!has_no_prefix || !place.has_no_local_form()) place.blocked.push_back(whole);
    if (!is_digit(stripped.front()) || whole == "+*") return;
    place.blocked_as_written.push_back(stripped);
    if (!has_no_prefix) return;
    if (place.country == "1") {
        for (const auto& other : {own + stripped, own + place.area + stripped}) {
            if (other != whole) place.blocked.push_back(other);
        }
    }
    const auto start = std::string_view(stripped).substr(0, star);
    for (const auto service : numbers_of_whole_country(place.country)) {
        const auto common = std::min({start.size(), service.size(), service.find_first_of("?*")});
        if (start.substr(0, common) != service.substr(0, common)) continue;
        if (start.size() <= common) {
            place.blocked.push_back(own + std::string(service));
        } else if (service.ends_with('*') || start.size() <= service.size()) {
            const auto rest = service.ends_with('*') ? std::string_view("*") : service.substr(start.size());
            place.blocked.push_back(own + std::string(start) + std::string(rest));
        }
    }
}

bool is_number_pattern(std::string_view pattern) noexcept {
    static constexpr std::string_view parts = "0123456789+*? \t-/.()";
    return pattern.find_first_of("0123456789+") != std::string_view::npos &&
           pattern.find_first_not_of(parts) == std::string_view::npos;
}

}  // namespace ums::number
