// SPDX-License-Identifier: GPL-3.0-or-later
#include "text/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace ums::text {

namespace {

constexpr char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool is_printable(char32_t code) noexcept {
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false;
    if ((code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)) return false;
    return code != 0x2028 && code != 0x2029 && code != 0xfeff;
}

void append_hex_byte(std::string& out, unsigned char byte) {
    static constexpr char digits[] = "0123456789abcdef";
    out += "\\x";
    out += digits[byte >> 4];
    out += digits[byte & 0xf];
}

}  // namespace

Character decode(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return {first, 1};
    std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return {};
    char32_t code = first & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        code = (code << 6) | (byte(i) & 0x3fU);
    }
    if (code < (length == 2 ? 0x80U : length == 3 ? 0x800U : 0x10000U)) return {};
    if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return {};
    return {code, length};
}

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto length = decode(text).length;
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string from_latin1(std::string_view text) {
    std::string out;
    out.reserve(text.size() * 2);
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80) {
            out += c;
        } else {
            out += static_cast<char>(0xc0 | (byte >> 6));
            out += static_cast<char>(0x80 | (byte & 0x3f));
        }
    }
    return out;
}

std::string escape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const Character c = decode(text);
        const std::size_t length = std::max<std::size_t>(c.length, 1);
        if (c.length == 1 && c.code == '\\') {
            out += "\\\\";
        } else if (c.length == 1 && c.code == '\n') {
            out += "\\n";
        } else if (c.length == 1 && c.code == '\t') {
            out += "\\t";
        } else if (c.length == 1 && c.code == '\r') {
            out += "\\r";
        } else if (c.length > 0 && is_printable(c.code)) {
            out += text.substr(0, length);
        } else {
            for (const char byte : text.substr(0, length)) append_hex_byte(out, static_cast<unsigned char>(byte));
        }
        text.remove_prefix(length);
    }
    return out;
}

std::string unescape(std::string_view text) {
    const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
    std::string out;
    while (!text.empty()) {
        const auto backslash = std::min(text.find('\\'), text.size());
        out += text.substr(0, backslash);
        text.remove_prefix(backslash);
        if (text.empty()) break;
        const char kind = text.size() > 1 ? text[1] : '\0';
        if (kind == 'x' && text.size() > 3 && digit(text[2]) >= 0 && digit(text[3]) >= 0) {
            out += static_cast<char>(digit(text[2]) * 16 + digit(text[3]));
            text.remove_prefix(4);
            continue;
        }
        out += kind == 'n' ? '\n' : kind == 't' ? '\t' : kind == 'r' ? '\r' : '\\';
        text.remove_prefix(std::min<std::size_t>(text.size(), 2));
    }
    return out;
}

std::string visible(std::string_view text) {
    std::string out;
    for (const auto part : split(text, '\\')) out += escape(part) + '\\';
    out.pop_back();
    return out;
}

std::string quote(std::string_view text) { return "'" + escape(text) + "'"; }

std::string json_string(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out = "\"";
    while (!text.empty()) {
        const Character c = decode(text);
        if (c.length == 0) {
            out += "\xef\xbf\xbd";
            text.remove_prefix(1);
            continue;
        }
        switch (c.code) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                if (c.code < 0x20 || (c.code >= 0x7f && c.code < 0xa0)) {
                    out += "\\u00";
                    out += digits[c.code >> 4];
                    out += digits[c.code & 0xf];
                } else {
                    out += text.substr(0, c.length);
                }
        }
        text.remove_prefix(c.length);
    }
    out += '"';
    return out;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), to_lower);
    return out;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return to_lower(x) == to_lower(y); });
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) noexcept {
    return text.size() >= prefix.size() && equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

std::string_view trim(std::string_view text) noexcept {
    static constexpr std::string_view blanks = " \t\r\n";
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const auto end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

bool matches_wildcard(std::string_view pattern, std::string_view text, IgnoreCase ignore) {
    const auto same = [&](char a, char b) { return ignore == IgnoreCase::yes ? to_lower(a) == to_lower(b) : a == b; };
    // Greedy with one way back, to the last `*`: a later star makes every earlier choice good enough.
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && pattern[p] == '?') {
            t += std::max<std::size_t>(decode(text.substr(t)).length, 1);
            ++p;
        } else if (p < pattern.size() && same(pattern[p], text[t])) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            resume += std::max<std::size_t>(decode(text.substr(resume)).length, 1);
            t = resume;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates) {
    const std::string wanted = lower(word.substr(0, 64));
    std::optional<std::string_view> best;
    std::size_t best_distance = std::max<std::size_t>(1, wanted.size() / 3) + 1;
    for (const auto candidate : candidates) {
        const std::string other = lower(candidate);
        std::vector<std::size_t> before(other.size() + 1);
        std::vector<std::size_t> last(other.size() + 1);
        std::vector<std::size_t> row(other.size() + 1);
        for (std::size_t j = 0; j <= other.size(); ++j) last[j] = j;
        for (std::size_t i = 1; i <= wanted.size(); ++i) {
            row[0] = i;
            for (std::size_t j = 1; j <= other.size(); ++j) {
                row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (wanted[i - 1] != other[j - 1])});
                if (i > 1 && j > 1 && wanted[i - 1] == other[j - 2] && wanted[i - 2] == other[j - 1]) {
                    row[j] = std::min(row[j], before[j - 2] + 1);
                }
            }
            before = last;
            last = row;
        }
        if (last[other.size()] < best_distance) {
            best_distance = last[other.size()];
            best = candidate;
        }
    }
    return best;
}

std::optional<unsigned long long> parse_number(std::string_view text) noexcept {
    unsigned long long value = 0;
    if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

unsigned long long hash(std::string_view text) noexcept {
    unsigned long long value = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        value ^= static_cast<unsigned char>(c);
        value *= 0x100000001b3ULL;
    }
    return value;
}

std::string hex(unsigned long long value) {
    std::array<char, 17> out{};
    for (std::size_t i = 16; i-- > 0; value >>= 4) out[i] = "0123456789abcdef"[value & 0xf];
    return {out.data(), 16};
}

}  // namespace ums::text
