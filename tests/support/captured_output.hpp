// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a piece of code writes to standard output and standard error: it runs in a child of its own, whose two
// descriptors are files.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "temporary_directory.hpp"

namespace ums::test {

struct Output {
    std::string out;
    std::string err;
    int code = -1;   ///< what `run` returned
    int signal = 0;  ///< that ended it
};

/// `out` in place of a file of its own: /dev/full, for instance.
inline Output captured(const std::function<int()>& run, const std::string& out = "",
                       const std::string& in = "/dev/null") {
    const TemporaryDirectory directory;
    const std::string out_file = out.empty() ? directory.path() + "/out" : out;
    const std::string err_file = directory.path() + "/err";
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("cannot fork");
    if (pid == 0) {
        ::dup2(::open(out_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDOUT_FILENO);
        ::dup2(::open(err_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
        ::dup2(::open(in.c_str(), O_RDONLY), STDIN_FILENO);
        ::_exit(run());
    }
    Output result;
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (WIFEXITED(status)) result.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    if (out.empty()) result.out = content_of(out_file);
    result.err = content_of(err_file);
    return result;
}

}  // namespace ums::test
