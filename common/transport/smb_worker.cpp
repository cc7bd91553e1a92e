// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/smb_worker.hpp"

#include <fcntl.h>
#include <libsmbclient.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <vector>

#include "target/target.hpp"
#include "transport/paths.hpp"
#include "transport/smb_library.hpp"
#include "transport/smb_wire.hpp"

namespace ums::transport::smb {

namespace {

constexpr int socket_number = 3;
constexpr std::size_t chunk = 1 << 20;
constexpr int most_tries = 40;
constexpr unsigned pause_us = 50'000;
constexpr rlim_t most_memory = 512UL << 20;  // a server that lists without end must not eat the machine

// A call of the library that failed.
struct Failure {
    int error;
    std::string text;
    bool held = false;
};

// Our own file could not be read or written.
struct OwnFault {
    int error;
};

bool wants_kerberos(const Session& session) {
    return session.method == AuthMethod::negotiate || (session.method == AuthMethod::automatic && session.user.empty());
}

// What the administrator's own smb.conf may say otherwise. Names by DNS alone: asking the local network for them takes
// seconds, and anybody can answer.
std::string configuration_of(const Session& session) {
    std::string text =
        "[global]\n"
        "client min protocol = SMB2_02\n"
        "client max protocol = SMB3\n"
        "name resolve order = host\n"
        "client ntlmv2 auth = yes\n"
        "client lanman auth = no\n"
        "client plaintext auth = no\n"
        "client use spnego = yes\n";
    // Nobody signs a session that nobody logged in to.
    text += std::string("client signing = ") + (session.method == AuthMethod::none ? "if_required" : "required") + "\n";
    text += std::string("client use kerberos = ") + (wants_kerberos(session) ? "required" : "off") + "\n";
    return text;
}

const Session* session_of_callback = nullptr;  // of this process; the library hands nothing of ours to its callback

void copy(const std::string& from, char* to, int size) {
    if (size <= 0) return;
    const auto length = std::min(from.size(), static_cast<std::size_t>(size) - 1);
    std::memcpy(to, from.data(), length);
    to[length] = '\0';
}

void give_credentials(SMBCCTX*, const char*, const char*, char* domain, int domain_size, char* user, int user_size,
                      char* password, int password_size) {
    const auto& session = *session_of_callback;
    copy(session.domain, domain, domain_size);
    copy(session.user, user, user_size);
    copy(session.password, password, password_size);
}

class Worker {
  public:
    Worker(const Session& session, io::Fd socket) : session_(session), socket_(std::move(socket)) {}

    void serve() {
        Inbox inbox;
        for (;;) {
            auto frame = inbox.next();
            if (!frame) {
                if (!inbox.receive(socket_)) return;
                continue;
            }
            try {
                obey(*frame);
            } catch (const Failure& failure) {
                reply(Kind::failed, Fields()
                                        .add(static_cast<std::uint64_t>(failure.error))
                                        .add(failure.text)
                                        .add(std::uint64_t{failure.held ? 1U : 0U}));
            } catch (const OwnFault& fault) {
                reply(Kind::unusable, Fields().add(static_cast<std::uint64_t>(fault.error)));
            }
        }
    }

  private:
    void obey(Frame& request) {
        auto& fields = request.fields;
        errno = 0;  // not every call of the library that fails sets it
        switch (request.kind) {
            case Kind::check: return check();
            case Kind::list: return list(std::string(fields.text()));
            case Kind::look: return look(std::string(fields.text()));
            case Kind::upload: return upload(fields, request.file);
            case Kind::rename: {
                const std::string from(fields.text());
                const std::string to(fields.text());
                const bool contested = fields.number() != 0;
                rename(from, to, contested, fields.number() != 0);
                return reply(Kind::done);
            }
            case Kind::take: {
                const std::string from(fields.text());
                const std::string to(fields.text());
                const bool contested = fields.number() != 0;
                rename(from, to, contested, fields.number() != 0);
                reply(Kind::renamed);
                return download(to, fields.number(), true, request.file);
            }
            case Kind::download: {
                const std::string path(fields.text());
                const auto most = fields.number();
                return download(path, most, fields.number() != 0, request.file);
            }
            case Kind::remove: return remove(std::string(fields.text()));
            case Kind::make_directory: return make_directory(std::string(fields.text()));
            case Kind::remove_directory: return remove_directory(std::string(fields.text()));
            case Kind::progress:
            case Kind::item:
            case Kind::content:
            case Kind::renamed:
            case Kind::done:
            case Kind::failed:
            case Kind::unusable: break;
        }
        ::_exit(1);
    }

    void reply(Kind kind, const Fields& fields = {}) {
        if (!send(socket_, kind, fields)) ::_exit(0);
    }

    [[noreturn]] static void fail(const std::string& doing) {
        const int error = errno == 0 ? EIO : errno;
        throw Failure{error, doing + ": " + std::strerror(error)};
    }

    std::string url(const std::string& path) const {
        return "smb://" + target::url_host(session_.host) + "/" + target::encode_segment(session_.share) + "/" +
               target::encode_path(path);
    }

    void connect() {
        library_ = &Library::shared();
        session_of_callback = &session_;
        const auto& lib = *library_;
        context_ = lib.new_context();
        if (context_ == nullptr) fail("set libsmbclient up");
        lib.set_debug(context_, 0);
        const bool kerberos = wants_kerberos(session_);
        lib.set_kerberos(context_, kerberos ? 1 : 0);
        lib.set_ccache(context_, kerberos ? 1 : 0);
        lib.set_fallback(context_, 0);
        lib.set_no_anonymous(context_, session_.method == AuthMethod::none ? 0 : 1);
        lib.set_auth(context_, give_credentials);
        lib.set_timeout(context_, static_cast<int>(session_.patience.count()));
        if (session_.port != 0) lib.set_port(context_, session_.port);
        if (lib.init_context(context_) == nullptr) fail("set libsmbclient up");
        configure();
    }

    void configure() {
        const auto text = configuration_of(session_);
        const io::Fd file(::memfd_create("smb.conf", MFD_CLOEXEC));
        if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
            fail("write a configuration for libsmbclient");
        }
        const std::string name = "/proc/self/fd/" + std::to_string(file.get());
        if (library_->set_configuration(context_, name.c_str()) != 0) fail("configure libsmbclient");
        if (library_->set_protocols(context_, "SMB2_02", "SMB3") == 0) fail("configure libsmbclient");
    }

    void check() {
        if (context_ == nullptr) connect();
        struct stat info {};
        if (library_->get_stat(context_)(context_, url("").c_str(), &info) != 0) {
            // What the library makes of a name that it cannot resolve, and of a share that is not there.
            if (errno == EINVAL) throw Failure{ENXIO, "connect: the host name '" + session_.host + "' is not known"};
            if (errno == ENOENT || errno == ENODEV)
                throw Failure{errno, "connect: the server has no share '" + session_.share + "'"};
            if (errno != EACCES && errno != EPERM) fail("connect");
            const std::string who =
                wants_kerberos(session_) ? "no ticket (Kerberos), or it" : "the user '" + session_.user + "'";
            throw Failure{errno, who + " was not accepted, or may not use this share"};
        }
        stay_here();
        reply(Kind::done);
    }

    // A share may have links to other servers (MS-DFSC), and the library would follow them and log in there as us. A session
    // that stands needs no other connection: from now on the kernel refuses them.
    void stay_here() {
        if (stays_) return;
        std::array<sock_filter, 4> program{{
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        }};
        const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
            const int error = errno;
            throw Failure{error, std::string("cannot be kept from other servers (seccomp): ") + std::strerror(error)};
        }
        stays_ = true;
    }

    void tell(ItemKind kind, std::string_view name, std::uint64_t size, const timespec& modified) {
        reply(Kind::item, Fields()
                              .add(static_cast<std::uint64_t>(kind))
                              .add(name)
                              .add(size)
                              .add(static_cast<std::uint64_t>(modified.tv_sec))
                              .add(static_cast<std::uint64_t>(modified.tv_nsec)));
    }

    void list(const std::string& path) {
        auto* directory = library_->get_opendir(context_)(context_, url(path).c_str());
        if (directory == nullptr) fail("list '" + path + "'");
        constexpr std::uint16_t is_directory = 0x10;  // FILE_ATTRIBUTE_DIRECTORY, MS-FSCC 2.6
        const auto next = library_->get_readdirplus(context_);
        while (const auto* entry = next(context_, directory)) {
            const std::string_view name = entry->name;
            if (!is_safe_name(name)) continue;
            tell((entry->attrs & is_directory) != 0 ? ItemKind::directory : ItemKind::file, name, entry->size,
                 entry->mtime_ts);
        }
        library_->get_closedir(context_)(context_, directory);
        reply(Kind::done);
    }

    std::optional<struct stat> status(const std::string& path) {
        struct stat info {};
        if (library_->get_stat(context_)(context_, url(path).c_str(), &info) == 0) return info;
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        fail("look");
    }

    void look(const std::string& path) {
        const auto info = status(path);
        if (!info) throw Failure{ENOENT, "look: " + std::string(std::strerror(ENOENT))};
        const auto kind = S_ISDIR(info->st_mode)   ? ItemKind::directory
                          : S_ISREG(info->st_mode) ? ItemKind::file
                                                   : ItemKind::other;
        tell(kind, io::name_of(path), static_cast<std::uint64_t>(info->st_size), info->st_mtim);
        reply(Kind::done);
    }

    // As much as may go at once: of a second's share a quarter.
    std::size_t piece() const {
        const auto share = session_.bytes_per_second;
        return share == 0 ? chunk : static_cast<std::size_t>(std::clamp<std::uint64_t>(share / 4, 512, chunk));
    }

    // So long that no more than our share passes.
    void slow_down(std::size_t bytes) {
        if (session_.bytes_per_second == 0) return;
        constexpr std::uint64_t slice_us = 200'000;
        for (std::uint64_t left = bytes * 1'000'000 / session_.bytes_per_second; left > 0;) {
            const auto now = std::min(left, slice_us);
            ::usleep(static_cast<useconds_t>(now));
            left -= now;
            reply(Kind::progress);  // it is we who wait
        }
    }

    void put(SMBCFILE* file, std::string_view bytes) {
        while (!bytes.empty()) {
            const auto part = bytes.substr(0, piece());
            const auto written = library_->get_write(context_)(context_, file, part.data(), part.size());
            if (written < 0) fail("write");
            if (written == 0) throw Failure{EIO, "write: nothing was taken"};
            bytes.remove_prefix(static_cast<std::size_t>(written));
            if (!bytes.empty() || static_cast<std::size_t>(written) == chunk) reply(Kind::progress);
            slow_down(static_cast<std::size_t>(written));
        }
    }

    void upload(Fields& fields, const io::Fd& source) {
        const std::string path(fields.text());
        const std::string_view head = fields.text();
        auto offset = fields.number();
        auto left = fields.number();
        auto* file = library_->get_open(context_)(context_, url(path).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666);
        if (file == nullptr) fail("create");
        try {
            // The head and the beginning of the rest in one packet.
            std::size_t filled = std::min(head.size(), chunk);
            buffer_.assign(head.substr(0, filled));
            if (filled < head.size()) {
                put(file, head);
                buffer_.clear();
                filled = 0;
            }
            while (left > 0 || filled > 0) {
                buffer_.resize(std::min<std::uint64_t>(chunk, filled + left));
                while (filled < buffer_.size()) {
                    const auto got = ::pread(source.get(), buffer_.data() + filled, buffer_.size() - filled,
                                             static_cast<off_t>(offset));
                    if (got < 0 && errno == EINTR) continue;
                    if (got <= 0) throw OwnFault{got < 0 ? errno : EIO};
                    filled += static_cast<std::size_t>(got);
                    offset += static_cast<std::uint64_t>(got);
                    left -= static_cast<std::uint64_t>(got);
                }
                put(file, buffer_);
                filled = 0;
            }
        } catch (...) {
            library_->get_close(context_)(context_, file);
            throw;
        }
        if (library_->get_close(context_)(context_, file) != 0) fail("close");
        reply(Kind::done);
    }

    void rename(const std::string& from, const std::string& to, bool contested, bool unique) {
        // Both before and after: who opened it before us could rename it between our two requests, or after them.
        const bool there = !contested || make_sure(from);
        if (!unique && status(to)) {
            if (contested) make_sure(to);
            throw Failure{EEXIST, "rename: " + std::string(std::strerror(EEXIST))};
        }
        if (!there) throw Failure{ENOENT, "rename: " + std::string(std::strerror(ENOENT))};
        if (library_->get_rename(context_)(context_, url(from).c_str(), context_, url(to).c_str()) != 0) fail("rename");
        if (contested && !make_sure(to)) throw Failure{ENOENT, "rename: somebody else was faster"};
    }

    // Opened for us alone, so that nobody else can have it open; null if somebody has, or with ENOENT.
    SMBCFILE* open_alone(const std::string& path) {
        library_->set_share_mode(context_, SMBC_SHAREMODE_DENY_ALL);
        auto* file = library_->get_open(context_)(context_, url(path).c_str(), O_RDONLY, 0);
        const int error = errno;
        library_->set_share_mode(context_, SMBC_SHAREMODE_DENY_NONE);
        errno = error;
        if (file == nullptr && error != EBUSY && error != ETXTBSY && error != ENOENT) fail("open");
        return file;
    }

    // That nobody else has it open; false if it is not there.
    bool make_sure(const std::string& path) {
        for (int tries = 0; tries < most_tries; ++tries) {
            auto* file = open_alone(path);
            if (file != nullptr) {
                library_->get_close(context_)(context_, file);
                return true;
            }
            if (errno == ENOENT) return false;
            reply(Kind::progress);
            ::usleep(pause_us);
        }
        throw Failure{EBUSY, "somebody has it open, and could still rename it", true};
    }

    // Into `into` if there is such a file, else to the other end.
    void download(const std::string& path, std::uint64_t most, bool alone, const io::Fd& into) {
        auto* file = alone ? open_alone(path) : library_->get_open(context_)(context_, url(path).c_str(), O_RDONLY, 0);
        if (file == nullptr && alone && errno != ENOENT) throw Failure{EBUSY, "open: somebody else has it open"};
        if (file == nullptr) fail("open");
        std::uint64_t received = 0;
        try {
            for (;;) {
                // One byte more than is wanted shows that there are more.
                buffer_.resize(std::min<std::uint64_t>(piece(), most + 1 - received));
                const auto got = library_->get_read(context_)(context_, file, buffer_.data(), buffer_.size());
                if (got < 0) fail("read");
                received += static_cast<std::uint64_t>(got);
                const std::string_view part(buffer_.data(), static_cast<std::size_t>(got));
                if (!into) {
                    if (!part.empty()) reply(Kind::content, Fields().add(part));
                } else {
                    keep(into,
                         part.substr(0, part.size() - std::min<std::size_t>(part.size(), received > most ? 1 : 0)));
                    if (received <= most && part.size() == buffer_.size()) reply(Kind::progress);
                }
                // Fewer than were asked for: the library found the end.
                if (received > most || part.size() < buffer_.size()) break;
                slow_down(static_cast<std::size_t>(got));
            }
        } catch (...) {
            library_->get_close(context_)(context_, file);
            throw;
        }
        library_->get_close(context_)(context_, file);
        if (into) ::sync_file_range(into.get(), 0, 0, SYNC_FILE_RANGE_WRITE);  // as io::Disk::write_back() does
        reply(Kind::done, Fields().add(received));
    }

    static void keep(const io::Fd& into, std::string_view bytes) {
        while (!bytes.empty()) {
            const auto written = ::write(into.get(), bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) throw OwnFault{written < 0 ? errno : EIO};
            bytes.remove_prefix(static_cast<std::size_t>(written));
        }
    }

    void remove(const std::string& path) {
        if (library_->get_unlink(context_)(context_, url(path).c_str()) != 0) fail("remove");
        reply(Kind::done);
    }

    void make_directory(const std::string& path) {
        if (library_->get_mkdir(context_)(context_, url(path).c_str(), 0777) != 0) {
            if (errno != EEXIST) fail("make the directory '" + path + "'");
            const auto there = status(path);
            if (!there || !S_ISDIR(there->st_mode)) throw Failure{EEXIST, "it exists and is no directory"};
        }
        reply(Kind::done);
    }

    void remove_directory(const std::string& path) {
        if (library_->get_rmdir(context_)(context_, url(path).c_str()) != 0) fail("remove the directory");
        reply(Kind::done);
    }

    const Session& session_;
    io::Fd socket_;
    const Library* library_ = nullptr;
    bool stays_ = false;
    SMBCCTX* context_ = nullptr;
    std::string buffer_;
};

// In the child. Nothing of the parent's stays open, and its signals do not end a request half-way.
[[noreturn]] void live(const Session& session, const io::Fd& socket) {
    ::signal(SIGTERM, SIG_IGN);
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGPIPE, SIG_IGN);
    ::dup2(socket.get(), socket_number);
    ::close_range(socket_number + 1, ~0U, 0);
    const int nothing = ::open("/dev/null", O_RDWR);
    for (int standard = 0; standard < socket_number; ++standard) ::dup2(nothing, standard);
    ::close(nothing);
    ::fcntl(socket_number, F_SETFD, FD_CLOEXEC);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which map terabytes
    const rlimit memory{most_memory, most_memory};
    ::setrlimit(RLIMIT_DATA, &memory);
#endif
    try {
        Worker(session, io::Fd(socket_number)).serve();
    } catch (...) {  // no memory: the parent sees the end
        ::_exit(1);
    }
    ::_exit(0);
}

}  // namespace

Child start(const Session& session) {
    Library::shared();
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        throw system_error(Fault::later, "make a socket pair", errno);
    }
    io::Fd ours(ends[0]);
    const io::Fd theirs(ends[1]);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) throw system_error(Fault::later, "start a worker for SMB", errno);
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(1);
        live(session, theirs);
    }
    return {pid, std::move(ours)};
}

}  // namespace ums::transport::smb
