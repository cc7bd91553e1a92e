// SPDX-License-Identifier: GPL-3.0-or-later
//
// Cases of numbers: what a site must make of them. They stand in `examples:` of a site, checked with the configuration, or
// in a file of their own, for `ums-sitemap --test`:
//
//     cases:
//       - {site: munich, number: '+49 89 4799-123', direction: outgoing, expected: '04799123'}
//       - {name: the trap, site: munich, number: 4799123, direction: incoming, expected: '+49 89 4799123'}
//       - {site: munich, number: '0900 1', direction: outgoing, expected: refused}
//
// Checked whole, as the configuration is: every mistake with line and column.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace ums::config {

struct LoadedNumberCases {
    std::vector<NumberCase> cases;
    std::vector<Diagnostic> diagnostics;  ///< in the order of the file; no case is to be trusted if one is an error
};

/// Throws Error{configuration} if the file cannot be read.
LoadedNumberCases load_number_cases(const std::string& file, const Config& config);

/// What `site` makes of the number, and whether that is what was expected: the same number, however it is spelled.
struct NumberResult {
    std::string got;  ///< a number, or `refused`
    bool passed = false;
    number::Steps steps;
};
NumberResult try_number(const Site& site, const NumberCase& one);

}  // namespace ums::config
