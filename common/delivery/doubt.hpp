// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is done about a message that may have arrived, and of which nothing can be found out.
#pragma once

#include "config/config.hpp"
#include "spool/spool.hpp"

namespace ums::delivery {

/// The policy of the message's service; of several services the most careful one. A message that cannot be read is held.
config::DoubtPolicy policy_of(const config::InDoubt& in_doubt, const spool::Spool& spool, const spool::Entry& entry);

}  // namespace ums::delivery
