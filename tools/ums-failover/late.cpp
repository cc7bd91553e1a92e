// SPDX-License-Identifier: GPL-3.0-or-later
#include "late.hpp"

#include <algorithm>

#include "health/ageing.hpp"
#include "text/text.hpp"

namespace ums::failover {

namespace {

namespace attribute = spool::attribute;

using report::Result;
using spool::Entry;
using spool::Queue;
using spool::State;

std::string place(const Queue& queue) {
    switch (queue.kind) {
        case Queue::Kind::site: return "a kernel of the site " + text::quote(queue.name);
        case Queue::Kind::kernel: return "the kernel " + text::quote(queue.name);
        default: return "the connector " + text::quote(queue.name);
    }
}

std::chrono::microseconds waited(const spool::EntryName& name, clock::Instant now) {
    const clock::Instant sent_on_its_way{std::chrono::seconds(name.number(attribute::counted_from))};
    // A time in the future is of a clock that was ahead.
    const auto from = sent_on_its_way > now ? name.arrival() : std::max(name.arrival(), sent_on_its_way);
    return now - from;
}

}  // namespace

void Late::look() {
    const bool trusted = is_clock_trusted();
    for (const auto kind : {Queue::Kind::site, Queue::Kind::kernel, Queue::Kind::connector}) {
        for (const auto& queue : spool_.queues(kind)) look(queue, trusted);
    }
}

bool Late::is_clock_trusted() {
    constexpr std::chrono::minutes kept{1};
    const auto path = spool_.state_path("clock");
    const auto before = health::parse_clock_watch(io::read_file(spool_.disk(), path).value_or(""));
    const auto now = health::look(before, clock_.now(), clock_.steady());
    if (!before || now.trusted_from != before->trusted_from || now.steady - before->steady >= kept) {
        try {
            io::write_file(spool_.disk(), path, health::to_text(now));
        } catch (const Error& error) {
            if (error.fault() != Fault::cannot_write) throw;  // a full disk is said elsewhere
        }
    }
    if (!now.is_trusted() && (!before || before->trusted_from != now.trusted_from)) {
        reporter_.warning("the clock was set, or the machine started; for 10 minutes no message expires");
    }
    return now.is_trusted();
}

void Late::look(const Queue& queue, bool is_clock_trusted) {
    const auto now = clock_.now();
    std::vector<Entry> expired;
    std::map<unsigned, std::vector<Entry>> delayed;
    unsigned longest = 0;
    std::size_t count = 0;
    std::string oldest;
    for (auto& entry : spool_.list(queue, State::fresh)) {
        const auto told = static_cast<unsigned>(
            std::min<unsigned long long>(entry.name.number(attribute::delays_told), health::delays.size()));
        const auto age = waited(entry.name, now);
        const auto level = is_clock_trusted ? std::max(told, health::delay_level(age)) : told;
        const bool expires = is_clock_trusted && age >= config_.mds.expire;
        if (level > 0 && !expires) {
            longest = std::max(longest, level);
            if (count++ == 0) oldest = entry.name.id();
        }
        if (!is_clock_trusted || !names_.wants(entry.name)) continue;
        if (expires) {
            expired.push_back(std::move(entry));
        } else if (level > told) {
            delayed[level].push_back(std::move(entry));
        }
    }
    if (!expired.empty()) expire(queue, expired);
    if (!delayed.empty()) warn(queue, delayed);
    if (longest == 0) return;
    delayed_.push_back({spool::to_string(queue) + "/new", "delay", "moving", longest,
                        std::to_string(count) + (count == 1 ? " message waits for " : " messages wait for ") +
                            place(queue) + ", the oldest for more than " +
                            text::format_duration(health::delays[longest - 1]) + ": " + oldest});
}

void Late::expire(const Queue& queue, const std::vector<Entry>& entries) {
    const std::string why = "expired: it could not be delivered to " + place(queue) + " within " +
                            text::format_duration(config_.mds.expire);
    const bool incoming = queue.kind == Queue::Kind::connector;
    std::vector<spool::Move> moves;
    for (const auto& entry : entries) {
        const auto name = entry.name.without(attribute::not_before).without(attribute::delays_told);
        if (incoming) {
            moves.push_back({entry, {Queue::failed(), State::fresh, name}});
        } else {
            moves.push_back(
                {entry, {Queue::outgoing(), State::fresh, undecided(name).with(attribute::ruled, attribute::expired)}});
        }
    }
    std::vector<spool::Moved> moved;
    if (incoming) {
        for (const auto& one : moves)
            moved.push_back(spool_.park(one.from, one.to, why) ? spool::Moved::yes : spool::Moved::gone);
    } else {
        moved = spool_.move(moves);
    }
    std::vector<spool::Spool::Event> events;
    for (std::size_t i = 0; i < moves.size(); ++i) {
        if (moved[i] != spool::Moved::yes) continue;
        const auto& name = moves[i].to.name;
        reporter_.line({name.text(), Result::parked, why, {}});
        events.push_back({std::string(name.id()), "expired", why});
    }
    if (events.empty()) return;
    spool_.journal("ums-failover", events);
    code_.attention();
}

void Late::warn(const Queue& queue, const std::map<unsigned, std::vector<Entry>>& by_level) {
    for (const auto& [level, entries] : by_level) {
        const auto time = text::format_duration(health::delays[level - 1]);
        std::vector<spool::Move> moves;
        for (const auto& entry : entries)
            moves.push_back({entry, {queue, State::fresh, entry.name.with(attribute::delays_told, level)}});
        const auto moved = spool_.move(moves);
        std::vector<spool::Spool::Event> events;
        for (std::size_t i = 0; i < moves.size(); ++i) {
            if (moved[i] == spool::Moved::yes)
                events.push_back(
                    {std::string(entries[i].name.id()), "delayed", "waits for " + place(queue) + " for " + time});
        }
        if (events.empty()) continue;
        const auto count = std::to_string(events.size());
        reporter_.warning(count + (events.size() == 1 ? " message waits" : " messages wait") + " for " + place(queue) +
                          " for more than " + time + "; the oldest is " + events.front().id);
        spool_.journal("ums-failover", events);
    }
}

}  // namespace ums::failover
