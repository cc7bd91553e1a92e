// SPDX-License-Identifier: GPL-3.0-or-later
#include "health/balance.hpp"

#include <algorithm>

#include "text/text.hpp"

namespace ums::health {

namespace {

using Group = std::vector<const Candidate*>;

// FNV-1a alone keeps similar names similar in the high bits (murmur3's finaliser mixes them).
unsigned long long mix(unsigned long long h) {
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ULL;
    return h ^ (h >> 33);
}

// How many of the best group take turns: the first N of the site that are in it, at least min-active.
std::size_t rotating(const config::Balance& balance, const Group& group, const std::vector<Candidate>& all) {
    std::size_t among_first = 0;
    for (std::size_t i = 0; i < all.size() && i < balance.rotate; ++i) {
        among_first += static_cast<std::size_t>(std::count(group.begin(), group.end(), &all[i]));
    }
    return std::clamp<std::size_t>(std::max<std::size_t>(among_first, balance.min_active), 1, group.size());
}

void sort_best(const config::Balance& balance, Group& group, const std::vector<Candidate>& all, std::string_view key,
               Memory& memory) {
    switch (balance.method) {
        case config::Balancing::rotate: {
            const auto turn = memory.count / std::max(1U, balance.batch) % rotating(balance, group, all);
            std::rotate(group.begin(), group.begin() + static_cast<long>(turn),
                        group.begin() + static_cast<long>(rotating(balance, group, all)));
            return;
        }
        case config::Balancing::weights: {
            const auto weight = [&](const Candidate* c) {
                const auto found = balance.weights.find(c->kernel);
                return found == balance.weights.end() ? 1LL : static_cast<long long>(found->second);
            };
            long long sum = 0;
            for (const auto* c : group) {
                memory.credit[c->kernel] += weight(c);
                sum += weight(c);
            }
            // Who has no weight stands by, whatever credit the others are left with by one that is away.
            std::stable_sort(group.begin(), group.end(), [&](const auto* a, const auto* b) {
                if ((weight(a) > 0) != (weight(b) > 0)) return weight(a) > 0;
                return memory.credit[a->kernel] > memory.credit[b->kernel];
            });
            memory.credit[group.front()->kernel] -= sum;
            return;
        }
        case config::Balancing::least_pending:
            std::stable_sort(group.begin(), group.end(), [](const auto* a, const auto* b) {
                return a->pending * std::max(1U, b->channels) < b->pending * std::max(1U, a->channels);
            });
            return;
        case config::Balancing::hash_sender:
        case config::Balancing::hash_recipient: {
            const auto score = [&](const Candidate* c) { return mix(text::hash(std::string(key) + "\n" + c->kernel)); };
            std::stable_sort(group.begin(), group.end(),
                             [&](const auto* a, const auto* b) { return score(a) > score(b); });
            return;
        }
    }
}

}  // namespace

std::vector<std::string> order(const config::Balance& balance, const std::vector<Candidate>& candidates,
                               std::string_view key, Memory& memory) {
    std::vector<std::string> names;
    std::map<int, Group> groups;
    for (const auto& candidate : candidates) groups[candidate.rank].push_back(&candidate);
    bool best = true;
    for (auto& [rank, group] : groups) {
        if (best) sort_best(balance, group, candidates, key, memory);
        best = false;
        for (const auto* candidate : group) names.push_back(candidate->kernel);
    }
    ++memory.count;
    return names;
}

std::string to_text(const Memory& memory) {
    std::string text = "count=" + std::to_string(memory.count) + "\n";
    for (const auto& [kernel, credit] : memory.credit) text += "credit." + kernel + "=" + std::to_string(credit) + "\n";
    return text;
}

Memory parse_memory(std::string_view text) {
    Memory memory;
    for (const auto line : text::split(text, '\n')) {
        const auto equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        const auto key = line.substr(0, equals);
        auto value = line.substr(equals + 1);
        const bool negative = value.starts_with('-');
        if (negative) value.remove_prefix(1);
        const auto number = text::parse_number(value);
        if (!number || *number > 1'000'000'000'000'000ULL) continue;
        if (key == "count" && !negative) memory.count = *number;
        if (key.starts_with("credit.") && key.size() > 7) {
            const auto credit = static_cast<long long>(*number);
            memory.credit[std::string(key.substr(7))] = negative ? -credit : credit;
        }
    }
    return memory;
}

}  // namespace ums::health
