// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "at_kernels.hpp"
#include "delivery/assignment.hpp"
#include "late.hpp"
#include "options.hpp"
#include "seats.hpp"
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

/// With --watch what goes on is said when it begins, and then four times an hour.
class Repeats {
  public:
    bool is_due(const std::string& what, std::chrono::steady_clock::time_point now) {
        goes_on_.insert(what);
        const auto [said, is_new] = said_.try_emplace(what, now);
        if (!is_new && now - said->second < std::chrono::minutes(15)) return false;
        said->second = now;
        return true;
    }
    /// What nobody asked for in this pass has ended.
    void end_pass() {
        std::erase_if(said_, [&](const auto& one) { return !goes_on_.contains(one.first); });
        goes_on_.clear();
    }

  private:
    std::map<std::string, std::chrono::steady_clock::time_point> said_;
    std::set<std::string> goes_on_;
};

class Pass {
  public:
    Pass(const cli::Common& common, const config::Config& config, const cli::Names& names, spool::Spool& spool,
         Repeats& repeats, report::Reporter& reporter)
        : common_(common), config_(config), names_(names), spool_(spool), repeats_(repeats), reporter_(reporter) {}

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
        if (!common_.dry_run) {
            seats_.look();
            rescue_unknown();
            rescue_strays();
            for (auto& [name, seat] : seats_.all()) {
                if (health::must_leave(seat.health, seat.admin)) {
                    at_kernels_.take_back(seat);
                    leave(seat);
                } else {
                    at_kernels_.look_for_proof(seat);
                    try_elsewhere(seat);
                }
            }
            for (auto& [name, seat] : seats_.all()) {
                const bool any_back = at_kernels_.settle(seat) > 0;
                if (any_back && health::must_leave(seat.health, seat.admin)) leave(seat);
            }
            late_.look();
        }
        for (const auto& site : config_.sites) {
            if (cli::stopping()) break;
            assign(site);
        }
        repeats_.end_pass();
        if (!common_.dry_run && !cli::stopping()) tell(config_, spool_, conditions(), clock_, reporter_);
        return code_.value();
    }

  private:
    /// All that a person may want to be told of.
    std::vector<health::Condition> conditions() {
        std::vector<health::Condition> all = late_.delayed();
        for (auto& outage : seats_.outages()) all.push_back(std::move(outage));
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
            seats_.save_turns();
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
            const auto choice = seats_.choose(site, entry);
            if (!choice) {
                ++waiting;
                // With --watch the same line would come again every few seconds.
                if (!common_.watch) {
                    reporter_.line(
                        {entry.name.text(),
                         Result::deferred,
                         "no kernel of " + text::quote(site.name) + " takes messages: " + seats_.reasons(site),
                         {}});
                }
                continue;
            }
            ++handled_;
            const Entry to{Queue::kernel(choice->kernel), State::fresh,
                           delivery::assigned(entry.name.with(attribute::site, site.name), choice->site)};
            const auto detail = choice->site == site.name ? "site " + site.name
                                                          : "site " + choice->site + ", the fallback of " + site.name;
            batch.push_back({{entry, to}, choice->kernel, detail});
            seats_.assigned_to(choice->kernel);
            if (batch.size() >= batch_messages) {
                carry_out(batch, "assigned");
                if (cli::stopping()) return;
            }
        }
        carry_out(batch, "assigned");
        if (waiting > 0) {
            const auto talk = "no kernel of the site " + text::quote(site.name) + " takes messages (" +
                              seats_.reasons(site) + "); " + count_of(waiting, "message") +
                              (waiting == 1 ? " waits" : " wait");
            if (seats_.is_only_full(site)) {
                reporter_.info(talk);
                code_.note(exit_code(Fault::later));
            } else {
                complain(spool::to_string(queue), talk);
            }
        }
    }

    void complain(const std::string& where, const std::string& talk) {
        if (repeats_.is_due(where, clock_.steady())) {
            reporter_.error(talk);
        } else {
            reporter_.info(talk);
        }
        code_.note(exit_code(Fault::unreachable));
    }

    /// To another kernel, where it is due at once.
    void hand_on(const Entry& entry, const Seats::Choice& choice, const std::string& why,
                 std::vector<Assignment>& batch) {
        const auto name = delivery::assigned(entry.name, choice.site).without(attribute::not_before);
        Entry there{Queue::kernel(choice.kernel), State::fresh, name};
        spool::Move move{entry, std::move(there)};
        batch.push_back({std::move(move), choice.kernel, why});
        seats_.assigned_to(choice.kernel);
        if (batch.size() >= batch_messages) carry_out(batch, "moved");
    }

    /// The kernel is down or disabled: what is queued for it goes to the next one of its site at once. What has none
    /// stays where it is.
    void leave(Seat& seat) {
        const Queue queue = Queue::kernel(seat.kernel->name);
        // Taking from new/ needs no lock; with it, what a dead pusher left in sending/ comes along.
        const auto worker = spool_.work(queue);
        std::vector<Assignment> batch;
        std::size_t staying = 0;
        bool is_turn_to_come = false;  // for those that stay, another kernel only has enough for now
        for (const auto& entry : spool_.list(queue, State::fresh)) {
            const auto choice = seats_.choose_another(entry, seat.kernel->name);
            if (!choice) {
                ++staying;
                const auto* site = seats_.site_of(entry.name);
                is_turn_to_come =
                    is_turn_to_come || (site != nullptr && seats_.another_takes(*site, seat.kernel->name));
                continue;
            }
            hand_on(entry, *choice, seat.kernel->name + " is " + seat.state(), batch);
        }
        carry_out(batch, "moved");
        if (staying > 0 && is_turn_to_come) {
            reporter_.info("kernel " + text::quote(seat.kernel->name) + " is " + seat.state() +
                           ", and the others have enough for now; " + count_of(staying, "message") +
                           (staying == 1 ? " waits" : " wait"));
            code_.note(exit_code(Fault::later));
        } else if (staying > 0) {
            complain(spool::to_string(Queue::kernel(seat.kernel->name)),
                     "kernel " + text::quote(seat.kernel->name) + " is " + seat.state() +
                         " and no other kernel can take over; " + count_of(staying, "message") +
                         (staying == 1 ? " waits" : " wait"));
        }
    }

    void requeue(const std::vector<spool::Move>& moves, const std::string& reason) {
        if (moves.empty()) return;
        const auto moved = spool_.move(moves);
        std::vector<spool::Spool::Event> events;
        for (std::size_t i = 0; i < moves.size(); ++i) {
            if (moved[i] != spool::Moved::yes) continue;
            const auto& name = moves[i].to.name;
            const std::string why = reason + "; the rules decide anew";
            reporter_.line({name.text(), Result::deferred, why, {}});
            events.push_back({std::string(name.id()), "requeued", why});
        }
        spool_.journal("ums-failover", events);
        code_.note(exit_code(Fault::later));
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
            const auto choice = seats_.choose_after(entry, seat.kernel->name);
            if (!choice) continue;
            hand_on(entry, *choice, seat.kernel->name + " did not take it", batch);
        }
        carry_out(batch, "moved");
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
                const auto name = undecided(entry.name);
                moves.push_back({entry,
                                 {incoming ? Queue::incoming() : Queue::outgoing(), State::fresh,
                                  incoming ? name.without(attribute::connector) : name}});
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

    /// What is queued for a kernel that its site no longer has, and what belongs to a site that is gone.
    void rescue_strays() {
        for (const auto& kernel : config_.kernels) {
            rescue_strays(Queue::kernel(kernel.name), Queue::outgoing(),
                          "its site no longer has " + text::quote(kernel.name));
        }
        for (const auto& connector : config_.connectors)
            rescue_strays(Queue::connector(connector.name), Queue::incoming(), "its site is gone");
    }

    void rescue_strays(const Queue& queue, const Queue& anew, const std::string& reason) {
        std::vector<spool::Move> moves;
        for (const auto& entry : spool_.list(queue, State::fresh)) {
            if (delivery::still_goes_there(config_, queue, entry.name)) continue;
            moves.push_back({entry, {anew, State::fresh, undecided(entry.name)}});
        }
        requeue(moves, reason);
    }

    const cli::Common& common_;
    const config::Config& config_;
    const cli::Names& names_;
    spool::Spool& spool_;
    Repeats& repeats_;
    report::Reporter& reporter_;
    clock::SystemClock clock_;
    cli::ExitCode code_;
    Seats seats_{common_, config_, spool_, clock_, reporter_, code_};
    AtKernels at_kernels_{common_, config_, spool_, clock_, reporter_, code_, seats_};
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
            if (health.allowed > 0 && health.unproved == 0 && health.was_assigned)
                wait = std::min(wait, std::chrono::milliseconds(1000));
        }
        return std::max(wait, std::chrono::milliseconds(200));
    };
    Repeats repeats;
    return cli::run_passes(
        common, reporter, watched, [&] { return Pass(common, config, names, spool, repeats, reporter).run(); },
        until_next_look);
}

int set_admin(const cli::Common& common, const std::vector<std::string>& kernels, health::Admin admin,
              report::Reporter& reporter) {
    const auto config = cli::load_config(common);
    for (const auto& name : kernels) {
        if (config.kernel(name) != nullptr) continue;
        std::vector<std::string_view> names;
        for (const auto& kernel : config.kernels) names.push_back(kernel.name);
        const auto near = text::nearest(name, names);
        throw Error(Fault::usage, "the configuration has no kernel " + text::quote(name) +
                                      (near ? "; is " + text::quote(*near) + " meant?" : "") +
                                      (kernels.size() > 1 ? " Nothing was done." : ""));
    }
    io::PosixDisk disk;
    const clock::SystemClock clock;
    auto spool = cli::open_spool(common, config, disk, clock);
    health::Files files(disk, spool.root() + "/state");
    for (const auto& name : kernels) {
        if (!common.dry_run) files.save(name, {admin, clock.now(), who()});
        reporter.data(text::escape(name) + "\t" + std::string(health::to_string(admin)));
    }
    if (admin == health::Admin::enabled || common.dry_run) return 0;
    const auto is_out = [&](const std::string& name) { return files.load_admin(name).admin != health::Admin::enabled; };
    for (const auto& site : config.sites) {
        if (site.fallback.empty() && std::all_of(site.kernels.begin(), site.kernels.end(), is_out)) {
            reporter.warning("no kernel of the site " + text::quote(site.name) +
                             " is enabled any more: its messages wait");
        }
    }
    return 0;
}

}  // namespace ums::failover
