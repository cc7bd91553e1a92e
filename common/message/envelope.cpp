// SPDX-License-Identifier: GPL-3.0-or-later
#include "message/envelope.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "message/address.hpp"
#include "message/mime.hpp"
#include "text/text.hpp"

namespace ums::message {

namespace {

// `"+49 89 1"@example.com` -> `+49 89 1`
std::string unquoted(std::string_view local) {
    if (local.size() < 2 || local.front() != '"' || local.back() != '"') return std::string(local);
    std::string out;
    for (std::size_t i = 1; i + 1 < local.size(); ++i) {
        if (local[i] == '\\' && i + 2 < local.size()) ++i;
        out += local[i];
    }
    return out;
}

// `/FAX=+49 89 1/`, `FAX=+49891`, `/PN=x/VOICE=1/`: RFC 3191 and X.400 gateways.
std::optional<ServiceAddress> keyed(std::string_view local) {
    static constexpr std::array<std::pair<std::string_view, Service>, 6> keys{{{"fax", Service::fax},
                                                                               {"sms", Service::sms},
                                                                               {"voice", Service::voc},
                                                                               {"voc", Service::voc},
                                                                               {"mwi", Service::mwi},
                                                                               {"tts", Service::tts}}};
    for (const auto part : text::split(local, '/')) {
        const auto equals = part.find('=');
        if (equals == std::string_view::npos) continue;
        for (const auto& [key, service] : keys) {
            if (text::equal_ignoring_case(text::trim(part.substr(0, equals)), key) && equals + 1 < part.size())
                return ServiceAddress{service, std::string(text::trim(part.substr(equals + 1)))};
        }
    }
    return std::nullopt;
}

std::optional<Service> service_of(std::string_view domain, const MailRules& rules) {
    const std::string lower = text::lower(domain);
    for (const auto& [known, service] : rules.domains) {
        const bool below = known.starts_with("*.");
        if (below ? lower.ends_with(std::string_view(known).substr(1)) : lower == known) return service;
    }
    return std::nullopt;
}

// What people write in place of what RFC 5322 would have: `+49 89 1@example.com`, `/FAX=+49 89 1/@example.com`, where blanks
// need quotes; and a `;` between addresses, which ends a group and nothing else.
std::string as_meant(std::string_view value) {
    std::string out;
    std::size_t begin = 0;  // of what is not copied yet
    bool quoted = false;
    bool in_group = false;
    std::size_t start = 0;  // of the address
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        if (c == '\\') {
            ++i;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (quoted) {
            continue;
        } else if (c == ',' || c == '<' || c == ':') {
            in_group = in_group || c == ':';
            start = i + 1;
        } else if (c == ';') {
            if (!in_group) {
                out.append(value.substr(begin, i - begin)) += ',';
                begin = i + 1;
            }
            in_group = false;
            start = i + 1;
        } else if (c == '@') {
            const auto local = text::trim(value.substr(start, i - start));
            const bool is_number = local.find_first_not_of("+0123456789 ()-./\t") == std::string_view::npos;
            if ((local.starts_with('/') || is_number) && local.find_first_of(" \t(") != std::string_view::npos &&
                local.find_first_of("\"\\\r\n") == std::string_view::npos) {
                out.append(value.substr(begin, static_cast<std::size_t>(local.data() - value.data()) - begin));
                out.append("\"").append(local).append("\"");
                begin = i;
            }
        }
    }
    return out.append(value.substr(begin));
}

// As a recipient, if it is one of ours.
std::optional<Recipient> recipient_of(const std::string& address, const MailRules& rules) {
    const auto at = address.rfind('@');
    if (at == std::string::npos || at == 0) return std::nullopt;
    const std::string local = unquoted(std::string_view(address).substr(0, at));
    Recipient recipient;
    if (auto named = keyed(local)) {
        recipient.service = named->service;
        recipient.address = std::move(named->address);
    } else if (const auto service = service_of(std::string_view(address).substr(at + 1), rules)) {
        recipient.service = service;
        recipient.address = text::trim(local);
    }
    if (!recipient.service || recipient.address.empty()) return std::nullopt;
    recipient.spelling = std::string(to_string(*recipient.service)) + "#" + recipient.address;
    recipient.line = std::string::npos;
    return recipient;
}

// Two spellings of one number are one recipient.
std::string compared(const Recipient& recipient) {
    std::string out(to_string(*recipient.service));
    out += '#';
    const bool is_number = recipient.address.find_first_not_of("+0123456789 ()-./") == std::string::npos;
    if (!is_number) return out + recipient.address;
    std::string digits;
    for (const char c : recipient.address) {
        if (c == '+' || (c >= '0' && c <= '9')) digits += c;
    }
    return out + (digits.starts_with("00") ? "+" + digits.substr(2) : digits);
}

// Raw values: encoded words are decoded by whoever shows a name, and what they say is no syntax (RFC 2047 5).
std::vector<std::string_view> raw_values(const HeaderBlock& block, std::string_view name) {
    std::vector<std::string_view> values;
    for (const auto& line : block.lines()) {
        if (line.kind == Line::Kind::field && text::equal_ignoring_case(line.name, name)) values.push_back(line.value);
    }
    return values;
}

class Recipients {
  public:
    explicit Recipients(const MailRules& rules) : rules_(rules) {}

    void add(std::string_view value) {
        for (const auto& address : addresses_in(value)) {
            auto recipient = recipient_of(address, rules_);
            if (recipient && known_.insert(compared(*recipient)).second) found_.push_back(std::move(*recipient));
        }
    }
    bool empty() const noexcept { return found_.empty(); }
    std::vector<Recipient> take() { return std::move(found_); }

  private:
    const MailRules& rules_;
    std::set<std::string> known_;
    std::vector<Recipient> found_;
};

std::string sender_of_mail(const HeaderBlock& block) {
    for (const auto* field : {"Return-Path", "From", "Sender"}) {
        for (const auto value : raw_values(block, field)) {
            if (text::trim(value) == "<>") return {};
            if (const auto found = addresses_in(value); !found.empty()) return found.front();
        }
    }
    return {};
}

}  // namespace

std::vector<std::string> addresses_in(std::string_view value) { return mime::addresses(as_meant(value)); }

Envelope envelope_of(const HeaderBlock& block, const MailRules& rules) {
    Envelope envelope;
    envelope.recipients = block.recipients();
    envelope.has_sender = std::any_of(block.lines().begin(), block.lines().end(),
                                      [](const Line& line) { return line.kind == Line::Kind::mail_from; });
    if (!envelope.recipients.empty() || envelope.has_sender) envelope.sender = block.sender();
    if (!envelope.recipients.empty()) return envelope;

    if (!envelope.has_sender) envelope.sender = sender_of_mail(block);
    Recipients recipients(rules);
    for (const auto* field : {"Delivered-To", "X-Original-To", "Envelope-To"}) {
        const auto values = raw_values(block, field);
        if (!values.empty()) recipients.add(values.front());
        if (!recipients.empty()) break;
    }
    if (recipients.empty()) {
        for (const auto& field : rules.fields) {
            for (const auto value : raw_values(block, field)) recipients.add(value);
        }
    }
    envelope.recipients = recipients.take();
    envelope.formed = !envelope.recipients.empty();
    return envelope;
}

std::vector<std::string> envelope_lines(const Envelope& envelope, const std::vector<std::size_t>& recipients) {
    std::vector<std::string> lines;
    if (!envelope.has_sender) lines.push_back("MAIL FROM:" + (envelope.sender.empty() ? "<>" : envelope.sender));
    for (const auto i : recipients) lines.push_back("RCPT TO:" + envelope.recipients[i].spelling);
    return lines;
}

}  // namespace ums::message
