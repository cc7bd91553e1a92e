// SPDX-License-Identifier: GPL-3.0-or-later
//
// How an attempt to deliver begins and ends in the spool, whatever carries the message. Private to the delivery module.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "error/error.hpp"
#include "spool/spool.hpp"

namespace ums::delivery {

/// From new/ to sending/ under a new attempt number, durably, before anything of it can be seen outside. Those that another
/// took meanwhile are left out.
std::vector<spool::Entry> begin_attempts(spool::Spool& spool, std::span<const spool::Entry> entries);

enum class Keep {
    no,
    as_sent,         ///< in sent/
    to_be_recalled,  ///< in sent/, with the witness, which says whose queue delivered it
};
/// Delivered: removed, or kept in sent/. On a disk that is nearly full (Spool::require_room()) nothing is kept: a copy is not
/// worth that others wait.
void end_attempts(spool::Spool& spool, std::span<const spool::Entry> entries, Keep keep);

/// How long a message rests after so many refusals: 1, 2, 4, ... 32 minutes, and up to a quarter more, another for each message
/// and refusal, so that those which were refused together do not all come back together.
std::chrono::seconds pause_after(const spool::EntryName& name, unsigned long long refusals);

/// The message alone cannot be opened. Out of descriptors or memory, no other can be either.
bool is_of_one_file(const Error& error);

}  // namespace ums::delivery
