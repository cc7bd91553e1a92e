// SPDX-License-Identifier: GPL-3.0-or-later
//
// Inside of rules: which rules can have to do with a value at all.
//
// A table of thousands of rules is not walked for each message. Exact patterns, prefixes and suffixes are found by hash,
// a look-up for each length that occurs; regular expressions, and wildcards of any other form, by one automaton for all of
// them (RE2::Set). What comes out is a superset: the rules found are then looked at one by one, in their order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rules/pattern.hpp"
#include "rules/table_file.hpp"

namespace ums::rules {

/// The patterns for one kind of value: recipients, senders, one header field.
class PatternIndex {
  public:
    PatternIndex();
    ~PatternIndex();
    PatternIndex(PatternIndex&&) noexcept;

    /// `pattern` covers all of the value's normalised number (its text in lower case); with `*` and `?`.
    void add_number(std::string_view pattern, std::uint32_t rule) { add(numbers_, pattern, rule); }
    void add_word(std::string_view pattern, std::uint32_t rule) { add(words_, pattern, rule); }
    /// Found anywhere in the value, letters in either case.
    void add_regex(std::string_view regex, std::uint32_t rule);
    void add_any(std::uint32_t rule) { any_.push_back(rule); }
    /// To be called once, after all have been added.
    void finish();

    /// Appends the rules for `value`, in no order, some twice.
    void collect(const Value& value, std::vector<std::uint32_t>& rules) const;

  private:
    struct Ends {
        StringMap<std::vector<std::uint32_t>> rules;
        std::vector<std::size_t> lengths;
    };
    struct Texts {
        StringMap<std::vector<std::uint32_t>> exact;
        Ends prefixes;
        Ends suffixes;
    };
    struct Automaton;

    void add(Texts& texts, std::string_view pattern, std::uint32_t rule);
    static void collect(const Texts& texts, std::string_view value, std::vector<std::uint32_t>& rules);

    Texts numbers_;
    Texts words_;
    std::vector<std::uint32_t> any_;
    std::unique_ptr<Automaton> regexes_;
    std::unique_ptr<Automaton> wildcards_;
};

}  // namespace ums::rules
