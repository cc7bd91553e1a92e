// SPDX-License-Identifier: GPL-3.0-or-later
#include "ums-sitemap/import.hpp"

#include <catch2/catch.hpp>

#include "error/error.hpp"
#include "text/text.hpp"

using namespace ums;
using namespace ums::sitemap;

namespace {

std::string problem(const std::string& csv) {
    try {
        import_sites(csv);
        return "accepted";
    } catch (const Error& error) {
        CHECK(error.fault() == Fault::unusable);
        return error.what();
    }
}

}  // namespace

TEST_CASE("settings of another system become sites") {
    const auto imported = import_sites(
        "\xef\xbb\xbfSite;Country Code;Area Code;Subscriber Number;Number of Direct Dialing Digits;National AccessCode;"
        "International Access Code;Outside Line Access;Internal Length;Allow outgoing messages only in E.164-format..;"
        "Fax ID;DDI Mapping;Number Conversion;Type of Number\r\n"
        "Munich HQ;+49;089;4799;3;0;00;0;4;no;+49 89 4799 0;\"1*=Fax\n2*: Fax or "
        "Voice\";\"O;D=00498142;D=8[9]|I;D=785;D=5[4]\";"
        "unknown\r\n"
        "\r\n"
        "Milan;0039;02;5554;3;;00;9;;yes;;;;\r\n");
    CHECK(imported.yaml ==
          "sites:\n"
          "  munich-hq:\n"
          "    kernels: [CHANGE-ME]\n"
          "    numbering:\n"
          "      country: '49'\n"
          "      area: '89'\n"
          "      subscriber: '4799'\n"
          "      extension-digits: 3\n"
          "      national-prefix: '0'\n"
          "      international-prefix: '00'\n"
          "      outside-line: '0'\n"
          "      internal-length: 4\n"
          "      type-of-number: unknown\n"
          "    conversions:\n"
          "      - 'O;D=00498142;D=8[9]'\n"
          "      - 'I;D=785;D=5[4]'\n"
          "    ddi:\n"
          "      '1*': fax\n"
          "      '2*': fax-or-voice\n"
          "    fax-id: '+49 89 4799 0'\n"
          "  milan:\n"
          "    kernels: [CHANGE-ME]\n"
          "    numbering:\n"
          "      country: '39'\n"
          "      area: '02'\n"
          "      subscriber: '5554'\n"
          "      extension-digits: 3\n"
          "      national-prefix: ''\n"
          "      international-prefix: '00'\n"
          "      outside-line: '9'\n"
          "      e164-only: yes\n");
    CHECK(imported.warnings == std::vector<std::string>{"site 'munich-hq': the area is taken without its leading 0"});
}

TEST_CASE("a page of settings, a field a line") {
    const auto imported = import_sites(
        "Landeskennzahl,49\nOrtskennzahl,8142\nAnschlussnummer,4799\nNumber in E.164,ja\nKopfzeile,\"Mayer, 'x'\"\n");
    CHECK(imported.yaml ==
          "sites:\n  site-1:\n    kernels: [CHANGE-ME]\n    numbering:\n      country: '49'\n      area: '8142'\n"
          "      subscriber: '4799'\n      type-of-number: international\n    header-line: 'Mayer, ''x'''\n");
    CHECK(imported.warnings.empty());
}

TEST_CASE("several main numbers and blocks in a cell, and spans of extensions") {
    const auto cell = [](const std::string& field, const std::string& value) {
        const auto imported = import_sites("Name;Country Code;" + field + "\na;49;" + value + "\n");
        const auto at = imported.yaml.find("country: '49'\n") + 14;
        return (imported.warnings.empty() ? "" : "told: ") + std::string(text::trim(imported.yaml.substr(at)));
    };
    CHECK(cell("Subscriber Number", "47 99") == "subscriber: '4799'");
    CHECK(cell("Hauptnummer", "4799/4838, 5") == "subscriber: ['4799', '4838', '5']");
    CHECK(cell("Subscriber Number", "5550100-5550199") == "subscriber: '5550100-5550199'");
    CHECK(cell("Subscriber Number", "4799|5550100 - 5550199") == "subscriber: ['4799', '5550100-5550199']");
    for (const char* wrong : {"4799-0", "1-2-3", "4799/", "-4799", "4799/x"}) {
        INFO(wrong);
        CHECK(cell("Subscriber Number", wrong) == "told: ");
    }
    CHECK(cell("Extension Digits", "2-3") == "extension-digits: 2-3");
    CHECK(cell("Extension Digits", "2-") == "told: ");
    CHECK(cell("Internal Length", "2-3") == "told: ");
    CHECK(cell("Area Code", "-1") == "told: ");
    CHECK(cell("Area Code", "0/89") == "told: ");
    CHECK(cell("Area Code", "(0)89") == "told: area: '89'");
    CHECK(cell("Conversion Rules", "\"I;D=785;D=5[4]\"").find("told: ") == std::string::npos);
}

TEST_CASE("odd files are read and told of") {
    const auto latin = import_sites("Name;Country Code;Header Line\nM\xfcnchen;49;M\xfcller\n");
    CHECK_THAT(latin.yaml, Catch::Contains("M\xc3\xbcller"));
    REQUIRE(latin.warnings.size() == 1);
    CHECK(latin.warnings[0].find("Latin-1") != std::string::npos);
    const std::string utf16(
        "\xff\xfeN\0a\0m\0e\0\t\0A\0r\0e\0a\0 \0C\0o\0d\0e\0\r\0\n\0\xfc\0b\0\t\0008\0009\0\r\0\n\0", 48);
    CHECK_THAT(import_sites(utf16).yaml, Catch::Contains("area: '89'"));
    CHECK_THROWS_WITH(import_sites(utf16.substr(0, 47)), "the file begins as UTF-16, but is not all of it");
    CHECK_THROWS_WITH(import_sites(utf16.substr(2)), Catch::Contains("characters that are 0"));
    CHECK_THAT(import_sites("Name;Area Code\ra;89\r").yaml, Catch::Contains("area: '89'"));
    CHECK_THAT(import_sites("Name;Area Code\ra;\"8\n9\"\r\nb;30").yaml, Catch::Contains("area: '30'"));
    CHECK_THROWS_WITH(import_sites(std::string("\xff\xfe\0\0a\0\0\0", 8)), Catch::Contains("characters that are 0"));
    std::string turned = utf16;
    for (std::size_t i = 0; i + 1 < turned.size(); i += 2) std::swap(turned[i], turned[i + 1]);
    CHECK(import_sites(turned).yaml == import_sites(utf16).yaml);
    const auto twice = import_sites("Name;Country Code;Area;Area Code\n;49;1;2;3\n");
    CHECK_THAT(twice.yaml, Catch::Contains("area: '1'"));
    CHECK(twice.warnings == std::vector<std::string>{"line 1: 'Area Code' is a second field for 'area' and left out",
                                                     "line 2: a site without a name is called 'site-1'",
                                                     "line 2: site 'site-1' has more cells than there are fields"});
}

TEST_CASE("what cannot be taken over is told with its line, and left out") {
    const auto imported = import_sites(
        "Name\tCountry Code\tInternal Length\tE164 only\tContry\tDDI\tConversions\n"
        "a\tGermany\tmany\tperhaps\t1\t1*=Faks\tX;D=1;D=2\n"
        "A\t49\t\t\t\t\t\n"
        "noroute\t49\t\t\t\t\t\n");
    const auto told = [&](const std::string& part) {
        for (const auto& warning : imported.warnings) {
            if (warning.find(part) != std::string::npos) return true;
        }
        return false;
    };
    CHECK(told("line 1: the field 'Contry' is not known and left out; is 'country' meant?"));
    CHECK(told("line 2: country 'Germany' of site 'a' is no digits"));
    CHECK(told("line 2: internal-length 'many'"));
    CHECK(told("line 2: e164-only 'perhaps' of site 'a' is neither yes nor no"));
    CHECK(told("line 2: ddi '1*=Faks'"));
    CHECK(told("the direction must be I or O"));
    CHECK(told("line 3: site 'A' is called 'a-2'"));
    CHECK(told("line 4: site 'noroute' is called 'site-3'"));
    CHECK(imported.warnings.size() == 8);
    CHECK_THAT(imported.yaml, Catch::Contains("  a-2:\n") && Catch::Contains("  site-3:\n"));
    CHECK(problem("") == "the file is empty");
    CHECK_THAT(problem("a,b\n1,2\n"), Catch::Contains("no field is known"));
    CHECK_THAT(problem("Country Code,Area Code\n"), Catch::Contains("no site"));
    CHECK_THAT(problem("Country Code\n\"49\n"), Catch::Contains("line 2: a quote is opened"));
}
