// SPDX-License-Identifier: GPL-3.0-or-later
//
// Balancing: in which order the kernels of a site are asked to take a message. Every method yields the complete list, so
// that there is always a next one.
//
// - rotate N, batch K: alternate over those of the first N of the site that may take messages, K messages each; the others
//   in order behind them. N = 1 is "the first, the next only when it is not reachable". With `min-active` M, so many of the
//   kernels that are up rotate even if they are not among the first N.
// - weights: smooth weighted round robin (nginx's: add the weight to each, take the largest, subtract the sum).
// - least-pending: fewest messages queued per channel.
// - hash: the same sender or recipient to the same kernel, by rendezvous hashing, so that a lost kernel moves only its own.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace ums::health {

/// What is known of a kernel when a message is assigned.
struct Candidate {
    std::string kernel;
    int rank = 0;             ///< rank_for_new()
    std::size_t pending = 0;  ///< messages queued for it
    unsigned channels = 1;
};

/// What balancing remembers of a site between messages and runs.
struct Memory {
    unsigned long long count = 0;             ///< messages assigned
    std::map<std::string, long long> credit;  ///< of smooth weighted round robin
};
std::string to_text(const Memory& memory);
Memory parse_memory(std::string_view text);

/// Kernel names, best first. `key` is what `hash:` looks at. Those of a better rank always come first. `memory` moves on.
std::vector<std::string> order(const config::Balance& balance, const std::vector<Candidate>& candidates,
                               std::string_view key, Memory& memory);

}  // namespace ums::health
