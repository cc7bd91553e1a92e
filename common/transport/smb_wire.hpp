// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the SMB store and its workers say to each other over a socket pair: frames of a kind and fields. A request may carry
// one open file (SCM_RIGHTS). Private to the transport module.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "io/disk.hpp"

namespace ums::transport::smb {

enum class Kind : std::uint8_t {
    // Requests. Paths are below the share, decoded, `/`-separated, without a leading slash.
    check,             ///< is the session alive? Connects if there is none: the first request of a worker
    list,              ///< path
    look,              ///< path
    upload,            ///< path, head, offset, length; with a file unless length is 0
    rename,            ///< from, to, 1 if contested, 1 if unique
    download,          ///< path, most: no more bytes than that, 1 to be alone with the file; with a file it goes there
    take,              ///< as rename, then the most: rename and download of what is renamed then, alone, with a file
    remove,            ///< path
    make_directory,    ///< path
    remove_directory,  ///< path; an empty one
    // Replies: any number of the first four, then one of the others.
    progress,  ///< something moved
    item,      ///< kind, name, size, seconds, nanoseconds: of list and look
    content,   ///< bytes: of download
    renamed,   ///< of take: what follows is of the download
    done,      ///< it is so; of download: how many bytes came, one more than the most if there were more
    failed,    ///< errno value, text, 1 if held (Answer::held)
    unusable,  ///< of upload and download: our own file could not be read or written: errno value
};

/// Fields written one after another; what is read back in the same order.
class Fields {
  public:
    Fields() = default;
    explicit Fields(std::string bytes) : bytes_(std::move(bytes)) {}

    Fields& add(std::uint64_t number);
    Fields& add(std::string_view text);
    /// Nothing once there is no such field: then it was not written by us.
    std::uint64_t number();
    std::string_view text();

    const std::string& bytes() const noexcept { return bytes_; }

  private:
    std::string bytes_;
    std::size_t next_ = 0;
};

struct Frame {
    Kind kind = Kind::check;
    Fields fields;
    io::Fd file;  ///< what came with it
};

/// False if the other end is gone. Waits until all is written.
bool send(const io::Fd& socket, Kind kind, const Fields& fields, const io::Fd* file = nullptr);

/// Frames out of a stream of bytes that comes in pieces.
class Inbox {
  public:
    /// Waits for bytes and takes what is there; false if the other end is gone.
    bool receive(const io::Fd& socket);
    /// The next whole frame that has come.
    std::optional<Frame> next();

  private:
    std::string bytes_;
    std::size_t used_ = 0;
    io::Fd file_;
};

}  // namespace ums::transport::smb
