// SPDX-License-Identifier: GPL-3.0-or-later
#include "number/forming.hpp"

#include <catch2/catch.hpp>

#include "error/error.hpp"

using namespace ums;
using namespace ums::number;

namespace {

using Kind = Conversion::Kind;

Numbering berlin() {
    Numbering n;
    n.country = "49";
    n.area = "30";
    n.subscribers = {{"456987"}};
    n.extension_digits = Digits(3);
    n.outside_lines = {"0"};
    return n;
}

std::string formed(const Numbering& site, std::string_view signalled, std::optional<TypeOfNumber> type = std::nullopt,
                   Kind kind = Kind::destination, const std::vector<Conversion>& conversions = {}) {
    return form(site, conversions, kind, signalled, type).number;
}

std::string refused_because(const Numbering& site, std::string_view wanted,
                            const std::vector<Conversion>& conversions = {}) {
    try {
        return "dialled: " + outgoing(site, conversions, wanted);
    } catch (const Error& error) {
        CHECK(error.fault() == Fault::unusable);
        return error.what();
    }
}

std::string steps_of(const Numbering& site, std::string_view wanted) {
    Steps steps;
    outgoing(site, {}, wanted, &steps);
    std::string out;
    for (const auto& step : steps) out += step.number + " " + step.what + "\n";
    return out;
}

}  // namespace

TEST_CASE("the examples of the manuals") {
    const auto site = berlin();
    CHECK(formed(site, "123") == "+49 30 456987123");
    const auto trap = form(site, {}, Kind::destination, "456987123");
    CHECK(trap.number == "+49 30 456987123");
    CHECK(trap.doubled);
    CHECK(form(site, {}, Kind::destination, "+49 30 456987456987123").number == "+49 30 456987123");
    CHECK(form(site, {}, Kind::destination, "+49 30 456987456987123").doubled);
    CHECK_FALSE(form(site, {}, Kind::destination, "123").doubled);
    CHECK_FALSE(form(site, {}, Kind::destination, "+49 30 456987123").doubled);
    CHECK_FALSE(form(site, {}, Kind::destination, "+49 30 456987456").doubled);

    auto olching = berlin();
    olching.area = "8142";
    olching.subscribers = {{"4799"}};
    olching.outside_lines.clear();
    CHECK(outgoing(olching, {parse_conversion("O;D=00498142;D=8[9]")}, "004981424795875") == "84795875");
    CHECK(formed(olching, "785123", {}, Kind::destination, {parse_conversion("I;D=785;D=5[4]")}) ==
          "+49 8142 47995123");

    Numbering milan;
    milan.country = "39";
    milan.area = "02";
    milan.national_prefixes = {};
    milan.always_dial_area = DialArea::yes;
    CHECK(outgoing(milan, {}, "+39 02 64489945") == "0264489945");
    Numbering belgium;
    belgium.country = "32";
    belgium.area = "83";
    belgium.always_dial_area = DialArea::yes;
    CHECK(outgoing(belgium, {}, "+32 83 123456") == "083123456");
}

TEST_CASE("a number that was doubled already is mended") {
    const auto site = berlin();
    for (const char* doubled : {"+49 30 456987 456987 123", "0049 30 456987 456987 123", "+49 30 456987 030 456987 123",
                                "+49 30 456987 4930 456987 123", "456987 456987 123", "30 456987 456987 123",
                                "030 456987 456987 123", "4930 456987 030 456987 123"}) {
        INFO(doubled);
        const auto result = form(site, {}, Kind::destination, doubled);
        CHECK(strip(result.number) == "+4930456987123");
        CHECK(result.doubled);
        CHECK(result.changed);
    }
    CHECK(formed(site, "+49 30 456987 456987") == "+49 30 456987");
    CHECK(form(site, {}, Kind::destination, "456987 456987 123", TypeOfNumber::subscriber).number ==
          "+49 30 456987123");
    CHECK(form(site, {}, Kind::destination, "456987 456987 123", TypeOfNumber::subscriber).doubled);
    CHECK(form(site, {}, Kind::destination, "030 456987 456987 123", TypeOfNumber::national).number ==
          "+49 30 456987123");
    // An extension may begin like the main number.
    auto small = site;
    small.subscribers = {{"47"}};
    small.extension_digits = Digits(4);
    CHECK(formed(small, "+49 30 47 4711") == "+4930474711");
    CHECK(formed(small, "47 4711") == "+49 30 474711");
    CHECK(formed(small, "+49 30 47 47 4711") == "+49 30 474711");
    CHECK(formed(small, "47 47 4711") == "+49 30 474711");
    // Of a caller nothing is known but what is signalled.
    CHECK(formed(site, "+49 30 456987456987123", {}, Kind::originator) == "+4930456987456987123");
}

TEST_CASE("the type of a number says what is missing") {
    const auto site = berlin();
    using T = TypeOfNumber;
    CHECK(formed(site, "123", T::unknown) == "+49 30 456987123");
    CHECK(formed(site, "456987123", T::subscriber) == "+49 30 456987123");
    CHECK_FALSE(form(site, {}, Kind::destination, "456987123", T::subscriber).doubled);
    CHECK(formed(site, "456123", T::subscriber) == "+49 30 456123");
    CHECK(formed(site, "00123", T::subscriber) == "+49 30 00123");
    CHECK(formed(site, "30 456987123", T::national) == "+49 30 456987123");
    CHECK(formed(site, "030 456987123", T::national) == "+49 30 456987123");
    CHECK(formed(site, "89 1", T::national) == "+49 891");
    CHECK(formed(site, "49 30 456987123", T::international) == "+4930456987123");
    CHECK(formed(site, "0049 30 456987123", T::international) == "+4930456987123");
    CHECK(formed(site, "49 30 456987456987123", T::international) == "+49 30 456987123");
    // Without a type, as the site says.
    auto typed = berlin();
    typed.destination_type = T::international;
    typed.originator_type = T::national;
    CHECK(formed(typed, "4930456987123") == "+4930456987123");
    CHECK(formed(typed, "8912345", {}, Kind::originator) == "+49 8912345");
    CHECK(formed(typed, "123", T::unknown) == "+49 30 456987123");
    CHECK(formed(typed, "+43 1", T::subscriber) == "+431");
}

TEST_CASE("types of numbers have names, and codes") {
    using T = TypeOfNumber;
    CHECK(parse_type_of_number(" National ") == T::national);
    CHECK(parse_type_of_number("1") == T::international);
    CHECK(parse_type_of_number("2") == T::national);
    CHECK(parse_type_of_number("4") == T::subscriber);
    CHECK(parse_type_of_number("0") == T::unknown);
    CHECK(parse_type_of_number("3") == T::unknown);
    CHECK(parse_type_of_number("8") == std::nullopt);
    CHECK(parse_type_of_number("local") == std::nullopt);
    CHECK(parse_type_of_number("") == std::nullopt);
}

TEST_CASE("callers are read as people there dial them") {
    auto site = berlin();
    const auto caller = [&](std::string_view number) { return formed(site, number, {}, Kind::originator); };
    CHECK(caller("089 123456") == "+49 89123456");
    CHECK(caller("030 123456") == "+49 30 123456");
    CHECK(caller("123456") == "+49 30 123456");
    CHECK(caller("0043 1 5330") == "+4315330");
    CHECK(caller("123") == "+49 30 456987123");  // an extension
    site.internal_length = 5;
    CHECK(caller("12345") == "+49 30 45698712345");
    CHECK(caller("") == "");
    site.remove_outside_line = true;
    CHECK(caller("0089 123456") == "+49 89123456");
    CHECK(caller("000431 5330") == "+4315330");
    CHECK(caller("0123456") == "+49 30 123456");
    CHECK(caller("012") == "+49 30 456987012");  // too short to have an outside line in it, or a prefix
    CHECK(formed(site, "0123456", {}, Kind::destination) == "+49 30 4569870123456");
    CHECK(formed(site, "012", {}, Kind::destination) == "+49 30 456987012");
    Numbering milan;
    milan.country = "39";
    milan.area = "02";
    milan.national_prefixes = {};
    milan.always_dial_area = DialArea::yes;
    CHECK(formed(milan, "06 1234567", {}, Kind::redirector) == "+39 061234567");
    CHECK(formed(milan, "02 1234567", {}, Kind::redirector) == "+39 02 1234567");
}

TEST_CASE("an extension may begin like an international prefix") {
    auto site = berlin();
    CHECK(formed(site, "001") == "+49 30 456987001");
    CHECK(formed(site, "000") == "+49 30 456987000");
    CHECK(formed(site, "0043 1 1") == "+4311");
    CHECK(formed(site, "001", TypeOfNumber::unknown, Kind::originator) == "+49 30 456987001");
    Numbering dallas;
    dallas.country = "1";
    dallas.area = "212";
    dallas.subscribers = {{"555"}};
    dallas.extension_digits = Digits(4);
    dallas.national_prefixes = {"1"};
    dallas.international_prefixes = {"011"};
    CHECK(formed(dallas, "1234", {}, Kind::originator) == "+1 212 5551234");
    CHECK(formed(dallas, "1100", {}, Kind::redirector) == "+1 212 5551100");
    CHECK(formed(dallas, "12125551234", {}, Kind::originator) == "+1 212 5551234");
    dallas.extension_digits.reset();
    CHECK(formed(dallas, "1234", {}, Kind::originator) == "+1 212 1234");  // it says nothing of extensions
    CHECK(own_digits(site, "001") == 0);
    site.extension_digits = Digits(7);
    CHECK(formed(site, "004312") == "+49 30 456987004312");
    CHECK(formed(site, "0043123") == "+43123");
    site.extension_digits = Digits(2);
    CHECK(formed(site, "0043") == "+43");
    auto york = berlin();
    york.country = "1";
    york.area = "212";
    york.international_prefixes = {"011"};
    york.extension_digits = Digits(4);
    CHECK(formed(york, "0110") == "+1 212 4569870110");
}

TEST_CASE("a caller of North America without his area has seven digits") {
    auto york = berlin();
    york.country = "1";
    york.area = "212";
    york.national_prefixes = {"1"};
    york.always_dial_area = DialArea::bare;
    CHECK(formed(york, "5551234", {}, Kind::originator) == "+1 212 5551234");
    CHECK(formed(york, "2125551234", {}, Kind::originator) == "+1 212 5551234");
    CHECK(formed(york, "9145551234", {}, Kind::originator) == "+1 9145551234");
    york.country = "39";
    CHECK(formed(york, "5551234", {}, Kind::originator) == "+39 5551234");
}

TEST_CASE("a caller's number with its area is known by its length") {
    const auto caller = [](const char* country, const char* area, const char* prefix, const char* number) {
        Numbering site;
        site.country = country;
        site.area = area;
        site.national_prefixes = {prefix};
        return strip(form(site, {}, Kind::originator, number).number);
    };
    CHECK(caller("7", "495", "8", "8122345678") == "+78122345678");
    CHECK(caller("7", "495", "8", "2345678") == "+74952345678");
    CHECK(caller("7", "495", "8", "8345678") == "+74958345678");
    CHECK(caller("7", "495", "8", "88122345678") == "+78122345678");
    CHECK(caller("44", "20", "0", "1212345678") == "+441212345678");
    CHECK(caller("44", "20", "0", "169772345") == "+44169772345");
    CHECK(caller("44", "20", "0", "79460958") == "+442079460958");
    CHECK(caller("61", "2", "0", "398765432") == "+61398765432");
    CHECK(caller("61", "2", "0", "98765432") == "+61298765432");
    CHECK(caller("36", "1", "06", "301234567") == "+36301234567");
    CHECK(caller("36", "1", "06", "2345678") == "+3612345678");
    // In Germany and Austria the length does not tell.
    CHECK(caller("49", "89", "0", "3012345678") == "+49893012345678");
    CHECK(caller("43", "1", "0", "3161234567") == "+4313161234567");
}

TEST_CASE("numbers without an area are dialled without a national prefix") {
    const auto site = berlin();
    CHECK(outgoing(site, {}, "+49 115") == "0115");
    CHECK(outgoing(site, {}, "+49 11833") == "011833");
    CHECK(outgoing(site, {}, "+49 116117") == "0116117");
    auto lyon = site;
    lyon.country = "33";
    lyon.area = "4";
    CHECK(outgoing(lyon, {}, "+33 116000") == "0116000");
    CHECK(outgoing(lyon, {}, "+33 1 16 00 00 00") == "00116000000");
    lyon.country = "62";
    CHECK(outgoing(lyon, {}, "+62 116000") == "00116000");
}

TEST_CASE("what is dialled within the country only is not dialled behind the country") {
    auto site = berlin();
    CHECK(outgoing(site, {}, "+49 0431 2200") == "004312200");
    CHECK(outgoing(site, {}, "+49 030 1234") == "01234");
    CHECK(outgoing(site, {}, "+49 0") == "000490");
    CHECK(outgoing(site, {}, "+43 01 1234") == "0004311234");
    CHECK(outgoing(site, {}, "+44 (020) 7946 0123") == "000442079460123");
    CHECK(outgoing(site, {}, "+36 (06) 1 411 1234") == "0003614111234");
    CHECK(outgoing(site, {}, "+39 02 1234567") == "00039021234567");
    CHECK(outgoing(site, {}, "+225 07 12 34 56 78") == "0002250712345678");
    CHECK(outgoing(site, {}, "+999 0 1234") == "00099901234");
    CHECK(steps_of(site, "+49 0431 2200").find("a prefix behind the country removed") != std::string::npos);
    site.blocked = {"+49900*"};
    CHECK(refused_because(site, "+49 0900 1").find("blocks") != std::string::npos);
    site.national_prefixes = {};
    site.country = "39";
    CHECK(outgoing(site, {}, "+39 02 1") == "0021");
    site.national_prefixes = {"8"};
    site.country = "7";
    CHECK(outgoing(site, {}, "+7 812 1234567") == "088121234567");
}

TEST_CASE("no blocked number is dialled by way of the area") {
    auto site = berlin();
    site.blocked = {"+49900*", "+882*"};
    CHECK(outgoing(site, {}, "+49 30 0900 123") == "00300900123");
    CHECK(outgoing(site, {}, "+49 30 00882 123") == "003000882123");
    CHECK(outgoing(site, {}, "+49 30 900 123") == "0900123");
    CHECK(
        steps_of(site, "+49 30 0900 123").find("0900123 not dialled so: with this beginning somebody else is called") !=
        std::string::npos);
    site.always_dial_area = DialArea::yes;
    site.area = "";
    CHECK(outgoing(site, {}, "+49 901") == "00901");
    CHECK(refused_because(site, "+49 900 1").find("blocks '+49900*'") != std::string::npos);
}

TEST_CASE("what is internal and begins with the outside line leaves the house") {
    auto york = berlin();
    york.country = "1";
    york.area = "212";
    york.subscribers = {{"555"}};
    york.extension_digits = Digits(4);
    york.national_prefixes = {"1"};
    york.outside_lines = {"9"};
    york.internal_calls = true;
    york.internal_length = 5;
    CHECK(outgoing(york, {}, "+1 212 555 1234") == "1234");
    CHECK(outgoing(york, {}, "+1 212 555 9911") == "95559911");
    CHECK(outgoing(york, {}, "+1 212 555 9") == "95559");
    CHECK(refused_because(york, "9911").find("begins like the short number '911'") != std::string::npos);
    CHECK(outgoing(york, {}, "911") == "911");
    CHECK(outgoing(york, {}, "9123") == "9123");
    // Who writes one short number does not mean another.
    york.internal_length = 0;
    CHECK(refused_because(york, "11234").find("begins like the short number '911'") != std::string::npos);
    CHECK(outgoing(york, {}, "112") == "9112");
}

TEST_CASE("what has no digits to dial is refused") {
    const auto site = berlin();
    for (const char* none : {"+", "+49", "+ 4 9"}) {
        INFO(none);
        CHECK(refused_because(site, none).find("nothing stands behind the country code") != std::string::npos);
    }
    CHECK(outgoing(site, {}, "+43 1") == "000431");
    CHECK(refused_because(site, "123", {parse_conversion("O;D=0123;D=")}).find("leaves nothing") != std::string::npos);
    CHECK(outgoing(site, {}, "") == "");
}

TEST_CASE("conversions are those of the kind") {
    const auto site = berlin();
    const std::vector<Conversion> list{parse_conversion("I;O=9;O=0[2]"), parse_conversion("I;D=9;D=1[2]"),
                                       parse_conversion("I;R=9;R=2[2]")};
    CHECK(formed(site, "989123456", {}, Kind::originator, list) == "+49 89123456");
    CHECK(formed(site, "98", {}, Kind::destination, list) == "+49 30 45698718");
    CHECK(formed(site, "98", {}, Kind::redirector, list) == "+49 30 45698728");
}

TEST_CASE("rules as regular expressions") {
    using D = Conversion::Direction;
    const auto site = berlin();
    const auto rule = make_conversion(D::incoming, Kind::destination, "/^7(\\d\\d)(\\d)$/", "\\2\\1");
    CHECK(formed(site, "7123", {}, Kind::destination, {rule}) == "+49 30 456987312");
    CHECK(formed(site, "123", {}, Kind::destination, {rule}) == "+49 30 456987123");
    const auto anywhere = make_conversion(D::outgoing, Kind::destination, "89", "*\\0#");
    CHECK(outgoing(site, {anywhere}, "+49 89 89") == "00*89#89");
    // In a list the first that hits counts, whatever its form.
    const std::vector<Conversion> list{parse_conversion("I;D=71;D=1"), rule};
    CHECK(formed(site, "7123", {}, Kind::destination, list) == "+49 30 4569871");
    CHECK(formed(site, "7223", {}, Kind::destination, list) == "+49 30 456987322");

    const auto problem = [](const char* expression, const char* replacement) -> std::string {
        try {
            make_conversion(D::incoming, Kind::destination, expression, replacement);
            return "accepted";
        } catch (const Error& error) {
            CHECK(error.fault() == Fault::configuration);
            return error.what();
        }
    };
    CHECK_THAT(problem("(", "1"), Catch::Contains("missing )"));
    CHECK_THAT(problem("1", "\\1"), Catch::Contains("1 matches"));
    CHECK_THAT(problem("1", "a"), Catch::Contains("'a' in the replacement"));
    CHECK_THAT(problem("1", "\\\\1"), Catch::Contains("in the replacement"));
    CHECK_THAT(problem("//", "1"), Catch::Contains("is empty"));
}

TEST_CASE("several main numbers, each with its extensions") {
    auto site = berlin();
    site.subscribers = {{"4799"}, {"4838", {{"100", "299"}, {"7000", "7999"}}}, {"98765", {{"00", "99"}}}};
    site.extension_digits = Digits(2, 4);
    CHECK(formed(site, "456") == "+49 30 4799456");
    CHECK(formed(site, "150") == "+49 30 4838150");
    CHECK(formed(site, "100") == "+49 30 4838100");
    CHECK(formed(site, "299") == "+49 30 4838299");
    CHECK(formed(site, "300") == "+49 30 4799300");
    CHECK(formed(site, "7000") == "+49 30 48387000");
    CHECK(formed(site, "42") == "+49 30 9876542");
    CHECK(formed(site, "4838150") == "+49 30 4838150");
    CHECK(formed(site, "0304838150") == "+49 30 4838150");
    CHECK(formed(site, "9876542") == "+49 30 9876542");
    CHECK(form(site, {}, Kind::destination, "4838150").extension == "150");
    CHECK(form(site, {}, Kind::destination, "+49 30 9876542").extension == "42");
    CHECK(form(site, {}, Kind::destination, "+49 89 1").extension == std::nullopt);
    // Without a main number for all, the first takes what no range names.
    site.subscribers = {{"1", {{"100", "199"}}}, {"2", {{"200", "299"}}}};
    CHECK(formed(site, "250") == "+49 30 2250");
    CHECK(formed(site, "350") == "+49 30 1350");
    site.subscribers.push_back({"3"});
    CHECK(formed(site, "350") == "+49 30 3350");
}

TEST_CASE("several prefixes: the first is dialled, all are understood") {
    auto site = berlin();
    site.national_prefixes = {"0", "010"};
    site.international_prefixes = {"00", "01000"};
    site.outside_lines = {"0", "9"};
    CHECK(outgoing(site, {}, "+49 89 1") ==
          "0089"
          "1");
    CHECK(outgoing(site, {}, "+43 1 5") ==
          "00043"
          "15");
    CHECK(formed(site, "01000 43 1 5") == "+4315");
    CHECK(formed(site, "010 89 1", {}, Kind::originator) == "+49 891");
    CHECK(normalise("01000 43 1", &site) == "+431");
    site.remove_outside_line = true;
    CHECK(formed(site, "9 089 123456", {}, Kind::originator) == "+49 89123456");
    // With the empty one first, none is dialled.
    site.national_prefixes = {"", "0"};
    site.remove_outside_line = false;
    CHECK(outgoing(site, {}, "+49 89 123456") ==
          "0"
          "89123456");
    CHECK(formed(site, "089 123456", {}, Kind::originator) == "+49 89123456");
}

TEST_CASE("countries 1 and 7, and the area without the national prefix") {
    Numbering york;
    york.country = "1";
    york.area = "212";
    york.subscribers = {{"555", {{"0100", "0199"}}}};
    york.extension_digits = Digits(4);
    york.national_prefixes = {"1"};
    york.international_prefixes = {"011"};
    york.outside_lines = {"9"};
    york.always_dial_area = DialArea::bare;
    CHECK(outgoing(york, {}, "+1 212 555 1234") == "92125551234");
    CHECK(outgoing(york, {}, "+1 415 555 1234") == "914155551234");
    CHECK(outgoing(york, {}, "+49 89 1") == "901149891");
    CHECK(formed(york, "0142") == "+1 212 5550142");
    CHECK(formed(york, "12125550142") == "+1 212 5550142");
    CHECK(formed(york, "2125550142") == "+1 212 5550142");
    york.always_dial_area = DialArea::no;
    CHECK(outgoing(york, {}, "+1 212 555 1234") == "95551234");
    york.always_dial_area = DialArea::yes;
    CHECK(outgoing(york, {}, "+1 212 555 1234") == "912125551234");

    Numbering moscow;
    moscow.country = "7";
    moscow.area = "495";
    moscow.national_prefixes = {"8"};
    moscow.international_prefixes = {"810"};
    CHECK(outgoing(moscow, {}, "+7 495 1234567") == "1234567");
    CHECK(outgoing(moscow, {}, "+7 812 1234567") == "88121234567");
    CHECK(outgoing(moscow, {}, "+49 89 1") == "81049891");
    CHECK(formed(moscow, "810 49 89 1", {}, Kind::originator) == "+49891");
    CHECK(formed(moscow, "8 812 1234567", {}, Kind::originator) == "+7 8121234567");
}

TEST_CASE("a number of the site itself is an internal call, if it is so wished") {
    auto site = berlin();
    site.internal_length = 4;
    CHECK(outgoing(site, {}, "+49 30 456987123") == "0456987123");
    site.internal_calls = true;
    CHECK(outgoing(site, {}, "+49 30 456987123") == "123");
    CHECK(outgoing(site, {}, "+49 30 456987") == "0456987");            // no extension
    CHECK(outgoing(site, {}, "+49 30 45698712345") == "045698712345");  // longer than internal ones are
    CHECK(outgoing(site, {}, "+49 30 456988123") == "0456988123");
    CHECK(outgoing(site, {parse_conversion("O;D=1;D=91[2]")}, "+49 30 456987123") == "9123");
    site.subscribers = {{"456987", {{"100", "199"}}}};
    CHECK(outgoing(site, {}, "+49 30 456987123") == "123");
    CHECK(outgoing(site, {}, "+49 30 456987223") == "0456987223");
}

TEST_CASE("nobody reaches an emergency number by accident") {
    auto site = berlin();
    CHECK(outgoing(site, {}, "+49 30 1123456") == "00301123456");
    CHECK(steps_of(site, "+49 30 1123456") ==
          "+49301123456 wanted\n"
          "01123456 not dialled so: it begins like the short number '112'\n"
          "0301123456 same country: national prefix '0'\n"
          "00301123456 outside line '0'\n");
    CHECK(outgoing(site, {}, "+49 30 112") == "0030112");
    CHECK(outgoing(site, {}, "+49 30") == "0030");
    // Unless a rule makes something else of it.
    CHECK(outgoing(site, {parse_conversion("O;D=0112;D=77[5]")}, "+49 30 1123456") == "773456");
    CHECK(outgoing(site, {}, "+49 30 1134567") == "01134567");
    // Who writes it means it.
    CHECK(outgoing(site, {}, "112") == "0112");
    site.outside_lines = {};
    CHECK(outgoing(site, {}, "110") == "110");
    CHECK(outgoing(site, {}, "+49 30 110") == "030110");
    // An extension of the site itself.
    site.internal_calls = true;
    CHECK(outgoing(site, {}, "+49 30 456987112") == "456987112");
    // A rule that makes one is refused, whatever the form.
    const std::vector<Conversion> rule{
        make_conversion(Conversion::Direction::outgoing, Kind::destination, "^.*$", "112")};
    CHECK_THAT(refused_because(site, "+49 89 5", rule), Catch::Contains("begins like the short number '112'"));
    CHECK_THAT(refused_because(site, "5", rule), Catch::Contains("'5' cannot be dialled"));
    // The outside line and the number together: 9 and 11...
    Numbering york;
    york.country = "1";
    york.area = "212";
    york.outside_lines = {"9"};
    york.national_prefixes = {"1"};
    york.international_prefixes = {"011"};
    CHECK_THAT(refused_because(york, "1155"), Catch::Contains("'91155' begins like the short number '911'"));
    CHECK(outgoing(york, {}, "+1 212 1155555") == "912121155555");
    // 0 0011 begins like Australia's 000, and is how the PBX calls abroad.
    Numbering sydney;
    sydney.country = "61";
    sydney.area = "2";
    sydney.outside_lines = {"0"};
    sydney.international_prefixes = {"0011"};
    CHECK(outgoing(sydney, {}, "+49 89 1") == "0001149891");
    // What a site says itself.
    site.short_numbers = std::vector<std::string>{};
    CHECK(outgoing(site, {}, "+49 30 1123456") == "1123456");
    site.short_numbers = std::vector<std::string>{"115", "98"};
    CHECK(outgoing(site, {}, "+49 30 981234") == "030981234");
    CHECK(outgoing(site, {}, "+49 30 1123456") == "1123456");
}

TEST_CASE("blocked numbers are not dialled, however they are written") {
    auto site = berlin();
    site.blocked = {normalise_pattern("0900*", &site), "+43900?"};
    for (const char* wanted : {"0900 123", "+49 900 123", "0049 900 123", "+49 (0)900-123"}) {
        INFO(wanted);
        CHECK_THAT(refused_because(site, wanted), Catch::Contains("the site blocks '+49900*'"));
        CHECK(refusal(site, wanted).has_value());
    }
    CHECK_THAT(refused_because(site, "+43 900 1"), Catch::Contains("'+43900?'"));
    CHECK(outgoing(site, {}, "+43 900 12") == "0004390012");
    CHECK(refusal(site, "+49 89 1") == std::nullopt);
    // What begins with the international prefix is of other countries, and not all that is.
    site.blocked = {normalise_pattern("00*", &site)};
    CHECK(refusal(site, "0043 1 5330").has_value());
    CHECK(refusal(site, "+43 1 5330").has_value());
    for (const char* own : {"+49 89 1", "089 1", "4711"}) CHECK_FALSE(refusal(site, own).has_value());
    site.e164_only = true;
    CHECK_THAT(refusal(site, "089 1").value_or(""), Catch::Contains("only numbers with '+'"));
}

TEST_CASE("a called number tells the site") {
    const auto site = berlin();
    CHECK(own_digits(site, "+49 30 456987123") == 10);
    CHECK(own_digits(site, "0049 30 456987123") == 10);
    CHECK(own_digits(site, "456987123") == 6);
    CHECK(own_digits(site, "030456987123") == 9);
    CHECK(own_digits(site, "123") == 0);
    CHECK(own_digits(site, "+49 30 1") == 0);
    CHECK(own_digits(site, "456987123", TypeOfNumber::subscriber) == 10);
    CHECK(own_digits(site, "30456987123", TypeOfNumber::national) == 10);
    CHECK(own_digits(site, "anna") == 0);
    auto narrow = site;
    narrow.subscribers = {{"456987", {{"200", "299"}}}};
    CHECK(own_digits(narrow, "+49 30 456987123") == 0);
    CHECK(own_digits(narrow, "456987123") == 0);
    CHECK(own_digits(narrow, "+49 30 456987223") == 10);
    narrow.subscribers = {{"45"}};
    CHECK(own_digits(narrow, "456") == 0);  // an extension alone
    // The longest main number counts.
    narrow.subscribers = {{"45", {{"100", "199"}}}, {"456987"}};
    CHECK(own_digits(narrow, "456987123") == 6);
    auto bare = site;
    bare.subscribers.clear();
    CHECK(own_digits(bare, "+49 30 456987123") == 4);
    CHECK(own_digits(bare, "030456987123") == 3);
}

TEST_CASE("habits and emergency numbers of countries") {
    REQUIRE(habits_of("45"));
    CHECK(habits_of("45")->national_prefix.empty());
    CHECK(habits_of("1")->international_prefix == "011");
    CHECK_FALSE(habits_of("49").has_value());
    CHECK(emergency_numbers("1") == std::vector<std::string_view>{"911", "112"});
    CHECK(emergency_numbers("49") == std::vector<std::string_view>{"112", "110"});
    CHECK(emergency_numbers("999") == std::vector<std::string_view>{"112"});
    CHECK(emergency_numbers("353") == std::vector<std::string_view>{"112", "999"});
    CHECK(emergency_numbers("86") == std::vector<std::string_view>{"110", "119", "120", "122"});
    CHECK(emergency_numbers("972") == std::vector<std::string_view>{"112", "100", "101", "102"});
    for (const char* country : {"1", "49", "353", "379", "998"}) CHECK(is_country(country));
    for (const char* other : {"", "0", "999", "+49", "4"}) CHECK_FALSE(is_country(other));
}

TEST_CASE("what a number of a place is elsewhere") {
    auto site = berlin();
    const auto away = [&](std::string_view wanted, const std::vector<Conversion>& conversions = {}) {
        const auto number = elsewhere(site, conversions, wanted);
        // Who dials it elsewhere reaches who it reaches here.
        if (number && number->starts_with('+')) CHECK(elsewhere(site, conversions, *number) == number);
        return number.value_or("unknown");
    };
    CHECK(away("+49 89 4799-123") == "+49894799123");
    CHECK(away("0049 89 4799") == "+49894799");
    CHECK(away("001 212 5551234") == "+12125551234");
    CHECK(away("089 4799") == "+49894799");
    CHECK(away("456988") == "+4930456988");
    CHECK(away("4123") == "+49304123");  // nothing is internal here
    // Nor is what each country has for itself.
    for (const char* service : {"115", "116117", "11833", "411"}) CHECK(away(service) == "unknown");
    CHECK(away("1154321") == "+49301154321");
    CHECK(away("Joe") == "Joe");
    CHECK(away("") == "");
    // Emergency numbers are those of the place; what begins like one is not.
    CHECK(away("112") == "unknown");
    CHECK(away("1123456") == "+49301123456");
    // What a rule of the place makes of it, nobody else knows.
    const std::vector<Conversion> tie_line{parse_conversion("O;D=077;D=8[4]")};
    CHECK(away("77123", tie_line) == "unknown");
    CHECK(away("78123", tie_line) == "+493078123");
    site.internal_length = 4;
    CHECK(away("123") == "+4930456987123");
    // An internal number longer than an extension, and one by which the PBX takes a line.
    CHECK(away("1234") == "unknown");
    CHECK(away("0123") == "unknown");
    site.outside_lines = {"9"};
    CHECK(away("012") == "+4930456987012");
    CHECK(away("001") == "+4930456987001");
    CHECK(away("912") == "unknown");
    site.outside_lines = {"0"};
    site.internal_length = 3;
    site.subscribers = {{"456987", {{"100", "199"}}}};
    CHECK(away("199") == "+4930456987199");
    CHECK(away("200") == "unknown");
    site.subscribers.clear();
    CHECK(away("123") == "unknown");
    // A person dials no outside line for a PBX to remove.
    site.remove_outside_line = true;
    CHECK(away("01234567") == "+491234567");
    site.country.clear();
    CHECK(away("456988") == "456988");
    CHECK(away("77123", tie_line) == "unknown");
    // North America: seven digits have no area, ten have.
    site = Numbering();
    site.country = "1";
    site.area = "212";
    site.national_prefixes = {"1"};
    site.international_prefixes = {"011"};
    site.always_dial_area = DialArea::bare;
    CHECK(away("5551234") == "+12125551234");
    CHECK(away("8085551234") == "+18085551234");
    CHECK(away("18085551234") == "+18085551234");
    CHECK(away("01149891") == "+49891");
    site.always_dial_area = DialArea::no;
    CHECK(away("8085551234") == "+18085551234");
    CHECK(away("5551234") == "+12125551234");
    // Services of a country, which no subscriber's number begins like.
    site = Numbering();
    site.country = "44";
    site.area = "20";
    CHECK(away("1471") == "unknown");
    CHECK(away("118500") == "unknown");
    site.country = "31";
    CHECK(away("14 020") == "unknown");
    CHECK(away("1888") == "unknown");
    site.country = "36";
    CHECK(away("1818") == "unknown");
    site.country = "86";
    CHECK(away("95588") == "unknown");
    site.country = "44";
    CHECK(away("79460958") == "+442079460958");
    CHECK(away("1212345678") == "+441212345678");
    site.country = "61";
    site.area = "2";
    CHECK(away("131234") == "unknown");
    CHECK(away("1300123456") == "+611300123456");
    // Where numbers are whole, or the area always dialled, nothing is put in front.
    for (const char* country : {"39", "48", "34"}) {
        site = Numbering();
        site.country = country;
        site.area = country == std::string("39") ? "02" : "22";
        site.national_prefixes = {};
        CHECK(away("061234567") == "+" + std::string(country) + "061234567");
        CHECK(away("501234567") == "+" + std::string(country) + "501234567");
        CHECK(away("3600") == "unknown");
    }
}

TEST_CASE("whole numbers are blocked as they are dialled") {
    Numbering york;
    york.country = "1";
    york.area = "212";
    york.national_prefixes = {"1"};
    york.international_prefixes = {"011"};
    york.blocked = {"+1900*"};
    for (const auto area : {DialArea::no, DialArea::yes, DialArea::bare}) {
        york.always_dial_area = area;
        CHECK(normalise("(900) 555-1234", &york) == "+19005551234");
        CHECK(normalise("555-1234", &york) == "+12125551234");
        CHECK(refusal(york, "(900) 555-1234").has_value());
        CHECK(refusal(york, "1 900 555 1234").has_value());
        CHECK_FALSE(refusal(york, "900 1234").has_value());
        CHECK(form(york, {}, Kind::originator, "6505551234").number == "+1 6505551234");
    }
    Numbering warsaw;
    warsaw.country = "48";
    warsaw.area = "22";
    warsaw.national_prefixes = {};
    warsaw.blocked = {"+48700*"};
    CHECK(refusal(warsaw, "700 123456").has_value());
    CHECK(normalise("501234567", &warsaw) == "+48501234567");
    CHECK(outgoing(warsaw, {}, "+48 22 1234567") == "221234567");
    Numbering milan;
    milan.country = "39";
    milan.area = "02";
    milan.national_prefixes = {};
    milan.blocked = {"+39899*"};
    CHECK(refusal(milan, "899 123456").has_value());
    CHECK(normalise("06 123456", &milan) == "+3906123456");
    CHECK(outgoing(milan, {}, "+39 02 123456") == "02123456");
    CHECK(form(milan, {}, Kind::originator, "06123456").number == "+39 06123456");
}

TEST_CASE("ordinary numbers behind the outside line are none of the emergency numbers") {
    const auto dials = [](const char* country, const char* area, const char* outside, const char* wanted) {
        Numbering site;
        site.country = country;
        site.area = area;
        site.outside_lines = {outside};
        const auto habits = habits_of(country);
        if (habits) site.national_prefixes = {std::string(habits->national_prefix)};
        if (habits) site.international_prefixes = {std::string(habits->international_prefix)};
        return outgoing(site, {}, wanted);
    };
    CHECK(dials("34", "", "0", "+34 91 345 67 89") == "0913456789");
    CHECK(dials("34", "", "0", "610 682 096") == "0610682096");
    CHECK(dials("371", "", "0", "+371 2612 3456") == "026123456");
    CHECK(dials("373", "22", "9", "022 123456") == "9022123456");
    CHECK(dials("852", "", "9", "+852 9912 3456") == "999123456");
    CHECK(dials("65", "", "9", "9512 3456") == "995123456");
    CHECK(dials("7", "495", "0", "+7 495 234 56 78") == "02345678");
}

TEST_CASE("no form is dialled that begins with a prefix that is not meant") {
    const auto dials = [](const char* country, const char* area, const char* national, const char* abroad,
                          const char* wanted) {
        Numbering site;
        site.country = country;
        site.area = area;
        site.national_prefixes = {national};
        site.international_prefixes = {abroad};
        site.outside_lines = {"9"};
        return outgoing(site, {}, wanted);
    };
    CHECK(dials("49", "89", "0", "00", "+49 89 0043 1 5330") ==
          "908900431"
          "5330");
    CHECK(dials("49", "89", "0", "00", "+49 89 0431 5330") == "908904315330");
    CHECK(dials("34", "", "", "00", "+34 00 43 1 5330") ==
          "9003400431"
          "5330");
    CHECK(dials("1", "212", "1", "011", "+1 212 011 43 1") == "91212011431");
    CHECK(dials("7", "495", "8", "810", "+7 10 43 1 5330") == "98107104315330");
    CHECK(dials("7", "495", "8", "810", "+7 495 810 4311") == "984958104311");
    CHECK(dials("61", "2", "0", "0011", "+61 1300 123456") == "91300123456");
    CHECK(dials("61", "2", "0", "0011", "+61 3 123456") == "903123456");
    // The pattern 900* means both in North America; here what it is read as without its star.
    Numbering sydney;
    sydney.country = "61";
    sydney.area = "2";
    sydney.international_prefixes = {"0011"};
    sydney.blocked = {normalise_pattern("1900*", &sydney), "+49*"};
    CHECK(refusal(sydney, "1900 123456").has_value());
    CHECK(refusal(sydney, "+61 1900 123456").has_value());
    CHECK(refusal(sydney, "0011 49 89 1").has_value());
    CHECK(normalise("0011 49 89 1", &sydney) == "+49891");
    CHECK(normalise("00 49 89 1", &sydney) == "+49891");
    Numbering minsk;
    minsk.country = "375";
    minsk.national_prefixes = {"8", "80"};
    CHECK(normalise("80 17 123 45 67", &minsk) == "+375171234567");
    // One reading for routes, what is blocked, and another site that sends.
    Numbering zurich;
    zurich.country = "41";
    zurich.area = "44";
    zurich.always_dial_area = DialArea::yes;
    CHECK(normalise("1234567", &zurich) == "+41441234567");
    CHECK(elsewhere(zurich, {}, "1234567") == "+41441234567");
}

TEST_CASE("of the short numbers that fit, the longest counts") {
    Numbering addis;
    addis.country = "251";
    addis.area = "11";
    addis.outside_lines = {"9"};
    CHECK(outgoing(addis, {}, "+251 11 111 2345") == "90111112345");
    CHECK_THAT(refused_because(addis, "111 2345"), Catch::Contains("begins like the short number '911'"));
    Numbering munich;
    munich.country = "49";
    munich.area = "89";
    munich.outside_lines = {"1"};
    munich.short_numbers = std::vector<std::string>{"11", "112"};
    CHECK(outgoing(munich, {}, "+49 89 1234567") == "10891234567");
    // Behind any of several lines, once a rule has changed it, or where nothing stands before it.
    munich.short_numbers.reset();
    munich.outside_lines = {"0", "9"};
    CHECK(outgoing(munich, {parse_conversion("O;D=077;D=9[4]")}, "+49 89 77112") == "008977112");
    CHECK_THAT(refused_because(munich, "77112", {parse_conversion("O;D=077;D=9[4]")}),
               Catch::Contains("short number '112'"));
    munich.outside_lines = {"9"};
    munich.internal_length = 5;
    CHECK_THAT(refused_because(munich, "12", {parse_conversion("O;D=12;D=9112")}), Catch::Contains("'112'"));
    munich.outside_lines = {"0", "01"};
    CHECK_THAT(refused_because(munich, "0112"), Catch::Contains("'112'"));
}

TEST_CASE("patterns that block are read as numbers are") {
    using Patterns = std::vector<std::string>;
    const auto blocks = [](Numbering place, const char* pattern) {
        block(place, pattern);
        return place.blocked;
    };
    Numbering york;
    york.country = "1";
    york.area = "212";
    york.national_prefixes = {"1"};
    york.international_prefixes = {"011"};
    york.internal_length = 3;
    CHECK(blocks(york, "900*") == Patterns{"+1212900*", "+1900*"});
    CHECK(blocks(york, "1900*") == Patterns{"+1900*"});
    CHECK(blocks(york, "+1900*") == Patterns{"+1900*"});
    CHECK(blocks(york, "*900*") == Patterns{"*900*"});
    CHECK(blocks(york, "900???????") == Patterns{"+1900???????"});
    CHECK(blocks(york, "011*") == Patterns{"+*"});
    CHECK(blocks(york, "911") == Patterns{"911"});
    york.always_dial_area = DialArea::bare;
    CHECK(blocks(york, "976*") == Patterns{"+1976*", "+1212976*"});
    Numbering milan;
    milan.country = "39";
    milan.area = "02";
    milan.national_prefixes = {};
    milan.internal_length = 3;
    CHECK(blocks(milan, "899*") == Patterns{"+39899*"});
    CHECK(blocks(milan, "89?") == Patterns{"89?"});
    Numbering dublin;
    dublin.country = "353";
    dublin.area = "1";
    CHECK(blocks(dublin, "15*") == Patterns{"+353115*", "+35315????????"});
    CHECK(blocks(dublin, "1550*") == Patterns{"+35311550*", "+3531550??????"});
    CHECK(blocks(dublin, "1*") == Patterns{"+35311*", "+3531800??????", "+3531850??????", "+3531890??????",
                                           "+35315????????", "+353118??", "+353116???"});
    CHECK(blocks(dublin, "015*") == Patterns{"+35315*"});
}

TEST_CASE("what is written as its pattern is blocked") {
    const auto refuses = [](Numbering place, const char* pattern, const char* number) {
        block(place, pattern);
        return refusal(place, number).has_value();
    };
    Numbering dublin;
    dublin.country = "353";
    dublin.area = "1";
    for (const char* pattern : {"15*", "1550*"}) {
        CHECK(refuses(dublin, pattern, "1550 123 456"));
        CHECK(refuses(dublin, pattern, "+353 1550 123 456"));
        CHECK_FALSE(refuses(dublin, pattern, "+353 1 550 1234"));
    }
    Numbering haifa;
    haifa.country = "972";
    haifa.area = "4";
    CHECK(refuses(haifa, "1-900*", "1900 123 456"));
    CHECK(refuses(haifa, "1900*", "+972 1 900 123 456"));
    Numbering beijing;
    beijing.country = "86";
    beijing.area = "10";
    CHECK(refuses(beijing, "400*", "+86 400 810 1234"));
    // Where no number of the area is dialled without a prefix, a pattern without one means none.
    Numbering paris;
    paris.country = "33";
    paris.area = "1";
    paris.always_dial_area = DialArea::yes;
    CHECK(refuses(paris, "3*", "3612"));
    CHECK(refuses(paris, "3*", "+33 3612"));
    CHECK_FALSE(refuses(paris, "3*", "+33 1 30 12 34 56"));
    CHECK_FALSE(refuses(paris, "3*", "01 30 12 34 56"));
    CHECK(refuses(paris, "089*", "+33 89 12 34 56 7"));
    Numbering hanoi;
    hanoi.country = "84";
    hanoi.area = "24";
    CHECK(refuses(hanoi, "1900*", "+84 1900 1234"));
    Numbering rio;
    rio.country = "55";
    rio.area = "21";
    rio.national_prefixes = {"015"};
    CHECK(refuses(rio, "0900*", "0900 123 4567"));
    Numbering london;
    london.country = "44";
    london.area = "20";
    CHECK(refuses(london, "141*", "141 0906 1234567"));
    london.internal_length = 4;
    CHECK_FALSE(refuses(london, "141*", "1411"));  // internal
    CHECK_FALSE(refuses(london, "00*", "0044 20 79460958"));
    Numbering york;
    york.country = "1";
    york.area = "212";
    york.national_prefixes = {"1"};
    for (const auto area : {DialArea::no, DialArea::yes, DialArea::bare}) {
        york.always_dial_area = area;
        CHECK(refuses(york, "976*", "976-1234"));
        CHECK(refuses(york, "976*", "+1 212 976 1234"));
        CHECK(refuses(york, "900*", "+1 900 555 1234"));
        CHECK(refuses(york, "+11900*", "+1 1 900 555 1234"));
    }
}

TEST_CASE("services of a country are not cut to numbers of an area") {
    auto site = berlin();
    site.outside_lines = {"9"};
    const auto dials = [&](const char* country, const char* area, const char* number) {
        site.country = country;
        site.area = area;
        return outgoing(site, {}, number);
    };
    CHECK(dials("353", "1", "+353 1800 123 456") == "91800123456");
    CHECK(dials("353", "1", "+353 1 800 1234") == "98001234");
    CHECK(dials("43", "1", "+43 1450") == "91450");
    CHECK(dials("43", "1", "+43 116117") == "9116117");
    CHECK(dials("36", "1", "+36 116 000") == "9116000");
    CHECK(dials("86", "10", "+86 400 810 1234") == "94008101234");
    CHECK(dials("86", "10", "+86 95588") == "995588");
    CHECK(dials("82", "2", "+82 1588-1234") == "915881234");
    CHECK(dials("972", "3", "+972 1 800 123 456") == "91800123456");
    CHECK(dials("971", "4", "+971 800 1234") == "98001234");
    CHECK(dials("966", "11", "+966 9200 12345") == "9920012345");
    CHECK(dials("90", "212", "+90 444 1 444") == "94441444");
    CHECK(dials("60", "3", "+60 1 300 88 1234") == "91300881234");
    CHECK(dials("60", "3", "+60 13 123 4567") == "90131234567");
    CHECK(dials("31", "20", "+31 14 020") == "914020");
    CHECK(dials("91", "22", "+91 1800 123 456") == "91800123456");
    CHECK(dials("66", "2", "+66 1800 123 456") == "91800123456");
    CHECK(dials("84", "24", "+84 1900 1234") == "919001234");
    CHECK(dials("63", "2", "+63 1800 10 123 4567") == "91800101234567");
    CHECK(dials("593", "2", "+593 1800 123456") == "91800123456");
    CHECK(dials("62", "21", "+62 14045") == "914045");
    CHECK(dials("86", "21", "+86 10086") == "910086");
    CHECK(dials("86", "10", "+86 10 8612 3456") == "986123456");
}

TEST_CASE("prefixes that are no 0 are known behind the country") {
    auto site = berlin();
    site.outside_lines = {"9"};
    site.country = "7";
    site.area = "495";
    site.national_prefixes = {"8"};
    site.international_prefixes = {"810"};
    CHECK(outgoing(site, {}, "+7 (8) 495 123-45-67") == "91234567");
    CHECK(outgoing(site, {}, "+7 (8) 800 555 35 35") == "988005553535");
    CHECK(outgoing(site, {}, "+7 8 800 555 35 35") == "9888005553535");  // one digit is too many, who knows which
    CHECK(outgoing(site, {}, "+7 812 345 67 89") == "988123456789");
    site.country = "375";
    site.area = "17";
    site.national_prefixes = {"80"};
    CHECK(outgoing(site, {}, "+375 8 029 123 45 67") == "980291234567");
    CHECK(outgoing(site, {}, "+375 29 123 45 67") == "980291234567");
    site.country = "52";
    site.area.clear();
    site.national_prefixes = {};
    CHECK(outgoing(site, {}, "+52 1 55 1234 5678") == "95512345678");
    CHECK(outgoing(site, {}, "+52 55 1234 5678") == "95512345678");
    CHECK(outgoing(site, {}, "+52 (01) 55 1234 5678") == "95512345678");
    site.country = "1";
    site.area = "212";
    site.national_prefixes = {"1"};
    CHECK(outgoing(site, {}, "+1 1 415 555 1234") == "914155551234");
}

TEST_CASE("a called number without a main number is not doubled either") {
    Numbering site;
    const auto called = [&](const char* country, const char* area, const char* prefix, const char* number) {
        site.country = country;
        site.area = area;
        site.national_prefixes = {prefix};
        const auto formed = form(site, {}, Kind::destination, number);
        CHECK(formed.doubled == (strip(formed.number) != "+" + site.country + site.area + strip(number)));
        return formed.number;
    };
    CHECK(called("39", "02", "", "0212345678") == "+39 02 12345678");
    CHECK(called("39", "02", "", "12345678") == "+39 02 12345678");
    CHECK(called("44", "20", "0", "02079461234") == "+44 20 79461234");
    CHECK(called("44", "20", "0", "2079461234") == "+44 20 79461234");
    CHECK(called("44", "20", "0", "79461234") == "+44 20 79461234");
    CHECK(called("41", "44", "0", "0445551234") == "+41 44 5551234");
    CHECK(called("41", "44", "0", "41445551234") == "+41 44 5551234");
    CHECK(own_digits(site, "0445551234") == 3);
    CHECK(own_digits(site, "41445551234") == 4);
    CHECK(own_digits(site, "0435551234") == 0);
    CHECK(called("49", "8142", "0", "08142123456") == "+49 8142 123456");
    CHECK(called("49", "8142", "0", "8142123456") == "+49 8142 8142123456");  // who knows
    CHECK(called("1", "212", "1", "2125551234") == "+1 212 5551234");
    CHECK(called("33", "", "0", "0144556612") == "+33 144556612");
    CHECK(called("34", "", "", "34914561234") == "+34 914561234");
    CHECK(called("34", "", "", "914561234") == "+34 914561234");
}

TEST_CASE("a caller's number that is too long for his country has the country") {
    Numbering site;
    const auto caller = [&](const char* country, const char* area, const char* number) {
        site.country = country;
        site.area = area;
        return strip(form(site, {}, Kind::originator, number).number);
    };
    CHECK(caller("34", "", "34612345678") == "+34612345678");
    CHECK(caller("33", "1", "33612345678") == "+33612345678");
    CHECK(caller("41", "44", "41791234567") == "+41791234567");
    CHECK(caller("44", "20", "447912345678") == "+447912345678");
    CHECK(caller("7", "495", "74951234567") == "+74951234567");
    CHECK(caller("86", "10", "8613812345678") == "+8613812345678");
    CHECK(caller("20", "2", "201012345678") == "+201012345678");
    CHECK(caller("358", "9", "358401234567") == "+358401234567");
    CHECK(caller("46", "8", "46701234567") == "+46701234567");
    CHECK(caller("39", "02", "393471234567") == "+393471234567");
    CHECK(caller("84", "24", "84901234567") == "+84901234567");
    CHECK(caller("46", "8", "46701234") == "+46846701234");
    // These are numbers of the country, or nobody knows.
    CHECK(caller("33", "1", "331234567") == "+33331234567");
    CHECK(caller("86", "10", "86137123456") == "+8686137123456");
    CHECK(caller("353", "1", "3531234567") == "+3533531234567");
    CHECK(caller("34", "", "346123456789") == "+34346123456789");
    CHECK(caller("49", "89", "4930123456") == "+49894930123456");
}

TEST_CASE("of every type, what comes from abroad and what is internal is told") {
    auto site = berlin();
    site.internal_length = 3;
    for (const auto type : {TypeOfNumber::subscriber, TypeOfNumber::national, TypeOfNumber::international}) {
        site.originator_type = type;
        CHECK(formed(site, "004412345678", {}, Kind::originator) == "+4412345678");
        CHECK(formed(site, "123", {}, Kind::originator) == "+49 30 456987123");
        CHECK(formed(site, "00441234567", type) == "+441234567");
    }
    CHECK(formed(site, "123", TypeOfNumber::national, Kind::originator) == "+49 123");  // the PBX says so
    CHECK(formed(site, "01711234567", TypeOfNumber::subscriber, Kind::originator) == "+49 1711234567");
    Numbering york;
    york.country = "1";
    york.area = "212";
    york.subscribers = {{"555"}};
    york.extension_digits = Digits(4);
    york.national_prefixes = {"1"};
    york.international_prefixes = {"011"};
    CHECK(formed(york, "0123", TypeOfNumber::subscriber) == "+1 212 5550123");
    CHECK(formed(york, "5551234", TypeOfNumber::subscriber) == "+1 212 5551234");
    site.destination_type = TypeOfNumber::subscriber;
    CHECK(formed(site, "30456987123") == "+49 30 456987123");
    CHECK(formed(site, "4930456987123") == "+49 30 456987123");
    CHECK_FALSE(form(site, {}, Kind::destination, "456987123").doubled);
    auto small = site;
    small.subscribers = {{"12"}};
    small.extension_digits = Digits(4);
    CHECK(formed(small, "1234") == "+49 30 1234");
    CHECK(formed(small, "3412") == "+49 30 123412");
    // An extension alone does not tell the site.
    CHECK(own_digits(small, "3412") == 0);
    CHECK(own_digits(small, "3412", TypeOfNumber::subscriber) == 0);
    CHECK(own_digits(small, "123412", TypeOfNumber::subscriber) > 0);
    CHECK(formed(york, "0123", TypeOfNumber::subscriber, Kind::originator) == "+1 212 0123");
    CHECK(formed(york, "2125551234", TypeOfNumber::subscriber, Kind::originator) == "+1 212 5551234");
    CHECK(formed(york, "3105551234", TypeOfNumber::subscriber, Kind::originator) == "+1 3105551234");
    york.originator_type = TypeOfNumber::national;
    CHECK(formed(york, "0114989123456", {}, Kind::originator) == "+4989123456");
}

TEST_CASE("more than one 0 behind the country is no number") {
    const auto site = berlin();
    CHECK(outgoing(site, {}, "+49 0431 1") == "004311");
    CHECK_THAT(refused_because(site, "+49 00 43 1 5330"), Catch::Contains("no number begins so behind the country"));
    CHECK_THAT(refused_because(site, "+49 (0)0043 1 5330"), Catch::Contains("no number begins so"));
    auto careful = site;
    careful.blocked = {"+49900*"};
    CHECK(refusal(careful, "+49 00900 1").has_value());
}
