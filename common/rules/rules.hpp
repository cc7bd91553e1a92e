// SPDX-License-Identifier: GPL-3.0-or-later
//
// rules: the routing table, compiled; a message goes in, sites come out, and on request the reason.
//
// Ordered, first match wins, each recipient decided by itself. Pure: the same message, table and time give the same site,
// by hand and in the spool; where a rule names several sites, the choice is a hash of the message (its header block and
// the recipient's spelling), not a memory.
//
// How a pattern is compared:
//   text     covers the whole value: exact, or with `*` and `?`; letters in either case. A pattern that is made like a
//            number is normalised, and so is the value (the `mds: numbering:` completes both). `*` matches all, also
//            an empty value; but no header that is not there.
//   /regex/  RE2, letters in either case, found anywhere in the value (anchor it with `^` and `$`); a number is searched
//            in its normalised form.
//   in       a file with a text pattern on each line; blank lines and lines that begin with `#` are skipped.
//   prefixes a file with `number,site` rows, the same kinds of lines skipped; the longest number that the value begins
//            with counts. Its site is where `to: '*'` leads.
// A recipient's or sender's pattern may name a service, `SMS#+4917*`. A recipient without one counts as fax. A sender's
// pattern `@example.com` is the domain alone. Header values are compared as numbers only if the text did not match; the
// addresses in From, To and their like are values of their own, compared as senders are. Conditions that need more than
// the header block (size, attachment) ask for it only when they are reached; without it they do not hold.
//
// Tables of thousands of rules: see index.hpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "clock/clock.hpp"
#include "config/config.hpp"
#include "message/attachments.hpp"
#include "message/envelope.hpp"
#include "message/header_block.hpp"

namespace ums::rules {

/// What a rule can look at.
struct Subject {
    const message::HeaderBlock* block = nullptr;
    std::string connector;                                            ///< origin; may be empty
    const message::Envelope* envelope = nullptr;                      ///< null: the block's envelope lines
    std::optional<Bytes> size{};                                      ///< of the whole message
    std::optional<clock::Instant> at{};                               ///< when it is routed, for hours and days
    std::function<std::vector<message::Attachment>()> attachments{};  ///< called once at most
    bool released = false;                                            ///< from hold: rules that hold are passed over
};

struct Decision {
    using Action = config::Route::Action;
    Action action = Action::noroute;
    std::optional<std::string> site;  ///< for Action::route, and no other
    std::size_t rule = 0;             ///< index into Config::routes; routes.size() if none matched
    std::string reason;               ///< `rule 3 (mds.yaml:41): recipient '+43*'`, `no rule matches '+1 212...'`
    std::string text;                 ///< what a rule that holds or rejects says, or a site that does not send there
    bool by_site = false;             ///< the site that the rules chose rejects it: its reason has the text

    /// The site, or what is done instead: `noroute`, `hold`, `reject`.
    std::string word() const;
};

/// One condition that was looked at, for --explain.
struct Look {
    std::size_t rule = 0;
    std::string place;     ///< `mds.yaml:41`
    std::string what;      ///< `recipient '+43*'`
    std::string seen;      ///< the value as written
    std::string compared;  ///< the value as compared (normalised, decoded)
    bool matched = false;
};

/// What only the files of the table tell: what Table would refuse (one error), and rows of `prefixes` that never act
/// because an earlier rule takes their numbers to another site (warnings). For --check-config.
std::vector<config::Diagnostic> check_files(const config::Config& config);

class Table {
  public:
    /// Compiles `config.routes`. Throws Error{configuration} for a table file that cannot be used. Regular expressions
    /// are compiled when they are first needed: load() has tried them. The config must outlive the table.
    explicit Table(const config::Config& config);
    ~Table();
    Table(Table&&) noexcept;

    /// Whether a rule asks for the size, or for what is in the body: a stream must then be kept to be read again.
    bool needs_body() const noexcept;
    /// All that a rule asks for, as its reason says it: `sender '@a', not (service 'mwi')`, `everything`.
    std::string describe(std::size_t rule) const;
    /// How mails without envelope lines get recipients.
    const message::MailRules& mail() const noexcept;

    /// For one recipient. `from` is the first rule to try: to find what would have matched later.
    Decision decide(const Subject& subject, const message::Recipient& recipient, std::vector<Look>* looks = nullptr,
                    std::size_t from = 0) const;

    /// Recipients of a message, grouped by what becomes of them: indices into `recipients`. Groups are in the order of
    /// their first recipient, whose decision stands for all; but all reasons of noroute are told. What different rules hold, or reject, are groups apart.
    struct Group : Decision {
        std::vector<std::size_t> recipients;
    };
    std::vector<Group> split(const Subject& subject, const std::vector<message::Recipient>& recipients) const;
    /// For the recipients of the subject's envelope, or its envelope lines.
    std::vector<Group> split(const Subject& subject) const;

  private:
    struct Compiled;
    std::unique_ptr<Compiled> compiled_;
};

}  // namespace ums::rules
