// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/letter.hpp"

#include <algorithm>
#include <optional>

#include "clock/clock.hpp"
#include "message/decoded_text.hpp"
#include "site/site.hpp"
#include "text/text.hpp"

namespace ums::delivery {

namespace {

namespace attribute = spool::attribute;

constexpr std::size_t longest_address = 254;  // RFC 5321 4.5.3.1.3, without the brackets

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool is_atom_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80) != 0 ||
           std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

bool is_dot_atom(std::string_view text) {
    const auto parts = text::split(text, '.');
    return std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
        return !part.empty() && std::all_of(part.begin(), part.end(), is_atom_character);
    });
}

bool is_quoted(std::string_view text) {
    if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
    text = text.substr(1, text.size() - 2);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is_control(text[i]) || text[i] == '"') return false;
        if (text[i] == '\\' && (++i == text.size() || is_control(text[i]))) return false;
    }
    return true;
}

bool is_domain(std::string_view text) {
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
        text = text.substr(1, text.size() - 2);
        return std::all_of(text.begin(), text.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == ':' ||
                   c == '-';
        });
    }
    const auto labels = text::split(text, '.');
    return std::all_of(labels.begin(), labels.end(), [](std::string_view label) {
        return !label.empty() && std::all_of(label.begin(), label.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                   (c & 0x80) != 0;
        });
    });
}

// The inside of a quoted string.
std::string quoted_words(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string quoted(std::string_view local) {
    if (is_dot_atom(local)) return std::string(local);
    return "\"" + quoted_words(local) + "\"";
}

// The form with its places filled in; nothing if that is no address.
std::optional<std::string> filled_in(std::string_view form, std::string_view number, message::Service service) {
    std::string out;
    bool used_number = false;
    for (;;) {
        const auto open = form.find('{');
        out += form.substr(0, open);
        if (open == std::string_view::npos) break;
        const auto close = form.find('}', open);
        const auto name = form.substr(open + 1, close - open - 1);
        if (name == "service") {
            out += message::to_string(service);
        } else {
            used_number = true;
            auto value = number;
            if (name == "digits" && value.starts_with('+')) value.remove_prefix(1);
            // The @ that ends the local part is that of the form, whatever the number is.
            out += value;
        }
        form.remove_prefix(close + 1);
    }
    if (used_number && number.empty()) return std::nullopt;
    const auto at = out.rfind('@');
    auto address = quoted(std::string_view(out).substr(0, at)) + out.substr(at);
    if (!is_mail_address(address)) return std::nullopt;
    return address;
}

// What stands for a number that is none, too: a name, a word.
std::string number_in(std::string_view address, const number::Numbering* home) {
    return number::is_number(address) ? number::normalise(address, home) : number::strip(address);
}

// Its lines, each with CRLF. A CR inside a line is a blank to all that read the header.
void append_lines(std::string_view raw, std::string& out) {
    if (raw.ends_with('\n')) raw.remove_suffix(1);
    for (auto line : text::split(raw, '\n')) {
        while (line.ends_with('\r')) line.remove_suffix(1);
        const auto begin = out.size();
        out += line;
        std::replace(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), '\r', ' ');
        out += "\r\n";
    }
}

std::string host_of(const target::Target& target) {
    if (target.host.empty()) return "localhost";
    if (target.host.find(':') != std::string::npos) return "[IPv6:" + target.host + "]";
    const bool v4 = target.host.find_first_not_of("0123456789.") == std::string::npos;
    return v4 ? "[" + target.host + "]" : target.host;
}

}  // namespace

bool is_mail_address(std::string_view text) {
    const auto at = text.rfind('@');
    if (at == std::string_view::npos || text.size() > longest_address) return false;
    const auto local = text.substr(0, at);
    return (is_dot_atom(local) || is_quoted(local)) && is_domain(text.substr(at + 1)) && text::is_utf8(text);
}

Postmark::Postmark(const config::Config& config, const config::Connector& connector)
    : config_(config), deliver_(connector.deliver.value()) {}

const Postmark::Table& Postmark::table(const number::Numbering* home) {
    const auto [found, is_new] = tables_.try_emplace(home);
    if (!is_new) return found->second;
    for (const auto& row : *deliver_.addresses) {
        const auto pattern =
            number::is_number_pattern(row.pattern) ? number::normalise_pattern(row.pattern, home) : row.pattern;
        if (pattern.find_first_of("*?") == std::string::npos) {
            found->second.exact.emplace(pattern, &row.address);
        } else {
            found->second.patterns.emplace_back(pattern, &row.address);
        }
    }
    return found->second;
}

std::string Postmark::recipient(std::string_view address, message::Service service, const number::Numbering* home) {
    if (address.find('@') != std::string_view::npos) {
        if (is_mail_address(address)) return std::string(address);
        throw Error(Fault::unusable, "the recipient " + text::quote(address) + " is no mail address");
    }
    const auto number = number_in(address, home);
    const std::string* form = deliver_.address.empty() ? nullptr : &deliver_.address;
    const std::string usual = "{number}@" + host_of(deliver_.url);
    if (deliver_.addresses) {
        const auto& rows = table(home);
        if (const auto exact = rows.exact.find(number); exact != rows.exact.end()) {
            form = exact->second;
        } else {
            const auto found = std::find_if(rows.patterns.begin(), rows.patterns.end(),
                                            [&](const auto& row) { return text::matches_wildcard(row.first, number); });
            if (found != rows.patterns.end()) form = found->second;
        }
        if (form == nullptr) {
            throw Error(Fault::unusable, "no row of " + text::quote(deliver_.addresses_file) + " covers " +
                                             text::quote(number) + ", and there is no 'address' for the others");
        }
    }
    if (form == nullptr) form = &usual;
    auto filled = filled_in(*form, number, service);
    if (filled) return *filled;
    throw Error(Fault::unusable, address.empty() ? "it has no recipient"
                                                 : "no mail address can be made of the recipient " +
                                                       text::quote(address) + " as " + text::quote(*form) + " says");
}

std::string Postmark::sender(std::string_view address, message::Service service, const number::Numbering* home) const {
    if (address.empty()) return "";
    if (address.find('@') != std::string_view::npos) return is_mail_address(address) ? std::string(address) : "";
    if (deliver_.from.empty()) return "";
    return filled_in(deliver_.from, number_in(address, home), service).value_or("");
}

Letter Postmark::letter(io::Disk& disk, const io::Fd& file, const std::string& path, const spool::EntryName& name) {
    auto header = message::read_header(disk, file, path);
    const auto* site = config_.site(name.get(attribute::site));
    message::Edit edit = site == nullptr ? message::Edit{} : site::incoming_edit(*site, header.block);
    if (name.number(attribute::duplicate) > 0) edit.fields.emplace_back("X-UMS-Possible-Duplicate", "yes");
    const auto block =
        edit.changes_nothing() ? header.block : message::HeaderBlock::parse(message::apply(header.block, edit));

    const auto* home = config_.numbering_of(site);
    Letter letter;
    auto service = message::Service::fax;
    for (const auto& one : block.recipients()) {
        service = one.service.value_or(message::Service::fax);
        letter.recipients.push_back(recipient(one.address, service, home));
    }
    if (letter.recipients.empty()) letter.recipients.push_back(recipient("", service, home));
    const auto from = block.sender();
    letter.sender = sender(from, service, home);

    if (!block.has_field("Date")) letter.head += "Date: " + clock::format_mail(name.arrival()) + "\r\n";
    if (!block.has_field("From")) {
        std::string shown = from.empty() ? "Message Distribution Server " + config_.mds.id : from;
        std::replace_if(shown.begin(), shown.end(), is_control, ' ');
        const std::string own = "MAILER-DAEMON@" + text::lower(config_.mds.id) + ".invalid";
        const bool plain = std::none_of(shown.begin(), shown.end(), [](char c) { return (c & 0x80) != 0; });
        letter.head += "From: " + (plain ? "\"" + quoted_words(shown) + "\"" : message::encode_value(shown)) + " <" +
                       (letter.sender.empty() ? own : letter.sender) + ">\r\n";
    }
    if (!block.has_field("Message-ID")) {
        std::string id(name.id());
        letter.head += "Message-ID: <" + id + "@ums.invalid>\r\n";
    }
    for (const auto& line : block.lines()) {
        if (line.kind == message::Line::Kind::mail_from || line.kind == message::Line::Kind::rcpt_to) continue;
        append_lines(line.raw, letter.head);
    }
    letter.head += "\r\n";
    const auto size = disk.info(file, path).size;
    letter.body_offset = header.body_offset;
    letter.body_length = Bytes{size.count - std::min(size.count, header.body_offset)};
    return letter;
}

}  // namespace ums::delivery
