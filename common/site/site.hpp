// SPDX-License-Identifier: GPL-3.0-or-later
//
// site: what a site makes of the numbers of a message, incoming and outgoing, and which connector an incoming one is for.
// Pure: ums-sitemap shows it, ums-push applies it as the message leaves.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "message/header_block.hpp"

namespace ums::site {

/// The site whose numbering applies to what was received from `kernel`: the first in the configuration that lists it.
const config::Site* site_of_kernel(const config::Config& config, std::string_view kernel) noexcept;

/// Each recipient's number as the site forms it; a recipient whose number is international already, or is no number,
/// keeps its spelling and is not among the changes. The header then also gets `X-UMS-Original-Recipient` for each
/// changed one. A site without numbering changes nothing.
message::Edit incoming_edit(const config::Site& site, const message::HeaderBlock& block);

/// What leaves for a kernel of `site`: dial strings as `dial:` says (rewrite: into `RCPT TO`; header:
/// `X-UMS-Dial: <number>` per recipient), and the marks of the site. Always from the numbers in the message.
message::Edit outgoing_edit(const config::Site& site, const message::HeaderBlock& block);

/// The first connector one of whose `numbers` covers the number, after normalisation of both (a pattern's `*` and `?`
/// stay); else the site's connector; else nothing.
struct Choice {
    std::optional<std::string> connector;
    std::string reason;
};
Choice choose_connector(const config::Config& config, const config::Site* site, std::string_view number);

}  // namespace ums::site
