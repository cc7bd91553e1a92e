// SPDX-License-Identifier: GPL-3.0-or-later
//
// A batch: claimed, received, accepted, and deleted at the source.
#include "intake/intake.hpp"

#include <algorithm>
#include <array>

#include "intake/claim_names.hpp"
#include "message/header_block.hpp"

namespace ums::intake {

using spool::EntryName;
using transport::Answer;
using transport::Item;
using transport::ItemKind;
using transport::Verdict;

namespace {

namespace attribute = spool::attribute;

// A basket costs two requests, and saves one for each message.
constexpr std::size_t least_in_basket = 8;

// The server has said what it did, and does not do it later.
bool is_clear(const Answer& answer) {
    return answer.verdict != Verdict::unknown && answer.verdict != Verdict::broken && answer.verdict != Verdict::full;
}

// All renames into a basket were refused, and not only since others were faster.
bool is_refused(std::span<const transport::Take> takes) {
    return std::all_of(takes.begin(), takes.end(),
                       [](const auto& one) {
                           const auto verdict = one.claimed.verdict;
                           return !one.claimed.done() && is_clear(one.claimed) && verdict != Verdict::unreachable;
                       }) &&
           std::any_of(takes.begin(), takes.end(), [](const auto& one) {
               return one.claimed.verdict != Verdict::absent || one.claimed.status == 409;
           });
}

}  // namespace

void Intake::name_claims(Batch& batch, std::string basket) {
    for (const auto& one : batch.wanted) open_claims_.erase(one.claim);
    batch.basket = std::move(basket);
    if (!batch.basket.empty()) open_claims_.insert(batch.basket);
    for (auto& one : batch.wanted) {
        one.claim = batch.basket.empty() ? claim_name(one.name) : batch.basket + std::string(one.name.id());
        open_claims_.insert(one.claim);
    }
}

std::unique_ptr<Intake::Batch> Intake::next_batch(std::vector<Item>& ripe, std::size_t& next, const Batch* before,
                                                  std::vector<Report>& reports) {
    auto batch = std::make_unique<Batch>();
    const Bytes taken = before != nullptr ? before->size : Bytes{};
    const auto files = before != nullptr ? before->wanted.size() : 0;
    auto& size = batch->size;
    while (next < ripe.size() && batch->wanted.size() < pace_.batch() &&
           (batch->wanted.empty() || size < batch_bytes)) {
        auto& item = ripe[next];
        // On a disk that is nearly full a smaller batch still goes, and the next one when that is through.
        if ((before != nullptr || !batch->wanted.empty()) &&
            !fits(Bytes{taken.count + size.count + item.size.count}, files + batch->wanted.size() + 1))
            break;
        ++next;
        if (is_being_written(item, reports)) continue;
        size += item.size;
        auto original = looks_.original(item.name);
        if (original.empty()) original = item.name;
        batch->wanted.push_back({new_name(), "", std::move(original), std::move(item)});
    }
    const auto count = batch->wanted.size();
    if (count == 0) return nullptr;
    spool_.require_room(source_.queue, Bytes{taken.count + size.count}, (files + count) * files_of_message);
    name_claims(*batch, has_baskets_ && count >= least_in_basket ? claim_name(new_name()) + "/" : "");
    batch->drafts.resize(count);
    batch->failures.resize(count);
    saved_claims_ = open_claims_;
    preparation_ = batch->preparation =
        spool_.disk().start([this, &one = *batch, path = claims_path(), text = claims_text()] {
            io::write_file(spool_.disk(), path, text);
            for (std::size_t i = 0; i < one.wanted.size(); ++i) {
                try {
                    one.drafts[i].emplace(spool_.draft(source_.queue, one.wanted[i].name));
                } catch (const Error& error) {
                    one.failures[i] = error;
                }
            }
        });
    return batch;
}

void Intake::drop(Batch& batch) {
    try {
        batch.preparation->finish();
    } catch (const Error&) {  // of what is not wanted any more
    }
    open_claims_.erase(batch.basket);
    for (const auto& one : batch.wanted) open_claims_.erase(one.claim);
}

std::optional<spool::Draft> Intake::draft_of(const Claim& claim, std::vector<Report>& reports) {
    try {
        // A claim that was noted and then accepted, before a death left it noted: what is there now is something else.
        if (spool_.disk().info(spool_.path({source_.queue, spool::State::fresh, claim.name}))) {
            open_claims_.erase(claim.claim);
            throw Error(Fault::later, "its id is that of another message; the next run claims it anew");
        }
        return spool_.draft(source_.queue, claim.name);
    } catch (const Error& error) {
        spool_.require_room(source_.queue, Bytes{0}, files_of_message);  // what is wrong with the disk is wrong for all
        reports.push_back(left(claim, error));
        return std::nullopt;
    }
}

Answer Intake::open(Batch& batch, std::vector<Report>& reports) {
    batch.preparation->finish();
    std::vector<Claim> wanted;
    std::vector<std::optional<spool::Draft>> drafts;
    for (std::size_t i = 0; i < batch.wanted.size(); ++i) {
        if (batch.drafts[i]) {
            wanted.push_back(std::move(batch.wanted[i]));
            drafts.push_back(std::move(batch.drafts[i]));
            continue;
        }
        open_claims_.erase(batch.wanted[i].claim);
        spool_.require_room(source_.queue, Bytes{0}, files_of_message);  // what is wrong with the disk is wrong for all
        reports.push_back(left(batch.wanted[i], *batch.failures[i]));
    }
    batch.wanted = std::move(wanted);
    batch.drafts = std::move(drafts);
    if (batch.basket.empty()) return {};
    auto made = store_.make_directory(at_source(without_slash(batch.basket)));
    if (made.done() || made.verdict == Verdict::unreachable) return made;
    has_baskets_ = false;  // it will say the same of the next one
    const auto basket = batch.basket;
    name_claims(batch, "");
    if (is_clear(made)) open_claims_.erase(basket);
    save_open_claims();
    return {};
}

Answer Intake::take(Batch& batch, std::optional<Received>& received, std::vector<Report>& reports) {
    auto& wanted = batch.wanted;
    std::vector<transport::Take> takes;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto& one = wanted[i];
        takes.push_back({.claim = {.from = at_source(one.item.name), .to = at_source(one.claim), .unique = true},
                         .download = {"", &batch.drafts[i]->file(), one.item.size, Bytes{}},
                         .claimed = {},
                         .received = {}});
    }
    store_.take(takes);
    if (!batch.basket.empty() && is_refused(takes)) {
        // Files that can be renamed, but not into it: each gets a claim of its own.
        has_baskets_ = false;
        const auto basket = batch.basket;
        name_claims(batch, "");
        if (store_.remove_directory(at_source(without_slash(basket))).done()) open_claims_.erase(basket);
        save_open_claims();
        for (std::size_t i = 0; i < wanted.size(); ++i) takes[i].claim.to = at_source(wanted[i].claim);
        store_.take(takes);
    }
    bool all_clear = true;
    const auto worst = judge(wanted, takes, all_clear, reports);
    std::vector<Incoming> all;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (!takes[i].claimed.done()) continue;
        looks_.claimed(wanted[i].item.name, wanted[i].claim);
        all.push_back({std::move(wanted[i]), std::move(*batch.drafts[i]), std::move(takes[i].received)});
    }
    const auto claimed = all.size();
    received = keep(std::move(all), reports);
    if (all_clear && received->claims.size() == claimed) received->basket = batch.basket;
    return worst;
}

Answer Intake::judge(std::vector<Claim>& wanted, std::vector<transport::Take>& takes, bool& all_clear,
                     std::vector<Report>& reports) {
    std::vector<std::string> doubtful;  // claims
    std::vector<std::string> before;    // their names before
    std::vector<std::size_t> doubtful_index;
    Answer worst;
    const auto note = [&](const Answer& answer) {
        if (worst.done()) worst = answer;
    };
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto& answer = takes[i].claimed;
        if (answer.done()) continue;
        if (answer.verdict == Verdict::unreachable) {
            note(answer);
            open_claims_.erase(wanted[i].claim);
            continue;
        }
        doubtful.push_back(at_source(wanted[i].claim));
        before.push_back(at_source(wanted[i].item.name));
        doubtful_index.push_back(i);
    }
    if (doubtful.empty()) return worst;
    // The claim's name is ours alone: if it is there, the rename was done whatever the answer said. It may still be carried
    // out while we look: the name before it comes first, else the file could be seen nowhere.
    std::vector<Item> found;
    const auto at_names = store_.look(before, found);
    const auto at_claims = store_.look(doubtful, found);
    std::vector<transport::Download> late;
    std::vector<std::size_t> late_index;
    for (std::size_t k = 0; k < doubtful_index.size(); ++k) {
        const auto i = doubtful_index[k];
        auto& one = wanted[i];
        const auto answer = takes[i].claimed;
        const auto& at_claim = at_claims[k];
        // Another MDS, or the writer himself, was faster. That is no error, even if Apache, which looks first and renames
        // then, calls it one (500).
        const bool stays = at_claim.verdict == Verdict::absent && at_names[k].done();
        const bool gone = answer.verdict == Verdict::absent ||
                          (answer.verdict == Verdict::broken && at_names[k].verdict == Verdict::absent);
        // What stays where it is although others are claimed, again and again, must not keep them waiting for ever.
        if (stays && answer.verdict != Verdict::unknown) looks_.failed(one.item.name, clock_.now(), answer.text);
        // Somebody has this one open, or locked: its own matter, and the others go on.
        const bool by_server = answer.status == 405 || answer.status == 501;  // it has no rename at all
        const bool held = stays && !by_server && answer.verdict == Verdict::refused;
        if (held) {
            reports.push_back({one.original, Report::Outcome::left, answer.text});
        } else if (answer.verdict == Verdict::absent && stays) {
            note({.verdict = Verdict::broken,
                  .text = answer.text + ", of a file that is there",
                  .status = answer.status});
        } else if (!gone) {
            note(answer);
        }
        // A basket that it could still come into knows of it.
        const bool may_come = !is_clear(answer) && !basket_of(one.claim).empty();
        all_clear = all_clear && is_clear(answer) && at_claim.verdict == Verdict::absent;
        if ((gone || held) && at_claim.verdict == Verdict::absent && !may_come) open_claims_.erase(one.claim);
        if (!at_claim.done()) continue;
        takes[i].claimed = {};
        late.push_back(takes[i].download);
        late_index.push_back(i);
    }
    const auto received = store_.download(late);
    for (std::size_t k = 0; k < late.size(); ++k) takes[late_index[k]].received = received[k];
    return worst;
}

Intake::Received Intake::receive(std::vector<Claim> claims, std::vector<Report>& reports) {
    std::vector<Incoming> all;
    for (auto& claim : claims) {
        if (auto draft = draft_of(claim, reports)) all.push_back({std::move(claim), std::move(*draft), {}});
    }
    std::vector<transport::Download> downloads;
    for (const auto& one : all)
        downloads.push_back({at_source(one.claim.claim), &one.draft.file(), one.claim.item.size, Bytes{}});
    auto answers = store_.download(downloads);
    for (std::size_t i = 0; i < all.size(); ++i) all[i].answer = std::move(answers[i]);
    return keep(std::move(all), reports);
}

Intake::Received Intake::keep(std::vector<Incoming> all, std::vector<Report>& reports) {
    auto& disk = spool_.disk();
    // Written to meanwhile? Then what we have is no whole file, and what is there is downloaded by the next run.
    if (!source_.local.empty()) {
        std::vector<std::string> paths;
        for (const auto& one : all) paths.push_back(at_source(one.claim.claim));
        std::vector<Item> now;
        const auto looks = store_.look(paths, now);
        for (std::size_t i = 0; i < all.size(); ++i) {
            auto& one = all[i];
            if (!one.answer.done()) continue;
            try {
                const auto fd = disk.open(source_.local + "/" + one.claim.claim);
                if (!looks[i].done() || now[i].version != one.claim.item.version || !fd || disk.has_writer(*fd)) {
                    one.answer = {Verdict::broken, "it is still being written", 0, {}};
                }
            } catch (const Error& error) {
                one.answer = {Verdict::denied, error.what(), 0, {}};
            }
        }
    }

    Received received;
    for (auto& [claim, draft, answer] : all) {
        if (!answer.done()) {
            if (received.worst.done() && answer.verdict != Verdict::absent) received.worst = answer;
            if (answer.verdict != Verdict::absent) {
                if (looks_.failed(claim.claim, clock_.now(), answer.text) >= Looks::most_failures) {
                    reports.push_back(left_resting(claim.claim, claim.original));
                } else {
                    reports.push_back(
                        {claim.original.empty() ? claim.claim : claim.original, Report::Outcome::left, answer.text});
                }
            }
            continue;
        }
        auto name = claim.name;
        try {
            if (message::read_header(disk, draft.file(), draft.path()).block.is_urgent()) {
                name = name.with(attribute::priority, 1);
            }
        } catch (const Error&) {  // a message that cannot be read is for the next tool to park
        }
        draft.rename(name);
        claim.name = name;
        received.drafts.push_back(std::move(draft));
        received.claims.push_back(std::move(claim));
    }
    if (received.claims.empty()) return received;
    // A claim that a power failure at the source undoes must not be one that was accepted.
    const std::array<std::string, 1> directory{source_.directory};
    if (const auto synced = store_.sync(directory); !synced.done()) {
        received.worst = synced;
        received.claims.clear();
        received.drafts.clear();
        return received;
    }
    static_cast<void>(spool_.state_path("fetch/" + source_.key + "/note"));
    received.acceptance = disk.start([this, drafts = std::span(received.drafts),
                                      accepted = std::span(received.claims)] { accept(drafts, accepted); });
    return received;
}

// The notes themselves too: a file system without a journal keeps a name, and loses what it stands for.
void Intake::write_notes(std::span<const Claim> claims) {
    constexpr std::size_t at_once = 64;  // of the descriptors that a process may have the messages hold most
    auto& disk = spool_.disk();
    for (std::size_t i = 0; i < claims.size();) {
        std::vector<io::Fd> notes;
        for (; i < claims.size() && notes.size() < at_once; ++i)
            notes.push_back(disk.open_or_create(note_of(claims[i].name)));
        std::vector<const io::Fd*> fds;
        for (const auto& note : notes) fds.push_back(&note);
        disk.sync_all(fds, io::parent_of(note_of(claims.front().name)));
    }
    disk.sync_directory(io::parent_of(note_of(claims.front().name)));
}

// 2. and 3.: content and its names, which a file system need not keep with it, then the notes.
void Intake::accept(std::span<spool::Draft> drafts, std::span<const Claim> claims) {
    spool_.sync(drafts);
    spool_.disk().sync_directory(spool_.path(source_.queue, spool::State::tmp));
    // With its note the draft is the message: whatever fails from here on, it must stay for the next run to accept.
    for (auto& draft : drafts) draft.keep();
    write_notes(claims);
    spool_.accept(drafts);
}

Answer Intake::commit(Received& received, std::vector<Report>& reports) {
    const auto& accepted = received.claims;
    if (accepted.empty()) {
        if (!received.basket.empty()) remove_claims({}, received.basket);
        return received.worst;
    }
    received.acceptance->finish();
    for (const auto& claim : accepted) {
        looks_.forget(claim.claim);
        reports.push_back({claim.name.text(), Report::Outcome::fetched,
                           source_.name + (claim.original.empty() ? "" : " " + claim.original)});
    }
    const auto finished = finish(accepted, received.basket);
    return received.worst.done() ? finished : received.worst;
}

std::vector<Answer> Intake::remove_claims(const std::vector<Claim>& accepted, const std::string& basket) {
    // That it is not there is no yes: some servers say so of every directory.
    const auto remove_basket = [&] {
        if (!store_.remove_directory(at_source(without_slash(basket))).done()) return false;
        deleted_.add({{basket, std::nullopt}});
        open_claims_.erase(basket);
        return true;
    };
    const bool as_a_whole = store_.directory_removal() == transport::Store::DirectoryRemoval::whole;
    if (!basket.empty() && (as_a_whole || accepted.empty()) && remove_basket())
        return std::vector<Answer>(accepted.size());
    std::vector<std::string> paths;
    for (const auto& claim : accepted) paths.push_back(at_source(claim.claim));
    auto answers = store_.remove(paths);
    std::vector<Deleted::Claim> deleted;
    for (std::size_t i = 0; i < accepted.size(); ++i) {
        // Also what is not there now: some servers show it again later.
        if (answers[i].done() || answers[i].verdict == Verdict::absent)
            deleted.emplace_back(accepted[i].claim, size_of(accepted[i]));
    }
    // A file system does what it says, and would pay for each batch.
    if (source_.local.empty()) deleted_.add(deleted);
    if (!basket.empty() && !as_a_whole && deleted.size() == accepted.size()) remove_basket();
    return answers;
}

Answer Intake::finish(const std::vector<Claim>& accepted, const std::string& basket) {
    const auto answers = remove_claims(accepted, basket);
    const std::array<std::string, 1> directory{source_.directory};
    Answer worst = store_.sync(directory);
    for (std::size_t i = 0; i < accepted.size(); ++i) {
        if (!answers[i].done() && answers[i].verdict != Verdict::absent) {
            worst = answers[i];  // its note stays, and with it the knowledge that it was accepted
        } else if (worst.done()) {
            open_claims_.erase(accepted[i].claim);
            spool_.disk().remove(note_of(accepted[i].name));
        }
    }
    return worst;
}

}  // namespace ums::intake
