// SPDX-License-Identifier: GPL-3.0-or-later
//
// A directory of an SMB share as a store (MS-SMB2; UNC names); private to the transport module, see open_store().
//
// The work is done by children (smb_worker.hpp), up to `Limits::connections` of them, each with a session of its own that is
// kept from call to call. The first connects alone: a host that is not there, or that does not let us in, is asked once for
// all. A session that the server has dropped while nobody used it is replaced without anybody noticing; one that ends within
// a request leaves a doubt. A request without an answer within its deadline ends with the death of its worker.
//
// SMB2 and SMB3 only, names found by DNS alone. A share's links to other servers (MS-DFSC) are not followed: once a session
// stands, its worker can connect to nobody else. Every packet is signed unless the session is anonymous.
//
// A rename of SMB is two requests, open and rename, and what was opened is renamed under whatever name it has by then. So
// of two that claim a file both can be told that they did, and a publish that was held up on its way could still win
// against its revocation, or even be undone by it after the kernel has seen the file. A contested rename therefore opens
// the file for itself alone, before and after: nobody else has it open then, and nobody can open it under its old name any
// more. (Who asks to open only after the first look is a worker that was killed: its next request, the rename, is never
// sent.) A download opens its file in that way too:
// of two that were told that the file is theirs, only one can get it.
//
// What this store promises less than others do: the library removes what stands under the new name of a rename and then
// renames again. We look before, but who puts a file there between the two loses it. So names must be unique, as those of
// the delivery protocol are.
#pragma once

#include <memory>

#include "transport/store.hpp"

namespace ums::transport {

/// Throws Error{configuration} if the target has no share, or for a way to log in that SMB does not have (basic, digest).
std::unique_ptr<Store> open_smb_store(const target::Target& target, const Access& access, const Limits& limits);

}  // namespace ums::transport
