// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/courier.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <utility>

#include "text/text.hpp"

namespace ums::delivery {

using spool::Entry;
using spool::EntryName;
using spool::State;
using transport::Answer;
using transport::Verdict;

namespace {

namespace attribute = spool::attribute;

constexpr std::string_view part_suffix = ".part";
constexpr std::string_view revoked_suffix = ".revoked";
constexpr std::string_view canary_suffix = ".canary";
constexpr unsigned most_refusals = 5;
constexpr std::chrono::seconds unreadable_pause{60};
// Without a witness a death leaves all of a batch in doubt.
constexpr std::size_t in_place_batch = 8;

// `~` of split messages is no character for every server; no id has a `-` of its own.
std::string plain_id(const EntryName& name) {
    std::string id(name.id());
    std::replace(id.begin(), id.end(), '~', '-');
    return id;
}

// Kernels that lead to one directory have one stage there: the token says whose witness it is.
std::string witness_prefix(const spool::Queue& queue) {
    return text::hex(text::hash(spool::to_string(queue))).substr(0, 6);
}

// The id in `<id>.<n>.part`, `<id>.<n>.revoked` and `<id>.<n>.canary.part`, with `-` for `~`.
std::string_view id_in_stage(std::string_view name) {
    for (const auto suffix : {part_suffix, revoked_suffix, canary_suffix}) {
        if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
    }
    return name.substr(0, name.rfind('.'));
}

// A clear no: the request never left, or credentials were asked for.
bool certainly_not_done(const Answer& answer) {
    if (answer.verdict == Verdict::unreachable) return true;
    return answer.verdict == Verdict::denied && (answer.status == 0 || answer.status == 401 || answer.status == 407);
}

// What a server says that it did not take, it did not take (RFC 9110 section 15.5).
bool was_kept_out(const Answer& answer) {
    return answer.verdict == Verdict::unreachable || answer.verdict == Verdict::denied ||
           answer.verdict == Verdict::refused || answer.verdict == Verdict::absent;
}

// Taken, but already gone, or not to be asked for: see Store::upload().
bool was_stored(const Answer& answer) {
    return answer.done() || (answer.verdict == Verdict::unknown && answer.text.starts_with("stored, but"));
}

Error cannot_rename(const std::string& name, const std::string& why) {
    return Error(Fault::configuration, text::quote(name) + " cannot be delivered to through a stage: " + why +
                                           "; 'in-place: yes' there uploads straight to the final names");
}

// Not of the process: out of descriptors or memory, no other message can be opened either.
bool is_of_one_file(const Error& error) {
    const int number = error.error_number();
    return (error.fault() == Fault::permission || error.fault() == Fault::cannot_read) && number != EMFILE &&
           number != ENFILE && number != ENOMEM;
}

// An upload that failed like this may have failed for what the message is: its size, its content, its name.
bool may_be_of_message(const Answer& answer) {
    switch (answer.verdict) {
        case Verdict::refused:
        case Verdict::full:
        case Verdict::broken: return true;
        case Verdict::denied: return answer.status != 401 && answer.status != 407;
        default: return false;
    }
}

// What the publish said that made the doubt.
std::string reason(const std::map<std::string, std::string, std::less<>>& doubts, const Entry& entry) {
    const auto found = doubts.find(entry.name.id());
    return found == doubts.end() ? "" : found->second + "; ";
}

}  // namespace

std::string final_name(const EntryName& name, const std::string& uuid, const std::string& extension) {
    return plain_id(name) + "-" + text::hex(text::hash(uuid + "/" + std::string(name.id()))).substr(0, 8) + extension;
}

struct Courier::Attempt {
    Entry entry;
    io::Fd file;
    transport::Body body;
    std::string directory;
    std::string stage;
    std::string final;
};

Courier::Courier(spool::Spool& spool, const spool::Worker& worker, transport::Store& store, Destination destination,
                 const clock::Clock& clock)
    : spool_(spool),
      worker_(worker),
      store_(store),
      destination_(std::move(destination)),
      clock_(clock),
      witness_token_(witness_prefix(destination_.queue) + io::random_token().substr(0, 6)) {
    if (worker_.queue() != destination_.queue)
        throw Error(Fault::internal, "a courier works the queue that it has locked");
}

std::string Courier::stage_path(const EntryName& name, std::string_view suffix) const {
    return destination_.stage + "/" + plain_id(name) + "." + std::to_string(name.number(attribute::attempt)) +
           std::string(suffix);
}

std::string Courier::final_path(const EntryName& name, const std::string& directory) const {
    return directory + "/" + final_name(name, spool_.uuid(), destination_.extension);
}

void Courier::blame_target(const Answer& answer) {
    if (!target_fault_) target_fault_ = answer;
}

Answer Courier::put(const std::string& path, const std::string& content) {
    const std::array<transport::Upload, 1> upload{{{path, {content, nullptr, 0, Bytes{0}}}}};
    return store_.upload(upload).front();
}

Answer Courier::prepare() {
    target_fault_.reset();
    if (destination_.in_place) {
        std::vector<transport::Item> items;
        const std::array<std::string, 1> root{""};
        auto found = store_.look(root, items).front();
        if (!found.done()) blame_target(found);
        return found;
    }
    const std::string owner_path = destination_.stage + "/owner";
    const std::string own = spool_.uuid() + "\n";
    std::string owner;
    auto answer = store_.read(owner_path, Bytes{4096}, owner);
    if (answer.verdict == Verdict::absent) {
        answer = store_.make_directory(destination_.stage);
        // Whole or not at all: a run that died while writing it must not leave an owner that nobody is.
        const std::array<transport::Rename, 1> publish{
            {{owner_path + "-" + io::random_token() + std::string(part_suffix), owner_path}}};
        if (answer.done()) answer = put(publish[0].from, own);
        if (answer.done()) answer = store_.rename(publish).front();
        if (answer.status == 405 || answer.status == 501) throw cannot_rename(destination_.name, answer.text);
        if (answer.verdict == Verdict::exists) {
            const std::array<std::string, 1> ours{publish[0].from};
            store_.remove(ours);
        }
        const std::array<std::string, 1> stage{destination_.stage};
        if (answer.done()) answer = store_.sync(stage);
        // Another spool may have been faster; what stands there now decides.
        if (answer.done() || answer.verdict == Verdict::exists) answer = store_.read(owner_path, Bytes{4096}, owner);
    }
    if (!answer.done()) {
        blame_target(answer);
        return answer;
    }
    if (owner != own) {
        throw Error(Fault::configuration,
                    "the stage directory " + text::quote(destination_.stage) + " on " + text::quote(destination_.name) +
                        " belongs to another spool with the MDS id " + text::quote(spool_.mds_id()) +
                        "; give this MDS another id (if that spool is gone for ever, remove the file 'owner' there)");
    }
    answer = check_rename(owner_path, own);
    if (!answer.done()) blame_target(answer);
    return answer;
}

// Tried with the owner's file, which may be replaced: by the same content. Once for each address and server.
Answer Courier::check_rename(const std::string& owner_path, const std::string& own) {
    if (destination_.address.empty()) return {};
    auto& disk = spool_.disk();
    auto queue = spool::to_string(destination_.queue);
    std::replace(queue.begin(), queue.end(), '/', '.');
    const auto path = spool_.state_path("renames/" + queue);
    const std::string known = destination_.address + "\t" + destination_.stage + "\t" + store_.describe() + "\n";
    if (io::read_file(disk, path, Bytes{64 << 10}).value_or("") == known) return {};
    const std::array<transport::Rename, 1> over{
        {{destination_.stage + "/check-" + io::random_token() + std::string(part_suffix), owner_path}}};
    if (auto answer = put(over[0].from, own); !answer.done()) return answer;
    const auto answer = store_.rename(over).front();
    const std::array<std::string, 1> ours{over[0].from};
    if (!answer.done()) store_.remove(ours);
    if (answer.status == 405 || answer.status == 501) throw cannot_rename(destination_.name, answer.text);
    if (answer.done()) throw cannot_rename(destination_.name, "its rename replaces what is there");
    // Swept by another kernel's worker, or an odd answer: nothing is known, and the next run tries again.
    if (answer.verdict == Verdict::exists) io::write_file(disk, path, known);
    return {};
}

bool Courier::ensure_directory(const std::string& directory) {
    if (directories_.contains(directory)) return true;
    for (std::size_t slash = directory.find('/');; slash = directory.find('/', slash + 1)) {
        const auto answer = store_.make_directory(directory.substr(0, slash));
        if (!answer.done()) {
            blame_target(answer);
            return false;
        }
        if (slash == std::string::npos) break;
    }
    directories_.insert(directory);
    return true;
}

void Courier::give_back(std::span<const Entry> entries, std::vector<Report>& reports, const std::string& why) {
    std::vector<spool::Move> moves;
    for (const auto& entry : entries) {
        moves.push_back(
            {entry,
             {entry.queue, State::fresh, entry.name.without(attribute::doubt_since).without(attribute::witness)}});
    }
    spool_.move(moves);
    for (const auto& one : moves) reports.push_back({one.to.name, Outcome::deferred, why});
}

void Courier::refuse(const Entry& entry, const Answer& answer, std::vector<Report>& reports) {
    const auto refusals = entry.name.number(attribute::refused) + 1;
    auto name = entry.name.with(attribute::refused, refusals);
    // No room and an ill server pass; who says "not this one" five times means it.
    const bool may_park = answer.verdict == Verdict::refused || answer.verdict == Verdict::denied;
    if (may_park && refusals >= most_refusals) {
        const std::string why =
            "refused " + std::to_string(refusals) + " times by '" + destination_.name + "': " + answer.text;
        spool_.park(entry, {spool::Queue::failed(), State::fresh, name}, why);
        reports.push_back({name, Outcome::parked, why});
        return;
    }
    const auto pause = std::chrono::seconds(60) * (1U << std::min<unsigned long long>(refusals - 1, 5));
    postpone(entry, name, pause, (may_park ? "refused: " : "not taken: ") + answer.text, reports);
}

void Courier::postpone(const Entry& entry, const EntryName& name, std::chrono::seconds pause, const std::string& why,
                       std::vector<Report>& reports) {
    const auto until = std::chrono::floor<std::chrono::seconds>(clock_.now()) + pause;
    const auto later =
        name.with(attribute::not_before, static_cast<unsigned long long>(until.time_since_epoch().count()));
    spool_.move(entry, {entry.queue, State::fresh, later});
    reports.push_back({later, Outcome::deferred, why + "; next try in " + text::rough_duration(pause)});
}

std::vector<Report> Courier::deliver(std::span<const Entry> entries) {
    target_fault_.reset();
    std::vector<Report> reports;

    // 1. A new attempt number, durably, before anything of it can be seen outside.
    std::vector<spool::Move> moves;
    for (const auto& entry : entries) {
        const auto name = entry.name.with(attribute::attempt, entry.name.number(attribute::attempt) + 1)
                              .without(attribute::not_before);
        moves.push_back({entry, {entry.queue, State::sending, name}});
    }
    const auto moved = spool_.move(moves);
    std::vector<Attempt> attempts;
    for (std::size_t i = 0; i < moves.size(); ++i) {
        if (moved[i] == spool::Moved::yes) attempts.push_back({moves[i].to, {}, {}, {}, {}, {}});
    }

    open_attempts(attempts, reports);
    if (destination_.in_place) {
        for (std::size_t i = 0; i < attempts.size(); i += in_place_batch) {
            upload_in_place(std::span(attempts).subspan(i, std::min(in_place_batch, attempts.size() - i)), reports);
        }
        return reports;
    }
    if (!attempts.empty()) upload(attempts, reports);
    if (!attempts.empty() && witness(attempts, reports)) publish(attempts, reports);
    return reports;
}

transport::Body Courier::body_of(const Entry& entry, const io::Fd& file) const {
    const auto path = spool_.path(entry);
    const Bytes size = spool_.disk().info(file, path).size;
    transport::Body body{"", nullptr, 0, size};
    if (!destination_.edits(entry.name)) return body;
    const auto header = message::read_header(spool_.disk(), file, path);
    const auto edit = destination_.edit(entry.name, header.block);
    if (edit.changes_nothing()) return body;
    body.head = message::apply(header.block, edit);
    body.offset = header.body_offset;
    body.length = Bytes{size.count - header.body_offset};
    return body;
}

std::string Courier::difference(const Entry& entry, const transport::Item& item, const std::string& path) const {
    const std::string there = text::quote(path) + " is there, but ";
    if (item.kind != transport::ItemKind::file) return there + "is no file";
    try {
        const auto file = spool_.open(entry);
        if (!file) return there + "the message cannot be opened to compare it";
        const auto sent = body_of(entry, *file).size();
        if (item.size == sent) return "";
        return there + "with " + std::to_string(item.size.count) + " bytes in place of " + std::to_string(sent.count);
    } catch (const Error& error) {
        return there + "cannot be compared: " + error.what();
    }
}

// Opens the messages and works out what is sent, and where to. What cannot be used is parked.
void Courier::open_attempts(std::vector<Attempt>& attempts, std::vector<Report>& reports) {
    std::vector<Entry> undone;
    std::vector<Attempt> ready;
    for (auto& attempt : attempts) {
        const auto& name = attempt.entry.name;
        const auto park = [&](const std::string& why) {
            spool_.park(attempt.entry, {spool::Queue::failed(), State::fresh, name}, why);
            reports.push_back({name, Outcome::parked, why});
        };
        const auto directory = destination_.directory(name);
        if (!directory) {
            park("its name does not say which connector it belongs to");
            continue;
        }
        try {
            auto file = spool_.open(attempt.entry);
            if (!file) {
                if (spool_.disk().info(spool_.path(attempt.entry))) park("it is no regular file");
                continue;
            }
            attempt.file = std::move(*file);
        } catch (const Error& error) {
            if (!is_of_one_file(error)) throw;
            // Somebody's chown, or a bad block: a person can mend it, and the others need not wait for that.
            postpone(attempt.entry, name, unreadable_pause, error.what(), reports);
            continue;
        }
        try {
            attempt.body = body_of(attempt.entry, attempt.file);
        } catch (const Error& error) {
            if (error.fault() == Fault::unusable) {
                park(error.what());
            } else {
                refuse(attempt.entry, Answer{Verdict::refused, error.what(), 0, {}}, reports);
            }
            continue;
        }
        if (target_fault_ || !ensure_directory(*directory)) {
            undone.push_back(attempt.entry);
            continue;
        }
        attempt.directory = *directory;
        attempt.stage = stage_path(name, part_suffix);
        attempt.final = final_path(name, *directory);
        ready.push_back(std::move(attempt));
    }
    for (auto& attempt : ready) attempt.body.file = &attempt.file;
    attempts = std::move(ready);
    // Moving the vector moved the descriptors: the bodies must point at where they are now.
    for (auto& attempt : attempts) attempt.body.file = &attempt.file;
    if (!undone.empty()) give_back(undone, reports, target_fault_->text);
}

void Courier::upload(std::vector<Attempt>& attempts, std::vector<Report>& reports) {
    std::vector<transport::Upload> uploads;
    for (const auto& attempt : attempts) uploads.push_back({attempt.stage, attempt.body});
    const auto answers = store_.upload(uploads);

    bool any_done = false;
    bool any_refused = false;
    std::vector<std::string> leftovers;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const auto& answer = answers[i];
        any_done = any_done || answer.done();
        any_refused = any_refused || may_be_of_message(answer);
        // A stage name that is taken although we never used it (a spool restored from a backup, a planted file) is no
        // fault of anybody: the next attempt has another name.
        if (!answer.done() && !may_be_of_message(answer) && answer.verdict != Verdict::exists) blame_target(answer);
        if (!answer.done()) leftovers.push_back(attempts[i].stage);
    }
    // Stage names are never used again, so a failure to remove one is nothing: clean() finds it. Before the canary: part of
    // a large message may be all that fills the target.
    const bool silent =
        target_fault_ && (target_fault_->verdict == Verdict::unreachable || target_fault_->verdict == Verdict::unknown);
    if (!leftovers.empty() && !silent) store_.remove(leftovers);
    // It is the message's own matter only if the target takes another one now.
    if (any_refused && !any_done && !target_fault_) {
        const auto answer = canary(attempts.front().entry.name);
        if (!answer.done()) blame_target(answer);
    }

    std::vector<Attempt> staged;
    std::vector<Entry> undone;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        if (answers[i].done()) {
            staged.push_back(std::move(attempts[i]));
        } else if (may_be_of_message(answers[i]) && !target_fault_) {
            refuse(attempts[i].entry, answers[i], reports);
        } else {
            undone.push_back(attempts[i].entry);
        }
    }
    attempts = std::move(staged);
    if (!undone.empty()) give_back(undone, reports, target_fault_ ? target_fault_->text : "not uploaded");
}

Answer Courier::canary(const EntryName& name) {
    const std::string canary = stage_path(name, std::string(canary_suffix) + std::string(part_suffix));
    auto answer = put(canary, "canary\n");
    const std::array<std::string, 1> path{canary};
    store_.remove(path);
    return answer;
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

    std::vector<Entry> published;
    std::vector<std::string> details;
    std::vector<std::size_t> refused;
    std::vector<Entry> doubtful;
    Doubts doubts;
    std::set<std::string, std::less<>> kept_out;
    Answer doubt;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        const auto& answer = answers[i];
        const auto& entry = attempts[i].entry;
        if (was_stored(answer)) {
            published.push_back(entry);
            details.push_back(destination_.name + " " + attempts[i].final);
        } else if (was_kept_out(answer) && may_be_of_message(answer)) {
            refused.push_back(i);
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
    if (!refused.empty() && published.empty() && !target_fault_) {
        auto answer =
            ensure_directory(destination_.stage) ? canary(attempts[refused.front()].entry.name) : *target_fault_;
        if (!answer.done()) blame_target(answer);
    }
    for (const auto i : refused) {
        if (target_fault_) {
            undone.push_back(attempts[i].entry);
        } else {
            refuse(attempts[i].entry, answers[i], reports);
        }
    }
    if (!published.empty()) {
        std::set<std::string> directories;
        for (const auto& attempt : attempts) directories.insert(attempt.directory);
        const std::vector<std::string> to_sync(directories.begin(), directories.end());
        if (const auto synced = store_.sync(to_sync); synced.done()) {
            complete(published, reports, details);
        } else {
            blame_target(synced);
            for (const auto& entry : published) reports.push_back({entry.name, Outcome::in_doubt, synced.text});
        }
    }
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
    std::vector<Entry> published;
    std::vector<std::string> details;
    std::vector<Entry> undone;
    std::vector<std::pair<Entry, std::string>> waiting;
    std::set<std::string> directories;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const std::string wrong = looks[i].done() ? difference(entries[i], items[i], paths[i]) : std::string();
        if (looks[i].done() && wrong.empty()) {
            published.push_back(entries[i]);
            details.push_back(destination_.name + " " + paths[i] + " (found after a doubt)");
            directories.insert(io::parent_of(paths[i]));
        } else if (looks[i].verdict == Verdict::absent && kept_out.contains(entries[i].name.id())) {
            undone.push_back(entries[i]);
        } else if (looks[i].verdict == Verdict::absent) {
            waiting.emplace_back(entries[i],
                                 "it is not there, but may have been, or may still come: without a stage that "
                                 "cannot be told");
        } else {
            if (!looks[i].done()) blame_target(looks[i]);
            waiting.emplace_back(entries[i], looks[i].done() ? wrong : looks[i].text);
        }
    }
    if (!published.empty()) {
        const std::vector<std::string> to_sync(directories.begin(), directories.end());
        if (const auto answer = store_.sync(to_sync); answer.done()) {
            complete(published, reports, details);
        } else {
            blame_target(answer);
            for (const auto& entry : published) reports.push_back({entry.name, Outcome::in_doubt, answer.text});
        }
    }
    if (!undone.empty()) give_back(undone, reports, "there was no room for it");
    leave_in_doubt(waiting, doubts, reports);
}

// 3. The witness first: an entry in publishing/ must never be without one that a server could have lost on its own.
bool Courier::witness(std::vector<Attempt>& attempts, std::vector<Report>& reports) {
    auto answer = put(witness_path(witness_token_), spool_.uuid() + "\n");
    if (answer.verdict == Verdict::exists) answer = Answer{};
    std::vector<std::string> directories{destination_.stage};
    if (answer.done()) answer = store_.sync(directories);
    if (!answer.done()) {
        blame_target(answer);
        std::vector<Entry> entries;
        for (const auto& attempt : attempts) entries.push_back(attempt.entry);
        give_back(entries, reports, answer.text);
        return false;
    }
    std::vector<spool::Move> moves;
    for (auto& attempt : attempts) {
        const Entry sending = attempt.entry;
        attempt.entry = {sending.queue, State::publishing, sending.name.with(attribute::witness, witness_token_)};
        moves.push_back({sending, attempt.entry});
    }
    spool_.move(moves);
    return true;
}

void Courier::publish(std::vector<Attempt>& attempts, std::vector<Report>& reports) {
    std::vector<transport::Rename> renames;
    for (const auto& attempt : attempts) renames.push_back({attempt.stage, attempt.final, false, true});
    const auto answers = store_.rename(renames);

    std::vector<Entry> published;
    std::vector<std::string> details;
    std::vector<Entry> not_published;
    std::vector<Entry> doubtful;
    Doubts doubts;
    Answer doubt;
    std::set<std::string> directories{destination_.stage};
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        if (answers[i].done()) {
            published.push_back(attempts[i].entry);
            details.push_back(destination_.name + " " + attempts[i].final);
            directories.insert(attempts[i].directory);
        } else if (certainly_not_done(answers[i])) {
            blame_target(answers[i]);
            not_published.push_back(attempts[i].entry);
        } else {
            doubtful.push_back(attempts[i].entry);
            doubts.emplace(attempts[i].entry.name.id(), attempts[i].final + ": " + answers[i].text);
            doubt = answers[i];
        }
    }
    if (!published.empty()) {
        const std::vector<std::string> to_sync(directories.begin(), directories.end());
        const auto synced = store_.sync(to_sync);
        if (synced.done()) {
            complete(published, reports, details);
        } else {
            // It is there, but could be lost with the target's next power failure: the next run looks again.
            blame_target(synced);
            for (const auto& entry : published) reports.push_back({entry.name, Outcome::in_doubt, synced.text});
        }
    }
    if (!not_published.empty()) give_back(not_published, reports, target_fault_->text);
    // A publish that did not take place will fare no better at once: the target gets a rest. A reply that was lost on the
    // way costs nothing but the look.
    if (!doubtful.empty() && resolve(std::move(doubtful), doubts, reports) > 0) blame_target(doubt);
}

void Courier::complete(std::span<const Entry> entries, std::vector<Report>& reports,
                       std::span<const std::string> details) {
    if (destination_.keep_sent) {
        std::vector<spool::Move> moves;
        for (const auto& entry : entries) {
            moves.push_back({entry,
                             {spool::Queue::sent(), State::fresh,
                              entry.name.without(attribute::doubt_since).without(attribute::witness)}});
        }
        spool_.move(moves);
    } else {
        spool_.remove(entries);
    }
    for (std::size_t i = 0; i < entries.size(); ++i)
        reports.push_back({entries[i].name, Outcome::delivered, details[i]});
}

std::vector<Report> Courier::settle() {
    target_fault_.reset();
    std::vector<Report> reports;
    auto entries = spool_.list(destination_.queue, State::publishing);
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
    return reports;
}

std::size_t Courier::resolve(std::vector<Entry> entries, const Doubts& doubts, std::vector<Report>& reports) {
    directories_.clear();  // a directory that has gone is a common reason for a doubt
    std::vector<transport::Rename> renames;
    std::vector<std::string> paths;  // per entry: stage, revoked, final
    std::vector<Entry> usable;
    for (auto& entry : entries) {
        const auto directory = destination_.directory(entry.name);
        if (!directory) {
            reports.push_back({entry.name, Outcome::in_doubt, "its name does not say which connector it belongs to"});
            continue;
        }
        renames.push_back({stage_path(entry.name, part_suffix), stage_path(entry.name, revoked_suffix), true});
        paths.push_back(renames.back().from);
        paths.push_back(renames.back().to);
        paths.push_back(final_path(entry.name, *directory));
        usable.push_back(std::move(entry));
    }
    if (usable.empty()) return 0;

    // What is there afterwards tells, unless the answer says that it may still change.
    const auto renamed = store_.rename(renames);
    const std::array<std::string, 1> stage{destination_.stage};
    const auto synced = store_.sync(stage);
    std::vector<transport::Item> items;
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

    std::vector<Entry> published;
    std::vector<std::string> details;
    std::vector<Entry> revoked;
    std::vector<std::string> revoked_paths;
    std::vector<std::pair<Entry, std::string>> waiting;  // and why
    std::set<std::string> directories{destination_.stage};
    for (std::size_t i = 0; i < usable.size(); ++i) {
        const auto& at_stage = looks[3 * i];
        const auto& at_revoked = looks[3 * i + 1];
        const auto& at_final = looks[3 * i + 2];
        const auto found_witness = witnesses.find(usable[i].name.get(attribute::witness));
        const Answer witness_answer =
            found_witness == witnesses.end() ? Answer{Verdict::absent, "", 0, {}} : found_witness->second;
        const bool witnessed = witness_answer.done();
        // What stands under the final name is the message only if it is as long.
        const std::string wrong =
            at_final.done() ? difference(usable[i], items[3 * i + 2], paths[3 * i + 2]) : std::string();
        const auto known = [](const Answer& answer) { return answer.done() || answer.verdict == Verdict::absent; };
        if (!known(at_stage) || !known(at_revoked) || !known(at_final)) {
            const auto& unclear = !known(at_stage) ? at_stage : !known(at_revoked) ? at_revoked : at_final;
            blame_target(unclear);
            waiting.emplace_back(usable[i], unclear.text);
        } else if (renamed[i].held) {
            waiting.emplace_back(usable[i], renamed[i].text);
        } else if (at_revoked.done() && at_final.verdict == Verdict::absent && synced.done()) {
            revoked.push_back(usable[i]);
            revoked_paths.push_back(paths[3 * i + 1]);
        } else if (!wrong.empty()) {
            // Half of it, where a server died while it copied; or another's file under our name.
            waiting.emplace_back(usable[i], wrong);
        } else if (at_revoked.done() && at_final.done()) {
            // A server whose rename copies: the publish came first, then the stage name that it left was revoked.
            published.push_back(usable[i]);
            details.push_back(destination_.name + " " + paths[3 * i + 2] + " (found after a doubt)");
            directories.insert(io::parent_of(paths[3 * i + 2]));
            revoked_paths.push_back(paths[3 * i + 1]);
        } else if (at_stage.done()) {
            const std::string why =
                renamed[i].done() ? "the stage name is still there" : "it cannot be revoked: " + renamed[i].text;
            waiting.emplace_back(usable[i], why);
            blame_target(renamed[i].done() ? Answer{Verdict::broken, why, 0, {}} : renamed[i]);
        } else if (at_final.done() || (witnessed && !renamed[i].done())) {
            published.push_back(usable[i]);
            details.push_back(destination_.name + " " + paths[3 * i + 2] +
                              (at_final.done() ? " (found after a doubt)" : " (taken by the kernel after a doubt)"));
            if (at_final.done()) directories.insert(io::parent_of(paths[3 * i + 2]));
        } else {
            waiting.emplace_back(usable[i], witness_answer.done() || witness_answer.verdict == Verdict::absent
                                                ? "whether it arrived cannot be proven: the stage directory was cleared"
                                                : witness_answer.text);
        }
    }

    if (!published.empty()) {
        const std::vector<std::string> to_sync(directories.begin(), directories.end());
        if (const auto answer = store_.sync(to_sync); answer.done()) {
            complete(published, reports, details);
        } else {
            blame_target(answer);
            for (const auto& entry : published) reports.push_back({entry.name, Outcome::in_doubt, answer.text});
            published.clear();
            revoked_paths.clear();
        }
    }
    if (!revoked.empty()) {
        const auto first = reports.size();
        give_back(revoked, reports, "it did not arrive (revoked); sent again");
        for (std::size_t i = 0; i < revoked.size(); ++i) {
            reports[first + i].detail = reason(doubts, revoked[i]) + reports[first + i].detail;
        }
    }
    // Only now: as long as the entry is in publishing/, `.revoked` is what proves that it did not arrive.
    if (!revoked_paths.empty()) store_.remove(revoked_paths);

    leave_in_doubt(waiting, doubts, reports);
    return revoked.size();
}

void Courier::leave_in_doubt(std::span<const std::pair<Entry, std::string>> entries, const Doubts& doubts,
                             std::vector<Report>& reports) {
    const auto now = static_cast<unsigned long long>(
        std::chrono::floor<std::chrono::seconds>(clock_.now()).time_since_epoch().count());
    std::vector<spool::Move> marks;
    for (const auto& [entry, why] : entries) {
        auto name = entry.name;
        if (name.get(attribute::doubt_since).empty()) {
            name = name.with(attribute::doubt_since, now);
            marks.push_back({entry, {entry.queue, State::publishing, name}});
        }
        reports.push_back({name, Outcome::in_doubt, reason(doubts, entry) + why});
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
    for (const auto& name : found) {
        const bool needed = name.starts_with("witness.") ? witnesses.contains(name) : ids.contains(id_in_stage(name));
        if (!needed) leftovers.push_back(destination_.stage + "/" + name);
    }
    if (!leftovers.empty()) store_.remove(leftovers);
}

}  // namespace ums::delivery
