// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "delivery/assignment.hpp"
#include "delivery/courier.hpp"
#include "delivery/mailer.hpp"
#include "delivery/store_of.hpp"
#include "health/health.hpp"
#include "options.hpp"
#include "probe/probe.hpp"
#include "text/text.hpp"
#include "transport/pace.hpp"

namespace ums::push {

namespace {

using delivery::Outcome;
using report::Result;
using spool::Entry;
using spool::Queue;
using spool::State;
using transport::Answer;
using transport::Verdict;

constexpr Bytes batch_bytes{64 << 20};

/// A kernel or connector whose queue is worked: one process each.
struct Target {
    std::string name;
    const config::Kernel* kernel = nullptr;
    const config::Connector* connector = nullptr;

    Queue queue() const { return kernel != nullptr ? Queue::kernel(name) : Queue::connector(name); }
    config::Limit limit() const {
        if (kernel != nullptr) return kernel->limit;
        return connector != nullptr ? connector->limit : config::Limit();
    }
    const target::Target* address() const {
        if (kernel != nullptr) return &kernel->url;
        return connector != nullptr && connector->root ? &*connector->root : nullptr;
    }
};

std::vector<Target> targets_of(const config::Config& config, const std::vector<std::string>& to) {
    std::vector<Target> targets;
    const auto wanted = [&](const std::string& name) {
        return to.empty() || std::find(to.begin(), to.end(), name) != to.end();
    };
    for (const auto& kernel : config.kernels) {
        if (wanted(kernel.name)) targets.push_back({kernel.name, &kernel, nullptr});
    }
    for (const auto& connector : config.connectors) {
        if (wanted(connector.name)) targets.push_back({connector.name, nullptr, &connector});
    }
    for (const auto& name : to) {
        if (config.kernel(name) == nullptr && config.connector(name) == nullptr) {
            throw Error(Fault::usage, "the configuration has no kernel and no connector " + text::quote(name));
        }
    }
    return targets;
}

/// Removes what has lain in sent/ for longer than the configuration says.
void expire_sent(const config::Config& config, spool::Spool& spool, const clock::Clock& clock) {
    std::vector<Entry> old;
    for (auto& entry : spool.list(Queue::sent(), State::fresh)) {
        const auto info = spool.disk().info(spool.path(entry));
        if (info &&
            clock.now().time_since_epoch() - std::chrono::nanoseconds(info->changed_ns) > config.sent_is_kept()) {
            old.push_back(std::move(entry));
        }
    }
    if (!old.empty()) spool.remove(old);
}

class Pusher {
  public:
    Pusher(const cli::Common& common, const config::Config& config, const cli::Names& names, const Target& target,
           report::Reporter& reporter)
        : common_(common), config_(config), names_(names), target_(target), reporter_(reporter) {}

    int run(std::size_t limit) {
        spool_.emplace(disk_, clock_, cli::spool_root(common_, config_), config_.mds.id,
                       config_.mds.force_spool ? spool::NetworkFileSystem::allow : spool::NetworkFileSystem::refuse,
                       common_.dry_run ? spool::Opening::examine_if_there : spool::Opening::create);
        limit_ = limit;
        return cli::run_passes(common_, reporter_, {spool_->path(target_.queue(), State::fresh)},
                               [&] { return pass(); });
    }

  private:
    /// Is there while what is in the stage directory may have to be swept: a run that is killed after its last message
    /// leaves it, and the next one sweeps although it has nothing to send.
    std::string unswept() const {
        return spool_->state_path(std::string("unswept/") + (target_.kernel != nullptr ? "kernel." : "connector.") +
                                  target_.name);
    }

    bool has_work() const {
        return !spool_->list(target_.queue(), State::publishing).empty() ||
               !spool_->list(target_.queue(), State::sending).empty() || !spool_->due(target_.queue()).empty();
    }

    /// Nothing is due. What waits for its next try is work for a later run, and no silence.
    int later_ones() {
        std::size_t count = 0;
        std::optional<unsigned long long> next;
        for (const auto& entry : spool_->list(target_.queue(), State::fresh)) {
            if (!names_.wants(entry.name)) continue;
            ++count;
            const auto when = entry.name.number(spool::attribute::not_before);
            next = std::min(next.value_or(when), when);
        }
        if (count == 0) return 0;
        const auto seconds = static_cast<long long>(*next) - static_cast<long long>(clock::whole_seconds(clock_.now()));
        reporter_.info(std::to_string(count) + (count == 1 ? " message waits" : " messages wait") + " for " +
                       text::quote(target_.name) + "; the next try is in " +
                       text::rough_duration(std::chrono::seconds(std::max(0LL, seconds))));
        return exit_code(Fault::later);
    }

    int pass() {
        refused_ = 0;
        const int code = one_pass();
        if (refused_ > 0) {
            reporter_.warning(text::quote(target_.name) + " did not take " + std::to_string(refused_) +
                              (refused_ == 1 ? " message: " : " messages; the last: ") + text::escape(why_refused_));
        }
        return code;
    }

    int one_pass() {
        if (common_.dry_run) return dry_run();
        if (clock_.steady() >= next_expiry_) {
            expire_sent(config_, *spool_, clock_);
            next_expiry_ = clock_.steady() + std::chrono::hours(1);
        }
        if (clock_.steady() < rest_until_) return exit_code(Fault::later);
        const bool work = has_work();
        if (!work && !disk_.info(unswept())) return later_ones();
        const auto worker = spool_->work(target_.queue());
        if (!worker) {
            reporter_.info(text::quote(target_.name) + ": another run is at it");
            return 0;
        }
        code_ = cli::ExitCode();
        done_ = 0;
        if (!may_send()) return work ? left_behind() : 0;
        if (target_.connector != nullptr && target_.connector->deliver) return mail(*worker);
        if (target_.address() == nullptr || !delivery::is_supported(*target_.address())) {
            reporter_.warning("this version cannot carry to " + text::quote(target_.name) + "; its messages wait");
            return exit_code(Fault::later);
        }
        if (!store_) {
            store_ = target_.kernel != nullptr ? delivery::store_of(*target_.kernel, outside_)
                                               : delivery::store_of(*target_.connector, outside_);
        }
        delivery::Courier courier(*spool_, *worker, *store_,
                                  target_.kernel != nullptr ? delivery::destination_of(config_, *target_.kernel)
                                                            : delivery::destination_of(config_, *target_.connector),
                                  clock_);
        disk_.open_or_create(unswept());
        if (const auto answer = courier.prepare(); !answer.done()) return work ? target_failed(answer) : 0;
        publish(courier.settle());
        if (courier.target_fault()) return target_failed(*courier.target_fault());
        const int code = deliver(courier);
        const auto& fault = courier.target_fault();
        const bool silent = fault && (fault->verdict == Verdict::unreachable || fault->verdict == Verdict::unknown);
        if (!silent) {
            courier.clean();
            disk_.remove(unswept());
        }
        if (!courier.target_fault()) succeeded();
        return code;
    }

    int mail(const spool::Worker& worker) {
        if (!mail_server_) mail_server_ = delivery::mail_server_of(*target_.connector, disk_, cli::stopping);
        delivery::Mailer mailer(*spool_, worker, *mail_server_, config_, *target_.connector, clock_);
        publish(mailer.settle());
        const int code = deliver(mailer);
        mail_server_->hang_up();
        // Said once, but work that is left as long as it lasts.
        if (mailer.in_doubt() > 0) code_.note(exit_code(Fault::later));
        if (mailer.target_fault()) return code;
        succeeded();
        return code_.value();
    }

    template <typename Carrier>
    int deliver(Carrier& carrier) {
        bool may_go_on = true;
        try {
            may_go_on = carry(carrier);
        } catch (...) {
            publish(carrier.finish());
            throw;
        }
        publish(carrier.finish());
        if (carrier.target_fault()) return target_failed(*carrier.target_fault());
        return may_go_on ? code_.value() : left_behind();
    }

    /// Batch by batch, until nothing is left, or the target is ill, or the limit is reached. False if the kernel was taken out
    /// of service before that.
    template <typename Carrier>
    bool carry(Carrier& carrier) {
        // One listing is worked off in batches; what came meanwhile is found by the next listing.
        std::set<std::string, std::less<>> tried;
        std::size_t begun = done_;
        for (;;) {
            auto entries = spool_->due(target_.queue());
            std::erase_if(entries, [&](const Entry& entry) {
                return !names_.wants(entry.name) || tried.contains(entry.name.id());
            });
            leave_strays(entries);
            if (entries.empty()) return true;
            for (std::size_t next = 0; next < entries.size();) {
                if (!cli::wait(pace_.pause())) return true;
                if (limit_ > 0 && begun >= limit_) return true;
                if (!may_send()) return false;
                std::vector<Entry> batch;
                Bytes size;
                while (next < entries.size() && batch.size() < pace_.batch() && (batch.empty() || size < batch_bytes) &&
                       (limit_ == 0 || begun + batch.size() < limit_)) {
                    if (const auto info = disk_.info(spool_->path(entries[next]))) size += info->size;
                    tried.emplace(entries[next].name.id());
                    batch.push_back(entries[next++]);
                }
                begun += batch.size();
                pace_.begin();
                publish(carrier.deliver(batch));
                pace_.end(batch.size());
                if (carrier.target_fault()) return true;
            }
        }
    }

    /// As another site they would be dialled otherwise, and of none not at all.
    void leave_strays(std::vector<Entry>& entries) {
        const auto queue = target_.queue();
        const auto strays = std::erase_if(
            entries, [&](const Entry& entry) { return !delivery::still_goes_there(config_, queue, entry.name); });
        if (strays == 0) return;
        reporter_.warning(
            std::to_string(strays) + (strays == 1 ? " message" : " messages") + " for " + text::quote(target_.name) +
            (strays == 1 ? " is" : " are") +
            " of a site that is gone, or no longer has it; ums-failover sends them back to be decided about");
        code_.note(exit_code(Fault::later));
    }

    bool may_send() {
        if (target_.kernel == nullptr) return true;
        health::Files files(disk_, spool_->root() + "/state");
        return health::may_send(files.load_health(target_.name), files.load_admin(target_.name).admin);
    }

    /// The kernel is down or disabled: nothing is tried, ums-failover finds its messages another.
    int left_behind() {
        const auto waiting = spool_->list(target_.queue(), State::fresh).size();
        reporter_.info(text::quote(target_.name) + " is down or disabled; " + std::to_string(waiting) +
                       " messages wait for ums-failover");
        code_.note(exit_code(Fault::later));
        return code_.value();
    }

    int target_failed(const Answer& answer) {
        const auto waiting = spool_->list(target_.queue(), State::fresh).size() +
                             spool_->list(target_.queue(), State::publishing).size();
        ++failures_;
        auto pause = std::min<std::chrono::seconds>(std::chrono::seconds(2) * (1U << std::min(failures_, 5U)),
                                                    std::chrono::seconds(60));
        if (answer.retry_after)
            pause = std::clamp<std::chrono::seconds>(*answer.retry_after, pause, std::chrono::seconds(600));
        rest_until_ = clock_.steady() + pause;
        const std::string verb = answer.verdict == Verdict::unreachable ? "cannot reach " : "cannot deliver to ";
        reporter_.error(verb + text::quote(target_.name) + ": " + text::escape(answer.text) + "; " +
                        std::to_string(waiting) + (waiting == 1 ? " message waits" : " messages wait"));
        health::Files files(disk_, spool_->root() + "/state");
        auto seen = files.load_seen(name_in_state());
        ++seen.failures;
        seen.last_failure = clock_.now();
        seen.text = answer.text;
        files.save(name_in_state(), seen);
        code_.note(exit_code(answer.verdict == Verdict::unreachable ? Fault::unreachable
                             : answer.verdict == Verdict::denied    ? Fault::permission
                                                                    : Fault::later));
        return code_.value();
    }

    void succeeded() {
        failures_ = 0;
        health::Files files(disk_, spool_->root() + "/state");
        auto seen = files.load_seen(name_in_state());
        if (seen.failures == 0) return;
        seen.failures = 0;
        seen.last_success = clock_.now();
        files.save(name_in_state(), seen);
    }

    std::string name_in_state() const {
        return target_.kernel != nullptr ? target_.name : health::name_of_connector(target_.name);
    }

    void publish(const std::vector<delivery::Report>& reports) {
        std::vector<spool::Spool::Event> events;
        for (const auto& report : reports) {
            const auto outcome = delivery::to_string(report.outcome);
            reporter_.line_of(report.name.text(), outcome, report.detail, {{"target", target_.name}});
            // The journal is told of a doubt once, not by every look.
            if (report.outcome != Outcome::in_doubt || !report.told_before) {
                events.push_back(
                    {std::string(report.name.id()), std::string(outcome), target_.name + ": " + report.detail});
            }
            ++done_;
            if (report.outcome == Outcome::deferred || report.outcome == Outcome::in_doubt) {
                code_.note(exit_code(Fault::later));
            }
            if (report.outcome == Outcome::parked) code_.attention();
            // That a mail server says "later" is its way with strangers (greylisting, RFC 6647).
            const bool is_mail = target_.connector != nullptr && target_.connector->deliver;
            const bool refused =
                report.outcome == Outcome::deferred && !is_mail && report.name.number(spool::attribute::not_before) > 0;
            if (report.outcome == Outcome::parked || refused) {
                ++refused_;
                why_refused_ = report.detail;
            }
        }
        spool_->journal("ums-push", events);
        reporter_.flush();
    }

    int dry_run() {
        if (target_.connector != nullptr && target_.connector->deliver) return dry_run_mail();
        const bool sends = may_send();
        for (const auto& entry : spool_->due(target_.queue())) {
            if (!names_.wants(entry.name)) continue;
            reporter_.line({entry.name.text(),
                            sends ? Result::delivered : Result::deferred,
                            (sends ? "would be sent to " : "waits: down or disabled: ") + target_.name,
                            {}});
        }
        return 0;
    }

    int dry_run_mail() {
        delivery::Postmark postmark(config_, *target_.connector);
        for (const auto& entry : spool_->due(target_.queue())) {
            if (!names_.wants(entry.name)) continue;
            try {
                const auto path = spool_->path(entry);
                const auto file = spool_->open(entry);
                if (!file) continue;
                for (const auto& one : postmark.letter(disk_, *file, path, entry.name).recipients) {
                    reporter_.line({entry.name.text(),
                                    Result::delivered,
                                    "would be sent to " + target_.name + " <" + one + ">",
                                    {}});
                }
            } catch (const Error& error) {
                const bool parked = error.fault() == Fault::unusable;
                reporter_.line({entry.name.text(), parked ? Result::parked : Result::deferred, error.what(), {}});
            }
        }
        return 0;
    }

    const cli::Common& common_;
    const config::Config& config_;
    const cli::Names& names_;
    const Target& target_;
    report::Reporter& reporter_;
    io::PosixDisk disk_;
    io::PosixDisk outside_{io::Sharing::by_umask};
    clock::SystemClock clock_;
    transport::Pace pace_{clock_, target_.limit().messages_per_second.value_or(0)};
    std::optional<spool::Spool> spool_;
    std::unique_ptr<transport::Store> store_;
    std::unique_ptr<transport::MailServer> mail_server_;
    cli::ExitCode code_;
    std::size_t limit_ = 0;
    std::size_t done_ = 0;
    unsigned failures_ = 0;
    std::size_t refused_ = 0;  ///< messages, in this pass: put off or parked
    std::string why_refused_;  ///< the last of them
    std::chrono::steady_clock::time_point rest_until_{};
    std::chrono::steady_clock::time_point next_expiry_{};
};

}  // namespace

int run(const cli::Common& common, const Options& options, report::Reporter& reporter) {
    const transport::Library library;
    const auto config = cli::load_config(common);
    if (!options.probe.empty()) {
        if (!options.file.empty()) throw Error(Fault::usage, "--probe takes one target at a time, and no FILE");
        return probe::run(common, config, options.probe, probe::Use::sending, reporter);
    }
    if (!options.file.empty()) return push_single(common, options, config, reporter);
    if (!options.connector.empty()) throw Error(Fault::usage, "--connector goes with a FILE or -");

    io::PosixDisk disk;
    const clock::SystemClock clock;
    const auto names = cli::Names::read(common, disk);
    const auto targets = targets_of(config, options.to);
    // Once here, so that a spool that cannot be used is said once and not by each worker.
    static_cast<void>(cli::open_spool(common, config, disk, clock));
    std::vector<cli::Job> jobs;
    for (const auto& target : targets) {
        jobs.push_back({target.name,
                        [&](std::size_t limit) { return Pusher(common, config, names, target, reporter).run(limit); }});
    }
    const auto codes = cli::run_jobs(common, reporter, jobs);
    cli::ExitCode code;
    // 69 says that nothing could be sent anywhere; as long as some target works, the rest is work for later.
    const int unreachable = exit_code(Fault::unreachable);
    const bool any_worked =
        std::any_of(codes.begin(), codes.end(), [&](int c) { return c != unreachable; }) && reporter.lines_passed() > 0;
    for (const int c : codes) code.note(c == unreachable && any_worked ? exit_code(Fault::later) : c);
    return code.value();
}

}  // namespace ums::push
