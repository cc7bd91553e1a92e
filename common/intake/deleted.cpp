// SPDX-License-Identifier: GPL-3.0-or-later
#include "intake/deleted.hpp"

#include "intake/claim_names.hpp"
#include "text/text.hpp"

namespace ums::intake {

namespace {

constexpr std::chrono::minutes remembered{10};
constexpr std::size_t most_forgotten = 1000;  // before the list is written anew

std::string line_of(const Deleted::Claim& claim) {
    return claim.first + "\t" + (claim.second ? std::to_string(claim.second->count) : "-") + "\n";
}

}  // namespace

void Deleted::read(std::string_view text) {
    for (const auto line : text::split(text, '\n')) {
        const auto tab = line.find('\t');
        if (tab == std::string_view::npos || !id_of_claim(line.substr(0, tab), claim_prefix_)) continue;
        const auto size = text::parse_number(line.substr(tab + 1));
        claims_.emplace(line.substr(0, tab), size ? std::optional(Bytes{*size}) : std::nullopt);
    }
}

bool Deleted::contains(const transport::Item& item) const {
    const auto found = claims_.find(item.name);
    return found != claims_.end() && (!found->second || *found->second == item.size);
}

void Deleted::add(const std::vector<Claim>& claims) {
    if (claims.empty()) return;
    auto& disk = spool_.disk();
    const auto path = spool_.state_path("deleted/" + source_);
    std::string lines;
    for (const auto& claim : claims) {
        lines += line_of(claim);
        claims_.insert(claim);
    }
    disk.append(path, lines);
    if (const auto fd = disk.open(path)) disk.sync(*fd, path);
    // Once: who made the file may have died before its name was durable.
    if (!std::exchange(is_durable_, true)) disk.sync_directory(io::parent_of(path));
}

void Deleted::forget_others_than(const std::set<std::string>& still_there, clock::Instant now) {
    std::map<std::string, std::optional<Bytes>> left;
    for (const auto& claim : claims_) {
        const auto id = id_of_claim(claim.first, claim_prefix_);
        if (still_there.contains(claim.first) || (id && now - id->arrival() < remembered)) left.insert(claim);
    }
    const auto forgotten = claims_.size() - left.size();
    if (forgotten == 0 || (forgotten < most_forgotten && !left.empty())) return;
    const auto path = spool_.state_path("deleted/" + source_);
    std::string text;
    for (const auto& claim : left) text += line_of(claim);
    if (text.empty()) {
        spool_.disk().remove(path);
        is_durable_ = false;
    } else {
        io::write_file(spool_.disk(), path, text);
    }
    claims_ = std::move(left);
}

}  // namespace ums::intake
