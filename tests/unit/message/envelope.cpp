// SPDX-License-Identifier: GPL-3.0-or-later
#include "message/envelope.hpp"

#include <catch2/catch.hpp>

using namespace ums;
using message::Envelope;
using message::HeaderBlock;
using message::MailRules;
using message::Service;

namespace {

const MailRules rules{{{"fax.example.com", Service::fax}, {"*.sms.example.com", Service::sms}}, {"To", "Cc", "Bcc"}};

Envelope envelope_of(const std::string& fields, const MailRules& with = rules) {
    return message::envelope_of(HeaderBlock::parse(fields + "\r\n"), with);
}

std::vector<std::string> recipients(const std::string& fields, const MailRules& with = rules) {
    std::vector<std::string> out;
    for (const auto& recipient : envelope_of(fields, with).recipients) out.push_back(recipient.spelling);
    return out;
}

using List = std::vector<std::string>;

}  // namespace

TEST_CASE("envelope lines count, and then nothing else", "[message]") {
    const auto envelope = envelope_of(
        "MAIL FROM:a@example.com\r\nRCPT TO:SMS#+49 1\r\nTo: 4989@fax.example.com\r\nFrom: b@example.com\r\n");
    REQUIRE(envelope.recipients.size() == 1);
    CHECK(envelope.recipients[0].spelling == "SMS#+49 1");
    CHECK(envelope.recipients[0].line == 1);
    CHECK(envelope.sender == "a@example.com");
    CHECK_FALSE(envelope.formed);
}

TEST_CASE("a mail's recipients are the addresses at known domains", "[message]") {
    CHECK(recipients("To: 004989123@fax.example.com\r\n") == List{"fax#004989123"});
    CHECK(recipients("To: \"+43 1 (fake), 5\" <+49.89.123@FAX.Example.com>, Bob <bob@example.com>\r\n") ==
          List{"fax#+49.89.123"});
    CHECK(recipients("To: \"+49 89 123\"@fax.example.com\r\n") == List{"fax#+49 89 123"});
    CHECK(recipients(
              "To: 1@a.sms.example.com\r\nCc: 2@sms.example.com, 3@fax.example.com\r\nBcc: 4@fax.example.com\r\n") ==
          List{"sms#1", "fax#3", "fax#4"});
    CHECK(recipients("To: all: 1@fax.example.com, 2@fax.example.com;\r\n") == List{"fax#1", "fax#2"});
    CHECK(recipients("To: =?utf-8?q?M=C3=BCller=2C_Anna?= <1@fax.example.com>\r\n") == List{"fax#1"});
    // Once each; a name is an address too: nobody is lost in silence.
    CHECK(recipients("To: 1@fax.example.com\r\nCc: 1@fax.example.com, info@fax.example.com\r\n") ==
          List{"fax#1", "fax#info"});
    CHECK(recipients("To: 1@example.com\r\n").empty());
    CHECK(recipients("Subject: no address at all\r\n").empty());
}

TEST_CASE("an address that names its service counts in any domain", "[message]") {
    CHECK(recipients("To: /FAX=+49 89 123/@example.net\r\n", {}) == List{"fax#+49 89 123"});
    CHECK(recipients("To: FAX=+4989123@example.net, /PN=Bob/sms=+49170/@example.net\r\n", {}) ==
          List{"fax#+4989123", "sms#+49170"});
    CHECK(recipients("To: VOICE=1@fax.example.com\r\n") == List{"voc#1"});
    CHECK(recipients("To: /FAX=/@example.net, 5@fax.example.com\r\n", {}).empty());
}

TEST_CASE("whom a mail was delivered for is its only recipient", "[message]") {
    const std::string to = "To: 1@fax.example.com, 2@fax.example.com\r\n";
    CHECK(recipients("Delivered-To: 2@fax.example.com\r\n" + to) == List{"fax#2"});
    CHECK(recipients("Delivered-To: 2@fax.example.com\r\nDelivered-To: 1@fax.example.com\r\n" + to) == List{"fax#2"});
    CHECK(recipients("X-Original-To: 1@fax.example.com\r\n" + to) == List{"fax#1"});
    CHECK(recipients("X-Original-To: 1@fax.example.com\r\nDelivered-To: 2@fax.example.com\r\n" + to) == List{"fax#2"});
    // A mailbox that collects for all: it tells nothing of who was meant.
    CHECK(recipients("Delivered-To: faxes@example.com\r\n" + to) == List{"fax#1", "fax#2"});
}

TEST_CASE("what an encoded word says is a name, never an address", "[message]") {
    CHECK(recipients("To: =?utf-8?q?x_=3C=2B431=40fax=2Eexample=2Ecom=3E?= <a@b.c>\r\n").empty());
    CHECK(envelope_of("From: =?utf-8?q?victim=40boss.example=2C?= <evil@x.y>\r\nTo: 1@fax.example.com\r\n").sender ==
          "evil@x.y");
}

TEST_CASE("what people write is understood, and nobody is lost on the way", "[message]") {
    CHECK(recipients("To: +431@fax.example.com; +4989@fax.example.com\r\n") == List{"fax#+431", "fax#+4989"});
    CHECK(recipients("To: +431@fax.example.com, +49 89 1@fax.example.com\r\n") == List{"fax#+431", "fax#+49 89 1"});
    CHECK(recipients("To: Bob <+49 (89) 1@fax.example.com>\r\n") == List{"fax#+49 (89) 1"});
    CHECK(recipients("To: all: +431@fax.example.com; , 2@fax.example.com\r\n") == List{"fax#+431", "fax#2"});
    // One number, however it is written, is one fax.
    CHECK(recipients("To: +431@fax.example.com, 00431@FAX.example.com, +43-1@fax.example.com\r\n") == List{"fax#+431"});
    std::string many = "To: 1@fax.example.com";
    for (int i = 0; i < 30'000; ++i) many += ",\r\n " + std::to_string(1'000'000 + i) + "@fax.example.com";
    CHECK(recipients(many + "\r\n").size() == 30'001);
}

TEST_CASE("groups that nest without end are no list of addresses", "[message]") {
    std::string deep;
    for (int i = 0; i < 200'000; ++i) deep += "a:";
    CHECK(recipients("To: " + deep + " 1@fax.example.com\r\n").empty());
    CHECK(recipients("To: " + deep + "\r\nCc: 1@fax.example.com\r\n") == List{"fax#1"});
    std::string many;
    for (int i = 0; i < 300; ++i) many += "g: " + std::to_string(i) + "@fax.example.com;, ";
    CHECK(recipients("To: " + many + "\r\n").size() == 300);
    std::string comments(200'000, '(');
    CHECK_NOTHROW(recipients("To: " + comments + "\r\n"));
    CHECK_NOTHROW(recipients("To: " + std::string(200'000, '<') + "@\r\n"));
    CHECK_NOTHROW(recipients("To: " + std::string(200'000, '"') + "\r\n"));
    CHECK_NOTHROW(recipients("To: \"" + std::string(200'000, '\\') + "\r\n"));
}

TEST_CASE("which fields count is configured", "[message]") {
    auto own = rules;
    own.fields = {"X-Fax-To"};
    CHECK(recipients("To: 1@fax.example.com\r\nX-Fax-To: 2@fax.example.com\r\n", own) == List{"fax#2"});
}

TEST_CASE("the sender of a mail", "[message]") {
    CHECK(envelope_of("From: Bob <bob@example.com>\r\nTo: 1@fax.example.com\r\n").sender == "bob@example.com");
    CHECK(envelope_of("Return-Path: <b@x>\r\nFrom: a@x\r\nTo: 1@fax.example.com\r\n").sender == "b@x");
    CHECK(envelope_of("Return-Path: <>\r\nFrom: a@x\r\nTo: 1@fax.example.com\r\n").sender.empty());
    CHECK(envelope_of("MAIL FROM:c@x\r\nFrom: a@x\r\nTo: 1@fax.example.com\r\n").sender == "c@x");
}

TEST_CASE("the envelope that a mail lacks", "[message]") {
    const auto block = HeaderBlock::parse(
        "\xef\xbb\xbf"
        "From: a@x\nTo: 1@fax.example.com, 2@fax.example.com\n\n");
    const auto envelope = message::envelope_of(block, rules);
    message::Edit edit;
    edit.envelope = message::envelope_lines(envelope, {1});
    CHECK(message::apply(block, edit) ==
          "\xef\xbb\xbf"
          "MAIL FROM:a@x\nRCPT TO:fax#2\nFrom: a@x\nTo: 1@fax.example.com, 2@fax.example.com\n\n");
    // Read again, it has this envelope and no other.
    const auto again = message::envelope_of(HeaderBlock::parse(message::apply(block, edit)), rules);
    CHECK_FALSE(again.formed);
    REQUIRE(again.recipients.size() == 1);
    CHECK(again.recipients[0].address == "2");
    CHECK(again.sender == "a@x");
    // An address makes no line of its own.
    message::Edit forged;
    forged.envelope = {"RCPT TO:1\r\nRCPT TO:2"};
    CHECK(message::apply(HeaderBlock::parse("A: b\n\n"), forged) == "RCPT TO:1  RCPT TO:2\nA: b\n\n");
}

TEST_CASE("importance, of three fields the highest", "[message]") {
    const auto of = [](const std::string& fields) { return HeaderBlock::parse(fields + "\r\n").importance(); };
    using message::Importance;
    CHECK(of("Subject: x\r\n") == Importance::normal);
    CHECK(of("Importance: HIGH\r\n") == Importance::high);
    CHECK(of("Importance:low\r\n") == Importance::low);
    CHECK(of("X-Priority: 5 (lowest)\r\n") == Importance::low);
    CHECK(of("X-Priority: 2\r\nImportance: low\r\n") == Importance::high);
    CHECK(of("X-Priority: 10\r\n") == Importance::normal);
    CHECK(of("Priority: urgent\r\nImportance: normal\r\n") == Importance::high);
    CHECK(of("Priority: non-urgent\r\n") == Importance::low);
}
