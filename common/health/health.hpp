// SPDX-License-Identifier: GPL-3.0-or-later
//
// health: the state machine of a kernel, as functions over time and observations.
//
//     up -> suspect -> down -> probation -> up
//
// What the administrator says (enabled, drain, disabled) is apart from it and always wins. A kernel never looked at is
// up. Active looks come from ums-failover (a canary written through the kernel's own transport), passive ones from what
// ums-push met. One writer a file: health/<kernel> is ums-failover's, seen/<kernel> is ums-push's, admin/<kernel> is the
// administrator's. All are small text files below state/, replaced atomically; losing one loses nothing but memory.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "clock/clock.hpp"
#include "config/config.hpp"
#include "io/disk.hpp"

namespace ums::health {

enum class Status {
    up,
    suspect,    ///< the last look failed; gets messages only if no kernel is up
    down,       ///< gets none
    probation,  ///< answers again; gets messages only if no kernel is up or suspect, until it has proved itself
};
std::string_view to_string(Status status) noexcept;

enum class Admin {
    enabled,
    drain,     ///< nothing new is assigned; what is queued still goes
    disabled,  ///< nothing goes; its queue moves on
};
std::string_view to_string(Admin admin) noexcept;
std::optional<Admin> parse_admin(std::string_view text) noexcept;

struct Policy {
    std::chrono::milliseconds interval{
        10'000};                ///< between looks while up; half of it while changing, three times while down
    unsigned fall = 3;          ///< failed looks in a row that make it down
    unsigned rise = 2;          ///< good looks in a row that end its being down
    unsigned passive_fall = 5;  ///< failed batches in a row of ums-push that make it down
    std::chrono::milliseconds hold_down{60'000};  ///< in probation for at least so long
    bool returns_by_itself = true;                ///< fail-back: auto
};
Policy policy_of(const config::Kernel& kernel, const config::Config& config);

struct Health {
    Status status = Status::up;
    clock::Instant since{};          ///< when it came to this status; 0: never looked at
    unsigned failures = 0;           ///< looks that failed in a row
    unsigned successes = 0;          ///< looks that succeeded in a row
    unsigned long long outages = 0;  ///< failed looks while down: the pause between them grows
    clock::Instant last_look{};
    clock::Instant next_look{};
    std::string why;  ///< what the last failed look said
    /// How many messages may be queued for it: after an outage one is let through, then more and more; 0: no limit.
    unsigned allowed = 0;
    bool was_assigned = false;  ///< something since `allowed` was set
    /// In how many outages in a row it was relieved of what it had not fetched, without having fetched anything since: it takes
    /// messages, but nobody knows whether it sends them. While it is not 0, it is given one, and the next when that one was
    /// fetched.
    unsigned unproved = 0;
    clock::Instant relieved{};  ///< the last time
    bool operator==(const Health&) const = default;
};

/// What one look at the kernel found.
struct Look {
    bool good = false;
    std::string text;
    std::optional<Fault> needs_a_person = {};  ///< only a person can mend it: the configuration, a secret
};

/// What ums-push met since its last success.
struct Seen {
    unsigned failures = 0;  ///< batches in a row
    clock::Instant last_failure{};
    clock::Instant last_success{};
    std::string text;
    bool operator==(const Seen&) const = default;
};

struct AdminState {
    Admin admin = Admin::enabled;
    clock::Instant since{};
    std::string who;
};

/// The state after a look at `now`. A clock that was set back only makes waits shorter, never endless.
Health after_look(const Health& before, const Look& look, const Policy& policy, clock::Instant now);
/// The state after what ums-push met, if that is news (later than `before.since`, and not from the future).
Health after_seen(const Health& before, const Seen& seen, const Policy& policy, clock::Instant now);
/// The state after the administrator has said `enabled`: ends a probation that waits for it (fail-back: manual), and is
/// believed where nothing was proved.
Health after_enable(const Health& before, const AdminState& admin, const Policy& policy, clock::Instant now);

/// The state at the beginning of a pass that finds so many messages queued for it: what was let through has gone, so more
/// may follow.
Health after_queue(const Health& before, std::size_t pending) noexcept;

/// The state after what it had not fetched was taken back. Its probation gets longer with each time in a row, up to 64
/// times the hold-down.
Health after_relief(const Health& before, clock::Instant now) noexcept;
/// The state after it was seen to have fetched what it was given since, or to have been given nothing after all.
enum class Proof { fetched, nothing_given };
Health after_proof(const Health& before, Proof proof) noexcept;

/// May new messages be assigned to it: 0 yes; 1, 2 if there is nothing better; nothing: no.
std::optional<int> rank_for_new(const Health& health, Admin admin) noexcept;
/// Whether it has as many messages as it may have for now, with so many queued for it.
bool has_enough(const Health& health, std::size_t pending) noexcept;
/// May ums-push send what is queued for it now?
bool may_send(const Health& health, Admin admin) noexcept;
/// Must its queue move on to other kernels?
bool must_leave(const Health& health, Admin admin) noexcept;

/// Of a kernel that is unproved, and not down: for people.
inline constexpr std::string_view unproved_text =
    "was stuck, and is given one message at a time until it has fetched one";

/// Under which ums-push keeps what it met at a connector: no kernel can be called so.
std::string name_of_connector(std::string_view connector);

/// Files below `<spool>/state`. A file that is missing or cannot be understood is a fresh state.
class Files {
  public:
    Files(io::Disk& disk, std::string state_directory) : disk_(disk), directory_(std::move(state_directory)) {}
    Health load_health(std::string_view kernel) const;
    void save(std::string_view kernel, const Health& health);
    Seen load_seen(std::string_view kernel) const;
    void save(std::string_view kernel, const Seen& seen);
    AdminState load_admin(std::string_view kernel) const;
    void save(std::string_view kernel, const AdminState& admin);

  private:
    std::string path(std::string_view kind, std::string_view kernel) const;
    void write(std::string_view kind, std::string_view kernel, const std::string& content);
    io::Disk& disk_;
    std::string directory_;
};

}  // namespace ums::health
