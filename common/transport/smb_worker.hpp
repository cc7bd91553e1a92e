// SPDX-License-Identifier: GPL-3.0-or-later
//
// One SMB session, in a process of its own. Private to the transport module.
//
// libsmbclient waits for its server without end in places, keeps state for the whole process, and brings forty libraries
// along. So it is loaded only where it is needed, and works only in children: one that does not answer in time is killed, and
// nothing of ours is harmed; and several of them work side by side. A child begins with fork() alone, so that no secret
// passes through an argument, an environment or a file, and the libraries are loaded once for all of them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "io/disk.hpp"
#include "transport/store.hpp"

namespace ums::transport::smb {

/// Where a session leads, and as whom.
struct Session {
    std::string host;
    std::uint16_t port = 0;  ///< 0: 445
    std::string share;
    AuthMethod method = AuthMethod::automatic;
    std::string domain;
    std::string user;
    std::string password;
    std::chrono::milliseconds patience{60'000};  ///< the library gives up on an answer after it
    std::uint64_t bytes_per_second = 0;          ///< in either direction; 0: no limit
};

struct Child {
    pid_t pid = -1;
    io::Fd socket;  ///< requests go in, replies come out (smb_wire.hpp)
};

/// Starts a worker. It ends when the socket is closed, or when the thread that started it ends. Nothing that is open here
/// is open there, so that it holds no lock of a parent that was killed. Throws Error{later}, and Error{configuration} if
/// libsmbclient is not installed.
Child start(const Session& session);

}  // namespace ums::transport::smb
