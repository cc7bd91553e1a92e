// SPDX-License-Identifier: GPL-3.0-or-later
//
// How claims are called. Private to the intake module.
//
//     .ums-claim-<spool>-<id>          a claim
//     .ums-claim-<spool>-<id>/         a basket, whose id is that of no message
//     .ums-claim-<spool>-<id>/<id>     a claim in a basket
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "spool/entry_name.hpp"
#include "text/units.hpp"

namespace ums::intake {

inline constexpr std::string_view claim_word = ".ums-claim-";

/// The id in a claim: what follows `prefix`, which marks those of one spool. Of a claim in a basket its own, of a basket that
/// of the basket. They have no attributes.
std::optional<spool::EntryName> id_of_claim(std::string_view name, std::string_view prefix);

bool is_basket(std::string_view claim) noexcept;
/// The basket that a claim is in, with its slash; empty if it is in none.
std::string basket_of(const std::string& claim);
std::string without_slash(const std::string& basket);

/// Of a message in the spool: itself and its note.
inline constexpr std::size_t files_of_message = 2;
/// Messages that are synced, noted and accepted together.
inline constexpr Bytes batch_bytes{64 << 20};

}  // namespace ums::intake
