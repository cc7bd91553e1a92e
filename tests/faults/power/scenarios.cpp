// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>

#include "config/config.hpp"
#include "delivery/courier.hpp"
#include "delivery/mailer.hpp"
#include "intake/intake.hpp"
#include "scenario.hpp"
#include "split/splitter.hpp"
#include "text/text.hpp"
#include "transport/file_store.hpp"

namespace ums::test {

namespace {

using delivery::Courier;
using spool::Entry;
using spool::EntryName;
using spool::Queue;
using spool::Spool;
using spool::State;

const Queue kernel = Queue::kernel("munich-1");
const Queue site = Queue::site("munich");

std::string message(unsigned i) {
    return "RCPT TO:m" + std::to_string(i) + "\r\nSubject: x\r\n\r\nbody " + std::to_string(i) + "\r\n";
}

/// A message that was accepted, in new/ of `queue`.
Entry put(World& world, Spool& spool, const Queue& queue, const std::string& content) {
    const auto name = EntryName::make(world.clock.now(), "BER1").with('c', "ExConn");
    world.clock.sleep(std::chrono::milliseconds(1));
    std::array<spool::Draft, 1> draft{spool.draft(Queue::outgoing(), name)};
    draft[0].write(content);
    spool.accept(draft);
    const Entry accepted{Queue::outgoing(), State::fresh, name};
    const Entry entry{queue, State::fresh, name};
    if (queue != Queue::outgoing()) spool.move(accepted, entry);
    return entry;
}

void put_all(World& world, const Queue& queue, unsigned count) {
    auto spool = world.open();
    for (unsigned i = 0; i < count; ++i) {
        world.ledger.contents.push_back(message(i));
        world.ledger.accepted.insert(message(i));
        put(world, spool, queue, message(i));
    }
}

/// Moves what is due in `from` to `to`, as ums-route and ums-failover do: a batch.
void forward(Spool& spool, const Queue& from, const Queue& to) {
    std::vector<spool::Move> moves;
    for (const auto& entry : spool.due(from)) moves.push_back({entry, {to, State::fresh, entry.name}});
    spool.move(moves);
}

/// How often each is in one of these; what is accepted once, what is not at most once, and nothing else at all.
std::string counted(const World& world, const std::vector<std::map<std::string, int>>& places) {
    std::map<std::string, int> all;
    for (const auto& place : places) {
        for (const auto& [content, count] : place) all[content] += count;
    }
    for (const auto& content : world.ledger.contents) {
        const auto found = all.find(content);
        const int count = found == all.end() ? 0 : found->second;
        if (count > 1) return "it is there " + std::to_string(count) + " times: " + text::quote(content);
        if (count == 0 && world.ledger.accepted.contains(content)) return "it is lost: " + text::quote(content);
        if (found != all.end()) all.erase(found);
    }
    if (!all.empty()) return "nobody has sent this: " + text::quote(all.begin()->first);
    return "";
}

std::string lie_in(const World& world, const std::string& what) {
    const auto litter = world.litter();
    return litter.empty() ? "" : what + " are left:" + litter;
}

/// The first thing that is wrong.
std::string first(std::initializer_list<std::string> findings) {
    for (const auto& one : findings) {
        if (!one.empty()) return one;
    }
    return "";
}

// A spool is made, and messages are accepted, and go to queues that are made for them.
class Accepting final : public Scenario {
  public:
    Accepting() : Scenario("accept") {}
    void prepare(World& world) const override {
        for (unsigned i = 0; i < 4; ++i) world.ledger.contents.push_back(message(i));
    }
    void run(World& world) const override {
        auto spool = world.open();
        std::vector<spool::Draft> two;
        for (unsigned i = 0; i < 2; ++i) {
            two.push_back(spool.draft(Queue::outgoing()));
            two.back().write(message(i).substr(0, 9));
            two.back().write(message(i).substr(9));
        }
        std::array<spool::Draft, 1> one{spool.draft(Queue::outgoing())};
        one[0].write(message(2));
        spool.accept(two);
        world.ledger.accepted = {message(0), message(1)};
        world.ledger.identity = spool.uuid();
        spool.accept(one);
        world.ledger.accepted.insert(message(2));
        std::array<spool::Draft, 1> received{spool.draft(Queue::incoming())};
        received[0].write(message(3));
        const auto name = received[0].name();
        spool.accept(received);
        world.ledger.accepted.insert(message(3));
        const Entry incoming{Queue::incoming(), State::fresh, name};
        const auto all = spool.list(Queue::outgoing(), State::fresh);
        spool.move(incoming, {Queue::connector("ExConn"), State::fresh, name});
        spool.move(all[0], {site, State::fresh, all[0].name});
        spool.park(all[1], {Queue::noroute(), State::fresh, all[1].name}, "no rule");
        spool.park(all[2], {Queue::failed(), State::fresh, all[2].name}, "unusable");
    }
    void recover(World& world) const override {
        auto spool = world.open();
        for (const auto& queue : {Queue::outgoing(), Queue::incoming()}) static_cast<void>(spool.work(queue));
    }
    std::string check(World& world) const override {
        const auto identity = world.open().uuid();
        const auto& told = world.ledger.identity;
        return first({counted(world, {world.in_spool()}), lie_in(world, "files"),
                      told.empty() || told == identity ? "" : "the spool is another one than before"});
    }
};

// From queue to queue, in batches and alone, aside and back: a move that has returned is not undone.
class Moving final : public Scenario {
  public:
    Moving() : Scenario("move") {}
    void prepare(World& world) const override {
        put_all(world, Queue::outgoing(), 3);
        world.ledger.version = "0";
    }
    void run(World& world) const override {
        auto spool = world.open();
        char step = '0';
        const auto done = [&] { world.ledger.version = ++step; };
        forward(spool, Queue::outgoing(), site);
        done();
        forward(spool, site, kernel);
        done();
        const auto entries = spool.list(kernel, State::fresh);
        const auto held = Entry{kernel, State::hold, entries[0].name};
        spool.park(entries[0], held, "asked for");
        done();
        const auto failed = Entry{Queue::failed(), State::fresh, entries[1].name};
        spool.park(entries[1], failed, "refused");
        done();
        spool.unpark(held, entries[0]);
        done();
        spool.unpark(failed, {Queue::outgoing(), State::fresh, entries[1].name});
        done();
        // Back to another: one batch that leaves a directory and also reaches it.
        const std::array<spool::Move, 2> moves{{
            {entries[2], {Queue::kernel("munich-2"), State::fresh, entries[2].name}},
            {entries[0], {kernel, State::fresh, entries[0].name.with('r', 1)}},
        }};
        spool.move(moves);
        done();
    }
    void recover(World& world) const override {
        auto spool = world.open();
        for (const auto& queue : spool.all_queues()) static_cast<void>(spool.work(queue));
    }
    std::string check(World& world) const override {
        return first({counted(world, {world.in_spool()}), undone(world)});
    }

  private:
    // Where each of them was after which step.
    using Way = std::vector<std::pair<char, std::string>>;
    static std::string undone(const World& world) {
        const std::string out = "outgoing/new";
        const std::string to_site = "site/munich/new";
        const std::string to_kernel = "kernel/munich-1/new";
        const std::array<Way, 3> ways{{
            {{'0', out},
             {'1', to_site},
             {'2', to_kernel},
             {'3', "kernel/munich-1/hold"},
             {'5', to_kernel},
             {'7', to_kernel + " r=1"}},
            {{'0', out}, {'1', to_site}, {'2', to_kernel}, {'4', "failed/new"}, {'6', out}},
            {{'0', out}, {'1', to_site}, {'2', to_kernel}, {'7', "kernel/munich-2/new"}},
        }};
        for (const auto& [path, content] : world.power.files()) {
            for (unsigned i = 0; i < ways.size(); ++i) {
                if (content != message(i)) continue;
                auto place = path.substr(spool_root.size() + 1, path.rfind('/') - spool_root.size() - 1);
                if (path.ends_with(",r=1")) place += " r=1";
                if (!may_be(ways[i], place, world.ledger.version[0]))
                    return text::quote(content) + " is in " + place + " after step " + world.ledger.version;
            }
        }
        return "";
    }
    static bool may_be(const Way& way, const std::string& place, char step) {
        for (std::size_t i = 0; i < way.size(); ++i) {
            const bool left = i + 1 < way.size() && way[i + 1].first <= step;
            if (!left && way[i].second == place) return true;
        }
        return false;
    }
};

/// A file that is replaced, as states are: old or new, whole, and what was said to be written is.
class Writing final : public Scenario {
  public:
    Writing() : Scenario("state") {}
    void prepare(World& world) const override { world.power.make_directory("/state"); }
    void run(World& world) const override {
        for (const auto* version : {"1 first\n", "2 second, longer\n", "3\n"}) {
            io::write_file(world.disk, "/state/file", version);
            world.ledger.version = version;
        }
    }
    void recover(World& world) const override {
        const auto there = io::read_file(world.disk, "/state/file");
        if (there && there->starts_with("9")) return;
        io::write_file(world.disk, "/state/file", "9 after " + there.value_or("nothing") + "\n");
    }
    std::string check(World& world) const override {
        // What recover() met first is what it wrote.
        const auto there = world.power.content("/state/file").value_or("");
        for (const auto* version : {"nothing", "1 first\n", "2 second, longer\n", "3\n"}) {
            if (there != "9 after " + std::string(version) + "\n") continue;
            const bool older = std::string(version) == "nothing" ? !world.ledger.version.empty()
                                                                 : version[0] < world.ledger.version[0];
            return older ? "older than what was written: " + text::quote(there) : "";
        }
        return "neither old nor new: " + text::quote(there);
    }
};

std::vector<split::Part> decide(const split::Message& message) {
    std::map<char, std::vector<std::size_t>> ways;
    for (const auto& recipient : message.block.recipients()) ways[recipient.address.front()].push_back(recipient.line);
    std::vector<split::Part> parts;
    for (const auto& [letter, lines] : ways) {
        const std::string to = letter == 'm' ? "munich" : "vienna";
        if (letter == 'h') {
            parts.push_back({message.entry.name.with('a', "hold"), Queue::outgoing(), lines, report::Result::parked,
                             "hold", "ask", State::hold});
        } else {
            parts.push_back({message.entry.name.with('s', to), Queue::site(to), lines, report::Result::routed, to});
        }
    }
    return parts;
}

void route(World& world, Spool& spool) {
    report::Reporter reporter("ums-route", {.quiet = true}, world.clock);
    const cli::Common common;
    split::run_stage(common, cli::Names::read(common, world.disk), spool, Queue::outgoing(), reporter, decide);
    reporter.finish();
}

std::string for_recipients(const std::vector<std::string>& recipients) {
    std::string content;
    for (const auto& one : recipients) content += "RCPT TO:" + one + "\r\n";
    return content + "Subject: two\r\n\r\nbody for " + recipients.front() + "\r\n";
}
const std::string for_both = "RCPT TO:m8\r\nRCPT TO:v8\r\nRCPT TO:h8\r\nSubject: 3\r\n\r\nbody for three\r\n";
std::string part_for(const std::string& recipient) {
    return "RCPT TO:" + recipient + "\r\nSubject: 3\r\n\r\nbody for three\r\n";
}

// A message for three, and one for two at one site: ums-route splits the one and moves the other.
class Splitting final : public Scenario {
  public:
    Splitting() : Scenario("split") {}
    void prepare(World& world) const override {
        auto spool = world.open();
        put(world, spool, Queue::outgoing(), for_both);
        put(world, spool, Queue::outgoing(), for_recipients({"m1", "m2"}));
        for (const auto* recipient : {"m8", "v8", "h8"}) world.ledger.contents.push_back(part_for(recipient));
        world.ledger.contents.push_back(for_recipients({"m1", "m2"}));
        world.ledger.accepted = {world.ledger.contents.begin(), world.ledger.contents.end()};
    }
    void run(World& world) const override {
        auto spool = world.open();
        route(world, spool);
    }
    void recover(World& world) const override { run(world); }
    std::string check(World& world) const override {
        return first({counted(world, {world.in_spool()}), lie_in(world, "files")});
    }
};

delivery::Destination destination() {
    delivery::Destination d;
    d.name = "munich-1";
    d.queue = kernel;
    d.stage = ".BER1";
    d.extension = ".tmp";
    d.directory = [](const EntryName&) -> std::optional<std::string> { return "R_ExConn/Out"; };
    d.edits = [](const EntryName&) { return false; };
    d.edit = [](const EntryName&, const message::HeaderBlock&) { return message::Edit{}; };
    return d;
}

/// What ums-push does in one run, in batches of two.
void push(World& world, Spool& spool, transport::Store& store, const delivery::Destination& to) {
    const auto worker = spool.work(to.queue);
    Courier courier(spool, *worker, store, to, world.clock);
    if (!courier.prepare().done()) return;
    courier.settle();
    if (courier.target_fault()) return;
    const auto due = spool.due(to.queue);
    for (std::size_t i = 0; i < due.size(); i += 2) {
        courier.deliver(std::span(due).subspan(i, std::min<std::size_t>(2, due.size() - i)));
        if (courier.target_fault()) break;
    }
    courier.finish();
    if (!courier.target_fault()) courier.clean();
}

std::string clean_stage(const World& world) {
    for (const auto& [path, content] : world.store.files) {
        if (path.starts_with(".BER1/") && path != ".BER1/owner") return "the stage directory still has " + path;
    }
    return "";
}

struct Kind {
    bool eats = false;       ///< the kernel takes files away at once: what has arrived is gone
    bool keep_sent = false;  ///< copies are kept in sent/
    bool in_place = false;
    bool at_once = false;  ///< what can be done beside other things is done first, not last
    FakeStore::Fault fault = FakeStore::Fault::none;
};

// Three messages to a kernel on another machine.
class Delivering final : public Scenario {
  public:
    Delivering(std::string name, Kind kind) : Scenario("deliver" + std::move(name)), kind_(kind) {}
    void prepare(World& world) const override {
        put_all(world, kernel, 3);
        world.store.kernel_eats = kind_.eats;
        world.power.works_at_once = kind_.at_once;
    }
    void run(World& world) const override {
        // The publish of the second one, in a run that meets no other trouble.
        if (kind_.fault != FakeStore::Fault::none) world.store.plan(kind_.fault, 13, 3);
        auto spool = world.open();
        push(world, spool, world.store, to());
    }
    void recover(World& world) const override {
        world.store.plan(FakeStore::Fault::none, 0);
        auto spool = world.open();
        push(world, spool, world.store, to());
        world.store.deliver_late();
    }
    std::string check(World& world) const override {
        const auto kept = world.in_directory(spool_root + "/sent/new");
        const bool all_kept = !kind_.keep_sent || kept.size() == world.ledger.contents.size();
        if (kind_.in_place) return in_place(world);
        return first({counted(world, {world.store.arrivals}), world.in_spool().empty() ? "" : "it stays in the spool",
                      all_kept ? "" : "a copy in sent/ is missing", clean_stage(world)});
    }

  private:
    delivery::Destination to() const {
        auto to = destination();
        to.keep_sent = kind_.keep_sent;
        to.in_place = kind_.in_place;
        return to;
    }
    // Where nobody can look, and no stage tells, a doubt is seen, and waits for the policy.
    static std::string in_place(const World& world) {
        const auto spool = world.in_spool();
        for (const auto& content : world.ledger.contents) {
            const bool waits = spool.contains(content);
            const auto found = world.store.arrivals.find(content);
            const int count = found == world.store.arrivals.end() ? 0 : found->second;
            if (count > 1) return "it arrived twice: " + text::quote(content);
            if (count == 0 && !waits) return "it is lost: " + text::quote(content);
        }
        return world.in_directory(spool_root + "/kernel/munich-1/new").empty() ? "" : "it will be sent again";
    }

    Kind kind_;
};

// What lies at a kernel that does not fetch it is taken back, and sent again.
class Recalling final : public Scenario {
  public:
    Recalling() : Scenario("recall") {}
    void prepare(World& world) const override {
        put_all(world, kernel, 2);
        auto spool = world.open();
        push(world, spool, world.store, to());
    }
    void run(World& world) const override {
        auto spool = world.open();
        {
            const auto worker = spool.work(kernel);
            Courier courier(spool, *worker, world.store, to(), world.clock);
            if (!courier.prepare().done()) return;
            courier.settle();
            courier.recall(courier.lying());
            if (!courier.target_fault()) courier.clean();
        }
        push(world, spool, world.store, to());
    }
    void recover(World& world) const override {
        auto spool = world.open();
        push(world, spool, world.store, to());
    }
    std::string check(World& world) const override {
        std::map<std::string, int> lying;
        for (const auto& [path, content] : world.store.files) {
            if (path.starts_with("R_ExConn/Out/")) ++lying[content];
        }
        const auto kept = world.in_directory(spool_root + "/sent/new");
        return first({counted(world, {lying}), world.in_spool().empty() ? "" : "it stays in the spool",
                      kept.size() == world.ledger.contents.size() ? "" : "a copy in sent/ is missing",
                      clean_stage(world)});
    }

  private:
    static delivery::Destination to() {
        auto to = destination();
        to.keep_sent = true;
        return to;
    }
};

intake::Source source() {
    intake::Source s;
    s.name = "ExConn/Out";
    s.key = "connector.ExConn.Out";
    s.directory = "Out";
    s.connector = "ExConn";
    return s;
}

/// What ums-fetch does in one run.
void fetch(World& world, Spool& spool, transport::Store& store, const intake::Source& from, double rate) {
    transport::Pace pace(world.clock, rate);
    intake::Intake intake(spool, store, from, std::chrono::milliseconds(0), world.clock, pace);
    std::vector<intake::Report> reports;
    if (!intake.recover(reports).done()) return;
    intake.collect(
        0, [] { return false; }, reports);
}

// A connector's messages are fetched from another machine.
class Fetching final : public Scenario {
  public:
    /// With a `rate` each message is a batch, and they overlap; from 8 messages on they are claimed in a basket.
    Fetching(std::string name, unsigned messages, double rate, FakeStore::DirectoryRemoval baskets, bool at_once)
        : Scenario("fetch" + std::move(name)), messages_(messages), rate_(rate), baskets_(baskets), at_once_(at_once) {}
    void prepare(World& world) const override {
        world.power.works_at_once = at_once_;
        world.store.directories_go = baskets_;
        world.store.hides_dotfiles = baskets_ == FakeStore::DirectoryRemoval::none;  // as nginx does
        world.store.directories.insert("Out");
        for (unsigned i = 0; i < messages_; ++i) {
            world.ledger.contents.push_back(message(i));
            world.ledger.accepted.insert(message(i));
            world.store.files["Out/job" + std::to_string(i) + ".tmp"] = message(i);
        }
        world.open();
    }
    void run(World& world) const override {
        auto spool = world.open();
        static_cast<void>(spool.work(Queue::outgoing()));  // as ums-route does: it sweeps what belongs to nobody
        fetch(world, spool, world.store, source(), rate_);
    }
    void recover(World& world) const override { run(world); }
    std::string check(World& world) const override {
        return first({counted(world, {world.in_spool()}), lie_in(world, "files"),
                      world.store.files.empty() ? "" : "at the source is " + world.store.files.begin()->first,
                      world.store.directories.size() == 2 ? "" : "at the source is a directory of ours"});
    }

  private:
    unsigned messages_;
    double rate_;
    FakeStore::DirectoryRemoval baskets_;
    bool at_once_;
};

// All of a message's life: fetched, routed, split, assigned, delivered.
class Passing final : public Scenario {
  public:
    Passing() : Scenario("pass") {}
    void prepare(World& world) const override {
        world.store.kernel_eats = true;
        world.store.directories.insert("Out");
        world.store.files["Out/a.tmp"] = message(0);
        world.store.files["Out/b.tmp"] = "RCPT TO:m8\r\nRCPT TO:v8\r\nSubject: 3\r\n\r\nbody for three\r\n";
        world.ledger.contents = {message(0), part_for("m8"), part_for("v8")};
        world.ledger.accepted = {world.ledger.contents.begin(), world.ledger.contents.end()};
    }
    void run(World& world) const override {
        auto spool = world.open();
        fetch(world, spool, world.store, source(), 0);
        route(world, spool);
        for (const auto& one : spool.queues(Queue::Kind::site)) forward(spool, one, kernel);
        push(world, spool, world.store, destination());
    }
    void recover(World& world) const override { run(world); }
    std::string check(World& world) const override {
        const bool left = std::any_of(world.store.files.begin(), world.store.files.end(),
                                      [](const auto& file) { return file.first.starts_with("Out/"); });
        return first({counted(world, {world.store.arrivals}), world.in_spool().empty() ? "" : "it stays in the spool",
                      lie_in(world, "files"), left ? "something is left at the source" : "", clean_stage(world)});
    }
};

// A kernel's directory on this machine: what was delivered can be lost with the same power.
class DeliveringHere final : public Scenario {
  public:
    DeliveringHere() : Scenario("deliver-here") {}
    void prepare(World& world) const override {
        world.power.make_directory("/k");
        put_all(world, kernel, 3);
    }
    void run(World& world) const override {
        auto spool = world.open();
        transport::FileStore store("/k", world.disk);
        push(world, spool, store, destination());
    }
    void recover(World& world) const override { run(world); }
    std::string check(World& world) const override {
        return first(
            {counted(world, {world.in_directory("/k/R_ExConn/Out")}),
             world.in_spool().empty() ? "" : "it stays in the spool",
             world.power.names("/k/.BER1") == std::vector<std::string>{"owner"} ? "" : "the stage is not clean"});
    }
};

// A connector's directory on this machine: a claim, and a removal, can be lost.
class FetchingHere final : public Scenario {
  public:
    explicit FetchingHere(std::string name, double rate) : Scenario("fetch-here" + std::move(name)), rate_(rate) {}
    void prepare(World& world) const override {
        for (const auto* directory : {"/c", "/c/Out"}) world.power.make_directory(directory);
        for (unsigned i = 0; i < 3; ++i) {
            world.ledger.contents.push_back(message(i));
            world.ledger.accepted.insert(message(i));
            const auto path = "/c/Out/job" + std::to_string(i) + ".tmp";
            const auto fd = world.power.create(path);
            world.power.write(fd, message(i), path);
        }
        world.open();
    }
    void run(World& world) const override {
        auto spool = world.open();
        static_cast<void>(spool.work(Queue::outgoing()));
        transport::FileStore store("/c", world.disk);
        auto from = source();
        from.local = "/c/Out";
        fetch(world, spool, store, from, rate_);
    }
    void recover(World& world) const override { run(world); }
    std::string check(World& world) const override {
        return first({counted(world, {world.in_spool()}), lie_in(world, "files"),
                      world.power.names("/c/Out").empty() ? "" : "something is left at the source"});
    }

  private:
    double rate_;
};

// Messages that leave as mails: a doubt about one is seen, and ends in a copy that is marked.
class Mailing final : public Scenario {
  public:
    Mailing() : Scenario("mail") {
        config_.mds.id = "BER1";
        config_.connectors.emplace_back();
        config_.connectors[0].name = "Mail";
        config_.connectors[0].deliver.emplace();
        config_.connectors[0].deliver->url.host = "mail.example.com";
    }
    void prepare(World& world) const override {
        auto spool = world.open();
        for (unsigned i = 0; i < 3; ++i) {
            const auto name = EntryName::make(world.clock.now(), "BER1").with('c', "Mail");
            std::array<spool::Draft, 1> draft{spool.draft(Queue::incoming(), name)};
            draft[0].write("MAIL FROM:+49891\r\nRCPT TO:fax#+4930" + std::to_string(i) +
                           "\r\nSubject: x\r\n\r\nbody\r\n");
            spool.accept(draft);
            spool.move({Queue::incoming(), State::fresh, name}, {Queue::connector("Mail"), State::fresh, name});
        }
    }
    void run(World& world) const override {
        auto spool = world.open();
        const auto worker = spool.work(Queue::connector("Mail"));
        delivery::Mailer mailer(spool, *worker, world.mail, config_, config_.connectors[0], world.clock);
        mailer.settle();
        mailer.deliver(spool.due(Queue::connector("Mail")));
    }
    void recover(World& world) const override { run(world); }
    std::string check(World& world) const override {
        std::map<std::string, std::pair<int, int>> copies;  // without the mark, and with it
        for (const auto& one : world.mail.delivered) {
            auto& [plain, marked] = copies[one.recipient];
            ++(one.marked() ? marked : plain);
        }
        if (copies.size() != 3) return "a mail is lost";
        for (const auto& [recipient, count] : copies) {
            if (count.first > 1) return recipient + " has it twice, without a mark";
        }
        return world.in_spool().empty() ? "" : "it stays in the spool";
    }

  private:
    config::Config config_;
};

}  // namespace

std::vector<std::unique_ptr<Scenario>> all_scenarios() {
    using Removal = FakeStore::DirectoryRemoval;
    using Fault = FakeStore::Fault;
    std::vector<std::unique_ptr<Scenario>> all;
    all.push_back(std::make_unique<Accepting>());
    all.push_back(std::make_unique<Moving>());
    all.push_back(std::make_unique<Writing>());
    all.push_back(std::make_unique<Splitting>());
    all.push_back(std::make_unique<Fetching>("", 3, 0.0, Removal::none, false));
    all.push_back(std::make_unique<Fetching>("-overlapping", 3, 1.0, Removal::none, true));
    all.push_back(std::make_unique<Fetching>("-basket", 8, 0.0, Removal::whole, false));
    all.push_back(std::make_unique<Fetching>("-small-basket", 9, 0.0, Removal::empty, true));
    all.push_back(std::make_unique<FetchingHere>("", 0.0));
    all.push_back(std::make_unique<FetchingHere>("-overlapping", 1.0));
    all.push_back(std::make_unique<Delivering>("", Kind{}));
    all.push_back(std::make_unique<Delivering>("-eaten", Kind{.eats = true, .at_once = true}));
    all.push_back(std::make_unique<Delivering>("-kept", Kind{.eats = true, .keep_sent = true}));
    all.push_back(std::make_unique<Delivering>("-in-place", Kind{.in_place = true}));
    all.push_back(std::make_unique<Delivering>("-in-place-eaten", Kind{.eats = true, .in_place = true}));
    all.push_back(std::make_unique<Delivering>("-doubt", Kind{.eats = true, .fault = Fault::lost_answer}));
    all.push_back(std::make_unique<Delivering>("-late", Kind{.eats = true, .at_once = true, .fault = Fault::late}));
    all.push_back(std::make_unique<DeliveringHere>());
    all.push_back(std::make_unique<Recalling>());
    all.push_back(std::make_unique<Mailing>());
    all.push_back(std::make_unique<Passing>());
    return all;
}

}  // namespace ums::test
