// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include "delivery/courier_parts.hpp"

namespace ums::delivery {

namespace attribute = spool::attribute;
using spool::Entry;
using spool::State;
using transport::Answer;
using transport::Verdict;

namespace {

// Without a witness a death leaves all of a batch in doubt.
constexpr std::size_t in_place_batch = 8;

// What a server says that it did not take, it did not take (RFC 9110 section 15.5).
bool was_kept_out(const Answer& answer) {
    return answer.verdict == Verdict::unreachable || answer.verdict == Verdict::denied ||
           answer.verdict == Verdict::refused || answer.verdict == Verdict::absent;
}

// Taken, but already gone, or not to be asked for: see Store::upload().
bool was_stored(const Answer& answer) {
    return answer.done() || (answer.verdict == Verdict::unknown && answer.text.starts_with("stored, but"));
}

}  // namespace

void Courier::deliver_in_place(std::span<Attempt> attempts, std::vector<Report>& reports) {
    for (std::size_t i = 0; i < attempts.size(); i += in_place_batch) {
        upload_in_place(attempts.subspan(i, std::min(in_place_batch, attempts.size() - i)), reports);
    }
}

void Courier::upload_in_place(std::span<Attempt> attempts, std::vector<Report>& reports) {
    std::vector<Entry> undone;
    if (target_fault_) {
        for (const auto& attempt : attempts) undone.push_back(attempt.entry);
        give_back(undone, reports, target_fault_->text);
        return;
    }
    std::vector<spool::Move> moves;
    std::vector<transport::Upload> uploads;
    for (auto& attempt : attempts) {
        const Entry sending = attempt.entry;
        attempt.entry = {sending.queue, State::publishing, sending.name.without(attribute::witness)};
        moves.push_back({sending, attempt.entry});
        uploads.push_back({attempt.final, attempt.body});
    }
    spool_.move(moves);
    const auto answers = store_.upload(uploads);

    std::vector<Arrived> published;
    std::vector<std::size_t> refused;
    Refusals refusals;
    std::vector<Entry> doubtful;
    Doubts doubts;
    std::set<std::string, std::less<>> kept_out;
    Answer doubt;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        const auto& answer = answers[i];
        const auto& entry = attempts[i].entry;
        if (was_stored(answer)) {
            published.push_back({entry, attempts[i].final});
            refusals.took(attempts[i].body.size());
        } else if (was_kept_out(answer) && may_be_of_message(answer)) {
            refused.push_back(i);
            refusals.refused(attempts[i].body.size(), answer);
        } else if (was_kept_out(answer)) {
            blame_target(answer);
            undone.push_back(entry);
        } else {
            doubtful.push_back(entry);
            doubts.emplace(entry.name.id(), attempts[i].final + ": " + answer.text);
            if (answer.verdict == Verdict::full) kept_out.emplace(entry.name.id());
            doubt = answer;
        }
    }
    if (refusals.question() && ensure_directory(destination_.stage)) {
        judge(refusals, attempts[refused.front()].entry.name);
    }
    for (const auto i : refused) {
        if (target_fault_) {
            undone.push_back(attempts[i].entry);
        } else {
            refuse(attempts[i].entry, answers[i], refusals.is_of_message(attempts[i].body.size()), reports);
        }
    }
    complete(published, false, reports);
    if (!doubtful.empty()) {
        blame_target(doubt);
        resolve_in_place(doubtful, doubts, kept_out, reports);
    }
    if (target_fault_) directories_.clear();  // one that has gone is a common reason
    if (!undone.empty()) give_back(undone, reports, target_fault_->text);
}

void Courier::resolve_in_place(std::span<const Entry> entries, const Doubts& doubts,
                               const std::set<std::string, std::less<>>& kept_out, std::vector<Report>& reports) {
    std::vector<std::string> paths;
    for (const auto& entry : entries) {
        const auto directory = destination_.directory(entry.name);
        paths.push_back(final_path(entry.name, directory.value_or(destination_.stage)));
    }
    std::vector<transport::Item> items;
    const auto looks = store_.look(paths, items);
    std::vector<Arrived> published;
    std::vector<Entry> undone;
    std::vector<std::pair<Entry, std::string>> waiting;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const std::string wrong = looks[i].done() ? difference(entries[i], items[i], paths[i]) : std::string();
        if (looks[i].done() && wrong.empty()) {
            published.push_back({entries[i], paths[i], std::string(found_later)});
        } else if (looks[i].verdict == Verdict::absent && kept_out.contains(entries[i].name.id())) {
            undone.push_back(entries[i]);
        } else if (looks[i].verdict == Verdict::absent) {
            waiting.emplace_back(entries[i],
                                 "it is not there, but may have been, or may still come: without a stage that "
                                 "cannot be told");
        } else {
            if (!looks[i].done()) blame_target(looks[i]);
            waiting.emplace_back(entries[i], looks[i].done()
                                                 ? wrong +
                                                       "; once it is removed there, 'ums-failover settle --send-again' "
                                                       "sends the message anew"
                                                 : looks[i].text);
        }
    }
    complete(published, false, reports);
    if (!undone.empty()) give_back(undone, reports, "there was no room for it");
    leave_in_doubt(waiting, doubts, reports);
}

}  // namespace ums::delivery
