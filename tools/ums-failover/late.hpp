// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/cli.hpp"
#include "config/config.hpp"
#include "health/alarms.hpp"
#include "report/report.hpp"
#include "spool/spool.hpp"

namespace ums::failover {

/// Looks for what has waited for too long in new/ of sites, kernels and connectors, counted from its arrival, or from when a
/// person sent it on its way again.
///
/// - After 15 minutes, 1 hour and 4 hours it is told of, once each (`,l=`).
/// - After `expire` an outgoing message goes back to ums-route with the mark `,a=expired`, which puts it into failed/ and
///   tells its sender, both or neither; an incoming one goes into failed/ itself, as its sender is a telephone.
///
/// What is in doubt, on hold, or being sent is left alone, and nothing is concluded from a clock that has just been set.
class Late {
  public:
    Late(const config::Config& config, const cli::Names& names, spool::Spool& spool, const clock::Clock& clock,
         report::Reporter& reporter, cli::ExitCode& code)
        : config_(config), names_(names), spool_(spool), clock_(clock), reporter_(reporter), code_(code) {}

    void look();
    /// Whose messages wait for too long: those that were told of, whatever the clock says now.
    const std::vector<health::Condition>& delayed() const noexcept { return delayed_; }

  private:
    bool is_clock_trusted();
    void look(const spool::Queue& queue, bool is_clock_trusted);
    void expire(const spool::Queue& queue, const std::vector<spool::Entry>& entries);
    void warn(const spool::Queue& queue, const std::map<unsigned, std::vector<spool::Entry>>& by_level);

    const config::Config& config_;
    const cli::Names& names_;
    spool::Spool& spool_;
    const clock::Clock& clock_;
    report::Reporter& reporter_;
    cli::ExitCode& code_;
    std::vector<health::Condition> delayed_;
};

}  // namespace ums::failover
