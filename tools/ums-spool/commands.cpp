// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "health/health.hpp"
#include "message/header_block.hpp"
#include "text/text.hpp"

namespace ums::spool_tool {

namespace {

using spool::Entry;
using spool::Queue;
using spool::State;

namespace attribute = spool::attribute;

constexpr std::array<State, 4> visible{State::fresh, State::sending, State::publishing, State::hold};

std::string place(const Entry& entry) {
    return spool::to_string(entry.queue) + "/" + std::string(spool::to_string(entry.state));
}

std::string age(const Entry& entry, const clock::Clock& clock) {
    return text::rough_duration(std::chrono::duration_cast<text::Duration>(clock.now() - entry.name.arrival()));
}

struct Desk {
    explicit Desk(const cli::Common& common, spool::Opening opening = spool::Opening::examine)
        : config(cli::load_config(common)),
          spool(disk, clock, cli::spool_root_as_owner(common, config), config.mds.id, spool::NetworkFileSystem::allow,
                opening) {}
    io::PosixDisk disk;
    clock::SystemClock clock;
    config::Config config;
    spool::Spool spool;
};

/// What the name of an entry says, for people and for JSON.
std::vector<std::pair<std::string, std::string>> facts(const Entry& entry) {
    std::vector<std::pair<std::string, std::string>> found;
    const auto add = [&](const char* name, char key) {
        if (const auto value = entry.name.get(key); !value.empty()) found.emplace_back(name, value);
    };
    add("connector", attribute::connector);
    add("site", attribute::site);
    add("fallback-of", attribute::home);
    add("origin", attribute::origin);
    add("attempt", attribute::attempt);
    add("refused", attribute::refused);
    if (entry.name.number(attribute::priority) > 0) found.emplace_back("priority", "important");
    if (entry.name.number(attribute::duplicate) > 0) found.emplace_back("duplicate", "possible");
    const auto time = [&](const char* name, char key) {
        const auto seconds = entry.name.number(key);
        if (seconds == 0) return;
        found.emplace_back(name, clock::format(clock::Instant(std::chrono::seconds(static_cast<long long>(seconds)))));
    };
    time("not-before", attribute::not_before);
    time("in-doubt-since", attribute::doubt_since);
    if (entry.name.number(attribute::taking_back) > 0)
        found.emplace_back("being-taken-back", "from " + entry.queue.name);
    time("waits-since", attribute::counted_from);
    return found;
}

/// What keeps those that wait in a queue: what ums-failover and ums-push last met where they go.
class Obstacles {
  public:
    explicit Obstacles(Desk& desk) : config_(desk.config), files_(desk.disk, desk.spool.root() + "/state") {}

    /// Empty if nothing is known.
    const std::string& of(const Queue& queue) {
        const auto [found, is_new] = texts_.try_emplace(queue);
        if (is_new) found->second = look(queue);
        return found->second;
    }

  private:
    std::string look(const Queue& queue) const {
        switch (queue.kind) {
            case Queue::Kind::kernel: return of_kernel(queue.name);
            case Queue::Kind::connector: return met(health::name_of_connector(queue.name));
            case Queue::Kind::site: break;
            default: return "";
        }
        // Of a site they wait only while none of its kernels takes them.
        std::string all;
        const auto* site = config_.site(queue.name);
        for (const auto& kernel : site == nullptr ? std::vector<std::string>{} : site->kernels) {
            const auto one = of_kernel(kernel);
            if (one.empty()) return "";
            all += (all.empty() ? "" : "; ") + one;
        }
        return all;
    }

    std::string of_kernel(const std::string& name) const {
        const auto admin = files_.load_admin(name);
        if (admin.admin == health::Admin::disabled) return name + " is disabled by " + admin.who;
        const auto health = files_.load_health(name);
        if (health.status == health::Status::up) return met(name);
        const auto why = health.why.empty() ? std::string() : ": " + health.why;
        return name + " is " + (health.status == health::Status::probation ? "in " : "") +
               std::string(health::to_string(health.status)) + why;
    }

    std::string met(const std::string& name) const {
        const auto seen = files_.load_seen(name);
        return seen.failures > 0 ? seen.text : "";
    }

    const config::Config& config_;
    health::Files files_;
    std::map<Queue, std::string> texts_;
};

/// Why it is where it is, as far as that is known: empty of one that is simply on its way.
std::string why_of(const Desk& desk, Obstacles& obstacles, const Entry& entry) {
    if (auto why = desk.spool.why(entry)) return *why;
    if (entry.state == State::fresh) return obstacles.of(entry.queue);
    const bool is_target = entry.queue.kind == Queue::Kind::kernel || entry.queue.kind == Queue::Kind::connector;
    if (!is_target || entry.state != State::publishing) return "";
    const auto since = entry.name.number(attribute::doubt_since);
    const bool back = entry.name.number(attribute::taking_back) > 0;
    std::string why = back ? "being taken back from " + entry.queue.name : "it may have reached " + entry.queue.name;
    if (since == 0) return why + (back ? "" : "; it is on its way there, or a run that died left it");
    const clock::Instant when(std::chrono::seconds(static_cast<long long>(since)));
    return why + "; in doubt since " + clock::format(when);
}

bool is_configured(const config::Config& config, const Queue& queue) {
    switch (queue.kind) {
        case Queue::Kind::site: return config.site(queue.name) != nullptr;
        case Queue::Kind::kernel: return config.kernel(queue.name) != nullptr;
        case Queue::Kind::connector: return config.connector(queue.name) != nullptr;
        default: return true;
    }
}

bool is_selected(const ListOptions& options, const Entry& entry) {
    if (!options.queues.empty()) {
        const auto name = spool::to_string(entry.queue);
        const bool named = std::any_of(options.queues.begin(), options.queues.end(), [&](const std::string& wanted) {
            return wanted == name || name.starts_with(wanted + "/");
        });
        if (!named) return false;
    } else if (entry.queue.kind == Queue::Kind::sent) {
        return false;
    }
    if (!options.failed && !options.noroute && !options.held && !options.in_doubt) return true;
    return (options.failed && entry.queue.kind == Queue::Kind::failed) ||
           (options.noroute && entry.queue.kind == Queue::Kind::noroute) ||
           (options.held && entry.state == State::hold) || (options.in_doubt && entry.state == State::publishing);
}

}  // namespace

int list(const cli::Common& common, const ListOptions& options, report::Reporter& reporter) {
    static constexpr std::array<std::string_view, 8> kinds{"outgoing",  "incoming", "site",   "kernel",
                                                           "connector", "noroute",  "failed", "sent"};
    for (const auto& queue : options.queues) {
        const auto kind = std::string_view(queue).substr(0, queue.find('/'));
        if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
            throw Error(Fault::usage,
                        "there is no queue " + text::quote(queue) +
                            "; queues are outgoing, incoming, site/S, kernel/K, connector/C, noroute, failed, sent");
        }
    }
    Desk desk(common);
    Obstacles obstacles(desk);
    const auto on_disk = desk.spool.all_queues();
    for (const auto& wanted : options.queues) {
        const auto queue = spool::parse_queue(wanted);
        const bool known = !queue ? std::find(kinds.begin(), kinds.end(), wanted) != kinds.end()
                                  : queue->name.empty() || is_configured(desk.config, *queue) ||
                                        std::find(on_disk.begin(), on_disk.end(), *queue) != on_disk.end();
        if (!known) {
            throw Error(Fault::usage, "there is no queue " + text::quote(wanted) +
                                          ": neither the configuration nor the spool has it");
        }
    }
    for (const auto& queue : on_disk) {
        for (const State state : visible) {
            for (const auto& entry : desk.spool.list(queue, state)) {
                if (!is_selected(options, entry)) continue;
                const auto why = why_of(desk, obstacles, entry);
                if (common.json && !common.quiet) {
                    auto fields = facts(entry);
                    fields.insert(fields.begin(), {{"id", std::string(entry.name.id())},
                                                   {"queue", spool::to_string(queue)},
                                                   {"state", std::string(spool::to_string(state))},
                                                   {"arrival", clock::format(entry.name.arrival())}});
                    reporter.line_of(entry.name.text(), place(entry), why, fields);
                } else {
                    const bool is_parked = queue.kind == Queue::Kind::failed || queue.kind == Queue::Kind::noroute;
                    std::string detail = why;
                    if (why.empty() || (state == State::fresh && !is_parked))
                        detail = "since " + age(entry, desk.clock) + (why.empty() ? "" : ": " + why);
                    reporter.line_of(entry.name.text(), place(entry), detail);
                }
            }
        }
    }
    return 0;
}

int show(const cli::Common& common, const std::vector<std::string>& given, report::Reporter& reporter) {
    Desk desk(common);
    Obstacles obstacles(desk);
    cli::ExitCode code;
    bool first = true;
    for (const auto& id : cli::ids_of(common, given, desk.disk)) {
        const auto found = desk.spool.find(id);
        if (found.empty()) {
            reporter.error("there is no message " + text::quote(id) +
                           " in the spool; ums-spool trace may tell where it went");
            code.note(exit_code(Fault::unusable));
            continue;
        }
        for (const auto& entry : found) {
            const auto file = desk.spool.open(entry);
            if (!file) continue;
            const auto size = desk.disk.info(*file, desk.spool.path(entry)).size;
            const auto why = why_of(desk, obstacles, entry);
            if (common.json) {
                auto fields = facts(entry);
                fields.insert(fields.begin(), {{"id", std::string(entry.name.id())},
                                               {"arrival", clock::format(entry.name.arrival())},
                                               {"size", std::to_string(size.count)},
                                               {"path", desk.spool.path(entry)}});
                reporter.line_of(entry.name.text(), place(entry), why, fields);
                continue;
            }
            if (!first) reporter.data("");
            first = false;
            const auto row = [&](std::string name, std::string_view value) {
                name.resize(std::max<std::size_t>(name.size(), 15), ' ');
                reporter.data(name + text::escape(value));
            };
            row("Message", entry.name.id());
            row("Place", place(entry));
            if (!why.empty()) reporter.data("Why            " + text::visible(why));
            row("Arrived", clock::format(entry.name.arrival()) + " (" + age(entry, desk.clock) + " ago)");
            row("Size", text::format_bytes(size));
            for (const auto& [name, value] : facts(entry)) row(name, value);
            row("File", desk.spool.path(entry));
            if (const auto lines = desk.spool.journal_of(id); !lines.empty()) {
                const auto& last = lines.back();
                reporter.data("Last           " +
                              text::visible(last[0] + "  " + last[1] + "  " + last[3] + "  " + last[4]));
            }
            try {
                const auto header = message::read_header(desk.disk, *file, desk.spool.path(entry));
                reporter.data("");
                for (const auto& line : header.block.lines()) {
                    std::string_view rest = line.raw;
                    while (!rest.empty()) {
                        const auto end = std::min(rest.find('\n'), rest.size());
                        reporter.data("  " + text::escape(text::trim(rest.substr(0, end))));
                        rest.remove_prefix(std::min(end + 1, rest.size()));
                    }
                }
            } catch (const Error& error) {
                row("Header", std::string("cannot be read: ") + error.what());
            }
        }
    }
    return code.value();
}

int trace(const cli::Common& common, const std::vector<std::string>& given, report::Reporter& reporter) {
    Desk desk(common);
    Obstacles obstacles(desk);
    cli::ExitCode code;
    for (const auto& id : cli::ids_of(common, given, desk.disk)) {
        const auto lines = desk.spool.journal_of(id);
        auto found = desk.spool.find(id);
        std::set<std::string> parts;
        for (const auto& line : lines) {
            if (line[2].starts_with(id + "~")) parts.insert(line[2]);
        }
        for (const auto& part : parts) {
            for (auto& entry : desk.spool.find(part)) found.push_back(std::move(entry));
        }
        if (lines.empty() && found.empty()) {
            reporter.error("nothing is known of " + text::quote(id));
            code.note(exit_code(Fault::unusable));
            continue;
        }
        for (const auto& line : lines) {
            if (common.json) {
                reporter.data("{\"time\":" + text::json_string(line[0]) + ",\"tool\":" + text::json_string(line[1]) +
                              ",\"id\":" + text::json_string(line[2]) + ",\"event\":" + text::json_string(line[3]) +
                              ",\"detail\":" + text::json_string(line[4]) + "}");
            } else {
                reporter.data(
                    text::visible(line[0] + "  " + line[1] + "  " + line[2] + "  " + line[3] + "  " + line[4]));
            }
        }
        for (const auto& entry : found) {
            const auto why = why_of(desk, obstacles, entry);
            if (common.json) {
                reporter.line_of(entry.name.text(), place(entry), why);
            } else {
                reporter.data((entry.name.id() == id ? "" : std::string(entry.name.id()) + " is ") + "now in " +
                              place(entry) + (why.empty() ? "" : ": " + text::visible(why)));
            }
        }
        if (found.empty() && !common.json) reporter.data("no longer in the spool");
    }
    return code.value();
}

namespace {

struct Plan {
    std::optional<Entry> to;  ///< nothing: delete
    std::string word;
};

/// Where an entry goes, or why it cannot. From now on its waiting counts anew.
std::variant<Plan, std::string> plan(Action action, const Entry& entry, unsigned long long now) {
    if (entry.state == State::sending) return "is being delivered now";
    if (entry.state == State::publishing) {
        const bool split = entry.queue.kind == Queue::Kind::outgoing || entry.queue.kind == Queue::Kind::incoming;
        return split ? "is being split now" : "is in doubt (it may have arrived); 'ums-failover settle' decides";
    }
    const bool parked = entry.queue.kind == Queue::Kind::noroute || entry.queue.kind == Queue::Kind::failed;
    switch (action) {
        case Action::hold:
            if (entry.state == State::hold) return "is on hold already";
            if (entry.queue.kind == Queue::Kind::sent) return "was delivered; there is nothing to hold";
            return Plan{Entry{entry.queue, State::hold, entry.name}, "held"};
        case Action::release: {
            if (entry.state != State::hold) return "is not on hold";
            auto name = entry.name.without(attribute::not_before).without(attribute::doubt_since);
            // In failed/ and noroute/ it waits for nobody, and the reason beside it bears its name.
            if (!parked) name = name.without(attribute::delays_told).with(attribute::counted_from, now);
            return Plan{Entry{entry.queue, State::fresh, name}, "released"};
        }
        case Action::requeue: {
            if (entry.queue.kind == Queue::Kind::sent) return "was delivered; sending it again would double it";
            const bool incoming = !entry.name.get(attribute::origin).empty();
            if (!parked && entry.state == State::fresh &&
                (entry.queue.kind == Queue::Kind::outgoing || entry.queue.kind == Queue::Kind::incoming)) {
                return "waits for a decision already";
            }
            // The attempt number stays: stage names are used once. So does a connector that the kernel chose.
            return Plan{Entry{incoming ? Queue::incoming() : Queue::outgoing(), State::fresh,
                              undecided(entry.name)
                                  .without(attribute::refused)
                                  .without(attribute::unwanted)
                                  .without(attribute::ruled)
                                  .without(attribute::doubt_since)
                                  .without(attribute::delays_told)
                                  .with(attribute::counted_from, now)},
                        "requeued"};
        }
        case Action::remove: return Plan{std::nullopt, "deleted"};
    }
    return "";
}

}  // namespace

int act(const cli::Common& common, Action action, const std::vector<std::string>& given, const std::string& reason,
        report::Reporter& reporter) {
    Desk desk(common, common.dry_run ? spool::Opening::examine : spool::Opening::change);
    cli::ExitCode code;
    const auto now = clock::whole_seconds(desk.clock.now());
    for (const auto& name : cli::names_of(common, given, desk.disk)) {
        const auto id = name.substr(0, name.find(','));
        const auto found = desk.spool.find(id);
        if (found.empty()) {
            reporter.error("there is no message " + text::quote(id) + " in the spool");
            code.note(exit_code(Fault::unusable));
            continue;
        }
        const auto& entry = found.front();
        // A list that is worked off later says what was meant: what is on its way again was not.
        if (action == Action::remove && name != id && name != entry.name.text()) {
            reporter.error("message " + text::quote(id) + " is in " + place(entry) +
                           " now, under another name than was given; nothing was done");
            code.note(exit_code(Fault::unusable));
            continue;
        }
        const auto planned = plan(action, entry, now);
        if (const auto* refusal = std::get_if<std::string>(&planned)) {
            reporter.error("message " + text::quote(id) + " in " + place(entry) + " " + *refusal +
                           "; nothing was done");
            code.note(exit_code(Fault::unusable));
            continue;
        }
        const auto& what = std::get<Plan>(planned);
        bool done = true;
        if (!common.dry_run) {
            if (!what.to) {
                done = desk.spool.remove(std::span(&entry, 1)) == 1;
            } else if (action == Action::hold) {
                done = desk.spool.park(entry, *what.to, reason.empty() ? "held by hand" : reason);
            } else {
                done = desk.spool.unpark(entry, *what.to);
            }
            // What was held in failed/ or noroute/ has a second reason waiting, for its release: why it lay there.
            if (done && entry.state == State::hold && action != Action::release) {
                desk.disk.remove(desk.spool.path(Entry{entry.queue, State::fresh, entry.name}) + ".why");
            }
        }
        if (!done) {
            reporter.error("message " + text::quote(id) + " has moved on meanwhile; nothing was done");
            code.note(exit_code(Fault::later));
            continue;
        }
        const auto detail = what.to ? "to " + place(*what.to) : "from " + place(entry);
        if (!common.dry_run) {
            const std::array<spool::Spool::Event, 1> event{
                {{id, what.word, detail + (reason.empty() ? "" : ": " + reason)}}};
            desk.spool.journal("ums-spool", event);
        }
        reporter.line_of(what.to ? what.to->name.text() : entry.name.text(),
                         common.dry_run ? "would be " + what.word : what.word, detail);
    }
    return code.value();
}

}  // namespace ums::spool_tool
