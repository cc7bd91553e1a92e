// SPDX-License-Identifier: GPL-3.0-or-later
#include "tell.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include "delivery/store_of.hpp"
#include "text/text.hpp"
#include "transport/mail_client.hpp"

namespace ums::failover {

namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds patience{20};
constexpr std::chrono::seconds patience_with_command{10};
constexpr std::chrono::seconds patience_with_mail{5};

std::string json_of(const config::Config& config, const health::Event& event) {
    return "{\"event\":" + text::json_string(event.what) + ",\"subject\":" + text::json_string(event.subject) +
           ",\"time\":" + text::json_string(clock::format(event.at)) + ",\"mds\":" + text::json_string(config.mds.id) +
           ",\"text\":" + text::json_string(event.text) + "}\n";
}

// Runs it as `sh -c`, the event in its environment and on its standard input. True if it ended with 0 in time.
bool run_command(const config::Config& config, const health::Event& event) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    const io::Fd read_end(ends[0]);
    io::Fd write_end(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) return false;
    if (pid == 0) {
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::dup2(read_end.get(), 0);
        ::dup2(2, 1);  // our standard output is data
        for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::signal(number, SIG_DFL);
        ::setenv("UMS_EVENT", event.what.c_str(), 1);
        ::setenv("UMS_SUBJECT", event.subject.c_str(), 1);
        ::setenv("UMS_TEXT", text::escape(event.text).c_str(), 1);
        ::setenv("UMS_TIME", clock::format(event.at).c_str(), 1);
        ::setenv("UMS_MDS", config.mds.id.c_str(), 1);
        ::execl("/bin/sh", "sh", "-c", config.mds.on_event.command.c_str(), static_cast<char*>(nullptr));
        ::_exit(127);
    }
    ::setpgid(pid, pid);
    const auto json = json_of(config, event);  // less than a pipe holds
    static_cast<void>(!::write(write_end.get(), json.data(), std::min<std::size_t>(json.size(), 4096)));
    write_end.reset();
    const auto end = Steady::now() + patience_with_command;
    int status = 0;
    while (::waitpid(pid, &status, WNOHANG) == 0) {
        if (Steady::now() >= end) {
            ::kill(-pid, SIGKILL);
            ::waitpid(pid, &status, 0);
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
    return name.data();
}

std::string mail_of(const config::Config& config, const health::Event& event) {
    const auto line = [](std::string_view name, std::string_view value) {
        return std::string(name) + ": " + text::escape(value) + "\r\n";
    };
    return line("From", "Message Distribution Server " + config.mds.id + " <ums@" + host_name() + ">") +
           line("To", "<" + config.mds.on_event.mail_to + ">") +
           line("Subject", "ums " + config.mds.id + ": " + event.subject + " " + event.what) +
           line("Date", clock::format_mail(event.at)) +
           line("Message-ID", "<" + io::random_token() + "@" + host_name() + ">") +
           "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
           "Content-Transfer-Encoding: 8bit\r\n\r\n" +
           text::escape(event.subject) + ": " + text::escape(event.what) + "\r\n" + text::escape(event.text) + "\r\n";
}

// True if the server took it; nobody asks for more, so a lost answer may double it.
bool send_mail(transport::MailServer& server, const config::Config& config, const health::Event& event,
               std::string& why) {
    transport::MailAnswer refusal;
    if (server.ready(1, refusal) == 0) {
        why = refusal.answer.text;
        return false;
    }
    transport::Mail mail{"", config.mds.on_event.mail_to, {}};
    mail.body.head = mail_of(config, event);
    auto answer = server.offer(std::span(&mail, 1)).front();
    if (answer.mailed == transport::Mailed::yes) answer = server.commit({true}).front();
    why = answer.answer.text;
    return answer.mailed == transport::Mailed::yes;
}

// A letter for each thing that was done with the event of this number: `c<number>`, `m<number>`, `!<text>` of a mail that failed.
void work(const config::Config& config, const std::vector<health::Event*>& events, const io::Fd& out) {
    const auto say = [&](const std::string& line) { static_cast<void>(!::write(out.get(), line.data(), line.size())); };
    const auto& on_event = config.mds.on_event;
    const auto end = Steady::now() + patience;
    std::unique_ptr<transport::MailServer> server;
    io::PosixDisk disk;
    bool command_works = true;
    for (std::size_t i = 0; i < events.size() && Steady::now() < end; ++i) {
        if (!on_event.command.empty() && !events[i]->command_done && command_works) {
            command_works = run_command(config, *events[i]);
            if (command_works) say("c" + std::to_string(i) + "\n");
        }
        if (on_event.mail_to.empty() || events[i]->mail_done) continue;
        if (!server) {
            config::Deliver deliver;
            deliver.url = on_event.mail_server;
            deliver.timeout = patience_with_mail;
            server = delivery::mail_server_of(deliver, config::Limit(), disk, [] { return false; });
        }
        std::string why;
        if (!send_mail(*server, config, *events[i], why)) {
            say("!" + text::escape(why).substr(0, 500) + "\n");
            return;
        }
        say("m" + std::to_string(i) + "\n");
    }
    if (server) server->hang_up();
}

// What the child said, or as much of it as it said within its time.
std::string in_child(const config::Config& config, const std::vector<health::Event*>& events) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error(Fault::later, "make a pipe", errno);
    const io::Fd read_end(ends[0]);
    io::Fd write_end(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) throw system_error(Fault::later, "start a process that tells of events", errno);
    if (pid == 0) {
        ::setpgid(0, 0);
        try {
            work(config, events, write_end);
        } catch (const std::exception& error) {
            const auto line = "!" + text::escape(error.what()).substr(0, 500) + "\n";
            static_cast<void>(!::write(write_end.get(), line.data(), line.size()));
        }
        ::_exit(0);
    }
    ::setpgid(pid, pid);
    write_end.reset();
    std::string said;
    const auto end = Steady::now() + patience + patience_with_command + patience_with_mail;
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Steady::now()).count();
        pollfd one{read_end.get(), POLLIN, 0};
        if (left <= 0) break;
        if (::poll(&one, 1, static_cast<int>(left)) <= 0) continue;
        std::array<char, 4096> buffer{};
        const auto n = ::read(read_end.get(), buffer.data(), buffer.size());
        if (n > 0) said.append(buffer.data(), static_cast<std::size_t>(n));
        if (n == 0 || (n < 0 && errno != EINTR)) break;
    }
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return said;
}

}  // namespace

void tell(const config::Config& config, spool::Spool& spool, const std::vector<health::Condition>& conditions,
          const clock::Clock& clock, report::Reporter& reporter) {
    const auto& on_event = config.mds.on_event;
    const bool has_command = !on_event.command.empty();
    const bool has_mail = !on_event.mail_to.empty();
    const auto path = spool.state_path("events");
    if (!has_command && !has_mail) {
        spool.disk().remove(path);  // who is told later is told of what begins then
        return;
    }
    const auto before = io::read_file(spool.disk(), path).value_or("");
    auto alarms = health::Alarms::parse(before);
    const auto now = clock.now();
    alarms.update(conditions, now);
    auto saved = before;
    const auto save = [&] {
        const auto text = alarms.to_text();
        try {
            if (text != saved) io::write_file(spool.disk(), path, text);
            saved = text;
        } catch (const Error& error) {
            if (error.fault() != Fault::cannot_write) throw;  // a full disk is said elsewhere
        }
    };
    // First, so that a death in between tells twice rather than never.
    save();
    const auto due = alarms.due(now);
    if (due.empty()) return;
    const auto said = in_child(config, due);
    std::string why;
    for (const auto line : text::split(said, '\n')) {
        if (line.starts_with('!')) why = std::string(line.substr(1));
        const auto number = text::parse_number(line.substr(std::min<std::size_t>(1, line.size())));
        if (!number || *number >= due.size()) continue;
        if (line.starts_with('c')) due[*number]->command_done = true;
        if (line.starts_with('m')) due[*number]->mail_done = true;
    }
    bool command_failed = false;
    bool mail_failed = false;
    for (auto* event : due) {
        const bool no_command = has_command && !event->command_done;
        const bool no_mail = has_mail && !event->mail_done;
        if (no_command || no_mail) health::Alarms::later(*event, now);
        command_failed = command_failed || no_command;
        mail_failed = mail_failed || no_mail;
    }
    if (command_failed) reporter.warning("the command of 'on-event' failed, or took too long; it is tried again");
    if (mail_failed)
        reporter.warning("the mail of 'on-event' could not be sent" + (why.empty() ? "" : ": " + why) +
                         "; it is tried again");
    if (const auto given_up = alarms.forget(has_command, has_mail, now); given_up > 0)
        reporter.warning(std::to_string(given_up) + " events could not be told for a day and are given up");
    save();
}

}  // namespace ums::failover
