// SPDX-License-Identifier: GPL-3.0-or-later
#include "at_kernels.hpp"

#include <algorithm>
#include <array>

#include "delivery/assignment.hpp"
#include "delivery/doubt.hpp"
#include "delivery/store_of.hpp"
#include "text/text.hpp"

namespace ums::failover {

namespace {

using report::Result;
using spool::Entry;
using spool::Queue;
using spool::State;

namespace attribute = spool::attribute;

constexpr std::size_t most_at_once = 256;
constexpr std::chrono::seconds patience{5};

}  // namespace

AtKernels::AtKernels(const cli::Common& common, const config::Config& config, spool::Spool& spool,
                     const clock::Clock& clock, report::Reporter& reporter, cli::ExitCode& code, Seats& seats)
    : common_(common), config_(config), spool_(spool), clock_(clock), reporter_(reporter), code_(code), seats_(seats) {}

/// Holds the queue, if nobody else does; what is wrong with this kernel alone is told, and ends the work.
template <typename Work>
void AtKernels::work(const Seat& seat, Work work) {
    const auto worker = spool_.work(Queue::kernel(seat.kernel->name));
    if (!worker) return;
    try {
        work(*worker);
    } catch (const Error& error) {
        seats_.not_this_kernel(seat, error);
    }
}

/// Where the kernel answers.
template <typename Work>
void AtKernels::with_courier(const Seat& seat, const spool::Worker& worker, Work work) {
    const auto store = delivery::store_of(*seat.kernel, outside_, patience);
    delivery::Courier courier(spool_, worker, *store, delivery::destination_of(config_, *seat.kernel), clock_);
    if (courier.prepare().done()) work(courier);
}

void AtKernels::take_back(Seat& seat) {
    if (!seat.kernel->recall || !seat.answered) return;
    work(seat, [&](const spool::Worker& worker) {
        with_courier(seat, worker, [&](delivery::Courier& courier) { take_back(seat, courier); });
    });
}

void AtKernels::take_back(Seat& seat, delivery::Courier& courier) {
    auto lying = courier.lying();
    const auto staying = std::erase_if(lying, [&](const Entry& entry) {
        const auto* site = seats_.site_of(entry.name);
        return site == nullptr || !seats_.another_takes(*site, seat.kernel->name);
    });
    if (staying > 0) {
        const auto talk = count_of(staying, "message") + " that " + text::quote(seat.kernel->name) +
                          " has not fetched cannot be taken back now: no other kernel takes " +
                          (staying == 1 ? "it" : "them");
        // With --watch it would be said by every look.
        common_.watch ? reporter_.info(talk) : reporter_.warning(talk);
        code_.note(exit_code(Fault::later));
    }
    if (!lying.empty() && seat.admin != health::Admin::disabled) seats_.relieved(seat);
    std::size_t taken = 0;
    const auto begun = clock_.steady();
    std::size_t size = 8;  // more, if it is quick
    for (std::size_t next = 0; next < lying.size() && !cli::stopping() && !courier.target_fault();) {
        if (clock_.steady() - begun > patience) {
            code_.note(exit_code(Fault::later));  // the next pass goes on
            break;
        }
        const auto batch = std::span(lying).subspan(next, std::min(size, lying.size() - next));
        next += batch.size();
        size = std::min(size * 2, most_at_once);
        std::vector<spool::Spool::Event> events;
        for (const auto& report : courier.recall(batch)) {
            const bool is_back = report.outcome == delivery::Outcome::deferred;
            taken += is_back;
            reporter_.line_of(report.name.text(), delivery::to_string(report.outcome), report.detail,
                              {{"target", seat.kernel->name}});
            events.push_back({std::string(report.name.id()), is_back ? "recalled" : "not recalled", report.detail});
        }
        spool_.journal("ums-failover", events);
    }
    if (taken > 0)
        reporter_.warning(count_of(taken, "message") + (taken == 1 ? " was" : " were") + " taken back from " +
                          text::quote(seat.kernel->name) + ", which is " + seat.state() + " and had not fetched " +
                          (taken == 1 ? "it" : "them"));
    if (!courier.target_fault()) courier.clean();
}

void AtKernels::look_for_proof(Seat& seat) {
    if (seat.health.unproved == 0 || !seat.health.was_assigned || seat.pending > 0 || !seat.answered) return;
    if (!spool_.list(Queue::kernel(seat.kernel->name), State::publishing).empty()) return;
    work(seat, [&](const spool::Worker& worker) {
        with_courier(seat, worker, [&](delivery::Courier& courier) { look_for_proof(seat, courier); });
    });
}

void AtKernels::look_for_proof(Seat& seat, delivery::Courier& courier) {
    const auto lying = courier.lying();
    if (courier.target_fault()) return;
    auto given = courier.given();
    std::erase_if(given, [&](const Entry& entry) {
        const auto info = spool_.disk().info(spool_.path(entry));
        return !info || clock::Instant(std::chrono::duration_cast<clock::Instant::duration>(
                            std::chrono::nanoseconds(info->changed_ns))) < seat.health.relieved;
    });
    const bool was_given = !given.empty();
    std::erase_if(given, [&](const Entry& entry) {
        return std::any_of(lying.begin(), lying.end(), [&](const Entry& one) { return one.name == entry.name; });
    });
    if (!given.empty()) {
        seats_.proved(seat, health::Proof::fetched);
    } else if (!was_given) {
        seats_.proved(seat, health::Proof::nothing_given);
    }
}

std::size_t AtKernels::settle(const Seat& seat) {
    const Queue queue = Queue::kernel(seat.kernel->name);
    if (spool_.list(queue, State::publishing).empty() || !delivery::is_supported(seat.kernel->url)) return 0;
    std::size_t back = 0;
    work(seat, [&](const spool::Worker& worker) {
        if (seat.answered || seat.health.status != health::Status::down) {
            with_courier(seat, worker, [&](delivery::Courier& courier) { back = settle_by_looking(courier, seat); });
        }
        settle_by_policy(seat);
    });
    return back;
}

std::size_t AtKernels::settle_by_looking(delivery::Courier& courier, const Seat& seat) {
    std::size_t back = 0;
    std::vector<spool::Spool::Event> events;
    for (const auto& report : courier.settle()) {
        back += report.outcome == delivery::Outcome::deferred;
        const auto outcome = delivery::to_string(report.outcome);
        reporter_.line_of(report.name.text(), outcome, report.detail, {{"target", seat.kernel->name}});
        // Told once, not by every look.
        if (report.outcome == delivery::Outcome::in_doubt && report.told_before) continue;
        const bool open = report.outcome == delivery::Outcome::in_doubt;
        events.push_back({std::string(report.name.id()), open ? std::string(outcome) : "settled",
                          (open ? "" : std::string(outcome) + ": ") + report.detail});
    }
    spool_.journal("ums-failover", events);
    // ums-push may find no reason to come by.
    if (!courier.target_fault()) courier.clean();
    return back;
}

void AtKernels::settle_by_policy(const Seat& seat) {
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
        const auto choice = now - since < wait ? std::nullopt : seats_.choose_another(entry, seat.kernel->name);
        if (!choice) {
            code_.note(exit_code(Fault::later));
            continue;
        }
        const std::string id(entry.name.id());
        if (delivery::policy_of(config_.mds.in_doubt, spool_, entry) == config::DoubtPolicy::resend) {
            const auto name = delivery::assigned(delivery::sent_again(entry.name), choice->site)
                                  .with(attribute::counted_from, static_cast<unsigned long long>(now))
                                  .with(attribute::duplicate, 1);
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

}  // namespace ums::failover
