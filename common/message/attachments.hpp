// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a message carries: the parts of its MIME body, by type and name. RFC 2045, 2046, 2183, 2231.
//
// The body is read once, as a stream, and never kept: its lines are looked at for boundaries only. What is malformed ends
// the walk, not the message: the parts found so far are what there is.
#pragma once

#include <string>
#include <vector>

#include "message/header_block.hpp"

namespace ums::message {

/// More than any message has that a person made.
inline constexpr std::size_t most_parts = 1000;

/// A part that is no multipart itself. A message without MIME is one part, `text/plain`.
struct Attachment {
    std::string type;  ///< in lower case: `image/tiff`
    std::string name;  ///< of Content-Disposition, else of Content-Type; decoded; may be empty
};

/// The first `most_parts` parts. `body` gives the bytes behind the header block.
std::vector<Attachment> attachments(const HeaderBlock& block, const Reader& body);

}  // namespace ums::message
