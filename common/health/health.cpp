// SPDX-License-Identifier: GPL-3.0-or-later
#include "health/health.hpp"

#include <algorithm>

namespace ums::health {

namespace {

constexpr unsigned most_growth = 10;    // times the interval while down
constexpr unsigned most_doublings = 6;  // of the hold-down, for who was stuck again and again

void enter(Health& health, Status status, clock::Instant now) {
    if (health.status == status) return;
    health.status = status;
    health.since = now;
}

void plan_next(Health& health, const Policy& policy, clock::Instant now) {
    switch (health.status) {
        case Status::up: health.next_look = now + policy.interval; break;
        case Status::suspect:
        case Status::probation: health.next_look = now + policy.interval / 2; break;
        case Status::down: {
            const auto factor = std::clamp<unsigned long long>(health.outages, 3, most_growth);
            health.next_look = now + policy.interval * static_cast<long>(factor);
            break;
        }
    }
}

}  // namespace

std::string_view to_string(Status status) noexcept {
    switch (status) {
        case Status::up: return "up";
        case Status::suspect: return "suspect";
        case Status::down: return "down";
        case Status::probation: return "probation";
    }
    return "";
}

std::string_view to_string(Admin admin) noexcept {
    switch (admin) {
        case Admin::enabled: return "enabled";
        case Admin::drain: return "drain";
        case Admin::disabled: return "disabled";
    }
    return "";
}

std::optional<Admin> parse_admin(std::string_view text) noexcept {
    for (const Admin admin : {Admin::enabled, Admin::drain, Admin::disabled}) {
        if (to_string(admin) == text) return admin;
    }
    return std::nullopt;
}

Policy policy_of(const config::Kernel& kernel, const config::Config& config) {
    Policy policy;
    policy.interval = kernel.check.interval;
    policy.fall = kernel.check.fall;
    policy.rise = kernel.check.rise;
    // A kernel of several sites returns as the first of them says.
    for (const auto& site : config.sites) {
        if (std::find(site.kernels.begin(), site.kernels.end(), kernel.name) == site.kernels.end()) continue;
        policy.hold_down = site.hold_down;
        policy.returns_by_itself = site.fail_back == config::FailBack::automatic;
        break;
    }
    return policy;
}

Health after_look(const Health& before, const Look& look, const Policy& policy, clock::Instant now) {
    Health health = before;
    health.last_look = now;
    if (look.good) {
        health.failures = 0;
        ++health.successes;
        switch (health.status) {
            case Status::up: break;
            case Status::suspect: enter(health, Status::up, now); break;
            case Status::down:
                enter(health, Status::probation, now);
                // Who was switched off is not flooded when he comes back.
                health.allowed = policy.hold_down.count() > 0 || health.unproved > 0 ? 1 : 0;
                health.was_assigned = false;
                health.successes = 1;
                health.outages = 0;
                break;
            case Status::probation: break;
        }
        if (health.status == Status::probation && health.successes >= policy.rise && policy.returns_by_itself) {
            const auto waited = now - health.since;
            const auto doublings = std::min(health.unproved - std::min(health.unproved, 1U), most_doublings);
            // A clock set back must not prolong it for ever.
            if (waited >= policy.hold_down * (1U << doublings) || waited < std::chrono::microseconds(0))
                enter(health, Status::up, now);
        }
        if (health.status == Status::up) health.why.clear();
    } else {
        health.successes = 0;
        ++health.failures;
        health.why = look.text;
        switch (health.status) {
            case Status::up: enter(health, Status::suspect, now); break;
            case Status::suspect: break;
            case Status::probation: enter(health, Status::down, now); break;
            case Status::down: ++health.outages; break;
        }
        if (health.status == Status::suspect && health.failures >= policy.fall) enter(health, Status::down, now);
    }
    if (health.since == clock::Instant{}) health.since = now;
    plan_next(health, policy, now);
    return health;
}

Health after_seen(const Health& before, const Seen& seen, const Policy& policy, clock::Instant now) {
    Health health = before;
    // A status from the future is older than a clock that was set back.
    const bool is_news = (seen.last_failure > before.since || before.since > now) && seen.last_failure <= now;
    if (!is_news || seen.failures < policy.passive_fall) return health;
    if (health.status == Status::up || health.status == Status::suspect || health.status == Status::probation) {
        enter(health, Status::down, now);
        health.successes = 0;
        health.why = seen.text;
        plan_next(health, policy, now);
    }
    return health;
}

Health after_enable(const Health& before, const AdminState& admin, const Policy& policy, clock::Instant now) {
    Health health = before;
    if (health.unproved > 0 && admin.admin == Admin::enabled && admin.since > health.relieved) {
        health.unproved = 0;
        if (policy.hold_down.count() == 0) health.allowed = 0;
    }
    if (health.status == Status::probation && !policy.returns_by_itself && admin.admin == Admin::enabled &&
        admin.since >= health.since && health.successes >= policy.rise) {
        enter(health, Status::up, now);
        health.why.clear();
    }
    return health;
}

Health after_queue(const Health& before, std::size_t pending) noexcept {
    constexpr unsigned growth = 8;
    constexpr unsigned most = 1000;
    Health health = before;
    if (health.allowed == 0 || health.unproved > 0 || !health.was_assigned || pending > 0) return health;
    health.allowed = health.allowed >= most ? 0 : health.allowed * growth;
    health.was_assigned = false;
    return health;
}

Health after_relief(const Health& before, clock::Instant now) noexcept {
    Health health = before;
    // A long recall takes several passes, and is one all the same.
    if (health.unproved == 0 || health.relieved < health.since) ++health.unproved;
    health.relieved = now;
    health.allowed = 1;
    health.was_assigned = false;
    return health;
}

Health after_proof(const Health& before, Proof proof) noexcept {
    Health health = before;
    if (proof == Proof::fetched) {
        health.unproved = 0;
    } else {
        health.was_assigned = false;
    }
    return health;
}

bool has_enough(const Health& health, std::size_t pending) noexcept {
    if (health.unproved > 0 && health.was_assigned) return true;
    return health.allowed > 0 && pending >= health.allowed;
}

std::optional<int> rank_for_new(const Health& health, Admin admin) noexcept {
    if (admin != Admin::enabled) return std::nullopt;
    switch (health.status) {
        case Status::up: return 0;
        case Status::suspect: return 1;
        case Status::probation: return 2;
        case Status::down: return std::nullopt;
    }
    return std::nullopt;
}

bool may_send(const Health& health, Admin admin) noexcept {
    return admin != Admin::disabled && health.status != Status::down;
}

bool must_leave(const Health& health, Admin admin) noexcept {
    return admin == Admin::disabled || health.status == Status::down;
}

}  // namespace ums::health
