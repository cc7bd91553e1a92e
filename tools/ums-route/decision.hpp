// SPDX-License-Identifier: GPL-3.0-or-later
//
// What becomes of a recipient: what the rules decide, and what their site says to it. A site that does not send to a
// number (site::refusal()) makes a rejection of it: on its way through the spool, and wherever one asks beforehand.
#pragma once

#include <vector>

#include "config/config.hpp"
#include "rules/rules.hpp"

namespace ums::route {

/// Table::decide(), and a rejection where the site refuses the recipient: its text says why, its reason
/// `site 'munich': ` and the text.
rules::Decision decide(const config::Config& config, const rules::Table& table, const rules::Subject& subject,
                       const message::Recipient& recipient);

/// The decision about `recipient` as its site leaves it.
rules::Decision with_site(const config::Config& config, rules::Decision decision, const message::Recipient& recipient);

/// Table::split(), and behind each site a group of its own for each reason why it refuses recipients.
std::vector<rules::Table::Group> split(const config::Config& config, const rules::Table& table,
                                       const rules::Subject& subject,
                                       const std::vector<message::Recipient>& recipients);

}  // namespace ums::route
