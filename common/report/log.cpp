// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "error/error.hpp"
#include "report/report.hpp"
#include "text/text.hpp"

namespace ums::report {

namespace {

int syslog_priority(Level level) {
    switch (level) {
        case Level::error: return LOG_ERR;
        case Level::warning: return LOG_WARNING;
        case Level::notice: return LOG_NOTICE;
        case Level::info: return LOG_INFO;
        case Level::debug: return LOG_DEBUG;
    }
    return LOG_INFO;
}

// The native protocol of systemd-journald: `KEY=value` lines in one datagram (systemd.io/JOURNAL_NATIVE_PROTOCOL).
class JournalLog final : public Log {
  public:
    JournalLog() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        static constexpr char path[] = "/run/systemd/journal/socket";
        static_assert(sizeof path <= sizeof address.sun_path);
        std::memcpy(address.sun_path, path, sizeof path);
        if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            const int error = errno;
            if (fd_ >= 0) ::close(fd_);
            throw system_error(Fault::cannot_write, "log to the journal", error);
        }
    }
    ~JournalLog() override { ::close(fd_); }
    void write(Level level, std::string_view tool, std::string_view text) override {
        const std::string datagram = "PRIORITY=" + std::to_string(syslog_priority(level)) +
                                     "\nSYSLOG_IDENTIFIER=" + std::string(tool) + "\nMESSAGE=" + text::escape(text) +
                                     "\n";
        static_cast<void>(::send(fd_, datagram.data(), datagram.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    }

  private:
    int fd_;
};

class FileLog final : public Log {
  public:
    FileLog(const std::string& path, const clock::Clock& clock)
        : clock_(clock), fd_(::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0640)) {
        if (fd_ < 0) throw system_error(Fault::cannot_write, "open the log " + text::quote(path), errno);
    }
    ~FileLog() override { ::close(fd_); }
    void write(Level level, std::string_view tool, std::string_view text) override {
        const std::string line = "{\"time\":" + text::json_string(clock::format_precise(clock_.now())) +
                                 ",\"level\":\"" + std::string(to_string(level)) +
                                 "\",\"tool\":" + text::json_string(tool) + ",\"pid\":" + std::to_string(::getpid()) +
                                 ",\"text\":" + text::json_string(text) + "}\n";
        static_cast<void>(!::write(fd_, line.data(), line.size()));
    }

  private:
    const clock::Clock& clock_;
    int fd_;
};

}  // namespace

std::unique_ptr<Log> open_log(const std::string& where, const clock::Clock& clock) {
    if (where == "journal") return std::make_unique<JournalLog>();
    return std::make_unique<FileLog>(where, clock);
}

}  // namespace ums::report
