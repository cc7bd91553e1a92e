// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which site a queued message belongs to, as its name says. `s=` is the site as which it leaves: by its dialling rules, with
// its caller ID. If that is a fallback, `h=` is the site that the rules chose: its numbers without `+` are that one's.
#pragma once

#include "config/config.hpp"
#include "site/site.hpp"
#include "spool/spool.hpp"

namespace ums::delivery {

/// The site that the rules chose; empty if there is none.
std::string_view own_site(const spool::EntryName& name) noexcept;

/// The name of a message that is given to a kernel of the site `to`.
spool::EntryName assigned(const spool::EntryName& name, const std::string& to);

/// Where its numbers were meant; nothing if that is the site as which it leaves.
site::Home home_of(const config::Config& config, const spool::EntryName& name);

/// Whether what is queued for a kernel or connector still leaves from there: the configuration knows its sites, one still
/// falls back to the other, and the kernel is one of its site's. What has no site does. If not, it is decided about anew.
bool still_goes_there(const config::Config& config, const spool::Queue& queue, const spool::EntryName& name);

}  // namespace ums::delivery
