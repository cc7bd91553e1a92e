// SPDX-License-Identifier: GPL-3.0-or-later
//
// A mail server, and mails handed to it: SMTP (RFC 5321, with RFC 1870, 3207, 4954, 6152, 6531) and LMTP (RFC 2033).
//
// A mail has one recipient, so every answer is that recipient's. It is handed over in two steps, since between them lies
// the only moment that makes a doubt (RFC 1047):
//
//  - offer(): MAIL, RCPT, DATA and all of the message but the dot that ends it. Whatever happens here, the server has
//    nothing yet: it must not deliver what did not end.
//  - commit(): the dot. From then on only an answer tells. `unknown` means that there was none that can be trusted.
//
// The caller makes its own mark durable in between. libcurl makes the connection, TLS and the login; the dialogue after
// it is ours, one command at a time, so that no answer can be taken for another's. A line of the server's that nobody
// asked for ends the session. Nothing is sent twice behind the caller's back: only a kept connection that turns out to
// be closed is opened again, before anything of the mail was accepted.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/disk.hpp"
#include "target/target.hpp"
#include "transport/probe.hpp"
#include "transport/store.hpp"

namespace ums::transport {

/// One message for one recipient.
struct Mail {
    std::string sender;     ///< reverse-path without `<>`; empty for none
    std::string recipient;  ///< forward-path without `<>`
    Body body;              ///< header block and body; line ends of any kind
};

enum class Mailed {
    yes,       ///< taken: of offer(), up to the dot
    later,     ///< 4xx: not this mail, not now
    never,     ///< 5xx, or the server lacks what it needs: not this mail
    not_here,  ///< the server takes nothing now: no connection, no login, 421, cut off. Certainly not delivered
    unknown,   ///< commit() only: the dot left, no answer came, or none that means anything
};

struct MailAnswer {
    Mailed mailed = Mailed::yes;
    Answer answer;  ///< text and status; its verdict is that of the server where `not_here`
};

class MailServer {
  public:
    MailServer() = default;
    MailServer(const MailServer&) = delete;
    MailServer& operator=(const MailServer&) = delete;
    virtual ~MailServer() = default;

    /// How many mails can be offered at once, up to `wanted`: connections are opened, the first one alone, so that a
    /// wrong password is tried once. 0: none, `why` says the reason.
    virtual std::size_t ready(std::size_t wanted, MailAnswer& why) = 0;
    /// Up to ready() mails, each over a connection of its own, at the same time. Their bodies must live until commit().
    /// A second offer() withdraws what the one before did not commit. A body that cannot be read makes it `later`.
    virtual std::vector<MailAnswer> offer(std::span<const Mail> mails) = 0;
    /// Ends those of the last offer() that were taken and are wanted; the others are withdrawn. An answer for each.
    virtual std::vector<MailAnswer> commit(const std::vector<bool>& wanted) = 0;
    /// Ends the connections politely, as nothing is to be sent for a while. The next ready() opens others.
    virtual void hang_up() = 0;
    /// What a mail needs and can be found out without sending one: for --probe.
    virtual void probe(const std::string& sender, const Tell& tell) = 0;
};

enum class StartTls {
    require,  ///< and the certificate is checked
    attempt,  ///< where it is offered; the certificate is checked only against a CA or pin that is given: who could
              ///< forge it could as well take the offer away
    never,
};

struct MailSettings {
    Access access;  ///< a user is never told to a server without TLS, unless `starttls` is `never`
    StartTls starttls = StartTls::attempt;
    unsigned connections = 8;
    std::chrono::milliseconds connect{30'000};  ///< name, connection, TLS
    /// For an answer, and for each 64 KiB sent; the answer to the dot may take twice as long. RFC 5321 4.5.3.2.
    std::chrono::milliseconds answer{300'000};
    std::function<bool()> stopping;  ///< we are asked to end: waits are cut short
};

/// Opens no connection. Throws Error{configuration} for what is no mail server, and for files that cannot be read.
std::unique_ptr<MailServer> open_mail_server(const target::Target& target, const MailSettings& settings,
                                             io::Disk& disk);

}  // namespace ums::transport
