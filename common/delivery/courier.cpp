// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/courier.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "delivery/attempt.hpp"
#include "delivery/courier_parts.hpp"
#include "delivery/doubt.hpp"
#include "text/text.hpp"

namespace ums::delivery {

using spool::Entry;
using spool::EntryName;
using spool::State;
using transport::Answer;
using transport::Verdict;

namespace {

namespace attribute = spool::attribute;

constexpr unsigned most_refusals = 5;
constexpr std::chrono::seconds unreadable_pause{60};

// A clear no: the request never left, or credentials were asked for.
bool certainly_not_done(const Answer& answer) {
    if (answer.verdict == Verdict::unreachable) return true;
    return answer.verdict == Verdict::denied && (answer.status == 0 || answer.status == 401 || answer.status == 407);
}

Error cannot_rename(const std::string& name, const std::string& why) {
    return Error(Fault::configuration, text::quote(name) + " cannot be delivered to through a stage: " + why +
                                           "; 'in-place: yes' there uploads straight to the final names");
}

}  // namespace

std::string_view to_string(Outcome outcome) noexcept {
    switch (outcome) {
        case Outcome::delivered: return "delivered";
        case Outcome::deferred: return "deferred";
        case Outcome::in_doubt: return "in-doubt";
        case Outcome::parked: return "parked";
    }
    return "";
}

std::string plain_id(const EntryName& name) {
    std::string id(name.id());
    std::replace(id.begin(), id.end(), '~', '-');
    return id;
}

std::string witness_prefix(const spool::Queue& queue) {
    return text::hex(text::hash(spool::to_string(queue))).substr(0, 6);
}

bool may_be_of_message(const Answer& answer) {
    switch (answer.verdict) {
        case Verdict::refused:
        case Verdict::full:
        case Verdict::broken: return true;
        case Verdict::denied: return answer.status != 401 && answer.status != 407;
        default: return false;
    }
}

std::string final_name(const EntryName& name, const std::string& uuid, const std::string& extension) {
    const std::string copy(name.get(attribute::copy));
    return plain_id(name) + "-" +
           text::hex(text::hash(uuid + "/" + std::string(name.id()) + (copy.empty() ? "" : "/" + copy))).substr(0, 8) +
           extension;
}

Courier::Courier(spool::Spool& spool, const spool::Worker& worker, transport::Store& store, Destination destination,
                 const clock::Clock& clock)
    : spool_(spool), worker_(worker), store_(store), destination_(std::move(destination)), clock_(clock) {
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
    const auto now = clock::whole_seconds(clock_.now());
    for (const auto& entry : entries) {
        // What was delivered once has waited for nobody since.
        moves.push_back(
            {entry,
             {entry.queue, State::fresh,
              is_being_taken_back(entry.name)
                  ? sent_again(entry.name).with(attribute::counted_from, now).without(attribute::delays_told)
                  : settled(entry.name)}});
    }
    spool_.move(moves);
    for (const auto& one : moves) reports.push_back({one.to.name, Outcome::deferred, why});
}

void Courier::give_back_all(std::span<const Attempt> attempts, const Answer& answer, std::vector<Report>& reports) {
    blame_target(answer);
    std::vector<Entry> entries;
    for (const auto& attempt : attempts) entries.push_back(attempt.entry);
    give_back(entries, reports, answer.text);
}

void Courier::refuse(const Entry& entry, const Answer& answer, bool is_own, std::vector<Report>& reports) {
    const auto refusals = entry.name.number(attribute::refused) + 1;
    auto name = entry.name.with(attribute::refused, refusals);
    // No room and an ill server pass; who says "not this one" five times means it.
    const bool may_park = is_own && (answer.verdict == Verdict::refused || answer.verdict == Verdict::denied);
    const auto unwanted = name.number(attribute::unwanted) + 1;
    if (may_park) name = name.with(attribute::unwanted, unwanted);
    if (may_park && unwanted >= most_refusals) {
        const std::string why =
            "refused " + std::to_string(unwanted) + " times by '" + destination_.name + "': " + answer.text;
        spool_.park(entry, {spool::Queue::failed(), State::fresh, name}, why);
        reports.push_back({name, Outcome::parked, why});
        return;
    }
    postpone(entry, name, pause_after(name, refusals), (may_park ? "refused: " : "not taken: ") + answer.text, reports);
}

void Courier::postpone(const Entry& entry, const EntryName& name, std::chrono::seconds pause, const std::string& why,
                       std::vector<Report>& reports) {
    const auto later = name.with(attribute::not_before, clock::whole_seconds(clock_.now() + pause));
    spool_.move(entry, {entry.queue, State::fresh, later});
    reports.push_back({later, Outcome::deferred, why + "; next try in " + text::rough_duration(pause)});
}

std::vector<Report> Courier::deliver(std::span<const Entry> entries) {
    target_fault_.reset();
    std::vector<Report> reports;

    std::vector<Attempt> attempts;
    for (auto& entry : begin_attempts(spool_, entries)) attempts.push_back({std::move(entry), {}, {}, {}, {}, {}});
    open_attempts(attempts, reports);
    if (destination_.in_place) {
        deliver_in_place(attempts, reports);
        return reports;
    }
    if (attempts.empty() || !witness(attempts, reports)) return reports;
    upload(attempts, reports);
    if (!attempts.empty() && begin_publishing(attempts, reports)) publish(attempts, reports);
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
                if (!destination_.rejected) {
                    park(error.what());
                    continue;
                }
                const auto anew = undecided(name);
                spool_.move(attempt.entry, {*destination_.rejected, State::fresh, anew});
                reports.push_back({anew, Outcome::deferred, std::string(error.what()) + "; the rules decide anew"});
            } else {
                refuse(attempt.entry, Answer{Verdict::refused, error.what(), 0, {}}, true, reports);
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

    Refusals refusals;
    std::vector<std::string> leftovers;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const auto& answer = answers[i];
        const auto size = attempts[i].body.size();
        if (answer.done()) refusals.took(size);
        if (may_be_of_message(answer)) refusals.refused(size, answer);
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
    judge(refusals, attempts.front().entry.name);

    std::vector<Attempt> staged;
    std::vector<Entry> undone;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        if (answers[i].done()) {
            staged.push_back(std::move(attempts[i]));
        } else if (may_be_of_message(answers[i]) && !target_fault_) {
            refuse(attempts[i].entry, answers[i], refusals.is_of_message(attempts[i].body.size()), reports);
        } else {
            undone.push_back(attempts[i].entry);
        }
    }
    attempts = std::move(staged);
    if (!undone.empty()) give_back(undone, reports, target_fault_ ? target_fault_->text : "not uploaded");
}

// Before the first upload: if somebody clears the stage directory after that, the witness is gone with what was staged, and
// nobody takes its absence for a publish. Each batch has one of its own: one that was put again for the next batch would
// speak for what was cleared before.
bool Courier::witness(std::span<const Attempt> attempts, std::vector<Report>& reports) {
    const auto answer = put_witness();
    if (!answer.done()) give_back_all(attempts, answer, reports);
    return answer.done();
}

Answer Courier::put_witness() {
    witness_token_ = witness_prefix(destination_.queue) + io::random_token().substr(0, 6);
    own_witnesses_.insert(witness_path(witness_token_));
    auto answer = put(witness_path(witness_token_), spool_.uuid() + "\n");
    const std::array<std::string, 1> stage{destination_.stage};
    if (answer.done()) answer = store_.sync(stage);
    return answer;
}

// 3. What was staged must be durable there before the spool says that it may be published.
bool Courier::begin_publishing(std::vector<Attempt>& attempts, std::vector<Report>& reports) {
    const std::array<std::string, 1> stage{destination_.stage};
    if (const auto answer = store_.sync(stage); !answer.done()) {
        give_back_all(attempts, answer, reports);
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

    std::vector<Arrived> published;
    std::vector<Entry> not_published;
    std::vector<Entry> doubtful;
    Doubts doubts;
    Answer doubt;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        if (answers[i].done()) {
            published.push_back({attempts[i].entry, attempts[i].final});
        } else if (certainly_not_done(answers[i])) {
            blame_target(answers[i]);
            not_published.push_back(attempts[i].entry);
        } else {
            doubtful.push_back(attempts[i].entry);
            doubts.emplace(attempts[i].entry.name.id(), attempts[i].final + ": " + answers[i].text);
            doubt = answers[i];
        }
    }
    complete(published, true, reports);
    if (!not_published.empty()) give_back(not_published, reports, target_fault_->text);
    // A publish that did not take place will fare no better at once: the target gets a rest. A reply that was lost on the
    // way costs nothing but the look.
    if (!doubtful.empty() && resolve(std::move(doubtful), doubts, reports) > 0) blame_target(doubt);
}

bool Courier::complete(std::span<const Arrived> arrived, bool staged, std::vector<Report>& reports) {
    if (arrived.empty()) return true;
    std::set<std::string> directories;
    if (staged) directories.insert(destination_.stage);
    Ending ending;
    for (const auto& one : arrived) {
        // What the kernel has taken needs no name any more.
        if (one.note != taken_since && one.note != fetched_before) directories.insert(io::parent_of(one.path));
        (one.for_good ? ending.for_good : ending.entries).push_back(one.entry);
    }
    const std::vector<std::string> to_sync(directories.begin(), directories.end());
    const auto synced = store_.sync(to_sync);
    if (!synced.done()) {
        // It is there, but could be lost with the target's next power failure: the next run looks again.
        blame_target(synced);
        for (const auto& one : arrived) reports.push_back({one.entry.name, Outcome::in_doubt, synced.text});
        return false;
    }
    for (const auto& one : arrived) {
        ending.reports.push_back({one.entry.name, Outcome::delivered, destination_.name + " " + one.path + one.note});
    }
    finish(reports);
    ending_.emplace(std::move(ending));
    ending_->work = spool_.disk().start([this] {
        end_attempts(spool_, ending_->entries, destination_.keep_sent ? Keep::to_be_recalled : Keep::no);
        end_attempts(spool_, ending_->for_good, destination_.keep_sent ? Keep::as_sent : Keep::no);
    });
    return true;
}

void Courier::finish(std::vector<Report>& reports) {
    if (!ending_) return;
    ending_->work->finish();
    std::move(ending_->reports.begin(), ending_->reports.end(), std::back_inserter(reports));
    ending_.reset();
}

std::vector<Report> Courier::finish() {
    std::vector<Report> reports;
    finish(reports);
    return reports;
}

}  // namespace ums::delivery
