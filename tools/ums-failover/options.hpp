// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "cli/cli.hpp"
#include "health/health.hpp"

namespace ums::failover {

/// One pass, or many with --watch: look at the kernels, move what cannot stay, settle doubts, assign what waits.
int run(const cli::Common& common, report::Reporter& reporter);

/// The table of sites and kernels, or JSON.
int status(const cli::Common& common, report::Reporter& reporter);

/// drain, disable or enable kernels.
int set_admin(const cli::Common& common, const std::vector<std::string>& kernels, health::Admin admin,
              report::Reporter& reporter);

}  // namespace ums::failover
