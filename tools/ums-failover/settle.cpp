// SPDX-License-Identifier: GPL-3.0-or-later
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "delivery/doubt.hpp"
#include "options.hpp"
#include "text/text.hpp"

namespace ums::failover {

namespace {

using report::Result;
using spool::Entry;
using spool::Queue;
using spool::State;

namespace attribute = spool::attribute;

/// Only kernels and connectors have doubts; publishing/ of outgoing and incoming holds the parts of a split.
std::optional<Entry> find_doubt(const std::vector<Entry>& entries) {
    for (const auto& entry : entries) {
        const bool target = entry.queue.kind == Queue::Kind::kernel || entry.queue.kind == Queue::Kind::connector;
        if (target && entry.state == State::publishing) return entry;
    }
    return std::nullopt;
}

struct Verdict {
    std::optional<Entry> to;  ///< nothing: removed
    Result result = Result::failed;
    std::string detail;
};

Verdict judge(const config::Config& config, Decision decision, const Entry& entry, clock::Instant now) {
    switch (decision) {
        case Decision::delivered: {
            const std::string detail = "it had arrived at " + entry.queue.name;
            const auto* kernel = entry.queue.kind == Queue::Kind::kernel ? config.kernel(entry.queue.name) : nullptr;
            if (config.mds.keep_sent.count() == 0 && (kernel == nullptr || !kernel->recall))
                return {std::nullopt, Result::delivered, detail};
            return {Entry{Queue::sent(), State::fresh, delivery::settled(entry.name)}, Result::delivered, detail};
        }
        case Decision::send_again: {
            // The attempt number stays: stage names are used once. What ums-sitemap chose, it chooses again.
            const auto name = undecided(delivery::sent_again(entry.name))
                                  .with(attribute::duplicate, 1)
                                  .with(attribute::counted_from, clock::whole_seconds(now));
            const auto queue = entry.queue.kind == Queue::Kind::kernel ? Queue::outgoing() : Queue::incoming();
            return {Entry{queue, State::fresh, name}, Result::deferred,
                    "it may have reached " + entry.queue.name + "; sent again, marked as a possible duplicate"};
        }
        case Decision::hold:
            return {Entry{entry.queue, State::hold, delivery::held(entry.name)}, Result::parked,
                    "it may have reached " + entry.queue.name +
                        "; ums-spool release sends it again, ums-spool delete gives it up"};
    }
    return {};
}

}  // namespace

std::string who() {
    // Cron gives the second of the last two alone. In a container there may be none of them; the tables of users are not asked
    // then: glibc crashes there when it has no memory.
    for (const char* variable : {"SUDO_USER", "USER", "LOGNAME"}) {
        if (const char* user = std::getenv(variable); user != nullptr && *user != '\0') return user;
    }
    return "user " + std::to_string(::getuid());
}

int settle_by_hand(const cli::Common& common, const std::vector<std::string>& given, Decision decision,
                   report::Reporter& reporter) {
    const auto config = cli::load_config(common);
    io::PosixDisk disk;
    const clock::SystemClock clock;
    spool::Spool spool(disk, clock, cli::spool_root_as_owner(common, config), config.mds.id,
                       config.mds.force_spool ? spool::NetworkFileSystem::allow : spool::NetworkFileSystem::refuse,
                       common.dry_run ? spool::Opening::examine : spool::Opening::change);
    cli::ExitCode code;
    const std::string by = "; said by " + who();
    std::map<Queue, std::optional<spool::Worker>> workers;
    for (const auto& id : cli::ids_of(common, given, disk)) {
        const auto found = spool.find(id);
        if (found.empty()) {
            reporter.error("there is no message " + text::quote(id) + " in the spool; nothing was done");
            code.note(exit_code(Fault::unusable));
            continue;
        }
        auto entry = find_doubt(found);
        if (entry && !common.dry_run) {
            const auto [worker, is_new] = workers.try_emplace(entry->queue);
            if (is_new) worker->second = spool.work(entry->queue);
            if (!worker->second) {
                reporter.error("message " + text::quote(id) + ": another run works " + spool::to_string(entry->queue) +
                               " now; nothing was done");
                code.note(exit_code(Fault::later));
                continue;
            }
            // Settled, or marked, by who worked it before us?
            entry = find_doubt(spool.find(id));
        }
        if (!entry) {
            reporter.error("message " + text::quote(id) + " is not in doubt; nothing was done");
            code.note(exit_code(Fault::unusable));
            continue;
        }
        if (decision == Decision::delivered && entry->name.number(attribute::taking_back) > 0) {
            reporter.error(
                "message " + text::quote(id) + " was being taken back from " + text::quote(entry->queue.name) +
                ", so what lies there may not be a message any more; nothing was done. ums-failover looks as "
                "soon as it answers; for who never will, --send-again or --hold");
            code.note(exit_code(Fault::unusable));
            continue;
        }
        const auto verdict = judge(config, decision, *entry, clock.now());
        if (!common.dry_run) {
            const bool done = !verdict.to                  ? spool.remove(std::span(&*entry, 1)) == 1
                              : decision == Decision::hold ? spool.park(*entry, *verdict.to, verdict.detail + by)
                                                           : spool.move(*entry, *verdict.to);
            if (!done) {
                reporter.error("message " + text::quote(id) + " has moved on meanwhile; nothing was done");
                code.note(exit_code(Fault::later));
                continue;
            }
            const std::array<spool::Spool::Event, 1> event{
                {{std::string(entry->name.id()), "settled",
                  std::string(report::to_string(verdict.result)) + ": " + verdict.detail + by}}};
            spool.journal("ums-failover", event);
        }
        reporter.line({(verdict.to ? verdict.to->name : entry->name).text(),
                       verdict.result,
                       (common.dry_run ? "would be so: " : "") + verdict.detail,
                       {{"target", entry->queue.name}}});
    }
    return code.value();
}

}  // namespace ums::failover
