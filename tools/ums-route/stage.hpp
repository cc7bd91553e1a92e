// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "cli/cli.hpp"

namespace ums::route {

/// Works the queue `outgoing`: each message goes to the queue of its site; one with recipients in several sites is split
/// into one message a site; what no rule matches goes to noroute, what cannot be used to failed, each with its reason.
int run_stage(const cli::Common& common, const config::Config& config, report::Reporter& reporter);

}  // namespace ums::route
