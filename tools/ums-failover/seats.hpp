// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli/cli.hpp"
#include "config/config.hpp"
#include "health/alarms.hpp"
#include "health/balance.hpp"
#include "health/health.hpp"
#include "report/report.hpp"
#include "spool/spool.hpp"

namespace ums::failover {

/// `1 message`, `3 messages`.
std::string count_of(std::size_t n, const std::string& what);

/// What is known of one kernel during a pass.
struct Seat {
    const config::Kernel* kernel = nullptr;
    health::Health health;
    health::Admin admin = health::Admin::enabled;
    std::size_t pending = 0;
    bool answered = false;  ///< it was looked at in this pass, and can be worked with: it is well, or stuck

    /// `down`, `disabled`, ...
    std::string state() const;
    /// Whether it takes new messages, as far as its state and kind go; how full it is is another matter.
    bool takes() const;
};

/// The kernels during one pass: how they are, and which of them takes a message.
///
/// What is learnt, and how far each site's turn has come, stands in files below state/, so that the next pass and every
/// other tool knows it. Where such a file cannot be written (a full disk), this pass goes on with what it knows, and ends
/// with exit code 73: what was accepted must not wait for room.
class Seats {
  public:
    /// Reads what earlier passes left. All must outlive it.
    Seats(const cli::Common& common, const config::Config& config, const spool::Spool& spool, const clock::Clock& clock,
          report::Reporter& reporter, cli::ExitCode& code);

    /// Looks at the kernels whose time has come, and takes up what ums-push met and the administrator said.
    void look();

    std::map<std::string, Seat, std::less<>>& all() noexcept { return seats_; }
    /// The kernels that are down or stuck though they should not be, or were and have not proved that they work again.
    std::vector<health::Condition> outages() const;

    struct Choice {
        std::string site;
        std::string kernel;
    };
    /// The site that was decided for, whoever sends the message by now; null if it is gone, or there is none.
    const config::Site* site_of(const spool::EntryName& name) const noexcept;
    /// The best kernel for a message of `site` but `not_this`: of the site, or else of its fallback sites.
    std::optional<Choice> choose(const config::Site& site, const spool::Entry& entry, std::string_view not_this = {});
    /// The same for what is queued for `not_this`; nothing if its site is gone.
    std::optional<Choice> choose_another(const spool::Entry& entry, std::string_view not_this);
    /// choose(), but of the kernels of the site that sends it the next one after `kernel`, so that in the end each is asked.
    std::optional<Choice> choose_after(const spool::Entry& entry, const std::string& kernel);
    /// Whether any kernel but this one takes messages of the site now, or a kernel of its fallback sites.
    bool another_takes(const config::Site& site, std::string_view not_this) const;
    /// A message was given to it.
    void assigned_to(const std::string& kernel);
    /// What was taken back from it, or what it fetched since; the pass goes on with it.
    void relieved(Seat& seat);
    void proved(Seat& seat, health::Proof proof);
    /// Writes down whose turn it is; before the messages move, so that no turn comes twice.
    void save_turns();

    /// Why none of the site's kernels takes a message, in brief.
    std::string reasons(const config::Site& site) const;
    /// It has kernels that take messages, but have enough of them for now.
    bool is_only_full(const config::Site& site) const;

    /// Tells of what is wrong with one kernel (its secret, its owner file): that must not keep messages from the others.
    /// Throws it again if it is of another kind; to be called where it was caught.
    void not_this_kernel(const Seat& seat, const Error& error);

  private:
    template <typename Work>
    void remember(Work work);
    void observe(Seat& seat, const health::Look* look);
    bool takes(const config::Site& site, std::string_view not_this = {}) const;
    static bool is_full(const Seat& seat);
    bool has_enough(const Seat& seat) const;
    void change(Seat& seat, const health::Health& after);
    std::vector<std::string> candidates(const config::Site& site, std::string_view key);
    health::Memory& memory_of(const std::string& site);
    bool sends(const config::Site& fallback, const config::Site& site, const spool::Entry& entry) const;
    std::string balance_key(const config::Site& site, const spool::Entry& entry);

    const cli::Common& common_;
    const config::Config& config_;
    const spool::Spool& spool_;
    const clock::Clock& clock_;
    report::Reporter& reporter_;
    cli::ExitCode& code_;
    health::Files files_;
    std::map<std::string, Seat, std::less<>> seats_;
    std::map<std::string, health::Memory> memories_;  ///< per site: whose turn it is
    std::map<std::string, std::string> saved_;        ///< per site: what of it is written down
    std::set<std::string, std::less<>> told_;         ///< kernels that need a person: said once a pass
};

}  // namespace ums::failover
