// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <thread>

#include "canary.hpp"
#include "delivery/courier.hpp"
#include "delivery/doubt.hpp"
#include "delivery/store_of.hpp"
#include "health/balance.hpp"
#include "late.hpp"
#include "message/address.hpp"
#include "message/header_block.hpp"
#include "options.hpp"
#include "tell.hpp"
#include "text/text.hpp"

namespace ums::failover {

namespace {

using report::Result;
using spool::Entry;
using spool::Queue;
using spool::State;

namespace attribute = spool::attribute;

constexpr std::size_t batch_messages = 256;
constexpr std::chrono::seconds told_doubt{60};  // of most a look makes an end before

/// What is known of one kernel during a pass.
struct Seat {
    const config::Kernel* kernel = nullptr;
    health::Health health;
    health::Admin admin = health::Admin::enabled;
    std::size_t pending = 0;
    bool answered = false;  ///< it was looked at in this pass, and can be worked with: it is well, or stuck
};

std::string count_of(std::size_t n, const std::string& what) {
    return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

class Pass {
  public:
    Pass(const cli::Common& common, const config::Config& config, const cli::Names& names, spool::Spool& spool,
         report::Reporter& reporter)
        : common_(common),
          config_(config),
          names_(names),
          spool_(spool),
          reporter_(reporter),
          files_(spool.disk(), spool.root() + "/state") {}

    int run() {
        const std::string lock_path = spool_.root() + "/state/failover.lock";
        io::Fd lock;
        if (!common_.dry_run) {
            lock = spool_.disk().open_or_create(lock_path);
            if (!spool_.disk().try_lock(lock, lock_path)) {
                reporter_.info("another run is at it");
                return 0;
            }
        }
        load();
        if (!common_.dry_run) {
            look();
            rescue_unknown();
            for (auto& [name, seat] : seats_) {
                if (health::must_leave(seat.health, seat.admin)) {
                    take_back(seat);
                    leave(seat);
                } else {
                    try_elsewhere(seat);
                }
            }
            settle();
            late_.look();
        }
        for (const auto& site : config_.sites) {
            if (cli::stopping()) break;
            assign(site);
        }
        if (!common_.dry_run && !cli::stopping()) tell(config_, spool_, conditions(), clock_, reporter_);
        return code_.value();
    }

  private:
    void load() {
        for (const auto& kernel : config_.kernels) {
            Seat seat{&kernel, files_.load_health(kernel.name), files_.load_admin(kernel.name).admin, 0, false};
            seat.pending = spool_.list(Queue::kernel(kernel.name), State::fresh).size() +
                           spool_.list(Queue::kernel(kernel.name), State::sending).size();
            seats_.emplace(kernel.name, std::move(seat));
        }
    }

    /// Notes what the next pass would like to know. On a full disk this pass knows it all the same, and what was accepted
    /// must not wait for room.
    template <typename Work>
    void remember(Work work) {
        try {
            work();
        } catch (const Error& error) {
            if (error.fault() != Fault::cannot_write) throw;
            reporter_.warning(std::string(error.what()) + "; this pass goes on without");
            code_.note(exit_code(Fault::cannot_write));
        }
    }

    // Looking.

    void look() {
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

    void observe(Seat& seat, const health::Look* look) {
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
            after =
                health::after_queue(after, seat.pending + spool_.list(Queue::kernel(name), State::publishing).size());
        }
        if (after == before) return;
        seat.health = after;
        remember([&] { files_.save(name, after); });
        if (after.status == before.status) return;
        const std::string change = "kernel " + text::quote(name) + " is " +
                                   std::string(health::to_string(after.status)) +
                                   (after.why.empty() ? "" : ": " + text::escape(after.why));
        if (after.status == health::Status::down) {
            reporter_.warning(change + "; " + count_of(seat.pending, "message") + " queued for it");
        } else {
            reporter_.info(change);
        }
    }

    /// All that a person may want to be told of.
    std::vector<health::Condition> conditions() {
        std::vector<health::Condition> all = late_.delayed();
        for (const auto& [name, seat] : seats_) {
            if (seat.admin == health::Admin::disabled || seat.health.status != health::Status::down) continue;
            const auto waiting = spool_.list(Queue::kernel(name), State::fresh).size();
            all.push_back({"kernel/" + name, is_stuck(seat.health.why) ? "stuck" : "down", "up", 0,
                           seat.health.why + "; " + count_of(waiting, "message") + " queued for it"});
        }
        const auto now = static_cast<long long>(clock::whole_seconds(clock_.now()));
        for (const auto kind : {Queue::Kind::kernel, Queue::Kind::connector}) {
            for (const auto& queue : spool_.queues(kind)) {
                std::size_t doubts = 0;
                for (const auto& entry : spool_.list(queue, State::publishing)) {
                    const auto since = static_cast<long long>(entry.name.number(attribute::doubt_since));
                    if (since > 0 && now - since >= told_doubt.count()) ++doubts;
                }
                if (doubts == 0) continue;
                all.push_back({spool::to_string(queue) + "/publishing", "doubt", "settled", 0,
                               count_of(doubts, "message") + " may have arrived there, and cannot be asked after"});
            }
        }
        try {
            spool_.require_room(Queue::outgoing(), Bytes{0});
        } catch (const Error& error) {
            if (error.fault() != Fault::cannot_write) throw;
            all.push_back({"spool", "full", "room", 0, error.what()});
        }
        return all;
    }

    // Choosing.

    /// The kernels that may take a message of the site, best first.
    std::vector<std::string> candidates(const config::Site& site, std::string_view key, health::Memory& memory) {
        // Those that may not are in the list all the same, behind all others: `rotate` counts the first N of the site.
        constexpr int not_now = 1000;
        std::vector<health::Candidate> all;
        std::set<std::string, std::less<>> able;
        for (const auto& name : site.kernels) {
            const auto& seat = seats_.at(name);
            const auto& most = seat.kernel->limit.max_pending;
            auto rank = health::rank_for_new(seat.health, seat.admin);
            const bool full =
                (most && seat.pending >= *most) || (seat.health.allowed > 0 && seat.pending >= seat.health.allowed);
            if (!delivery::is_supported(seat.kernel->url) || full) rank.reset();
            if (rank) able.insert(name);
            all.push_back({name, rank.value_or(not_now), seat.pending, seat.kernel->channels.value_or(1)});
        }
        if (able.empty()) return {};
        auto ordered = health::order(site.balance, all, key, memory);
        std::erase_if(ordered, [&](const std::string& name) { return !able.contains(name); });
        return ordered;
    }

    health::Memory& memory_of(const std::string& site) {
        const auto [found, is_new] = memories_.try_emplace(site);
        if (is_new) {
            const auto text = io::read_file(spool_.disk(), spool_.root() + "/state/rotation/" + site);
            found->second = health::parse_memory(text.value_or(""));
        }
        return found->second;
    }

    /// Another kernel for a message of `site` than `not_this`, among the site's own and those of its fallback sites.
    struct Choice {
        std::string site;
        std::string kernel;
    };
    std::optional<Choice> choose(const config::Site& site, const Entry& entry, std::string_view not_this = {}) {
        std::vector<const config::Site*> sites{&site};
        for (const auto& name : site.fallback) {
            if (const auto* fallback = config_.site(name)) sites.push_back(fallback);
        }
        for (const auto* candidate_site : sites) {
            const auto key = balance_key(*candidate_site, entry);
            for (const auto& kernel : candidates(*candidate_site, key, memory_of(candidate_site->name))) {
                if (kernel != not_this) return Choice{candidate_site->name, kernel};
            }
        }
        return std::nullopt;
    }

    /// What `hash:` looks at; read only where a site is balanced like that.
    std::string balance_key(const config::Site& site, const Entry& entry) {
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

    // Moving.

    struct Assignment {
        spool::Move move;
        std::string kernel;
        std::string detail;
    };

    void carry_out(std::vector<Assignment>& batch, std::string_view verb) {
        if (batch.empty()) return;
        std::vector<spool::Move> moves;
        for (const auto& one : batch) moves.push_back(one.move);
        std::vector<spool::Moved> moved(moves.size(), spool::Moved::yes);
        if (!common_.dry_run) {
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
            moved = spool_.move(moves);
        }
        std::vector<spool::Spool::Event> events;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            if (moved[i] != spool::Moved::yes) continue;
            const auto& one = batch[i];
            reporter_.line({one.move.to.name.text(), Result::assigned, one.kernel, {{"why", one.detail}}});
            events.push_back({std::string(one.move.to.name.id()), std::string(verb), one.kernel + ": " + one.detail});
        }
        if (!common_.dry_run) spool_.journal("ums-failover", events);
        reporter_.flush();
        batch.clear();
    }

    void assign(const config::Site& site) {
        const Queue queue = Queue::site(site.name);
        std::optional<spool::Worker> worker;
        if (!common_.dry_run) {
            if (spool_.list(queue, State::fresh).empty()) return;
            worker = spool_.work(queue);
            if (!worker) return;
        }
        std::vector<Assignment> batch;
        std::size_t waiting = 0;
        for (const auto& entry : spool_.due(queue)) {
            if (!names_.wants(entry.name)) continue;
            if (common_.limit > 0 && handled_ >= common_.limit) break;
            const auto choice = choose(site, entry);
            if (!choice) {
                ++waiting;
                // With --watch the same line would come again every few seconds.
                if (!common_.watch) {
                    reporter_.line({entry.name.text(),
                                    Result::deferred,
                                    "no kernel of " + text::quote(site.name) + " takes messages: " + reasons(site),
                                    {}});
                }
                continue;
            }
            ++handled_;
            const Entry to{Queue::kernel(choice->kernel), State::fresh, entry.name.with(attribute::site, choice->site)};
            const auto detail = choice->site == site.name ? "site " + site.name
                                                          : "site " + choice->site + ", the fallback of " + site.name;
            batch.push_back({{entry, to}, choice->kernel, detail});
            assigned_to(choice->kernel);
            if (batch.size() >= batch_messages) {
                carry_out(batch, "assigned");
                if (cli::stopping()) return;
            }
        }
        carry_out(batch, "assigned");
        if (waiting > 0) {
            const auto talk = "no kernel of the site " + text::quote(site.name) + " takes messages (" + reasons(site) +
                              "); " + count_of(waiting, "message") + (waiting == 1 ? " waits" : " wait");
            if (is_only_full(site)) {
                reporter_.info(talk);
                code_.note(exit_code(Fault::later));
            } else {
                reporter_.error(talk);
                code_.note(exit_code(Fault::unreachable));
            }
        }
    }

    void assigned_to(const std::string& kernel) {
        auto& seat = seats_.at(kernel);
        ++seat.pending;
        if (seat.health.allowed == 0 || seat.health.was_assigned || common_.dry_run) return;
        seat.health.was_assigned = true;
        remember([&] { files_.save(kernel, seat.health); });
    }

    /// To another kernel, where it is due at once.
    void hand_on(const Entry& entry, const Choice& choice, const std::string& why, std::vector<Assignment>& batch) {
        const auto name = entry.name.with(attribute::site, choice.site).without(attribute::not_before);
        Entry there{Queue::kernel(choice.kernel), State::fresh, name};
        spool::Move move{entry, std::move(there)};
        batch.push_back({std::move(move), choice.kernel, why});
        assigned_to(choice.kernel);
        if (batch.size() >= batch_messages) carry_out(batch, "moved");
    }

    /// Whether any kernel but this one takes a message of the site now, or a kernel of its fallback sites.
    bool another_takes(const config::Site& site, std::string_view not_this) const {
        const auto takes = [&](const config::Site& one) {
            return std::any_of(one.kernels.begin(), one.kernels.end(), [&](const std::string& name) {
                const auto& seat = seats_.at(name);
                return name != not_this && delivery::is_supported(seat.kernel->url) &&
                       health::rank_for_new(seat.health, seat.admin);
            });
        };
        return takes(site) || std::any_of(site.fallback.begin(), site.fallback.end(), [&](const std::string& name) {
                   const auto* fallback = config_.site(name);
                   return fallback != nullptr && takes(*fallback);
               });
    }

    /// What the kernel took and has not fetched is taken back, if the configuration says so, and another kernel can have it.
    /// For one that can be worked with: it is stuck, or was switched off for a service.
    void take_back(Seat& seat) {
        const auto& kernel = *seat.kernel;
        if (!kernel.recall || kernel.in_place || !seat.answered || !delivery::is_supported(kernel.url)) return;
        const auto worker = spool_.work(Queue::kernel(kernel.name));
        if (!worker) return;
        try {
            take_back(seat, *worker);
        } catch (const Error& error) {
            not_this_kernel(seat, error);
        }
    }

    void take_back(Seat& seat, const spool::Worker& worker) {
        const auto store = delivery::store_of(*seat.kernel, outside_);
        delivery::Courier courier(spool_, worker, *store, delivery::destination_of(config_, *seat.kernel), clock_);
        if (!courier.prepare().done()) return;
        auto lying = courier.lying();
        std::erase_if(lying, [&](const Entry& entry) {
            const auto* site = config_.site(entry.name.get(attribute::site));
            return site == nullptr || !another_takes(*site, seat.kernel->name);
        });
        std::size_t taken = 0;
        for (std::size_t next = 0; next < lying.size() && !cli::stopping() && !courier.target_fault();) {
            const auto batch = std::span(lying).subspan(next, std::min(batch_messages, lying.size() - next));
            next += batch.size();
            std::vector<spool::Spool::Event> events;
            for (const auto& report : courier.recall(batch)) {
                const bool is_back = report.outcome == delivery::Outcome::deferred;
                taken += is_back;
                reporter_.line({report.name.text(), result_of(report), report.detail, {{"target", seat.kernel->name}}});
                events.push_back({std::string(report.name.id()), is_back ? "recalled" : "not recalled", report.detail});
            }
            spool_.journal("ums-failover", events);
        }
        if (taken > 0)
            reporter_.warning(count_of(taken, "message") + (taken == 1 ? " was" : " were") + " taken back from " +
                              text::quote(seat.kernel->name) + ", which is " + state_word(seat) +
                              " and had not fetched " + (taken == 1 ? "it" : "them"));
        if (!courier.target_fault()) courier.clean();
    }

    static Result result_of(const delivery::Report& report) {
        return report.outcome == delivery::Outcome::delivered  ? Result::delivered
               : report.outcome == delivery::Outcome::deferred ? Result::deferred
                                                               : Result::in_doubt;
    }

    /// What is wrong with one kernel (its secret, its owner file) must not keep messages from the others.
    void not_this_kernel(const Seat& seat, const Error& error) {
        if (error.fault() != Fault::configuration && error.fault() != Fault::permission) throw;
        const auto& name = seat.kernel->name;
        if (told_.insert(name).second) reporter_.error(of_kernel(name, error.what()));
        code_.note(exit_code(common_.watch ? Fault::later : error.fault()));
    }

    /// The kernel is down or disabled: what is queued for it goes to the next one of its site at once. What has none
    /// stays where it is.
    void leave(Seat& seat) {
        const Queue queue = Queue::kernel(seat.kernel->name);
        // Taking from new/ needs no lock; with it, what a dead pusher left in sending/ comes along.
        const auto worker = spool_.work(queue);
        std::vector<Assignment> batch;
        std::size_t staying = 0;
        for (const auto& entry : spool_.list(queue, State::fresh)) {
            const auto* site = config_.site(entry.name.get(attribute::site));
            const auto choice = site == nullptr ? std::nullopt : choose(*site, entry, seat.kernel->name);
            if (!choice) {
                ++staying;
                continue;
            }
            hand_on(entry, *choice, seat.kernel->name + " is " + state_word(seat), batch);
        }
        carry_out(batch, "moved");
        if (staying > 0) {
            reporter_.error("kernel " + text::quote(seat.kernel->name) + " is " + state_word(seat) +
                            " and no other kernel can take over; " + count_of(staying, "message") +
                            (staying == 1 ? " waits" : " wait"));
            code_.note(exit_code(Fault::unreachable));
        }
    }

    /// It has kernels that take messages, but have enough of them for now.
    bool is_only_full(const config::Site& site) const {
        return std::any_of(site.kernels.begin(), site.kernels.end(), [&](const std::string& name) {
            const auto& seat = seats_.at(name);
            return delivery::is_supported(seat.kernel->url) && health::rank_for_new(seat.health, seat.admin);
        });
    }

    /// Why none of its kernels takes a message, in brief.
    std::string reasons(const config::Site& site) const {
        std::string all;
        for (const auto& name : site.kernels) {
            const auto& seat = seats_.at(name);
            const auto& most = seat.kernel->limit.max_pending;
            std::string why = text::quote(name) + " ";
            if (seat.admin != health::Admin::enabled) {
                why += seat.admin == health::Admin::drain ? "is drained" : "is disabled";
            } else if (!delivery::is_supported(seat.kernel->url)) {
                why += "is of a kind that this version cannot carry to";
            } else if (seat.health.status == health::Status::down) {
                why += "is down" + (seat.health.why.empty() ? "" : ": " + text::escape(seat.health.why));
            } else if (most && seat.pending >= *most) {
                why += "has all that its max-pending allows";
            } else if (seat.health.allowed > 0 && seat.pending >= seat.health.allowed) {
                why += "has just come back, and is given more as it takes what it has";
            } else {
                why += "is " + state_word(seat);
            }
            all += (all.empty() ? "" : "; ") + why;
        }
        return all;
    }

    /// What a target said, with its name if it has not given that itself.
    static std::string of_kernel(const std::string& name, const std::string& said) {
        const auto quoted = text::quote(name);
        return said.find(quoted) == std::string::npos ? "kernel " + quoted + ": " + said : said;
    }

    /// What the kernel refused goes to the next kernel of its site that takes messages: what one does not want, another may.
    void try_elsewhere(const Seat& seat) {
        const Queue queue = Queue::kernel(seat.kernel->name);
        const auto now = clock::whole_seconds(clock_.now());
        std::vector<Assignment> batch;
        for (const auto& entry : spool_.list(queue, State::fresh)) {
            const auto refusals = entry.name.number(attribute::refused);
            const auto not_before = entry.name.number(attribute::not_before);
            // Without a pause it has not been tried here yet.
            if (refusals == 0 || not_before == 0) continue;
            const auto* site = config_.site(entry.name.get(attribute::site));
            // Once each was asked, nobody is asked faster than the pauses say: a refusal may pass, and five park it.
            if (site != nullptr && refusals >= site->kernels.size() && not_before > now) continue;
            const auto choice = site == nullptr ? std::nullopt : choose_after(*site, entry, seat.kernel->name);
            if (!choice) continue;
            hand_on(entry, *choice, seat.kernel->name + " did not take it", batch);
        }
        carry_out(batch, "moved");
    }

    /// choose(), but of the site's own kernels the next one after `kernel`, so that in the end each is asked.
    std::optional<Choice> choose_after(const config::Site& site, const Entry& entry, const std::string& kernel) {
        const auto able = candidates(site, balance_key(site, entry), memory_of(site.name));
        auto ring = site.kernels;
        if (const auto here = std::find(ring.begin(), ring.end(), kernel); here != ring.end())
            std::rotate(ring.begin(), here, ring.end());
        for (const auto& next : ring) {
            if (next != kernel && std::find(able.begin(), able.end(), next) != able.end())
                return Choice{site.name, next};
        }
        return choose(site, entry, kernel);
    }

    static std::string state_word(const Seat& seat) {
        return seat.admin == health::Admin::disabled ? "disabled" : std::string(health::to_string(seat.health.status));
    }

    /// Queues that the configuration no longer knows go back to where they are decided about.
    void rescue_unknown() {
        std::vector<Queue> lost;
        for (const auto& queue : spool_.queues(Queue::Kind::kernel)) {
            if (config_.kernel(queue.name) == nullptr) lost.push_back(queue);
        }
        for (const auto& queue : spool_.queues(Queue::Kind::site)) {
            if (config_.site(queue.name) == nullptr) lost.push_back(queue);
        }
        for (const auto& queue : spool_.queues(Queue::Kind::connector)) {
            if (config_.connector(queue.name) == nullptr) lost.push_back(queue);
        }
        for (const auto& queue : lost) {
            const auto worker = spool_.work(queue);
            const bool incoming = queue.kind == Queue::Kind::connector;
            std::vector<spool::Move> moves;
            for (const auto& entry : spool_.list(queue, State::fresh)) {
                const auto name = entry.name.without(attribute::site).without(attribute::not_before);
                moves.push_back({entry,
                                 {incoming ? Queue::incoming() : Queue::outgoing(), State::fresh,
                                  incoming ? name.without(attribute::connector).without(attribute::chosen) : name}});
            }
            const std::size_t in_doubt = spool_.list(queue, State::publishing).size();
            if (!moves.empty()) {
                spool_.move(moves);
                reporter_.warning("the configuration knows no " + spool::to_string(queue) + " any more; " +
                                  count_of(moves.size(), "message") + " went back to routing");
            }
            if (in_doubt > 0) {
                reporter_.warning(
                    "the configuration knows no " + spool::to_string(queue) + " any more, but " +
                    count_of(in_doubt, "message") +
                    " may have arrived there; 'ums-spool list --in-doubt' lists, and 'ums-failover settle' "
                    "settles such");
                code_.attention();
            }
        }
    }

    /// Doubts: resolved where the kernel answers; where it does not, and `in-doubt.wait` is over, the policy of the
    /// message's service acts, if another kernel takes messages now.
    void settle() {
        for (auto& [name, seat] : seats_) {
            const Queue queue = Queue::kernel(name);
            if (spool_.list(queue, State::publishing).empty() || !delivery::is_supported(seat.kernel->url)) continue;
            const auto worker = spool_.work(queue);
            if (!worker) continue;
            try {
                if (seat.health.status != health::Status::down) settle_by_looking(seat, *worker);
                settle_by_policy(seat);
            } catch (const Error& error) {
                not_this_kernel(seat, error);
            }
        }
    }

    void settle_by_looking(const Seat& seat, const spool::Worker& worker) {
        const auto store = delivery::store_of(*seat.kernel, outside_);
        delivery::Courier courier(spool_, worker, *store, delivery::destination_of(config_, *seat.kernel), clock_);
        if (!courier.prepare().done()) return;
        std::vector<spool::Spool::Event> events;
        for (const auto& report : courier.settle()) {
            const auto result = result_of(report);
            reporter_.line({report.name.text(), result, report.detail, {{"target", seat.kernel->name}}});
            // Told once, not by every look.
            if (report.outcome == delivery::Outcome::in_doubt && report.told_before) continue;
            const bool open = report.outcome == delivery::Outcome::in_doubt;
            events.push_back({std::string(report.name.id()), open ? std::string(report::to_string(result)) : "settled",
                              (open ? "" : std::string(report::to_string(result)) + ": ") + report.detail});
        }
        spool_.journal("ums-failover", events);
        // ums-push may find no reason to come by.
        if (!courier.target_fault()) courier.clean();
    }

    void settle_by_policy(const Seat& seat) {
        const Queue queue = Queue::kernel(seat.kernel->name);
        const auto now = static_cast<long long>(clock::whole_seconds(clock_.now()));
        const auto wait = std::chrono::duration_cast<std::chrono::seconds>(config_.mds.in_doubt.wait).count();
        for (const auto& entry : spool_.list(queue, State::publishing)) {
            const auto since = static_cast<long long>(entry.name.number(attribute::doubt_since));
            if (since == 0 || since > now + 60) {
                // A pusher that died left it, or the clock was ahead: the doubt begins now.
                spool_.move(entry, {queue, State::publishing,
                                    entry.name.with(attribute::doubt_since, static_cast<unsigned long long>(now))});
                code_.note(exit_code(Fault::later));
                continue;
            }
            const auto* site = config_.site(entry.name.get(attribute::site));
            const auto choice =
                now - since < wait || site == nullptr ? std::nullopt : choose(*site, entry, seat.kernel->name);
            if (!choice) {
                code_.note(exit_code(Fault::later));
                continue;
            }
            const std::string id(entry.name.id());
            if (delivery::policy_of(config_.mds.in_doubt, spool_, entry) == config::DoubtPolicy::resend) {
                const auto name = delivery::sent_again(entry.name)
                                      .with(attribute::counted_from, static_cast<unsigned long long>(now))
                                      .with(attribute::duplicate, 1)
                                      .with(attribute::site, choice->site);
                if (!spool_.move(entry, {Queue::kernel(choice->kernel), State::fresh, name})) continue;
                reporter_.warning("message " + id + " may have reached " + text::quote(seat.kernel->name) +
                                  "; it is sent again through " + text::quote(choice->kernel) +
                                  ", marked as a possible duplicate");
                reporter_.line({name.text(), Result::assigned, choice->kernel, {{"why", "in doubt, resend"}}});
                const std::array<spool::Spool::Event, 1> event{
                    {{id, "resend", "in doubt at " + seat.kernel->name + ", again through " + choice->kernel}}};
                spool_.journal("ums-failover", event);
            } else {
                const std::string why = "it may have reached " + seat.kernel->name +
                                        ", and its service is not sent twice "
                                        "unasked; ums-spool release sends it again, ums-spool delete gives it up";
                if (!spool_.park(entry, {queue, State::hold, delivery::held(entry.name)}, why)) continue;
                reporter_.line({entry.name.text(), Result::parked, why, {}});
                const std::array<spool::Spool::Event, 1> event{{{id, "held", why}}};
                spool_.journal("ums-failover", event);
                code_.attention();
            }
        }
    }

    const cli::Common& common_;
    const config::Config& config_;
    const cli::Names& names_;
    spool::Spool& spool_;
    report::Reporter& reporter_;
    io::PosixDisk outside_{io::Sharing::by_umask};
    clock::SystemClock clock_;
    health::Files files_;
    std::map<std::string, Seat, std::less<>> seats_;
    std::map<std::string, health::Memory> memories_;
    std::map<std::string, std::string> saved_;
    std::set<std::string, std::less<>> told_;  ///< kernels that need a person: said once a pass
    cli::ExitCode code_;
    Late late_{config_, names_, spool_, clock_, reporter_, code_};
    std::size_t handled_ = 0;
};

}  // namespace

int run(const cli::Common& common, report::Reporter& reporter) {
    const transport::Library library;
    const auto config = cli::load_config(common);
    io::PosixDisk disk;
    const clock::SystemClock clock;
    const auto names = cli::Names::read(common, disk);
    auto spool = cli::open_spool(common, config, disk, clock);
    std::vector<std::string> watched;
    for (const auto& site : config.sites) watched.push_back(spool.path(Queue::site(site.name), State::fresh));
    const auto until_next_look = [&] {
        const health::Files files(disk, spool.root() + "/state");
        auto wait = std::chrono::milliseconds(std::chrono::hours(24));
        for (const auto& kernel : config.kernels) {
            const auto health = files.load_health(kernel.name);
            wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(health.next_look - clock.now()));
            // What was let through to it may have gone, and more be waiting.
            if (health.allowed > 0 && health.was_assigned) wait = std::min(wait, std::chrono::milliseconds(1000));
        }
        return std::max(wait, std::chrono::milliseconds(200));
    };
    return cli::run_passes(
        common, reporter, watched, [&] { return Pass(common, config, names, spool, reporter).run(); }, until_next_look);
}

int set_admin(const cli::Common& common, const std::vector<std::string>& kernels, health::Admin admin,
              report::Reporter& reporter) {
    const auto config = cli::load_config(common);
    for (const auto& name : kernels) {
        if (config.kernel(name) == nullptr) {
            throw Error(Fault::usage, "the configuration has no kernel " + text::quote(name));
        }
    }
    io::PosixDisk disk;
    const clock::SystemClock clock;
    auto spool = cli::open_spool(common, config, disk, clock);
    health::Files files(disk, spool.root() + "/state");
    for (const auto& name : kernels) {
        if (!common.dry_run) files.save(name, {admin, clock.now(), who()});
        reporter.data(text::escape(name) + "\t" + std::string(health::to_string(admin)));
    }
    return 0;
}

}  // namespace ums::failover
