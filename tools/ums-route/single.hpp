// SPDX-License-Identifier: GPL-3.0-or-later
//
// ums-route on one message, without a spool: `ums-route - <job.tmp`.
#pragma once

#include <ostream>
#include <string>

#include "config/config.hpp"
#include "message/envelope.hpp"
#include "message/header_block.hpp"
#include "rules/rules.hpp"

namespace ums::route {

enum class Explain { no, yes };
enum class Json { no, yes };

/// A message outside the spool, and all that a rule can ask of it.
class Single {
  public:
    /// Reads `name`, `-` for standard input, which is kept in a temporary file if `table` has rules that need its body.
    /// Throws Error{cannot_read}; Error{unusable}, which calls it `name`, also for a message without recipients.
    Single(const std::string& name, const rules::Table& table);
    /// `connector` is the origin; may be empty.
    rules::Subject subject(std::string connector, clock::Instant at) const;
    const std::vector<message::Recipient>& recipients() const noexcept { return envelope_.recipients; }

  private:
    std::string name_;
    message::HeaderBlock block_;
    message::Envelope envelope_;
    io::Fd file_;
    std::uint64_t body_offset_ = 0;
    std::optional<Bytes> size_;
};

/// Prints where the message goes:
///   one way                 `site`, or `noroute`, `hold`, `reject`
///   several                 a line each, `site TAB recipient, recipient`
///   Json::yes               an object per line: site (or null), action, recipients, rule (from 1), reason
///   Explain::yes            for each recipient every condition that was looked at, the decision, what its site says that
///                           does not send there, and the next rule that would have matched; with Json::yes an object
///                           per recipient
/// Returns 0, or exit_attention if a recipient has no site.
int route_single(const config::Config& config, const rules::Table& table, const rules::Subject& subject,
                 Explain explain, Json json, std::ostream& out);

}  // namespace ums::route
