// SPDX-License-Identifier: GPL-3.0-or-later
//
// The split protocol under every fault: afterwards the original is there alone, or each of its parts exactly once.
#include <catch2/catch.hpp>

#include "faulty_disk.hpp"
#include "recording_disk.hpp"
#include "world.hpp"

using namespace ums;
using spool::Draft;
using spool::Entry;
using spool::EntryName;
using spool::Move;
using spool::Queue;
using spool::Spool;
using spool::State;
using test::FaultyDisk;
using test::Place;
using test::RecordingDisk;

namespace {

// Two sites and one that no rule knew.
std::vector<Draft> children_of(Spool& spool, const Entry& original) {
    std::vector<Draft> children;
    const auto& name = original.name;
    for (const auto& child : {name.child(1).with('s', "munich"), name.child(2).with('s', "vienna"), name.child(3)}) {
        children.push_back(spool.draft(original.queue, child));
        children.back().write("part of " + std::string(child.id()));
    }
    return children;
}

// What ums-route does with one message of several sites.
void split(Spool& spool, const Entry& waiting) {
    const auto worker = spool.work(waiting.queue);
    REQUIRE(worker);
    const Entry original{waiting.queue, State::sending, waiting.name};
    if (!spool.move(waiting, original)) return;
    auto children = children_of(spool, original);
    spool.commit_split(*worker, original, children);
    std::vector<Move> moves;
    for (const auto& child : spool.list(waiting.queue, State::publishing))
        moves.push_back({child, Spool::destination(child)});
    spool.move(moves);
}

std::map<std::string, std::string> everything(Spool& spool) {
    std::map<std::string, std::string> all;  // where -> id
    for (const auto& queue : spool.all_queues()) {
        for (const State state : {State::tmp, State::fresh, State::sending, State::publishing, State::hold}) {
            for (const auto& entry : spool.list(queue, state)) {
                all[to_string(queue) + "/" + std::string(to_string(state)) + "/" + std::string(entry.name.id())] =
                    test::content_of(spool.path(entry));
            }
        }
    }
    return all;
}

// The original alone in new/, or all the parts where they belong. True for the parts.
bool check(Spool& spool, const Entry& waiting) {
    const std::string id(waiting.name.id());
    const auto all = everything(spool);
    for (const auto& [where, content] : all) UNSCOPED_INFO(where);
    if (all.size() == 1) {
        REQUIRE(all.contains("outgoing/new/" + id));
        REQUIRE(all.at("outgoing/new/" + id) == "whole");
        return false;
    }
    REQUIRE(all.size() == 3);
    REQUIRE(all.at("site/munich/new/" + id + "~1") == "part of " + id + "~1");
    REQUIRE(all.at("site/vienna/new/" + id + "~2") == "part of " + id + "~2");
    REQUIRE(all.at("noroute/new/" + id + "~3") == "part of " + id + "~3");
    return true;
}

}  // namespace

TEST_CASE("a split message is its parts, each where it belongs", "[spool][split]") {
    Place place;
    auto spool = place.open();
    const auto waiting = place.put(spool, Queue::outgoing(), ",c=ExConn", "whole");
    split(spool, waiting);
    REQUIRE(check(spool, waiting));
}

TEST_CASE("parts belong where their attributes say", "[spool][split]") {
    const auto name = EntryName::parse("1795406406123456.k2j4x7ab.BER1~1").value();
    const auto of = [](const Queue& queue, const EntryName& child) {
        const auto to = Spool::destination({queue, State::publishing, child});
        REQUIRE(to.state == State::fresh);
        REQUIRE(to.name == child);
        return to_string(to.queue);
    };
    REQUIRE(of(Queue::outgoing(), name) == "noroute");
    REQUIRE(of(Queue::outgoing(), name.with('c', "ExConn")) == "noroute");
    REQUIRE(of(Queue::outgoing(), name.with('c', "ExConn").with('s', "munich")) == "site/munich");
    REQUIRE(of(Queue::incoming(), name) == "noroute");
    REQUIRE(of(Queue::incoming(), name.with('s', "munich")) == "noroute");
    REQUIRE(of(Queue::incoming(), name.with('c', "ExConn").with('s', "munich")) == "connector/ExConn");
}

TEST_CASE("parts are durable before the original goes, and it is gone for good before they are forwarded",
          "[spool][split][order]") {
    Place place;
    RecordingDisk disk(place.real, place.root);
    auto spool = place.open(disk);
    const auto waiting = place.put(spool, Queue::outgoing(), "", "whole");
    disk.steps.clear();
    split(spool, waiting);
    REQUIRE(disk.wrong_order() == "");
    const std::string name = waiting.name.text();
    const auto taken = disk.find("rename", "outgoing/new/" + name);
    const auto content = disk.find("content", "outgoing/tmp");
    const auto first = disk.find("rename", "outgoing/tmp/" + name + "~1,s=munich");
    const auto last = disk.find("rename", "outgoing/tmp/" + name + "~3");
    const auto publishing = disk.find("directory", "outgoing/publishing", first);
    const auto commit = disk.find("remove", "outgoing/sending/" + name);
    const auto durable = disk.find("directory", "outgoing/sending", commit);
    const auto forwarded = disk.find("rename", "outgoing/publishing/" + name + "~1,s=munich");
    REQUIRE(taken < content);
    REQUIRE(disk.steps[content].to == "3");
    REQUIRE(content < first);
    REQUIRE(first < last);
    REQUIRE(last < publishing);
    REQUIRE(publishing < commit);
    REQUIRE(commit < durable);
    REQUIRE(durable < forwarded);
    REQUIRE(forwarded < disk.steps.size());
}

TEST_CASE("a crash or failure at every change of a split: the original, or each part once", "[spool][split][fault]") {
    std::size_t calls = 0;
    {
        Place place;
        FaultyDisk disk(place.real);
        auto spool = place.open(disk);
        const auto waiting = place.put(spool, Queue::outgoing(), ",c=ExConn", "whole");
        disk.plan(FaultyDisk::Fault::none, 0);
        split(spool, waiting);
        calls = disk.calls();
    }
    REQUIRE(calls > 20);
    std::size_t originals = 0;
    std::size_t parts = 0;
    for (const auto fault :
         {FaultyDisk::Fault::crash_before, FaultyDisk::Fault::crash_after, FaultyDisk::Fault::fail}) {
        for (std::size_t at = 1; at <= calls; ++at) {
            INFO("fault " << static_cast<int>(fault) << " at change " << at);
            Place place;
            FaultyDisk disk(place.real);
            std::optional<Entry> waiting;
            {
                auto spool = place.open(disk);
                waiting = place.put(spool, Queue::outgoing(), ",c=ExConn", "whole");
                disk.plan(fault, at);
                try {
                    split(spool, *waiting);
                } catch (const test::Crash&) {
                } catch (const Error&) {
                }
            }
            REQUIRE(disk.fired());
            auto spool = place.open();
            REQUIRE(spool.work(Queue::outgoing()));
            const bool split_up = check(spool, *waiting);
            ++(split_up ? parts : originals);
            const auto before = everything(spool);
            REQUIRE(spool.work(Queue::outgoing()));
            REQUIRE(everything(spool) == before);
            if (!split_up) split(spool, *waiting);
            REQUIRE(check(spool, *waiting));
        }
    }
    REQUIRE(originals > 20);
    REQUIRE(parts > 10);
}

TEST_CASE("a second crash, anywhere in the recovery from the first", "[spool][split][fault]") {
    std::size_t fired = 0;
    for (std::size_t first = 1; first <= 30; ++first) {
        for (const auto fault : {FaultyDisk::Fault::crash_before, FaultyDisk::Fault::crash_after}) {
            bool more = true;
            for (std::size_t second = 1; more; ++second) {
                INFO("crash at change " << first << ", then at change " << second << " of the recovery");
                Place place;
                FaultyDisk disk(place.real);
                std::optional<Entry> waiting;
                {
                    auto spool = place.open(disk);
                    waiting = place.put(spool, Queue::outgoing(), ",c=ExConn", "whole");
                    disk.plan(FaultyDisk::Fault::crash_after, first);
                    try {
                        split(spool, *waiting);
                    } catch (const test::Crash&) {
                    }
                }
                {
                    FaultyDisk again(place.real);
                    auto spool = place.open(again);
                    again.plan(fault, second);
                    try {
                        spool.work(Queue::outgoing());
                    } catch (const test::Crash&) {
                    }
                    more = again.fired();
                    fired += more ? 1 : 0;
                }
                auto spool = place.open();
                REQUIRE(spool.work(Queue::outgoing()));
                check(spool, *waiting);
            }
        }
    }
    REQUIRE(fired > 150);
}

TEST_CASE("wherever the original still is, its parts are rolled back", "[spool][split]") {
    for (const State state : {State::fresh, State::sending, State::hold}) {
        for (const Queue& queue : {Queue::outgoing(), Queue::incoming()}) {
            Place place;
            auto spool = place.open();
            const auto entry = place.put(spool, queue);
            // By its id: its attributes may have changed.
            const Entry original{queue, state, entry.name.with('n', 4)};
            REQUIRE(spool.move(entry, original));
            for (unsigned k = 1; k <= 2; ++k) {
                test::write_to(spool.path({queue, State::publishing, entry.name.child(k).with('s', "munich")}), "part");
            }
            REQUIRE(spool.work(queue));
            REQUIRE(spool.list(queue, State::publishing).empty());
            REQUIRE(spool.list(Queue::site("munich"), State::fresh).empty());
            REQUIRE(spool.list(Queue::connector("munich"), State::fresh).empty());
            REQUIRE(spool.list(Queue::noroute(), State::fresh).empty());
            REQUIRE(spool.list(queue, state == State::hold ? State::hold : State::fresh).size() == 1);
        }
    }
}

TEST_CASE("the rollback is durable before the original can be taken up again", "[spool][split][order]") {
    Place place;
    RecordingDisk disk(place.real, place.root);
    auto spool = place.open(disk);
    const auto entry = place.put(spool, Queue::outgoing());
    REQUIRE(spool.move(entry, {entry.queue, State::sending, entry.name}));
    test::write_to(spool.path({entry.queue, State::publishing, entry.name.child(1).with('s', "munich")}), "part");
    disk.steps.clear();
    REQUIRE(spool.work(Queue::outgoing()));
    const auto removed = disk.find("remove", "outgoing/publishing/" + entry.name.text() + "~1,s=munich");
    const auto durable = disk.find("directory", "outgoing/publishing", removed);
    REQUIRE(removed < durable);
    REQUIRE(durable < disk.find("rename", "outgoing/sending/" + entry.name.text()));
}

TEST_CASE("a part that was split again follows its own parent", "[spool][split]") {
    Place place;
    auto spool = place.open();
    const auto entry = place.put(spool, Queue::outgoing());
    const auto parent = entry.name.child(1);
    // ~1 is still there, ~2 is not.
    REQUIRE(spool.move(entry, {entry.queue, State::sending, parent}));
    for (const auto& child : {parent.child(1), entry.name.child(2).child(1)}) {
        test::write_to(spool.path({entry.queue, State::publishing, child.with('s', "munich")}), "part");
    }
    REQUIRE(spool.work(Queue::outgoing()));
    REQUIRE(place.names("site/munich/new") ==
            std::set<std::string>{entry.name.child(2).child(1).with('s', "munich").text()});
    REQUIRE(place.names("outgoing/new") == std::set<std::string>{parent.text()});
}

TEST_CASE("only what the worker has in sending/ is split, into something, and into its own parts", "[spool][split]") {
    Place place;
    auto spool = place.open();
    const auto waiting = place.put(spool, Queue::outgoing(), "", "whole");
    const auto worker = spool.work(Queue::outgoing());
    const auto incoming = spool.work(Queue::incoming());
    const Entry original{waiting.queue, State::sending, waiting.name};
    {
        auto children = children_of(spool, original);
        REQUIRE_THROWS_AS(spool.commit_split(*worker, waiting, children), Error);
        REQUIRE_THROWS_AS(spool.commit_split(*incoming, original, children), Error);
        REQUIRE(spool.move(waiting, original));
        REQUIRE_THROWS_AS(spool.commit_split(*worker, original, {}), Error);
        std::vector<Draft> stranger;
        stranger.push_back(spool.draft(Queue::outgoing()));
        REQUIRE_THROWS_AS(spool.commit_split(*worker, original, stranger), Error);
        place.real.remove(children[1].path());
        REQUIRE_THROWS_AS(spool.commit_split(*worker, original, children), Error);
    }
    REQUIRE(test::content_of(spool.path(original)) == "whole");
    REQUIRE(spool.list(Queue::outgoing(), State::publishing).size() == 2);
}

TEST_CASE("parts leave when it is durable that their original is gone", "[spool][fault]") {
    Place place;
    RecordingDisk disk(place.real, place.root);
    auto spool = place.open(disk);
    const auto waiting = place.put(spool, Queue::outgoing());
    // As if its worker had been killed after it removed the original, before the sync.
    {
        const auto worker = spool.work(Queue::outgoing());
        const Entry original{Queue::outgoing(), State::sending, waiting.name};
        REQUIRE(spool.move(waiting, original));
        auto children = children_of(spool, original);
        spool.commit_split(*worker, original, children);
    }
    disk.steps.clear();
    REQUIRE(spool.work(Queue::outgoing()));
    const auto synced = disk.find("directory", "outgoing/sending");
    for (const auto& child : spool.list(Queue::site("munich"), State::fresh))
        REQUIRE(synced < disk.find("rename", "outgoing/publishing/" + child.name.text()));
    REQUIRE(spool.list(Queue::site("munich"), State::fresh).size() == 1);
    REQUIRE(synced < disk.steps.size());
}
