// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/mail_text.hpp"

#include <algorithm>
#include <vector>

#include "error/error.hpp"

namespace ums::transport {

namespace {

constexpr std::size_t part_size = 64 * 1024;
constexpr std::uint64_t most_returns = 1000;

// Gives the bytes of a body in parts; false from `each` ends it early.
template <typename Each>
bool read_parts(io::Disk& disk, const Body& body, Each each) {
    for (std::size_t at = 0; at < body.head.size(); at += part_size) {
        if (!each(std::string_view(body.head).substr(at, part_size))) return false;
    }
    std::vector<char> buffer(std::min<std::uint64_t>(part_size, body.length.count));
    for (std::uint64_t done = 0; done < body.length.count;) {
        const auto want = std::min<std::uint64_t>(buffer.size(), body.length.count - done);
        const auto got = disk.read(*body.file, {buffer.data(), want}, body.offset + done, "the message");
        if (got == 0) throw Error(Fault::cannot_read, "the message became shorter while it was read");
        if (!each(std::string_view(buffer.data(), got))) return false;
        done += got;
    }
    return true;
}

}  // namespace

void MailText::end_line(std::string& out) {
    out += "\r\n";
    facts_.size += Bytes{2};
    at_line_start_ = true;
}

void MailText::put(std::string_view part, std::string& out) {
    while (!part.empty()) {
        if (part.front() == '\r') {
            // More than anything that was once a line end: no memory is spent on them.
            if (++returns_ > most_returns) {
                --returns_;
                end_line(out);
            }
            part.remove_prefix(1);
            continue;
        }
        if (part.front() == '\n') {
            returns_ = 0;
            end_line(out);
            part.remove_prefix(1);
            continue;
        }
        for (; returns_ > 0; --returns_) end_line(out);
        const auto run = part.substr(0, std::min(part.find_first_of("\r\n"), part.size()));
        if (at_line_start_ && run.front() == '.') out += '.';
        at_line_start_ = false;
        out += run;
        facts_.size += Bytes{run.size()};
        facts_.eight_bit =
            facts_.eight_bit || std::any_of(run.begin(), run.end(), [](char c) { return (c & 0x80) != 0; });
        facts_.nul = facts_.nul || run.find('\0') != std::string_view::npos;
        part.remove_prefix(run.size());
    }
}

void MailText::finish(std::string& out) {
    // CRs at the very end are what is left of a line end.
    if (!at_line_start_) end_line(out);
    returns_ = 0;
}

void for_each_part(io::Disk& disk, const Body& body, const std::function<bool(std::string_view data)>& each) {
    MailText text;
    std::string out;
    const bool whole = read_parts(disk, body, [&](std::string_view part) {
        out.clear();
        text.put(part, out);
        return each(out);
    });
    if (!whole) return;
    out.clear();
    text.finish(out);
    if (!out.empty()) each(out);
}

MailFacts facts_of(io::Disk& disk, const Body& body) {
    MailText text;
    std::string out;
    read_parts(disk, body, [&](std::string_view part) {
        out.clear();
        text.put(part, out);
        return true;
    });
    out.clear();
    text.finish(out);
    return text.facts();
}

}  // namespace ums::transport
