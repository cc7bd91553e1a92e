// SPDX-License-Identifier: GPL-3.0-or-later
#include "intake/looks.hpp"

#include "target/target.hpp"
#include "text/text.hpp"

namespace ums::intake {

bool Looks::look(const transport::Item& item, clock::Instant now) {
    auto [found, is_new] = seen_.try_emplace(item.name);
    auto& seen = found->second;
    const bool changed = is_new || seen.size != item.size || seen.version != item.version;
    // A clock set back since the first look would make the file wait for ever: begin again.
    if (changed || seen.first > now) seen = {item.size, item.version, now, 0, true};
    seen.now = true;
    return settle_.count() == 0 || (!changed && now - seen.first >= settle_);
}

unsigned Looks::failed(const std::string& name) { return ++seen_[name].failures; }

unsigned Looks::failures(const std::string& name) const {
    const auto found = seen_.find(name);
    return found == seen_.end() ? 0 : found->second.failures;
}

void Looks::forget_unseen() {
    std::erase_if(seen_, [](const auto& entry) { return !entry.second.now; });
    for (auto& [name, seen] : seen_) seen.now = false;
}

std::string Looks::to_text() const {
    std::string text;
    for (const auto& [name, seen] : seen_) {
        text += target::encode_segment(name) + "\t" + std::to_string(seen.size.count) + "\t" +
                target::encode_segment(seen.version) + "\t" + clock::format_precise(seen.first) + "\t" +
                std::to_string(seen.failures) + "\n";
    }
    return text;
}

void Looks::read(std::string_view text) {
    for (const auto line : text::split(text, '\n')) {
        const auto fields = text::split(line, '\t');
        if (fields.size() != 5) continue;
        const auto name = target::decode(fields[0]);
        const auto size = text::parse_number(fields[1]);
        const auto version = target::decode(fields[2]);
        const auto first = clock::parse(fields[3]);
        const auto failures = text::parse_number(fields[4]);
        if (!name || !size || !version || !first || !failures) continue;
        seen_[*name] = {Bytes{*size}, *version, *first, static_cast<unsigned>(*failures), false};
    }
}

}  // namespace ums::intake
