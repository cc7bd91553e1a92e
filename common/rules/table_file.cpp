// SPDX-License-Identifier: GPL-3.0-or-later
#include "rules/table_file.hpp"

#include <algorithm>
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
    bool first = true;
    read_lines(path, [&](int line, std::string_view text) {
        const auto cells = text::split(text, ',');
        const auto spelling = unquoted(cells[0]);
        const bool is_heading = first && spelling.find_first_of("0123456789+") == spelling.npos;
        first = false;
        if (is_heading) return;
        if (!number::is_number(spelling)) throw fail(line, text::quote(spelling) + " is no number");
        if (cells.size() > 2 && !text::trim(cells[2]).empty()) throw fail(line, "more than 'number,site'");
        const auto [row, added] = rows_.try_emplace(number::normalise(spelling, home),
                                                    Row{std::string(cells.size() > 1 ? unquoted(cells[1]) : ""), line});
        if (!added && (cells.size() < 2 || row->second.site != unquoted(cells[1]))) {
            throw fail(line, text::quote(spelling) + " stands in line " + std::to_string(row->second.line) +
                                 " with another site");
        }
    });
    for (const auto& [number, row] : rows_) lengths_.push_back(number.size());
    std::sort(lengths_.begin(), lengths_.end(), std::greater<>());
    lengths_.erase(std::unique(lengths_.begin(), lengths_.end()), lengths_.end());
}

const PrefixTable::Row* PrefixTable::find(std::string_view number) const noexcept {
    for (const auto length : lengths_) {
        if (length > number.size()) continue;
        if (const auto row = rows_.find(number.substr(0, length)); row != rows_.end()) return &row->second;
    }
    return nullptr;
}

}  // namespace ums::rules
