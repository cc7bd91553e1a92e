// SPDX-License-Identifier: GPL-3.0-or-later
#include "notice/notice.hpp"

#include <catch2/catch.hpp>

using namespace ums;

namespace {

std::optional<std::string> notice_of(const std::string& lines, const std::string& text = "No premium numbers.") {
    const auto block = message::HeaderBlock::parse(lines + "\r\n");
    const auto envelope = message::envelope_of(block, {});
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < envelope.recipients.size(); ++i) all.push_back(i);
    return notice::rejection({block, envelope, all, text, "1795406406000001.abcdefgh.BER1~2", "BER1",
                              clock::parse("2026-11-23T04:00:06Z").value()});
}

const std::string fax = "MAIL FROM:bob@example.com\r\nRCPT TO:fax#+49 900 1\r\nRCPT TO:+49 900 2\r\n";

}  // namespace

TEST_CASE("a rejection tells the sender what was not sent, and why", "[notice]") {
    const auto text = notice_of(fax + "Subject: =?utf-8?q?M=C3=BCller?=\r\nMessage-ID: <1@x>\r\n").value();
    const auto block = message::HeaderBlock::parse(text.substr(0, text.find("\r\n\r\n") + 4));
    CHECK(block.sender().empty());
    REQUIRE(block.recipients().size() == 1);
    CHECK(block.recipients()[0].address == "bob@example.com");
    CHECK(block.values("Subject") == std::vector<std::string>{"Not sent: M\xc3\xbcller"});
    CHECK(block.values("In-Reply-To") == std::vector<std::string>{"<1@x>"});
    CHECK(block.values("Auto-Submitted") == std::vector<std::string>{"auto-replied"});
    CHECK(block.values("Date") == std::vector<std::string>{"Mon, 23 Nov 2026 04:00:06 +0000"});
    CHECK_THAT(text, Catch::Contains("  fax#+49 900 1\r\n  +49 900 2\r\n\r\nNo premium numbers.\r\n"));
    CHECK_THAT(text, Catch::Contains("Final-Recipient: x-ums; fax#+49 900 1\r\nAction: failed\r\nStatus: 5.7.1\r\n"));
    CHECK_THAT(text, Catch::Contains("Subject: =?utf-8?q?M=C3=BCller?=\r\nMessage-ID: <1@x>\r\n\r\n--=_"));
    CHECK_THAT(text, Catch::EndsWith("--\r\n"));
    // Not one line without CR.
    for (std::size_t i = text.find('\n'); i != std::string::npos; i = text.find('\n', i + 1))
        REQUIRE(text[i - 1] == '\r');
}

TEST_CASE("nobody is answered who must not be", "[notice]") {
    CHECK_FALSE(notice_of("MAIL FROM:<>\r\nRCPT TO:1\r\n"));
    CHECK_FALSE(notice_of("RCPT TO:1\r\n"));
    CHECK_FALSE(notice_of(fax + "Auto-Submitted: auto-replied\r\n"));
    CHECK_FALSE(notice_of(fax + "Precedence: Bulk\r\n"));
    CHECK(notice_of(fax + "Auto-Submitted: no\r\n"));
    CHECK(notice_of("MAIL FROM:+49 89 4799\r\nRCPT TO:1\r\n"));
}

TEST_CASE("what a message says makes no line of its own in the notice", "[notice]") {
    const auto text =
        notice_of("MAIL FROM:bob@example.com\x01x\r\nRCPT TO:1\x1b[2J\r\nSubject: a\r\n =?utf-8?q?=0ABcc:_eve@x?=\r\n",
                  "one\ntwo\rthree")
            .value();
    CHECK(text.find("\r\nBcc:") == std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.substr(0, text.find("\r\n\r\n")).find('\x01') == std::string::npos);
    CHECK_THAT(text, Catch::Contains("one\r\ntwo three\r\n"));
    CHECK_THAT(text, Catch::Contains("Diagnostic-Code: x-ums; one two three\r\n"));
}
