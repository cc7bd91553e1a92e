// SPDX-License-Identifier: GPL-3.0-or-later
//
// One worker a queue, and moves that are durable at their destination before they are gone at their source.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "faulty_disk.hpp"
#include "random_text.hpp"
#include "recording_disk.hpp"
#include "world.hpp"

using namespace ums;
using spool::Entry;
using spool::EntryName;
using spool::Move;
using spool::Moved;
using spool::Queue;
using spool::Spool;
using spool::State;
using test::FaultyDisk;
using test::Place;
using test::RecordingDisk;

namespace {

Entry at(const Entry& entry, const Queue& queue, State state) { return {queue, state, entry.name}; }

}  // namespace

// The lock.

TEST_CASE("a queue has one worker", "[spool][lock]") {
    Place place;
    auto spool = place.open();
    auto other = place.open();
    {
        const auto worker = spool.work(Queue::kernel("k1"));
        REQUIRE(worker);
        REQUIRE(worker->queue() == Queue::kernel("k1"));
        REQUIRE_FALSE(other.work(Queue::kernel("k1")));
        REQUIRE_FALSE(spool.work(Queue::kernel("k1")));
        REQUIRE(other.is_busy(Queue::kernel("k1")));
        REQUIRE(other.work(Queue::kernel("k2")));
        REQUIRE_FALSE(other.is_busy(Queue::kernel("k2")));
    }
    REQUIRE_FALSE(other.is_busy(Queue::kernel("k1")));
    REQUIRE(other.work(Queue::kernel("k1")));
}

TEST_CASE("the busy one loses nothing: who gets no lock recovers nothing", "[spool][lock]") {
    Place place;
    auto spool = place.open();
    const auto worker = spool.work(Queue::kernel("k1"));
    const auto entry = place.put(spool, Queue::kernel("k1"));
    REQUIRE(spool.move(entry, at(entry, Queue::kernel("k1"), State::sending)));
    auto other = place.open();
    REQUIRE_FALSE(other.work(Queue::kernel("k1")));
    REQUIRE(place.names("kernel/k1/sending").size() == 1);
}

TEST_CASE("a killed worker gives up its lock, and what it had in sending/ is due at once", "[spool][lock]") {
    Place place;
    auto spool = place.open();
    const Queue queue = Queue::kernel("k1");
    const auto entry = place.put(spool, queue, ",n=3,t=1800009999");
    std::array<int, 2> ready{};
    REQUIRE(::pipe(ready.data()) == 0);
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        auto own = place.open();
        const auto worker = own.work(queue);
        own.move(entry, at(entry, queue, State::sending));
        static_cast<void>(!::write(ready[1], worker ? "y" : "n", 1));
        for (;;) ::pause();
    }
    char answer = 0;
    REQUIRE(::read(ready[0], &answer, 1) == 1);
    REQUIRE(answer == 'y');
    REQUIRE_FALSE(spool.work(queue));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
    const auto worker = spool.work(queue);
    REQUIRE(worker);
    REQUIRE(place.names("kernel/k1/sending").empty());
    const auto due = spool.due(queue);
    REQUIRE(due.size() == 1);
    REQUIRE(due[0].name == entry.name.without('t'));
    REQUIRE(due[0].name.number('n') == 3);
}

TEST_CASE("who sends thousands keeps no other connector waiting", "[spool]") {
    Place place;
    auto spool = place.open();
    const auto queue = Queue::site("munich");
    const auto put = [&](const std::string& attributes) { return place.put(spool, queue, attributes).name.text(); };
    std::vector<std::string> many;
    for (int i = 0; i < 5; ++i) many.push_back(put(",c=A"));
    const auto b1 = put(",c=B");
    const auto b2 = put(",c=B");
    const auto nobody = put("");
    const auto urgent_a1 = put(",c=A,p=1");
    const auto urgent_a2 = put(",c=A,p=1");
    const auto urgent_b = put(",c=B,p=1");
    std::vector<std::string> names;
    for (const auto& entry : spool.due(queue)) names.push_back(entry.name.text());
    REQUIRE(names == std::vector<std::string>{urgent_a1, urgent_b, urgent_a2, many[0], b1, nobody, many[1], b2, many[2],
                                              many[3], many[4]});
}

TEST_CASE("recovery leaves publishing/ of kernels and connectors, hold/ and new/ alone", "[spool]") {
    Place place;
    auto spool = place.open();
    for (const Queue& queue : {Queue::kernel("k1"), Queue::connector("c1")}) {
        for (const State state : {State::sending, State::publishing, State::hold, State::fresh}) {
            const auto entry = place.put(spool, queue, ",n=1");
            if (state != State::fresh) REQUIRE(spool.move(entry, at(entry, queue, state)));
        }
        REQUIRE(spool.work(queue));
        REQUIRE(spool.list(queue, State::fresh).size() == 2);
        REQUIRE(spool.list(queue, State::sending).empty());
        REQUIRE(spool.list(queue, State::publishing).size() == 1);
        REQUIRE(spool.list(queue, State::hold).size() == 1);
    }
}

TEST_CASE("working outgoing or incoming sweeps its tmp/", "[spool]") {
    Place place;
    auto spool = place.open();
    for (const Queue& queue : {Queue::outgoing(), Queue::incoming()}) {
        {
            auto draft = spool.draft(queue);
            draft.keep();
        }
        REQUIRE(spool.list(queue, State::tmp).size() == 1);
        REQUIRE(spool.work(queue));
        REQUIRE(spool.list(queue, State::tmp).empty());
    }
}

TEST_CASE("a crash anywhere in recovery: the next one finishes it", "[spool][fault]") {
    for (const auto fault :
         {FaultyDisk::Fault::crash_before, FaultyDisk::Fault::crash_after, FaultyDisk::Fault::fail}) {
        for (std::size_t call = 1; call <= 4; ++call) {
            INFO("at change " << call);
            Place place;
            const Queue queue = Queue::kernel("k1");
            {
                auto spool = place.open();
                for (int i = 0; i < 2; ++i) {
                    const auto entry = place.put(spool, queue);
                    spool.move(entry, at(entry, queue, State::sending));
                }
            }
            FaultyDisk disk(place.real);
            auto spool = place.open(disk);
            disk.plan(fault, call);
            try {
                spool.work(queue);
            } catch (const test::Crash&) {
            } catch (const Error&) {
            }
            REQUIRE(disk.fired());
            auto again = place.open();
            REQUIRE(again.work(queue));
            REQUIRE(again.list(queue, State::fresh).size() == 2);
            REQUIRE(again.list(queue, State::sending).empty());
        }
    }
}

// Lists.

TEST_CASE("what must wait is not due; important messages come first, else those that came first", "[spool]") {
    Place place;
    auto spool = place.open();
    const Queue queue = Queue::kernel("k1");
    std::vector<EntryName> expected;
    const auto late = place.put(spool, queue, ",t=1800000100");
    const auto first = place.put(spool, queue, ",n=1");
    const auto important = place.put(spool, queue, ",p=1");
    const auto past = place.put(spool, queue, ",t=1800000001");
    const auto important_too = place.put(spool, queue, ",p=1");
    const auto unimportant = place.put(spool, queue, ",p=0");
    const auto names = [&] {
        std::vector<EntryName> all;
        for (const auto& entry : spool.due(queue)) all.push_back(entry.name);
        return all;
    };
    REQUIRE(names() == std::vector{important.name, important_too.name, first.name, past.name, unimportant.name});
    place.clock.set(clock::Instant(std::chrono::milliseconds(1'800'000'099'999)));
    REQUIRE(names().size() == 5);
    place.clock.set(clock::Instant(std::chrono::seconds(1'800'000'100)));
    REQUIRE(names() ==
            std::vector{important.name, important_too.name, late.name, first.name, past.name, unimportant.name});
    REQUIRE(spool.list(queue, State::fresh).front().name == late.name);
    REQUIRE(spool.list(queue, State::fresh).size() == 6);
}

TEST_CASE("a wait that no program of ours sets is none", "[spool]") {
    Place place;
    auto spool = place.open();
    const Queue queue = Queue::kernel("k1");
    for (const char* t :
         {"1800003600", "9999999999", "9223372036854775807", "9223372036854775808", "9223372036854775809",
          "9223372038654775808", "18446744073709551615", "99999999999999999999999", "x", "-5", "0", "1"}) {
        place.put(spool, queue, std::string(",t=") + t);
    }
    place.clock.set(test::start_time);
    REQUIRE(spool.due(queue).size() == 12);
    const auto entry = place.put(spool, queue, ",t=1800003599");
    place.clock.set(test::start_time);
    REQUIRE(spool.due(queue).size() == 12);
    place.clock.set(test::start_time - std::chrono::seconds(1));  // 3,600 s ahead: too far
    REQUIRE(spool.due(queue).size() == 13);
}

TEST_CASE("other files in a state directory are no entries, and stay", "[spool]") {
    Place place;
    auto spool = place.open();
    const auto entry = place.put(spool, Queue::outgoing(), ",c=ExConn");
    for (const char* name : {"README", ".hidden", "core", "x,y=z"})
        test::write_to(place.root + "/outgoing/new/" + name, "x");
    test::write_to(spool.path(entry) + ".why", "x");
    REQUIRE(spool.list(Queue::outgoing(), State::fresh).size() == 1);
    REQUIRE(spool.work(Queue::outgoing()));
    REQUIRE(place.names("outgoing/new").size() == 6);
}

TEST_CASE("find tells every place of an id, whatever its attributes", "[spool]") {
    Place place;
    auto spool = place.open();
    const auto entry = place.put(spool, Queue::outgoing(), ",c=ExConn");
    const auto another = place.put(spool, Queue::outgoing(), ",c=ExConn");
    const std::string id(entry.name.id());
    REQUIRE(spool.find(id).size() == 1);
    for (const auto& [queue, state] : std::vector<std::pair<Queue, State>>{{Queue::site("munich"), State::fresh},
                                                                           {Queue::kernel("k1"), State::sending},
                                                                           {Queue::kernel("k1"), State::publishing},
                                                                           {Queue::kernel("k1"), State::hold},
                                                                           {Queue::failed(), State::fresh},
                                                                           {Queue::sent(), State::fresh}}) {
        const auto from = spool.find(id).at(0);
        const Entry to{queue, state, from.name.with('n', from.name.number('n') + 1)};
        REQUIRE(spool.move(from, to));
        const auto found = spool.find(id);
        REQUIRE(found.size() == 1);
        REQUIRE(found[0].queue == queue);
        REQUIRE(found[0].state == state);
        REQUIRE(found[0].name == to.name);
    }
    REQUIRE(spool.find(id + "~1").empty());
    REQUIRE(spool.find(id.substr(0, 20)).empty());
    REQUIRE(spool.find("").empty());
    REQUIRE(spool.find(another.name.id()).size() == 1);
}

TEST_CASE("a message is read where it is, and nowhere else", "[spool]") {
    Place place;
    auto spool = place.open();
    const auto entry = place.put(spool, Queue::outgoing());
    REQUIRE(spool.open(entry));
    REQUIRE_FALSE(spool.open(at(entry, Queue::outgoing(), State::hold)));
    REQUIRE_FALSE(spool.open(at(entry, Queue::site("none"), State::fresh)));
}

// Moves.

TEST_CASE("a move tells whether it was ours", "[spool]") {
    Place place;
    auto spool = place.open();
    const auto one = place.put(spool, Queue::outgoing(), "", "one");
    const auto two = place.put(spool, Queue::outgoing(), "", "two");
    const auto gone =
        at({Queue::outgoing(), State::fresh, EntryName::make(place.clock.now(), "X")}, Queue::outgoing(), State::fresh);
    const auto to = at(one, Queue::site("munich"), State::fresh);
    const std::vector<Move> moves{
        {one, to}, {gone, at(gone, Queue::site("munich"), State::fresh)}, {two, to}, {one, to}};
    REQUIRE(spool.move(moves) == std::vector{Moved::yes, Moved::gone, Moved::clash, Moved::gone});
    REQUIRE(test::content_of(spool.path(to)) == "one");
    REQUIRE(test::content_of(spool.path(two)) == "two");
    REQUIRE_FALSE(spool.move(two, to));
    REQUIRE_FALSE(spool.move(gone, to));
    REQUIRE(spool.move(std::span<const Move>()).empty());
}

TEST_CASE("of two that want an entry exactly one gets it", "[spool]") {
    Place place;
    auto spool = place.open();
    std::vector<Entry> entries;
    for (int i = 0; i < 60; ++i) entries.push_back(place.put(spool, Queue::site("munich")));
    std::vector<pid_t> children;
    for (int k = 0; k < 3; ++k) {
        const pid_t pid = ::fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            auto own = place.open();
            int won = 0;
            for (const auto& entry : entries) {
                won += own.move(entry, at(entry, Queue::kernel("k" + std::to_string(k)), State::fresh)) ? 1 : 0;
            }
            ::_exit(won);
        }
        children.push_back(pid);
    }
    int won = 0;
    for (const pid_t pid : children) {
        int status = 0;
        REQUIRE(::waitpid(pid, &status, 0) == pid);
        REQUIRE(WIFEXITED(status));
        won += WEXITSTATUS(status);
    }
    REQUIRE(won == 60);
    std::size_t found = 0;
    for (int k = 0; k < 3; ++k) found += place.names("kernel/k" + std::to_string(k) + "/new").size();
    REQUIRE(found == 60);
    REQUIRE(place.names("site/munich/new").empty());
}

TEST_CASE("a batch syncs each directory once: destinations, then sources", "[spool][order]") {
    Place place;
    RecordingDisk disk(place.real, place.root);
    auto spool = place.open(disk);
    std::vector<Move> moves;
    for (int i = 0; i < 10; ++i) {
        const auto entry = place.put(spool, Queue::site("munich"));
        moves.push_back({entry, at(entry, Queue::kernel(i % 2 == 0 ? "k1" : "k2"), State::fresh)});
    }
    spool.move(std::span<const Move>());
    spool.work(Queue::kernel("k1"));
    spool.work(Queue::kernel("k2"));
    disk.steps.clear();
    spool.move(moves);
    REQUIRE(disk.steps.size() == 13);
    REQUIRE(disk.steps[10].path == "kernel/k1/new");
    REQUIRE(disk.steps[11].path == "kernel/k2/new");
    REQUIRE(disk.steps[12].path == "site/munich/new");
    REQUIRE(disk.wrong_order().empty());
}

TEST_CASE("what did not move is not synced for", "[spool][order]") {
    Place place;
    RecordingDisk disk(place.real, place.root);
    auto spool = place.open(disk);
    const auto entry = place.put(spool, Queue::outgoing());
    spool.move(entry, at(entry, Queue::site("munich"), State::fresh));
    disk.steps.clear();
    REQUIRE_FALSE(spool.move(entry, at(entry, Queue::site("munich"), State::fresh)));
    REQUIRE(disk.steps.size() == 1);
}

TEST_CASE("a change of attributes syncs its directory", "[spool][order]") {
    Place place;
    RecordingDisk disk(place.real, place.root);
    auto spool = place.open(disk);
    const auto entry = place.put(spool, Queue::outgoing());
    disk.steps.clear();
    REQUIRE(spool.move(entry, {entry.queue, State::fresh, entry.name.with('n', 1)}));
    REQUIRE(disk.steps.size() == 2);
    REQUIRE(disk.wrong_order().empty());
}

TEST_CASE("no source is synced before its destination, in whatever batch", "[spool][order][property]") {
    test::RandomText random(5);
    Place place;
    RecordingDisk disk(place.real, place.root);
    auto spool = place.open(disk);
    const std::vector<std::pair<Queue, State>> places{{Queue::kernel("a"), State::fresh},
                                                      {Queue::kernel("a"), State::sending},
                                                      {Queue::kernel("b"), State::fresh},
                                                      {Queue::site("m"), State::fresh},
                                                      {Queue::outgoing(), State::fresh}};
    std::vector<Entry> entries;
    for (int i = 0; i < 12; ++i) entries.push_back(place.put(spool, Queue::outgoing()));
    for (int round = 0; round < 300; ++round) {
        std::vector<Move> moves;
        for (auto& entry : entries) {
            if (random.below(3) == 0) continue;
            const auto& [queue, state] = places[random.below(places.size())];
            const Entry to{queue, state, entry.name.with('n', entry.name.number('n') + 1)};
            moves.push_back({entry, to});
            entry = to;
        }
        disk.steps.clear();
        for (const auto result : spool.move(moves)) REQUIRE(result == Moved::yes);
        REQUIRE(disk.wrong_order() == "");
    }
}

TEST_CASE("what was moved before a failure is made durable too", "[spool][order][fault]") {
    class Failing final : public io::ForwardingDisk {
      public:
        explicit Failing(io::Disk& real) : ForwardingDisk(real) {}
        std::string bad;
        io::Renamed rename(const std::string& from, const std::string& to) override {
            if (!bad.empty() && from.ends_with(bad)) throw Error(Fault::cannot_write, "injected");
            return ForwardingDisk::rename(from, to);
        }
    };
    Place place;
    Failing failing(place.real);
    RecordingDisk disk(failing, place.root);
    auto spool = place.open(disk);
    std::vector<Move> moves;
    for (int i = 0; i < 3; ++i) {
        const auto entry = place.put(spool, Queue::outgoing());
        moves.push_back({entry, at(entry, Queue::site("munich"), State::fresh)});
    }
    failing.bad = moves[2].from.name.text();
    disk.steps.clear();
    REQUIRE_THROWS_AS(spool.move(moves), Error);
    REQUIRE(disk.wrong_order() == "");
    REQUIRE(disk.find("directory", "site/munich/new") < disk.steps.size());
}

TEST_CASE("a move whose destination cannot be synced is a failure, and its source is not synced",
          "[spool][order][fault]") {
    Place place;
    FaultyDisk faulty(place.real);
    RecordingDisk disk(faulty, place.root);
    auto spool = place.open(disk);
    const auto entry = place.put(spool, Queue::outgoing());
    spool.work(Queue::kernel("k1"));
    disk.steps.clear();
    faulty.plan(FaultyDisk::Fault::fail, 2);
    REQUIRE_THROWS_AS(spool.move(entry, at(entry, Queue::kernel("k1"), State::sending)), Error);
    REQUIRE(disk.find("directory", "outgoing/new") == disk.steps.size());
}

TEST_CASE("removing says how many were there, and makes it durable", "[spool][order]") {
    Place place;
    RecordingDisk disk(place.real, place.root);
    auto spool = place.open(disk);
    const std::vector<Entry> entries{place.put(spool, Queue::outgoing()), place.put(spool, Queue::outgoing()),
                                     place.put(spool, Queue::site("munich"))};
    disk.steps.clear();
    REQUIRE(spool.remove(entries) == 3);
    REQUIRE(disk.steps.back().path == "site/munich/new");
    REQUIRE(disk.find("directory", "outgoing/new") > disk.find("remove", "outgoing/new/" + entries[1].name.text()));
    REQUIRE(disk.find("directory", "outgoing/new") < disk.steps.size());
    REQUIRE(place.names("outgoing/new").empty());
    disk.steps.clear();
    REQUIRE(spool.remove(entries) == 0);
    REQUIRE(disk.find("directory", "outgoing/new") == disk.steps.size());
}

// Parking.

TEST_CASE("a parked message has its reason beside it, which goes when it is taken up again", "[spool]") {
    Place place;
    auto spool = place.open();
    const auto entry = place.put(spool, Queue::outgoing(), ",c=ExConn");
    const auto failed = at(entry, Queue::failed(), State::fresh);
    REQUIRE(spool.park(entry, failed, "no recipient\x1b[2J\nreally"));
    REQUIRE(spool.why(failed) == "no recipient\\x1b[2J\\nreally");
    REQUIRE(spool.list(Queue::failed(), State::fresh).size() == 1);
    REQUIRE(spool.find(entry.name.id()).size() == 1);
    REQUIRE(spool.unpark(failed, entry));
    REQUIRE_FALSE(spool.why(failed));
    REQUIRE(place.names("failed/new").empty());
    REQUIRE_FALSE(spool.unpark(failed, entry));
    REQUIRE(spool.park(entry, failed, "again"));
    REQUIRE(spool.remove(std::span(&failed, 1)) == 1);
    REQUIRE(place.names("failed/new").empty());
}

TEST_CASE("what is gone is not parked, and leaves no reason", "[spool]") {
    Place place;
    auto spool = place.open();
    const auto entry = place.put(spool, Queue::outgoing());
    spool.remove(std::span(&entry, 1));
    REQUIRE_FALSE(spool.park(entry, at(entry, Queue::failed(), State::fresh), "x"));
    REQUIRE(place.names("failed/new").empty());
}

TEST_CASE("the reason stands there before the message does", "[spool][order]") {
    Place place;
    RecordingDisk disk(place.real, place.root);
    auto spool = place.open(disk);
    const auto entry = place.put(spool, Queue::outgoing());
    const auto failed = at(entry, Queue::failed(), State::fresh);
    disk.steps.clear();
    spool.park(entry, failed, "x");
    const auto name = entry.name.text();
    REQUIRE(disk.find("create", "failed/new/" + name + ".why") < disk.find("rename", "outgoing/new/" + name));
    REQUIRE(disk.wrong_order() == "");
    disk.steps.clear();
    spool.unpark(failed, entry);
    // Who dies in between leaves no reason that nobody would ever remove.
    REQUIRE(disk.find("remove", "failed/new/" + name + ".why") < disk.find("rename", "failed/new/" + name));
    disk.steps.clear();
    spool.park(entry, failed, "x");
    spool.remove(std::span(&failed, 1));
    REQUIRE(disk.find("remove", "failed/new/" + name + ".why") < disk.find("remove", "failed/new/" + name));
}

TEST_CASE("a reason that cannot be written keeps no message from being parked", "[spool][fault]") {
    Place place;
    FaultyDisk disk(place.real);
    auto spool = place.open(disk);
    for (std::size_t call = 1; call <= 3; ++call) {
        const auto entry = place.put(spool, Queue::outgoing());
        const auto failed = at(entry, Queue::failed(), State::fresh);
        disk.plan(FaultyDisk::Fault::fail, call);
        REQUIRE(spool.park(entry, failed, "x"));
        REQUIRE(disk.fired());
        REQUIRE(spool.open(failed));
        disk.plan(FaultyDisk::Fault::none, 0);
    }
}

TEST_CASE("a reason is read back however long it was", "[spool]") {
    Place place;
    auto spool = place.open();
    const auto entry = place.put(spool, Queue::outgoing());
    const auto failed = at(entry, Queue::failed(), State::fresh);
    REQUIRE(spool.park(entry, failed, "start " + std::string(1 << 20, '\1')));
    REQUIRE(spool.why(failed).value().starts_with("start \\x01"));
}

// The journal.

TEST_CASE("the journal tells the story of a message, of its children and of its ancestors", "[spool][journal]") {
    Place place;
    auto spool = place.open();
    const std::string id = "1795406406123456.k2j4x7ab.BER1";
    spool.journal("ums-fetch", {});
    REQUIRE(spool.journal_of(id).empty());
    const std::vector<Spool::Event> first{{id, "fetched", "from ExConn/Out"},
                                          {"1795406406123456.k2j4x7ab.BER2", "fetched", ""}};
    spool.journal("ums-fetch", first);
    place.clock.sleep(std::chrono::seconds(1));
    const std::vector<Spool::Event> second{
        {id + "~1", "split", "munich"}, {id + "~2", "split", "vienna"}, {id + "~1~1", "x", "tab\tline\nend"}};
    spool.journal("ums-route", second);
    const auto whole = spool.journal_of(id);
    REQUIRE(whole.size() == 4);
    REQUIRE(whole[0] ==
            std::vector<std::string>{"2027-01-15T08:00:00.000Z", "ums-fetch", id, "fetched", "from ExConn/Out"});
    REQUIRE(whole[1][0] == "2027-01-15T08:00:01.000Z");
    REQUIRE(whole[3][4] == "tab\\tline\\nend");
    REQUIRE(spool.journal_of(id + "~2").size() == 2);
    REQUIRE(spool.journal_of(id + "~1").size() == 3);
    REQUIRE(spool.journal_of(id + "~1~1").size() == 3);
    REQUIRE(spool.journal_of(id.substr(0, id.size() - 1)).empty());
    REQUIRE(spool.journal_of(id + "~10").size() == 1);
}

TEST_CASE("the journal is rotated, and both files are read", "[spool][journal]") {
    Place place;
    auto spool = place.open();
    const std::string id = "1795406406123456.k2j4x7ab.BER1";
    const auto file = place.root + "/state/journal";
    const std::vector<Spool::Event> event{{id, "a", ""}};
    spool.journal("t", event);
    test::write_to(file, test::content_of(file) + std::string((16 << 20) - 200, 'x') + "\n");
    spool.journal("t", event);
    REQUIRE_FALSE(std::filesystem::exists(file + ".1"));
    const std::vector<Spool::Event> long_event{{id, "b", std::string(200, 'x')}};
    spool.journal("t", long_event);
    REQUIRE(std::filesystem::exists(file + ".1"));
    REQUIRE_FALSE(std::filesystem::exists(file));
    const std::vector<Spool::Event> last{{id, "c", ""}};
    spool.journal("t", last);
    const auto lines = spool.journal_of(id);
    REQUIRE(lines.size() == 4);
    REQUIRE(lines[2][3] == "b");
    REQUIRE(lines[3][3] == "c");
}

TEST_CASE("a torn line of the journal is passed over, and a journal that cannot be written stops nothing",
          "[spool][journal]") {
    Place place;
    auto spool = place.open();
    const std::string id = "1795406406123456.k2j4x7ab.BER1";
    test::write_to(place.root + "/state/journal", "2027\tums\t" + id + "\n\n\t\t\t\t\n" + std::string("\0\xff\n", 3));
    REQUIRE(spool.journal_of(id).empty());
    const std::vector<Spool::Event> event{{id, "a", ""}};
    spool.journal("t", event);
    REQUIRE(spool.journal_of(id).size() == 1);
    std::filesystem::remove(place.root + "/state/journal");
    std::filesystem::create_directory(place.root + "/state/journal");
    REQUIRE_NOTHROW(spool.journal("t", event));
}

TEST_CASE("a reason whose message never came goes after an hour", "[spool]") {
    Place place;
    place.clock.set(std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()));
    auto spool = place.open();
    const auto entry = place.put(spool, Queue::kernel("k1"));
    const Entry held{Queue::kernel("k1"), State::hold, entry.name};
    REQUIRE(spool.park(entry, held, "asked for"));
    const auto lonely = place.root + "/kernel/k1/hold/1800000000000000.k2j4x7ab.BER1.why";
    const auto failed = place.root + "/failed/new/1800000000000000.k2j4x7ab.BER1.why";
    for (const auto& path : {lonely, failed}) static_cast<void>(place.real.create(path));
    for (const auto& queue : {Queue::kernel("k1"), Queue::outgoing()}) REQUIRE(spool.work(queue));
    REQUIRE(place.real.info(lonely));
    REQUIRE(place.real.info(failed));
    place.clock.sleep(std::chrono::minutes(61));
    for (const auto& queue : {Queue::kernel("k1"), Queue::outgoing()}) REQUIRE(spool.work(queue));
    REQUIRE_FALSE(place.real.info(lonely));
    REQUIRE_FALSE(place.real.info(failed));
    REQUIRE(spool.why(held) == "asked for");
}
