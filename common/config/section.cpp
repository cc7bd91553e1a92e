// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/section.hpp"

#include <algorithm>
#include <cassert>
#include <exception>
#include <filesystem>

#include "text/text.hpp"
#include "text/units.hpp"

namespace ums::config {

namespace {

constexpr std::size_t most_shown = 60;

std::string shown(std::string_view value) {
    if (text::parse_number(value)) return std::string(value);
    if (value.size() <= most_shown) return text::quote(value);
    return text::quote(value.substr(0, most_shown)) + "...";
}

bool has_control(std::string_view value, std::string_view except) noexcept {
    return std::any_of(value.begin(), value.end(), [&](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 || byte == 0x7f) && except.find(c) == std::string_view::npos;
    });
}

}  // namespace

void report_wrong(const Node& node, std::string_view key, const std::string& wanted, Report& report) {
    if (node.refused) return;
    if (node.kind == Node::Kind::nothing) {
        report.error(node, text::quote(key) + " has no value; it must be " + wanted);
        return;
    }
    const std::string found = node.kind == Node::Kind::list  ? "a list"
                              : node.kind == Node::Kind::map ? "a map"
                                                             : shown(node.text);
    report.error(node, text::quote(key) + " must be " + wanted + ", not " + found);
}

const std::string* read_line(const Node& node, std::string_view key, Report& report) {
    if (node.kind != Node::Kind::text) {
        report_wrong(node, key, "a text", report);
        return nullptr;
    }
    if (has_control(node.text, "\t")) {
        report.error(node, text::quote(key) + " must be one line without control characters, not " + shown(node.text));
        return nullptr;
    }
    return &node.text;
}

std::optional<bool> read_flag(const Node& node) noexcept {
    if (node.kind != Node::Kind::text) return std::nullopt;
    for (const std::string_view yes : {"yes", "true", "on"}) {
        if (text::equal_ignoring_case(node.text, yes)) return true;
    }
    for (const std::string_view no : {"no", "false", "off"}) {
        if (text::equal_ignoring_case(node.text, no)) return false;
    }
    return std::nullopt;
}

Section::Section(const Node& node, std::string_view key, keys::Keys keys, Report& report)
    : node_(node), keys_(keys), asked_(keys.size(), false), report_(report) {
    if (!is_map()) {
        report_wrong(node, key, "a map (key: value)", report);
        return;
    }
    for (const auto& name : node.keys) {
        if (name.refused || std::find(keys.begin(), keys.end(), name.text) != keys.end()) continue;
        if (name.text == "password" && std::find(keys.begin(), keys.end(), "password-file") != keys.end()) {
            report.error(name,
                         "a password does not stand in this file: use 'password-file', 'password-command' or "
                         "'password-credential'");
            continue;
        }
        report.unknown(report.place(name), "key", name.text, keys);
    }
}

// A key that is listed but never read would be accepted and do nothing.
Section::~Section() {
    assert(!is_map() || std::uncaught_exceptions() > 0 ||
           std::all_of(asked_.begin(), asked_.end(), [](bool asked) { return asked; }));
}

const Node* Section::find(std::string_view key) {
    const auto known = std::find(keys_.begin(), keys_.end(), key);
    assert(known != keys_.end());
    asked_[static_cast<std::size_t>(known - keys_.begin())] = true;
    if (!is_map()) return nullptr;
    for (std::size_t i = 0; i < node_.keys.size(); ++i) {
        if (node_.keys[i].text == key && !node_.keys[i].refused) {
            return node_.values[i].refused ? nullptr : &node_.values[i];
        }
    }
    return nullptr;
}

bool Section::text(std::string_view key, std::string& out, Empty empty) {
    const Node* node = find(key);
    const std::string* value = node ? read_line(*node, key, report_) : nullptr;
    if (!value) return false;
    if (value->empty() && empty == Empty::refused) {
        report_.error(*node, text::quote(key) + " is empty");
        return false;
    }
    out = *value;
    return true;
}

bool Section::prose(std::string_view key, std::string& out) {
    const Node* node = find(key);
    if (!node) return false;
    if (node->kind != Node::Kind::text || text::trim(node->text).empty() || has_control(node->text, "\t\r\n")) {
        report_wrong(*node, key, "a text", report_);
        return false;
    }
    out = text::trim(node->text);
    return true;
}

bool Section::flag(std::string_view key, bool& out) {
    const Node* node = find(key);
    if (!node) return false;
    const auto value = read_flag(*node);
    if (!value) {
        report_wrong(*node, key, "yes or no", report_);
        return false;
    }
    out = *value;
    return true;
}

bool Section::number(std::string_view key, unsigned& out, unsigned least, unsigned most) {
    const Node* node = find(key);
    if (!node) return false;
    const auto value = node->kind == Node::Kind::text ? text::parse_number(node->text) : std::nullopt;
    if (!value || *value < least || *value > most) {
        report_wrong(*node, key, std::to_string(least) + " to " + std::to_string(most), report_);
        return false;
    }
    out = static_cast<unsigned>(*value);
    return true;
}

bool Section::duration(std::string_view key, text::Duration& out, text::Duration least) {
    const Node* node = find(key);
    if (!node) return false;
    const auto value = node->kind == Node::Kind::text ? text::parse_duration(node->text) : std::nullopt;
    if (!value) {
        report_wrong(*node, key, "a time with its unit (ms, s, m, h, d, w) such as 30s or 5d", report_);
        return false;
    }
    if (*value < least) {
        report_wrong(*node, key, "at least " + text::format_duration(least), report_);
        return false;
    }
    out = *value;
    return true;
}

bool Section::digits(std::string_view key, std::string& out, std::string_view allowed, Empty empty) {
    const Node* node = find(key);
    if (!node) return false;
    const bool right = node->kind == Node::Kind::text && (empty == Empty::allowed || !node->text.empty()) &&
                       node->text.size() <= 20 && node->text.find_first_not_of(allowed) == std::string::npos;
    if (!right) {
        const bool more = allowed.find('*') != std::string_view::npos;
        report_wrong(*node, key, more ? "at most 20 digits, * or #" : "at most 20 digits", report_);
        return false;
    }
    out = node->text;
    return true;
}

bool Section::path(std::string_view key, std::string& out, const std::string& base) {
    std::string path;
    if (!text(key, path)) return false;
    out = absolute_path(path, base);
    return true;
}

std::optional<std::size_t> Section::choose(std::string_view key, const std::vector<std::string_view>& names) {
    const Node* node = find(key);
    if (!node) return std::nullopt;
    if (node->kind == Node::Kind::text) {
        for (std::size_t i = 0; i < names.size(); ++i) {
            if (text::equal_ignoring_case(names[i], node->text)) return i;
        }
        // Editors and formatters turn `off` into `false` and `no`: to YAML 1.1 they are the same.
        const auto off = std::find(names.begin(), names.end(), "off");
        if (off != names.end() && read_flag(*node) == false) return static_cast<std::size_t>(off - names.begin());
    }
    std::string wanted;
    for (std::size_t i = 0; i < names.size(); ++i) {
        wanted += i == 0 ? "" : i + 1 == names.size() ? " or " : ", ";
        wanted += names[i];
    }
    report_wrong(*node, key, wanted, report_);
    return std::nullopt;
}

std::vector<const Node*> Section::texts(std::string_view key) {
    const Node* node = find(key);
    if (!node) return {};
    std::vector<const Node*> out;
    const auto add = [&](const Node& item) {
        if (item.refused) return;
        const auto* value = read_line(item, key, report_);
        if (value && value->empty()) {
            report_.error(item, text::quote(key) + " has an empty text");
        } else if (value) {
            out.push_back(&item);
        }
    };
    if (node->kind == Node::Kind::list) {
        if (node->values.empty()) report_.error(*node, text::quote(key) + " is an empty list");
        for (const auto& item : node->values) add(item);
    } else if (node->kind == Node::Kind::text) {
        add(*node);
    } else {
        report_wrong(*node, key, "a text or a list of texts", report_);
    }
    return out;
}

std::string absolute_path(const std::string& path, const std::string& base) {
    std::filesystem::path whole(path);
    if (!whole.is_absolute()) whole = std::filesystem::path(base) / whole;
    std::string out = whole.lexically_normal().string();
    while (out.size() > 1 && out.ends_with('/')) out.pop_back();
    return out;
}

bool is_field_name(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 76 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > 32 && c < 127 && c != ':'; });
}

}  // namespace ums::config
