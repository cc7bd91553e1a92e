// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the worker of a queue does first: it finishes, or takes back, what dead runs left.
#include <set>
#include <utility>

#include "spool/spool.hpp"

namespace ums::spool {

namespace {

constexpr std::chrono::hours lonely_reason{1};

}  // namespace

void Spool::recover(const Queue& queue) {
    const bool splits = queue.kind == Queue::Kind::outgoing || queue.kind == Queue::Kind::incoming;
    if (splits) recover_splits(queue);
    std::vector<Move> moves;
    for (const auto& entry : list(queue, State::sending)) {
        moves.push_back({entry, {queue, State::fresh, entry.name.without(attribute::not_before)}});
    }
    move(moves);
    sweep_reasons(queue, State::hold);
    if (!splits) return;
    sweep(queue);
    for (const auto& aside : {Queue::failed(), Queue::noroute()}) {
        sweep_reasons(aside, State::fresh);
        sweep_reasons(aside, State::hold);
    }
}

void Spool::recover_splits(const Queue& queue) {
    const auto children = list(queue, State::publishing);
    if (children.empty()) return;
    std::set<std::string, std::less<>> originals;
    for (const State state : {State::fresh, State::sending, State::hold}) {
        for (const auto& entry : list(queue, state)) originals.emplace(entry.name.id());
    }
    std::vector<Entry> backward;
    std::vector<Move> forward;
    for (const auto& child : children) {
        if (originals.contains(child.name.parent_id())) {
            backward.push_back(child);
        } else {
            forward.push_back({child, destination(child)});
        }
    }
    remove(backward);
    // That an original is gone may be known to nobody but us yet: its worker died before it was durable. It must not come
    // alive again when its parts have left.
    if (!forward.empty()) disk_.sync_directory(path(queue, State::sending));
    move(forward);
}

Entry Spool::destination(const Entry& child) {
    if (child.queue.kind == Queue::Kind::outgoing) {
        const auto ruled = child.name.get(attribute::ruled);
        if (ruled == "failed") return {Queue::failed(), State::fresh, child.name};
        if (ruled == "hold") return {child.queue, State::hold, child.name};
        if (ruled == "report")
            return {Queue::connector(child.name.get(attribute::connector)), State::fresh, child.name};
        const auto site = child.name.get(attribute::site);
        return {site.empty() ? Queue::noroute() : Queue::site(site), State::fresh, child.name};
    }
    const auto connector = child.name.get(attribute::connector);
    return {connector.empty() ? Queue::noroute() : Queue::connector(connector), State::fresh, child.name};
}

void Spool::sweep(const Queue& queue) {
    for (const auto& entry : list(queue, State::tmp)) {
        const std::string file = path(entry);
        if (is_noted(entry.name.id())) continue;
        const auto fd = disk_.open_to_write(file);
        if (!fd || !disk_.try_lock(*fd, file)) continue;
        // The owner may have noted and moved it, or died, between our look and our lock. A file without a name says nothing
        // about the one that now has this name.
        if (is_noted(entry.name.id()) || disk_.info(*fd, file).links == 0) continue;
        disk_.remove(file);
    }
    sweep_first_runs();
}

void Spool::sweep_first_runs() {
    // As VERSION and uuid are there, nobody's can still become them.
    for (const auto& [directory, prefix] :
         {std::pair(root_, std::string("VERSION.")), std::pair(root_ + "/state", std::string("uuid."))}) {
        std::vector<std::string> leftovers;
        disk_.list(directory, [&](std::string_view name) {
            if (name.starts_with(prefix)) leftovers.emplace_back(name);
            return true;
        });
        for (const auto& name : leftovers) disk_.remove(directory + "/" + name);
    }
}

void Spool::sweep_reasons(const Queue& queue, State state) {
    std::set<std::string, std::less<>> names;
    std::vector<std::string> reasons;
    disk_.list(path(queue, state), [&](std::string_view name) {
        if (name.ends_with(why_suffix)) {
            reasons.emplace_back(name);
        } else {
            names.emplace(name);
        }
        return true;
    });
    for (const auto& reason : reasons) {
        if (names.contains(std::string_view(reason).substr(0, reason.size() - why_suffix.size()))) continue;
        // Who parks a message now writes the reason first.
        const std::string file = path(queue, state) + "/" + reason;
        const auto info = disk_.info(file);
        const auto written = std::chrono::nanoseconds(info ? info->modified_ns : 0);
        if (info && clock_.now().time_since_epoch() - written > lonely_reason) disk_.remove(file);
    }
}

}  // namespace ums::spool
