// SPDX-License-Identifier: GPL-3.0-or-later
#include "rules/index.hpp"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>

namespace ums::rules {

// All regular expressions as one. Without memory enough for that, every rule is worth a look: slower, never wrong.
struct PatternIndex::Automaton {
    Automaton(re2::RE2::Anchor anchor, re2::RE2::Options::Encoding encoding) : set(options(encoding), anchor) {}

    static re2::RE2::Options options(re2::RE2::Options::Encoding encoding) {
        re2::RE2::Options options(re2::RE2::Quiet);
        options.set_encoding(encoding);
        options.set_case_sensitive(false);
        options.set_max_mem(16 << 20);
        return options;
    }
    void add(const std::string& regex, std::uint32_t rule) {
        if (set.Add(regex, nullptr) >= 0) {
            rules.push_back(rule);
        } else {
            outside.push_back(rule);
        }
    }
    void finish() { usable = !rules.empty() && set.Compile(); }
    void collect(std::string_view value, std::vector<std::uint32_t>& out) {
        out.insert(out.end(), outside.begin(), outside.end());
        re2::RE2::Set::ErrorInfo error{};
        hits.clear();
        if (usable) set.Match({value.data(), value.size()}, &hits, &error);
        if (!usable || error.kind != re2::RE2::Set::kNoError) {
            out.insert(out.end(), rules.begin(), rules.end());
            return;
        }
        for (const int hit : hits) out.push_back(rules[static_cast<std::size_t>(hit)]);
    }

    re2::RE2::Set set;
    std::vector<std::uint32_t> rules;
    std::vector<std::uint32_t> outside;
    std::vector<int> hits;
    bool usable = false;
};

PatternIndex::PatternIndex() = default;
PatternIndex::~PatternIndex() = default;
PatternIndex::PatternIndex(PatternIndex&&) noexcept = default;

void PatternIndex::add(Texts& texts, std::string_view pattern, std::uint32_t rule) {
    const auto special = pattern.find_first_of("*?");
    if (special == std::string_view::npos) {
        texts.exact[std::string(pattern)].push_back(rule);
    } else if (special + 1 == pattern.size() && pattern[special] == '*') {
        texts.prefixes.rules[std::string(pattern.substr(0, special))].push_back(rule);
    } else if (special == 0 && pattern[0] == '*' && pattern.find_first_of("*?", 1) == std::string_view::npos) {
        texts.suffixes.rules[std::string(pattern.substr(1))].push_back(rule);
    } else {
        std::string regex = "(?s)";
        for (const char c : pattern) {
            if (c == '*') {
                regex += ".*";
            } else if (c == '?') {
                regex += ".[\\x80-\\xbf]{0,3}";  // a character of UTF-8, or a byte that is none
            } else {
                regex += re2::RE2::QuoteMeta(re2::StringPiece(&c, 1));
            }
        }
        // Bytes: a value need not be UTF-8.
        if (!wildcards_)
            wildcards_ = std::make_unique<Automaton>(re2::RE2::ANCHOR_BOTH, re2::RE2::Options::EncodingLatin1);
        wildcards_->add(regex, rule);
    }
}

void PatternIndex::add_regex(std::string_view regex, std::uint32_t rule) {
    if (!regexes_) regexes_ = std::make_unique<Automaton>(re2::RE2::UNANCHORED, re2::RE2::Options::EncodingUTF8);
    regexes_->add(std::string(regex), rule);
}

void PatternIndex::finish() {
    for (auto* ends : {&numbers_.prefixes, &numbers_.suffixes, &words_.prefixes, &words_.suffixes}) {
        for (const auto& [text, rules] : ends->rules) ends->lengths.push_back(text.size());
        std::sort(ends->lengths.begin(), ends->lengths.end());
        ends->lengths.erase(std::unique(ends->lengths.begin(), ends->lengths.end()), ends->lengths.end());
    }
    if (regexes_) regexes_->finish();
    if (wildcards_) wildcards_->finish();
}

void PatternIndex::collect(const Texts& texts, std::string_view value, std::vector<std::uint32_t>& rules) {
    const auto take = [&](const StringMap<std::vector<std::uint32_t>>& map, std::string_view text) {
        if (const auto found = map.find(text); found != map.end())
            rules.insert(rules.end(), found->second.begin(), found->second.end());
    };
    take(texts.exact, value);
    for (const auto length : texts.prefixes.lengths) {
        if (length > value.size()) break;
        take(texts.prefixes.rules, value.substr(0, length));
    }
    for (const auto length : texts.suffixes.lengths) {
        if (length > value.size()) break;
        take(texts.suffixes.rules, value.substr(value.size() - length));
    }
}

void PatternIndex::collect(const Value& value, std::vector<std::uint32_t>& rules) const {
    rules.insert(rules.end(), any_.begin(), any_.end());
    collect(words_, value.lower, rules);
    if (value.number) collect(numbers_, *value.number, rules);
    if (regexes_) regexes_->collect(value.compared(), rules);
    if (wildcards_) {
        wildcards_->collect(value.lower, rules);
        if (value.number) wildcards_->collect(*value.number, rules);
    }
}

}  // namespace ums::rules
