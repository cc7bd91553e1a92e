// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/cli.hpp"
#include "health/health.hpp"

namespace ums::failover {

/// Looks at kernels through their own transport: a canary is written into our stage directory, renamed, read back and
/// removed, as a message would be. One process for each kernel, all at once, each ended when its time is over: a server
/// that hangs delays nobody.
std::vector<health::Look> look_at(const config::Config& config, const std::vector<const config::Kernel*>& kernels,
                                  const spool::Spool& spool);

}  // namespace ums::failover
