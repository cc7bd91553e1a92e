// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "cli/cli.hpp"

namespace ums::fetch {

/// What only ums-fetch is told.
struct Options {
    std::vector<std::string> files;  ///< `-` or messages to put into the spool
    std::string connector;           ///< whose they are
    std::vector<std::string> from;   ///< only these sources: names of connectors and kernels
    std::string take_over;           ///< MDS id
    std::string probe;
};

int run(const cli::Common& common, const Options& options, report::Reporter& reporter);

}  // namespace ums::fetch
