// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "cli/cli.hpp"

namespace ums::spool_tool {

struct ListOptions {
    std::vector<std::string> queues;  ///< `outgoing`, `site/munich`, `kernel`, ...; empty: all but sent
    bool failed = false;              ///< only what is in failed
    bool noroute = false;
    bool held = false;  ///< only what is on hold, in any queue
    bool in_doubt = false;
};

enum class Action { hold, release, requeue, remove };

/// Everything that waits, a line each: name, place, and why it is there.
int list(const cli::Common& common, const ListOptions& options, report::Reporter& reporter);
/// One message: where it is, what its name says, its header.
int show(const cli::Common& common, const std::vector<std::string>& given, report::Reporter& reporter);
/// What happened to a message, from the journal, and where it is now.
int trace(const cli::Common& common, const std::vector<std::string>& given, report::Reporter& reporter);
/// Moves or deletes messages. Never touches what a worker has in hand.
int act(const cli::Common& common, Action action, const std::vector<std::string>& given, const std::string& reason,
        report::Reporter& reporter);

}  // namespace ums::spool_tool
