// SPDX-License-Identifier: GPL-3.0-or-later
#include "stage.hpp"

#include "decision.hpp"
#include "message/envelope.hpp"
#include "message/header_block.hpp"
#include "notice/notice.hpp"
#include "rules/rules.hpp"
#include "split/splitter.hpp"
#include "text/text.hpp"

namespace ums::route {

namespace {

namespace attribute = spool::attribute;

using rules::Decision;
using spool::Queue;

class Stage {
  public:
    Stage(const config::Config& config, const rules::Table& table, const clock::Clock& clock, io::Disk& disk)
        : config_(config), table_(table), clock_(clock), disk_(disk) {}

    std::vector<split::Part> decide(const split::Message& message) const {
        const auto envelope = message::envelope_of(message.block, table_.mail());
        if (envelope.recipients.empty()) {
            throw Error(Fault::unusable,
                        "it has no recipient: there is no RCPT TO line, and no address in it is one of ours");
        }
        rules::Subject subject;
        subject.block = &message.block;
        subject.connector = message.entry.name.get(attribute::connector);
        subject.envelope = &envelope;
        subject.at = clock_.now();
        subject.released = message.entry.name.get(attribute::ruled) == "hold";
        if (table_.needs_body()) {
            subject.size = disk_.info(message.file, "the message").size;
            subject.attachments = [&] { return message::attachments(message.block, body_of(message)); };
        }

        std::vector<split::Part> parts;
        if (message.entry.name.get(attribute::ruled) == attribute::expired) {
            put_aside(message, envelope, parts);
            return parts;
        }
        for (const auto& group : groups_of(config_, table_, subject)) {
            add(group, message, envelope, parts);
        }
        return parts;
    }

  private:
    message::Reader body_of(const split::Message& message) const {
        return [this, &message, offset = message.body_offset](std::span<char> buffer) mutable {
            const auto got = disk_.read(message.file, buffer, offset, "the message");
            offset += got;
            return got;
        };
    }

    // The message with the recipients of the group, to noroute if nothing else is said.
    static split::Part part_of(const rules::Table::Group& group, const split::Message& message,
                               const message::Envelope& envelope) {
        split::Part part{undecided(message.entry.name).without(attribute::ruled), Queue::noroute()};
        part.result = report::Result::parked;
        if (envelope.formed) {
            part.envelope = message::envelope_lines(envelope, group.recipients);
        } else {
            for (const auto index : group.recipients) part.lines.push_back(envelope.recipients[index].line);
        }
        return part;
    }

    void add(const rules::Table::Group& group, const split::Message& message, const message::Envelope& envelope,
             std::vector<split::Part>& parts) const {
        auto part = part_of(group, message, envelope);
        part.reason = group.reason;
        switch (group.action) {
            case Decision::Action::route:
                part.name = part.name.with(attribute::site, *group.site);
                part.queue = Queue::site(*group.site);
                part.result = report::Result::routed;
                part.detail = *group.site;
                break;
            case Decision::Action::noroute: part.detail = "noroute: " + group.reason; break;
            case Decision::Action::hold:
                part.name = part.name.with(attribute::ruled, "hold");
                part.queue = Queue::outgoing();
                part.state = spool::State::hold;
                part.reason = group.text + " (" + group.reason + ")";
                part.detail = "hold: " + part.reason;
                break;
            case Decision::Action::reject:
                part.name = part.name.with(attribute::ruled, "failed");
                part.queue = Queue::failed();
                part.reason = "rejected: " + (group.by_site ? group.reason : group.text + " (" + group.reason + ")");
                part.detail = "failed: " + part.reason;
                break;
        }
        parts.push_back(std::move(part));
        if (group.action == Decision::Action::reject) report(group, message, envelope, parts);
    }

    // No rule decides about what has waited too long: it goes to failed/, and a report to its sender.
    void put_aside(const split::Message& message, const message::Envelope& envelope,
                   std::vector<split::Part>& parts) const {
        rules::Table::Group group;
        group.action = Decision::Action::reject;
        group.text = "it could not be sent within " + text::format_duration(config_.mds.expire);
        for (std::size_t i = 0; i < envelope.recipients.size(); ++i) group.recipients.push_back(i);
        auto part = part_of(group, message, envelope);
        part.name = part.name.with(attribute::ruled, "failed");
        part.queue = Queue::failed();
        part.reason = "expired: " + group.text;
        part.detail = "failed: " + part.reason;
        parts.push_back(std::move(part));
        report(group, message, envelope, parts);
    }

    // The report and what is rejected leave together, or not at all: as the parts of a split do.
    void report(const rules::Table::Group& group, const split::Message& message, const message::Envelope& envelope,
                std::vector<split::Part>& parts) const {
        const std::string connector(message.entry.name.get(attribute::connector));
        if (config_.connector(connector) == nullptr) return;
        const auto content = [this, group, block = message.block, envelope](const spool::EntryName& name) {
            return notice::rejection(
                {block, envelope, group.recipients, group.text, std::string(name.id()), config_.mds.id, clock_.now()});
        };
        if (!content(message.entry.name)) return;  // nobody to tell
        split::Part part{message.entry.name.without(attribute::not_before)
                             .without(attribute::priority)
                             .with(attribute::ruled, "report"),
                         Queue::connector(connector)};
        part.detail = connector + ", a report to the sender";
        part.reason = parts.back().reason;
        part.content = [content](const spool::EntryName& name) { return content(name).value_or(""); };
        parts.push_back(std::move(part));
    }

    const config::Config& config_;
    const rules::Table& table_;
    const clock::Clock& clock_;
    io::Disk& disk_;
};

}  // namespace

int run_stage(const cli::Common& common, const config::Config& config, report::Reporter& reporter) {
    io::PosixDisk disk;
    const clock::SystemClock clock;
    const rules::Table table(config);
    const auto names = cli::Names::read(common, disk);
    auto spool = cli::open_spool(common, config, disk, clock);
    const Stage stage(config, table, clock, disk);
    return split::run_stage(common, names, spool, Queue::outgoing(), reporter,
                            [&](const split::Message& message) { return stage.decide(message); });
}

}  // namespace ums::route
