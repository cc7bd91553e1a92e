// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "cli/cli.hpp"
#include "text/text.hpp"

namespace ums::cli {

namespace {

using Steady = std::chrono::steady_clock;

struct Child {
    std::size_t job = 0;
    pid_t pid = -1;
    io::Fd output;
    std::string partial;  // the end of a line that has not come yet
    Steady::time_point started;
};

Child start(std::size_t index, const Job& job, std::size_t limit, report::Reporter& reporter) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error(Fault::later, "make a pipe", errno);
    io::Fd read_end(ends[0]);
    io::Fd write_end(ends[1]);
    reporter.flush();
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) throw system_error(Fault::later, "start a worker", errno);
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != parent) ::_exit(exit_code(Fault::later));
        ::dup2(write_end.get(), STDOUT_FILENO);
        write_end.reset();
        read_end.reset();
        int code = guarded(reporter, [&] { return job.work(limit); });
        reporter.flush();
        ::_exit(code);
    }
    return {index, pid, std::move(read_end), "", Steady::now()};
}

// Passes on whole lines; the number of them. False at the end of the output.
bool pass_on(Child& child, report::Reporter& reporter, std::size_t& lines) {
    std::array<char, 65'536> buffer{};
    const auto n = ::read(child.output.get(), buffer.data(), buffer.size());
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    if (n == 0) {
        // It died within a line: the next one's must not be glued to it.
        if (!child.partial.empty()) reporter.raw(child.partial + reporter.line_end());
        lines += child.partial.empty() ? 0 : 1;
        child.partial.clear();
        return false;
    }
    child.partial.append(buffer.data(), static_cast<std::size_t>(n));
    const char end = reporter.line_end();
    const auto last = child.partial.rfind(end);
    if (last == std::string::npos) return true;
    lines += static_cast<std::size_t>(
        std::count(child.partial.begin(), child.partial.begin() + static_cast<long>(last) + 1, end));
    reporter.raw(std::string_view(child.partial).substr(0, last + 1));
    reporter.flush();
    child.partial.erase(0, last + 1);
    return true;
}

int reap(const Child& child, const Job& job, report::Reporter& reporter) {
    int status = 0;
    while (::waitpid(child.pid, &status, 0) < 0) {
        if (errno != EINTR) return exit_code(Fault::later);
    }
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    reporter.error("the worker of " + text::quote(job.name) + " was ended by signal " +
                   std::to_string(WTERMSIG(status)) + "; what it had under way is finished by the next run");
    return exit_code(Fault::later);
}

}  // namespace

std::vector<int> run_jobs(const Common& common, report::Reporter& reporter, const std::vector<Job>& jobs,
                          std::size_t parallel) {
    std::vector<int> codes(jobs.size(), 0);
    std::size_t handled = 0;
    std::size_t next = 0;
    std::vector<Child> running;
    std::vector<std::pair<Steady::time_point, std::size_t>> again;  // jobs to be started again, and when
    if (common.watch) parallel = jobs.size();
    if (common.limit > 0) parallel = 1;
    bool told = false;
    auto next_look = Steady::now();

    const auto limit_left = [&] { return common.limit == 0 ? 0 : common.limit - std::min(common.limit, handled); };
    const auto begin = [&](std::size_t index) { running.push_back(start(index, jobs[index], limit_left(), reporter)); };
    while (!running.empty() || (next < jobs.size() && !stopping()) || (!again.empty() && !stopping())) {
        while (running.size() < parallel && next < jobs.size() && !stopping()) {
            if (common.limit > 0 && limit_left() == 0) {
                next = jobs.size();
                break;
            }
            begin(next++);
        }
        for (std::size_t i = 0; i < again.size();) {
            if (again[i].first <= Steady::now() && !stopping()) {
                begin(again[i].second);
                again.erase(again.begin() + static_cast<long>(i));
            } else {
                ++i;
            }
        }
        if (common.watch && next_look <= Steady::now()) {
            look_at_config(reporter);
            next_look = Steady::now() + std::chrono::seconds(1);
        }
        if (stopping() && !told) {
            for (const auto& child : running) ::kill(child.pid, SIGTERM);
            told = true;
        }
        std::vector<pollfd> polls;
        for (const auto& child : running) polls.push_back({child.output.get(), POLLIN, 0});
        ::poll(polls.data(), polls.size(), 500);
        for (std::size_t i = running.size(); i-- > 0;) {
            if (i >= polls.size() || polls[i].revents == 0) continue;
            if (pass_on(running[i], reporter, handled)) continue;
            const std::size_t index = running[i].job;
            codes[index] = reap(running[i], jobs[index], reporter);
            running.erase(running.begin() + static_cast<long>(i));
            // Died, or could not even begin: what only a person can mend takes longer.
            const bool needs_a_person =
                codes[index] == exit_code(Fault::configuration) || codes[index] == exit_code(Fault::permission);
            if (common.watch && !stopping())
                again.emplace_back(
                    Steady::now() + (needs_a_person ? *common.watch * pauses_for_a_person : std::chrono::seconds(1)),
                    index);
        }
        reporter.progress(handled, 0);
    }
    if (common.watch && stopping()) std::transform(codes.begin(), codes.end(), codes.begin(), ended_by_signal);
    return codes;
}

}  // namespace ums::cli
