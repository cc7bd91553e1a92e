// SPDX-License-Identifier: GPL-3.0-or-later
//
// rules: the routing table, compiled; a message goes in, sites come out, and on request the reason.
//
// Ordered, first match wins, each recipient decided by itself. Pure: the same message and table give the same site, by
// hand and in the spool; where a rule names several sites, the choice is a hash of the message, not a memory.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "message/header_block.hpp"

namespace ums::rules {

/// What a rule can look at.
struct Subject {
    const message::HeaderBlock* block = nullptr;
    std::string connector;  ///< origin; may be empty
};

struct Decision {
    std::optional<std::string> site;  ///< nothing: noroute
    std::size_t rule = 0;             ///< index into Config::routes; routes.size() if none matched
    std::string reason;               ///< `rule 3 (mds.yaml:41): recipient '+43*'`, `no rule matches '+1 212...'`
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

class Table {
  public:
    /// Compiles `config.routes`. Throws Error{configuration} for a regular expression or a table file that cannot be
    /// used (load() has warned of both). The config must outlive the table.
    explicit Table(const config::Config& config);
    ~Table();
    Table(Table&&) noexcept;

    /// For one recipient. A message without recipients is no subject of routing: see HeaderBlock::recipients().
    Decision decide(const Subject& subject, const message::Recipient& recipient, std::vector<Look>* looks = nullptr) const;

    /// All recipients of a message, grouped: site -> indices into `block.recipients()`. The group without a site comes
    /// under nothing. Groups are in the order of their first recipient.
    struct Group {
        std::optional<std::string> site;
        std::vector<std::size_t> recipients;
        std::string reason;  ///< of its first recipient
    };
    std::vector<Group> split(const Subject& subject) const;

  private:
    struct Compiled;
    std::unique_ptr<Compiled> compiled_;
};

}  // namespace ums::rules
