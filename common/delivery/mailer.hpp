// SPDX-License-Identifier: GPL-3.0-or-later
//
// mailer: the protocol by which a message leaves the spool for a mail server. Section 3 of the design, where there is no
// stage: a doubt cannot be resolved by looking.
//
//  1. The entry goes to sending/ with a new attempt number, durably.
//  2. The mail is offered: all of it but the dot that ends it.
//  3. The entry goes to publishing/, with the time in its name (`w=`), durably.
//  4. The dot is sent, and the server answers.
//  5. The entry is removed, or goes to sent/.
//
// Until step 4 the server must not deliver, so every failure is certain. An answer to step 4 is clear: 2xx is delivered,
// 4xx is tried again after a pause that grows, 5xx is parked with the reason. Without an answer the message is in doubt
// (RFC 1047), and nothing can find out: after `in-doubt.wait` the policy of its service sends it again, marked as a
// possible duplicate, or holds it. So does a death between 3 and 5.
//
// An entry has one recipient, so that the state of each stands in the spool: ums-sitemap splits what is for a connector
// with a mail server. One with more (the configuration has changed since) goes back to incoming/ to be split.
//
// What is wrong with the server is not the message's fault: all wait. One in whose dialogue the connection is cut waits
// alone from the second time on, behind the others, so that a mail that makes a server fall over stops nobody for long.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "clock/clock.hpp"
#include "config/config.hpp"
#include "delivery/courier.hpp"
#include "delivery/letter.hpp"
#include "spool/spool.hpp"
#include "transport/mail_client.hpp"

namespace ums::delivery {

class Mailer {
  public:
    /// All of them must outlive the mailer. `worker` proves that the connector's queue is ours.
    Mailer(spool::Spool& spool, const spool::Worker& worker, transport::MailServer& server,
           const config::Config& config, const config::Connector& connector, const clock::Clock& clock);

    /// What earlier runs left in publishing/: the policy where its time has come. Tells what has changed.
    std::vector<Report> settle();
    /// How many are in doubt now.
    std::size_t in_doubt() const;

    /// Delivers a batch of entries of new/, which stay there untouched if there is no connection. Entries that another
    /// took meanwhile are passed over. Ends early when the server takes nothing: see target_fault().
    std::vector<Report> deliver(std::span<const spool::Entry> entries);

    /// As the courier's; deliver() leaves nothing to tell.
    static std::vector<Report> finish() { return {}; }

    /// What made the server unusable in the last call; nothing if it works.
    const std::optional<transport::Answer>& target_fault() const noexcept { return target_fault_; }

  private:
    struct Attempt;
    std::vector<Attempt> open_attempts(std::span<const spool::Entry> entries, std::vector<Report>& reports);
    /// Takes as many from the end of `waiting` as the server has connections for.
    void send_some(std::vector<Attempt>& waiting, std::vector<Report>& reports);
    void take_answer(const spool::Entry& entry, const transport::MailAnswer& answer, const std::string& where,
                     std::vector<Report>& reports);
    void complete(std::span<const spool::Entry> entries, std::span<const std::string> details,
                  std::vector<Report>& reports);
    void give_back(const spool::Entry& entry, const std::string& why, std::vector<Report>& reports);
    /// Not before a pause that grows with each refusal.
    void postpone(const spool::Entry& entry, const std::string& why, std::vector<Report>& reports);
    void park(const spool::Entry& entry, const std::string& why, std::vector<Report>& reports);
    unsigned long long seconds_now() const;

    spool::Spool& spool_;
    const spool::Worker& worker_;
    transport::MailServer& server_;
    const config::Config& config_;
    const config::Connector& connector_;
    const clock::Clock& clock_;
    Postmark postmark_;
    std::optional<transport::Answer> target_fault_;
};

}  // namespace ums::delivery
