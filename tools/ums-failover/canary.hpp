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
///
/// Where the kernel has `stuck`, the oldest file that waits there for it may be no older than that, by the server's own clock.
std::vector<health::Look> look_at(const config::Config& config, const std::vector<const config::Kernel*>& kernels,
                                  const spool::Spool& spool);

/// Whether a look failed because the kernel takes files and does not send them.
bool is_stuck(std::string_view why) noexcept;

}  // namespace ums::failover
