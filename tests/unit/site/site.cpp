// SPDX-License-Identifier: GPL-3.0-or-later
#include "site/site.hpp"

#include <catch2/catch.hpp>

#include "config_builder.hpp"
#include "error/error.hpp"

using namespace ums;
using namespace ums::site;
using test::ConfigBuilder;

namespace {

config::Site make_site(const std::string& name, const std::string& area, const std::string& subscriber) {
    config::Site site;
    site.name = name;
    site.numbering.emplace();
    site.numbering->country = "49";
    site.numbering->area = area;
    site.numbering->subscribers = {{subscriber}};
    site.numbering->extension_digits = 3;
    return site;
}

message::HeaderBlock block_of(const std::string& lines) { return message::HeaderBlock::parse(lines + "\r\n"); }

std::string incoming_of(const config::Site& site, const std::string& lines) {
    const auto block = block_of(lines);
    return apply(block, incoming_edit(site, block));
}
std::string outgoing_of(const config::Site& site, const std::string& lines) {
    const auto block = block_of(lines);
    return apply(block, outgoing_edit(site, block));
}

}  // namespace

TEST_CASE("the first site that lists a kernel gives its numbering") {
    auto a = make_site("a", "30", "1");
    a.kernels = {"k1", "k2"};
    auto b = make_site("b", "31", "1");
    b.kernels = {"k2", "k3"};
    const auto config = ConfigBuilder().site(a).site(b).config;
    const auto block = block_of("RCPT TO:123\r\n");
    REQUIRE(Sites(config, "k2", block).of_message().site != nullptr);
    CHECK(Sites(config, "k2", block).of_message().site->name == "a");
    CHECK(Sites(config, "k3", block).of_message().site->name == "b");
    CHECK(Sites(config, "k4", block).of_message().site == nullptr);
}

TEST_CASE("incoming numbers are formed, and the original is kept") {
    const auto site = make_site("berlin", "30", "456987");
    CHECK(incoming_of(site, "MAIL FROM:+43 1 5330\r\nRCPT TO:fax#123\r\nSubject: x\r\n") ==
          "MAIL FROM:+43 1 5330\r\nRCPT TO:fax#+49 30 456987123\r\nX-UMS-Original-Recipient: fax#123\r\nSubject: "
          "x\r\n\r\n");
}

TEST_CASE("an incoming full number is not doubled") {
    const auto site = make_site("berlin", "30", "456987");
    CHECK_THAT(incoming_of(site, "RCPT TO:456987123\r\n"), Catch::StartsWith("RCPT TO:+49 30 456987123\r\n"));
}

TEST_CASE("incoming numbers that are international, and names, stay as they are spelled") {
    const auto site = make_site("berlin", "30", "456987");
    const std::string lines =
        "RCPT TO:fax#+49 30 456987 123\r\nRCPT TO:+4930456987\r\nRCPT "
        "TO:anna@example.com\r\nX-UMS-Original-Recipient: 7\r\n";
    CHECK(incoming_of(site, lines) == lines + "\r\n");
    CHECK(incoming_edit(site, block_of(lines)).changes_nothing());
    std::vector<number::Step> steps;
    CHECK_FALSE(receive(site, block_of(lines), block_of(lines).recipients()[0], &steps).is_formed);
    REQUIRE(steps.size() == 2);
    CHECK_THAT(steps[1].what, Catch::Contains("international already"));
    CHECK_THAT(incoming_of(site, "RCPT TO:0043 1 5330\r\n"), Catch::StartsWith("RCPT TO:+4315330\r\n"));
    // But a conversion of the administrator's has its way.
    auto converting = site;
    converting.conversions = {number::parse_conversion("I;D=+4930;D=0[6]")};
    CHECK_THAT(incoming_of(converting, "RCPT TO:+49 30 7\r\n"), Catch::StartsWith("RCPT TO:+49 30 45698707\r\n"));
}

TEST_CASE("an incoming edit applied twice is applied once") {
    const auto site = make_site("berlin", "30", "456987");
    const auto once = incoming_of(site, "RCPT TO:123\r\nRCPT TO:SMS#456987123\r\nRCPT TO:<7>\r\n");
    const auto block = message::HeaderBlock::parse(once);
    CHECK(apply(block, incoming_edit(site, block)) == once);
    CHECK(block.recipients()[2].spelling == "<+49 30 4569877>");
    CHECK(block.recipients()[1].spelling == "SMS#+49 30 456987123");
    CHECK(block.values("X-UMS-Original-Recipient") == std::vector<std::string>{"123", "SMS#456987123", "<7>"});
}

TEST_CASE("a site without numbering changes nothing") {
    config::Site site;
    site.dial = config::Dial::rewrite;
    site.conversions = {number::parse_conversion("I;D=1;D=2")};
    CHECK(incoming_edit(site, block_of("RCPT TO:123\r\n")).changes_nothing());
    CHECK(outgoing_edit(site, block_of("RCPT TO:+49 123\r\n")).changes_nothing());
    site.numbering.emplace();  // but no country
    site.conversions.clear();
    CHECK(incoming_edit(site, block_of("RCPT TO:12-3\r\n")).changes_nothing());
}

TEST_CASE("outgoing: dial strings and marks") {
    auto site = make_site("munich", "8142", "4799");
    site.numbering->outside_lines = {"0"};
    site.numbering->internal_length = 4;
    const std::string lines =
        "MAIL FROM:a@b\r\nRCPT TO:fax#+49 8142 4711\r\nRCPT TO:<SMS#+43 1 5>\r\nRCPT TO:1234\r\nRCPT "
        "TO:x@y\r\nX-UMS-Site: forged\r\n";
    SECTION("off, no marks") { CHECK(outgoing_of(site, lines) == lines + "\r\n"); }
    SECTION("marks") {
        site.mark = {{"X-UMS-Site", "munich"}, {"X-IFAXDATA-HeaderFile", "m.txt"}};
        CHECK(outgoing_of(site, lines) ==
              "MAIL FROM:a@b\r\nRCPT TO:fax#+49 8142 4711\r\nRCPT TO:<SMS#+43 1 5>\r\nRCPT TO:1234\r\nRCPT TO:x@y\r\n"
              "X-UMS-Site: munich\r\nX-IFAXDATA-HeaderFile: m.txt\r\n\r\n");
    }
    SECTION("rewrite") {
        site.dial = config::Dial::rewrite;
        CHECK(outgoing_of(site, lines) ==
              "MAIL FROM:a@b\r\nRCPT TO:fax#04711\r\nRCPT TO:<SMS#0004315>\r\nRCPT TO:1234\r\nRCPT "
              "TO:x@y\r\nX-UMS-Site: forged\r\n\r\n");
    }
    SECTION("header, one for each recipient") {
        site.dial = config::Dial::header;
        CHECK(outgoing_of(site, lines) ==
              "MAIL FROM:a@b\r\nRCPT TO:fax#+49 8142 4711\r\nRCPT TO:<SMS#+43 1 5>\r\nRCPT TO:1234\r\nRCPT TO:x@y\r\n"
              "X-UMS-Dial: 04711\r\nX-UMS-Dial: 0004315\r\nX-UMS-Dial: 1234\r\nX-UMS-Dial: x@y\r\nX-UMS-Site: "
              "forged\r\n\r\n");
    }
    SECTION("E.164 only") {
        site.dial = config::Dial::rewrite;
        site.numbering->e164_only = true;
        const auto block = block_of(lines);
        CHECK_THROWS_AS(outgoing_edit(site, block), Error);
    }
}

TEST_CASE("the connector of an incoming number") {
    auto site = make_site("munich", "8142", "4799");
    const auto config = ConfigBuilder()
                            .site(site)
                            .home("49", "89")
                            .connector("ExConn", {"+49 8142 4838*", "0049-8142-4839?"})
                            .connector("Local", {"08142 55*", "77*"})
                            .connector("People", {"*@Example.com"})
                            .config;
    const auto chosen = [&](const std::string& number, const config::Site* of) -> std::string {
        const auto found = choose_connectors(config, of, number).connectors;
        return found.empty() ? "none" : found.front();
    };
    CHECK(chosen("+498142483812", &site) == "ExConn");
    CHECK(chosen("+49 8142 4838", nullptr) == "ExConn");
    CHECK(chosen("+4981424839", nullptr) == "none");
    CHECK(chosen("+49814248391", nullptr) == "ExConn");
    CHECK(chosen("+49 8142 551", nullptr) == "Local");
    CHECK(chosen("+49 8142 771", &site) == "Local");  // `77*` is completed by the site
    CHECK(chosen("+49 89 771", nullptr) == "Local");  // or by the MDS
    CHECK(chosen("+49 89 771", &site) == "none");
    CHECK(chosen("Anna@example.com", nullptr) == "People");
    CHECK(choose_connectors(config, nullptr, "+49 8142 4838 1").reason == "connector 'ExConn' takes '+49 8142 4838*'");
    CHECK(choose_connectors(config, nullptr, "+1").reason == "no connector's numbers cover '+1'");
    site.connectors.usual = {"Default"};
    CHECK(chosen("+1", &site) == "Default");
    CHECK(chosen("+498142483812", &site) == "ExConn");
    CHECK_THAT(choose_connectors(config, &site, "+1").reason, Catch::Contains("connector of site 'munich'"));
}

TEST_CASE("a star takes what no connector before it takes") {
    const auto config =
        ConfigBuilder().connector("A", {"+43*"}).connector("All", {"*"}).connector("Late", {"+49*"}).config;
    CHECK(choose_connectors(config, nullptr, "+49 1").connectors.front() == "All");
    CHECK(choose_connectors(config, nullptr, "").connectors.front() == "All");
    CHECK(choose_connectors(config, nullptr, "0043").connectors.front() == "A");
}
