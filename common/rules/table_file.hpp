// SPDX-License-Identifier: GPL-3.0-or-later
//
// Inside of rules: the files that `in` and `prefixes` name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "number/number.hpp"

namespace ums::rules {

/// Lets a hash table be searched for a string_view without making a string.
struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
};
using StringSet = std::unordered_set<std::string, StringHash, std::equal_to<>>;
template <typename Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

/// Calls `each(line, text)` for every line that is neither blank nor a comment, trimmed, a byte order mark removed.
/// Throws Error{configuration} if the file cannot be read.
void read_lines(const std::string& path, const std::function<void(int line, std::string_view text)>& each);

/// `number,site` rows; the longest number that a value begins with wins. One hash look-up per length that occurs.
class PrefixTable {
  public:
    struct Row {
        std::string site;  ///< may be empty
        int line = 0;
    };

    /// Throws Error{configuration}, with file and line, for what is no number, and for a number with two sites.
    PrefixTable(const std::string& path, const number::Numbering* home);

    /// The row for a normalised number; nullptr if there is none.
    const Row* find(std::string_view number) const noexcept;
    std::size_t size() const noexcept { return rows_.size(); }
    const StringMap<Row>& rows() const noexcept { return rows_; }

  private:
    StringMap<Row> rows_;
    std::vector<std::size_t> lengths_;  // longest first
};

}  // namespace ums::rules
