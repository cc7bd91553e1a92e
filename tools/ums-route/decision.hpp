// SPDX-License-Identifier: GPL-3.0-or-later
//
// What becomes of a recipient: what the rules decide, and what their site says to it. A site that does not send to a
// number (site::refusal()) makes a rejection of it: on its way through the spool, and wherever one asks beforehand.
#pragma once

#include <vector>

#include "config/config.hpp"
#include "rules/rules.hpp"

namespace ums::route {

/// The decision about `recipient` as its site leaves it: a rejection where it refuses the recipient. Its text says why, its
/// reason `site 'munich': ` and the text.
rules::Decision with_site(const config::Config& config, rules::Decision decision, const message::Recipient& recipient);

/// Table::split() of the recipients of the subject's envelope, and behind each site a group of its own for each reason why
/// it refuses recipients.
std::vector<rules::Table::Group> groups_of(const config::Config& config, const rules::Table& table,
                                           const rules::Subject& subject);

}  // namespace ums::route
