// SPDX-License-Identifier: GPL-3.0-or-later
#include "intake/intake.hpp"

#include <algorithm>
#include <array>
#include <iterator>

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
// A basket costs two requests, and saves one for each message.
constexpr std::size_t least_in_basket = 8;

bool is_ignored(std::string_view name) { return name.starts_with('.') || name.ends_with(".part"); }

bool is_basket(std::string_view name) { return name.ends_with('/'); }

// The basket that a claim is in, with its slash; empty if it is in none.
std::string basket_of(const std::string& claim) {
    const auto slash = claim.find('/');
    return slash == std::string::npos ? "" : claim.substr(0, slash + 1);
}

std::string without_slash(const std::string& basket) { return basket.substr(0, basket.size() - 1); }

// The server has said what it did, and does not do it later.
bool is_clear(const Answer& answer) {
    return answer.verdict != Verdict::unknown && answer.verdict != Verdict::broken && answer.verdict != Verdict::full;
}

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
      has_baskets_(store.removes_directories()),
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

std::string Intake::claims_path() const { return spool_.state_path("claims/" + source_.key); }

std::string Intake::claims_text() const {
    std::string text;
    for (const auto& claim : open_claims_) text += claim + "\n";
    return text;
}

void Intake::save_open_claims() {
    if (open_claims_ == saved_claims_) return;
    if (!open_claims_.empty()) {
        io::write_file(spool_.disk(), claims_path(), claims_text());
    } else {
        spool_.disk().remove(claims_path());
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

std::vector<std::string> Intake::open_baskets() const {
    std::vector<std::string> baskets;
    std::copy_if(open_claims_.begin(), open_claims_.end(), std::back_inserter(baskets), is_basket);
    return baskets;
}

// A claim that was finished after a death has no size: nobody takes empty files.
std::optional<Bytes> Intake::size_of(const Claim& claim) {
    return claim.item.size.count > 0 ? std::optional(claim.item.size) : std::nullopt;
}

void Intake::see_to_undeleted(std::vector<Report>& reports) {
    if (deleted_.empty()) return;
    std::vector<std::string> paths;
    for (const auto& name : undeleted_) {
        if (is_basket(name)) {
            store_.remove_directory(at_source(without_slash(name)));
        } else {
            paths.push_back(at_source(name));
        }
    }
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
        if (item.kind == ItemKind::directory && deleted_.contains(item.name + "/"))
            undeleted_.push_back(item.name + "/");
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
    batch->preparation = spool_.disk().start([this, &one = *batch, path = claims_path(), text = claims_text()] {
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
    if (!basket.empty()) {
        const auto answer = store_.remove_directory(at_source(without_slash(basket)));
        if (answer.done() || answer.verdict == Verdict::absent) {
            open_claims_.erase(basket);
            deleted_.add_basket(basket);
            return std::vector<Answer>(accepted.size());
        }
    }
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
    std::map<std::string, std::string> claims;
    for (const auto& claim : open_claims_) claims.emplace(id_of_claim(claim, claim_prefix_)->id(), claim);
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
            const auto claim = claims.find(id);
            accepted.push_back({*name, claim == claims.end() ? claim_name(*name) : claim->second, "", {}});
        } catch (const Error& error) {
            reports.push_back({id, Report::Outcome::left, error.what(), error.fault()});
        }
    }
    if (!accepted.empty()) {
        if (const auto answer = finish(accepted); !answer.done()) return answer;
    }

    // What the dead run left without a note was never accepted: its drafts in tmp/ are worth nothing. Nobody else can be
    // writing them: the claims are in our source, and we hold the source's lock.
    for (const auto& [id, claim] : claims) {
        try {
            if (disk.info(spool_.note_path(source_.key, id))) continue;
            if (auto stale = spool_.adopt(source_.queue, id)) stale->discard();
        } catch (const Error& error) {
            reports.push_back({claim, Report::Outcome::left, error.what(), error.fault()});
        }
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
    remove_baskets(reports);
    return Answer{};
}

Answer Intake::claims_at_source(std::vector<Claim>& ours) {
    std::set<std::string> hidden;
    std::copy_if(open_claims_.begin(), open_claims_.end(), std::inserter(hidden, hidden.end()), std::not_fn(is_basket));
    const auto add = [&](const std::string& claim, Item item) {
        if (item.kind != ItemKind::file) return;
        item.name = claim;
        if (deleted_.contains(item)) {
            open_claims_.erase(claim);  // taken by a run that died before it could write that down
            return;
        }
        looks_.look(item, clock_.now());
        ours.push_back({with_attributes(*id_of_claim(claim, claim_prefix_)), claim, looks_.original(claim), item});
    };
    const auto list_in = [&](const std::string& basket) {
        return store_.list(basket.empty() ? source_.directory : at_source(without_slash(basket)),
                           [&](const Item& item) {
                               const auto claim = basket + item.name;
                               if (hidden.erase(claim) > 0) add(claim, item);
                               return true;
                           });
    };
    std::set<std::string> places;
    for (const auto& claim : hidden) places.insert(basket_of(claim));
    for (const auto& place : places) {
        const auto answer = list_in(place);
        // A basket that was never made, or that is gone, has nothing in it.
        if (!answer.done() && (place.empty() || answer.verdict != Verdict::absent)) return answer;
    }
    // Claims that the listing does not show.
    if (hidden.empty()) return {};
    std::vector<std::string> claims(hidden.begin(), hidden.end());
    std::vector<std::string> paths;
    for (const auto& claim : claims) paths.push_back(at_source(claim));
    std::vector<Item> items;
    const auto looks = store_.look(paths, items);
    for (std::size_t i = 0; i < paths.size(); ++i) {
        // The rename of a run that died may still be on its way.
        if (looks[i].verdict == Verdict::absent && !may_come(claims[i])) open_claims_.erase(claims[i]);
        if (looks[i].done()) add(claims[i], items[i]);
    }
    return {};
}

bool Intake::may_come(std::string_view claim) const {
    const auto id = id_of_claim(claim, claim_prefix_);
    return id && clock_.now() - id->arrival() < in_flight && id->arrival() <= clock_.now();
}

void Intake::remove_baskets(std::vector<Report>& reports) {
    for (const auto& basket : open_baskets()) {
        const auto first = open_claims_.upper_bound(basket);
        if (first != open_claims_.end() && first->starts_with(basket)) continue;  // something may still be in it
        const auto name = without_slash(basket);
        if (may_come(name)) continue;
        bool empty = true;
        const auto listed = store_.list(at_source(name), [&](const Item& item) {
            empty = false;
            reports.push_back({basket + item.name, Report::Outcome::left,
                               "it is nothing that was put there by this MDS; move it out of there to have it taken"});
            return true;
        });
        const bool gone = listed.verdict == Verdict::absent;
        if (gone || (listed.done() && empty && store_.remove_directory(at_source(name)).done()))
            open_claims_.erase(basket);
    }
}

Report Intake::left(const Claim& claim, const Error& error) const {
    return {claim.original.empty() ? claim.claim : claim.original, Report::Outcome::left, error.what(), error.fault()};
}

// The same text as long as nothing changes, so that --watch says it once.
Report Intake::left_resting(const std::string& name, const std::string& original) const {
    const auto why = looks_.why(name);
    return {original.empty() ? name : original, Report::Outcome::left,
            (why.empty() ? "it cannot be taken" : why) + "; it stays there as " + name +
                ", and is tried again after 10 minutes, later every hour; rename it to any other name in " +
                text::quote(source_.name) + " to have it taken at once"};
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
    std::size_t next = 0;
    auto batch = next_batch(ripe, next, nullptr, reports);
    while (batch && !pause()) {
        Answer claimed;
        std::optional<Received> now;
        std::unique_ptr<Batch> following;
        try {
            claimed = open(*batch, reports);
            if (!claimed.done()) {
                worst = claimed;
                break;
            }
            following = next_batch(ripe, next, batch.get(), reports);
            pace_.begin();
            const auto messages = batch->wanted.size();
            claimed = take(*batch, now, reports);
            pace_.end(messages);
            batch = following ? std::move(following) : next_batch(ripe, next, nullptr, reports);
        } catch (const Error&) {
            commit_before();
            before = std::move(now);
            commit_before();
            throw;
        }
        commit_before();
        before = std::move(now);
        if (!claimed.done()) worst = claimed;
        const auto& seen = before && worst.done() ? before->worst : worst;
        if (!seen.done() && seen.verdict != Verdict::absent && seen.verdict != Verdict::refused) break;
    }
    if (batch) drop(*batch);
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
    const auto is_theirs = [&](std::string_view name) {
        if (!name.starts_with(claim_word) || name.starts_with(claim_prefix_)) return false;
        const auto dash = name.find('-', claim_word.size());
        const auto id = EntryName::parse(name.substr(std::min(name.size(), dash + 1)));
        return dash != std::string_view::npos && id && id->mds_id() == mds_id;
    };
    std::vector<std::string> theirs;
    std::vector<std::string> baskets;
    auto answer = store_.list(source_.directory, [&](const Item& item) {
        if (!is_theirs(item.name)) return true;
        (item.kind == ItemKind::directory ? baskets : theirs).push_back(item.name);
        return true;
    });
    for (const auto& basket : baskets) {
        if (!answer.done()) return answer;
        answer = store_.list(at_source(basket), [&](const Item& item) {
            if (item.kind == ItemKind::file) theirs.push_back(basket + "/" + item.name);
            return true;
        });
    }
    if (!answer.done()) return answer;
    std::vector<transport::Rename> renames;
    for (const auto& name : theirs) {
        const auto claim = claim_name(new_name());
        open_claims_.insert(claim);
        renames.push_back({at_source(name), at_source(claim)});
    }
    save_open_claims();
    const auto answers = store_.rename(renames);
    for (std::size_t i = 0; i < renames.size(); ++i) {
        if (!answers[i].done()) reports.push_back({theirs[i], Report::Outcome::left, answers[i].text});
    }
    // What is empty now is not only theirs no more, it is nobody's.
    for (const auto& basket : baskets) {
        bool empty = true;
        const auto listed = store_.list(at_source(basket), [&](const Item&) { return empty = false; });
        if (listed.done() && empty && store_.removes_directories()) store_.remove_directory(at_source(basket));
    }
    return Answer{};
}

}  // namespace ums::intake
