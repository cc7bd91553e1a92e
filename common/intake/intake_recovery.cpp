// SPDX-License-Identifier: GPL-3.0-or-later
//
// What runs that ended before their time have left at the source.
#include "intake/intake.hpp"

#include <algorithm>
#include <functional>
#include <iterator>

#include "intake/claim_names.hpp"

namespace ums::intake {

using spool::EntryName;
using transport::Answer;
using transport::Item;
using transport::ItemKind;
using transport::Verdict;

namespace {

constexpr std::size_t recovered_at_once = 64;
constexpr std::chrono::minutes in_flight{10};  // longer is no request under way

}  // namespace

Answer Intake::recover(std::vector<Report>& reports) {
    auto& disk = spool_.disk();
    // Notes of this source: accepted, or about to be.
    std::vector<Claim> accepted;
    std::vector<std::string> ids;
    const auto notes = spool_.root() + "/state/fetch/" + source_.key;
    const bool are_noted = disk.list(notes, [&](std::string_view name) {
        ids.emplace_back(name);
        return true;
    });
    if (are_noted) {
        // Notes are believed, and so is what is not in tmp/ any more: who died may have left neither durable.
        for (const auto& directory : {notes, io::parent_of(notes), spool_.path(source_.queue, spool::State::fresh),
                                      spool_.path(source_.queue, spool::State::tmp)}) {
            disk.sync_directory(directory);
        }
    }
    std::map<std::string, std::string> claims;
    for (const auto& claim : open_claims_) claims.emplace(id_of_claim(claim, claim_prefix_)->id(), claim);
    if (std::any_of(ids.begin(), ids.end(), [&](const auto& id) { return !claims.contains(id); })) {
        // A note that goes before its claim would let it be taken again.
        if (const auto answer = find_claims(claims); !answer.done()) return answer;
    }
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
    auto answer = claims_at_source(ours, reports);
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

Answer Intake::find_claims(std::map<std::string, std::string>& claims) {
    std::vector<std::string> baskets;
    auto answer = store_.list(source_.directory, [&](const Item& item) {
        if (item.kind == ItemKind::directory && id_of_claim(item.name + "/", claim_prefix_))
            baskets.push_back(item.name);
        return true;
    });
    for (const auto& basket : baskets) {
        if (!answer.done()) break;
        answer = store_.list(at_source(basket), [&](const Item& item) {
            claims.emplace(item.name, basket + "/" + item.name);
            return true;
        });
    }
    return answer;
}

Answer Intake::claims_at_source(std::vector<Claim>& ours, std::vector<Report>& reports) {
    std::set<std::string> hidden;
    std::copy_if(open_claims_.begin(), open_claims_.end(), std::inserter(hidden, hidden.end()), std::not_fn(is_basket));
    const auto add = [&](const std::string& claim, Item item) {
        if (item.kind != ItemKind::file) return;
        item.name = claim;
        if (deleted_.contains(item) || deleted_.contains(basket_of(claim))) {
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
        if (answer.done() || (!place.empty() && answer.verdict == Verdict::absent)) continue;
        if (place.empty() || answer.verdict == Verdict::unreachable) return answer;
        std::erase_if(hidden, [&](const std::string& claim) { return basket_of(claim) == place; });
        reports.push_back({place, Report::Outcome::left, answer.text});
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
        Answer removed = listed;
        if (listed.done() && empty) removed = store_.remove_directory(at_source(name));
        if (removed.verdict == Verdict::absent || (removed.done() && empty)) {
            open_claims_.erase(basket);
        } else if (!removed.done()) {
            has_baskets_ = false;  // no more of them
            reports.push_back(
                {"", Report::Outcome::told, "the directory " + name + " of ours cannot be removed: " + removed.text});
        }
    }
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
        const auto listed = store_.list(at_source(basket), [&](const Item& item) {
            if (item.kind == ItemKind::file) theirs.push_back(basket + "/" + item.name);
            return true;
        });
        if (!listed.done()) reports.push_back({basket, Report::Outcome::left, listed.text});
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
        if (listed.done() && empty) store_.remove_directory(at_source(basket));
    }
    return Answer{};
}

}  // namespace ums::intake
