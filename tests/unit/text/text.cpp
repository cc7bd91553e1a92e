// SPDX-License-Identifier: GPL-3.0-or-later
#include "text/text.hpp"

#include <array>
#include <catch2/catch.hpp>

#include "random_text.hpp"

using namespace ums;
using namespace ums::text;
using namespace std::string_literals;

TEST_CASE("escape makes one safe line of anything") {
    CHECK(escape("plain") == "plain");
    CHECK(escape("") == "");
    CHECK(escape("a\tb\nc\rd\\e") == "a\\tb\\nc\\rd\\\\e");
    CHECK(escape("\x1b[31m") == "\\x1b[31m");
    CHECK(escape("\x7f"s + "\0"s) == "\\x7f\\x00");
    CHECK(escape("Müller €😀") == "Müller €😀");
    CHECK(escape("\xc2\x9b"
                 "31m") == "\\xc2\\x9b31m");             // CSI of C1
    CHECK(escape("\u202etxt") == "\\xe2\\x80\\xaetxt");  // right-to-left override
    CHECK(escape("\u2066\u2069") == "\\xe2\\x81\\xa6\\xe2\\x81\\xa9");
    CHECK(escape("\u2028") == "\\xe2\\x80\\xa8");
    CHECK(quote("a'b") == "'a'b'");
}

TEST_CASE("escape shows bytes that are no UTF-8") {
    CHECK(escape("\xfc"
                 "ber") == "\\xfcber");
    CHECK(escape("\xc0\xaf") == "\\xc0\\xaf");  // overlong
    CHECK(escape("\xe0\x80\x80") == "\\xe0\\x80\\x80");
    CHECK(escape("\xf0\x80\x80\x80") == "\\xf0\\x80\\x80\\x80");
    CHECK(escape("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // surrogate
    CHECK(escape("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
    CHECK(escape("\xe2\x82") == "\\xe2\\x82");  // cut off
    CHECK(escape("\x80") == "\\x80");
    CHECK(escape("\xe2\x82z") == "\\xe2\\x82z");
}

TEST_CASE("decode knows every length of UTF-8") {
    CHECK(decode("a").code == U'a');
    CHECK(decode("ü").code == U'ü');
    CHECK(decode("ü").length == 2);
    CHECK(decode("€").code == U'€');
    CHECK(decode("€").length == 3);
    CHECK(decode("😀x").code == U'😀');
    CHECK(decode("😀x").length == 4);
    CHECK(decode("\xf4\x8f\xbf\xbf").code == 0x10ffff);
    CHECK(decode("\xef\xbf\xbf").code == 0xffff);
    CHECK(decode("\xff").length == 0);
}

TEST_CASE("json_string is RFC 8259") {
    CHECK(json_string("a\"b\\c") == R"("a\"b\\c")");
    CHECK(json_string("a\nb\rc\td") == R"("a\nb\rc\td")");
    CHECK(json_string("\x01"s + "\0"s + "\x7f") == R"("\u0001\u0000\u007f")");
    CHECK(json_string("\xc2\x9b") == R"("\u009b")");
    CHECK(json_string("Müller") == "\"Müller\"");
    CHECK(json_string("\xfc") == "\"\xef\xbf\xbd\"");
    CHECK(json_string("") == "\"\"");
}

TEST_CASE("letter case is ASCII's only") {
    CHECK(lower("FaX#ÄÖ") == "fax#ÄÖ");
    CHECK(equal_ignoring_case("RCPT to", "rcpt TO"));
    CHECK_FALSE(equal_ignoring_case("a", "ab"));
    CHECK_FALSE(equal_ignoring_case("[", "{"));
    CHECK_FALSE(equal_ignoring_case("@", "`"));
    CHECK(starts_with_ignoring_case("TEL:1", "tel:"));
    CHECK_FALSE(starts_with_ignoring_case("te", "tel:"));
    CHECK(starts_with_ignoring_case("x", ""));
}

TEST_CASE("trim and split") {
    CHECK(trim(" \t a b \r\n") == "a b");
    CHECK(trim(" \r\n\t").empty());
    CHECK(trim("").empty());
    CHECK(split("a,b,,c", ',') == std::vector<std::string_view>{"a", "b", "", "c"});
    CHECK(split("", ',') == std::vector<std::string_view>{""});
    CHECK(split(",", ',') == std::vector<std::string_view>{"", ""});
}

TEST_CASE("wildcards") {
    CHECK(matches_wildcard("", ""));
    CHECK_FALSE(matches_wildcard("", "a"));
    CHECK(matches_wildcard("*", ""));
    CHECK(matches_wildcard("***", ""));
    CHECK_FALSE(matches_wildcard("?", ""));
    CHECK(matches_wildcard("+43*", "+431533090"));
    CHECK_FALSE(matches_wildcard("+43*", "+49"));
    CHECK(matches_wildcard("*@servonic.at", "a@servonic.at"));
    CHECK_FALSE(matches_wildcard("*@servonic.at", "a@servonic.at.example.com"));
    CHECK(matches_wildcard("a*b*c", "aXbYbZc"));
    CHECK_FALSE(matches_wildcard("a*b*c", "aXbYbZ"));
    CHECK(matches_wildcard("*aab", "aaaab"));
    CHECK(matches_wildcard("a?c", "abc"));
    CHECK(matches_wildcard("M?ller", "Müller"));
    CHECK(matches_wildcard("M?ller", "M\xfcller"));
    CHECK_FALSE(matches_wildcard("M??ller", "Müller"));
    CHECK(matches_wildcard("*?", "ü"));
    CHECK_FALSE(matches_wildcard("*??", "€"));
    CHECK(matches_wildcard("*??", "€€€"));
    CHECK_FALSE(matches_wildcard("*??b*", "€bX"));
    CHECK(matches_wildcard("ABC*", "abcd", IgnoreCase::yes));
    CHECK_FALSE(matches_wildcard("ABC*", "abcd"));
    CHECK(matches_wildcard("a*", "a*"));
}

TEST_CASE("wildcards agree with the definition") {
    struct Naive {
        static bool matches(std::string_view p, std::string_view t) {
            if (p.empty()) return t.empty();
            if (p[0] == '*') return matches(p.substr(1), t) || (!t.empty() && matches(p, t.substr(1)));
            return !t.empty() && (p[0] == '?' || p[0] == t[0]) && matches(p.substr(1), t.substr(1));
        }
    };
    test::RandomText random(3);
    for (int i = 0; i < 20000; ++i) {
        const auto pattern = random.of({"a", "b", "*", "?"}, 7);
        const auto text = random.of({"a", "b"}, 9);
        INFO(pattern << " " << text);
        REQUIRE(matches_wildcard(pattern, text) == Naive::matches(pattern, text));
    }
}

TEST_CASE("wildcards do not explode") {
    const std::string text(20000, 'a');
    std::string pattern;
    for (int i = 0; i < 50; ++i) pattern += "a*";
    CHECK_FALSE(matches_wildcard(pattern + "b", text));
}

TEST_CASE("nearest finds what was meant") {
    const std::array<std::string_view, 4> keys{"rotate", "batch", "weights", "min-active"};
    CHECK(nearest("roatte", keys) == "rotate");
    CHECK(nearest("Rotate", keys) == "rotate");
    CHECK(nearest("bathc", keys) == "batch");
    CHECK(nearest("min_active", keys) == "min-active");
    CHECK(nearest("zzz", keys) == std::nullopt);
    CHECK(nearest("kernel", keys) == std::nullopt);
    CHECK(nearest("", keys) == std::nullopt);
    CHECK(nearest("rotate", std::span<const std::string_view>()) == std::nullopt);
}

TEST_CASE("numbers") {
    CHECK(parse_number("0") == 0);
    CHECK(parse_number("007") == 7);
    CHECK(parse_number("18446744073709551615") == 18446744073709551615ULL);
    for (const char* text : {"", "-1", "+1", " 1", "1 ", "1x", "0x1", "18446744073709551616", "1e3", "1.0"}) {
        INFO(text);
        CHECK(parse_number(text) == std::nullopt);
    }
}

TEST_CASE("hash is 64-bit FNV-1a") {
    CHECK(hash("") == 0xcbf29ce484222325ULL);
    CHECK(hash("a") == 0xaf63dc4c8601ec8cULL);
    CHECK(hash("foobar") == 0x85944171f73967e8ULL);
    CHECK(hex(hash("foobar")) == "85944171f73967e8");
    CHECK(hex(1) == "0000000000000001");
}

TEST_CASE("escape is safe and decodable for any bytes") {
    test::RandomText random(4);
    for (int i = 0; i < 3000; ++i) {
        const auto line = escape(random.bytes(40));
        for (std::string_view rest = line; !rest.empty();) {
            const auto c = decode(rest);
            REQUIRE(c.length > 0);
            REQUIRE(c.code >= 0x20);
            REQUIRE((c.code < 0x7f || c.code >= 0xa0));
            rest.remove_prefix(c.length);
        }
    }
}
