// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/mail_text.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "transport/mail_session.hpp"

using namespace ums;
using transport::MailText;

namespace {

struct Encoded {
    std::string data;
    transport::MailFacts facts;
};

// In parts of `step` bytes.
Encoded encode(const std::string& text, std::size_t step = 1000) {
    MailText encoder;
    Encoded out;
    for (std::size_t at = 0; at < text.size(); at += step)
        encoder.put(std::string_view(text).substr(at, step), out.data);
    encoder.finish(out.data);
    out.facts = encoder.facts();
    return out;
}

}  // namespace

TEST_CASE("line ends become CRLF, dots are doubled", "[mail]") {
    struct Row {
        std::string text, data;
    };
    const Row rows[] = {
        {"", ""},
        {"a", "a\r\n"},
        {"a\n", "a\r\n"},
        {"a\r\n", "a\r\n"},
        {"a\r", "a\r\n"},
        {"a\rb", "a\r\nb\r\n"},
        {"a\r\r\nb", "a\r\nb\r\n"},
        {"a\r\rb", "a\r\n\r\nb\r\n"},
        {"\n\n", "\r\n\r\n"},
        {".", "..\r\n"},
        {".\n", "..\r\n"},
        {"a\n.\nb", "a\r\n..\r\nb\r\n"},
        {"a\r.\rb", "a\r\n..\r\nb\r\n"},
        {"a\r\n.\r\nMAIL FROM:<x@y>\r\n", "a\r\n..\r\nMAIL FROM:<x@y>\r\n"},
        {"a\n.\r\nb", "a\r\n..\r\nb\r\n"},
        {"a\r\n.\nb", "a\r\n..\r\nb\r\n"},
        {"a.b\n..c", "a.b\r\n...c\r\n"},
    };
    for (const auto& row : rows) {
        for (const std::size_t step : {1, 2, 3, 1000}) {
            INFO(row.text << " in parts of " << step);
            CHECK(encode(row.text, step).data == row.data);
        }
    }
}

TEST_CASE("nothing in a message ends its data", "[mail]") {
    std::mt19937 random(7);
    for (int round = 0; round < 3000; ++round) {
        std::string text;
        for (int i = 0; i < 40; ++i) text += "\r\n.a\n\r."[random() % 7];
        const auto whole = encode(text);
        INFO(text);
        REQUIRE(encode(text, 1 + random() % 5).data == whole.data);
        REQUIRE(whole.data.find("\r\n.\r\n") == std::string::npos);
        REQUIRE_FALSE(whole.data.starts_with(".\r\n"));
        REQUIRE(whole.data.ends_with("\r\n"));
        for (std::size_t i = 0; i < whole.data.size(); ++i) {
            if (whole.data[i] == '\n') REQUIRE((i > 0 && whole.data[i - 1] == '\r'));
            if (whole.data[i] == '\r') REQUIRE((i + 1 < whole.data.size() && whole.data[i + 1] == '\n'));
        }
        // Its size is that without the dots that were added.
        std::size_t added = whole.data.starts_with('.') ? 1 : 0;
        for (auto at = whole.data.find("\r\n."); at != std::string::npos; at = whole.data.find("\r\n.", at + 1))
            ++added;
        REQUIRE(whole.facts.size.count + added == whole.data.size());
    }
}

TEST_CASE("CRs without end take no memory", "[mail]") {
    const auto out = encode(std::string(100'000, '\r') + "x", 4096);
    CHECK(out.data.size() == 200'003);
    CHECK(encode(std::string(500, '\r') + "\nx").data == "\r\nx\r\n");
}

TEST_CASE("what must be known of a message", "[mail]") {
    CHECK_FALSE(encode("plain\n").facts.eight_bit);
    CHECK(encode("m\xc3\xbcller\n").facts.eight_bit);
    CHECK_FALSE(encode("plain\n").facts.nul);
    CHECK(encode(std::string("a\0b", 3)).facts.nul);
}

TEST_CASE("answers of mail servers", "[mail]") {
    using transport::add_line;
    transport::MailReply reply;
    CHECK(add_line(reply, "250-test greets you") == false);
    CHECK(add_line(reply, "250-SIZE 1000") == false);
    CHECK(add_line(reply, "250-8bitmime") == false);
    CHECK(add_line(reply, "250-AUTH=LOGIN") == false);
    CHECK(add_line(reply, "250 SMTPUTF8") == true);
    CHECK(reply.code == 250);
    const auto can = extensions_of(reply);
    CHECK(can.eight_bit);
    CHECK(can.utf8);
    CHECK(can.auth);
    CHECK(can.size);
    CHECK(can.largest == Bytes{1000});
    CHECK_FALSE(can.starttls);
    for (const auto* bad : {"", "2", "25", "abc", "650 x", "050 x", "25x y", "250x", "2500", "+50 x"}) {
        INFO(bad);
        transport::MailReply none;
        CHECK_FALSE(add_line(none, bad));
    }
    transport::MailReply mixed;
    CHECK(add_line(mixed, "250-a") == false);
    CHECK_FALSE(add_line(mixed, "550 b"));
    transport::MailReply bare;
    CHECK(add_line(bare, "250") == true);
    CHECK(bare.text() == "250");
    transport::MailReply no_limit;
    add_line(no_limit, "250-x");
    add_line(no_limit, "250 SIZE 0");
    CHECK(extensions_of(no_limit).size);
    CHECK_FALSE(extensions_of(no_limit).largest);
}
