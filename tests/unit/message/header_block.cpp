// SPDX-License-Identifier: GPL-3.0-or-later
#include "message/header_block.hpp"

#include <catch2/catch.hpp>
#include <chrono>

#include "error/error.hpp"
#include "random_text.hpp"
#include "temporary_directory.hpp"
#include "text/text.hpp"

using namespace ums;
using namespace ums::message;
using namespace std::string_literals;

namespace {

const std::string example =
    "MAIL FROM:sales@example.com\r\n"
    "RCPT TO:fax#+49 8142 47989798\r\n"
    "RCPT TO:fax#+43 1 5330 90\r\n"
    "Importance:normal\r\n"
    "X-IFAXDATA-SenderID:+49 89 4799 123\r\n"
    "X-IFAXDATA-DChID:789\r\n"
    "X-IFAXDATA-Department:4711\r\n"
    "X-COVERINFO-Businessphone1:+49 89 4799 123\r\n"
    "X-COVERINFO-BusinessFax:+49 89 4799 9123\r\n"
    "X-COVERINFO-Company:Example GmbH\r\n"
    "Subject: =?utf-8?q?Angebot_M=C3=BCller?=\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=\"b1\"\r\n"
    "\r\n";

std::vector<std::string> spellings(const HeaderBlock& block) {
    std::vector<std::string> out;
    for (const auto& recipient : block.recipients()) out.push_back(recipient.spelling);
    return out;
}

std::string why_unusable(std::string bytes) {
    try {
        HeaderBlock::parse(std::move(bytes));
    } catch (const Error& error) {
        CHECK(error.fault() == Fault::unusable);
        return error.what();
    }
    return "usable";
}

std::string joined_lines(const HeaderBlock& block) {
    std::string out;
    for (const auto& line : block.lines()) out += line.raw;
    return out;
}

}  // namespace

TEST_CASE("the example of the manuals is read") {
    const auto block = HeaderBlock::parse(example + "body\r\nRCPT TO:body\r\n");
    CHECK(block.bytes() == example);
    CHECK(block.lines().size() == 13);
    CHECK(block.line_end() == "\r\n");
    CHECK(block.sender() == "sales@example.com");
    const auto recipients = block.recipients();
    REQUIRE(recipients.size() == 2);
    CHECK(recipients[0].address == "+49 8142 47989798");
    CHECK(recipients[0].service == Service::fax);
    CHECK(recipients[0].spelling == "fax#+49 8142 47989798");
    CHECK(recipients[0].line == 1);
    CHECK(recipients[1].line == 2);
    CHECK(block.values("subject") == std::vector<std::string>{"Angebot Müller"});
    CHECK(block.values("X-IFAXDATA-DChID") == std::vector<std::string>{"789"});
    CHECK(block.values("MAIL FROM").empty());
    CHECK(block.values("none").empty());
    CHECK(block.has_field("mime-version"));
    CHECK_FALSE(block.has_field("RCPT TO"));
    CHECK(block.fields().size() == 10);
    CHECK(block.fields()[0] == std::pair<std::string, std::string>("Importance", "normal"));
    CHECK_FALSE(block.is_urgent());
}

TEST_CASE("names in any case, blanks around the colon, both line ends") {
    const auto block =
        HeaderBlock::parse("mail from : <a@b.example> \nRcpt  To: SMS#+4917 \nrcpt\tto:\tVOC # 1\nsubject :x\n\n");
    CHECK(block.sender() == "a@b.example");
    REQUIRE(block.recipients().size() == 2);
    CHECK(block.recipients()[0].service == Service::sms);
    CHECK(block.recipients()[0].address == "+4917");
    CHECK(block.recipients()[1].service == Service::voc);
    CHECK(block.recipients()[1].address == "1");
    CHECK(block.values("Subject") == std::vector<std::string>{"x"});
    CHECK(block.line_end() == "\n");
}

TEST_CASE("angle brackets are no part of an address") {
    const auto block = HeaderBlock::parse(
        "MAIL FROM:\"A, B\" <a@example.com>\nRCPT TO:<fax#+49 89 1>\nRCPT TO: < +49 89 2 > NOTIFY=NEVER\nRCPT "
        "TO:<>\nRCPT TO:\n\n");
    CHECK(block.sender() == "a@example.com");
    REQUIRE(block.recipients().size() == 2);
    CHECK(block.recipients()[0].address == "+49 89 1");
    CHECK(block.recipients()[0].service == Service::fax);
    CHECK(block.recipients()[0].spelling == "<fax#+49 89 1>");
    CHECK(block.recipients()[1].address == "+49 89 2");
    CHECK(HeaderBlock::parse("MAIL FROM:<a@b> SIZE=1\n\n").sender() == "a@b");
    CHECK(HeaderBlock::parse("MAIL FROM:<>\nX:y\n").sender() == "");
    CHECK(HeaderBlock::parse("MAIL FROM:<broken\n\n").sender() == "<broken");
    CHECK(HeaderBlock::parse("MAIL FROM:a>\n\n").sender() == "a>");
    CHECK(HeaderBlock::parse("Subject:x\n\n").sender() == "");
    CHECK(HeaderBlock::parse("MAIL FROM:+49 89 4799\nMAIL FROM:b\n\n").sender() == "+49 89 4799");
}

TEST_CASE("two lines with the same spelling are two recipients") {
    CHECK(HeaderBlock::parse("RCPT TO:1\nRCPT TO:1\n\n").recipients().size() == 2);
}

TEST_CASE("folded lines are one line") {
    const auto block =
        HeaderBlock::parse("RCPT TO:fax#+49\r\n 8142\r\n\t47\r\nSubject: a\r\n b\r\nX:\r\n y\r\n\r\nbody");
    CHECK(block.lines().size() == 3);
    CHECK(spellings(block) == std::vector<std::string>{"fax#+49 8142\t47"});
    CHECK(block.values("subject") == std::vector<std::string>{"a b"});
    CHECK(block.values("x") == std::vector<std::string>{"y"});
    CHECK(joined_lines(block) + "\r\n" == block.bytes());
}

TEST_CASE("odd line ends lose no recipient and add none") {
    SECTION("a CR alone is a blank inside the line") {
        const auto block = HeaderBlock::parse("RCPT TO:1\rRCPT TO:2\r\nX: a\rb\r\n\r\n");
        CHECK(spellings(block) == std::vector<std::string>{"1 RCPT TO:2"});
        CHECK(block.values("X") == std::vector<std::string>{"a b"});
    }
    SECTION("CR CR LF ends the block") {
        const auto block = HeaderBlock::parse("RCPT TO:1\r\r\n\r\r\nRCPT TO:2\r\r\n");
        CHECK(spellings(block) == std::vector<std::string>{"1"});
    }
    SECTION("a line of blanks continues the one before") {
        const auto block = HeaderBlock::parse("RCPT TO:1\n \nRCPT TO:2\n\n");
        CHECK(spellings(block) == std::vector<std::string>{"1", "2"});
    }
    SECTION("no empty line") {
        const auto block = HeaderBlock::parse("RCPT TO:1\nRCPT TO:2");
        CHECK(spellings(block) == std::vector<std::string>{"1", "2"});
        CHECK(block.bytes() == "RCPT TO:1\nRCPT TO:2");
    }
    SECTION("no line end at all") {
        const auto block = HeaderBlock::parse("RCPT TO:1");
        CHECK(spellings(block) == std::vector<std::string>{"1"});
        CHECK(block.line_end() == "\r\n");
    }
    SECTION("mixed line ends") {
        const auto block = HeaderBlock::parse("MAIL FROM:a\nRCPT TO:1\r\nX:y\n\r\nbody");
        CHECK(block.line_end() == "\n");
        CHECK(block.bytes().ends_with("X:y\n\r\n"));
    }
}

TEST_CASE("recipients count wherever they stand in the block") {
    CHECK(spellings(HeaderBlock::parse("Subject:x\nRCPT TO:1\nX:y\nRCPT TO:2\n\nRCPT TO:3\n")) ==
          std::vector<std::string>{"1", "2"});
}

TEST_CASE("a byte order mark is skipped") {
    CHECK(spellings(HeaderBlock::parse("\xef\xbb\xbfRCPT TO:1\n\n")) == std::vector<std::string>{"1"});
}

TEST_CASE("lines that are no field are kept and are nothing") {
    const auto block = HeaderBlock::parse("RCPT TO:1\nno colon\na b:c\n:d\n\xc3\xbc:e\n\n");
    REQUIRE(block.lines().size() == 5);
    for (std::size_t i = 1; i < 5; ++i) {
        CHECK(block.lines()[i].kind == Line::Kind::other);
        CHECK(block.lines()[i].name.empty());
    }
    CHECK(block.fields().empty());
}

TEST_CASE("what cannot be used says why") {
    CHECK(why_unusable("") == "the message is empty");
    CHECK(why_unusable("\r\nbody") == "there is no header line");
    CHECK(why_unusable("\n") == "there is no header line");
    CHECK_THAT(why_unusable("RCPT TO:1\0\n\n"s), Catch::Contains("NUL"));
    CHECK(why_unusable("RCPT TO:1\n\n\0"s) == "usable");
    CHECK_THAT(why_unusable("%PDF-1.7\nx:y\n\n"), Catch::Contains("'%PDF-1.7'"));
    CHECK_THAT(why_unusable(" RCPT TO:1\n\n"), Catch::Contains("first line"));
    CHECK_THAT(why_unusable("\x1b[2J\n\n"), Catch::Contains("\\x1b"));
    CHECK_THAT(why_unusable("From a@b Mon Nov 23 04:00:06 2026\nRCPT TO:1\n\n"), Catch::Contains("first line"));
    CHECK_THAT(why_unusable("X:" + std::string(longest_header.count, 'x')), Catch::Contains("longer than"));
    CHECK(why_unusable("X:" + std::string(longest_header.count - 4, 'x') + "\n\n" + std::string(10, 'b')) == "usable");
    CHECK_THAT(why_unusable("X:" + std::string(longest_header.count - 3, 'x') + "\n\n"),
               Catch::Contains("longer than"));
}

TEST_CASE("views hold when a block is moved or copied") {
    auto first = HeaderBlock::parse("X:1\n\n");  // short enough to be kept inside a std::string
    const auto view = first.lines()[0].value;
    const HeaderBlock moved = std::move(first);
    CHECK(moved.lines()[0].value == "1");
    CHECK(view.data() == moved.lines()[0].value.data());
    std::optional<HeaderBlock> original = moved;
    const HeaderBlock copy = *original;
    original.reset();
    CHECK(copy.lines()[0].value == "1");
    CHECK(copy.bytes() == "X:1\n\n");
    CHECK(HeaderBlock().bytes().empty());
    CHECK(HeaderBlock().line_end() == "\r\n");
}

TEST_CASE("values are decoded") {
    const auto value = [](const std::string& text) {
        return HeaderBlock::parse("S: " + text + "\n\n").values("s").at(0);
    };
    CHECK(value("=?utf-8?q?Angebot_M=C3=BCller?=") == "Angebot Müller");
    CHECK(value("=?ISO-8859-1?Q?M=FCller?= =?UTF-8?B?4oKs?=") == "Müller€");
    CHECK(value("a =?utf-8?b?w7w=?= b") == "a ü b");
    CHECK(value("=?utf-8?q?a?=\n =?utf-8?q?b?=") == "ab");
    CHECK(value("M\xfcller") == "Müller");
    CHECK(value("Müller") == "Müller");
    CHECK(value("M\xfcller =?utf-8?q?=C3=BC?=") == "Müller ü");
    CHECK(value("=?x?") == "=?x?");
    CHECK(value("=?utf-8?q?broken") == "=?utf-8?q?broken");
    const auto unknown = value("=?no-such-charset?q?=FC?=");
    CHECK_FALSE(unknown.empty());
    CHECK(text::escape(unknown).find("\\x") == std::string::npos);
}

TEST_CASE("urgent messages") {
    const auto urgent = [](const std::string& line) { return HeaderBlock::parse(line + "\n\n").is_urgent(); };
    CHECK(urgent("Importance: High"));
    CHECK(urgent("importance:high"));
    CHECK(urgent("X-Priority: 1"));
    CHECK(urgent("X-Priority: 2 (High)"));
    CHECK(urgent("Priority: urgent"));
    CHECK_FALSE(urgent("Importance: normal"));
    CHECK_FALSE(urgent("X-Priority: 3"));
    CHECK_FALSE(urgent("X-Priority: 10"));
    CHECK_FALSE(urgent("X-Priority:"));
    CHECK_FALSE(urgent("Priority: normal"));
}

TEST_CASE("an empty edit changes no byte") {
    CHECK(Edit{}.changes_nothing());
    test::RandomText random(5);
    const std::vector<std::string_view> pieces{
        "RCPT TO:",     "MAIL FROM:", "Subject: ",       "x", "1", "\r\n", "\n", "\r", " ", "\t", ":", "\r\n\r\n",
        "\xef\xbb\xbf", "\xff",       "=?utf-8?q?=C3?=", "<", ">", "fax#"};
    int parsed = 0;
    for (int i = 0; i < 20000; ++i) {
        const auto bytes = random.of(pieces, 20);
        INFO(text::escape(bytes));
        HeaderBlock block;
        try {
            block = HeaderBlock::parse(bytes);
        } catch (const Error& error) {
            REQUIRE(error.fault() == Fault::unusable);
            continue;
        }
        ++parsed;
        REQUIRE(bytes.starts_with(block.bytes()));
        REQUIRE(apply(block, {}) == block.bytes());
        const auto lines = joined_lines(block);
        REQUIRE(block.bytes().starts_with(lines));
        REQUIRE(block.bytes().substr(lines.size()).find_first_not_of("\r\n") == std::string_view::npos);
        for (const auto& line : block.lines()) {
            REQUIRE(line.value.data() >= line.raw.data());
            REQUIRE(line.value.data() + line.value.size() <= line.raw.data() + line.raw.size());
        }
        // All recipients kept, every one with the value it has: the same message again, but for folding.
        Edit edit;
        edit.keep_recipients.emplace();
        for (const auto& recipient : block.recipients()) {
            edit.keep_recipients->push_back(recipient.line);
            edit.new_values.emplace_back(recipient.line, recipient.spelling);
        }
        if (block.recipients().empty()) continue;
        const auto again = HeaderBlock::parse(apply(block, edit));
        REQUIRE(spellings(again) == spellings(block));
        REQUIRE(again.fields() == block.fields());
        // A mark is there exactly once, and is no longer forged.
        Edit mark;
        mark.fields = {{"Subject", "mark\r\nRCPT TO:evil"}};
        const auto marked = HeaderBlock::parse(apply(block, mark));
        REQUIRE(marked.values("Subject") == std::vector<std::string>{"mark  RCPT TO:evil"});
        REQUIRE(spellings(marked) == spellings(block));
    }
    CHECK(parsed > 3000);
}

TEST_CASE("recipients are kept by line, all else byte for byte") {
    const std::string bytes =
        "MAIL FROM: a\r\nRCPT TO:fax#1\r\nrcpt to : 2\r\n 2\r\nX:  y \r\nRCPT TO:3\r\nRCPT TO:\r\n\r\n";
    const auto block = HeaderBlock::parse(bytes);
    Edit edit;
    edit.keep_recipients = {2};
    CHECK(apply(block, edit) == "MAIL FROM: a\r\nrcpt to : 2\r\n 2\r\nX:  y \r\n\r\n");
    edit.keep_recipients = {1, 4};
    CHECK(apply(block, edit) == "MAIL FROM: a\r\nRCPT TO:fax#1\r\nX:  y \r\nRCPT TO:3\r\n\r\n");
    edit.keep_recipients = {1, 99};
    CHECK(spellings(HeaderBlock::parse(apply(block, edit))) == std::vector<std::string>{"fax#1"});
}

TEST_CASE("a block begins with a line that can be read, whatever is dropped") {
    const auto block = HeaderBlock::parse("RCPT TO:1\nfax#\nRCPT TO:2\nX:y\n\n");
    Edit edit;
    edit.keep_recipients = {2};
    CHECK(apply(block, edit) == "RCPT TO:2\nfax#\nX:y\n\n");
    CHECK(apply(HeaderBlock::parse("RCPT TO:1\nfax#\nRCPT TO:2"), edit) == "RCPT TO:2\nfax#\n");
}

TEST_CASE("new values keep name, blank and line end") {
    const auto block = HeaderBlock::parse("MAIL FROM:a\nrcpt to : old \nRCPT TO:1\r\n 2\r\nRCPT TO: \nRCPT TO:4");
    Edit edit;
    edit.new_values = {{1, "new"}, {2, "12"}, {3, "3"}, {4, "5"}, {0, "b"}, {99, "never"}};
    CHECK(apply(block, edit) == "MAIL FROM:b\nrcpt to : new\nRCPT TO:12\r\nRCPT TO: 3\nRCPT TO:5");
    edit.new_values = {{1, "a\r\nRCPT TO:b"}};
    CHECK(HeaderBlock::parse(apply(block, edit)).recipients()[0].spelling == "a  RCPT TO:b");
}

TEST_CASE("fields go behind the envelope, and replace those of their name") {
    Edit edit;
    edit.fields = {{"X-UMS-Site", "munich"}, {"X-UMS-Dial", "1"}, {"X-UMS-Dial", "2\n3"}};
    CHECK(apply(HeaderBlock::parse("MAIL FROM:a\r\nRCPT TO:1\r\nx-ums-dial:forged\r\n folded\r\nSubject:x\r\n\r\n"),
                edit) ==
          "MAIL FROM:a\r\nRCPT TO:1\r\nX-UMS-Site: munich\r\nX-UMS-Dial: 1\r\nX-UMS-Dial: 2 3\r\nSubject:x\r\n\r\n");
    SECTION("a plain mail gets them at its top") {
        CHECK(apply(HeaderBlock::parse("From: a\n\n"), edit).starts_with("X-UMS-Site: munich\nX-UMS-Dial: 1\n"));
    }
    SECTION("behind a byte order mark") {
        CHECK(apply(HeaderBlock::parse("\xef\xbb\xbf"
                                       "From: a\n\n"),
                    edit)
                  .starts_with("\xef\xbb\xbfX-UMS-Site: munich\n"));
    }
    SECTION("an envelope without a line end gets one") {
        CHECK(apply(HeaderBlock::parse("RCPT TO:1"), edit) ==
              "RCPT TO:1\r\nX-UMS-Site: munich\r\nX-UMS-Dial: 1\r\nX-UMS-Dial: 2 3\r\n");
    }
    SECTION("twice is once") {
        const auto once = apply(HeaderBlock::parse("RCPT TO:1\n\n"), edit);
        CHECK(apply(HeaderBlock::parse(once), edit) == once);
    }
}

TEST_CASE("the header of a file is read, and its body is not") {
    io::PosixDisk disk;
    SECTION("small") {
        const test::TemporaryFile file(example + "body");
        const auto header = read_header(disk, *disk.open(file.path), file.path);
        CHECK(header.block.bytes() == example);
        CHECK(header.body_offset == example.size());
    }
    SECTION("over several chunks, the empty line across their border") {
        for (const std::size_t length : {4090u, 4092u, 4093u, 4094u, 4095u, 4096u, 12286u, 12287u, 12288u, 100000u}) {
            std::string block = "RCPT TO:1\r\nX:";
            block += std::string(length - block.size(), 'x') + "\r\n\r\n";
            const test::TemporaryFile file(block + "body\r\n\r\n");
            const auto header = read_header(disk, *disk.open(file.path), file.path);
            CHECK(header.block.bytes() == block);
            CHECK(header.body_offset == block.size());
        }
    }
    SECTION("without an empty line") {
        const test::TemporaryFile file("RCPT TO:1\n");
        const auto header = read_header(disk, *disk.open(file.path), file.path);
        CHECK(header.body_offset == 10);
    }
    SECTION("empty") {
        const test::TemporaryFile file("");
        CHECK_THROWS_AS(read_header(disk, *disk.open(file.path), file.path), Error);
    }
    SECTION("too long, without reading all of it") {
        const test::TemporaryFile file(std::string(3 << 20, 'x'));
        CHECK_THROWS_WITH(read_header(disk, *disk.open(file.path), file.path), Catch::Contains("longer than"));
    }
    SECTION("as long as is allowed") {
        const std::string block = "X:" + std::string(longest_header.count - 4, 'x') + "\n\n";
        const test::TemporaryFile file(block + std::string(100, 'b'));
        CHECK(read_header(disk, *disk.open(file.path), file.path).body_offset == longest_header.count);
    }
}

TEST_CASE("the header of a stream is read, and the start of the body handed on") {
    std::string input = example + std::string(10000, 'b');
    const std::size_t step = GENERATE(1u, 7u, 4096u, 100000u);
    std::size_t at = 0;
    std::size_t asked = 0;
    const Reader reader = [&](std::span<char> buffer) {
        const auto n = std::min({step, buffer.size(), input.size() - at});
        std::copy_n(input.data() + at, n, buffer.data());
        at += n;
        asked = std::max(asked, buffer.size());
        return n;
    };
    const auto header = read_header(reader);
    CHECK(header.block.bytes() == example);
    CHECK(header.block.bytes().size() + header.body.size() == at);
    CHECK(header.body == input.substr(example.size(), header.body.size()));
    CHECK(asked <= 65536);
}

TEST_CASE("reading a descriptor that cannot be read is an error") {
    try {
        read_header(read_from(-1, "gone"));
        FAIL("read");
    } catch (const Error& error) {
        CHECK(error.fault() == Fault::cannot_read);
        CHECK_THAT(error.what(), Catch::Contains("'gone'"));
    }
}

TEST_CASE("a block of a mebibyte takes no quadratic time") {
    const auto timed = [](const std::string& bytes) {
        const auto block = HeaderBlock::parse(bytes);
        const auto recipients = block.recipients();
        Edit edit;
        edit.keep_recipients.emplace();
        for (const auto& recipient : recipients) {
            edit.new_values.emplace_back(recipient.line, "x");
            edit.keep_recipients->push_back(recipient.line);
            edit.fields.emplace_back("X-UMS-Original-Recipient", recipient.spelling);
        }
        const auto applied = apply(block, edit);
        return recipients.size() + block.fields().size() + applied.size();
    };
    const auto repeated = [](const std::string& piece, const std::string& first = "") {
        std::string out = "RCPT TO:1\n" + first;
        while (out.size() + piece.size() < longest_header.count - 1) out += piece;
        return out + "\n";
    };
    CHECK(timed(repeated("RCPT TO:1\n")) > 0);
    CHECK(timed(repeated("X:y\n")) > 0);
    CHECK(timed(repeated(" \n")) > 0);
    CHECK(timed(repeated("\r")) > 0);
    CHECK(timed(repeated("X:=?utf-8?q?a?=\n")) > 0);
    CHECK(timed(repeated("=?utf-8?q?=C3=BC?= ", "X:")) > 0);
    CHECK(timed(repeated("=?", "X:")) > 0);
}
