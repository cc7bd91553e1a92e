// SPDX-License-Identifier: GPL-3.0-or-later
#include "rules/table_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <functional>

#include "error/error.hpp"
#include "text/text.hpp"

namespace ums::rules {

void read_lines(const std::string& path, const std::function<void(int line, std::string_view text)>& each) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) throw system_error(Fault::configuration, "read " + text::quote(path), errno);
    std::string bytes;
    int line = 0;
    while (std::getline(file, bytes)) {
        std::string_view text = bytes;
        if (++line == 1 && text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
        text = text::trim(text);
        if (!text.empty() && !text.starts_with('#')) each(line, text);
    }
    // A directory opens, but does not read.
    if (file.bad()) throw system_error(Fault::configuration, "read " + text::quote(path), errno);
}

namespace {

std::string_view unquoted(std::string_view cell) noexcept {
    cell = text::trim(cell);
    if (cell.size() >= 2 && cell.starts_with('"') && cell.ends_with('"'))
        cell = text::trim(cell.substr(1, cell.size() - 2));
    return cell;
}

}  // namespace

PrefixTable::PrefixTable(const std::string& path, const number::Numbering* home) {
    const auto fail = [&](int line, const std::string& what) -> Error {
        return {Fault::configuration, text::escape(path) + ":" + std::to_string(line) + ": " + what};
    };
    grow();
    StringMap<std::uint32_t> site_index;
    std::vector<bool> has_length(256, false);
    bool first = true;
    read_lines(path, [&](int line, std::string_view text) {
        const auto comma = text.find(',');
        const auto spelling = unquoted(text.substr(0, comma));
        const bool is_heading = first && spelling.find_first_of("0123456789+") == spelling.npos;
        first = false;
        if (is_heading) return;
        std::string_view site;
        if (comma != std::string_view::npos) {
            const auto rest = text.substr(comma + 1);
            const auto second = rest.find(',');
            site = unquoted(rest.substr(0, second));
            if (second != std::string_view::npos && !text::trim(rest.substr(second + 1)).empty())
                throw fail(line, "more than 'number,site'");
        }
        // Most tables are written in the form that is compared.
        std::string normalised;
        std::string_view number = spelling;
        const bool is_plain = spelling.size() > 1 && spelling.front() == '+' &&
                              spelling.find_first_not_of("0123456789", 1) == std::string_view::npos;
        if (!is_plain) {
            if (!number::is_number(spelling)) throw fail(line, text::quote(spelling) + " is no number");
            normalised = number::normalise(spelling, home);
            number = normalised;
        }
        if (number.size() > 255) throw fail(line, text::quote(spelling.substr(0, 40)) + "... is too long for a number");
        auto known = site_index.find(site);
        if (known == site_index.end()) {
            known = site_index.emplace(std::string(site), static_cast<std::uint32_t>(sites_.size())).first;
            sites_.push_back({std::string(site), line});
        }
        if (2 * rows_.size() >= slots_.size()) grow();
        const auto hash = std::hash<std::string_view>()(number);
        auto& slot = slots_[slot_of(number, hash)];
        if (slot.row != 0) {
            const auto& there = rows_[slot.row - 1];
            if (comma == std::string_view::npos || there.site != known->second) {
                throw fail(line, text::quote(spelling) + " stands in line " + std::to_string(there.line) +
                                     " with another site");
            }
            return;
        }
        rows_.push_back({static_cast<std::uint32_t>(digits_.size()), known->second, static_cast<std::uint32_t>(line),
                         static_cast<std::uint8_t>(number.size())});
        slot = {static_cast<std::uint32_t>(rows_.size()), tag_of(hash)};
        digits_ += number;
        has_length[number.size()] = true;
    });
    for (std::size_t length = has_length.size(); length-- > 0;) {
        if (has_length[length]) lengths_.push_back(length);
    }
}

std::size_t PrefixTable::slot_of(std::string_view number, std::size_t hash) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    const auto is_other = [&](const Slot& slot) {
        return slot.row != 0 && (slot.tag != tag_of(hash) || number_of(rows_[slot.row - 1]) != number);
    };
    std::size_t slot = hash & mask;
    while (is_other(slots_[slot])) slot = (slot + 1) & mask;
    return slot;
}

void PrefixTable::grow() {
    slots_.assign(std::max<std::size_t>(1024, slots_.size() * 2), {});
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        const auto number = number_of(rows_[i]);
        const auto hash = std::hash<std::string_view>()(number);
        slots_[slot_of(number, hash)] = {static_cast<std::uint32_t>(i + 1), tag_of(hash)};
    }
}

PrefixTable::Row PrefixTable::row(std::size_t i) const noexcept {
    const auto& row = rows_[i];
    return {number_of(row), &sites_[row.site].name, static_cast<int>(row.line)};
}

std::optional<PrefixTable::Row> PrefixTable::find(std::string_view number) const noexcept {
    std::array<std::size_t, 256> hashes;  // a row has at most 255 characters
    std::size_t longest = 0;
    while (longest < lengths_.size() && lengths_[longest] > number.size()) ++longest;
    // Between two messages the table has left the cache: to wait for all slots together takes as long as for one.
    for (std::size_t i = longest; i < lengths_.size(); ++i) {
        hashes[i] = std::hash<std::string_view>()(number.substr(0, lengths_[i]));
        __builtin_prefetch(&slots_[hashes[i] & (slots_.size() - 1)]);
    }
    for (std::size_t i = longest; i < lengths_.size(); ++i) {
        if (const auto found = slots_[slot_of(number.substr(0, lengths_[i]), hashes[i])].row; found != 0)
            return row(found - 1);
    }
    return std::nullopt;
}

}  // namespace ums::rules
