// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a source has been told to delete: state/deleted/<source>, a line for each claim. Some servers say that they deleted a
// file and keep it; others, replicas or a disk that was away, show it again later. Such a file is not to be fetched again.
// Private to the intake module.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clock/clock.hpp"
#include "spool/spool.hpp"
#include "transport/store.hpp"

namespace ums::intake {

class Deleted {
  public:
    /// A claim or a basket, and its size, if that is known: another size is another file.
    using Claim = std::pair<std::string, std::optional<Bytes>>;

    Deleted(spool::Spool& spool, std::string source, std::string claim_prefix)
        : spool_(spool), source_(std::move(source)), claim_prefix_(std::move(claim_prefix)) {}

    /// What an earlier run wrote. Lines that are none are passed over.
    void read(std::string_view text);
    bool empty() const noexcept { return claims_.empty(); }
    bool contains(const transport::Item& item) const;
    bool contains(const std::string& basket) const { return claims_.contains(basket); }
    /// Durable when this returns.
    void add(const std::vector<Claim>& claims);
    /// After a whole listing: forgets what was not in it, but nothing within ten minutes of its arrival, as one listing
    /// proves little; and not for each name that grows old.
    void forget_others_than(const std::set<std::string>& still_there, clock::Instant now);

  private:
    spool::Spool& spool_;
    std::string source_;
    std::string claim_prefix_;
    std::map<std::string, std::optional<Bytes>> claims_;
    bool is_durable_ = false;  ///< the name of the file
};

}  // namespace ums::intake
