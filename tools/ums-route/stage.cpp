// SPDX-License-Identifier: GPL-3.0-or-later
#include "stage.hpp"

#include "message/header_block.hpp"
#include "rules/rules.hpp"
#include "split/splitter.hpp"
#include "text/text.hpp"

namespace ums::route {

namespace {

namespace attribute = spool::attribute;

using spool::Queue;

std::vector<split::Part> decide(const rules::Table& table, const spool::Entry& entry,
                                const message::HeaderBlock& block) {
    const auto recipients = block.recipients();
    if (recipients.empty()) throw Error(Fault::unusable, "it has no recipient: there is no RCPT TO line");
    std::vector<split::Part> parts;
    for (const auto& group : table.split({&block, std::string(entry.name.get(attribute::connector))})) {
        split::Part part{
            entry.name.without(attribute::not_before), Queue::noroute(), {}, report::Result::parked, "", group.reason};
        for (const auto index : group.recipients) part.lines.push_back(recipients[index].line);
        if (group.site) {
            part.name = part.name.with(attribute::site, *group.site);
            part.queue = Queue::site(*group.site);
            part.result = report::Result::routed;
            part.detail = *group.site;
        } else {
            part.name = part.name.without(attribute::site);
            part.detail = "noroute: " + group.reason;
        }
        parts.push_back(std::move(part));
    }
    return parts;
}

}  // namespace

int run_stage(const cli::Common& common, const config::Config& config, report::Reporter& reporter) {
    io::PosixDisk disk;
    const clock::SystemClock clock;
    const rules::Table table(config);
    const auto names = cli::Names::read(common, disk);
    auto spool = cli::open_spool(common, config, disk, clock);
    return split::run_stage(
        common, names, spool, Queue::outgoing(), reporter,
        [&](const spool::Entry& entry, const message::HeaderBlock& block) { return decide(table, entry, block); });
}

}  // namespace ums::route
