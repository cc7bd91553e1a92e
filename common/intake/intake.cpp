// SPDX-License-Identifier: GPL-3.0-or-later
#include "intake/intake.hpp"

#include <algorithm>
#include <array>

#include "message/header_block.hpp"
#include "text/text.hpp"

namespace ums::intake {

using spool::EntryName;
using transport::Answer;
using transport::Item;
using transport::ItemKind;
using transport::Verdict;

namespace {

namespace attribute = spool::attribute;

constexpr std::string_view claim_word = ".ums-claim-";
constexpr std::size_t recovered_at_once = 64;
constexpr Bytes batch_bytes{64 << 20};
constexpr Bytes largest_state{256 << 20};
constexpr std::size_t files_of_message = 2;    // itself and its note
constexpr std::chrono::minutes in_flight{10};  // longer is no request under way
constexpr std::size_t longest_name = 255;      // of a file, in every file system that we know

bool is_ignored(std::string_view name) { return name.starts_with('.') || name.ends_with(".part"); }

}  // namespace

Intake::Intake(spool::Spool& spool, transport::Store& store, Source source, std::chrono::milliseconds settle,
               const clock::Clock& clock, transport::Pace& pace)
    : spool_(spool),
      store_(store),
      source_(std::move(source)),
      clock_(clock),
      pace_(pace),
      looks_(settle),
      // Two spools that were given one MDS id by mistake must not take each other's claims for their own.
      claim_prefix_(std::string(claim_word) + spool_.uuid().substr(0, 8) + "-"),
      deleted_(spool_, source_.key, claim_prefix_) {
    looks_.read(memory("looks/"));
    read_open_claims();
    deleted_.read(memory("deleted/"));
}

// What is lost here is seen, or claimed, once more: a file that cannot be read stops nothing.
std::string Intake::memory(const std::string& directory) const {
    try {
        const auto path = spool_.root() + "/state/" + directory + source_.key;
        return io::read_file(spool_.disk(), path, largest_state).value_or("");
    } catch (const Error& error) {
        if (error.fault() != Fault::cannot_read) throw;
        return "";
    }
}

void Intake::save_looks(std::vector<Report>& reports) {
    looks_.forget_unseen();
    const auto path = spool_.state_path("looks/" + source_.key);
    const auto text = looks_.to_text();
    if (text.empty() && !spool_.disk().info(path)) return;
    const std::string partial = path + ".tmp";
    spool_.disk().remove(partial);
    try {
        spool_.require_room(source_.queue, Bytes{text.size()});
        // Not synced: losing it means to look once more.
        {
            const auto fd = spool_.disk().create(partial);
            spool_.disk().write(fd, text, partial);
        }
        spool_.disk().replace(partial, path);
    } catch (const Error& error) {
        spool_.disk().remove(partial);
        reports.push_back({"", Report::Outcome::told,
                           "what was seen cannot be kept for the next run: " + std::string(error.what()),
                           error.fault()});
    }
}

std::string Intake::note_of(const EntryName& name) const { return spool_.note_path(source_.key, name.id()); }

std::string Intake::claim_name(const EntryName& name) const { return claim_prefix_ + std::string(name.id()); }

EntryName Intake::with_attributes(EntryName name) const {
    if (!source_.connector.empty()) name = name.with(attribute::connector, source_.connector);
    if (!source_.origin.empty()) name = name.with(attribute::origin, source_.origin);
    return name;
}

EntryName Intake::new_name() const { return with_attributes(EntryName::make(clock_.now(), spool_.mds_id())); }

void Intake::save_open_claims() {
    if (open_claims_ == saved_claims_) return;
    const auto path = spool_.state_path("claims/" + source_.key);
    std::string text;
    for (const auto& claim : open_claims_) text += claim + "\n";
    if (!text.empty()) {
        io::write_file(spool_.disk(), path, text);
    } else {
        spool_.disk().remove(path);
    }
    saved_claims_ = open_claims_;
}

void Intake::read_open_claims() {
    const auto text = memory("claims/");
    for (const auto line : text::split(text, '\n')) {
        if (id_of_claim(line, claim_prefix_)) open_claims_.emplace(line);
    }
    saved_claims_ = open_claims_;
}

// A claim that was finished after a death has no size: nobody takes empty files.
std::optional<Bytes> Intake::size_of(const Claim& claim) {
    return claim.item.size.count > 0 ? std::optional(claim.item.size) : std::nullopt;
}

void Intake::see_to_undeleted(std::vector<Report>& reports) {
    if (deleted_.empty()) return;
    std::vector<std::string> paths;
    for (const auto& name : undeleted_) paths.push_back(at_source(name));
    if (!paths.empty()) store_.remove(paths);
    for (const auto& name : undeleted_) {
        reports.push_back(
            {name, Report::Outcome::left,
             "it was taken, and the server said that it deleted it, but it is still there; it is not taken "
             "again"});
    }
    deleted_.forget_others_than({undeleted_.begin(), undeleted_.end()}, clock_.now());
}

bool Intake::is_ours(const std::string& name) const {
    const auto id = id_of_claim(name, claim_prefix_);
    if (!id) return false;
    if (open_claims_.contains(name)) return true;
    return spool_.disk().info(note_of(*id)).has_value();
}

Answer Intake::list(std::vector<Item>& ripe, std::vector<Report>& reports) {
    const auto now = clock_.now();
    std::size_t too_long = 0;
    undeleted_.clear();
    const auto answer = store_.list(source_.directory, [&](const Item& item) {
        if (item.kind != ItemKind::file) return true;
        if (item.name.size() > longest_name) {
            ++too_long;
            return true;
        }
        if (deleted_.contains(item)) {
            undeleted_.push_back(item.name);
            return true;
        }
        if (is_ours(item.name)) {
            looks_.look(item, now);
            return true;
        }
        // What is named like a claim of ours and is none was planted, or claimed by what this spool was before it was
        // restored: its id may be that of another message. It is a file like any other.
        if (is_ignored(item.name) && !item.name.starts_with(claim_prefix_)) return true;
        // An empty file is one that somebody is about to write.
        if (item.size.count == 0 || !looks_.look(item, now)) return true;
        if (looks_.rests_until(item.name, now)) {
            reports.push_back(left_resting(item.name, item.name));
            return true;
        }
        ripe.push_back(item);
        return true;
    });
    if (too_long > 0) {
        reports.push_back({"", Report::Outcome::told,
                           std::to_string(too_long) + " of its names are left alone: they are longer than " +
                               std::to_string(longest_name) + " bytes"});
    }
    std::sort(ripe.begin(), ripe.end(),
              [](const Item& a, const Item& b) { return std::tie(a.modified, a.name) < std::tie(b.modified, b.name); });
    return answer;
}

bool Intake::is_being_written(const Item& item, std::vector<Report>& reports) {
    if (source_.local.empty()) return false;
    try {
        const auto fd = spool_.disk().open(source_.local + "/" + item.name);
        return fd && spool_.disk().has_writer(*fd);
    } catch (const Error& error) {
        reports.push_back({item.name, Report::Outcome::left, error.what()});
        return true;
    }
}

Answer Intake::claim(std::vector<Item> items, std::vector<Claim>& claims, std::vector<Report>& reports) {
    std::vector<Claim> wanted;
    std::vector<transport::Rename> renames;
    for (auto& item : items) {
        const auto name = new_name();
        const auto claim = claim_name(name);
        renames.push_back({.from = at_source(item.name), .to = at_source(claim), .unique = true});
        const auto before = looks_.original(item.name);
        const auto original = before.empty() ? item.name : before;
        wanted.push_back({name, claim, original, std::move(item)});
    }
    for (const auto& one : wanted) open_claims_.insert(one.claim);
    save_open_claims();
    const auto answers = store_.rename(renames);
    std::vector<std::string> doubtful;  // claims
    std::vector<std::string> before;    // their names before
    std::vector<std::size_t> doubtful_index;
    Answer worst;
    const auto note = [&](const Answer& answer) {
        if (worst.done()) worst = answer;
    };
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (answers[i].done()) {
            looks_.claimed(wanted[i].item.name, wanted[i].claim);
            claims.push_back(std::move(wanted[i]));
            continue;
        }
        if (answers[i].verdict == Verdict::unreachable) {
            note(answers[i]);
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
    for (std::size_t k = 0; k < doubtful_index.size(); ++k) {
        auto& one = wanted[doubtful_index[k]];
        const auto& answer = answers[doubtful_index[k]];
        const auto& at_claim = at_claims[k];
        // Another MDS, or the writer himself, was faster. That is no error, even if Apache, which looks first and renames
        // then, calls it one (500).
        const bool gone = answer.verdict == Verdict::absent ||
                          (answer.verdict == Verdict::broken && at_names[k].verdict == Verdict::absent);
        // What stays where it is although others are claimed, again and again, must not keep them waiting for ever.
        const bool stays = at_claim.verdict == Verdict::absent && at_names[k].done();
        if (stays && answer.verdict != Verdict::unknown) looks_.failed(one.item.name, clock_.now(), answer.text);
        // Somebody has this one open, or locked: its own matter, and the others go on.
        const bool by_server = answer.status == 405 || answer.status == 501;  // it has no rename at all
        const bool held = stays && !by_server && answer.verdict == Verdict::refused;
        if (held) {
            reports.push_back({one.original, Report::Outcome::left, answer.text});
        } else if (!gone) {
            note(answer);
        }
        if ((gone || held) && at_claim.verdict == Verdict::absent) open_claims_.erase(one.claim);
        if (at_claim.done()) {
            looks_.claimed(one.item.name, one.claim);
            claims.push_back(std::move(one));
        }
    }
    return worst;
}

Intake::Received Intake::receive(std::vector<Claim> claims, std::vector<Report>& reports) {
    auto& disk = spool_.disk();
    std::vector<spool::Draft> drafts;
    std::vector<transport::Download> downloads;
    drafts.reserve(claims.size());
    std::erase_if(claims, [&](const Claim& claim) {
        try {
            // A claim that was noted and then accepted, before a death left it noted: what is there now is something else.
            if (disk.info(spool_.path({source_.queue, spool::State::fresh, claim.name}))) {
                open_claims_.erase(claim.claim);
                throw Error(Fault::later, "its id is that of another message; the next run claims it anew");
            }
            drafts.push_back(spool_.draft(source_.queue, claim.name));
            downloads.push_back({at_source(claim.claim), &drafts.back().file(), claim.item.size, Bytes{}});
            return false;
        } catch (const Error& error) {
            spool_.require_room(source_.queue, Bytes{0},
                                files_of_message);  // what is wrong with the disk is wrong for all
            reports.push_back(left(claim, error));
            return true;
        }
    });
    auto answers = store_.download(downloads);

    // Written to meanwhile? Then what we have is no whole file, and what is there is downloaded by the next run.
    std::vector<std::string> paths;
    for (const auto& claim : claims) paths.push_back(at_source(claim.claim));
    if (!source_.local.empty()) {
        std::vector<Item> now;
        const auto looks = store_.look(paths, now);
        for (std::size_t i = 0; i < claims.size(); ++i) {
            if (!answers[i].done()) continue;
            try {
                const auto fd = disk.open(source_.local + "/" + claims[i].claim);
                if (!looks[i].done() || now[i].version != claims[i].item.version || !fd || disk.has_writer(*fd)) {
                    answers[i] = {Verdict::broken, "it is still being written", 0, {}};
                }
            } catch (const Error& error) {
                answers[i] = {Verdict::denied, error.what(), 0, {}};
            }
        }
    }

    Received received;
    for (std::size_t i = 0; i < claims.size(); ++i) {
        if (!answers[i].done()) {
            if (received.worst.done() && answers[i].verdict != Verdict::absent) received.worst = answers[i];
            if (answers[i].verdict != Verdict::absent) {
                if (looks_.failed(claims[i].claim, clock_.now(), answers[i].text) >= Looks::most_failures) {
                    reports.push_back(left_resting(claims[i].claim, claims[i].original));
                } else {
                    reports.push_back({claims[i].original.empty() ? claims[i].claim : claims[i].original,
                                       Report::Outcome::left, answers[i].text});
                }
            }
            continue;
        }
        auto name = claims[i].name;
        try {
            if (message::read_header(disk, drafts[i].file(), drafts[i].path()).block.is_urgent()) {
                name = name.with(attribute::priority, 1);
            }
        } catch (const Error&) {  // a message that cannot be read is for the next tool to park
        }
        drafts[i].rename(name);
        claims[i].name = name;
        received.drafts.push_back(std::move(drafts[i]));
        received.claims.push_back(std::move(claims[i]));
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
    if (accepted.empty()) return received.worst;
    received.acceptance->finish();
    for (const auto& claim : accepted) {
        looks_.forget(claim.claim);
        open_claims_.erase(claim.claim);
        reports.push_back({claim.name.text(), Report::Outcome::fetched,
                           source_.name + (claim.original.empty() ? "" : " " + claim.original)});
    }
    const auto finished = finish(accepted);
    return received.worst.done() ? finished : received.worst;
}

Answer Intake::finish(const std::vector<Claim>& accepted) {
    std::vector<std::string> paths;
    for (const auto& claim : accepted) paths.push_back(at_source(claim.claim));
    const auto answers = store_.remove(paths);
    const std::array<std::string, 1> directory{source_.directory};
    Answer worst = store_.sync(directory);
    std::vector<Deleted::Claim> deleted;
    for (std::size_t i = 0; i < accepted.size(); ++i) {
        // Also what is not there now: some servers show it again later.
        if (answers[i].done() || answers[i].verdict == Verdict::absent)
            deleted.emplace_back(accepted[i].claim, size_of(accepted[i]));
    }
    // A file system does what it says, and would pay for each batch.
    if (source_.local.empty()) deleted_.add(deleted);
    for (std::size_t i = 0; i < accepted.size(); ++i) {
        if (!answers[i].done() && answers[i].verdict != Verdict::absent) {
            worst = answers[i];  // its note stays, and with it the knowledge that it was accepted
        } else if (worst.done()) {
            spool_.disk().remove(note_of(accepted[i].name));
        }
    }
    return worst;
}

bool Intake::fits(Bytes size, std::size_t messages) const {
    try {
        spool_.require_room(source_.queue, size, messages * files_of_message);
        return true;
    } catch (const Error& error) {
        if (error.fault() != Fault::cannot_write) throw;
        return false;
    }
}

bool Intake::is_too_large(const Item& item, std::vector<Report>& reports) const {
    if (fits(item.size, 1)) return false;
    reports.push_back(
        {item.name, Report::Outcome::left,
         "its " + text::format_bytes(item.size) + " do not fit, the spool's disk is too full; the others go on",
         Fault::cannot_write});
    return true;
}

Answer Intake::recover(std::vector<Report>& reports) {
    auto& disk = spool_.disk();
    // Notes of this source: accepted, or about to be.
    std::vector<Claim> accepted;
    std::vector<std::string> ids;
    disk.list(spool_.root() + "/state/fetch/" + source_.key, [&](std::string_view name) {
        ids.emplace_back(name);
        return true;
    });
    for (const auto& id : ids) {
        const auto name = EntryName::parse(id);
        if (!name) continue;
        try {
            if (auto draft = spool_.adopt(source_.queue, id)) {
                const auto entry_name = draft->name();
                std::vector<spool::Draft> one;
                one.push_back(std::move(*draft));
                spool_.accept(one);
                reports.push_back(
                    {entry_name.text(), Report::Outcome::fetched, source_.name + " (finished after a crash)"});
            }
            accepted.push_back({*name, claim_name(*name), "", {}});
        } catch (const Error& error) {
            reports.push_back({id, Report::Outcome::left, error.what(), error.fault()});
        }
    }
    if (!accepted.empty()) {
        if (const auto answer = finish(accepted); !answer.done()) return answer;
    }

    std::vector<Claim> ours;
    auto answer = claims_at_source(ours);
    if (!answer.done()) return answer;
    std::erase_if(ours, [&](const Claim& claim) {
        try {
            if (disk.info(note_of(claim.name))) return true;
            if (looks_.rests_until(claim.claim, clock_.now())) {
                reports.push_back(left_resting(claim.claim, claim.original));
                return true;
            }
            // What the dead run left without a note was never accepted: its draft in tmp/ is worth nothing. Nobody else can
            // be writing it: the claim is in our source, and we hold the source's lock.
            if (auto stale = spool_.adopt(source_.queue, claim.name.id())) stale->discard();
            return false;
        } catch (const Error& error) {
            reports.push_back(left(claim, error));
            return true;
        }
    });
    if (!ours.empty()) spool_.require_room(source_.queue, Bytes{0}, files_of_message);
    std::erase_if(ours, [&](const Claim& claim) { return is_too_large(claim.item, reports); });
    for (std::size_t next = 0; next < ours.size();) {
        std::vector<Claim> batch;
        Bytes size;
        while (next < ours.size() && batch.size() < recovered_at_once && (batch.empty() || size < batch_bytes)) {
            auto& claim = ours[next];
            if (!batch.empty() && !fits(Bytes{size.count + claim.item.size.count}, batch.size() + 1)) break;
            ++next;
            size += claim.item.size;
            batch.push_back(std::move(claim));
        }
        auto received = receive(std::move(batch), reports);
        answer = commit(received, reports);
        if (answer.verdict == Verdict::unreachable) return answer;
    }
    return Answer{};
}

Answer Intake::claims_at_source(std::vector<Claim>& ours) {
    auto hidden = open_claims_;
    const auto add = [&](const std::string& name, const Item& item) {
        if (item.kind != ItemKind::file) return;
        if (deleted_.contains(item)) {
            open_claims_.erase(name);  // taken by a run that died before it could write that down
            return;
        }
        looks_.look(item, clock_.now());
        ours.push_back({with_attributes(*id_of_claim(name, claim_prefix_)), name, looks_.original(name), item});
    };
    const auto answer = store_.list(source_.directory, [&](const Item& item) {
        if (hidden.erase(item.name) > 0) add(item.name, item);
        return true;
    });
    if (!answer.done()) return answer;
    // Claims that the listing does not show.
    if (!hidden.empty()) {
        std::vector<std::string> paths;
        for (const auto& name : hidden) paths.push_back(at_source(name));
        std::vector<Item> items;
        const auto looks = store_.look(paths, items);
        for (std::size_t i = 0; i < paths.size(); ++i) {
            const auto name = io::name_of(paths[i]);
            // The rename of a run that died may still be on its way.
            const auto id = id_of_claim(name, claim_prefix_);
            const bool may_come = id && clock_.now() - id->arrival() < in_flight && id->arrival() <= clock_.now();
            if (looks[i].verdict == Verdict::absent && !may_come) open_claims_.erase(name);
            if (looks[i].done()) add(name, items[i]);
        }
    }
    return answer;
}

Report Intake::left(const Claim& claim, const Error& error) const {
    return {claim.original.empty() ? claim.claim : claim.original, Report::Outcome::left, error.what(), error.fault()};
}

// The same text as long as nothing changes, so that --watch says it once.
Report Intake::left_resting(const std::string& name, const std::string& original) const {
    const auto why = looks_.why(name);
    return {original.empty() ? name : original, Report::Outcome::left,
            (why.empty() ? "it cannot be taken" : why) + "; it stays there as " + name +
                ", and is tried again after 10 minutes, later every hour; rename it there to any other name to have it "
                "taken at once"};
}

Answer Intake::collect(std::size_t limit, const std::function<bool()>& pause, std::vector<Report>& reports) {
    std::vector<Item> ripe;
    if (const auto answer = list(ripe, reports); !answer.done()) return answer;
    see_to_undeleted(reports);
    // A disk that is full is full for all, and said once.
    if (!ripe.empty()) spool_.require_room(source_.queue, Bytes{0}, files_of_message);
    std::erase_if(ripe, [&](const Item& item) { return is_too_large(item, reports); });
    if (limit > 0 && ripe.size() > limit) {
        ripe.resize(limit);
        ripe.shrink_to_fit();  // a source may hold 100,000 files
    }
    Answer worst;
    // While one batch is accepted, the next is claimed and received.
    std::optional<Received> before;
    const auto commit_before = [&] {
        if (!before) return;
        auto received = std::move(*before);
        before.reset();
        if (const auto answer = commit(received, reports); !answer.done()) worst = answer;
    };
    for (std::size_t next = 0; next < ripe.size() && !pause();) {
        std::vector<Item> batch;
        Bytes size;
        while (next < ripe.size() && batch.size() < pace_.batch() && (batch.empty() || size < batch_bytes)) {
            auto& item = ripe[next];
            // On a disk that is nearly full a smaller batch still goes.
            if (!batch.empty() && !fits(Bytes{size.count + item.size.count}, batch.size() + 1)) break;
            ++next;
            if (is_being_written(item, reports)) continue;
            size += item.size;
            batch.push_back(std::move(item));
        }
        if (batch.empty()) continue;
        std::vector<Claim> claims;
        pace_.begin();
        const auto messages = batch.size();
        Answer claimed;
        std::optional<Received> now;
        try {
            // What was taken before this batch is on the disk now.
            spool_.require_room(source_.queue, size, batch.size() * files_of_message);
            claimed = claim(std::move(batch), claims, reports);
            if (!claims.empty()) now = receive(std::move(claims), reports);
        } catch (const Error&) {
            commit_before();
            throw;
        }
        commit_before();
        before = std::move(now);
        pace_.end(messages);
        if (!claimed.done()) worst = claimed;
        const auto& seen = before && worst.done() ? before->worst : worst;
        if (!seen.done() && seen.verdict != Verdict::absent && seen.verdict != Verdict::refused) break;
    }
    commit_before();
    save_looks(reports);
    save_open_claims();
    spool_.disk().remove_directory(spool_.root() + "/state/fetch/" + source_.key);  // if nothing is left in it
    return worst;
}

Answer Intake::examine(const std::function<void(Report)>& each) {
    std::vector<Item> ripe;
    std::vector<Claim> ours;
    std::vector<Report> left;
    auto answer = list(ripe, left);
    if (!answer.done()) return answer;
    answer = claims_at_source(ours);
    for (const auto& claim : ours) {
        if (looks_.rests_until(claim.claim, clock_.now())) {
            each(left_resting(claim.claim, claim.original));
        } else {
            each({claim.original.empty() ? claim.claim : claim.original, Report::Outcome::fetched,
                  source_.name + " (would be)"});
        }
    }
    for (auto& report : left) each(std::move(report));
    left.clear();
    for (const auto& item : ripe) {
        if (!is_being_written(item, left)) {
            each({item.name, Report::Outcome::fetched, source_.name + " (would be)"});
        }
        for (auto& report : left) each(std::move(report));
        left.clear();
    }
    return answer;
}

Answer Intake::take_over(const std::string& mds_id, std::vector<Report>& reports) {
    std::vector<transport::Rename> renames;
    const auto answer = store_.list(source_.directory, [&](const Item& item) {
        const std::string_view name = item.name;
        if (!name.starts_with(claim_word) || name.starts_with(claim_prefix_)) return true;
        const auto dash = name.find('-', claim_word.size());
        if (dash == std::string_view::npos) return true;
        const auto id = EntryName::parse(name.substr(dash + 1));
        if (!id || id->mds_id() != mds_id) return true;
        const auto claim = claim_name(new_name());
        open_claims_.insert(claim);
        renames.push_back({at_source(item.name), at_source(claim)});
        return true;
    });
    if (!answer.done()) return answer;
    save_open_claims();
    const auto answers = store_.rename(renames);
    for (std::size_t i = 0; i < renames.size(); ++i) {
        if (!answers[i].done())
            reports.push_back({io::name_of(renames[i].from), Report::Outcome::left, answers[i].text});
    }
    return Answer{};
}

}  // namespace ums::intake
