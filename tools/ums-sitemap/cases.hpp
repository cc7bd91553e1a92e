// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "cli/cli.hpp"

namespace ums::sitemap {

/// Forms the numbers of the cases in `file` (config/number_cases.hpp) and compares; exit_attention if one becomes
/// something else. A line for each: place, `ok` or `FAILED`, the case, and of a failed one what it becomes, with each
/// step; with -q the places of the failed ones alone; with --json an object each.
int run_cases(const cli::Common& common, const config::Config& config, const std::string& file,
              report::Reporter& reporter);

}  // namespace ums::sitemap
