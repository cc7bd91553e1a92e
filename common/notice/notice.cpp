// SPDX-License-Identifier: GPL-3.0-or-later
#include "notice/notice.hpp"

#include <algorithm>
#include <array>

#include "message/decoded_text.hpp"
#include "text/text.hpp"

namespace ums::notice {

namespace {

constexpr std::string_view line_end = "\r\n";

// A value never makes a line of its own.
std::string one_line(std::string_view text) {
    std::string out(text::trim(text));
    std::replace_if(
        out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
    return out;
}

std::string first_value(const message::HeaderBlock& block, std::string_view name) {
    const auto values = block.values(name);
    return values.empty() ? std::string() : one_line(values.front());
}

bool is_automatic(const message::HeaderBlock& block) {
    const auto submitted = first_value(block, "Auto-Submitted");
    if (!submitted.empty() && !text::equal_ignoring_case(submitted, "no")) return true;
    const auto precedence = text::lower(first_value(block, "Precedence"));
    return precedence == "bulk" || precedence == "junk" || precedence == "list";
}

}  // namespace

std::optional<std::string> rejection(const Rejection& rejection) {
    const auto& envelope = rejection.envelope;
    const std::string sender = one_line(envelope.sender);
    if (sender.empty() || is_automatic(rejection.block)) return std::nullopt;

    const std::string boundary = "=_" + rejection.id;
    std::string out;
    const auto line = [&](std::string_view text) { out.append(text).append(line_end); };
    line("MAIL FROM:<>");
    line("RCPT TO:" + sender);
    line("From: Message Distribution Server " + rejection.mds_id + " <MAILER-DAEMON@" + text::lower(rejection.mds_id) +
         ".invalid>");
    line("To: " + (sender.find('@') == std::string::npos ? "undisclosed-recipients:;" : "<" + sender + ">"));
    const auto subject = first_value(rejection.block, "Subject");
    line("Subject: Not sent" + (subject.empty() ? "" : ": " + message::encode_value(subject)));
    line("Date: " + clock::format_mail(rejection.at));
    line("Message-ID: <" + rejection.id + "@ums.invalid>");
    if (const auto original = first_value(rejection.block, "Message-ID"); !original.empty()) {
        line("In-Reply-To: " + original);
        line("References: " + original);
    }
    line("Auto-Submitted: auto-replied");
    line("MIME-Version: 1.0");
    line("Content-Type: multipart/report; report-type=delivery-status; boundary=\"" + boundary + "\"");
    line("");
    line("--" + boundary);
    line("Content-Type: text/plain; charset=utf-8");
    line("Content-Transfer-Encoding: 8bit");
    line("");
    line("This message was not sent to:");
    for (const auto i : rejection.recipients) line("  " + one_line(envelope.recipients[i].spelling));
    line("");
    for (const auto part : text::split(rejection.text, '\n')) line(one_line(part));
    line("");
    line("--" + boundary);
    line("Content-Type: message/delivery-status");
    line("");
    line("Reporting-MTA: x-ums; " + rejection.mds_id);
    for (const auto i : rejection.recipients) {
        line("");
        line("Final-Recipient: x-ums; " + one_line(envelope.recipients[i].spelling));
        line("Action: failed");
        line("Status: 5.7.1");
        line("Diagnostic-Code: x-ums; " + one_line(rejection.text));
    }
    line("");
    line("--" + boundary);
    line("Content-Type: text/rfc822-headers");
    line("");
    for (const auto& field : rejection.block.lines()) {
        if (field.kind != message::Line::Kind::field) continue;
        out += field.raw;
        if (!out.ends_with('\n')) out += line_end;
    }
    line("");
    line("--" + boundary + "--");
    return out;
}

}  // namespace ums::notice
