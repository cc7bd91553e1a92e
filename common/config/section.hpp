// SPDX-License-Identifier: GPL-3.0-or-later
//
// Private to config: reading the keys of one map, each with its type and range.
//
// A reader leaves its target as it was (the default) when the key is not there or is wrong; what is wrong is in the
// report with the place of the value.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/document.hpp"
#include "config/keys.hpp"
#include "config/report.hpp"

namespace ums::config {

/// `'key' must be <wanted>, not 'value'` (or: not a list; or: `'key' has no value`).
void report_wrong(const Node& node, std::string_view key, const std::string& wanted, Report& report);

/// The text of `node` if it is one line of text, else nothing and a diagnostic.
const std::string* read_line(const Node& node, std::string_view key, Report& report);
std::optional<bool> read_flag(const Node& node) noexcept;

enum class Empty { refused, allowed };

class Section {
  public:
    /// Reports what is no map, and the keys of the map that are not among `keys`. All of `keys` must then be asked for.
    Section(const Node& node, std::string_view key, keys::Keys keys, Report& report);
    ~Section();
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

    bool is_map() const noexcept { return node_.kind == Node::Kind::map; }
    const Node& node() const noexcept { return node_; }

    /// The value of `key`; null if it is not there, or was refused already.
    const Node* find(std::string_view key);

    /// Whether the key stood there and was right.
    bool text(std::string_view key, std::string& out, Empty empty = Empty::refused);
    /// May have several lines.
    bool prose(std::string_view key, std::string& out);
    bool flag(std::string_view key, bool& out);
    bool number(std::string_view key, unsigned& out, unsigned least, unsigned most);
    bool duration(std::string_view key, text::Duration& out, text::Duration least);
    bool digits(std::string_view key, std::string& out, std::string_view allowed, Empty empty = Empty::refused);
    /// Made absolute.
    bool path(std::string_view key, std::string& out, const std::string& base);

    template <typename Enum>
    bool choice(std::string_view key, Enum& out, std::initializer_list<std::pair<std::string_view, Enum>> choices) {
        std::vector<std::string_view> names;
        for (const auto& [name, value] : choices) names.push_back(name);
        const auto index = choose(key, names);
        if (index) out = (choices.begin() + *index)->second;
        return index.has_value();
    }

    /// The texts of a list, or the one text that stands in its place; each with its node. Reports an empty list.
    std::vector<const Node*> texts(std::string_view key);

    Report& report() noexcept { return report_; }

  private:
    std::optional<std::size_t> choose(std::string_view key, const std::vector<std::string_view>& names);

    const Node& node_;
    keys::Keys keys_;
    std::vector<bool> asked_;
    Report& report_;
};

/// `path` as it stands, or below `base`.
std::string absolute_path(const std::string& path, const std::string& base);

/// A header field name (RFC 5322 section 2.2).
bool is_field_name(std::string_view text) noexcept;

}  // namespace ums::config
