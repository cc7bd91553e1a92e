// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "cli/cli.hpp"
#include "config/config.hpp"
#include "health/alarms.hpp"
#include "report/report.hpp"
#include "spool/spool.hpp"

namespace ums::failover {

/// Tells people of what begins, changes and ends: `on-event` of the configuration. What was told stands in state/events. A
/// command that hangs and a mail server that is silent take a pass no more than half a minute; what could not be told is
/// tried again.
void tell(const config::Config& config, spool::Spool& spool, const std::vector<health::Condition>& conditions,
          const clock::Clock& clock, report::Reporter& reporter);

}  // namespace ums::failover
