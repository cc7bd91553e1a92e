// SPDX-License-Identifier: GPL-3.0-or-later
#include "site/site.hpp"

#include <algorithm>

#include "text/text.hpp"

namespace ums::site {

namespace {

// The recipient's value with another number: its brackets and its service stay as they are written.
std::string with_number(const message::Recipient& recipient, const std::string& number) {
    const std::string_view spelling = recipient.spelling;
    std::string prefix(spelling.starts_with('<') ? "<" : "");
    if (recipient.service) {
        const auto service = spelling.substr(prefix.size(), spelling.find('#') + 1 - prefix.size());
        prefix += service;
    }
    return prefix + number + (spelling.starts_with('<') ? ">" : "");
}

}  // namespace

const config::Site* site_of_kernel(const config::Config& config, std::string_view kernel) noexcept {
    const auto site = std::find_if(config.sites.begin(), config.sites.end(), [&](const config::Site& s) {
        return std::find(s.kernels.begin(), s.kernels.end(), kernel) != s.kernels.end();
    });
    return site == config.sites.end() ? nullptr : &*site;
}

std::optional<std::string> incoming_number(const config::Site& site, const message::Recipient& recipient,
                                           std::vector<number::Step>* steps) {
    if (!site.numbering || !number::is_number(recipient.address)) return std::nullopt;
    using Conversion = number::Conversion;
    const std::string stripped = number::strip(recipient.address);
    const auto& international = site.numbering->international_prefix;
    const bool converted =
        number::convert(site.conversions, Conversion::Direction::incoming, Conversion::Kind::destination, stripped)
            .has_value();
    if (!converted && (stripped.starts_with('+') || (!international.empty() && stripped.size() > international.size() &&
                                                     stripped.starts_with(international)))) {
        if (steps != nullptr) steps->push_back({"is international already: its spelling stays", stripped});
        return std::nullopt;
    }
    std::string formed = number::incoming(*site.numbering, site.conversions, recipient.address, steps);
    if (formed == stripped) return std::nullopt;
    return formed;
}

std::optional<std::string> outgoing_number(const config::Site& site, const message::Recipient& recipient,
                                           std::vector<number::Step>* steps) {
    if (!site.numbering || !number::is_number(recipient.address)) return std::nullopt;
    return number::outgoing(*site.numbering, site.conversions, recipient.address, steps);
}

message::Edit incoming_edit(const config::Site& site, const message::HeaderBlock& block) {
    message::Edit edit;
    for (const auto& recipient : block.recipients()) {
        const auto formed = incoming_number(site, recipient);
        if (!formed) continue;
        edit.new_values.emplace_back(recipient.line, with_number(recipient, *formed));
        edit.fields.emplace_back("X-UMS-Original-Recipient", recipient.spelling);
    }
    return edit;
}

message::Edit outgoing_edit(const config::Site& site, const message::HeaderBlock& block) {
    message::Edit edit;
    if (site.dial != config::Dial::off && site.numbering) {
        for (const auto& recipient : block.recipients()) {
            const auto dial = outgoing_number(site, recipient);
            if (site.dial == config::Dial::header) {
                edit.fields.emplace_back("X-UMS-Dial", dial.value_or(recipient.address));
            } else if (dial && *dial != recipient.address) {
                edit.new_values.emplace_back(recipient.line, with_number(recipient, *dial));
            }
        }
    }
    edit.fields.insert(edit.fields.end(), site.mark.begin(), site.mark.end());
    return edit;
}

Choice choose_connector(const config::Config& config, const config::Site* site, std::string_view number) {
    const number::Numbering* home = site != nullptr && site->numbering ? &*site->numbering
                                    : config.mds.numbering             ? &*config.mds.numbering
                                                                       : nullptr;
    const bool is_number = number::is_number(number);
    const std::string normalised = is_number ? number::normalise(number, home) : std::string(number);
    for (const auto& connector : config.connectors) {
        for (const auto& pattern : connector.numbers) {
            const std::string wanted = number::is_number_pattern(pattern) ? number::normalise_pattern(pattern, home)
                                                                          : std::string(text::trim(pattern));
            if (!text::matches_wildcard(wanted, normalised, text::IgnoreCase::yes)) continue;
            return {connector.name, "connector " + text::quote(connector.name) + " takes " + text::quote(pattern)};
        }
    }
    if (site != nullptr && !site->connector.empty()) {
        return {site->connector, "no connector's numbers cover " + text::quote(number) +
                                     "; it is the connector of site " + text::quote(site->name)};
    }
    return {std::nullopt, "no connector's numbers cover " + text::quote(number)};
}

}  // namespace ums::site
