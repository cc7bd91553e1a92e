// SPDX-License-Identifier: GPL-3.0-or-later
//
// Several sites on one kernel, and what of a site goes into a message.
#include <catch2/catch.hpp>

#include "config_builder.hpp"
#include "error/error.hpp"
#include "site/site.hpp"

using namespace ums;
using namespace ums::site;
using test::ConfigBuilder;

namespace {

config::Site make_site(const std::string& name, const std::string& area, const std::string& subscriber) {
    config::Site site;
    site.name = name;
    site.kernels = {"central"};
    site.numbering.emplace();
    site.numbering->country = "49";
    site.numbering->area = area;
    if (!subscriber.empty()) site.numbering->subscribers = {{subscriber}};
    site.numbering->extension_digits = 3;
    return site;
}

message::HeaderBlock block_of(const std::string& lines) { return message::HeaderBlock::parse(lines + "\r\n"); }

std::string outgoing_of(const config::Site& site, const std::string& lines) {
    const auto block = block_of(lines);
    return apply(block, outgoing_edit(site, block));
}
std::string incoming_of(const config::Site& site, const std::string& lines) {
    const auto block = block_of(lines);
    return apply(block, incoming_edit(site, block));
}

Chosen site_of_message(const config::Config& config, const std::string& kernel, const message::HeaderBlock& block) {
    return Sites(config, kernel, block).of_message();
}

config::DdiRule rule(const std::string& pattern, config::DdiRule::Action action) { return {{}, pattern, action}; }

}  // namespace

TEST_CASE("the site of a shared kernel: lines, then the called number, then the first") {
    auto munich = make_site("munich", "89", "4799");
    auto berlin = make_site("berlin", "30", "4799");
    berlin.lines = {{"X-Controller", {"2", "B*"}}};
    auto olching = make_site("olching", "8142", "47991");
    const auto config = ConfigBuilder().site(berlin).site(munich).site(olching).config;
    const auto chosen = [&](const std::string& lines) {
        return site_of_message(config, "central", block_of(lines)).site->name;
    };
    CHECK(chosen("RCPT TO:123\r\nX-Controller: 2\r\n") == "berlin");
    CHECK(chosen("RCPT TO:123\r\nx-controller: b7\r\n") == "berlin");
    CHECK(chosen("RCPT TO:+49 89 4799123\r\nX-Controller: 2\r\n") == "berlin");
    CHECK(chosen("RCPT TO:123\r\nX-Controller: 22\r\n") == "munich");  // berlin has lines of its own
    CHECK(chosen("RCPT TO:123\r\n") == "munich");
    CHECK(chosen("RCPT TO:+49 30 4799123\r\n") == "berlin");
    CHECK(chosen("RCPT TO:0304799123\r\n") == "berlin");
    CHECK(chosen("RCPT TO:+49 8142 47991123\r\n") == "olching");
    CHECK(chosen("RCPT TO:47991123\r\n") == "olching");  // more digits than 4799
    CHECK(chosen("RCPT TO:anna@example.com\r\nRCPT TO:fax#+49 8142 47991123\r\n") == "olching");
    CHECK(chosen("RCPT TO:304799123\r\nX-UMS-Type-Of-Number: national\r\n") == "berlin");
    CHECK(site_of_message(config, "central", block_of("RCPT TO:+49 8142 479911\r\n")).reason ==
          "'+49 8142 479911' begins with the site's own number");
    CHECK(site_of_message(config, "other", block_of("RCPT TO:1\r\n")).site == nullptr);
    const auto turned = ConfigBuilder().site(olching).site(munich).config;
    CHECK(site_of_message(turned, "central", block_of("RCPT TO:47991123\r\n")).site->name == "olching");
    const auto lined = ConfigBuilder().site(berlin).site(berlin).config;
    CHECK(site_of_message(lined, "central", block_of("RCPT TO:1\r\n")).site == &lined.sites[0]);
}

TEST_CASE("each recipient of a shared kernel is of the site that its own number tells") {
    auto berlin = make_site("berlin", "30", "4799");
    berlin.lines = {{"X-Controller", {"2"}}};
    const auto config = ConfigBuilder().site(berlin).site(make_site("munich", "89", "4711")).config;
    const auto chosen = [&](const std::string& lines) {
        const auto block = block_of(lines);
        const Sites sites(config, "central", block);
        std::string names;
        for (const auto& recipient : block.recipients()) {
            names += sites.of(recipient).site->name + " ";
        }
        return names;
    };
    CHECK(chosen("RCPT TO:+49 30 4799123\r\nRCPT TO:+49 89 4711123\r\n") == "berlin munich ");
    CHECK(chosen("RCPT TO:+49 89 4711123\r\nRCPT TO:+49 30 4799123\r\n") == "munich berlin ");
    // What tells nothing goes with the others of its message.
    CHECK(chosen("RCPT TO:123\r\nRCPT TO:+49 30 4799123\r\n") == "berlin berlin ");
    CHECK(chosen("RCPT TO:123\r\nRCPT TO:a@example.com\r\n") == "munich munich ");
    // A line is of all of them.
    CHECK(chosen("RCPT TO:+49 89 4711123\r\nRCPT TO:123\r\nX-Controller: 2\r\n") == "berlin berlin ");
}

TEST_CASE("originator and redirector are formed, and kept") {
    auto site = make_site("munich", "89", "4799");
    CHECK(
        incoming_of(site, "MAIL FROM:<08142 47989>\r\nRCPT TO:123\r\nX-UMS-Redirector: 456\r\nSubject: x\r\n") ==
        "MAIL FROM:<+49 814247989>\r\nRCPT TO:+49 89 4799123\r\nX-UMS-Original-Recipient: 123\r\n"
        "X-UMS-Original-Sender: <08142 47989>\r\nX-UMS-Original-Redirector: 456\r\nX-UMS-Redirector: +49 89 4799456\r\n"
        "Subject: x\r\n\r\n");
    const std::string whole = "MAIL FROM:+43 1 5\r\nRCPT TO:+49 89 4799 1\r\nX-UMS-Redirector: anna\r\n";
    CHECK(incoming_of(site, whole) == whole + "\r\n");
    CHECK(incoming_of(site, "MAIL FROM:a@example.com\r\nRCPT TO:+49891\r\n") ==
          "MAIL FROM:a@example.com\r\nRCPT TO:+49891\r\n\r\n");
    // By type.
    CHECK_THAT(
        incoming_of(site, "MAIL FROM:8142 1\r\nX-UMS-Originator-Type: 2\r\nX-UMS-Type-Of-Number: 4\r\nRCPT TO:771234\r\n"),
        Catch::StartsWith("MAIL FROM:+49 81421\r\n") && Catch::Contains("RCPT TO:+49 89 771234\r\n"));
    site.fields.redirector = "X-Was";
    CHECK_THAT(incoming_of(site, "RCPT TO:1\r\nX-Was: 2\r\nX-UMS-Redirector: 3\r\n"),
               Catch::Contains("X-Was: +49 89 47992\r\n") && Catch::Contains("X-UMS-Redirector: 3\r\n"));
    // Twice is once.
    const auto once = incoming_of(site, "MAIL FROM:08142 1\r\nRCPT TO:123\r\nX-Was: 2\r\n");
    const auto block = message::HeaderBlock::parse(once);
    CHECK(apply(block, incoming_edit(site, block)) == once);
}

TEST_CASE("the DDI map") {
    using Action = config::DdiRule::Action;
    auto site = make_site("munich", "89", "4799");
    site.ddi = {rule("+49894799199", Action::voice), rule("98?", Action::ignore), rule("*77", Action::reject),
                rule("1*", Action::fax), rule("2*", Action::voice)};
    const auto of = [&](const std::string& number) { return receive(site, number, std::nullopt); };
    CHECK(of("123").ddi->action == Action::fax);
    CHECK(of("4799123").ddi->action == Action::fax);
    CHECK(of("199").ddi->action == Action::voice);
    CHECK(of("981").ddi->action == Action::ignore);
    CHECK(of("98").ddi == nullptr);
    CHECK(of("+49 89 4799 277").ddi->action == Action::reject);
    CHECK(of("+49 89 5 277").ddi->action == Action::reject);  // not the site's: the whole number
    CHECK(of("300").ddi == nullptr);
    CHECK(of("222").service == "voc");
    CHECK(of("123").service == "fax");
    const auto block = block_of("RCPT TO:fax#222\r\nRCPT TO:222\r\nRCPT TO:SMS#222\r\n");
    CHECK(receive(site, block, block.recipients()[0]).service == "fax");
    CHECK(receive(site, block, block.recipients()[1]).service == "voc");
    CHECK(receive(site, block, block.recipients()[2]).service == "sms");
    CHECK(parked(site, of("123")) == std::nullopt);
    CHECK_THAT(parked(site, of("981")).value_or(""), Catch::Contains("ignores calls to '98?'"));
    CHECK_THAT(parked(site, of("177")).value_or(""), Catch::Contains("rejects calls to '*77'"));
}

TEST_CASE("doubled numbers are mended or parked") {
    auto site = make_site("munich", "89", "4799");
    const auto received = receive(site, "4799123", std::nullopt);
    CHECK(received.doubled);
    CHECK(received.number == "+49 89 4799123");
    CHECK(parked(site, received) == std::nullopt);
    site.doubled = config::Doubled::park;
    CHECK_THAT(parked(site, received).value_or(""), Catch::Contains("main number in it"));
    CHECK(parked(site, receive(site, "123", std::nullopt)) == std::nullopt);
}

TEST_CASE("connectors by service, and several") {
    auto site = make_site("munich", "89", "4799");
    site.connectors.usual = {"Fax", "Archive"};
    site.connectors.by_service["voc"] = {"Voice"};
    const auto config = ConfigBuilder().site(site).connector("Desk", {"voc#+49 89 4799 1*", "+49 89 4799 2*"}).config;
    const auto chosen = [&](const std::string& number, const std::string& service) {
        return choose_connectors(config, &config.sites[0], number, service).connectors;
    };
    using Names = std::vector<std::string>;
    CHECK(chosen("+49894799123", "voc") == Names{"Desk"});
    CHECK(chosen("+49894799123", "fax") == Names{"Fax", "Archive"});
    CHECK(chosen("+49894799223", "fax") == Names{"Desk"});
    CHECK(chosen("+49894799323", "voc") == Names{"Voice"});
    CHECK_THAT(choose_connectors(config, &config.sites[0], "+491", "voc").reason,
               Catch::EndsWith("it is the connector of site 'munich' for voc"));
}

TEST_CASE("what a site puts into a message that has none of its own") {
    auto site = make_site("munich", "89", "4799");
    CHECK_FALSE(edits_outgoing(site));
    site.caller_id = "+49 89 4799 0";
    site.fax_id = "+49 89 4799 123";
    site.header_line = "Müller %n %d %p";
    site.billing = "4711";
    site.language = "de";
    site.time_zone = "Europe/Berlin";
    CHECK(edits_outgoing(site));
    CHECK(
        outgoing_of(site, "RCPT TO:+49 1\r\nSubject: x\r\n") ==
        "RCPT TO:+49 1\r\nX-IFAXDATA-DChID: +49 89 4799 0\r\nX-IFAXDATA-SenderID: +49 89 4799 123\r\n"
        "X-UMS-Header-Line: =?UTF-8?b?TcO8bGxlcg==?= %n %d %p\r\nX-IFAXDATA-Department: 4711\r\nX-UMS-Language: de\r\n"
        "Subject: x\r\n\r\n");
    // Its own stays; a mark replaces it.
    site.mark = {{"X-IFAXDATA-Department", "1"}};
    site.fields.time_zone = "X-Zone";
    site.fields.language = "";
    site.header_line.clear();
    CHECK(outgoing_of(site, "RCPT TO:+49 1\r\nx-ifaxdata-senderid: 7\r\nX-IFAXDATA-Department: 2\r\n") ==
          "RCPT TO:+49 1\r\nX-IFAXDATA-DChID: +49 89 4799 0\r\nX-Zone: Europe/Berlin\r\nX-IFAXDATA-Department: 1\r\n"
          "x-ifaxdata-senderid: 7\r\n\r\n");
}

TEST_CASE("a mark is alone in its field") {
    auto site = make_site("munich", "89", "4799");
    site.billing = "4711";
    site.mark = {{"x-ifaxdata-department", "1"}};
    CHECK(outgoing_of(site, "RCPT TO:+49 1\r\n") == "RCPT TO:+49 1\r\nx-ifaxdata-department: 1\r\n\r\n");
}

TEST_CASE("the caller ID after the conversions of outgoing originators") {
    auto site = make_site("munich", "89", "4799");
    site.caller_id = "+49 89 4799 0";
    site.conversions = {number::parse_conversion("O;O=+49894799;O=[9]")};
    CHECK(outgoing_of(site, "RCPT TO:+49 1\r\n") == "RCPT TO:+49 1\r\nX-IFAXDATA-DChID: 90\r\n\r\n");
    CHECK(outgoing_of(site, "RCPT TO:+49 1\r\nX-IFAXDATA-DChID:  +49 89 4799-12\r\nA: b\r\n") ==
          "RCPT TO:+49 1\r\nX-IFAXDATA-DChID:  912\r\nA: b\r\n\r\n");
    site.caller_id.clear();
    CHECK(edits_outgoing(site));
    CHECK(outgoing_of(site, "RCPT TO:+49 1\r\nX-IFAXDATA-DChID: +43 1\r\n") ==
          "RCPT TO:+49 1\r\nX-IFAXDATA-DChID: +43 1\r\n\r\n");
}

TEST_CASE("what a site does not send is refused, whoever dials") {
    auto site = make_site("munich", "89", "4799");
    site.numbering->blocked = {"+49900*"};
    const auto block = block_of("RCPT TO:fax#0900 1\r\nRCPT TO:+49 89 1\r\nRCPT TO:a@b\r\n");
    CHECK(edits_outgoing(site));
    CHECK(refusal(site, block.recipients()[0]).has_value());
    CHECK_FALSE(refusal(site, block.recipients()[1]).has_value());
    CHECK_FALSE(refusal(site, block.recipients()[2]).has_value());
    CHECK_THROWS_AS(outgoing_edit(site, block), Error);
    // A short number is the business of whoever dials.
    auto dialling = make_site("munich", "89", "4799");
    dialling.conversions = {number::parse_conversion("O;D=5;D=112")};
    CHECK_FALSE(refusal(dialling, block_of("RCPT TO:5\r\n").recipients()[0]).has_value());
    dialling.dial = config::Dial::rewrite;
    CHECK(refusal(dialling, block_of("RCPT TO:5\r\n").recipients()[0]).has_value());
}

TEST_CASE("what goes another site's way keeps the numbers of its own") {
    const auto munich = make_site("munich", "89", "4799");
    auto berlin = make_site("berlin", "30", "456987");
    berlin.numbering->outside_lines = {"0"};
    const Home home{&munich, &*munich.numbering};
    const auto through_berlin = [&](const std::string& lines) {
        const auto block = block_of(lines);
        return apply(block, outgoing_edit(berlin, block, home));
    };
    CHECK(edits_outgoing(berlin, home));
    CHECK_FALSE(edits_outgoing(berlin));
    const std::string lines = "RCPT TO:fax#1234\r\nRCPT TO:<sms#089 12>\r\nRCPT TO:+49 30 1\r\nRCPT TO:a1@b\r\n";
    CHECK(through_berlin(lines) ==
          "RCPT TO:fax#+49891234\r\nRCPT TO:<sms#+498912>\r\nRCPT TO:+49 30 1\r\nRCPT TO:a1@b\r\n\r\n");
    berlin.dial = config::Dial::rewrite;
    CHECK(through_berlin(lines) ==
          "RCPT TO:fax#00891234\r\nRCPT TO:<sms#008912>\r\nRCPT TO:01\r\nRCPT TO:a1@b\r\n\r\n");
    berlin.dial = config::Dial::header;
    CHECK(through_berlin("RCPT TO:fax#1234\r\n") == "RCPT TO:fax#1234\r\nX-UMS-Dial: 00891234\r\n\r\n");
    berlin.numbering.reset();
    CHECK(through_berlin("RCPT TO:fax#1234\r\n") == "RCPT TO:fax#+49891234\r\n\r\n");
    // What only Munich knows is not Berlin's to send.
    for (const char* own : {"112", "fax#0900 123,,5"}) {
        const auto block = block_of(std::string("RCPT TO:") + own + "\r\n");
        const auto why = refusal(berlin, block.recipients()[0], home);
        REQUIRE(why);
        CHECK(why->ends_with("can be dialled only at its own site 'munich'"));
        CHECK_THROWS_AS(outgoing_edit(berlin, block, home), Error);
        CHECK_FALSE(refusal(berlin, block.recipients()[0]).has_value());
    }
    // And what Berlin blocks is blocked also where it was written otherwise.
    berlin = make_site("berlin", "30", "");
    berlin.numbering->blocked = {"+4989*"};
    const auto local_block = block_of("RCPT TO:1234\r\n");
    const auto local = local_block.recipients()[0];
    CHECK(refusal(berlin, local, home).has_value());
    CHECK_FALSE(refusal(berlin, local).has_value());
    // Who says nothing of his numbers has none that could be completed.
    CHECK(outgoing_edit(make_site("c", "30", ""), local_block, Home{&munich, nullptr}).changes_nothing());
    // What its own site blocks by now is not sent by another either.
    auto careful = munich;
    careful.numbering->blocked = {"+49891234"};
    const Home blocking{&careful, &*careful.numbering};
    CHECK(refusal(make_site("c", "30", ""), local, blocking).has_value());
    CHECK_THROWS_AS(outgoing_edit(make_site("c", "30", ""), local_block, blocking), Error);
    careful.numbering->blocked.clear();
    CHECK_FALSE(refusal(make_site("c", "30", ""), local, blocking).has_value());
    careful.numbering->e164_only = true;
    CHECK(refusal(make_site("c", "30", ""), local, blocking).has_value());
}

TEST_CASE("what is no number is not sent where its digits are not") {
    config::Site site;
    site.name = "a";
    site.numbering.emplace();
    site.numbering->country = "49";
    site.numbering->area = "89";
    site.numbering->blocked = {"+49900*"};
    const auto refused = [&](const std::string& address) {
        const auto block = block_of("RCPT TO:" + address + "\r\n");
        const bool is = refusal(site, block.recipients()[0]).has_value();
        for (const auto dial : {config::Dial::off, config::Dial::rewrite, config::Dial::header}) {
            site.dial = dial;
            if (is) CHECK_THROWS_AS(outgoing_edit(site, block), Error);
            if (!is) CHECK_NOTHROW(outgoing_edit(site, block));
        }
        return is;
    };
    for (const char* bad : {"0900 123,", "fax#0900123;", "0900123,,5", "+49 900 123p", "0900123 (Joe)",
                            "Joe <fax#0900123>", "\"0900 123\"", "fax#fax#0900123"}) {
        INFO(bad);
        CHECK(refused(bad));
    }
    for (const char* good : {"123,,5", "joe0900123@example.com", "Joe", "+43 900 123p", "+"}) {
        INFO(good);
        CHECK_FALSE(refused(good));
    }
    site.numbering->blocked.clear();
    site.numbering->e164_only = true;
    CHECK(refused("123,,5"));
    CHECK(refused("+49 900 123p"));
    CHECK_FALSE(refused("joe1@example.com"));
    CHECK_FALSE(refused("+49 900 123"));
}
