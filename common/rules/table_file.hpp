// SPDX-License-Identifier: GPL-3.0-or-later
//
// Inside of rules: the files that `in` and `prefixes` name.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
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

/// `number,site` rows; the longest number that a value begins with wins. One hash look-up per length that occurs,
/// all of them fetched from memory at once. Made for carriers' tables: 500,000 rows take about 25 MB.
class PrefixTable {
  public:
    /// Throws Error{configuration}, with file and line, for what is no number, and for a number with two sites.
    PrefixTable(const std::string& path, const number::Numbering* home);

    struct Row {
        std::string_view number;            ///< normalised
        const std::string* site = nullptr;  ///< may be empty
        int line = 0;
    };
    /// The row for a normalised number, if there is one.
    std::optional<Row> find(std::string_view number) const noexcept;
    std::size_t size() const noexcept { return rows_.size(); }
    Row row(std::size_t i) const noexcept;
    /// The sites that the rows name, each with the line where it stands first.
    struct Site {
        std::string name;
        int line = 0;
    };
    const std::vector<Site>& sites() const noexcept { return sites_; }

  private:
    struct Packed {
        std::uint32_t begin = 0;  // in digits_
        std::uint32_t site = 0;   // index into sites_
        std::uint32_t line = 0;
        std::uint8_t length = 0;
    };
    // A slot of the hash table. The tag, other bits of the hash, tells most strangers without a look at their row.
    struct Slot {
        std::uint32_t row = 0;  // index into rows_ plus one; 0 is free
        std::uint32_t tag = 0;
    };
    static std::uint32_t tag_of(std::size_t hash) noexcept {
        return static_cast<std::uint32_t>(std::uint64_t{hash} >> 32);
    }
    std::string_view number_of(const Packed& row) const noexcept { return {digits_.data() + row.begin, row.length}; }
    std::size_t slot_of(std::string_view number, std::size_t hash) const noexcept;
    void grow();

    std::string digits_;
    std::vector<Packed> rows_;
    std::vector<Slot> slots_;  // open addressing; a power of two
    std::vector<Site> sites_;
    std::vector<std::size_t> lengths_;  // longest first
};

}  // namespace ums::rules
