// SPDX-License-Identifier: GPL-3.0-or-later
//
// A message of the spool made a mail, as `deliver:` of a connector says: whom it is for and from, and what is sent.
//
// The envelope lines of the message are the envelope of the mail, and are not part of it. A recipient or sender that is a
// mail address is used as it is. A number is normalised (its site's numbering completes it) and becomes the address that
// `addresses` or `address` says. A local part that is more than letters, digits and a few signs is quoted (RFC 5321
// 4.1.2), and what no address can hold is refused: nothing in a message can become a command.
//
// What is sent has the numbers that the site forms, `X-UMS-Possible-Duplicate: yes` if it may have been sent before, and
// the `Date`, `From` and `Message-ID` that a mail must have (RFC 5322 3.6) if it has none. The Message-ID is made of the
// entry's id: sent twice, it is the same, and mail systems that look for that show one.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "io/disk.hpp"
#include "message/header_block.hpp"
#include "number/number.hpp"
#include "spool/entry_name.hpp"

namespace ums::delivery {

/// Whether `text` is `local@domain` as a mail command can have it (RFC 5321 4.1.2, RFC 6531).
bool is_mail_address(std::string_view text);

struct Letter {
    std::string sender;                   ///< without `<>`; may be empty
    std::vector<std::string> recipients;  ///< at least one
    std::string head;                     ///< the header block, with CRLF, and the empty line
    std::uint64_t body_offset = 0;        ///< of the body in the message's file
    Bytes body_length;
};

class Postmark {
  public:
    /// `config` and `connector`, which has `deliver`, must outlive it.
    Postmark(const config::Config& config, const config::Connector& connector);

    /// Throws Error{unusable} with the reason for a message that cannot be a mail, and what message::read_header() throws.
    Letter letter(io::Disk& disk, const io::Fd& file, const std::string& path, const spool::EntryName& name);

    /// The address of a recipient. Throws Error{unusable}.
    std::string recipient(std::string_view address, message::Service service, const number::Numbering* home);
    /// That of a sender; empty where none can be made.
    std::string sender(std::string_view address, message::Service service, const number::Numbering* home) const;

  private:
    struct Table {
        std::map<std::string, const std::string*, std::less<>> exact;
        std::vector<std::pair<std::string, const std::string*>> patterns;
    };
    /// The rows, with their numbers completed by `home`.
    const Table& table(const number::Numbering* home);

    const config::Config& config_;
    const config::Deliver& deliver_;
    std::map<const number::Numbering*, Table> tables_;
};

}  // namespace ums::delivery
