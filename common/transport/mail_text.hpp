// SPDX-License-Identifier: GPL-3.0-or-later
//
// A message as mail data, RFC 5321 2.3.8 and 4.5.2; private to the transport module.
//
// On the wire every line ends with CRLF and nothing else is a line end, so that no two servers can disagree about where
// the data ends: LF alone becomes CRLF; CRs before a line end go; a CR anywhere else becomes a line end. Then a dot at
// the beginning of a line is doubled. Lines are never folded: a server that has a limit says so (4.5.3.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "io/disk.hpp"
#include "text/units.hpp"
#include "transport/store.hpp"

namespace ums::transport {

/// What must be known of a message before it is offered.
struct MailFacts {
    Bytes size;              ///< with its CRLFs, without doubled dots (RFC 1870)
    bool eight_bit = false;  ///< a byte above 127
    bool nul = false;        ///< no mail can carry it
};

/// The encoder: put() any number of parts, then finish() once.
class MailText {
  public:
    /// Appends what `part` becomes to `out`.
    void put(std::string_view part, std::string& out);
    /// The last line gets its end if it has none. The dot is not among it.
    void finish(std::string& out);
    const MailFacts& facts() const noexcept { return facts_; }

  private:
    void end_line(std::string& out);

    MailFacts facts_;
    bool at_line_start_ = true;
    std::uint64_t returns_ = 0;  ///< CRs not yet written
};

/// Gives all of `body` as mail data to `each`, in parts of some 64 KiB; false ends it early. Throws Error{cannot_read}.
void for_each_part(io::Disk& disk, const Body& body, const std::function<bool(std::string_view data)>& each);

/// Reads all of `body` once.
MailFacts facts_of(io::Disk& disk, const Body& body);

}  // namespace ums::transport
