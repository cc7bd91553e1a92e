// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <string>

#include "spool/spool.hpp"
#include "text/text.hpp"

namespace ums::spool {

namespace {

// Two files of this size are kept: the one being written and the one before it.
constexpr Bytes largest_journal{16 << 20};

// The same message, or split from it.
bool is_descendant(std::string_view id, std::string_view of) {
    return id.starts_with(of) && (id.size() == of.size() || id[of.size()] == '~');
}

}  // namespace

void Spool::journal(std::string_view tool, std::span<const Event> events) const {
    if (events.empty()) return;
    const std::string time = clock::format_precise(clock_.now());
    std::string lines;
    for (const auto& event : events) {
        lines += time;
        for (const std::string_view field : {tool, std::string_view(event.id), std::string_view(event.what)}) {
            lines += '\t';
            lines += field;
        }
        lines += '\t';
        lines += text::escape(event.detail);
        lines += '\n';
    }
    try {
        const std::string file = state_path("journal");
        disk_.append(file, lines);
        const auto info = disk_.info(file);
        if (!info || info->size < largest_journal) return;
        const std::string lock_file = state_path("journal.lock");
        const io::Fd lock = disk_.open_or_create(lock_file);
        if (disk_.try_lock(lock, lock_file) && disk_.info(file).value_or(io::FileInfo{}).size >= largest_journal) {
            disk_.replace(file, file + ".1");
        }
    } catch (const Error&) {  // the journal explains, it decides nothing: a full disk must not stop what is under way
    }
}

std::vector<std::vector<std::string>> Spool::journal_of(std::string_view id) const {
    std::vector<std::vector<std::string>> lines;
    for (const char* name : {"/state/journal.1", "/state/journal"}) {
        const auto content = io::read_file(disk_, root_ + name, Bytes{2 * largest_journal.count});
        if (!content) continue;
        for (std::string_view rest = *content; !rest.empty();) {
            const auto end = std::min(rest.find('\n'), rest.size());
            const auto line = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            const auto fields = text::split(line, '\t');
            if (fields.size() != 5 || !(is_descendant(fields[2], id) || is_descendant(id, fields[2]))) continue;
            lines.emplace_back(fields.begin(), fields.end());
        }
    }
    return lines;
}

}  // namespace ums::spool
