// SPDX-License-Identifier: GPL-3.0-or-later
//
// Inside of rules: one compiled pattern, and the values it is compared with.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "message/header_block.hpp"
#include "rules/table_file.hpp"

namespace re2 {
class RE2;
}

namespace ums::rules {

/// A value of a message in the forms it is compared in. Made once per message, used by every rule.
struct Value {
    std::string written;
    std::string lower;
    std::optional<std::string> number;        ///< normalised, if it looks like a number
    std::optional<message::Service> service;  ///< of a recipient or sender

    /// The form that a pattern sees; for --explain.
    const std::string& compared() const noexcept { return number ? *number : written; }
};
Value make_value(std::string written, std::optional<message::Service> service, const number::Numbering* home);

/// What kind of value a pattern is for: decides which forms of it mean something special. A mailbox is a header field
/// that holds addresses.
enum class Role { address, sender, word, header, mailbox };

class PatternIndex;

class CompiledPattern {
  public:
    /// Throws Error{configuration}.
    CompiledPattern(const config::Pattern& pattern, Role role, const number::Numbering* home);
    ~CompiledPattern();
    CompiledPattern(CompiledPattern&&) noexcept;

    bool matches(const Value& value) const;
    /// For `prefixes`: the site of the row that a value hits; nullptr if none does.
    const std::string* site_for(const Value& value) const noexcept;
    /// The table, if this is `prefixes`.
    const PrefixTable* table() const noexcept { return table_.get(); }
    /// Whether it covers all values that begin in one way, whatever their service: `+43*`.
    bool is_open_prefix() const noexcept;
    /// As it is written: `'+43*'`, `/^+43/`, `prefixes carriers.csv`.
    std::string name() const;
    /// Makes `index` find `rule` for every value that this pattern matches (and perhaps for others).
    void enter(PatternIndex& index, std::uint32_t rule) const;

  private:
    struct Text {
        enum class Form { all, number, domain, plain } form = Form::plain;
        std::optional<message::Service> service;
        std::string pattern;  // normalised, or in lower case
        std::string word;     // of a number: as it is written, in lower case
        bool wildcard = false;
    };
    struct List {
        StringSet numbers;  // exact, normalised
        StringSet words;    // exact, lower case; with `@domain`s of senders
        std::vector<Text> others;
    };

    static Text compile(std::string_view written, Role role, const number::Numbering* home);
    static List read_list(const std::string& path, Role role, const number::Numbering* home);
    bool matches_text(const Text& text, const Value& value) const;
    bool matches_list(const Value& value) const;
    const re2::RE2& regex() const;

    Role role_;
    const config::Pattern* source_;
    std::optional<Text> text_;
    mutable std::unique_ptr<const re2::RE2> regex_;  // compiled when it is first needed
    std::unique_ptr<const PrefixTable> table_;
    std::unique_ptr<const List> list_;
};

}  // namespace ums::rules
