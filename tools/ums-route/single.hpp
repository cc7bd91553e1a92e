// SPDX-License-Identifier: GPL-3.0-or-later
//
// ums-route on one message, without a spool: `ums-route - <job.tmp`.
#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "message/header_block.hpp"

namespace ums::route {

enum class Explain { no, yes };
enum class Json { no, yes };

/// The header block of the message that `fd` gives; the body stays in it. Throws Error{unusable}, which calls it
/// `name`.
message::HeaderBlock read_single(int fd, const std::string& name);

/// Prints where the message goes:
///   one site                `site`
///   no site                 `noroute`
///   several                 a line each, `site TAB recipient, recipient`; `noroute TAB ...` for those without one
///   Json::yes               an object per line: site (null: noroute), recipients, rule (from 1), reason
///   Explain::yes            for each recipient every condition that was looked at, the decision, and the next rule
///   that
///                           would have matched; with Json::yes an object per recipient
/// Returns 0, or exit_attention if a recipient has no route. Throws Error{unusable} for a message without recipients.
int route_single(const config::Config& config, std::string_view connector, const message::HeaderBlock& block,
                 Explain explain, Json json, std::ostream& out);

}  // namespace ums::route
