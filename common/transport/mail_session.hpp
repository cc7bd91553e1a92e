// SPDX-License-Identifier: GPL-3.0-or-later
//
// One connection to a mail server; private to the transport module. See mail_client.hpp for what it promises.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/disk.hpp"
#include "target/target.hpp"
#include "transport/mail_client.hpp"

namespace ums::transport {

/// A whole answer: `250-...` lines and the one that ends them (RFC 5321 4.2).
struct MailReply {
    int code = 0;
    std::vector<std::string> lines;  ///< without code and line end
    /// `550 5.1.1 no such user`, in one line, for people.
    std::string text() const;
};

/// Takes the line of an answer, without its end, into `reply`. True when the answer is whole, nothing if it is none.
std::optional<bool> add_line(MailReply& reply, std::string_view line);

/// What the server says it can do, in its answer to EHLO or LHLO.
struct MailExtensions {
    bool eight_bit = false;
    bool utf8 = false;
    bool auth = false;
    bool starttls = false;
    bool size = false;
    std::optional<Bytes> largest;  ///< that it takes, if it says a limit
};
MailExtensions extensions_of(const MailReply& reply);

class MailSession {
  public:
    MailSession(const target::Target& target, const MailSettings& settings, io::Disk& disk);
    ~MailSession();
    MailSession(const MailSession&) = delete;
    MailSession& operator=(const MailSession&) = delete;

    bool is_open() const noexcept;
    /// Connection, TLS, greeting, EHLO, login. `yes` or `not_here`.
    MailAnswer open();
    MailAnswer offer(const Mail& mail);
    MailAnswer commit();
    /// Closed without the dot if one is owed.
    void withdraw();
    /// Closed, with a word of goodbye where that can be said.
    void quit();
    /// One command and its answer, for a probe.
    MailAnswer ask(const std::string& line);

    const MailExtensions& extensions() const noexcept { return extensions_; }
    const std::string& greeting() const noexcept { return greeting_; }
    bool has_tls() const noexcept;
    bool is_logged_in() const noexcept { return logged_in_; }

  private:
    struct Connection;
    using Deadline = std::chrono::steady_clock::time_point;

    void close();
    MailAnswer open_connection();
    MailAnswer greet_lmtp();
    MailAnswer offer_once(const Mail& mail);
    MailAnswer send_data(const Mail& mail, Bytes size);
    bool send(std::string_view data, Deadline until);
    std::optional<MailReply> receive(Deadline until);
    std::optional<MailReply> command(const std::string& line);
    /// What the server said unasked; nothing if it said nothing.
    std::optional<MailReply> unasked();
    MailAnswer before_the_dot(const MailReply& early);
    MailAnswer lost(std::string_view doing);
    Deadline deadline() const;

    const target::Target& target_;
    const MailSettings& settings_;
    io::Disk& disk_;
    std::unique_ptr<Connection> connection_;
    MailExtensions extensions_;
    std::string greeting_;
    std::string buffer_;   ///< received, not yet taken
    std::string trouble_;  ///< why the last send or receive failed
    bool logged_in_ = false;
    bool used_ = false;   ///< a mail was offered over it: it may have been closed since
    bool met_ = false;    ///< the server has answered MAIL of the mail that is offered
    bool dirty_ = false;  ///< a transaction was begun and not ended
    bool owed_ = false;   ///< everything but the dot was sent
};

}  // namespace ums::transport
