// SPDX-License-Identifier: GPL-3.0-or-later
#include "message/attachments.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

using namespace ums;

namespace {

// In steps of `step` bytes, so that boundaries are cut anywhere.
std::string parts(const std::string& message, std::size_t step = 100'000) {
    const auto body = message.find("\n\n") + 2;
    const auto block = message::HeaderBlock::parse(message.substr(0, body));
    std::size_t at = body;
    std::string out;
    for (const auto& one : message::attachments(block, [&](std::span<char> buffer) {
             const auto n = std::min({step, buffer.size(), message.size() - at});
             std::memcpy(buffer.data(), message.data() + at, n);
             at += n;
             return n;
         })) {
        out += (out.empty() ? "" : " ") + one.type + (one.name.empty() ? "" : "=" + one.name);
    }
    return out;
}

const std::string fax =
    "Subject: x\nContent-Type: multipart/mixed;\n boundary=\"b 1\"\n\nignored\n--b 1\nContent-Type: "
    "multipart/alternative; boundary=in\n\n--in\n\ntext\n--in\nContent-Type: text/html\n\n<p>--in</p>\n--in--\nafter\n"
    "--b 1\nContent-Type: image/TIFF; name=a.tif\nContent-Disposition: attachment; filename*=utf-8''f%C3%A4x.tif\n\n"
    "II*\n--b 1x\n--b 1 \nContent-Type: application/pdf; name=\"=?utf-8?q?=C3=BC.pdf?=\"\n\n%PDF\n--b 1--\n--b 1\n"
    "Content-Type: image/png\n\n";

}  // namespace

TEST_CASE("the parts of a message, with their types and names", "[message]") {
    const std::string expected = "text/plain text/html image/tiff=f\xc3\xa4x.tif application/pdf=\xc3\xbc.pdf";
    for (const std::size_t step : {1, 2, 3, 7, 64, 100'000}) {
        INFO(step);
        CHECK(parts(fax, step) == expected);
    }
    std::string crlf;
    for (const char c : fax) crlf += c == '\n' ? "\r\n" : std::string(1, c);
    const auto body = crlf.find("\r\n\r\n") + 4;
    std::size_t at = body;
    const auto found = message::attachments(message::HeaderBlock::parse(crlf.substr(0, body)), [&](auto buffer) {
        const auto n = std::min(buffer.size(), crlf.size() - at);
        std::memcpy(buffer.data(), crlf.data() + at, n);
        at += n;
        return n;
    });
    CHECK(found.size() == 4);
}

TEST_CASE("a message that is no multipart is one part", "[message]") {
    CHECK(parts("Subject: x\n\nhello\n") == "text/plain");
    CHECK(parts("Content-Type: audio/x-wav; name=v.wav\n\nRIFF\n") == "audio/x-wav=v.wav");
    CHECK(parts("Content-Type: multipart/mixed\n\n--b\n") == "multipart/mixed");
}

TEST_CASE("what is malformed ends the walk and nothing else", "[message]") {
    CHECK(parts("Content-Type: multipart/mixed; boundary=b\n\n").empty());
    CHECK(parts("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/tiff") == "");
    CHECK(parts(std::string("Content-Type: multipart/mixed; boundary=b\n\n--b\n") + '\0' + ": x\n\nx\n--b--\n") ==
          "text/plain");
    // An inner multipart that is never closed ends with the outer one.
    CHECK(parts("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; "
                "boundary=c\n\n--c\n\nx\n--b\n"
                "Content-Type: image/gif\n\n--c\n\n--b--\n") == "text/plain image/gif");
    std::string many = "Content-Type: multipart/mixed; boundary=b\n\n";
    for (int i = 0; i < 5000; ++i) many += "--b\n\n";
    CHECK(parts(many).size() == message::most_parts * std::strlen("text/plain ") - 1);
    std::string deep = "Content-Type: multipart/mixed; boundary=b0\n\n";
    for (int i = 0; i < 200; ++i) {
        deep +=
            "--b" + std::to_string(i) + "\nContent-Type: multipart/mixed; boundary=b" + std::to_string(i + 1) + "\n\n";
    }
    CHECK(parts(deep) == "multipart/mixed");
    CHECK(parts("Content-Type: multipart/mixed; boundary=b\n\n" + std::string(3'000'000, 'x') +
                "\n--b\n\nx\n--b--\n") == "text/plain");
}
