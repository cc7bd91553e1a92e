// SPDX-License-Identifier: GPL-3.0-or-later
//
// io: descriptors, durable file operations, and the seam where a test injects faults.
//
// Every system call that reads or changes the spool (or a `file:` target) goes through a `Disk`. `PosixDisk` is the real
// one; the tests put one in its place that fails, forgets or dies at a chosen call. Paths are absolute; they are bytes,
// not text.
//
// Durability follows ext4, xfs and btrfs: the content of a file is safe after sync() of it, its name after
// sync_directory() of the directory it stands in; a rename is atomic, and safe once both directories are synced.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "error/error.hpp"
#include "text/units.hpp"

namespace ums::io {

/// An open file descriptor; closed by the destructor.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept;
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    int release() noexcept;
    void reset() noexcept;

  private:
    int fd_ = -1;
};

enum class Renamed {
    moved,
    source_missing,  ///< somebody else took it, or the directory of either name is gone
    target_exists,   ///< nothing was changed
};

enum class FileKind { regular, directory, symlink, other };

/// What stat says of a name, links not followed.
struct FileInfo {
    FileKind kind = FileKind::other;
    Bytes size;
    std::int64_t modified_ns = 0;  ///< mtime, nanoseconds since 1970
    std::int64_t changed_ns = 0;   ///< ctime: since when it has its name, too
    std::uint64_t inode = 0;
    std::uint64_t links = 0;
};

struct Space {
    Bytes total;
    Bytes available;          ///< to us
    std::uint64_t files = 0;  ///< inodes; 0 where the file system does not count them
    std::uint64_t available_files = 0;
};

/// Throws Error for what the caller cannot go on after: `cannot_write` when something was to be changed, `cannot_read`
/// otherwise, `permission` for EACCES and EPERM. The text names the operation and the path. EINTR never surfaces.
class Disk {
  public:
    Disk() = default;
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;
    virtual ~Disk() = default;

    /// Creates `path` for writing; fails if the name exists.
    virtual Fd create(const std::string& path) = 0;
    /// Opens a regular file for reading, links not followed, never blocking on a FIFO. Nothing if there is none or it
    /// is no regular file.
    virtual std::optional<Fd> open(const std::string& path) = 0;
    /// Opens a regular file that is there for reading and writing; nothing if there is none.
    virtual std::optional<Fd> open_to_write(const std::string& path) = 0;
    /// Opens for reading and writing, created if missing: lock files.
    virtual Fd open_or_create(const std::string& path) = 0;
    /// All of `data`, at the descriptor's offset.
    virtual void write(const Fd& fd, std::string_view data, const std::string& path) = 0;
    /// Up to `buffer.size()` bytes at `offset`; fewer only at the end of the file.
    virtual std::size_t read(const Fd& fd, std::span<char> buffer, std::uint64_t offset, const std::string& path) = 0;
    /// `length` bytes of `from` at `offset` to the end of `to`, by reflink or in the kernel where it can. Throws
    /// `cannot_read` if `from` is shorter.
    virtual void copy(const Fd& from, std::uint64_t offset, Bytes length, const Fd& to, const std::string& path) = 0;
    /// `data` in one write at the end of the file, which is created if missing: lines of several writers stay whole.
    virtual void append(const std::string& path, std::string_view data) = 0;
    virtual void sync(const Fd& fd, const std::string& path) = 0;
    /// Several at once, so that the disk can write them together. All are tried; the first failure is thrown.
    virtual void sync_all(std::span<const Fd* const> fds, const std::string& what) = 0;
    /// Something that waits for the disk, going on while other things are done.
    class Work {
      public:
        Work() = default;
        Work(const Work&) = delete;
        Work& operator=(const Work&) = delete;
        virtual ~Work() = default;  ///< if it has begun it comes to its end
        /// Waits for it, and throws what it threw. A second call does nothing.
        virtual void finish() = 0;
    };
    /// Begins `work`. What it uses must stay where it is until the Work is gone. This one does it all in finish().
    virtual std::unique_ptr<Work> start(std::function<void()> work);
    /// Begins to write what is dirty and does not wait for it: a sync later on has less to do. It never fails, and promises
    /// nothing.
    virtual void write_back(const Fd&) {}
    /// The names in a directory made durable. A directory that cannot be opened is a failure, never success.
    virtual void sync_directory(const std::string& path) = 0;
    /// renameat2(RENAME_NOREPLACE). A file system that cannot do it is an error.
    virtual Renamed rename(const std::string& from, const std::string& to) = 0;
    /// rename(2), over what is there: for state files alone.
    virtual void replace(const std::string& from, const std::string& to) = 0;
    /// False if the name was not there.
    virtual bool remove(const std::string& path) = 0;
    /// One level; false if it was there. Not durable before the parent is synced.
    virtual bool make_directory(const std::string& path) = 0;
    /// False if it is not there or not empty.
    virtual bool remove_directory(const std::string& path) = 0;
    /// The directory `below` (segments without `..`; may be empty) the directory `top`, to be used as `/proc/self/fd/<n>/`:
    /// whatever is renamed meanwhile, it stays this one. `top` may be or pass through symbolic links. One below it is an
    /// Error with ELOOP.
    virtual Fd open_directory(const std::string& top, const std::string& below) = 0;
    /// Every name but `.` and `..`, in no order. False if there is no such directory. Returning false stops early.
    virtual bool list(const std::string& path, const std::function<bool(std::string_view)>& each) = 0;
    virtual std::optional<FileInfo> info(const std::string& path) = 0;
    virtual FileInfo info(const Fd& fd, const std::string& path) = 0;
    /// An exclusive open-file-description lock on the whole file; it dies with the last copy of the descriptor. False
    /// if another holds it.
    virtual bool try_lock(const Fd& fd, const std::string& path) = 0;
    virtual Space space(const std::string& path) = 0;
    /// The name of the network file system that `path` is on (`NFS`, `SMB`, ...); nothing for a local one.
    virtual std::optional<std::string> network_file_system(const std::string& path) = 0;
    /// Whether a loss of power may leave a file with both its names when it was moved into another directory and only that one
    /// was synced: btrfs logs names that are new, and of the old one nothing, unless its directory is synced. ext4 and xfs
    /// cannot; of what is not known it is assumed.
    virtual bool may_keep_both_names(const std::string& path) = 0;
    /// True if another process has the file open for writing, as far as the system tells (a read lease, fcntl(2)).
    virtual bool has_writer(const Fd& fd) = 0;
};

/// What others may do with what we create: in the spool at most our group reads; at a target, where a kernel or a
/// connector under another user takes the files away, the umask decides.
enum class Sharing { restricted, by_umask };

class PosixDisk final : public Disk {
  public:
    explicit PosixDisk(Sharing sharing = Sharing::restricted) noexcept : sharing_(sharing) {}
    Fd create(const std::string& path) override;
    std::optional<Fd> open(const std::string& path) override;
    std::optional<Fd> open_to_write(const std::string& path) override;
    Fd open_or_create(const std::string& path) override;
    void write(const Fd& fd, std::string_view data, const std::string& path) override;
    std::size_t read(const Fd& fd, std::span<char> buffer, std::uint64_t offset, const std::string& path) override;
    void copy(const Fd& from, std::uint64_t offset, Bytes length, const Fd& to, const std::string& path) override;
    void append(const std::string& path, std::string_view data) override;
    void sync(const Fd& fd, const std::string& path) override;
    void sync_all(std::span<const Fd* const> fds, const std::string& what) override;
    /// On a thread of its own.
    std::unique_ptr<Work> start(std::function<void()> work) override;
    void write_back(const Fd& fd) override;
    void sync_directory(const std::string& path) override;
    Renamed rename(const std::string& from, const std::string& to) override;
    void replace(const std::string& from, const std::string& to) override;
    bool remove(const std::string& path) override;
    bool make_directory(const std::string& path) override;
    bool remove_directory(const std::string& path) override;
    Fd open_directory(const std::string& top, const std::string& below) override;
    bool list(const std::string& path, const std::function<bool(std::string_view)>& each) override;
    std::optional<FileInfo> info(const std::string& path) override;
    FileInfo info(const Fd& fd, const std::string& path) override;
    bool try_lock(const Fd& fd, const std::string& path) override;
    Space space(const std::string& path) override;
    std::optional<std::string> network_file_system(const std::string& path) override;
    bool may_keep_both_names(const std::string& path) override;
    bool has_writer(const Fd& fd) override;

  private:
    Sharing sharing_;
};

/// Everything in a small file, up to `limit` bytes; nothing if it is not there. A longer file is an error.
std::optional<std::string> read_file(Disk& disk, const std::string& path, Bytes limit = Bytes{1 << 20});
/// Writes `<path>.tmp`, syncs it, renames it over `path`, syncs the directory. After a crash the old or the new content
/// is there, whole.
void write_file(Disk& disk, const std::string& path, std::string_view content);
/// `path` and its missing parents, each made durable in its own parent.
void make_directories(Disk& disk, const std::string& path);
/// The part before the last slash (`/` for a name directly below it), and the part after it.
std::string parent_of(const std::string& path);
std::string name_of(const std::string& path);

/// A file without a name below $TMPDIR, else /tmp, to read and write; gone with its descriptor. Throws
/// Error{cannot_write}.
Fd temporary_file();
/// So many zeros that can be read, in memory of which they take none.
Fd zeros(Bytes size);

/// 16 characters of `[a-z2-7]` from the system's random source, 80 bits.
std::string random_token();

}  // namespace ums::io
