// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/disk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>

#include "text/text.hpp"

namespace ums::io {

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = other.release();
    }
    return *this;
}

int Fd::release() noexcept { return std::exchange(fd_, -1); }

void Fd::reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

namespace {

[[noreturn]] void fail(Fault fault, const std::string& verb, const std::string& path) {
    const int error = errno;
    throw system_error(fault_of_errno(error, fault), verb + " " + text::quote(path), error);
}

template <typename Call>
auto retried(Call call) {
    for (;;) {
        const auto result = call();
        if (result >= 0 || errno != EINTR) return result;
    }
}

std::int64_t nanoseconds(const timespec& time) {
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

FileInfo to_info(const struct stat& st) {
    FileInfo info;
    info.kind = S_ISREG(st.st_mode)   ? FileKind::regular
                : S_ISDIR(st.st_mode) ? FileKind::directory
                : S_ISLNK(st.st_mode) ? FileKind::symlink
                                      : FileKind::other;
    info.size = Bytes{static_cast<std::uint64_t>(st.st_size)};
    info.modified_ns = nanoseconds(st.st_mtim);
    info.changed_ns = nanoseconds(st.st_ctim);
    info.inode = st.st_ino;
    info.links = st.st_nlink;
    return info;
}

constexpr std::size_t block = 256 * 1024;

std::optional<Fd> open_regular(const std::string& path, int mode, Fault fault) {
    Fd fd(retried([&] { return ::open(path.c_str(), mode | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY); }));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENXIO || errno == EISDIR)
            return std::nullopt;
        fail(fault, "open", path);
    }
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) fail(Fault::cannot_read, "stat", path);
    if (!S_ISREG(st.st_mode)) return std::nullopt;
    return fd;
}

// No error that the next fsync has to report is taken from it: sync_file_range(2) looks for one only if told to wait.
void begin_write_back(const Fd& fd) { static_cast<void>(::sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE)); }

// Several files at once.
class Syncing {
  public:
    Syncing(std::span<const Fd* const> fds, const std::string& what) : fds_(fds), what_(what) {}

    void run() {
        constexpr std::size_t most_threads = 16;
        // All of them allocated in one transaction of the file system, in place of one for each few that are synced
        // together.
        for (const Fd* fd : fds_) begin_write_back(*fd);
        std::vector<std::jthread> threads;
        for (std::size_t i = 1; i < std::min(fds_.size(), most_threads); ++i) {
            try {
                threads.emplace_back([this] { work(); });
            } catch (const std::system_error&) {
                break;  // fewer threads do the same work
            }
        }
        work();
        threads.clear();
        if (first_error_ != 0) {
            errno = first_error_;
            fail(Fault::cannot_write, "sync", what_);
        }
    }

  private:
    void work() {
        for (std::size_t i = next_++; i < fds_.size(); i = next_++) {
            if (retried([&] { return ::fsync(fds_[i]->get()); }) != 0) {
                int none = 0;
                first_error_.compare_exchange_strong(none, errno);
            }
        }
    }

    std::span<const Fd* const> fds_;
    const std::string& what_;
    std::atomic<std::size_t> next_ = 0;
    std::atomic<int> first_error_ = 0;
};

class LateWork final : public Disk::Work {
  public:
    explicit LateWork(std::function<void()> work) : work_(std::move(work)) {}
    void finish() override {
        if (const auto work = std::exchange(work_, nullptr)) work();
    }

  private:
    std::function<void()> work_;
};

class ThreadWork final : public Disk::Work {
  public:
    explicit ThreadWork(const std::function<void()>& work) : thread_([this, work] { run(work); }) {}
    void finish() override {
        if (thread_.joinable()) thread_.join();
        if (const auto thrown = std::exchange(thrown_, nullptr)) std::rethrow_exception(thrown);
    }

  private:
    void run(const std::function<void()>& work) noexcept {
        try {
            work();
        } catch (...) {
            thrown_ = std::current_exception();
        }
    }

    std::exception_ptr thrown_;
    std::jthread thread_;  // last: it ends before what it uses
};

}  // namespace

Fd PosixDisk::create(const std::string& path) {
    const mode_t mode = sharing_ == Sharing::by_umask ? 0666 : 0640;
    Fd fd(retried([&] { return ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, mode); }));
    if (!fd) fail(Fault::cannot_write, "create", path);
    return fd;
}

std::optional<Fd> PosixDisk::open(const std::string& path) { return open_regular(path, O_RDONLY, Fault::cannot_read); }

std::optional<Fd> PosixDisk::open_to_write(const std::string& path) {
    return open_regular(path, O_RDWR, Fault::cannot_write);
}

Fd PosixDisk::open_or_create(const std::string& path) {
    Fd fd(retried([&] { return ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0640); }));
    if (!fd) fail(Fault::cannot_write, "open", path);
    return fd;
}

void PosixDisk::write(const Fd& fd, std::string_view data, const std::string& path) {
    while (!data.empty()) {
        const auto n = retried([&] { return ::write(fd.get(), data.data(), data.size()); });
        if (n < 0) fail(Fault::cannot_write, "write", path);
        data.remove_prefix(static_cast<std::size_t>(n));
    }
}

std::size_t PosixDisk::read(const Fd& fd, std::span<char> buffer, std::uint64_t offset, const std::string& path) {
    std::size_t got = 0;
    while (got < buffer.size()) {
        const auto n = retried([&] {
            return ::pread(fd.get(), buffer.data() + got, buffer.size() - got, static_cast<off_t>(offset + got));
        });
        if (n < 0) fail(Fault::cannot_read, "read", path);
        if (n == 0) break;
        got += static_cast<std::size_t>(n);
    }
    return got;
}

void PosixDisk::copy(const Fd& from, std::uint64_t offset, Bytes length, const Fd& to, const std::string& path) {
    std::uint64_t left = length.count;
    auto position = static_cast<off_t>(offset);
    while (left > 0) {
        const auto n = retried([&] {
            return ::copy_file_range(from.get(), &position, to.get(), nullptr, std::min<std::uint64_t>(left, 1 << 30),
                                     0);
        });
        if (n > 0) {
            left -= static_cast<std::uint64_t>(n);
            continue;
        }
        if (n == 0) break;  // the end of `from`, or a file system that says nothing: read() decides
        if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS && errno != EPERM) {
            fail(Fault::cannot_write, "copy to", path);
        }
        break;
    }
    if (left == 0) return;
    std::vector<char> buffer(std::min<std::uint64_t>(left, block));
    while (left > 0) {
        const std::span<char> part(buffer.data(), std::min<std::uint64_t>(left, buffer.size()));
        const std::size_t n = read(from, part, static_cast<std::uint64_t>(position), path);
        if (n == 0) {
            throw Error(Fault::cannot_read, "cannot copy " + text::quote(path) + ": it is shorter than it was");
        }
        write(to, {part.data(), n}, path);
        position += static_cast<off_t>(n);
        left -= n;
    }
}

void PosixDisk::append(const std::string& path, std::string_view data) {
    const Fd fd(
        retried([&] { return ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640); }));
    if (!fd) fail(Fault::cannot_write, "open", path);
    write(fd, data, path);
}

void PosixDisk::sync(const Fd& fd, const std::string& path) {
    // After EIO the kernel may have dropped the pages, so a second fsync that succeeds proves nothing: no retry.
    if (retried([&] { return ::fsync(fd.get()); }) != 0) fail(Fault::cannot_write, "sync", path);
}

std::unique_ptr<Disk::Work> Disk::start(std::function<void()> work) {
    return std::make_unique<LateWork>(std::move(work));
}

std::unique_ptr<Disk::Work> PosixDisk::start(std::function<void()> work) {
    try {
        return std::make_unique<ThreadWork>(work);
    } catch (const std::system_error&) {
        return Disk::start(std::move(work));
    }
}

void PosixDisk::sync_all(std::span<const Fd* const> fds, const std::string& what) {
    if (fds.size() < 2) {
        for (const Fd* fd : fds) sync(*fd, what);
        return;
    }
    Syncing(fds, what).run();
}

void PosixDisk::write_back(const Fd& fd) { begin_write_back(fd); }

void PosixDisk::sync_directory(const std::string& path) {
    const Fd fd(retried([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (!fd) fail(Fault::cannot_write, "open directory", path);
    if (retried([&] { return ::fsync(fd.get()); }) != 0) fail(Fault::cannot_write, "sync directory", path);
}

Renamed PosixDisk::rename(const std::string& from, const std::string& to) {
    const int result =
        retried([&] { return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE); });
    if (result == 0) return Renamed::moved;
    if (errno == ENOENT) return Renamed::source_missing;
    if (errno == EEXIST) return Renamed::target_exists;
    if (errno == EINVAL || errno == ENOSYS) {
        throw Error(Fault::cannot_write, "cannot move " + text::quote(from) + " to " + text::quote(to) +
                                             ": the file system has no rename without replacing");
    }
    const int error = errno;
    throw system_error(fault_of_errno(error, Fault::cannot_write),
                       "move " + text::quote(from) + " to " + text::quote(to), error);
}

void PosixDisk::replace(const std::string& from, const std::string& to) {
    if (retried([&] { return ::rename(from.c_str(), to.c_str()); }) != 0) fail(Fault::cannot_write, "replace", to);
}

bool PosixDisk::remove(const std::string& path) {
    if (retried([&] { return ::unlink(path.c_str()); }) == 0) return true;
    if (errno == ENOENT) return false;
    fail(Fault::cannot_write, "remove", path);
}

bool PosixDisk::make_directory(const std::string& path) {
    const mode_t mode = sharing_ == Sharing::by_umask ? 0777 : 0750;
    if (retried([&] { return ::mkdir(path.c_str(), mode); }) == 0) return true;
    if (errno == EEXIST) return false;
    fail(Fault::cannot_write, "create directory", path);
}

bool PosixDisk::remove_directory(const std::string& path) {
    if (retried([&] { return ::rmdir(path.c_str()); }) == 0) return true;
    if (errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST) return false;
    fail(Fault::cannot_write, "remove directory", path);
}

Fd PosixDisk::open_directory(const std::string& top, const std::string& below) {
    constexpr int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    Fd fd(retried([&] { return ::open(top.c_str(), flags); }));
    if (!fd) fail(Fault::cannot_read, "open directory", top);
    std::string path = top;
    for (std::size_t start = 0; start < below.size();) {
        const std::size_t end = std::min(below.find('/', start), below.size());
        const std::string name = below.substr(start, end - start);
        start = end + 1;
        path += "/" + name;
        Fd next(retried([&] { return ::openat(fd.get(), name.c_str(), flags | O_NOFOLLOW); }));
        if (!next) {
            const int error = errno;
            struct stat st {};
            if (error == ENOTDIR && ::fstatat(fd.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISLNK(st.st_mode)) {
                throw Error(Fault::permission, text::quote(path) + " is a symbolic link", ELOOP);
            }
            errno = error;
            fail(Fault::cannot_read, "open directory", path);
        }
        fd = std::move(next);
    }
    return fd;
}

bool PosixDisk::list(const std::string& path, const std::function<bool(std::string_view)>& each) {
    Fd fd(retried([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) return false;
        fail(Fault::cannot_read, "open directory", path);
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(fd.get()), [](DIR* d) { return ::closedir(d); });
    if (!directory) fail(Fault::cannot_read, "open directory", path);
    static_cast<void>(fd.release());
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(directory.get());
        if (entry == nullptr) {
            if (errno != 0) fail(Fault::cannot_read, "list", path);
            return true;
        }
        const std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        if (!each(name)) return true;
    }
}

std::optional<FileInfo> PosixDisk::info(const std::string& path) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        fail(Fault::cannot_read, "stat", path);
    }
    return to_info(st);
}

FileInfo PosixDisk::info(const Fd& fd, const std::string& path) {
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) fail(Fault::cannot_read, "stat", path);
    return to_info(st);
}

bool PosixDisk::try_lock(const Fd& fd, const std::string& path) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (retried([&] { return ::fcntl(fd.get(), F_OFD_SETLK, &lock); }) == 0) return true;
    if (errno == EAGAIN || errno == EACCES) return false;
    fail(Fault::cannot_write, "lock", path);
}

Space PosixDisk::space(const std::string& path) {
    struct statvfs st {};
    if (retried([&] { return ::statvfs(path.c_str(), &st); }) != 0)
        fail(Fault::cannot_read, "ask the free space of", path);
    return {Bytes{st.f_blocks * st.f_frsize}, Bytes{st.f_bavail * st.f_frsize}, st.f_files, st.f_favail};
}

namespace {

// As linux/magic.h calls it.
std::uint32_t file_system_of(const std::string& path) {
    struct statfs st {};
    if (retried([&] { return ::statfs(path.c_str(), &st); }) != 0)
        fail(Fault::cannot_read, "ask the file system of", path);
    return static_cast<std::uint32_t>(st.f_type);
}

}  // namespace

std::optional<std::string> PosixDisk::network_file_system(const std::string& path) {
    const auto type = file_system_of(path);
    struct Known {
        std::uint32_t magic;
        const char* name;
    };
    // linux/magic.h and statfs(2); FUSE stands for sshfs and its like, and cannot promise what fsync must.
    static constexpr std::array<Known, 13> known{{{NFS_SUPER_MAGIC, "NFS"},
                                                  {SMB_SUPER_MAGIC, "SMB"},
                                                  {0xff534d42, "CIFS"},
                                                  {0xfe534d42, "SMB2"},
                                                  {0x65735546, "FUSE"},
                                                  {AFS_SUPER_MAGIC, "AFS"},
                                                  {0x6b414653, "AFS"},
                                                  {CODA_SUPER_MAGIC, "Coda"},
                                                  {0x564c, "NCP"},
                                                  {V9FS_MAGIC, "9P"},
                                                  {0x00c36400, "Ceph"},
                                                  {0x0bd00bd0, "Lustre"},
                                                  {0x01161970, "GFS2"}}};
    for (const auto& k : known) {
        if (type == k.magic) return k.name;
    }
    return std::nullopt;
}

bool PosixDisk::may_keep_both_names(const std::string& path) {
    static constexpr std::array<std::uint32_t, 3> one_journal{EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, TMPFS_MAGIC};
    return std::find(one_journal.begin(), one_journal.end(), file_system_of(path)) == one_journal.end();
}

bool PosixDisk::has_writer(const Fd& fd) {
    // A read lease is refused with EAGAIN while anybody has the file open for writing. Other refusals (not the owner, no
    // leases on this file system) say nothing.
    if (::fcntl(fd.get(), F_SETLEASE, F_RDLCK) == 0) {
        ::fcntl(fd.get(), F_SETLEASE, F_UNLCK);
        return false;
    }
    return errno == EAGAIN;
}

std::optional<std::string> read_file(Disk& disk, const std::string& path, Bytes limit) {
    const auto fd = disk.open(path);
    if (!fd) return std::nullopt;
    const auto size = disk.info(*fd, path).size;
    if (size > limit)
        throw Error(Fault::cannot_read, "cannot read " + text::quote(path) + ": it is larger than expected");
    std::string content(size.count, '\0');
    content.resize(disk.read(*fd, content, 0, path));
    return content;
}

void write_file(Disk& disk, const std::string& path, std::string_view content) {
    const std::string partial = path + ".tmp";
    disk.remove(partial);
    try {
        const Fd fd = disk.create(partial);
        disk.write(fd, content, partial);
        disk.sync(fd, partial);
    } catch (...) {
        try {
            disk.remove(partial);
        } catch (const Error&) {  // the first failure tells more
        }
        throw;
    }
    disk.replace(partial, path);
    disk.sync_directory(parent_of(path));
}

void make_directories(Disk& disk, const std::string& path) {
    if (disk.info(path)) return;
    const std::string parent = parent_of(path);
    if (parent != path) make_directories(disk, parent);
    disk.make_directory(path);
    disk.sync_directory(parent);
}

std::string parent_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Fd temporary_file() {
    const char* directory = std::getenv("TMPDIR");
    if (directory == nullptr || *directory == '\0') directory = "/tmp";
    Fd fd(::open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!fd) throw system_error(Fault::cannot_write, "make a temporary file in " + text::quote(directory), errno);
    return fd;
}

Fd zeros(Bytes size) {
    Fd fd(::memfd_create("zeros", MFD_CLOEXEC));
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size.count)) != 0) {
        throw system_error(Fault::later, "make a file in memory", errno);
    }
    return fd;
}

std::string random_token() {
    static constexpr char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    std::array<unsigned char, 16> bytes{};
    std::size_t got = 0;
    while (got < bytes.size()) {
        const auto n = ::getrandom(bytes.data() + got, bytes.size() - got, 0);
        if (n < 0 && errno != EINTR) throw system_error(Fault::internal, "get random bytes", errno);
        if (n > 0) got += static_cast<std::size_t>(n);
    }
    std::string token;
    for (const auto b : bytes) token += alphabet[b & 31];
    return token;
}

}  // namespace ums::io
