// SPDX-License-Identifier: GPL-3.0-or-later
#include "health/alarms.hpp"

#include <algorithm>
#include <set>

#include "text/text.hpp"
#include "text/units.hpp"

namespace ums::health {

namespace {

constexpr std::chrono::hours kept{24};

std::string since(clock::Instant when, clock::Instant now) {
    return text::rough_duration(std::chrono::duration_cast<text::Duration>(now - when));
}

// A field of a line: no TAB and no line end.
std::string field(std::string_view text) { return text::escape(text); }

}  // namespace

void Alarms::update(const std::vector<Condition>& conditions, clock::Instant now) {
    std::set<std::string_view> seen;
    for (const auto& condition : conditions) {
        seen.insert(condition.subject);
        const auto found = known_.find(condition.subject);
        const bool is_new = found == known_.end();
        if (!is_new && found->second.what == condition.what && condition.degree <= found->second.degree) {
            found->second.degree = std::max(found->second.degree, condition.degree);
            continue;
        }
        const bool other = is_new || found->second.what != condition.what;
        known_[condition.subject] = {condition.what, condition.over, condition.degree,
                                     other ? now : found->second.since};
        add({condition.what, condition.subject, now, condition.text}, now);
    }
    for (auto one = known_.begin(); one != known_.end();) {
        if (seen.contains(one->first)) {
            ++one;
            continue;
        }
        add({one->second.over, one->first, now, "it was " + one->second.what + " for " + since(one->second.since, now)},
            now);
        one = known_.erase(one);
    }
}

void Alarms::add(Event event, clock::Instant now) {
    if (now - hour_ >= std::chrono::hours(1) || now < hour_) {
        hour_ = now;
        in_hour_ = 0;
    }
    ++in_hour_;
    if (in_hour_ > most_an_hour + 1) return;
    if (in_hour_ == most_an_hour + 1) {
        event.what = "more";
        event.subject = "ums";
        event.text = "more than " + std::to_string(most_an_hour) + " events within an hour; the log tells the others";
    }
    events_.push_back(std::move(event));
}

std::vector<Event*> Alarms::due(clock::Instant now) {
    std::vector<Event*> due;
    for (auto& event : events_) {
        // A clock that was set back does not make it wait.
        if (event.next_try <= now || event.next_try > now + std::chrono::hours(2)) due.push_back(&event);
    }
    return due;
}

void Alarms::later(Event& event, clock::Instant now) {
    event.next_try =
        now + std::min(std::chrono::minutes(1) * (1 << std::min(event.tries, 6U)), std::chrono::minutes(60));
    ++event.tries;
}

std::size_t Alarms::forget(bool has_command, bool has_mail, clock::Instant now) {
    std::erase_if(events_, [&](const Event& event) {
        return (event.command_done || !has_command) && (event.mail_done || !has_mail);
    });
    return std::erase_if(events_, [&](const Event& event) { return now - event.at >= kept; });
}

std::string Alarms::to_text() const {
    std::string text = "hour\t" + clock::format_precise(hour_) + "\t" + std::to_string(in_hour_) + "\n";
    for (const auto& [subject, known] : known_) {
        text += "known\t" + field(subject) + "\t" + field(known.what) + "\t" + field(known.over) + "\t" +
                std::to_string(known.degree) + "\t" + clock::format_precise(known.since) + "\n";
    }
    for (const auto& event : events_) {
        text += "event\t" + field(event.what) + "\t" + field(event.subject) + "\t" + clock::format_precise(event.at) +
                "\t" + std::to_string(event.tries) + "\t" + clock::format_precise(event.next_try) + "\t" +
                (event.command_done ? "c" : "-") + (event.mail_done ? "m" : "-") + "\t" + field(event.text) + "\n";
    }
    return text;
}

Alarms Alarms::parse(std::string_view text) {
    Alarms alarms;
    for (const auto line : text::split(text, '\n')) {
        const auto f = text::split(line, '\t');
        if (f.size() == 3 && f[0] == "hour") {
            alarms.hour_ = clock::parse(f[1]).value_or(clock::Instant{});
            alarms.in_hour_ = static_cast<unsigned>(std::min(text::parse_number(f[2]).value_or(0), 1'000'000ULL));
        } else if (f.size() == 6 && f[0] == "known") {
            const auto since = clock::parse(f[5]);
            const auto degree = text::parse_number(f[4]);
            if (since && degree)
                alarms.known_[text::unescape(f[1])] = {text::unescape(f[2]), text::unescape(f[3]),
                                                       static_cast<unsigned>(std::min(*degree, 1'000'000ULL)), *since};
        } else if (f.size() == 8 && f[0] == "event") {
            const auto at = clock::parse(f[3]);
            const auto next = clock::parse(f[5]);
            if (!at || !next) continue;
            Event event{text::unescape(f[1]), text::unescape(f[2]), *at, text::unescape(f[7])};
            event.tries = static_cast<unsigned>(std::min(text::parse_number(f[4]).value_or(0), 1'000ULL));
            event.next_try = *next;
            event.command_done = f[6].starts_with('c');
            event.mail_done = f[6].ends_with('m');
            alarms.events_.push_back(std::move(event));
        }
    }
    return alarms;
}

}  // namespace ums::health
