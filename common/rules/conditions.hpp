// SPDX-License-Identifier: GPL-3.0-or-later
//
// Inside of rules: the conditions of a rule, compiled, and whether they hold for a message and one of its recipients.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "clock/zone.hpp"
#include "rules/pattern.hpp"
#include "rules/rules.hpp"

namespace ums::rules {

struct CompiledCondition {
    const config::Condition* source = nullptr;
    std::string_view zone;  ///< for hours and days
    std::vector<CompiledPattern> patterns;

    /// `recipient '+43*'`, `size over 5 MB`
    std::string what() const;
    std::string place() const;
};

struct CompiledTest {
    std::vector<CompiledCondition> conditions;
    std::vector<CompiledTest> any;
    std::vector<CompiledTest> all;
    std::vector<CompiledTest> none;

    /// All of it: `sender '@a', any (service 'sms'; header X '1'), not (service 'mwi')`.
    std::string describe() const;
    bool needs_body() const noexcept;
};

/// `zone` is the time zone of the rule, and must live as long as the test.
CompiledTest compile(const config::Test& test, const number::Numbering* home, std::string_view zone);

/// Throws Error{configuration} for a row of a table that names no site, or none of the configuration's.
void check_sites_of_rows(const CompiledTest& test, const config::Config& config);

/// What all recipients of a message share, made when a rule first asks for it.
class Facts {
  public:
    Facts(const Subject& subject, const number::Numbering* home) : subject_(subject), home_(home) {}

    const Value& sender();
    const Value& connector();
    /// Of an address field, the addresses in it too.
    const std::vector<Value>& header(const std::string& name);
    const Value& importance();
    const std::vector<Value>& attachments();
    /// Nothing where the subject has no time.
    const clock::WallTime* wall_time(std::string_view zone);
    std::optional<Bytes> size() const noexcept { return subject_.size; }
    bool released() const noexcept { return subject_.released; }
    /// What conditions that do not look at the recipient came to, so that a message with thousands of recipients is not
    /// searched for each of them.
    std::unordered_map<const CompiledCondition*, bool>& verdicts() noexcept { return verdicts_; }
    /// For the choice between several sites.
    std::uint64_t hash();

  private:
    const Subject& subject_;
    const number::Numbering* home_;
    std::optional<Value> sender_;
    std::optional<Value> connector_;
    std::optional<Value> importance_;
    std::optional<std::vector<Value>> attachments_;
    std::map<std::string, std::vector<Value>, std::less<>> headers_;
    std::map<std::string, clock::WallTime, std::less<>> times_;
    std::unordered_map<const CompiledCondition*, bool> verdicts_;
    std::optional<std::uint64_t> hash_;
};

/// One recipient against the rules.
class Evaluation {
  public:
    Evaluation(Facts& facts, const message::Recipient& recipient, const number::Numbering* home,
               std::vector<Look>* looks);

    const Value& recipient() const noexcept { return recipient_; }
    const Value& service() const noexcept { return service_; }
    Facts& facts() noexcept { return facts_; }

    void start(std::size_t rule) noexcept {
        rule_ = rule;
        row_site_ = nullptr;
    }
    bool holds(const CompiledTest& test, const char* prefix = "");
    /// The site of the `prefixes` row that made the rule match.
    const std::string* row_site() const noexcept { return row_site_; }

  private:
    bool holds(const CompiledCondition& condition, const char* prefix);
    bool find_out(const CompiledCondition& condition, const char* prefix);
    bool one_of(const CompiledCondition& condition, const char* prefix, std::span<const Value> values);
    bool in_range(const CompiledCondition& condition, const char* prefix, const std::string& seen,
                  std::optional<std::uint64_t> value);
    bool in_time(const CompiledCondition& condition, const char* prefix);
    void look(const CompiledCondition& condition, const char* prefix, std::string seen, std::string compared,
              bool matched);

    Facts& facts_;
    Value recipient_;
    Value service_;
    std::vector<Look>* looks_;
    std::size_t rule_ = 0;
    const std::string* row_site_ = nullptr;
};

/// Finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): FNV alone leaves the low bits of similar texts alike.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

}  // namespace ums::rules
