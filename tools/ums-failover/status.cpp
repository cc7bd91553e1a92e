// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <map>
#include <span>

#include "options.hpp"
#include "text/text.hpp"

namespace ums::failover {

namespace {

using spool::Queue;
using spool::State;

/// How many wait for less than this, and not less than the one before; the last ones wait for longer.
constexpr std::array<std::pair<std::chrono::seconds, const char*>, 6> ages{{{std::chrono::minutes(1), "<1m"},
                                                                            {std::chrono::minutes(5), "<5m"},
                                                                            {std::chrono::minutes(15), "<15m"},
                                                                            {std::chrono::hours(1), "<1h"},
                                                                            {std::chrono::hours(4), "<4h"},
                                                                            {std::chrono::hours(24), "<1d"}}};

struct Counts {
    std::size_t waiting = 0;
    std::array<std::size_t, ages.size() + 1> by_age{};
    std::size_t sending = 0;
    std::size_t in_doubt = 0;
    std::size_t held = 0;
    std::optional<clock::Instant> oldest;
};

Counts count(const spool::Spool& spool, const Queue& queue, clock::Instant now) {
    Counts counts;
    const auto fresh = spool.list(queue, State::fresh);
    counts.waiting = fresh.size();
    for (const auto& entry : fresh) {
        const auto* found = std::find_if(ages.begin(), ages.end(),
                                         [&](const auto& age) { return now - entry.name.arrival() < age.first; });
        ++counts.by_age.at(static_cast<std::size_t>(found - ages.begin()));
    }
    const auto oldest_of = [&](const std::vector<spool::Entry>& entries) {
        if (entries.empty()) return;
        const auto arrival = entries.front().name.arrival();
        counts.oldest = std::min(counts.oldest.value_or(arrival), arrival);
    };
    const auto sending = spool.list(queue, State::sending);
    const auto in_doubt = spool.list(queue, State::publishing);
    for (const auto* entries : {&fresh, &sending, &in_doubt}) oldest_of(*entries);
    counts.sending = sending.size();
    counts.in_doubt = in_doubt.size();
    counts.held = spool.list(queue, State::hold).size();
    return counts;
}

std::string since(clock::Instant when, clock::Instant now) {
    if (when == clock::Instant{}) return "-";
    return text::rough_duration(std::chrono::duration_cast<text::Duration>(now - when));
}

std::string join(std::span<const std::size_t> numbers, std::string_view between) {
    std::string all;
    for (const auto number : numbers) all += (all.empty() ? "" : std::string(between)) + std::to_string(number);
    return all;
}

std::string json_counts(const Counts& counts) {
    return ",\"new\":" + std::to_string(counts.waiting) + ",\"sending\":" + std::to_string(counts.sending) +
           ",\"in-doubt\":" + std::to_string(counts.in_doubt) + ",\"hold\":" + std::to_string(counts.held) +
           ",\"oldest\":" + (counts.oldest ? text::json_string(clock::format(*counts.oldest)) : "null") +
           ",\"ages\":[" + join(counts.by_age, ",") + "]";
}

std::vector<std::string> sites_of(const config::Config& config, const std::string& kernel) {
    std::vector<std::string> names;
    for (const auto& site : config.sites) {
        if (std::find(site.kernels.begin(), site.kernels.end(), kernel) != site.kernels.end())
            names.push_back(site.name);
    }
    return names;
}

void print_table(const std::vector<std::vector<std::string>>& rows, report::Reporter& reporter) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
        }
        while (line.ends_with(' ')) line.pop_back();
        reporter.data(line);
    }
}

}  // namespace

int status(const cli::Common& common, report::Reporter& reporter) {
    const auto config = cli::load_config(common);
    io::PosixDisk disk;
    const clock::SystemClock clock;
    const spool::Spool spool(disk, clock, cli::spool_root_as_owner(common, config), config.mds.id,
                             spool::NetworkFileSystem::allow, spool::Opening::examine);
    const health::Files files(disk, spool.root() + "/state");
    return cli::run_passes(common, reporter, {}, [&] {
        const auto now = clock.now();
        std::vector<std::vector<std::string>> rows{
            {"KERNEL", "SITES", "STATE", "SINCE", "NEW", "SENDING", "DOUBT", "HOLD", "OLDEST", "NEXT", "WHY"}};
        std::vector<std::vector<std::string>> waiting{{"WAITING"}};
        for (const auto& age : ages) waiting.front().emplace_back(age.second);
        waiting.front().emplace_back("more");
        const auto by_age = [&](const std::string& queue, const Counts& counts) {
            if (counts.waiting == 0) return;
            waiting.push_back({queue});
            for (const auto number : counts.by_age) waiting.back().push_back(std::to_string(number));
        };
        std::map<std::string, std::size_t> up;  // kernels that take messages, per site
        for (const auto& kernel : config.kernels) {
            const auto health = files.load_health(kernel.name);
            const auto admin = files.load_admin(kernel.name);
            const auto counts = count(spool, Queue::kernel(kernel.name), now);
            by_age(spool::to_string(Queue::kernel(kernel.name)), counts);
            const auto why = health.status == health::Status::up && health.unproved > 0
                                 ? std::string(health::unproved_text)
                                 : health.why;
            std::string sites;
            std::string json_sites;
            for (const auto& site : sites_of(config, kernel.name)) {
                sites += (sites.empty() ? "" : ",") + site;
                up[site] += health::rank_for_new(health, admin.admin) ? 1 : 0;
                json_sites += (json_sites.empty() ? "" : ",") + text::json_string(site);
            }
            if (common.json) {
                reporter.data(
                    "{\"kernel\":" + text::json_string(kernel.name) + ",\"sites\":[" + json_sites +
                    "],\"state\":" + text::json_string(health::to_string(health.status)) +
                    ",\"admin\":" + text::json_string(health::to_string(admin.admin)) + ",\"since\":" +
                    (health.since == clock::Instant{} ? "null" : text::json_string(clock::format(health.since))) +
                    ",\"next-look\":" +
                    (health.next_look == clock::Instant{} ? "null"
                                                          : text::json_string(clock::format(health.next_look))) +
                    ",\"why\":" + text::json_string(why) + json_counts(counts) + "}");
                continue;
            }
            std::string state(health::to_string(health.status));
            if (admin.admin != health::Admin::enabled) state += "," + std::string(health::to_string(admin.admin));
            rows.push_back({kernel.name, sites.empty() ? "-" : sites, state, since(health.since, now),
                            std::to_string(counts.waiting), std::to_string(counts.sending),
                            std::to_string(counts.in_doubt), std::to_string(counts.held),
                            counts.oldest ? since(*counts.oldest, now) : "-",
                            health.next_look == clock::Instant{} ? "-"
                            : health.next_look <= now            ? "now"
                                                                 : since(now, health.next_look),
                            health.last_look == clock::Instant{} ? "not looked at yet" : text::escape(why)});
        }
        if (!common.json) print_table(rows, reporter);

        std::vector<std::vector<std::string>> sites{{"SITE", "TAKING", "NEW", "OLDEST", "FALLBACK"}};
        for (const auto& site : config.sites) {
            const auto counts = count(spool, Queue::site(site.name), now);
            std::string fallback;
            for (const auto& name : site.fallback) fallback += (fallback.empty() ? "" : ",") + name;
            sites.push_back({site.name, std::to_string(up[site.name]) + " of " + std::to_string(site.kernels.size()),
                             std::to_string(counts.waiting), counts.oldest ? since(*counts.oldest, now) : "-",
                             fallback.empty() ? "-" : fallback});
        }
        if (!common.json && sites.size() > 1) {
            reporter.data("");
            print_table(sites, reporter);
        }

        std::vector<std::vector<std::string>> queues{{"QUEUE", "NEW", "SENDING", "DOUBT", "HOLD", "OLDEST", "WHY"}};
        for (const auto& queue : spool.all_queues()) {
            if (queue.kind == Queue::Kind::sent) continue;
            if (queue.kind == Queue::Kind::kernel && config.kernel(queue.name) != nullptr) continue;
            const auto counts = count(spool, queue, now);
            by_age(spool::to_string(queue), counts);
            // What ums-push met there last; kernels have their health.
            const auto seen = queue.kind == Queue::Kind::connector
                                  ? files.load_seen(health::name_of_connector(queue.name))
                                  : health::Seen{};
            const std::string why = seen.failures > 0 ? seen.text : "";
            if (common.json) {
                reporter.data("{\"queue\":" + text::json_string(spool::to_string(queue)) +
                              ",\"why\":" + text::json_string(why) + json_counts(counts) + "}");
            } else if (counts.waiting + counts.sending + counts.in_doubt + counts.held > 0) {
                queues.push_back(
                    {spool::to_string(queue), std::to_string(counts.waiting), std::to_string(counts.sending),
                     std::to_string(counts.in_doubt), std::to_string(counts.held),
                     counts.oldest ? since(*counts.oldest, now) : "-",
                     why.empty() ? "" : text::escape(why) + " (" + since(seen.last_failure, now) + " ago)"});
            }
        }
        if (!common.json) {
            reporter.data("");
            if (queues.size() > 1) {
                print_table(queues, reporter);
            } else {
                reporter.data("All other queues are empty.");
            }
            if (waiting.size() > 1) {
                reporter.data("");
                print_table(waiting, reporter);
            }
        }
        return 0;
    });
}

}  // namespace ums::failover
