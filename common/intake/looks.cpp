// SPDX-License-Identifier: GPL-3.0-or-later
#include "intake/looks.hpp"

#include <algorithm>
#include <vector>

#include "target/target.hpp"
#include "text/text.hpp"

namespace ums::intake {

namespace {

constexpr std::chrono::minutes first_rest{10};
constexpr std::chrono::minutes longest_rest{60};
constexpr std::size_t longest_why = 500;
constexpr unsigned long long most_counted = 1'000'000;

}  // namespace

Looks::Past& Looks::past_of(Seen& seen) {
    if (!seen.past) seen.past = std::make_unique<Past>();
    return *seen.past;
}

const Looks::Past* Looks::past_of(const std::string& name) const {
    const auto found = seen_.find(name);
    return found == seen_.end() ? nullptr : found->second.past.get();
}

bool Looks::look(const transport::Item& item, clock::Instant now) {
    if (seen_.size() >= 2 * most) forget_oldest();
    auto [found, is_new] = seen_.try_emplace(item.name);
    auto& seen = found->second;
    const auto version = text::hash(item.version);
    const bool changed = is_new || seen.size != item.size || seen.version != version;
    // A clock set back since the first look would make the file wait for ever: begin again.
    if (changed || seen.first > now) {
        seen.size = item.size;
        seen.version = version;
        seen.first = now;
        if (seen.past) *seen.past = Past{0, {}, std::move(seen.past->original), {}};
    }
    seen.now = true;
    return settle_.count() == 0 || (!changed && now - seen.first >= settle_);
}

unsigned Looks::failed(const std::string& name, clock::Instant now, std::string_view why) {
    auto& seen = seen_[name];
    seen.now = true;
    auto& past = past_of(seen);
    past.last_failure = now;
    past.why = why.substr(0, longest_why);
    return ++past.failures;
}

std::optional<clock::Instant> Looks::rests_until(const std::string& name, clock::Instant now) const {
    const auto* past = past_of(name);
    if (past == nullptr || past->failures < most_failures) return std::nullopt;
    const auto doublings = std::min(past->failures - most_failures, 3U);
    const auto until = past->last_failure + std::min<std::chrono::minutes>(first_rest * (1 << doublings), longest_rest);
    if (now < past->last_failure || now >= until) return std::nullopt;
    return until;
}

std::string Looks::why(const std::string& name) const {
    const auto* past = past_of(name);
    return past == nullptr ? "" : past->why;
}

void Looks::claimed(const std::string& name, const std::string& claim) {
    const auto found = seen_.find(name);
    if (found == seen_.end()) return;
    auto seen = std::move(found->second);
    if (auto& past = past_of(seen); past.original.empty()) past.original = name;
    seen_.erase(found);
    seen_[claim] = std::move(seen);
}

std::string Looks::original(const std::string& claim) const {
    const auto* past = past_of(claim);
    return past == nullptr ? "" : past->original;
}

void Looks::forget_unseen() {
    std::erase_if(seen_, [](const auto& entry) { return !entry.second.now; });
    for (auto& [name, seen] : seen_) seen.now = false;
    forget_oldest();
}

void Looks::forget_oldest() {
    if (seen_.size() <= most) return;
    std::vector<decltype(seen_)::iterator> all;
    all.reserve(seen_.size());
    for (auto one = seen_.begin(); one != seen_.end(); ++one) all.push_back(one);
    const auto keep = all.end() - static_cast<long>(most);
    std::nth_element(all.begin(), keep, all.end(),
                     [](const auto& a, const auto& b) { return a->second.first < b->second.first; });
    for (auto one = all.begin(); one != keep; ++one) seen_.erase(*one);
}

std::string Looks::to_text() const {
    std::string text;
    const Past none;
    for (const auto& [name, seen] : seen_) {
        const auto& past = seen.past ? *seen.past : none;
        text += target::encode_segment(name) + "\t" + std::to_string(seen.size.count) + "\t" +
                std::to_string(seen.version) + "\t" + clock::format_precise(seen.first) + "\t" +
                std::to_string(past.failures) + "\t" + clock::format_precise(past.last_failure) + "\t" +
                target::encode_segment(past.original) + "\t" + target::encode_segment(past.why) + "\n";
    }
    return text;
}

void Looks::read(std::string_view text) {
    for (const auto line : text::split(text, '\n')) {
        const auto fields = text::split(line, '\t');
        if (fields.size() != 8) continue;
        const auto name = target::decode(fields[0]);
        const auto size = text::parse_number(fields[1]);
        const auto version = text::parse_number(fields[2]);
        const auto first = clock::parse(fields[3]);
        const auto failures = text::parse_number(fields[4]);
        const auto last_failure = clock::parse(fields[5]);
        const auto original = target::decode(fields[6]);
        const auto why = target::decode(fields[7]);
        if (!name || !size || !version || !first || !failures || !last_failure || !original || !why) continue;
        if (seen_.size() >= most && !seen_.contains(*name)) break;
        auto& seen = seen_[*name];
        seen = {Bytes{*size}, *version, *first, nullptr, false};
        if (*failures > 0 || !original->empty() || !why->empty()) {
            past_of(seen) = {static_cast<unsigned>(std::min(*failures, most_counted)), *last_failure, *original, *why};
        }
    }
}

}  // namespace ums::intake
