// SPDX-License-Identifier: GPL-3.0-or-later
//
// site: what a site makes of the numbers of a message, incoming and outgoing, and which connector an incoming one is
// for. Pure: ums-sitemap shows it, ums-push applies it as the message leaves.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "message/header_block.hpp"

namespace ums::site {

/// The site whose numbering applies to what was received from `kernel`: the first in the configuration that lists it.
const config::Site* site_of_kernel(const config::Config& config, std::string_view kernel) noexcept;

/// The number that `site` forms for a recipient of an incoming message; nothing if its spelling stays. `steps` gets
/// what was done, and why nothing was.
std::optional<std::string> incoming_number(const config::Site& site, const message::Recipient& recipient,
                                           std::vector<number::Step>* steps = nullptr);

/// What the PBX of `site` must dial for a recipient; nothing if it is no number, or the site has no numbering. Throws
/// Error{unusable} as number::outgoing() does.
std::optional<std::string> outgoing_number(const config::Site& site, const message::Recipient& recipient,
                                           std::vector<number::Step>* steps = nullptr);

/// incoming_number() of each recipient; a recipient whose number is international already, or is no number,
/// keeps its spelling and is not among the changes. The header then also gets `X-UMS-Original-Recipient` for each
/// changed one. A site without numbering changes nothing.
message::Edit incoming_edit(const config::Site& site, const message::HeaderBlock& block);

/// What leaves for a kernel of `site`: dial strings as `dial:` says (rewrite: into `RCPT TO`; header:
/// `X-UMS-Dial: <number>` per recipient, in their order, its address where that is no number), and the marks of the
/// site. Always from the numbers in the message. Throws Error{unusable} as outgoing_number() does.
message::Edit outgoing_edit(const config::Site& site, const message::HeaderBlock& block);

/// The first connector one of whose `numbers` covers the number, after normalisation of both (a pattern's `*` and `?`
/// stay; the site's numbering completes them, else that of the MDS); else the site's connector; else nothing.
struct Choice {
    std::optional<std::string> connector;
    std::string reason;
};
Choice choose_connector(const config::Config& config, const config::Site* site, std::string_view number);

}  // namespace ums::site
