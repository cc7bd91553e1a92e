// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the worker of a queue does first: it finishes, or takes back, what dead runs left; and what a loss of power left twice.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "spool/spool.hpp"

namespace ums::spool {

namespace {

constexpr std::chrono::hours lonely_reason{1};

// Of two names of one message that stays which is worth more. One of an unfinished move alone has a second name, and as
// nobody goes on before his move is durable, both tell the truth, but for three:
//
//  - What is being published may be at the kernel: that must be looked up, whatever else it is called.
//  - What is in sent/ arrived: its witness may be gone, so that a look would not find it.
//  - Unless it was taken back from there, which alone leads from sent/ to anywhere but publishing/.
auto worth(const Entry& entry, bool taken_back) {
    using Kind = Queue::Kind;
    const auto kind = entry.queue.kind;
    const auto rank = [&] {
        if (entry.state == State::tmp) return 0;
        if (kind == Kind::sent) return taken_back ? 1 : 7;
        if (kind == Kind::failed || kind == Kind::noroute) return 2;
        if (kind == Kind::outgoing || kind == Kind::incoming) return 3;
        if (kind == Kind::site) return 4;
        return entry.state == State::publishing ? 6 : 5;  // of a kernel or a connector
    };
    return std::tuple(rank(), entry.queue, entry.state, entry.name.text());
}

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
    const auto ruled = child.name.get(attribute::ruled);
    if (ruled == "failed") return {Queue::failed(), State::fresh, child.name};
    if (child.queue.kind == Queue::Kind::outgoing) {
        if (ruled == "hold") return {child.queue, State::hold, child.name};
        if (ruled == "report")
            return {Queue::connector(child.name.get(attribute::connector)), State::fresh, child.name};
        const auto site = child.name.get(attribute::site);
        return {site.empty() ? Queue::noroute() : Queue::site(site), State::fresh, child.name};
    }
    // To who sent what the site rejects: an outgoing message like any other.
    if (ruled == "report") return {Queue::outgoing(), State::fresh, child.name};
    const auto connector = child.name.get(attribute::connector);
    return {connector.empty() ? Queue::noroute() : Queue::connector(connector), State::fresh, child.name};
}

// Before anything else is done: all that worked when the power went is dead, and what works now has looked here first. So two
// that look at the same time come to the same end, and neither meets a name of a move that is under way.
void Spool::remove_second_names() {
    std::vector<std::size_t> ids;
    // Numbers for the ids: a spool may be large, and this is looked at by every run.
    const auto number_of = [](std::string_view text) {
        return std::hash<std::string_view>{}(text.substr(0, text.find(',')));
    };
    each_name([&](const Queue&, State, std::string_view text) {
        if (!text.ends_with(why_suffix)) ids.push_back(number_of(text));
    });
    std::sort(ids.begin(), ids.end());
    std::set<std::size_t> twice;
    for (std::size_t i = 1; i < ids.size(); ++i) {
        if (ids[i] == ids[i - 1]) twice.insert(ids[i]);
    }
    if (twice.empty()) return;

    std::map<std::pair<std::uint64_t, std::string>, std::vector<Entry>> files;  // by inode and id
    each_name([&](const Queue& queue, State state, std::string_view text) {
        if (text.ends_with(why_suffix) || !twice.contains(number_of(text))) return;
        auto name = EntryName::parse(text);
        if (!name) return;
        Entry entry{queue, state, std::move(*name)};
        const auto info = disk_.info(path(entry));
        if (!info || info->links < 2) return;
        files[{info->inode, std::string(entry.name.id())}].push_back(std::move(entry));
    });
    for (auto& [file, entries] : files) {
        const bool taken_back = std::any_of(entries.begin(), entries.end(), [](const Entry& entry) {
            return entry.queue.kind != Queue::Kind::sent && entry.state != State::publishing &&
                   entry.state != State::tmp;
        });
        const auto kept = std::max_element(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
            return worth(a, taken_back) < worth(b, taken_back);
        });
        std::rotate(entries.begin(), kept, kept + 1);
        const auto others = std::span(entries).subspan(1);
        if (remove(others) == 0) continue;
        const Event event{std::string(entries.front().name.id()), "found twice",
                          "after a loss of power; it stays in " + to_string(entries.front().queue) + "/" +
                              std::string(to_string(entries.front().state))};
        journal("spool", std::span(&event, 1));
    }
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
        disk_.list(directory, [&leftovers, &prefix = prefix](std::string_view name) {
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
