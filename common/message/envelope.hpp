// SPDX-License-Identifier: GPL-3.0-or-later
//
// Who sends a message and who gets it: from its envelope lines, or, where there are none, from the fields of the mail.
//
// A message with a `RCPT TO` line has these recipients and no others. A plain mail (RFC 5322) has those of the fields that
// the MDS looks at (To, Cc, Bcc) whose address is one of ours:
//
//   number@fax.example.com     its domain is known, and says the service
//   /FAX=number/@example.com   names the service itself (RFC 3191: FAX=+49...@...), in any domain
//
// Display names mean nothing. All other addresses are somebody else's. The same address in two fields is one recipient.
// If the server that delivered the mail says for whom (Delivered-To, X-Original-To or Envelope-To, the topmost one of each,
// in this order), then for nobody else: To and Cc are also those of the other copies.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "message/header_block.hpp"

namespace ums::message {

struct MailRules {
    std::vector<std::pair<std::string, Service>> domains;  ///< in lower case, `*.example.com` for all below; first wins
    std::vector<std::string> fields{"To", "Cc", "Bcc"};
};

struct Envelope {
    std::string
        sender;  ///< of MAIL FROM; of a mail without it that of Return-Path, else the first of From, else of Sender
    std::vector<Recipient> recipients;
    bool formed = false;      ///< there is no `RCPT TO` line: the recipients are the mail's, their `line` means nothing
    bool has_sender = false;  ///< there is a `MAIL FROM` line
};
Envelope envelope_of(const HeaderBlock& block, const MailRules& rules);

/// The envelope lines that a mail lacks, for `recipients` (indices into the envelope's): see Edit::envelope.
std::vector<std::string> envelope_lines(const Envelope& envelope, const std::vector<std::size_t>& recipients);

/// The addresses in a header value, `name <local@domain>, ...`, groups too, without names. RFC 5322 3.4, by GMime.
std::vector<std::string> addresses_in(std::string_view value);

}  // namespace ums::message
