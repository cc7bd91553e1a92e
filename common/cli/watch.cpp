// SPDX-License-Identifier: GPL-3.0-or-later
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "cli/cli.hpp"

namespace ums::cli {

Watch::Watch(std::vector<std::string> directories)
    : directories_(std::move(directories)),
      watched_(directories_.size()),
      fd_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    add_missing();
}

Watch::~Watch() {
    if (fd_ >= 0) ::close(fd_);
}

void Watch::add_missing() {
    if (fd_ < 0) return;
    for (std::size_t i = 0; i < directories_.size(); ++i) {
        if (watched_[i]) continue;
        watched_[i] = inotify_add_watch(fd_, directories_[i].c_str(), IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR) >= 0;
    }
}

void Watch::wait(std::chrono::milliseconds at_most) {
    add_missing();
    // A signal between the caller's look at stopping() and poll() would be slept through: short sleeps bound that.
    const auto end = std::chrono::steady_clock::now() + at_most;
    while (!stopping()) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0) return;
        pollfd poll_fd{fd_, POLLIN, 0};
        const int ready = ::poll(&poll_fd, fd_ >= 0 ? 1 : 0, static_cast<int>(std::min<long long>(left.count(), 500)));
        if (ready <= 0) continue;
        alignas(inotify_event) std::array<char, 65'536> events{};
        while (::read(fd_, events.data(), events.size()) > 0) {
        }
        return;
    }
}

int ended_by_signal(int code) noexcept {
    const bool spool = code == exit_code(Fault::cannot_write) || code == exit_code(Fault::cannot_read);
    return spool || code == exit_code(Fault::internal) ? code : 0;
}

int run_passes(const Common& common, report::Reporter& reporter, const std::vector<std::string>& directories,
               const std::function<int()>& pass, const Wait& longest) {
    if (!common.watch) return pass();
    Watch watch(directories);
    int code = 0;
    while (!stopping()) {
        code = guarded(reporter, pass);
        reporter.flush();
        if (code == exit_code(Fault::configuration)) {
            // What comes meanwhile is no reason to try at once.
            Watch({}).wait(*common.watch * pauses_for_a_person);
        } else {
            watch.wait(longest ? std::min(*common.watch, longest()) : *common.watch);
        }
        look_at_config(reporter);
    }
    return ended_by_signal(code);
}

}  // namespace ums::cli
