// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "delivery/courier_parts.hpp"
#include "text/text.hpp"

namespace ums::delivery {

namespace attribute = spool::attribute;
using spool::Entry;
using spool::State;
using transport::Answer;
using transport::Verdict;

namespace {

// The id in `<id>.<n>.part`, `<id>.<n>.revoked` and `<id>.<n>.canary.part`, with `-` for `~`.
std::string_view id_in_stage(std::string_view name) {
    for (const auto suffix : {part_suffix, revoked_suffix, canary_suffix}) {
        if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
    }
    return name.substr(0, name.rfind('.'));
}

// What the publish said that made the doubt.
std::string reason(const std::map<std::string, std::string, std::less<>>& doubts, const Entry& entry) {
    const auto found = doubts.find(entry.name.id());
    return found == doubts.end() ? "" : found->second + "; ";
}

}  // namespace

std::vector<Report> Courier::settle() {
    target_fault_.reset();
    std::vector<Report> reports;
    auto entries = spool_.list(destination_.queue, State::publishing);
    // Who died may have left them here without the syncs: what is done at the target now must not be for an entry that comes
    // back to where it was, and counts as delivered there.
    if (!entries.empty()) sync_moves_to_publishing();
    if (destination_.in_place) {
        // What was begun through a stage has its witness, and ends there.
        const auto staged = std::stable_partition(entries.begin(), entries.end(), [](const Entry& entry) {
            return entry.name.get(attribute::witness).empty();
        });
        resolve_in_place(std::span(entries.begin(), staged), {}, {}, reports);
        entries.erase(entries.begin(), staged);
    }
    constexpr std::size_t batch = 64;
    for (std::size_t i = 0; i < entries.size(); i += batch) {
        const auto end = std::min(i + batch, entries.size());
        resolve({entries.begin() + static_cast<long>(i), entries.begin() + static_cast<long>(end)}, {}, reports);
    }
    finish(reports);
    return reports;
}

std::vector<Entry> Courier::given() const {
    const auto prefix = witness_prefix(destination_.queue);
    auto entries = spool_.list(spool::Queue::sent(), State::fresh);
    std::erase_if(entries, [&](const Entry& entry) { return !entry.name.get(attribute::witness).starts_with(prefix); });
    return entries;
}

std::vector<Entry> Courier::lying() {
    target_fault_.reset();
    const auto sent = given();
    const auto path_of = [&](const Entry& entry) -> std::optional<std::string> {
        const auto directory = destination_.directory(entry.name);
        if (!directory) return std::nullopt;
        return final_path(entry.name, *directory);
    };
    std::set<std::string> directories;
    std::set<std::string> paths;
    for (const auto& entry : sent) {
        auto path = path_of(entry);
        if (!path) continue;
        directories.insert(io::parent_of(*path));
        paths.insert(std::move(*path));
    }
    std::set<std::string> there;
    for (const auto& directory : directories) {
        const auto answer = store_.list(directory, [&](const transport::Item& item) {
            auto path = directory + "/" + item.name;
            if (item.kind == transport::ItemKind::file && paths.contains(path)) there.insert(std::move(path));
            return true;
        });
        if (!answer.done() && answer.verdict != Verdict::absent) blame_target(answer);
    }
    std::vector<Entry> lying;
    if (there.empty()) return lying;
    for (const auto& entry : sent) {
        const auto path = path_of(entry);
        if (path && there.contains(*path)) lying.push_back(entry);
    }
    return lying;
}

std::vector<Report> Courier::recall(std::span<const Entry> entries) {
    target_fault_.reset();
    std::vector<Report> reports;
    if (const auto answer = put_witness(); !answer.done()) {
        blame_target(answer);
        return reports;
    }
    std::vector<spool::Move> moves;
    for (const auto& entry : entries) {
        moves.push_back({entry,
                         {destination_.queue, State::publishing,
                          entry.name.with(attribute::witness, witness_token_).with(attribute::taking_back, 1)}});
    }
    const auto moved = spool_.move(moves);
    std::vector<Entry> ours;
    for (std::size_t i = 0; i < moves.size(); ++i) {
        if (moved[i] == spool::Moved::yes) ours.push_back(moves[i].to);
    }
    resolve(std::move(ours), {}, reports, Try::first);
    finish(reports);
    return reports;
}

std::size_t Courier::resolve(std::vector<Entry> entries, const Doubts& doubts, std::vector<Report>& reports,
                             Try attempt) {
    directories_.clear();  // a directory that has gone is a common reason for a doubt
    std::vector<transport::Rename> renames;
    std::vector<std::string> sources;
    std::vector<std::string> revocations;
    std::set<std::string> directories;  // from which something is taken back
    std::vector<std::string> paths;     // per entry: revoked, final
    std::vector<Entry> usable;
    for (auto& entry : entries) {
        const auto directory = destination_.directory(entry.name);
        if (!directory) {
            reports.push_back({entry.name, Outcome::in_doubt, "its name does not say which connector it belongs to"});
            continue;
        }
        const bool back = is_being_taken_back(entry.name);
        if (back) directories.insert(*directory);
        renames.push_back({back ? final_path(entry.name, *directory) : stage_path(entry.name, part_suffix),
                           stage_path(entry.name, revoked_suffix), true});
        sources.push_back(renames.back().from);
        revocations.push_back(renames.back().to);
        paths.push_back(renames.back().to);
        paths.push_back(final_path(entry.name, *directory));
        usable.push_back(std::move(entry));
    }
    if (usable.empty()) return 0;

    // What is there afterwards tells, unless the answer says that it may still change.
    const auto renamed = store_.rename(renames);
    // What is there before the sync, and still after it, is durable; a late rename may come in between, and a reboot.
    std::vector<transport::Item> items;
    const auto before = store_.look(revocations, items);
    const std::array<std::string, 1> stage{destination_.stage};
    auto synced = store_.sync(stage);
    for (const auto& directory : directories) {
        const std::array<std::string, 1> one{directory};
        auto answer = store_.sync(one);
        // What has gone holds no name that could come back.
        if (!answer.done() && answer.verdict != Verdict::absent) synced = std::move(answer);
    }
    // Where it was first, and only then where it can have gone: the revocation, or the publish, may still be carried out while we
    // look, and who looks in another order, or at both at once, sees the message nowhere although it was revoked.
    const auto at_sources = store_.look(sources, items);
    const auto looks = store_.look(paths, items);
    std::map<std::string, Answer, std::less<>> witnesses;
    for (const auto& entry : usable) {
        const std::string token(entry.name.get(attribute::witness));
        if (token.empty() || witnesses.contains(token)) continue;
        std::string content;
        auto answer = store_.read(witness_path(token), Bytes{4096}, content);
        if (answer.done() && text::trim(content) != spool_.uuid()) answer.verdict = Verdict::absent;
        witnesses.emplace(token, std::move(answer));
    }

    std::vector<Arrived> published;
    std::vector<Entry> revoked;
    std::vector<Entry> taken_back;
    std::vector<std::string> revoked_paths;
    std::vector<std::pair<Entry, std::string>> waiting;  // and why
    for (std::size_t i = 0; i < usable.size(); ++i) {
        const bool back = is_being_taken_back(usable[i].name);
        const auto& at_source = at_sources[i];
        const auto& at_revoked = looks[2 * i];
        const auto& at_final = looks[2 * i + 1];
        const auto found_witness = witnesses.find(usable[i].name.get(attribute::witness));
        const Answer witness_answer =
            found_witness == witnesses.end() ? Answer{Verdict::absent, "", 0, {}} : found_witness->second;
        const bool witnessed = witness_answer.done();
        // What stands under the final name is the message only if it is as long.
        const std::string wrong =
            at_final.done() && !back ? difference(usable[i], items[2 * i + 1], paths[2 * i + 1]) : std::string();
        const auto known = [](const Answer& answer) { return answer.done() || answer.verdict == Verdict::absent; };
        if (!known(at_source) || !known(at_revoked) || !known(at_final)) {
            const auto& unclear = !known(at_source) ? at_source : !known(at_revoked) ? at_revoked : at_final;
            blame_target(unclear);
            waiting.emplace_back(usable[i], unclear.text);
        } else if (renamed[i].held) {
            waiting.emplace_back(usable[i], renamed[i].text);
        } else if (at_revoked.done() && at_final.verdict == Verdict::absent) {
            // As long as that is not durable it is no proof, and of the contrary it is none either.
            if (!synced.done()) blame_target(synced);
            if (!synced.done() || !before[i].done()) {
                waiting.emplace_back(usable[i], synced.done() ? "it was revoked just now" : synced.text);
                continue;
            }
            (back ? taken_back : revoked).push_back(usable[i]);
            revoked_paths.push_back(paths[2 * i]);
        } else if (back && at_final.done()) {
            // Both there: renamed while we looked, or a server that copies. The next look tells.
            const bool refused = renamed[i].verdict == Verdict::refused || renamed[i].verdict == Verdict::denied;
            const auto& why = renamed[i].text;
            if (refused && attempt == Try::first && !at_revoked.done()) {
                published.push_back(
                    {usable[i], paths[2 * i + 1], " (it lies there, and is not given back: " + why + ")", true});
            } else {
                waiting.emplace_back(usable[i],
                                     "it lies there, and cannot be taken back" + (why.empty() ? "" : ": " + why));
            }
        } else if (!wrong.empty()) {
            // Half of it, where a server died while it copied; or another's file under our name.
            waiting.emplace_back(usable[i], wrong);
        } else if (at_revoked.done() && at_final.done()) {
            // A server whose rename copies: the publish came first, then the stage name that it left was revoked.
            published.push_back({usable[i], paths[2 * i + 1], std::string(found_later)});
            revoked_paths.push_back(paths[2 * i]);
        } else if (at_source.done()) {
            const std::string why =
                renamed[i].done() ? "the stage name is still there" : "it cannot be revoked: " + renamed[i].text;
            waiting.emplace_back(usable[i], why);
            if (!back) blame_target(renamed[i].done() ? Answer{Verdict::broken, why, 0, {}} : renamed[i]);
        } else if (at_final.done() || (witnessed && !renamed[i].done())) {
            published.push_back({usable[i], paths[2 * i + 1],
                                 std::string(back              ? fetched_before
                                             : at_final.done() ? found_later
                                                               : taken_since)});
        } else {
            waiting.emplace_back(usable[i], witness_answer.done() || witness_answer.verdict == Verdict::absent
                                                ? "whether it arrived cannot be proven: the stage directory was cleared"
                                                : witness_answer.text);
        }
    }

    if (!complete(published, true, reports)) revoked_paths.clear();
    if (!revoked.empty()) {
        const auto first = reports.size();
        give_back(revoked, reports, "it did not arrive (revoked); sent again");
        for (std::size_t i = 0; i < revoked.size(); ++i) {
            reports[first + i].detail = reason(doubts, revoked[i]) + reports[first + i].detail;
        }
    }
    give_back(taken_back, reports, "taken back from '" + destination_.name + "', which had not fetched it; sent again");
    // Only now: as long as the entry is in publishing/, `.revoked` is what proves that it did not arrive.
    finish(reports);
    if (!revoked_paths.empty()) store_.remove(revoked_paths);

    leave_in_doubt(waiting, doubts, reports);
    return revoked.size();
}

void Courier::leave_in_doubt(std::span<const std::pair<Entry, std::string>> entries, const Doubts& doubts,
                             std::vector<Report>& reports) {
    const auto now = clock::whole_seconds(clock_.now());
    std::vector<spool::Move> marks;
    for (const auto& [entry, why] : entries) {
        auto name = entry.name;
        const bool told_before = !name.get(attribute::doubt_since).empty();
        if (!told_before) {
            name = name.with(attribute::doubt_since, now);
            marks.push_back({entry, {entry.queue, State::publishing, name}});
        }
        reports.push_back({name, Outcome::in_doubt, reason(doubts, entry) + why, told_before});
    }
    if (!marks.empty()) spool_.move(marks);
}

void Courier::clean() {
    // The stage first, the spool after it. Every name in this listing was made in an attempt that had begun: if it has not
    // ended since, its entry stands in sending/ or publishing/ of its queue now, and what begins later is not in the
    // listing. So nothing that is needed is removed, whichever kernels share the directory and whoever works them meanwhile.
    std::vector<std::string> found;
    const auto answer = store_.list(destination_.stage, [&](const transport::Item& item) {
        const std::string_view name = item.name;
        // What `ums-push FILE` has under way is not ours to judge, unless it is long dead.
        const bool single = name.find(".single") != std::string_view::npos;
        const bool old = item.modified && clock_.now() - *item.modified > std::chrono::hours(24);
        const bool ours = single ? old : name.ends_with(part_suffix) || name.ends_with(revoked_suffix);
        const bool is_witness = name.starts_with("witness." + witness_prefix(destination_.queue));
        if (item.kind == transport::ItemKind::file && (ours || is_witness)) found.push_back(item.name);
        return found.size() < 10'000;
    });
    if (!answer.done() || found.empty()) return;

    std::set<std::string, std::less<>> ids;
    std::set<std::string> witnesses;
    const auto keep = [&](const spool::Queue& queue, State state) {
        for (const auto& entry : spool_.list(queue, state)) {
            ids.insert(plain_id(entry.name));
            if (queue == destination_.queue) {
                witnesses.insert(io::name_of(witness_path(entry.name.get(attribute::witness))));
            }
        }
    };
    for (const auto kind : {spool::Queue::Kind::kernel, spool::Queue::Kind::connector}) {
        for (const auto& queue : spool_.queues(kind)) {
            // In the order in which an attempt passes through. The second look at publishing/ finds an entry whose name was
            // changed there (`w=`) during the first.
            for (const auto state : {State::sending, State::publishing, State::publishing}) keep(queue, state);
        }
    }
    std::vector<std::string> leftovers;
    bool by_others = false;
    for (const auto& name : found) {
        const bool needed = name.starts_with("witness.") ? witnesses.contains(name) : ids.contains(id_in_stage(name));
        if (needed) continue;
        leftovers.push_back(destination_.stage + "/" + name);
        by_others = by_others || !own_witnesses_.contains(leftovers.back());
    }
    if (leftovers.empty()) return;
    // Who died may have left an end of an attempt that is not durable: an entry that comes alive again needs what is here.
    if (by_others) sync_attempts();
    store_.remove(leftovers);
}

namespace {

void sync_if_there(io::Disk& disk, const std::string& directory) {
    if (disk.info(directory)) disk.sync_directory(directory);
}

}  // namespace

void Courier::sync_moves_to_publishing() {
    for (const auto state : {State::publishing, State::sending})
        sync_if_there(spool_.disk(), spool_.path(destination_.queue, state));
    sync_if_there(spool_.disk(), spool_.path(spool::Queue::sent(), State::fresh));
}

void Courier::sync_attempts() {
    // A move is durable when both of its directories were synced.
    for (const auto& aside : {spool::Queue::sent(), spool::Queue::failed()})
        sync_if_there(spool_.disk(), spool_.path(aside, State::fresh));
    for (const auto kind : {spool::Queue::Kind::kernel, spool::Queue::Kind::connector}) {
        for (const auto& queue : spool_.queues(kind)) {
            for (const auto state : {State::fresh, State::hold, State::sending, State::publishing})
                sync_if_there(spool_.disk(), spool_.path(queue, state));
        }
    }
}

}  // namespace ums::delivery
