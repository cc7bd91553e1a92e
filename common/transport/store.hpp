// SPDX-License-Identifier: GPL-3.0-or-later
//
// transport: a directory tree somewhere (a local directory, a WebDAV server), seen through the few operations that the
// delivery protocol needs. What the operations mean for messages - stage, witness, publish, revoke, claim - is one
// module above (delivery/courier.hpp, intake/intake.hpp) and the same for all kinds.
//
// Operations take batches and work on all of a batch at once, as many as `Limits::connections` at a time. They throw
// only for faults of our own (a source file that cannot be read, no memory); what the other side does or fails to do is
// an Answer. Nothing is ever overwritten, no redirect is followed, no request is sent twice behind our back, and every
// operation ends within its deadline.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/disk.hpp"
#include "target/target.hpp"
#include "text/units.hpp"

namespace ums::transport {

/// What the other side did with one request.
enum class Verdict {
    done,         ///< it is so, for certain
    absent,       ///< the thing named is not there (404, 409 for a missing parent, ENOENT)
    exists,       ///< the name is taken; nothing was changed (412, EEXIST)
    refused,      ///< this request is not wanted, others may be (other 4xx, ENAMETOOLONG): perhaps the message's fault
    denied,       ///< credentials or rights (401, 403, 407, EACCES)
    full,         ///< no room (507, ENOSPC, EDQUOT)
    broken,       ///< the other side is ill (5xx, 429, EIO, EROFS), or speaks no protocol that we understand
    unreachable,  ///< no connection: name, route, refusal, TLS; nothing of the request was sent
    unknown,      ///< the request left, and no answer came, or none that we trust
};

struct Answer {
    Verdict verdict = Verdict::done;
    std::string text;  ///< for people: `507 Insufficient Storage`, `connection refused`; empty when done
    int status = 0;    ///< HTTP status, if there was one
    std::optional<std::chrono::seconds> retry_after = std::nullopt;
    /// A contested rename: the file has its new name, but somebody has it open and may still rename it. Never when done.
    bool held = false;

    bool done() const noexcept { return verdict == Verdict::done; }
};

/// `done`, `absent`, ...: for logs and JSON.
std::string_view to_string(Verdict verdict) noexcept;

enum class ItemKind { file, directory, other };

struct Item {
    std::string name;  ///< one path segment, decoded; never empty, `.`, `..`, and without '/' and NUL
    ItemKind kind = ItemKind::file;
    Bytes size;
    std::string version;  ///< changes with the content: mtime and inode, ETag (else time and size); may be empty
    std::optional<std::chrono::sys_seconds> modified;
};

/// What to send: `head`, then `length` bytes of `file` from `offset`. It can be read again from the start.
struct Body {
    std::string head;
    const io::Fd* file = nullptr;
    std::uint64_t offset = 0;
    Bytes length;

    Bytes size() const noexcept { return Bytes{head.size() + length.count}; }
};

/// Paths are relative to the store's root, `/`-separated, decoded, without a leading slash: `R_ExConn/Out/x.tmp`.
struct Upload {
    std::string path;
    Body body;
};

struct Rename {
    std::string from;
    std::string to;
    /// Others may rename the same file at this moment, or an earlier rename of ours may still be carried out: a claim, a
    /// revocation. `done` then also says that none of them can win any more. Where a rename names the file alone (WebDAV,
    /// a directory) that is so anyway. Not for a name that others read: SMB makes sure by opening it for itself alone.
    bool contested = false;
    /// Nobody but us can have made the new name, and we not before: a store that has to look for it first need not.
    bool unique = false;
};

struct Download {
    std::string path;
    const io::Fd* into = nullptr;  ///< empty and writable; the content is appended
    Bytes expected;                ///< the size that the listing said; a different length is `broken`
    Bytes received;                ///< set by download()
};

/// A file that is claimed, and then downloaded under its new name.
struct Take {
    Rename claim;
    Download download;  ///< its path is set by take()
    Answer claimed;
    Answer received;  ///< only where `claimed` is done
};

class Store {
  public:
    Store() = default;
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;
    virtual ~Store() = default;

    /// Every entry of the directory, one level, in no order; the directory itself is not among them. `each` returning
    /// false stops early (the answer is then `done`). Names that are unsafe (see Item) are passed over. Memory does
    /// not grow with the number of entries. `each` must not use the store. A file whose size the server does not tell
    /// is `other`. nginx passes over names with a leading dot.
    virtual Answer list(const std::string& directory, const std::function<bool(const Item&)>& each) = 0;
    /// Exact names, without reading their directories (PROPFIND depth 0, lstat). `items[i]` is set where done.
    virtual std::vector<Answer> look(std::span<const std::string> paths, std::vector<Item>& items) = 0;
    /// Creates a file at a name that must be free, and checks that the size that arrived is the size that was sent
    /// (a difference is `broken`). The directory must be there, else `absent`. A file: content is synced, its name is
    /// not (see sync()). After any answer but `done` the name may hold part of the file; `unknown` with a text that
    /// begins with `stored, but` means that it was taken and its size could not be asked for. A server that ignores
    /// `If-None-Match: *` (nginx) overwrites: names must be unique.
    virtual std::vector<Answer> upload(std::span<const Upload> uploads) = 0;
    /// No-replace rename of files within this store. `done` only for a clear yes (WebDAV: 201, 204). `unreachable`, and
    /// `denied` with status 0, 401 or 407, mean a clear no. Everything else must be taken as doubt. Of many contested
    /// renames of one name exactly one is `done`. Of many renames *to* one name at the same moment several can be (Apache looks
    /// first and renames then): names must be unique.
    virtual std::vector<Answer> rename(std::span<const Rename> renames) = 0;
    /// The length received is checked against `expected`, and against what the server announced. Over SMB it is `refused`
    /// as long as anybody else has the file open: nobody who claimed it at the same moment can then take it as well.
    virtual std::vector<Answer> download(std::span<Download> downloads) = 0;
    /// rename(), and download() of what was `done`: each file at once, while others are still renamed.
    virtual void take(std::span<Take> takes);
    /// Small files whole, at most `limit` bytes (more is `broken`).
    virtual Answer read(const std::string& path, Bytes limit, std::string& content) = 0;
    /// A file removed; `absent` if it was not there. Only for names known to be files: a WebDAV server removes a whole
    /// directory without asking.
    virtual std::vector<Answer> remove(std::span<const std::string> paths) = 0;
    /// One level; `done` also when it was there already. `absent` if the parent is missing. A directory of this machine has a
    /// durable name then.
    virtual Answer make_directory(const std::string& path) = 0;
    enum class DirectoryRemoval {
        none,   ///< nobody needs it
        empty,  ///< one that is not empty stays
        whole,  ///< with all that is in it, by one request; after any answer but `done` and `absent` part of it may be left
    };
    virtual DirectoryRemoval directory_removal() const { return DirectoryRemoval::none; }
    /// For names that nobody else has; `refused` where it is none.
    virtual Answer remove_directory(const std::string& path);
    /// Makes the names in these directories durable where the store can (fsync of the directory); else `done` at once.
    virtual Answer sync(std::span<const std::string> directories) = 0;
    /// What is behind it, as far as answers told up to now: `nginx/1.22.1, HTTP/1.1 over TLS, login: basic`.
    virtual std::string describe() const = 0;
};

enum class AuthMethod { automatic, none, basic, digest, ntlm, negotiate };

/// Everything that opening a store needs beside the address; secrets already read. A user that was not accepted is not
/// tried again for the rest of a batch: that could lock the account.
struct Access {
    AuthMethod method = AuthMethod::automatic;  ///< automatic: digest, and over TLS also basic
    std::string user;
    std::string password;
    std::string ca_file;      ///< PEM; empty: the system's
    std::string certificate;  ///< PEM client certificate
    std::string key;          ///< its key
    std::string pin;          ///< `sha256//...` as libcurl takes it
    std::string proxy;        ///< `http://host:port` or `https://host:port`; empty: none, also not the environment's
    std::string proxy_user;   ///< for the proxy alone, as the ones above are for the target alone
    std::string proxy_password;
    std::vector<std::pair<std::string, std::string>> headers;  ///< HTTP header fields of each request to the target
};

struct Limits {
    unsigned connections = 8;                   ///< at most, at a time to this target
    std::chrono::milliseconds connect{10'000};  ///< to connect, TLS included
    std::chrono::milliseconds answer{60'000};   ///< one request without a body of ours
    std::chrono::milliseconds stall{60'000};    ///< a transfer in which nothing moves for so long is ended
    Bytes slowest{1024};                        ///< per second: below it for `stall` counts as not moving
    Bytes bandwidth{0};                         ///< per second and direction, of all connections together; 0: no limit

    /// What of the bandwidth each connection may use; 0: no limit.
    std::uint64_t share() const noexcept {
        return bandwidth.count == 0 ? 0 : std::max<std::uint64_t>(bandwidth.count / std::max(1U, connections), 1);
    }
    /// How many of the connections a target gets that takes `quickest` for its quickest answer: `near`, and so many more for
    /// each further `step`, as a distant one would have nothing to do between them.
    std::size_t width(std::size_t near, std::chrono::nanoseconds quickest,
                      std::chrono::nanoseconds step) const noexcept {
        return std::min<std::size_t>(std::max(1U, connections),
                                     near * static_cast<std::size_t>(std::max<long>(quickest / step, 1)));
    }
};

/// A store at `target`. Opens no connection: a dead target shows in the first answer. Throws Error{configuration} for
/// a scheme that has no store in this build, and for files named in `access` that cannot be read.
std::unique_ptr<Store> open_store(const target::Target& target, const Access& access, const Limits& limits,
                                  io::Disk& disk);

/// libcurl's global state; one object in main, before any store and before threads.
class Library {
  public:
    Library();
    ~Library();
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;
};

}  // namespace ums::transport
