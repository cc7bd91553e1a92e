// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "cli/cli.hpp"

namespace ums::push {

/// What only ums-push is told.
struct Options {
    std::string file;             ///< `-` or one message, delivered without the spool
    std::string connector;        ///< whose it is
    std::vector<std::string> to;  ///< only these kernels and connectors
    std::string probe;
};

int run(const cli::Common& common, const Options& options, report::Reporter& reporter);

/// Delivers the one message given on the command line to options.to. Exit code 65 if the message is unusable, 69 if the
/// target cannot be reached, 75 if it may or may not have arrived; the message itself is the caller's to keep.
int push_single(const cli::Common& common, const Options& options, const config::Config& config,
                report::Reporter& reporter);

}  // namespace ums::push
