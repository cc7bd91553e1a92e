// SPDX-License-Identifier: GPL-3.0-or-later
//
// notice: what the MDS itself has to tell the sender of a message.
//
// A notice is a message to the sender, in the form of a delivery status notification (RFC 3464 in RFC 6522), so that mail
// systems know it for what it is. Its own sender is empty (RFC 3834: never answer an answer). It goes into the `In` of the
// connector that the message came from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clock/clock.hpp"
#include "message/envelope.hpp"
#include "message/header_block.hpp"

namespace ums::notice {

struct Rejection {
    const message::HeaderBlock& block;    ///< of the message that was not sent
    const message::Envelope& envelope;    ///< its envelope
    std::vector<std::size_t> recipients;  ///< who does not get it: indices into the envelope's
    std::string text;                     ///< why, for people
    std::string id;                       ///< of the notice; unique
    std::string mds_id;
    clock::Instant at;
};

/// The whole notice; nothing where nobody can be told, or must not be: no sender, or a message that is an automatic one
/// itself (Auto-Submitted other than `no`, or a list's: Precedence `bulk`, `junk`, `list`).
std::optional<std::string> rejection(const Rejection& rejection);

}  // namespace ums::notice
