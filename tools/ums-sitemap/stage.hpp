// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "cli/cli.hpp"

namespace ums::sitemap {

/// Works the queue `incoming`: each message goes to the queue of its connector, with the site whose numbering forms its
/// numbers as it leaves. Recipients of several connectors split it. What no connector wants goes to noroute.
int run_stage(const cli::Common& common, const config::Config& config, report::Reporter& reporter);

}  // namespace ums::sitemap
