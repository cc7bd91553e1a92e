// SPDX-License-Identifier: GPL-3.0-or-later
#include "spool/entry_name.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "error/error.hpp"
#include "io/disk.hpp"
#include "text/text.hpp"

namespace ums::spool {

namespace {

constexpr std::string_view attribute_order = "cshonptwvdmrqaelkb";

bool is_alphanumeric(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool in_value_charset(char c) noexcept { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; }

bool is_id(std::string_view id) noexcept {
    const auto first_dot = id.find('.');
    if (first_dot != 16) return false;
    if (!std::all_of(id.begin(), id.begin() + 16, [](char c) { return c >= '0' && c <= '9'; })) return false;
    const auto second_dot = id.find('.', 17);
    if (second_dot == std::string_view::npos || second_dot == 17) return false;
    const auto random = id.substr(17, second_dot - 17);
    if (!std::all_of(random.begin(), random.end(), is_alphanumeric)) return false;
    auto mds = id.substr(second_dot + 1);
    const auto tilde = mds.find('~');
    if (tilde != std::string_view::npos) {
        auto splits = mds.substr(tilde);
        mds = mds.substr(0, tilde);
        while (!splits.empty()) {
            splits.remove_prefix(1);
            const auto digits = std::min(splits.find('~'), splits.size());
            const auto k = splits.substr(0, digits);
            if (k.empty() || k.size() > 6 || k[0] == '0' || !text::parse_number(k)) return false;
            splits.remove_prefix(digits);
        }
    }
    return !mds.empty() && mds.size() <= 6 && std::all_of(mds.begin(), mds.end(), is_alphanumeric);
}

}  // namespace

EntryName EntryName::make(clock::Instant now, std::string_view mds_id) {
    const auto microseconds = std::clamp<long long>(now.time_since_epoch().count(), 0, 9'999'999'999'999'999LL);
    std::array<char, 24> digits{};
    std::snprintf(digits.data(), digits.size(), "%016lld", microseconds);
    return EntryName(std::string(digits.data()) + "." + io::random_token().substr(0, 8) + "." + std::string(mds_id));
}

std::optional<EntryName> EntryName::parse(std::string_view text) {
    if (text.size() > longest) return std::nullopt;
    const auto comma = text.find(',');
    // The reason that stands beside an entry; no value of an attribute ends like this.
    if (comma != std::string_view::npos && text.ends_with(why_suffix)) return std::nullopt;
    if (!is_id(text.substr(0, comma))) return std::nullopt;
    std::string seen;
    for (auto rest = comma == std::string_view::npos ? std::string_view{} : text.substr(comma); !rest.empty();) {
        rest.remove_prefix(1);
        const auto part = rest.substr(0, rest.find(','));
        if (part.size() < 3 || part[1] != '=' || !is_alphanumeric(part[0])) return std::nullopt;
        if (!std::all_of(part.begin() + 2, part.end(), in_value_charset)) return std::nullopt;
        if (seen.find(part[0]) != std::string::npos) return std::nullopt;
        seen += part[0];
        rest.remove_prefix(part.size());
    }
    return EntryName(std::string(text));
}

std::string_view EntryName::id() const noexcept { return std::string_view(text_).substr(0, text_.find(',')); }

clock::Instant EntryName::arrival() const noexcept {
    return clock::Instant(std::chrono::microseconds(text::parse_number(id().substr(0, 16)).value_or(0)));
}

std::string_view EntryName::mds_id() const noexcept {
    const auto own = id();
    const auto tail = own.substr(own.find('.', 17) + 1);
    return tail.substr(0, tail.find('~'));
}

std::string_view EntryName::get(char key) const noexcept {
    const std::string_view all = text_;
    for (auto comma = all.find(','); comma != std::string_view::npos; comma = all.find(',', comma + 1)) {
        if (all[comma + 1] != key) continue;
        const auto start = comma + 3;
        return all.substr(start, std::min(all.find(',', start), all.size()) - start);
    }
    return {};
}

unsigned long long EntryName::number(char key) const noexcept { return text::parse_number(get(key)).value_or(0); }

std::vector<std::pair<char, std::string>> EntryName::attributes() const {
    std::vector<std::pair<char, std::string>> found;
    const auto parts = text::split(text_, ',');
    for (std::size_t i = 1; i < parts.size(); ++i) found.emplace_back(parts[i][0], parts[i].substr(2));
    return found;
}

std::string EntryName::compose(std::string_view id, const std::vector<std::pair<char, std::string>>& attributes) {
    std::string text(id);
    const auto append = [&](const auto& attribute) {
        text += ',';
        text += attribute.first;
        text += '=';
        text += attribute.second;
    };
    for (const char key : attribute_order) {
        for (const auto& a : attributes) {
            if (a.first == key) append(a);
        }
    }
    for (const auto& a : attributes) {
        if (attribute_order.find(a.first) == std::string_view::npos) append(a);
    }
    if (text.size() > longest) throw Error(Fault::internal, "the entry name '" + text + "' would be too long");
    return text;
}

EntryName EntryName::with(char key, std::string_view value) const {
    auto all = attributes();
    const auto old = std::find_if(all.begin(), all.end(), [&](const auto& a) { return a.first == key; });
    if (value.empty()) {
        if (old != all.end()) all.erase(old);
        return EntryName(compose(id(), all));
    }
    std::string clean(value);
    std::replace_if(
        clean.begin(), clean.end(), [](char c) { return !in_value_charset(c); }, '_');
    // At the end of a name it would make the entry look like the reason beside another, and nobody would see it.
    if (clean.ends_with(why_suffix)) clean[clean.size() - why_suffix.size()] = '_';
    if (old != all.end()) {
        old->second = clean;
    } else {
        all.emplace_back(key, clean);
    }
    return EntryName(compose(id(), all));
}

EntryName EntryName::child(unsigned k) const {
    return EntryName(compose(std::string(id()) + "~" + std::to_string(k), attributes()));
}

std::string_view EntryName::parent_id() const noexcept {
    const auto own = id();
    const auto tilde = own.rfind('~');
    return tilde == std::string_view::npos ? std::string_view{} : own.substr(0, tilde);
}

EntryName undecided(const EntryName& name) {
    const auto open = name.without(attribute::site).without(attribute::home).without(attribute::not_before);
    return open.number(attribute::chosen) == 0 ? open : open.without(attribute::connector).without(attribute::chosen);
}

}  // namespace ums::spool
