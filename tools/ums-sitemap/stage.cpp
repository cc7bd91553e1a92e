// SPDX-License-Identifier: GPL-3.0-or-later
#include "stage.hpp"

#include <algorithm>

#include "message/header_block.hpp"
#include "number/number.hpp"
#include "site/site.hpp"
#include "split/splitter.hpp"
#include "text/text.hpp"

namespace ums::sitemap {

namespace {

namespace attribute = spool::attribute;

using spool::Queue;

split::Part part_for(const spool::Entry& entry, const config::Site* site, const site::Choice& choice) {
    auto name = entry.name.without(attribute::not_before).with(attribute::site, site == nullptr ? "" : site->name);
    if (!choice.connector) {
        split::Part part{name.without(attribute::connector).without(attribute::chosen), Queue::noroute()};
        part.result = report::Result::parked;
        part.detail = "noroute: " + choice.reason;
        part.reason = choice.reason;
        return part;
    }
    split::Part part{name.with(attribute::connector, *choice.connector), Queue::connector(*choice.connector)};
    part.detail = *choice.connector;
    part.reason = choice.reason;
    return part;
}

std::vector<split::Part> decide(const config::Config& config, const spool::Entry& entry,
                                const message::HeaderBlock& block) {
    const auto* site = site::site_of_kernel(config, entry.name.get(attribute::origin));
    // The kernel decided: it lies in the connector's own directory. Send reports always come this way.
    const auto own = entry.name.get(attribute::connector);
    const auto recipients = block.recipients();
    if (const auto* connector = config.connector(own);
        connector != nullptr && entry.name.number(attribute::chosen) == 0) {
        const auto whole = part_for(entry, site, {std::string(own), "it lay in the connector's directory"});
        if (!connector->deliver || recipients.size() < 2) return {whole};
        std::vector<split::Part> parts(recipients.size(), whole);
        for (std::size_t i = 0; i < parts.size(); ++i) parts[i].lines.push_back(recipients[i].line);
        return parts;
    }
    if (recipients.empty()) {
        const site::Choice choice{
            site == nullptr || site->connector.empty() ? std::nullopt : std::optional(site->connector),
            "it has no recipient, and its site names no connector"};
        auto part = part_for(entry, site, choice);
        if (choice.connector) part.name = part.name.with(attribute::chosen, 1);
        return {part};
    }
    std::vector<split::Part> parts;
    for (const auto& recipient : recipients) {
        const auto formed = site != nullptr && site->numbering
                                ? number::incoming(*site->numbering, site->conversions, recipient.address)
                                : recipient.address;
        const auto choice = site::choose_connector(config, site, formed);
        auto part = part_for(entry, site, choice);
        if (choice.connector) part.name = part.name.with(attribute::chosen, 1);
        const auto same =
            std::find_if(parts.begin(), parts.end(), [&](const split::Part& p) { return p.queue == part.queue; });
        // A mail server answers for each recipient: each has a message of its own, whose state stands in the spool.
        const auto* connector = choice.connector ? config.connector(*choice.connector) : nullptr;
        const bool by_mail = connector != nullptr && connector->deliver;
        if (same != parts.end() && !by_mail) {
            same->lines.push_back(recipient.line);
        } else {
            part.lines.push_back(recipient.line);
            parts.push_back(std::move(part));
        }
    }
    return parts;
}

}  // namespace

int run_stage(const cli::Common& common, const config::Config& config, report::Reporter& reporter) {
    io::PosixDisk disk;
    const clock::SystemClock clock;
    const auto names = cli::Names::read(common, disk);
    auto spool = cli::open_spool(common, config, disk, clock);
    return split::run_stage(common, names, spool, Queue::incoming(), reporter, [&](const split::Message& message) {
        return decide(config, message.entry, message.block);
    });
}

}  // namespace ums::sitemap
