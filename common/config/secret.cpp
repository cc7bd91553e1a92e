// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>

#include "config/config.hpp"
#include "error/error.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t longest_secret = 4096;
constexpr auto command_deadline = std::chrono::seconds(30);

class Descriptor {
  public:
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    ~Descriptor() { close(); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const noexcept { return fd_; }
    void close() noexcept {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

  private:
    int fd_;
};

bool is_own_group(gid_t group) {
    if (group == ::getegid()) return true;
    std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
    const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
    groups.resize(static_cast<std::size_t>(std::max(count, 0)));
    return std::find(groups.begin(), groups.end(), group) != groups.end();
}

enum class Guard { file, credential };

void refuse_readable_by_others(const struct stat& status, const std::string& name, Guard guard) {
    const auto bits = status.st_mode & 07777U;
    unsigned allowed = 0700;
    // root gives a service its secret through the service's group.
    if (status.st_uid == 0 && is_own_group(status.st_gid)) allowed |= 0040U;
    // systemd grants by an access list, and the group bits show its mask; the directory is closed to everybody else.
    if (guard == Guard::credential) allowed |= 0070U;
    if ((bits & 0777U & ~allowed) != 0) {
        throw Error(Fault::permission, "refused to read the secret " + text::quote(name) +
                                           ": others can read or change it; make it chmod 600");
    }
}

// The first line of what was read, which is all of the secret.
std::string first_line(std::string text, const std::string& what) {
    if (const auto end = text.find('\n'); end != std::string::npos) text.resize(end);
    if (text.ends_with('\r')) text.pop_back();
    if (text.empty()) throw Error(Fault::configuration, what + " is empty");
    if (text.size() > longest_secret) throw Error(Fault::configuration, what + " is longer than 4096 bytes");
    if (text.find('\0') != std::string::npos) throw Error(Fault::configuration, what + " has a NUL byte");
    return text;
}

std::string read_secret_file(const std::string& name, Guard guard) {
    const std::string doing = "read the secret " + text::quote(name);
    // O_NONBLOCK: a pipe in this place must not hang the program before it can be refused.
    const Descriptor fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (fd.get() < 0) throw system_error(fault_of_errno(errno, Fault::configuration), doing, errno);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) throw system_error(Fault::configuration, doing, errno);
    if (!S_ISREG(status.st_mode)) throw Error(Fault::configuration, "cannot " + doing + ": it is no regular file");
    refuse_readable_by_others(status, name, guard);

    std::string text(longest_secret + 2, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const auto count = ::read(fd.get(), text.data() + size, text.size() - size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw system_error(Fault::configuration, doing, errno);
        if (count == 0) break;
        size += static_cast<std::size_t>(count);
    }
    text.resize(size);
    return first_line(std::move(text), "the secret " + text::quote(name));
}

// A shell that runs `command` in a process group of its own, so that it ends with all it started.
class Shell {
  public:
    Shell(const std::string& command, int output) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, output, 1);
        // What a program that waits for signals has blocked or ignored, its children must not inherit.
        sigset_t all;
        sigset_t none;
        sigfillset(&all);
        sigemptyset(&none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
        std::string shell = "sh";
        std::string option = "-c";
        std::string text = command;
        char* const arguments[] = {shell.data(), option.data(), text.data(), nullptr};
        const int error = ::posix_spawn(&pid_, "/bin/sh", &actions, &attributes, arguments, environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        if (error != 0) throw system_error(Fault::configuration, "run the password command", error);
    }
    ~Shell() {
        if (pid_ <= 0) return;
        ::kill(-pid_, SIGKILL);
        wait(Clock::time_point::max());
    }
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;

    /// Its wait status; nothing if it still runs then.
    std::optional<int> wait(Clock::time_point until) {
        for (;;) {
            int status = 0;
            const auto ended = ::waitpid(pid_, &status, until == Clock::time_point::max() ? 0 : WNOHANG);
            if (ended == pid_ || (ended < 0 && errno != EINTR)) {
                pid_ = 0;
                return ended < 0 ? -1 : status;
            }
            if (ended == 0 && Clock::now() >= until) return std::nullopt;
            if (ended == 0) ::poll(nullptr, 0, 5);
        }
    }

  private:
    pid_t pid_ = 0;
};

// Of the command's text nothing is said: people put the secret itself there.
std::string run_secret_command(const std::string& command) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error(Fault::configuration, "run the password command", errno);
    const Descriptor output(ends[0]);
    Descriptor input(ends[1]);
    Shell shell(command, input.get());
    input.close();

    const auto deadline = Clock::now() + command_deadline;
    const auto too_slow = [] { return Error(Fault::configuration, "the password command did not end within 30s"); };
    std::string text;
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) throw too_slow();
        pollfd ready{output.get(), POLLIN, 0};
        const int found = ::poll(&ready, 1, static_cast<int>(left.count()));
        if (found < 0 && errno != EINTR)
            throw system_error(Fault::configuration, "read from the password command", errno);
        if (found <= 0) continue;
        char block[1024];
        const auto count = ::read(output.get(), block, sizeof block);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw system_error(Fault::configuration, "read from the password command", errno);
        if (count == 0) break;
        // The rest is read all the same: a command that writes on must not fail for it.
        if (text.size() <= longest_secret + 1) text.append(block, static_cast<std::size_t>(count));
    }
    const auto status = shell.wait(deadline);
    if (!status) throw too_slow();
    if (*status < 0) throw Error(Fault::configuration, "the exit status of the password command is lost");
    if (WIFSIGNALED(*status)) {
        throw Error(Fault::configuration,
                    "the password command was ended by signal " + std::to_string(WTERMSIG(*status)));
    }
    if (WEXITSTATUS(*status) != 0) {
        throw Error(Fault::configuration,
                    "the password command failed with exit status " + std::to_string(WEXITSTATUS(*status)));
    }
    return first_line(std::move(text), "the output of the password command");
}

std::string read_credential(const std::string& name) {
    const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
    if (!directory || *directory == '\0') {
        throw Error(Fault::configuration,
                    "cannot read the credential " + text::quote(name) +
                        ": CREDENTIALS_DIRECTORY is not set; systemd sets it for LoadCredential=");
    }
    return read_secret_file(std::string(directory) + "/" + name, Guard::credential);
}

}  // namespace

std::string read_secret(const Secret& secret) {
    if (secret == Secret{}) return {};
    // What a crash leaves would hold it.
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    if (!secret.file.empty()) return read_secret_file(secret.file, Guard::file);
    if (!secret.command.empty()) return run_secret_command(secret.command);
    if (!secret.credential.empty()) return read_credential(secret.credential);
    return {};
}

}  // namespace ums::config
