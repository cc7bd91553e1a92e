// SPDX-License-Identifier: GPL-3.0-or-later
//
// A mail server in memory, that goes wrong at a chosen step. Steps are counted: each connection, each mail offered, each
// dot.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "faulty_disk.hpp"
#include "transport/mail_client.hpp"

namespace ums::test {

class FakeMailServer final : public transport::MailServer {
  public:
    enum class Fault {
        none,
        later,         ///< 4xx
        never,         ///< 5xx
        not_here,      ///< cut off
        lost_request,  ///< a dot that never arrives, and no answer
        lost_answer,   ///< a dot that arrives, and no answer
        crash_before,
        crash_after,
    };
    struct Delivered {
        std::string sender;
        std::string recipient;
        std::string text;
        bool marked() const { return text.find("X-UMS-Possible-Duplicate: yes\r\n") != std::string::npos; }
    };

    explicit FakeMailServer(std::size_t width = 1) : disk_(own_disk_), width_(width) {}
    /// Messages are read from this disk.
    FakeMailServer(io::Disk& disk, std::size_t width) : disk_(disk), width_(width) {}

    void plan(Fault fault, std::size_t step) {
        fault_ = fault;
        at_ = step;
        steps_ = 0;
        fired_ = false;
        dead_ = false;
    }
    std::size_t steps() const { return steps_; }
    bool fired() const { return fired_; }
    std::vector<Delivered> delivered;
    bool at_commit = false;  ///< the fault fired at a dot
    std::function<void()> before_step = nullptr;

    std::size_t ready(std::size_t wanted, transport::MailAnswer& why) override {
        const auto answer = step(false, [] {});
        if (answer.mailed != transport::Mailed::yes) {
            why = answer;
            why.mailed = transport::Mailed::not_here;
            return 0;
        }
        return std::min(wanted, width_);
    }
    std::vector<transport::MailAnswer> offer(std::span<const transport::Mail> mails) override {
        offered_.clear();
        std::vector<transport::MailAnswer> answers;
        for (const auto& mail : mails) {
            offered_.push_back({mail.sender, mail.recipient, text_of(mail)});
            answers.push_back(step(false, [] {}));
        }
        return answers;
    }
    std::vector<transport::MailAnswer> commit(const std::vector<bool>& wanted) override {
        std::vector<transport::MailAnswer> answers(wanted.size());
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            if (wanted[i]) answers[i] = step(true, [&] { delivered.push_back(offered_.at(i)); });
        }
        return answers;
    }
    void hang_up() override {}
    void probe(const std::string&, const transport::Tell&) override {}

  private:
    std::string text_of(const transport::Mail& mail) {
        std::string out = mail.body.head;
        std::string body(mail.body.length.count, '\0');
        disk_.read(*mail.body.file, body, mail.body.offset, "the mail");
        return out + body;
    }

    template <typename Take>
    transport::MailAnswer step(bool commit, Take take) {
        using transport::Mailed;
        using transport::Verdict;
        if (dead_) throw Crash{};
        if (before_step) before_step();
        const bool now = ++steps_ == at_ && fault_ != Fault::none;
        if (!now) {
            take();
            return {Mailed::yes, {Verdict::done, "250 taken", 250, {}}};
        }
        fired_ = true;
        at_commit = commit;
        switch (fault_) {
            case Fault::later: return {Mailed::later, {Verdict::refused, "451 not now", 451, {}}};
            case Fault::never: return {Mailed::never, {Verdict::refused, "550 never", 550, {}}};
            case Fault::lost_answer:
                if (commit) {
                    take();
                    return {Mailed::unknown, {Verdict::unknown, "sent, but no answer in time", 0, {}}};
                }
                break;
            case Fault::lost_request:
                if (commit) return {Mailed::unknown, {Verdict::unknown, "sent, but no answer in time", 0, {}}};
                break;
            case Fault::crash_before: dead_ = true; throw Crash{};
            case Fault::crash_after:
                dead_ = true;
                take();
                throw Crash{};
            case Fault::not_here:
            case Fault::none: break;
        }
        return {Mailed::not_here, {Verdict::broken, "cut off", 0, {}}};
    }

    io::PosixDisk own_disk_;
    io::Disk& disk_;
    std::size_t width_;
    Fault fault_ = Fault::none;
    std::size_t at_ = 0;
    std::size_t steps_ = 0;
    bool fired_ = false;
    bool dead_ = false;
    std::vector<Delivered> offered_;
};

}  // namespace ums::test
