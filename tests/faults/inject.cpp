// SPDX-License-Identifier: GPL-3.0-or-later
//
// Runs a program, counts its system calls, with those of all its processes and threads, and lets one of them go wrong.
//
//     inject REPORT FIRST FAULT NUMBER PROGRAM [ARGUMENT...]
//
// Counted is from the first call that opens the file FIRST: what the loader does is over by then. FAULT:
//
//     none        nothing; REPORT has the name of each call, a line each
//     kill        all processes die before call NUMBER (1: the first)
//     kill-after  all die after it
//     kill-one    the process that makes it dies before it, the others live
//     short       it moves the first half of its bytes alone
//     EIO, ...    it is not made, and fails like this; a close is made
//
// With a fault REPORT is `fired NAME`, or empty if the program made no such call, or it had less than two bytes to move. Ends
// as the program ends; 128 and the signal if it died of one. 125: it could not be traced. See ptrace(2); x86_64 alone.
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

struct Call {
    long number;
    const char* name;
    int length;  ///< which argument says how many bytes are to be moved; -1: none
};

// Those that do something with a file, a descriptor or a process. Any other call has its number for a name.
constexpr std::array calls{
    Call{SYS_read, "read", 2},
    Call{SYS_write, "write", 2},
    Call{SYS_open, "open", -1},
    Call{SYS_close, "close", -1},
    Call{SYS_stat, "stat", -1},
    Call{SYS_fstat, "fstat", -1},
    Call{SYS_lstat, "lstat", -1},
    Call{SYS_poll, "poll", -1},
    Call{SYS_lseek, "lseek", -1},
    Call{SYS_mmap, "mmap", -1},
    Call{SYS_ioctl, "ioctl", -1},
    Call{SYS_pread64, "pread64", 2},
    Call{SYS_pwrite64, "pwrite64", 2},
    Call{SYS_readv, "readv", -1},
    Call{SYS_writev, "writev", -1},
    Call{SYS_access, "access", -1},
    Call{SYS_pipe, "pipe", -1},
    Call{SYS_select, "select", -1},
    Call{SYS_dup, "dup", -1},
    Call{SYS_dup2, "dup2", -1},
    Call{SYS_sendfile, "sendfile", 3},
    Call{SYS_socket, "socket", -1},
    Call{SYS_connect, "connect", -1},
    Call{SYS_sendto, "sendto", 2},
    Call{SYS_recvfrom, "recvfrom", 2},
    Call{SYS_sendmsg, "sendmsg", -1},
    Call{SYS_recvmsg, "recvmsg", -1},
    Call{SYS_socketpair, "socketpair", -1},
    Call{SYS_clone, "clone", -1},
    Call{SYS_fork, "fork", -1},
    Call{SYS_vfork, "vfork", -1},
    Call{SYS_execve, "execve", -1},
    Call{SYS_wait4, "wait4", -1},
    Call{SYS_fcntl, "fcntl", -1},
    Call{SYS_flock, "flock", -1},
    Call{SYS_fsync, "fsync", -1},
    Call{SYS_fdatasync, "fdatasync", -1},
    Call{SYS_truncate, "truncate", -1},
    Call{SYS_ftruncate, "ftruncate", -1},
    Call{SYS_getcwd, "getcwd", -1},
    Call{SYS_rename, "rename", -1},
    Call{SYS_mkdir, "mkdir", -1},
    Call{SYS_rmdir, "rmdir", -1},
    Call{SYS_link, "link", -1},
    Call{SYS_unlink, "unlink", -1},
    Call{SYS_symlink, "symlink", -1},
    Call{SYS_readlink, "readlink", -1},
    Call{SYS_chmod, "chmod", -1},
    Call{SYS_fchmod, "fchmod", -1},
    Call{SYS_chown, "chown", -1},
    Call{SYS_fchown, "fchown", -1},
    Call{SYS_statfs, "statfs", -1},
    Call{SYS_fstatfs, "fstatfs", -1},
    Call{SYS_sync, "sync", -1},
    Call{SYS_getdents64, "getdents64", -1},
    Call{SYS_fadvise64, "fadvise64", -1},
    Call{SYS_epoll_wait, "epoll_wait", -1},
    Call{SYS_epoll_ctl, "epoll_ctl", -1},
    Call{SYS_openat, "openat", -1},
    Call{SYS_mkdirat, "mkdirat", -1},
    Call{SYS_newfstatat, "newfstatat", -1},
    Call{SYS_unlinkat, "unlinkat", -1},
    Call{SYS_renameat, "renameat", -1},
    Call{SYS_linkat, "linkat", -1},
    Call{SYS_readlinkat, "readlinkat", -1},
    Call{SYS_fchmodat, "fchmodat", -1},
    Call{SYS_faccessat, "faccessat", -1},
    Call{SYS_ppoll, "ppoll", -1},
    Call{SYS_sync_file_range, "sync_file_range", -1},
    Call{SYS_utimensat, "utimensat", -1},
    Call{SYS_fallocate, "fallocate", -1},
    Call{SYS_eventfd2, "eventfd2", -1},
    Call{SYS_epoll_create1, "epoll_create1", -1},
    Call{SYS_dup3, "dup3", -1},
    Call{SYS_pipe2, "pipe2", -1},
    Call{SYS_inotify_init1, "inotify_init1", -1},
    Call{SYS_inotify_add_watch, "inotify_add_watch", -1},
    Call{SYS_prlimit64, "prlimit64", -1},
    Call{SYS_syncfs, "syncfs", -1},
    Call{SYS_renameat2, "renameat2", -1},
    Call{SYS_getrandom, "getrandom", 1},
    Call{SYS_copy_file_range, "copy_file_range", 4},
    Call{SYS_statx, "statx", -1},
    Call{SYS_clone3, "clone3", -1},
    Call{SYS_faccessat2, "faccessat2", -1},
};

const Call* known(long number) {
    for (const auto& call : calls) {
        if (call.number == number) return &call;
    }
    return nullptr;
}

std::string name_of(long number) {
    const auto* call = known(number);
    return call != nullptr ? call->name : std::to_string(number);
}

constexpr std::pair<const char*, int> errors[] = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE}, {"EINTR", EINTR},
    {"EACCES", EACCES}, {"ENOMEM", ENOMEM}, {"EROFS", EROFS},   {"EAGAIN", EAGAIN},
};

int error_of(const std::string& name) {
    for (const auto& [known_name, number] : errors) {
        if (name == known_name) return number;
    }
    return 0;
}

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(125);
}

bool path_is(pid_t pid, unsigned long long address, const std::string& path) {
    std::vector<char> buffer(path.size() + 1);
    iovec local{buffer.data(), buffer.size()};
    iovec remote{reinterpret_cast<void*>(address), buffer.size()};
    const auto got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    return got == static_cast<ssize_t>(buffer.size()) && std::memcmp(buffer.data(), path.c_str(), buffer.size()) == 0;
}

class Injection {
  public:
    Injection(const std::string& report, std::string first, std::string fault, unsigned long at)
        : report_(report), first_(std::move(first)), fault_(std::move(fault)), error_(error_of(fault_)), at_(at) {}

    int run(char** program) {
        const pid_t root = fork();
        if (root < 0) fail("fork");
        if (root == 0) {
            if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) fail("ptrace");
            raise(SIGSTOP);
            execvp(program[0], program);
            fail(program[0]);
        }
        int status = 0;
        if (waitpid(root, &status, 0) != root || !WIFSTOPPED(status)) fail("waitpid");
        constexpr long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                                 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
        if (ptrace(PTRACE_SETOPTIONS, root, nullptr, options) != 0) fail("ptrace");
        tracees_.insert(root);
        go_on(root, 0);
        int end = 0;
        while (!tracees_.empty()) {
            const pid_t pid = waitpid(-1, &status, __WALL);
            if (pid < 0) {
                if (errno == EINTR) continue;
                break;
            }
            if (WIFEXITED(status) || WIFSIGNALED(status)) {
                tracees_.erase(pid);
                if (pid == root) end = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
                continue;
            }
            stopped(pid, status);
        }
        return end;
    }

  private:
    void stopped(pid_t pid, int status) {
        const int signal = WSTOPSIG(status);
        if (signal == (SIGTRAP | 0x80)) {
            at_call(pid);
            go_on(pid, 0);
            return;
        }
        // A new process or thread stops once before it begins; that may be seen before its parent's event.
        const bool is_new = tracees_.insert(pid).second || newborn_.erase(pid) > 0;
        if (signal == SIGTRAP && (status >> 16) != 0) {
            unsigned long child = 0;
            const int event = status >> 16;
            if (event != PTRACE_EVENT_EXEC && ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &child) == 0 &&
                tracees_.insert(static_cast<pid_t>(child)).second) {
                newborn_.insert(static_cast<pid_t>(child));
            }
            go_on(pid, 0);
            return;
        }
        go_on(pid, is_new && signal == SIGSTOP ? 0 : signal);
    }

    void go_on(pid_t pid, int signal) { ptrace(PTRACE_SYSCALL, pid, nullptr, static_cast<long>(signal)); }

    void at_call(pid_t pid) {
        __ptrace_syscall_info info{};
        if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) return;
        if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
            const auto found = at_exit_.find(pid);
            if (found == at_exit_.end()) return;
            if (found->second == 0) {
                kill_all();
            } else {
                change(pid, [&](user_regs_struct& registers) {
                    registers.rax = static_cast<unsigned long long>(-found->second);
                });
            }
            at_exit_.erase(found);
            return;
        }
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY) return;
        const auto number = static_cast<long>(info.entry.nr);
        if (!counting_) {
            const bool opens = number == SYS_openat || number == SYS_open;
            if (!opens || !path_is(pid, info.entry.args[number == SYS_openat ? 1 : 0], first_)) return;
            counting_ = true;
        }
        ++count_;
        if (fault_ == "none") {
            report_ << name_of(number) << '\n';
        } else if (count_ == at_) {
            fire(pid, number, info);
        }
    }

    void fire(pid_t pid, long number, const __ptrace_syscall_info& info) {
        if (fault_ == "short") {
            const auto* call = known(number);
            if (call == nullptr || call->length < 0 || info.entry.args[call->length] < 2) return;
            const auto half = info.entry.args[call->length] / 2;
            change(pid, [&](user_regs_struct& registers) {
                switch (call->length) {
                    case 1: registers.rsi = half; break;
                    case 2: registers.rdx = half; break;
                    case 3: registers.r10 = half; break;
                    default: registers.r8 = half; break;
                }
            });
        } else if (fault_ == "kill") {
            kill_all();
        } else if (fault_ == "kill-one") {
            kill(pid, SIGKILL);
        } else if (fault_ == "kill-after") {
            at_exit_[pid] = 0;
            if (number == SYS_exit_group || number == SYS_exit) kill_all();
        } else {
            // A close that fails has closed all the same.
            if (number != SYS_close) {
                change(pid,
                       [](user_regs_struct& registers) { registers.orig_rax = static_cast<unsigned long long>(-1); });
            }
            at_exit_[pid] = error_;
        }
        report_ << "fired " << name_of(number) << std::endl;
    }

    template <typename Change>
    static void change(pid_t pid, Change how) {
        user_regs_struct registers{};
        if (ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) return;
        how(registers);
        ptrace(PTRACE_SETREGS, pid, nullptr, &registers);
    }

    void kill_all() {
        for (const auto pid : tracees_) kill(pid, SIGKILL);
    }

    std::ofstream report_;
    std::string first_;
    std::string fault_;
    int error_;
    unsigned long at_;
    unsigned long count_ = 0;
    bool counting_ = false;
    std::set<pid_t> tracees_;
    std::set<pid_t> newborn_;       ///< whose first stop is still to come
    std::map<pid_t, int> at_exit_;  ///< what a call ends with that has begun: an error, or 0: the end of all
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6) {
        std::fputs("usage: inject REPORT FIRST FAULT NUMBER PROGRAM [ARGUMENT...]\n", stderr);
        return 125;
    }
    return Injection(argv[1], argv[2], argv[3], std::strtoul(argv[4], nullptr, 10)).run(argv + 5);
}
