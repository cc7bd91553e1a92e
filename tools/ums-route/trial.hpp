// SPDX-License-Identifier: GPL-3.0-or-later
//
// What ums-route tries without a spool being touched: cases with known ends, and what is there against another table.
#pragma once

#include <string>

#include "cli/cli.hpp"
#include "config/config.hpp"
#include "report/report.hpp"

namespace ums::route {

/// `--test FILE`: routes each case (config/cases.hpp) and compares. A line each, `place TAB ok|FAILED TAB what`; below a
/// failed one a diff, `- expected` and `+ got  why`, on lines of their own. With -q only the places of the failed ones; with
/// --json an object each. Returns 0, or exit_attention if one failed. Throws Error{configuration} for a file with mistakes.
int run_cases(const cli::Common& common, const config::Config& config, const std::string& file,
              report::Reporter& reporter);

/// `--simulate DIR|QUEUE [--against FILE]`: routes the messages below a directory, or of a queue of the spool, and prints
/// how many go where; against another configuration also each recipient whose way changes, `name TAB old -> new TAB
/// recipient: why`. Nothing is touched. Returns 0; with --against exit_attention if something changes, as diff(1) does.
int simulate(const cli::Common& common, const config::Config& config, const std::string& where,
             const std::string& against, report::Reporter& reporter);

}  // namespace ums::route
