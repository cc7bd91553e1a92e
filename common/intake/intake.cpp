// SPDX-License-Identifier: GPL-3.0-or-later
#include "intake/intake.hpp"

#include <algorithm>
#include <iterator>

#include "intake/claim_names.hpp"
#include "text/text.hpp"

namespace ums::intake {

using spool::EntryName;
using transport::Answer;
using transport::Item;
using transport::ItemKind;
using transport::Verdict;

namespace {

namespace attribute = spool::attribute;

constexpr Bytes largest_state{256 << 20};
constexpr std::size_t longest_name = 255;  // of a file, in every file system that we know

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
      has_baskets_(store.directory_removal() != transport::Store::DirectoryRemoval::none),
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
    if (const auto preparation = preparation_.lock()) preparation->finish();
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
    unripe_ = 0;
    undeleted_.clear();
    std::vector<std::string> unknown;
    const auto each = [&](const Item& item) {
        if (const auto basket = item.name + "/";
            item.kind == ItemKind::directory && id_of_claim(basket, claim_prefix_)) {
            if (deleted_.contains(basket)) {
                undeleted_.push_back(basket);
            } else if (!open_claims_.contains(basket)) {
                unknown.push_back(basket);
            }
        }
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
        if (item.size.count == 0 || !looks_.look(item, now)) {
            ++unripe_;
            return true;
        }
        if (looks_.rests_until(item.name, now)) {
            reports.push_back(left_resting(item.name, item.name));
            return true;
        }
        ripe.push_back(item);
        return true;
    };
    const auto answer = store_.list(source_.directory, each);
    // Baskets of ours that no state knows any more: what is in them is claimed anew, as are single claims.
    for (const auto& basket : unknown) {
        bool empty = true;
        const auto listed = store_.list(at_source(without_slash(basket)), [&](Item item) {
            empty = false;
            item.name = basket + item.name;
            return each(item);
        });
        if (listed.done() && empty) open_claims_.insert(basket);
        if (!listed.done()) reports.push_back({basket, Report::Outcome::left, listed.text});
    }
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
    answer = claims_at_source(ours, left);
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

}  // namespace ums::intake
