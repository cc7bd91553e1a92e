// SPDX-License-Identifier: GPL-3.0-or-later
#include "stage.hpp"

#include <algorithm>
#include <iterator>

#include "message/envelope.hpp"
#include "message/header_block.hpp"
#include "notice/notice.hpp"
#include "site/site.hpp"
#include "split/splitter.hpp"
#include "text/text.hpp"

namespace ums::sitemap {

namespace {

namespace attribute = spool::attribute;

using spool::Queue;

// Decides about received messages. What a site rejects is told to its sender: with a message of its own that goes out as
// any other, so that it is routed, dialled and, if its number is blocked, not sent.
class Stage {
  public:
    Stage(const config::Config& config, const clock::Clock& clock) : config_(config), clock_(clock) {}

    std::vector<split::Part> decide(const split::Message& message) const {
        const auto& entry = message.entry;
        const site::Sites sites(config_, entry.name.get(attribute::origin), message.block);
        const auto recipients = message.block.recipients();
        // The kernel decided: it lies in the connector's own directory. Send reports always come this way.
        const auto own = entry.name.get(attribute::connector);
        const auto* connector = config_.connector(own);
        const bool is_own = connector != nullptr && entry.name.number(attribute::chosen) == 0;
        if (recipients.empty()) {
            const auto& chosen = sites.of_message();
            site::Choice choice{{}, "it has no recipient, and its site names no connector"};
            if (is_own) {
                choice = {{std::string(own)}, "it lay in the connector's directory"};
            } else if (chosen.site != nullptr && !chosen.site->connectors.usual.empty()) {
                choice = {chosen.site->connectors.usual, "it has no recipient; it is the connector of its site"};
            }
            std::vector<split::Part> parts;
            add(message, chosen.site, choice, {}, is_own, parts);
            return parts;
        }

        std::vector<split::Part> parts;
        std::vector<split::Part> reports;
        std::vector<std::string> refusals;
        for (const auto& recipient : recipients) {
            static const config::Site no_site;
            const auto chosen = sites.of(recipient);
            const auto received =
                site::receive(chosen.site == nullptr ? no_site : *chosen.site, message.block, recipient);
            site::Choice choice{{std::string(own)}, "it lay in the connector's directory"};
            if (!is_own) {
                choice = site::choose_connectors(config_, chosen.site, received.number, received.service);
            }
            // A report to who sent something is no call to a number.
            const bool is_report = is_own && message.block.sender().empty();
            const auto why = chosen.site == nullptr || is_report ? std::nullopt : site::parked(*chosen.site, received);
            if (!why) {
                add(message, chosen.site, choice, {recipient.line}, is_own, parts);
                continue;
            }
            refusals.push_back(*why);
            if (received.ddi != nullptr && received.ddi->action == config::DdiRule::Action::reject &&
                !choice.connectors.empty()) {
                report(message, *chosen.site, choice.connectors.front(), recipient, *why, reports);
            }
            add(message, chosen.site, {{}, *why}, {recipient.line}, is_own, parts);
        }
        // Of a message that is for nobody at all, nothing is left to be sorted by number.
        if (refusals.size() == recipients.size()) {
            split::Part part{parts.front().name, Queue::failed()};
            part.result = report::Result::parked;
            part.reason = refusals.front();
            part.detail = "failed: " + part.reason;
            parts.clear();
            parts.push_back(std::move(part));
            if (!reports.empty()) {
                parts.front().name = parts.front().name.with(attribute::ruled, "failed");
                for (const auto& recipient : recipients) parts.front().lines.push_back(recipient.line);
            }
        }
        std::move(reports.begin(), reports.end(), std::back_inserter(parts));
        return parts;
    }

  private:
    static spool::EntryName named(const spool::Entry& entry, const config::Site* site) {
        return entry.name.without(attribute::not_before)
            .without(attribute::ruled)
            .with(attribute::site, site == nullptr ? "" : site->name);
    }

    // The lines to each connector of the choice, or to noroute. What one site forms is not another's.
    void add(const split::Message& message, const config::Site* site, const site::Choice& choice,
             const std::vector<std::size_t>& lines, bool is_own, std::vector<split::Part>& parts) const {
        const auto name = named(message.entry, site);
        if (choice.connectors.empty()) {
            split::Part part{name.without(attribute::connector).without(attribute::chosen), Queue::noroute()};
            part.result = report::Result::parked;
            part.detail = "noroute: " + choice.reason;
            part.reason = choice.reason;
            join(std::move(part), lines, false, parts);
            return;
        }
        for (const auto& one : choice.connectors) {
            split::Part part{name.with(attribute::connector, one), Queue::connector(one)};
            if (!is_own) part.name = part.name.with(attribute::chosen, 1);
            part.detail = one;
            part.reason = choice.reason;
            // A mail server answers for each recipient: each has a message of its own, whose state stands in the spool.
            const auto* connector = config_.connector(one);
            join(std::move(part), lines, connector != nullptr && connector->deliver.has_value(), parts);
        }
    }

    static void join(split::Part part, const std::vector<std::size_t>& lines, bool apart,
                     std::vector<split::Part>& parts) {
        const auto same = std::find_if(parts.begin(), parts.end(), [&](const split::Part& p) {
            return p.queue == part.queue && p.name.get(attribute::site) == part.name.get(attribute::site);
        });
        if (same != parts.end() && !apart) {
            same->lines.insert(same->lines.end(), lines.begin(), lines.end());
            return;
        }
        part.lines = lines;
        parts.push_back(std::move(part));
    }

    // The report and what is rejected leave together, or not at all: as the parts of a split do.
    void report(const split::Message& message, const config::Site& site, const std::string& connector,
                const message::Recipient& recipient, const std::string& why, std::vector<split::Part>& reports) const {
        message::Envelope envelope;
        envelope.recipients.push_back(recipient);
        const auto formed =
            message::HeaderBlock::parse(message::apply(message.block, site::incoming_edit(site, message.block)));
        envelope.sender = formed.sender();
        // Only who can be reached is told: a full number, or a mail address.
        const bool reachable = envelope.sender.find('@') != std::string::npos ||
                               (envelope.sender.starts_with('+') && number::is_number(envelope.sender));
        if (!reachable || (site.numbering && number::refusal(*site.numbering, envelope.sender))) return;
        const auto content = [this, block = message.block, envelope, why](const spool::EntryName& name) {
            return notice::rejection({block, envelope, {0}, why, std::string(name.id()), config_.mds.id, clock_.now()});
        };
        if (!content(message.entry.name)) return;  // nobody to tell
        split::Part part{message.entry.name.without(attribute::not_before)
                             .without(attribute::priority)
                             .without(attribute::origin)
                             .without(attribute::chosen)
                             .without(attribute::site)
                             .with(attribute::connector, connector)
                             .with(attribute::ruled, "report"),
                         Queue::outgoing()};
        part.detail = "outgoing, a report to " + envelope.sender;
        part.reason = why;
        part.content = [content](const spool::EntryName& name) { return content(name).value_or(""); };
        reports.push_back(std::move(part));
    }

    const config::Config& config_;
    const clock::Clock& clock_;
};

}  // namespace

int run_stage(const cli::Common& common, const config::Config& config, report::Reporter& reporter) {
    io::PosixDisk disk;
    const clock::SystemClock clock;
    const auto names = cli::Names::read(common, disk);
    auto spool = cli::open_spool(common, config, disk, clock);
    const Stage stage(config, clock);
    return split::run_stage(common, names, spool, Queue::incoming(), reporter,
                            [&](const split::Message& message) { return stage.decide(message); });
}

}  // namespace ums::sitemap
