// SPDX-License-Identifier: GPL-3.0-or-later
#include "number/number.hpp"

#include <algorithm>
#include <array>

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

// The length of a `(0)` at the start of `text`; 0 if there is none.
std::size_t trunk_zero(std::string_view text) noexcept {
    std::size_t i = 1;
    bool zero = false;
    for (; i < text.size() && text[i] != ')'; ++i) {
        if (text[i] == '0' && !zero) {
            zero = true;
        } else if (text[i] != ' ') {
            return 0;
        }
    }
    return zero && i < text.size() ? i + 1 : 0;
}

bool keeps_trunk_zero(std::string_view so_far) noexcept { return so_far == "+39" || so_far == "0039"; }

std::string without_separators(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        if (is_digit(text[0]) || text[0] == '+') {
            out += text[0];
            text.remove_prefix(1);
            continue;
        }
        if (text[0] == '(' && !out.empty() && !keeps_trunk_zero(out)) {
            if (const auto length = trunk_zero(text); length > 0) {
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

bool drop_scheme(std::string_view& text) noexcept {
    bool dropped = false;
    while (text::starts_with_ignoring_case(text, "tel:")) {
        text = text.substr(4, text.find(';') == std::string_view::npos ? text.npos : text.find(';') - 4);
        dropped = true;
    }
    return dropped;
}

// Whether `text` has no more than `limit` digits before its first `*`.
bool is_internal(std::string_view text, unsigned limit) noexcept {
    return text.substr(0, text.find('*')).size() <= limit;
}

// normalise() of something already stripped, a pattern or a number; both have only digits in `digits_of` sense.
std::string complete(std::string stripped, const Numbering* home) {
    const std::string_view text = stripped;
    if (text.empty() || text[0] == '+' || is_wildcard(text[0])) return stripped;
    const auto only = [](char c) { return is_digit(c) || is_wildcard(c); };
    if (!std::all_of(text.begin(), text.end(), only)) return stripped;
    const auto without = [&](std::string_view prefix) -> std::optional<std::string_view> {
        if (prefix.empty() || text.size() <= prefix.size() || !text.starts_with(prefix)) return std::nullopt;
        return text.substr(prefix.size());
    };
    const auto plus = [](std::string_view country, std::string_view area, std::string_view rest) {
        return std::string("+").append(country).append(area).append(rest);
    };
    if (const auto rest = without("00")) return plus("", "", *rest);
    if (home == nullptr) return stripped;
    if (const auto rest = without(home->international_prefix)) return plus("", "", *rest);
    if (home->country.empty()) return stripped;
    if (const auto rest = without(home->national_prefix)) return plus(home->country, "", *rest);
    if (is_internal(text, home->internal_length)) return stripped;
    const bool area_is_dialled = home->always_dial_area && home->national_prefix.empty();
    return plus(home->country, area_is_dialled ? std::string_view() : std::string_view(home->area), text);
}

void note(std::vector<Step>* steps, std::string what, const std::string& number) {
    if (steps != nullptr) steps->push_back({std::move(what), number});
}

void apply_conversions(const std::vector<Conversion>& conversions, Conversion::Direction direction, std::string& number,
                       std::vector<Step>* steps) {
    const Conversion* used = nullptr;
    if (auto converted = convert(conversions, direction, Conversion::Kind::destination, number, &used)) {
        number = std::move(*converted);
        note(steps, "conversion '" + used->text + "'", number);
    }
}

}  // namespace

std::string strip(std::string_view spelling) {
    spelling = text::trim(spelling);
    drop_scheme(spelling);
    std::string out = without_separators(spelling);
    // `t el:` has become a scheme by now.
    if (std::string_view rest = out; drop_scheme(rest)) return without_separators(rest);
    return out;
}

bool is_number(std::string_view spelling) {
    const std::string stripped = strip(spelling);
    const auto digits = std::string_view(stripped).substr(stripped.starts_with('+') ? 1 : 0);
    return !digits.empty() && is_digits(digits);
}

std::string normalise(std::string_view spelling, const Numbering* home) {
    std::string stripped = strip(spelling);
    // `*` and `?` are no digits of a number: `*21#` is a code for the PBX.
    if (stripped.find_first_of("*?") != std::string::npos) return stripped;
    return complete(std::move(stripped), home);
}

std::string normalise_pattern(std::string_view pattern, const Numbering* home) {
    return complete(strip(pattern), home);
}

bool is_number_pattern(std::string_view pattern) noexcept {
    static constexpr std::string_view parts = "0123456789+*? \t-/.()";
    return pattern.find_first_of("0123456789+") != std::string_view::npos &&
           pattern.find_first_not_of(parts) == std::string_view::npos;
}

Conversion parse_conversion(std::string_view text) {
    Conversion conversion;
    conversion.text = text::trim(text);
    const auto fail = [&](const std::string& what) -> Error {
        return {Fault::configuration, "conversion " + text::quote(conversion.text) + ": " + what};
    };
    const auto parts = text::split(conversion.text, ';');
    if (parts.size() != 3) throw fail("must be '<direction>;<match>;<conversion>', as in 'O;D=00498142;D=8[9]'");

    const auto direction = text::trim(parts[0]);
    if (text::equal_ignoring_case(direction, "I")) {
        conversion.direction = Conversion::Direction::incoming;
    } else if (text::equal_ignoring_case(direction, "O")) {
        conversion.direction = Conversion::Direction::outgoing;
    } else {
        throw fail("the direction must be I or O, not " + text::quote(direction));
    }

    const auto parse_part = [&](std::string_view part, std::string_view& value) {
        part = text::trim(part);
        const auto equals = part.find('=');
        if (equals == std::string_view::npos) throw fail(text::quote(part) + " has no '='; as in 'D=00498142'");
        const auto kind = text::trim(part.substr(0, equals));
        value = text::trim(part.substr(equals + 1));
        if (text::equal_ignoring_case(kind, "D")) return Conversion::Kind::destination;
        if (text::equal_ignoring_case(kind, "O")) return Conversion::Kind::originator;
        if (text::equal_ignoring_case(kind, "R")) return Conversion::Kind::redirector;
        throw fail("the kind of number must be D, O or R, not " + text::quote(kind));
    };
    const auto check = [&](std::string_view value) {
        if (const auto bad = value.find_first_not_of("0123456789+*#"); bad != std::string_view::npos) {
            throw fail(text::quote(value.substr(bad, 1)) + " is not a digit, '+', '*' or '#'");
        }
    };
    std::string_view match;
    std::string_view replacement;
    conversion.kind = parse_part(parts[1], match);
    if (parse_part(parts[2], replacement) != conversion.kind) throw fail("both numbers must be of the same kind");
    if (match.empty()) throw fail("what it must begin with is empty: it would match every number");
    check(match);
    if (const auto bracket = replacement.find('['); bracket != std::string_view::npos) {
        auto position = replacement.substr(bracket + 1);
        if (!position.ends_with(']')) throw fail("']' is missing at its end");
        position.remove_suffix(1);
        const auto keep_from = text::parse_number(position);
        if (!keep_from || *keep_from == 0 || *keep_from > 1000) throw fail("the position in '[]' must be 1 to 1000");
        conversion.keep_from = *keep_from;
        replacement = replacement.substr(0, bracket);
    }
    check(replacement);
    conversion.match = match;
    conversion.replacement = replacement;
    return conversion;
}

std::optional<std::string> convert(const std::vector<Conversion>& conversions, Conversion::Direction direction,
                                   Conversion::Kind kind, std::string_view number, const Conversion** used) {
    const auto hit = std::find_if(conversions.begin(), conversions.end(), [&](const Conversion& c) {
        return c.direction == direction && c.kind == kind && number.starts_with(c.match);
    });
    if (hit == conversions.end()) return std::nullopt;
    if (used != nullptr) *used = &*hit;
    std::string result = hit->replacement;
    if (hit->keep_from > 0 && hit->keep_from <= number.size()) result += number.substr(hit->keep_from - 1);
    return result;
}

namespace {

// `+49 30 456987123`: country and area of the site in front.
std::string written(const Numbering& site, const std::string& local) {
    return "+" + site.country + (site.area.empty() ? "" : " " + site.area) + " " + local;
}

}  // namespace

std::string incoming(const Numbering& site, const std::vector<Conversion>& conversions, std::string_view signalled,
                     std::vector<Step>* steps) {
    std::string number = strip(signalled);
    note(steps, "signalled", number);
    if (number.empty()) return number;
    apply_conversions(conversions, Conversion::Direction::incoming, number, steps);
    if (number.starts_with('+')) {
        note(steps, "is international already", number);
        return number;
    }
    const auto& international = site.international_prefix;
    if (!international.empty() && number.size() > international.size() && number.starts_with(international)) {
        number.replace(0, international.size(), "+");
        note(steps, "international prefix '" + international + "' is '+'", number);
        return number;
    }
    if (site.country.empty()) {
        note(steps, "the site has no country: the number stays", number);
        return number;
    }
    if (!site.subscriber.empty() && number.size() > site.extension_digits.value_or(usual_extension_digits)) {
        struct Form {
            std::string begins;
            std::string what;
            std::size_t skip;  // what stands before the subscriber number
        };
        const std::array<Form, 4> forms{{{site.subscriber, "subscriber number", 0},
                                         {site.national_prefix + site.area + site.subscriber, "national number",
                                          site.national_prefix.size() + site.area.size()},
                                         {site.area + site.subscriber, "national number", site.area.size()},
                                         {site.country + site.area + site.subscriber, "international number",
                                          site.country.size() + site.area.size()}}};
        for (const auto& form : forms) {
            if (!number.starts_with(form.begins)) continue;
            number = written(site, number.substr(form.skip));
            note(steps, "is the full " + form.what + " already: not doubled", number);
            return number;
        }
    }
    number = written(site, site.subscriber + number);
    note(steps, "country, area and subscriber of the site in front", number);
    return number;
}

std::string outgoing(const Numbering& site, const std::vector<Conversion>& conversions, std::string_view wanted,
                     std::vector<Step>* steps) {
    std::string number = strip(wanted);
    note(steps, "wanted", number);
    if (number.empty()) return number;
    if (number.starts_with('+')) {
        const std::string_view digits = std::string_view(number).substr(1);
        if (site.country.empty() || !digits.starts_with(site.country)) {
            number.replace(0, 1, site.international_prefix);
            note(steps, "another country: international prefix '" + site.international_prefix + "'", number);
        } else {
            const auto national = digits.substr(site.country.size());
            const bool same_area = !site.area.empty() && national.starts_with(site.area);
            if (same_area && !site.always_dial_area) {
                number = national.substr(site.area.size());
                note(steps, "same area: subscriber number", number);
            } else {
                number = site.national_prefix + std::string(national);
                note(steps,
                     std::string(same_area ? "same area, always dialled" : "same country") + ": national prefix '" +
                         site.national_prefix + "'",
                     number);
            }
        }
    } else if (site.e164_only) {
        throw Error(Fault::unusable,
                    text::quote(wanted) + " is not international: the site takes only numbers with '+'");
    } else if (number.size() <= site.internal_length && is_digits(number)) {
        note(steps, "internal number: no outside line", number);
        apply_conversions(conversions, Conversion::Direction::outgoing, number, steps);
        return number;
    }
    number.insert(0, site.outside_line);
    if (!site.outside_line.empty()) note(steps, "outside line '" + site.outside_line + "'", number);
    apply_conversions(conversions, Conversion::Direction::outgoing, number, steps);
    return number;
}

}  // namespace ums::number
