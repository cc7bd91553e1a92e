// SPDX-License-Identifier: GPL-3.0-or-later
#include "seats.hpp"

#include <algorithm>
#include <thread>

#include "canary.hpp"
#include "delivery/assignment.hpp"
#include "delivery/store_of.hpp"
#include "message/address.hpp"
#include "message/header_block.hpp"
#include "text/text.hpp"

namespace ums::failover {

namespace {

using spool::Entry;
using spool::Queue;
using spool::State;

/// What a target said, with its name if it has not given that itself.
std::string of_kernel(const std::string& name, const std::string& said) {
    const auto quoted = text::quote(name);
    return said.find(quoted) == std::string::npos ? "kernel " + quoted + ": " + said : said;
}

}  // namespace

std::string count_of(std::size_t n, const std::string& what) {
    return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

std::string Seat::state() const {
    return admin == health::Admin::disabled ? "disabled" : std::string(health::to_string(health.status));
}

bool Seat::takes() const { return delivery::is_supported(kernel->url) && health::rank_for_new(health, admin); }

Seats::Seats(const cli::Common& common, const config::Config& config, const spool::Spool& spool,
             const clock::Clock& clock, report::Reporter& reporter, cli::ExitCode& code)
    : common_(common),
      config_(config),
      spool_(spool),
      clock_(clock),
      reporter_(reporter),
      code_(code),
      files_(spool.disk(), spool.root() + "/state") {
    for (const auto& kernel : config_.kernels) {
        Seat seat{&kernel, files_.load_health(kernel.name), files_.load_admin(kernel.name).admin, 0, false};
        seat.pending = spool_.list(Queue::kernel(kernel.name), State::fresh).size() +
                       spool_.list(Queue::kernel(kernel.name), State::sending).size();
        seats_.emplace(kernel.name, std::move(seat));
    }
}

template <typename Work>
void Seats::remember(Work work) {
    try {
        work();
    } catch (const Error& error) {
        if (error.fault() != Fault::cannot_write) throw;
        reporter_.warning(std::string(error.what()) + "; this pass goes on without");
        code_.note(exit_code(Fault::cannot_write));
    }
}

void Seats::look() {
    // With --watch a kernel is looked at when its time has come; a single pass looks at all, and at those whose state
    // is changing until there is a verdict, shortly after one another: cron comes again in a minute at the earliest.
    unsigned most_rounds = 1;
    if (!common_.watch) {
        for (const auto& kernel : config_.kernels) {
            most_rounds = std::max({most_rounds, kernel.check.fall, kernel.check.rise});
        }
    }
    for (unsigned round = 0; round < most_rounds && !cli::stopping(); ++round) {
        std::vector<const config::Kernel*> due;
        const auto now = clock_.now();
        for (const auto& [name, seat] : seats_) {
            if (!delivery::is_supported(seat.kernel->url)) continue;
            const auto& health = seat.health;
            const bool time = now >= health.next_look || health.next_look > now + std::chrono::hours(1);
            const bool changing =
                health.status == health::Status::suspect ||
                (health.status == health::Status::probation && health.successes < seat.kernel->check.rise);
            if (common_.watch ? time : (round == 0 || changing)) due.push_back(seat.kernel);
        }
        if (due.empty()) break;
        if (round > 0) std::this_thread::sleep_for(std::chrono::milliseconds(300));
        const auto looks = look_at(config_, due, spool_);
        for (std::size_t i = 0; i < due.size(); ++i) {
            observe(seats_.at(due[i]->name), &looks[i]);
            seats_.at(due[i]->name).answered = looks[i].good || is_stuck(looks[i].text);
        }
    }
    for (auto& [name, seat] : seats_) observe(seat, nullptr);
}

void Seats::observe(Seat& seat, const health::Look* look) {
    const auto& name = seat.kernel->name;
    const auto policy = health::policy_of(*seat.kernel, config_);
    const auto before = seat.health;
    const auto now = clock_.now();
    auto after = before;
    if (look != nullptr) {
        after = health::after_look(after, *look, policy, now);
        if (look->needs_a_person && !common_.watch) {
            if (told_.insert(name).second) reporter_.error(of_kernel(name, look->text));
            code_.note(exit_code(*look->needs_a_person));
        }
    } else {
        after = health::after_seen(after, files_.load_seen(name), policy, now);
        after = health::after_enable(after, files_.load_admin(name), policy, now);
        if (!seat.kernel->recall) after = health::after_proof(after, health::Proof::fetched);  // nobody looks for one
        after = health::after_queue(after, seat.pending + spool_.list(Queue::kernel(name), State::publishing).size());
    }
    change(seat, after);
    if (after.status == before.status) return;
    const std::string change = "kernel " + text::quote(name) + " is " + std::string(health::to_string(after.status)) +
                               (after.why.empty() ? "" : ": " + text::escape(after.why));
    if (after.status == health::Status::down) {
        reporter_.warning(change + "; " + count_of(seat.pending, "message") + " queued for it");
    } else if (after.status == health::Status::up && before.status != health::Status::suspect) {
        reporter_.notice(change);  // whoever was told that it is down waits for it
    } else {
        reporter_.info(change);
    }
}

std::vector<health::Condition> Seats::outages() const {
    std::vector<health::Condition> all;
    for (const auto& [name, seat] : seats_) {
        if (seat.admin == health::Admin::disabled) continue;
        const bool is_down = seat.health.status == health::Status::down;
        const bool was_stuck = seat.health.unproved > 0;
        if (!is_down && !was_stuck) continue;
        const auto waiting = spool_.list(Queue::kernel(name), State::fresh).size();
        all.push_back({"kernel/" + name, is_stuck(seat.health.why) || was_stuck ? "stuck" : "down", "up", 0,
                       (is_down ? seat.health.why : std::string(health::unproved_text)) + "; " +
                           count_of(waiting, "message") + " queued for it"});
    }
    return all;
}

bool Seats::is_full(const Seat& seat) {
    const auto& most = seat.kernel->limit.max_pending;
    return most && seat.pending >= *most;
}

bool Seats::has_enough(const Seat& seat) const {
    return is_full(seat) || health::has_enough(seat.health, seat.pending);
}

/// The kernels that may take a message of the site, best first.
std::vector<std::string> Seats::candidates(const config::Site& site, std::string_view key) {
    // Those that may not are in the list all the same, behind all others: `rotate` counts the first N of the site.
    constexpr int not_now = 1000;
    std::vector<health::Candidate> all;
    std::set<std::string, std::less<>> able;
    for (const auto& name : site.kernels) {
        const auto& seat = seats_.at(name);
        const bool is_able = seat.takes() && !has_enough(seat);
        const int rank = is_able ? *health::rank_for_new(seat.health, seat.admin) : not_now;
        if (is_able) able.insert(name);
        all.push_back({name, rank, seat.pending, seat.kernel->channels.value_or(1)});
    }
    if (able.empty()) return {};
    auto ordered = health::order(site.balance, all, key, memory_of(site.name));
    std::erase_if(ordered, [&](const std::string& name) { return !able.contains(name); });
    return ordered;
}

health::Memory& Seats::memory_of(const std::string& site) {
    const auto [found, is_new] = memories_.try_emplace(site);
    if (is_new) {
        const auto text = io::read_file(spool_.disk(), spool_.root() + "/state/rotation/" + site);
        found->second = health::parse_memory(text.value_or(""));
    }
    return found->second;
}

const config::Site* Seats::site_of(const spool::EntryName& name) const noexcept {
    return config_.site(delivery::own_site(name));
}

std::optional<Seats::Choice> Seats::choose_another(const Entry& entry, std::string_view not_this) {
    const auto* site = site_of(entry.name);
    return site == nullptr ? std::nullopt : choose(*site, entry, not_this);
}

std::optional<Seats::Choice> Seats::choose(const config::Site& site, const Entry& entry, std::string_view not_this) {
    std::vector<const config::Site*> sites{&site};
    for (const auto& name : site.fallback) {
        if (const auto* fallback = config_.site(name)) sites.push_back(fallback);
    }
    for (const auto* candidate : sites) {
        if (candidate != &site && takes(*candidate, not_this) && !sends(*candidate, site, entry)) continue;
        for (const auto& kernel : candidates(*candidate, balance_key(*candidate, entry))) {
            if (kernel != not_this) return Choice{candidate->name, kernel};
        }
    }
    return std::nullopt;
}

/// Whether a fallback site sends the message: it may block its number, or not know what the number is.
bool Seats::sends(const config::Site& fallback, const config::Site& site, const Entry& entry) const {
    const site::Home home{&site, config_.numbering_of(&site)};
    if (home.numbering == nullptr && !fallback.numbering) return true;
    try {
        const auto file = spool_.open(entry);
        if (!file) return true;
        const auto header = message::read_header(spool_.disk(), *file, spool_.path(entry));
        for (const auto& recipient : header.block.recipients()) {
            // What its own site does not want any more, ums-push sends back to routing.
            if (site::refusal(site, recipient)) continue;
            const auto why = site::refusal(fallback, recipient, home);
            if (!why) continue;
            reporter_.info(std::string(entry.name.id()) + " is not for " + text::quote(fallback.name) + ": " + *why);
            return false;
        }
    } catch (const Error&) {
        return true;  // who sends it says what is wrong with it
    }
    return true;
}

/// What `hash:` looks at; read only where a site is balanced like that.
std::string Seats::balance_key(const config::Site& site, const Entry& entry) {
    const auto method = site.balance.method;
    if (method != config::Balancing::hash_sender && method != config::Balancing::hash_recipient) return "";
    try {
        const auto file = spool_.open(entry);
        if (!file) return "";
        const auto header = message::read_header(spool_.disk(), *file, spool_.path(entry));
        if (method == config::Balancing::hash_sender) return text::lower(header.block.sender());
        const auto recipients = header.block.recipients();
        return recipients.empty() ? "" : recipients.front().address;
    } catch (const Error&) {
        return "";
    }
}

std::optional<Seats::Choice> Seats::choose_after(const Entry& entry, const std::string& kernel) {
    const auto* site = config_.site(entry.name.get(spool::attribute::site));
    if (site == nullptr) return std::nullopt;
    const auto able = candidates(*site, balance_key(*site, entry));
    auto ring = site->kernels;
    if (const auto here = std::find(ring.begin(), ring.end(), kernel); here != ring.end())
        std::rotate(ring.begin(), here, ring.end());
    for (const auto& next : ring) {
        if (next != kernel && std::find(able.begin(), able.end(), next) != able.end()) return Choice{site->name, next};
    }
    return choose_another(entry, kernel);
}

bool Seats::takes(const config::Site& site, std::string_view not_this) const {
    return std::any_of(site.kernels.begin(), site.kernels.end(),
                       [&](const std::string& name) { return name != not_this && seats_.at(name).takes(); });
}

bool Seats::another_takes(const config::Site& site, std::string_view not_this) const {
    if (takes(site, not_this)) return true;
    return std::any_of(site.fallback.begin(), site.fallback.end(), [&](const std::string& name) {
        const auto* fallback = config_.site(name);
        return fallback != nullptr && takes(*fallback, not_this);
    });
}

void Seats::assigned_to(const std::string& kernel) {
    auto& seat = seats_.at(kernel);
    ++seat.pending;
    if (seat.health.allowed == 0 || common_.dry_run) return;
    auto after = seat.health;
    after.was_assigned = true;
    change(seat, after);
}

void Seats::relieved(Seat& seat) { change(seat, health::after_relief(seat.health, clock_.now())); }

void Seats::proved(Seat& seat, health::Proof proof) {
    change(seat, health::after_proof(seat.health, proof));
    if (proof == health::Proof::fetched)
        reporter_.info("kernel " + text::quote(seat.kernel->name) +
                       " has fetched what it was given since it was stuck");
}

void Seats::change(Seat& seat, const health::Health& after) {
    if (after == seat.health) return;
    seat.health = after;
    remember([&] { files_.save(seat.kernel->name, after); });
}

void Seats::save_turns() {
    for (const auto& [site, memory] : memories_) {
        const auto path = spool_.root() + "/state/rotation/" + site;
        const auto text = health::to_text(memory);
        if (saved_[site] == text) continue;
        remember([&] {
            io::make_directories(spool_.disk(), io::parent_of(path));
            io::write_file(spool_.disk(), path, text);
        });
        saved_[site] = text;
    }
}

bool Seats::is_only_full(const config::Site& site) const { return takes(site); }

std::string Seats::reasons(const config::Site& site) const {
    std::string all;
    for (const auto& name : site.kernels) {
        const auto& seat = seats_.at(name);
        std::string why = text::quote(name) + " ";
        if (seat.admin != health::Admin::enabled) {
            why += seat.admin == health::Admin::drain ? "is drained" : "is disabled";
        } else if (!delivery::is_supported(seat.kernel->url)) {
            why += "is of a kind that this version cannot carry to";
        } else if (seat.health.status == health::Status::down) {
            why += "is down" + (seat.health.why.empty() ? "" : ": " + text::escape(seat.health.why));
        } else if (is_full(seat)) {
            why += "has all that its max-pending allows";
        } else if (seat.health.unproved > 0) {
            why += health::unproved_text;
        } else if (has_enough(seat)) {
            why += "has just come back, and is given more as it takes what it has";
        } else {
            why += "is " + seat.state();
        }
        all += (all.empty() ? "" : "; ") + why;
    }
    return all;
}

void Seats::not_this_kernel(const Seat& seat, const Error& error) {
    if (error.fault() != Fault::configuration && error.fault() != Fault::permission) throw;
    const auto& name = seat.kernel->name;
    if (told_.insert(name).second) reporter_.error(of_kernel(name, error.what()));
    code_.note(exit_code(common_.watch ? Fault::later : error.fault()));
}

}  // namespace ums::failover
