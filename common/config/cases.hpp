// SPDX-License-Identifier: GPL-3.0-or-later
//
// A file of routing cases: messages, as their parts or whole, and where each must go. For `ums-route --test`.
//
//     cases:
//       - {recipient: 'fax#+43 1 5330', to: vienna}
//       - {name: night, recipient: '+49 89 1', at: 2026-11-23T22:00:00Z, to: hold}
//       - {message: offer.tmp, to: [munich, vienna]}
//
// Checked whole, as the configuration is: every mistake with line and column.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "clock/clock.hpp"
#include "config/config.hpp"

namespace ums::config {

struct RoutingCase {
    Place place;
    std::string name;
    std::string message;                  ///< absolute path of a message; empty: it is made of what follows
    std::vector<std::string> recipients;  ///< as RCPT TO has them
    std::string sender;
    std::string connector;
    std::vector<std::pair<std::string, std::string>> header;  ///< fields, in order
    std::optional<Bytes> size;
    std::vector<std::pair<std::string, std::string>> attachments;  ///< content type and file name
    std::optional<clock::Instant> at;                              ///< nothing: now
    std::vector<std::string> to;  ///< sites, `noroute`, `hold`, `reject`: of all recipients, in any order
};

struct LoadedCases {
    std::vector<RoutingCase> cases;
    std::vector<Diagnostic> diagnostics;  ///< in the order of the file; no case is to be trusted if one is an error
};

/// Throws Error{configuration} if the file cannot be read.
LoadedCases load_cases(const std::string& file, const Config& config);

}  // namespace ums::config
