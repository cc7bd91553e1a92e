// SPDX-License-Identifier: GPL-3.0-or-later
// probe: `--probe TARGET` of ums-push and ums-fetch.
#pragma once

#include <string>

#include "cli/cli.hpp"
#include "config/config.hpp"
#include "report/report.hpp"

namespace ums::probe {

enum class Use { sending, fetching };

/// `--probe TARGET`: tries a kernel or connector of the configuration, or any URL, and prints what it can do: a table, or
/// JSON. 0 if messages can be carried there safely, 69 if it cannot be reached, 77 if it does not let us in, 1 if something
/// must be changed first. For fetching a connector is its `root`, for sending where its messages are delivered.
int run(const cli::Common& common, const config::Config& config, const std::string& what, Use use,
        report::Reporter& reporter);

}  // namespace ums::probe
