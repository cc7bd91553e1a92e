// SPDX-License-Identifier: GPL-3.0-or-later
#include "number/forming.hpp"

#include <catch2/catch.hpp>

#include "error/error.hpp"
#include "random_text.hpp"
#include "text/text.hpp"

using namespace ums;
using namespace ums::number;

namespace {

/// What incoming() forms, without the blanks that people read it by.
std::string stripped_incoming(const Numbering& site, const std::vector<Conversion>& conversions,
                              std::string_view signalled, std::vector<Step>* steps = nullptr) {
    return strip(incoming(site, conversions, signalled, steps));
}

Numbering germany(std::string area = "8142", std::string subscriber = "4799") {
    Numbering n;
    n.country = "49";
    n.area = std::move(area);
    if (!subscriber.empty()) n.subscribers = {{std::move(subscriber)}};
    return n;
}

std::vector<Conversion> conversions(std::initializer_list<const char*> texts) {
    std::vector<Conversion> out;
    for (const char* text : texts) out.push_back(parse_conversion(text));
    return out;
}

std::string whats(const std::vector<Step>& steps) {
    std::string out;
    for (const auto& step : steps) out += step.what + " -> " + step.number + "\n";
    return out;
}

}  // namespace

TEST_CASE("strip leaves digits and a leading plus") {
    CHECK(strip("+49 (0)89/4799-123") == "+49894799123");
    CHECK(strip("+49 8142 47989798") == "+49814247989798");
    CHECK(strip("  +43 1 5330 90\r\n") == "+431533090");
    CHECK(strip("0049 (0) 89.4799") == "0049894799");
    CHECK(strip("(0)89 123") == "089123");
    CHECK(strip("(089) 123") == "089123");
    CHECK(strip("tel:+49-89-4799;ext=1") == "+49894799");
    CHECK(strip("+7 (8) 495 1234567") == "+74951234567");
    CHECK(strip("+7 (0) 495 1234567") == "+74951234567");
    CHECK(strip("+49 (8) 495") == "+498495");
    CHECK(strip("tel:1234567;phone-context=+49-30") == "+49301234567");
    CHECK(strip("TEL:650-1234;ext=2;Phone-Context=+1-212;x=1") == "+12126501234");
    CHECK(strip("tel:+49-89;phone-context=+1") == "+4989");
    CHECK(strip("tel:1234;phone-context=example.com") == "1234");
    CHECK(strip("TEL:+49(89)4799") == "+49894799");
    CHECK(strip("") == "");
    CHECK(strip(" -/ ") == "");
    CHECK(strip("+49 89 ABC") == "+4989ABC");
    CHECK(strip("*21#4711") == "*21#4711");
    CHECK(strip("49+89") == "49+89");
}

TEST_CASE("strip keeps Italy's zero, which belongs to the number") {
    CHECK(strip("+39 02 1234") == "+39021234");
    CHECK(strip("+39 (0)2 1234") == "+39021234");
    CHECK(strip("0039 (0)2 1234") == "0039021234");
}

TEST_CASE("strip reads the digits and blanks of other scripts") {
    CHECK(strip("＋４９ ８９") == "+4989");
    CHECK(strip("+٤٩٨٩") == "+4989");
    CHECK(strip("+۴۹۸۹") == "+4989");
    CHECK(strip("+49\u00a089\u2011123\u2013\u200e4") == "+49891234");
    CHECK(strip("+49\xff"
                "89") ==
          "+49\xef\xbf\xbd"
          "89");
}

TEST_CASE("normalise without a home knows plus and 00 only") {
    CHECK(normalise("0049 8142 4799") == "+4981424799");
    CHECK(normalise("+49 8142-4799") == "+4981424799");
    CHECK(normalise("08142 4799") == "081424799");
    CHECK(normalise("4799") == "4799");
    CHECK(normalise("00") == "00");
    CHECK(normalise("0049ABC") == "0049ABC");
    CHECK(normalise("") == "");
}

TEST_CASE("normalise with a home completes national and local numbers") {
    auto home = germany();
    home.internal_length = 4;
    CHECK(normalise("089 123", &home) == "+4989123");
    CHECK(normalise("47991", &home) == "+49814247991");
    CHECK(normalise("4799", &home) == "4799");
    CHECK(normalise("0043 1 5330", &home) == "+4315330");
    CHECK(normalise("+43 1 5330", &home) == "+4315330");
    CHECK(normalise("0", &home) == "0");
    CHECK(normalise("*21#", &home) == "*21#");
    CHECK(normalise("47*99123", &home) == "47*99123");

    Numbering america;
    america.country = "1";
    america.area = "212";
    america.national_prefixes = {"1"};
    america.international_prefixes = {"011"};
    CHECK(normalise("011 49 89 123", &america) == "+4989123");
    CHECK(normalise("1 415 5550100", &america) == "+14155550100");
    CHECK(normalise("5550100", &america) == "+12125550100");

    Numbering denmark;
    denmark.country = "45";
    denmark.national_prefixes = {""};
    CHECK(normalise("12 34 56 78", &denmark) == "+4512345678");

    Numbering italy;
    italy.country = "39";
    italy.area = "02";
    italy.national_prefixes = {""};
    italy.always_dial_area = DialArea::yes;
    CHECK(normalise("06 1234567", &italy) == "+39061234567");
    CHECK(normalise("02 1234567", &italy) == "+39021234567");
}

TEST_CASE("normalise is idempotent") {
    auto home = germany();
    home.internal_length = GENERATE(0u, 4u);
    test::RandomText random(1);
    const std::vector<std::string_view> pieces{"0",   "00",   "+",    "49",       "8",    "123", " ",  "-", "/",
                                               "(0)", "(",    ")",    "tel:",     "t",    "el:", ";",  "*", "?",
                                               "a",   "\xc2", "\xa0", "\xef\xbc", "\x90", "٤",   "39", "#"};
    for (int i = 0; i < 20000; ++i) {
        const auto text = i % 4 == 0 ? random.bytes(12) : random.of(pieces, 10);
        INFO(text::escape(text));
        for (const Numbering* numbering :
             {static_cast<const Numbering*>(nullptr), static_cast<const Numbering*>(&home)}) {
            const auto once = normalise(text, numbering);
            REQUIRE(normalise(once, numbering) == once);
            const auto pattern = normalise_pattern(text, numbering);
            REQUIRE(normalise_pattern(pattern, numbering) == pattern);
        }
        REQUIRE(strip(strip(text)) == strip(text));
    }
}

TEST_CASE("a number is normalised alike in every spelling") {
    const auto home = germany();
    for (const char* spelling :
         {"+49 8142 4799-12", "0049 8142 4799 12", "+49 (0)8142 / 4799 12", "08142 479912", "4799 12", "+498142479912",
          "tel:+49-8142-479912", "(08142) 4799.12", "0049(0)8142479912"}) {
        INFO(spelling);
        CHECK(normalise(spelling, &home) == "+498142479912");
    }
}

TEST_CASE("patterns keep their wildcards") {
    CHECK(normalise_pattern("+49 8142 4838*") == "+4981424838*");
    CHECK(normalise_pattern("0049-8142-4838*") == "+4981424838*");
    CHECK(normalise_pattern("+*") == "+*");
    CHECK(normalise_pattern("00*") == "+*");
    CHECK(normalise_pattern("*4838") == "*4838");
    CHECK(normalise_pattern("*") == "*");
    auto home = germany();
    home.internal_length = 4;
    CHECK(normalise_pattern("089*", &home) == "+4989*");
    CHECK(normalise_pattern("0*", &home) == "+49*");
    CHECK(normalise_pattern("479?", &home) == "479?");
    CHECK(normalise_pattern("4799?", &home) == "+4981424799?");
    CHECK(normalise_pattern("47*", &home) == "47*");

    CHECK(is_number_pattern("+49*"));
    CHECK(is_number_pattern("+*"));
    CHECK(is_number_pattern("(089) 1?-*"));
    CHECK_FALSE(is_number_pattern("*"));
    CHECK_FALSE(is_number_pattern("?*"));
    CHECK_FALSE(is_number_pattern(""));
    CHECK_FALSE(is_number_pattern("a*1"));
    CHECK_FALSE(is_number_pattern("*@example.com"));
}

TEST_CASE("conversions are read") {
    const auto c = parse_conversion("O;D=00498142;D=8[9]");
    CHECK(c.direction == Conversion::Direction::outgoing);
    CHECK(c.kind == Conversion::Kind::destination);
    CHECK(c.match == "00498142");
    CHECK(c.replacement == "8");
    CHECK(c.keep_from == 9);
    CHECK(c.text == "O;D=00498142;D=8[9]");

    const auto i = parse_conversion(" i ; r = 785 ; r = 5[4] ");
    CHECK(i.direction == Conversion::Direction::incoming);
    CHECK(i.kind == Conversion::Kind::redirector);
    CHECK(i.match == "785");
    CHECK(i.replacement == "5");
    CHECK(i.keep_from == 4);

    CHECK(parse_conversion("I;O=1;O=2").keep_from == 0);
    CHECK(parse_conversion("O;D=0;D=[2]").replacement.empty());
}

TEST_CASE("conversions that cannot be meant are refused, with what is wrong") {
    const auto [text, what] = GENERATE(table<const char*, const char*>({
        {"", "<direction>;<match>;<conversion>"},
        {"O;D=1", "<direction>;<match>;<conversion>"},
        {"O;D=1;D=2;D=3", "<direction>;<match>;<conversion>"},
        {"X;D=1;D=2", "I or O, not 'X'"},
        {"O;D1;D=2", "'D1' has no '='"},
        {"O;Z=1;Z=2", "D, O or R, not 'Z'"},
        {"O;D=1;O=2", "the same kind"},
        {"O;D=;D=2", "is empty"},
        {"O;D=1a;D=2", "'a' is not a digit"},
        {"O;D=1;D=x[2]", "'x' is not a digit"},
        {"O;D=1;D=2[", "']' is missing"},
        {"O;D=1;D=2[3", "']' is missing"},
        {"O;D=1;D=2[0]", "1 to 1000"},
        {"O;D=1;D=2[]", "1 to 1000"},
        {"O;D=1;D=2[1001]", "1 to 1000"},
        {"O;D=1;D=2[-1]", "1 to 1000"},
    }));
    INFO(text);
    try {
        parse_conversion(text);
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(error.fault() == Fault::configuration);
        CHECK_THAT(error.what(), Catch::Contains(what));
    }
}

TEST_CASE("the first conversion of its direction and kind counts") {
    const auto list = conversions({"I;D=785;D=5[4]", "O;O=0;O=1", "O;D=00498142;D=8[9]", "O;D=0049;D=9[5]"});
    using D = Conversion::Direction;
    using K = Conversion::Kind;
    const Conversion* used = nullptr;
    CHECK(convert(list, D::outgoing, K::destination, "004981424795875", &used) == "84795875");
    CHECK(used == &list[2]);
    CHECK(convert(list, D::outgoing, K::destination, "004989123") == "989123");
    CHECK(convert(list, D::incoming, K::destination, "785123") == "5123");
    CHECK(convert(list, D::incoming, K::destination, "785") == "5");
    CHECK(convert(list, D::incoming, K::originator, "785123") == std::nullopt);
    CHECK(convert(list, D::outgoing, K::destination, "785123") == std::nullopt);
    CHECK(convert(list, D::outgoing, K::originator, "0123") == "1");
    CHECK(convert(list, D::outgoing, K::destination, "") == std::nullopt);
}

TEST_CASE("incoming puts the site's address in front") {
    auto berlin = germany("30", "456987");
    CHECK(incoming(berlin, {}, "123") == "+49 30 456987123");
    CHECK(incoming(berlin, {}, "456987123") == "+49 30 456987123");
    CHECK(incoming(berlin, {}, "030456987123") == "+49 30 456987123");
    Numbering denmark;
    denmark.country = "45";
    denmark.subscribers = {{"3312"}};
    CHECK(incoming(denmark, {}, "11") == "+45 331211");
    berlin.extension_digits = 3;
    CHECK(stripped_incoming(berlin, {}, "123") == "+4930456987123");
    CHECK(stripped_incoming(berlin, {}, "0") == "+49304569870");
    CHECK(stripped_incoming(berlin, {}, "+43 1 5330") == "+4315330");
    CHECK(stripped_incoming(berlin, {}, "0043 1 5330") == "+4315330");
    CHECK(stripped_incoming(berlin, {}, "") == "");
    // Longer than an extension, but of another number: always in front.
    CHECK(stripped_incoming(berlin, {}, "987654") == "+4930456987987654");
}

TEST_CASE("incoming does not double a number that is the full one already") {
    auto berlin = germany("30", "456987");
    berlin.extension_digits = GENERATE(std::optional<Digits>(3u), std::optional<Digits>());
    std::vector<Step> steps;
    CHECK(stripped_incoming(berlin, {}, "456987123", &steps) == "+4930456987123");
    CHECK_THAT(whats(steps), Catch::Contains("not doubled"));
    CHECK(stripped_incoming(berlin, {}, "456987") == "+4930456987");
    CHECK(stripped_incoming(berlin, {}, "30456987123") == "+4930456987123");
    CHECK(stripped_incoming(berlin, {}, "030456987123") == "+4930456987123");
    CHECK(stripped_incoming(berlin, {}, "4930456987123") == "+4930456987123");
}

TEST_CASE("an extension that begins like the subscriber number stays an extension") {
    auto site = germany("8142", "47");
    site.extension_digits = 4;
    CHECK(stripped_incoming(site, {}, "4711") == "+498142474711");
    site.extension_digits = 3;
    CHECK(stripped_incoming(site, {}, "4711") == "+4981424711");
    site.extension_digits.reset();
    CHECK(stripped_incoming(site, {}, "4711") == "+498142474711");
    CHECK(stripped_incoming(site, {}, "47111") == "+49814247111");
}

TEST_CASE("incoming of lines without a subscriber number") {
    const auto site = germany("89", "");
    CHECK(stripped_incoming(site, {}, "123456") == "+4989123456");
    CHECK(stripped_incoming(site, {}, "89123456") == "+498989123456");
}

TEST_CASE("incoming converts first") {
    const auto site = germany();
    std::vector<Step> steps;
    CHECK(stripped_incoming(site, conversions({"I;D=785;D=5[4]"}), "785123", &steps) == "+49814247995123");
    CHECK(whats(steps) ==
          "signalled -> 785123\n"
          "conversion 'I;D=785;D=5[4]' -> 5123\n"
          "country, area and subscriber of the site in front -> +49 8142 47995123\n");
    CHECK(stripped_incoming(site, conversions({"I;D=9;D=+49[2]"}), "989123") == "+4989123");
}

TEST_CASE("incoming without a country leaves the number") {
    CHECK(stripped_incoming(Numbering{}, {}, "1 23") == "123");
    CHECK(stripped_incoming(Numbering{}, conversions({"I;D=1;D=7[2]"}), "123") == "723");
    CHECK(stripped_incoming(Numbering{}, {}, "0049 89") == "+4989");
}

TEST_CASE("outgoing shortens as far as the site allows") {
    auto site = germany();
    site.outside_lines = {"0"};
    site.internal_length = 4;
    std::vector<Step> steps;
    CHECK(outgoing(site, {}, "+49 8142 47989798", &steps) == "047989798");
    CHECK(whats(steps) ==
          "wanted -> +49814247989798\n"
          "same area: subscriber number -> 47989798\n"
          "outside line '0' -> 047989798\n");
    CHECK(outgoing(site, {}, "+49 89 123456") == "0089123456");
    CHECK(outgoing(site, {}, "+43 1 5330 90") == "000431533090");
    // Without a plus only the outside line, `00` too.
    CHECK(outgoing(site, {}, "0049 8142 47989798") ==
          "0004981424"
          "7989798");
    CHECK(outgoing(site, {}, "089 123456") == "0089123456");
    CHECK(outgoing(site, {}, "123456") == "0123456");
    CHECK(outgoing(site, {}, "1234") == "1234");
    CHECK(outgoing(site, {}, "12345") == "012345");
    CHECK(outgoing(site, {}, "") == "");
    site.outside_lines = {""};
    CHECK(outgoing(site, {}, "+43 1 5330 90") == "00431533090");
}

TEST_CASE("outgoing where national code and area are always dialled") {
    Numbering italy;
    italy.country = "39";
    italy.area = "02";
    italy.national_prefixes = {""};
    italy.outside_lines = {"0"};
    italy.always_dial_area = DialArea::yes;
    CHECK(outgoing(italy, {}, "+39 02 1234567") == "0021234567");
    CHECK(outgoing(italy, {}, "+39 06 1234567") == "0061234567");
    CHECK(outgoing(italy, {}, "+49 89 123") ==
          "00049"
          "89123");

    Numbering belgium;
    belgium.country = "32";
    belgium.area = "83";
    belgium.always_dial_area = DialArea::yes;
    CHECK(outgoing(belgium, {}, "+32 83 123456") == "083123456");
    CHECK(outgoing(belgium, {}, "+32 2 1234567") == "021234567");
    belgium.always_dial_area = DialArea::no;
    CHECK(outgoing(belgium, {}, "+32 83 123456") == "123456");
}

TEST_CASE("outgoing of a country without areas") {
    Numbering denmark;
    denmark.country = "45";
    denmark.national_prefixes = {""};
    CHECK(outgoing(denmark, {}, "+45 12 34 56 78") == "12345678");
    denmark.national_prefixes = {"0"};
    CHECK(outgoing(denmark, {}, "+45 12 34 56 78") == "012345678");
}

TEST_CASE("outgoing converts last, the outside line in front already") {
    auto site = germany();
    const auto list = conversions({"O;D=00498142;D=8[9]"});
    CHECK(outgoing(site, list, "004981424795875") == "84795875");
    site.outside_lines = {"0"};
    CHECK(outgoing(site, list, "004981424795875") == "0004981424795875");
    CHECK(outgoing(site, conversions({"O;D=000498142;D=8[10]"}), "004981424795875") == "84795875");
    site.internal_length = 4;
    CHECK(outgoing(site, conversions({"O;D=12;D=99[3]"}), "1234") == "9934");
    CHECK(outgoing(site, conversions({"I;D=12;D=99[3]"}), "1234") == "1234");
}

TEST_CASE("a site that takes E.164 only refuses the rest") {
    auto site = germany();
    site.e164_only = true;
    CHECK(outgoing(site, {}, "+49 89 1") == "0891");
    try {
        outgoing(site, {}, "0049 89 1");
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(error.fault() == Fault::unusable);
        CHECK_THAT(error.what(), Catch::Contains("'0049 89 1'"));
    }
}

TEST_CASE("what incoming forms, outgoing shortens to what people dial") {
    auto site = germany("30", "456987");
    site.extension_digits = 3;
    test::RandomText random(2);
    for (int i = 0; i < 1000; ++i) {
        const auto extension = random.digits(1 + random.below(3));
        if (extension.starts_with("00")) continue;  // the international prefix
        const auto formed = stripped_incoming(site, {}, extension);
        REQUIRE(formed == "+4930456987" + extension);
        REQUIRE(stripped_incoming(site, {}, formed) == formed);
        REQUIRE(outgoing(site, {}, formed) == "456987" + extension);
    }
}

TEST_CASE("what is a number") {
    CHECK(is_number("+49 (0)89/4799-123"));
    CHECK(is_number("1"));
    CHECK(is_number("0049.89"));
    CHECK(is_number("tel:+49-89"));
    CHECK(is_number("+49\u00a089"));
    CHECK(is_number("＋４９"));
    CHECK_FALSE(is_number("+49\xff"));
    CHECK_FALSE(is_number("1+2"));
    CHECK_FALSE(is_number(""));
    CHECK_FALSE(is_number("+"));
    CHECK_FALSE(is_number("-- ()"));
    CHECK_FALSE(is_number("a1"));
    CHECK_FALSE(is_number("1@example.com"));
    CHECK_FALSE(is_number("*21#1"));
    CHECK_FALSE(is_number("fax#1"));
}
