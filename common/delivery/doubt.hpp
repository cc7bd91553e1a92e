// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is done about a message that may have arrived, and of which nothing can be found out.
#pragma once

#include "config/config.hpp"
#include "spool/spool.hpp"

namespace ums::delivery {

/// The policy of the message's service; of several services the most careful one. A message that cannot be read is held.
config::DoubtPolicy policy_of(const config::InDoubt& in_doubt, const spool::Spool& spool, const spool::Entry& entry);

/// The name when the doubt has ended, and the message had arrived.
spool::EntryName settled(const spool::EntryName& name);
/// The name when the message is sent again although it may have arrived, or because it was taken back. Under another final name:
/// what may lie there, or be taken away from there, is not this one any more, and does not stand in its way.
spool::EntryName sent_again(const spool::EntryName& name);
/// The same for a message that waits for a person; it still says since when it was in doubt.
spool::EntryName held(const spool::EntryName& name);

}  // namespace ums::delivery
