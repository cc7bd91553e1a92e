// SPDX-License-Identifier: GPL-3.0-or-later
#include "site/site.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "error/error.hpp"
#include "message/address.hpp"
#include "message/decoded_text.hpp"
#include "text/text.hpp"

namespace ums::site {

namespace {

using number::Conversion;
using number::TypeOfNumber;

// A value with another number: its brackets and its service stay as they are written.
std::string with_number(std::string_view spelling, bool has_service, const std::string& number) {
    std::string out(spelling.starts_with('<') ? "<" : "");
    if (has_service) out += spelling.substr(out.size(), spelling.find('#') + 1 - out.size());
    return out + number + (spelling.starts_with('<') ? ">" : "");
}

std::string with_number(const message::Recipient& recipient, const std::string& number) {
    return with_number(recipient.spelling, recipient.service.has_value(), number);
}

std::optional<TypeOfNumber> type_in(const message::HeaderBlock& block, const std::string& field) {
    if (field.empty() || !block.has_field(field)) return std::nullopt;
    for (const auto& value : block.values(field)) {
        if (const auto type = number::parse_type_of_number(value)) return type;
    }
    return std::nullopt;
}

const config::DdiRule* rule_for(const config::Site& site, const std::string& stripped,
                                const std::optional<std::string>& extension) {
    const auto found = std::find_if(site.ddi.begin(), site.ddi.end(), [&](const config::DdiRule& rule) {
        const bool whole = rule.pattern.starts_with('+') || !extension;
        return text::matches_wildcard(rule.pattern, whole ? stripped : *extension);
    });
    return found == site.ddi.end() ? nullptr : &*found;
}

bool is_voice(const config::DdiRule* rule) { return rule != nullptr && rule->action == config::DdiRule::Action::voice; }

void note(number::Steps* steps, std::string what, const std::string& number) {
    if (steps != nullptr) steps->push_back({std::move(what), number});
}

bool converts(const config::Site& site, Conversion::Direction direction, Conversion::Kind kind) noexcept {
    return std::any_of(site.conversions.begin(), site.conversions.end(),
                       [&](const Conversion& one) { return one.direction == direction && one.kind == kind; });
}

// The value of a line that is a number as the site forms it; nothing if it is none, or stays.
std::optional<std::string> formed_value(const config::Site& site, Conversion::Kind kind, std::string_view value,
                                        std::optional<TypeOfNumber> type) {
    const auto split = message::split_service(value);
    if (!number::is_number(split.address)) return std::nullopt;
    const auto formed = number::form(*site.numbering, site.conversions, kind, split.address, type);
    if (!formed.changed) return std::nullopt;
    return with_number(text::trim(value), split.service.has_value(), formed.number);
}

using Candidates = std::vector<const config::Site*>;

// By a header field that names the line.
std::optional<Chosen> site_of_line(const Candidates& candidates, const message::HeaderBlock& block) {
    for (const auto* site : candidates) {
        for (const auto& line : site->lines) {
            if (!block.has_field(line.field)) continue;
            for (const auto& value : block.values(line.field)) {
                const auto hit = std::find_if(line.patterns.begin(), line.patterns.end(), [&](const auto& pattern) {
                    return text::matches_wildcard(pattern, text::trim(value), text::IgnoreCase::yes);
                });
                if (hit != line.patterns.end()) {
                    return Chosen{site, "its " + line.field + " " + text::quote(value) + " is a line of the site"};
                }
            }
        }
    }
    return std::nullopt;
}

// By the called number: the site that knows most digits of one of `recipients`.
std::optional<Chosen> site_of_number(const Candidates& candidates, const message::HeaderBlock& block,
                                     std::span<const message::Recipient> recipients) {
    std::optional<Chosen> best;
    std::size_t most = 0;
    for (const auto& recipient : recipients) {
        for (const auto* site : candidates) {
            if (!site->numbering) continue;
            const auto digits =
                number::own_digits(*site->numbering, recipient.address, type_in(block, site->fields.type_of_number));
            if (digits <= most) continue;
            most = digits;
            best = Chosen{site, text::quote(recipient.spelling) + " begins with the site's own number"};
        }
    }
    return best;
}

}  // namespace

Sites::Sites(const config::Config& config, std::string_view kernel, const message::HeaderBlock& block) : block_(block) {
    for (const auto& site : config.sites) {
        if (std::find(site.kernels.begin(), site.kernels.end(), kernel) != site.kernels.end())
            candidates_.push_back(&site);
    }
    const std::string of_kernel = "of kernel " + text::quote(kernel);
    if (candidates_.empty()) {
        of_message_ = {nullptr, "no site lists kernel " + text::quote(kernel)};
    } else if (candidates_.size() == 1) {
        of_message_ = {candidates_.front(), "the site " + of_kernel};
    } else if (const auto by_line = site_of_line(candidates_, block)) {
        of_message_ = *by_line;
    } else {
        by_number_ = true;
        // A site with lines of its own is not meant by a message of another line.
        const auto open = std::find_if(candidates_.begin(), candidates_.end(),
                                       [](const config::Site* one) { return one->lines.empty(); });
        if (const auto told = site_of_number(candidates_, block, block.recipients())) {
            of_message_ = *told;
        } else if (open != candidates_.end()) {
            of_message_ = {*open, "the first site " + of_kernel + " without lines of its own"};
        } else {
            of_message_ = {candidates_.front(), "the first site " + of_kernel};
        }
    }
}

Chosen Sites::of(const message::Recipient& recipient) const {
    if (!by_number_) return of_message_;
    return site_of_number(candidates_, block_, std::span(&recipient, 1)).value_or(of_message_);
}

Received receive(const config::Site& site, std::string_view number, std::optional<TypeOfNumber> type,
                 number::Steps* steps) {
    Received received;
    received.number = number;
    received.service = "fax";
    if (!site.numbering || !number::is_number(number)) return received;
    const auto formed =
        number::form(*site.numbering, site.conversions, Conversion::Kind::destination, number, type, steps);
    received.doubled = formed.doubled;
    received.is_formed = formed.changed;
    if (received.is_formed) received.number = formed.number;
    if (!site.ddi.empty()) {
        received.ddi = rule_for(site, number::strip(formed.number), formed.extension);
        if (received.ddi != nullptr) {
            note(steps,
                 "DDI " + text::quote(received.ddi->pattern) + ": " +
                     std::string(config::to_string(received.ddi->action)),
                 formed.number);
        }
    }
    if (is_voice(received.ddi)) received.service = "voc";
    return received;
}

Received receive(const config::Site& site, const message::HeaderBlock& block, const message::Recipient& recipient,
                 number::Steps* steps) {
    auto received = receive(site, recipient.address, type_in(block, site.fields.type_of_number), steps);
    if (recipient.service) received.service = message::to_string(*recipient.service);
    return received;
}

std::optional<std::string> parked(const config::Site& site, const Received& received) {
    using Action = config::DdiRule::Action;
    if (received.doubled && site.doubled == config::Doubled::park) {
        return text::quote(received.number) + " was signalled with the main number in it (doubled: park of site " +
               text::quote(site.name) + ")";
    }
    if (received.ddi == nullptr) return std::nullopt;
    if (received.ddi->action != Action::ignore && received.ddi->action != Action::reject) return std::nullopt;
    return text::quote(received.number) + " is for nobody: site " + text::quote(site.name) +
           (received.ddi->action == Action::ignore ? " ignores " : " rejects ") + "calls to " +
           text::quote(received.ddi->pattern);
}

std::optional<std::string> outgoing_number(const config::Site& site, const message::Recipient& recipient,
                                           number::Steps* steps) {
    if (!site.numbering || !number::is_number(recipient.address)) return std::nullopt;
    return number::outgoing(*site.numbering, site.conversions, recipient.address, steps);
}

namespace {

// What a modem may dial of something that is no number, `0900 123,,5` or `Joe <0900123>`: its digits. A mail address is none.
std::string digits_of(std::string_view address) {
    std::string digits;
    if (address.find('@') != std::string_view::npos) return digits;
    for (const char c : address) {
        if ((c >= '0' && c <= '9') || (c == '+' && digits.empty())) digits += c;
    }
    return digits == "+" ? "" : digits;
}

// The recipient as another site must dial it; nothing if only `home` can.
std::optional<message::Recipient> away_from(const Home& home, const message::Recipient& recipient) {
    if (home.numbering == nullptr) return recipient;
    if (!number::is_number(recipient.address)) {
        const auto digits = digits_of(recipient.address);
        if (digits.empty() || digits.starts_with('+')) return recipient;
        return std::nullopt;
    }
    static const std::vector<Conversion> none;
    auto number =
        number::elsewhere(*home.numbering, home.site == nullptr ? none : home.site->conversions, recipient.address);
    if (!number) return std::nullopt;
    auto away = recipient;
    // What stays is not written otherwise.
    if (*number != number::strip(recipient.address)) away.address = std::move(*number);
    return away;
}

// What the site does not send whoever dials it: what it blocks, and numbers without `+` where it takes no others.
std::optional<std::string> not_wanted(const config::Site& site, const std::string& address) {
    if (!site.numbering) return std::nullopt;
    if (number::is_number(address)) return number::refusal(*site.numbering, address);
    const auto digits = digits_of(address);
    if (digits.empty()) return std::nullopt;
    if (site.numbering->e164_only) {
        return text::quote(address) + " is no number: the site takes only numbers with '+'";
    }
    return number::refusal(*site.numbering, digits);
}

// The recipient as the site sends to it, whoever dials. Throws Error{unusable} if it does not.
message::Recipient sent_as(const config::Site& site, const message::Recipient& recipient, const Home& home) {
    if (home.site != nullptr) {
        if (const auto why = not_wanted(*home.site, recipient.address)) throw Error(Fault::unusable, *why);
    }
    auto away = away_from(home, recipient);
    if (!away) {
        throw Error(Fault::unusable, text::quote(recipient.address) + " can be dialled only at its own site" +
                                         (home.site == nullptr ? "" : " " + text::quote(home.site->name)));
    }
    if (const auto why = not_wanted(site, away->address)) throw Error(Fault::unusable, *why);
    return *std::move(away);
}

}  // namespace

std::optional<std::string> refusal(const config::Site& site, const message::Recipient& recipient, const Home& home) {
    try {
        const auto away = sent_as(site, recipient, home);
        if (site.dial != config::Dial::off) outgoing_number(site, away);
    } catch (const Error& error) {
        if (error.fault() != Fault::unusable) throw;
        return error.what();
    }
    return std::nullopt;
}

bool edits_incoming(const config::Site& site) noexcept { return site.numbering.has_value(); }

message::Edit incoming_edit(const config::Site& site, const message::HeaderBlock& block) {
    message::Edit edit;
    if (!site.numbering) return edit;
    for (const auto& recipient : block.recipients()) {
        const auto received = receive(site, block, recipient);
        if (!received.is_formed) continue;
        edit.new_values.emplace_back(recipient.line, with_number(recipient, received.number));
        edit.fields.emplace_back("X-UMS-Original-Recipient", recipient.spelling);
    }
    const auto& lines = block.lines();
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const bool sender = lines[i].kind == message::Line::Kind::mail_from;
        const bool redirector = lines[i].kind == message::Line::Kind::field && !site.fields.redirector.empty() &&
                                text::equal_ignoring_case(lines[i].name, site.fields.redirector);
        if (!sender && !redirector) continue;
        const auto formed =
            formed_value(site, sender ? Conversion::Kind::originator : Conversion::Kind::redirector, lines[i].value,
                         type_in(block, sender ? site.fields.originator_type : site.fields.redirector_type));
        if (!formed) continue;
        edit.new_values.emplace_back(i, *formed);
        edit.fields.emplace_back(sender ? "X-UMS-Original-Sender" : "X-UMS-Original-Redirector",
                                 std::string(lines[i].value));
    }
    return edit;
}

namespace {

// The fields of a site that a message gets which has none of its own: field, and value.
std::vector<std::pair<std::string, std::string>> identity_of(const config::Site& site) {
    std::vector<std::pair<std::string, std::string>> out;
    const auto add = [&](const std::string& field, const std::string& value) {
        if (!field.empty() && !value.empty()) out.emplace_back(field, value);
    };
    add(site.fields.caller_id, site.caller_id);
    add(site.fields.fax_id, site.fax_id);
    add(site.fields.header_line, site.header_line);
    add(site.fields.billing, site.billing);
    add(site.fields.language, site.language);
    add(site.fields.time_zone, site.time_zone);
    return out;
}

bool is_ascii(std::string_view text) noexcept {
    return std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

// The caller ID, which conversion rules of outgoing originators may change.
std::string converted_caller(const config::Site& site, const std::string& value) {
    if (!number::is_number(value)) return value;
    return number::convert(site.conversions, Conversion::Direction::outgoing, Conversion::Kind::originator,
                           number::strip(value))
        .value_or(value);
}

void add_identity(const config::Site& site, const message::HeaderBlock& block, message::Edit& edit) {
    const auto is_marked = [&](const std::string& field) {
        return std::any_of(site.mark.begin(), site.mark.end(),
                           [&](const auto& mark) { return text::equal_ignoring_case(mark.first, field); });
    };
    for (const auto& [field, value] : identity_of(site)) {
        if (block.has_field(field) || is_marked(field)) continue;
        const auto said = field == site.fields.caller_id ? converted_caller(site, value) : value;
        edit.fields.emplace_back(field, is_ascii(said) ? said : message::encode_value(said));
    }
    if (site.fields.caller_id.empty() || is_marked(site.fields.caller_id) ||
        !converts(site, Conversion::Direction::outgoing, Conversion::Kind::originator))
        return;
    const auto& lines = block.lines();
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].kind != message::Line::Kind::field ||
            !text::equal_ignoring_case(lines[i].name, site.fields.caller_id))
            continue;
        const std::string value(lines[i].value);
        if (const auto converted = converted_caller(site, value); converted != value) {
            edit.new_values.emplace_back(i, converted);
        }
    }
}

}  // namespace

bool edits_outgoing(const config::Site& site, const Home& home) {
    const auto& n = site.numbering;
    return home.numbering != nullptr || site.dial != config::Dial::off || !site.mark.empty() ||
           !identity_of(site).empty() || (n && (n->e164_only || n->blocks())) ||
           converts(site, Conversion::Direction::outgoing, Conversion::Kind::originator);
}

message::Edit outgoing_edit(const config::Site& site, const message::HeaderBlock& block, const Home& home) {
    message::Edit edit;
    const bool dials = site.numbering && site.dial != config::Dial::off;
    if (edits_outgoing(site, home)) {
        for (const auto& meant : block.recipients()) {
            const auto recipient = sent_as(site, meant, home);
            const auto dial = dials ? outgoing_number(site, recipient) : std::nullopt;
            const auto& number = dial ? *dial : recipient.address;
            if (dials && site.dial == config::Dial::header) {
                edit.fields.emplace_back("X-UMS-Dial", number);
            } else if (number != meant.address) {
                edit.new_values.emplace_back(recipient.line, with_number(recipient, number));
            }
        }
    }
    add_identity(site, block, edit);
    edit.fields.insert(edit.fields.end(), site.mark.begin(), site.mark.end());
    return edit;
}

namespace {

// Whether a connector's pattern, `+49 8142 4838*` or `voc#+49*`, covers a number that is normalised already.
bool covers(std::string_view pattern, const std::string& number, std::string_view service,
            const number::Numbering* home) {
    auto wanted = message::split_service(pattern);
    if (wanted.service && message::to_string(*wanted.service) != service) return false;
    if (number::is_number_pattern(wanted.address)) wanted.address = number::normalise_pattern(wanted.address, home);
    return text::matches_wildcard(wanted.address, number, text::IgnoreCase::yes);
}

}  // namespace

Choice choose_connectors(const config::Config& config, const config::Site* site, std::string_view number,
                         std::string_view service) {
    const auto* home = config.numbering_of(site);
    const std::string normalised = number::is_number(number) ? number::normalise(number, home) : std::string(number);
    for (const auto& connector : config.connectors) {
        for (const auto& pattern : connector.numbers) {
            if (!covers(pattern, normalised, service, home)) continue;
            return {{connector.name}, "connector " + text::quote(connector.name) + " takes " + text::quote(pattern)};
        }
    }
    const std::string nobody = "no connector's numbers cover " + text::quote(number);
    if (site == nullptr || site->connectors.of(service).empty()) return {{}, nobody};
    const auto& own = site->connectors.of(service);
    const bool by_service = site->connectors.by_service.contains(std::string(service));
    return {own, nobody + (own.size() == 1 ? "; it is the connector of site " : "; these are the connectors of site ") +
                     text::quote(site->name) + (by_service ? " for " + std::string(service) : "")};
}

}  // namespace ums::site
