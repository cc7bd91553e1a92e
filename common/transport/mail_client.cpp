// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/mail_client.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <thread>
#include <utility>

#include "error/error.hpp"
#include "text/text.hpp"
#include "transport/mail_session.hpp"

namespace ums::transport {

namespace {

// `work(i)` for each i, all at the same time. The first exception is thrown when all have ended.
template <typename Work>
void at_once(std::size_t count, Work work) {
    if (count <= 1) {
        if (count == 1) work(0);
        return;
    }
    std::vector<std::exception_ptr> faults(count);
    {
        std::vector<std::jthread> threads;
        threads.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            threads.emplace_back([&faults, &work, i] {
                try {
                    work(i);
                } catch (...) {
                    faults[i] = std::current_exception();
                }
            });
        }
    }
    for (const auto& fault : faults) {
        if (fault) std::rethrow_exception(fault);
    }
}

class Pool final : public MailServer {
  public:
    Pool(const target::Target& target, const MailSettings& settings, io::Disk& disk)
        : target_(target), settings_(settings), width_(std::max(1U, settings.connections)) {
        for (std::size_t i = 0; i < width_; ++i) {
            sessions_.push_back(std::make_unique<MailSession>(target_, settings_, disk));
        }
    }

    std::size_t ready(std::size_t wanted, MailAnswer& why) override {
        wanted = std::min(wanted, width_);
        if (wanted == 0) return 0;
        // Those that are open come first.
        std::stable_partition(sessions_.begin(), sessions_.end(), [](const auto& one) { return one->is_open(); });
        if (!sessions_.front()->is_open()) {
            why = sessions_.front()->open();
            if (why.mailed != Mailed::yes) return 0;
        }
        const auto open = static_cast<std::size_t>(
            std::count_if(sessions_.begin(), sessions_.end(), [](const auto& one) { return one->is_open(); }));
        if (open >= wanted) return wanted;
        at_once(wanted - open, [&](std::size_t i) { sessions_[open + i]->open(); });
        const auto end = std::stable_partition(sessions_.begin(), sessions_.begin() + static_cast<long>(wanted),
                                               [](const auto& one) { return one->is_open(); });
        const auto got = static_cast<std::size_t>(end - sessions_.begin());
        // The server takes no more connections of ours at a time.
        if (got < wanted) width_ = got;
        return got;
    }

    std::vector<MailAnswer> offer(std::span<const Mail> mails) override {
        std::vector<MailAnswer> answers(mails.size());
        at_once(mails.size(), [&](std::size_t i) {
            try {
                answers[i] = sessions_.at(i)->offer(mails[i]);
            } catch (const Error& error) {
                // A file that cannot be read is the matter of one mail.
                if (error.fault() != Fault::cannot_read && error.fault() != Fault::permission) throw;
                answers[i] = {Mailed::later, {Verdict::refused, error.what(), 0, {}}};
            }
        });
        return answers;
    }

    std::vector<MailAnswer> commit(const std::vector<bool>& wanted) override {
        std::vector<MailAnswer> answers(wanted.size());
        at_once(wanted.size(), [&](std::size_t i) {
            if (wanted[i]) {
                answers[i] = sessions_.at(i)->commit();
            } else {
                sessions_.at(i)->withdraw();
            }
        });
        return answers;
    }

    void hang_up() override {
        at_once(sessions_.size(), [&](std::size_t i) { sessions_[i]->quit(); });
    }

    void probe(const std::string& sender, const Tell& tell) override;

  private:
    target::Target target_;
    MailSettings settings_;
    std::vector<std::unique_ptr<MailSession>> sessions_;
    std::size_t width_;
};

void Pool::probe(const std::string& sender, const Tell& tell) {
    const auto add = [&](std::string name, Finding finding, std::string detail) {
        tell({std::move(name), finding, std::move(detail)});
    };
    auto& session = *sessions_.front();
    const auto opened = session.open();
    if (opened.mailed != Mailed::yes) {
        const bool denied = opened.answer.verdict == Verdict::denied;
        if (denied) add("connect", Finding::good, session.greeting());
        add(denied ? "login" : "connect", Finding::bad, opened.answer.text);
        return;
    }
    add("connect", Finding::good, session.greeting());
    const auto& can = session.extensions();
    const bool local = target_.host.empty();
    if (session.has_tls()) {
        const bool checked = target_.scheme == target::Scheme::smtps || settings_.starttls == StartTls::require;
        add("tls", Finding::good, checked ? "yes, and the certificate is good" : "yes; the certificate is not checked");
    } else if (target_.scheme == target::Scheme::lmtp) {
        add("tls", Finding::good, local ? "none: a socket of this machine" : "none: LMTP is for the same network");
    } else {
        add("tls", Finding::warning,
            can.starttls ? "offered, and not used: 'starttls: no'" : "not offered: all is sent in clear text");
    }
    if (session.is_logged_in()) {
        add("login", Finding::good, "accepted");
    } else {
        add("login", Finding::good, "none");
    }
    add("8-bit text", can.eight_bit ? Finding::good : Finding::warning,
        can.eight_bit ? "taken" : "not taken: messages that have some are parked");
    add("addresses beyond ASCII", Finding::good, can.utf8 ? "taken" : "not taken");
    add("size", Finding::good, can.largest ? "up to " + text::format_bytes(*can.largest) : "no limit is told");
    const auto before = std::chrono::steady_clock::now();
    auto answer = session.ask("MAIL FROM:<" + sender + ">");
    const auto after = std::chrono::steady_clock::now();
    const auto tenths = std::chrono::duration_cast<std::chrono::microseconds>(after - before).count() / 100;
    const std::string shown = "<" + sender + ">";
    if (answer.mailed == Mailed::yes) {
        add("sender", Finding::good, shown + " is taken");
        session.ask("RSET");
    } else {
        const bool denied = answer.answer.verdict == Verdict::denied;
        add(denied ? "login" : "sender", Finding::bad, shown + ": " + answer.answer.text);
    }
    add("latency", Finding::good,
        std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " ms for a command");
}

void require_readable(const std::string& path, std::string_view what) {
    if (path.empty() || ::access(path.c_str(), R_OK) == 0) return;
    throw system_error(Fault::configuration, "read the " + std::string(what) + " " + text::quote(path), errno);
}

}  // namespace

std::unique_ptr<MailServer> open_mail_server(const target::Target& target, const MailSettings& settings,
                                             io::Disk& disk) {
    switch (target.scheme) {
        case target::Scheme::smtp:
        case target::Scheme::smtps:
        case target::Scheme::lmtp: break;
        default: throw Error(Fault::configuration, text::quote(target::to_string(target)) + " is no mail server");
    }
    require_readable(settings.access.ca_file, "CA file");
    require_readable(settings.access.certificate, "client certificate");
    require_readable(settings.access.key, "key of the client certificate");
    return std::make_unique<Pool>(target, settings, disk);
}

}  // namespace ums::transport
