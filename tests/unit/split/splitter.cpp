// SPDX-License-Identifier: GPL-3.0-or-later
#include "split/splitter.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>

#include "captured_output.hpp"
#include "faulty_disk.hpp"
#include "text/text.hpp"

using namespace ums;
using cli::Common;
using report::Result;
using split::Part;
using spool::Entry;
using spool::EntryName;
using spool::Queue;
using spool::Spool;
using spool::State;
using test::FaultyDisk;

namespace {

const clock::Instant start_time{std::chrono::seconds(1'800'000'000)};

// Recipients go to the site that their first letter names; `0` is nobody's, `-` is rejected with a report, `=` is held,
// `!` makes the message unusable, `?` fails. A message with a field `For` has its recipient there.
std::vector<Part> decide(const split::Message& message) {
    const auto& [entry, block, file, body_offset] = message;
    std::map<char, std::vector<std::size_t>> ways;
    for (const auto& recipient : block.recipients()) ways[recipient.address.front()].push_back(recipient.line);
    if (const auto mail = block.values("For"); ways.empty() && !mail.empty()) {
        const std::string site = mail[0].substr(0, 1);
        Part part{entry.name.with('s', site), Queue::site(site)};
        part.envelope = {"RCPT TO:" + mail[0]};
        return {part};
    }
    if (ways.empty()) throw Error(Fault::unusable, "no recipient");
    if (ways.contains('!')) throw Error(Fault::unusable, "not to be used");
    std::vector<Part> parts;
    for (const auto& [letter, lines] : ways) {
        if (letter == '0') {
            parts.push_back({entry.name, Queue::noroute(), lines, Result::parked, "noroute", "no rule for it"});
        } else if (letter == '-') {
            parts.push_back({entry.name.with('a', "failed"), Queue::failed(), lines, Result::parked, "failed", "no"});
            Part report{entry.name.with('a', "report"), Queue::connector("ExConn")};
            report.content = [](const EntryName& name) { return "RCPT TO:report\n\n" + std::string(name.id()) + "\n"; };
            parts.push_back(std::move(report));
        } else if (letter == '=') {
            parts.push_back({entry.name.with('a', "hold"), Queue::outgoing(), lines, Result::parked, "hold", "ask"});
            parts.back().state = State::hold;
        } else {
            const std::string site(1, letter);
            parts.push_back({entry.name.with('s', site), Queue::site(site), lines, Result::routed, site, "rule 1"});
        }
    }
    if (ways.contains('?')) parts.clear();
    return parts;
}

class BadFileDisk final : public io::ForwardingDisk {
  public:
    explicit BadFileDisk(io::Disk& real) : ForwardingDisk(real) {}
    std::string bad;
    Fault fault = Fault::cannot_read;
    std::optional<io::Fd> open(const std::string& path) override {
        if (!bad.empty() && path.ends_with(bad)) throw Error(fault, "cannot open '" + path + "': injected");
        return ForwardingDisk::open(path);
    }
};

struct World {
    test::TemporaryDirectory directory;
    io::QuickDisk real;
    clock::ManualClock clock{start_time};
    std::string root = directory.path() + "/spool";

    Spool open(io::Disk& disk) { return {disk, clock, root, "BER1"}; }
    EntryName put(const std::string& content, const std::string& attributes = ",c=ExConn",
                  const Queue& queue = Queue::outgoing()) {
        auto spool = open(real);
        clock.sleep(std::chrono::seconds(1));
        const auto name = EntryName::parse(EntryName::make(clock.now(), "BER1").text() + attributes).value();
        std::vector<spool::Draft> draft;
        draft.push_back(spool.draft(queue, name));
        draft[0].write(content);
        spool.accept(draft);
        return name;
    }
    test::Output run(io::Disk& disk, const Common& common = {}, const Queue& queue = Queue::outgoing()) {
        return test::captured([&] {
            auto spool = open(disk);
            report::Reporter reporter("ums-test", {}, clock);
            io::QuickDisk names_disk;
            const int code = cli::guarded(reporter, [&] {
                return split::run_stage(common, cli::Names::read(common, names_disk), spool, queue, reporter, decide);
            });
            reporter.finish();
            return code;
        });
    }
    test::Output run(const Common& common = {}) { return run(real, common); }

    std::set<std::string> names(const std::string& relative) const { return test::names_in(root + "/" + relative); }
    std::string content(const std::string& relative) const { return test::content_of(root + "/" + relative); }
    std::map<std::string, std::string> everything() const {
        std::map<std::string, std::string> all;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
            if (entry.is_regular_file())
                all[entry.path().string().substr(root.size() + 1)] = test::content_of(entry.path());
        }
        return all;
    }
};

}  // namespace

TEST_CASE("a message that goes one way is moved as it is", "[split]") {
    World world;
    const std::string content = "rcpt to: a1\nSubject: x\n\nbody\n\xff";
    const auto name = world.put(content);
    const auto output = world.run();
    REQUIRE(output.code == 0);
    REQUIRE(output.err.empty());
    const auto routed = name.with('s', "a");
    REQUIRE(output.out == routed.text() + "\trouted\ta\n");
    REQUIRE(world.names("outgoing/new").empty());
    REQUIRE(world.content("site/a/new/" + routed.text()) == content);
    auto spool = world.open(world.real);
    const auto lines = spool.journal_of(name.id());
    REQUIRE(lines.size() == 1);
    REQUIRE(lines[0][3] == "routed");
    REQUIRE(lines[0][4] == "a: rule 1");
    REQUIRE(world.run().out.empty());
}

TEST_CASE("a message that goes several ways becomes one for each, all else byte for byte", "[split]") {
    World world;
    const std::string body(300'000, 'x');
    const auto name = world.put(
        "MAIL FROM:<me>\r\nRCPT TO:a1\r\nrcpt to : b1\r\nRCPT TO:<a2>\r\nSubject: f\xfc\r\n  olded\r\nRCPT "
        "TO:01\r\n\r\n\r\nRCPT TO:z\r\n" +
        body);
    const auto output = world.run();
    const auto part = [&](unsigned k, const std::string& site) {
        return site.empty() ? name.child(k).text() : name.child(k).with('s', site).text();
    };
    const std::string rest = "\r\n\r\nRCPT TO:z\r\n" + body;
    REQUIRE((world.content("noroute/new/" + part(1, "")) ==
             "MAIL FROM:<me>\r\nSubject: f\xfc\r\n  olded\r\nRCPT TO:01\r\n" + rest));
    REQUIRE((world.content("site/a/new/" + part(2, "a")) ==
             "MAIL FROM:<me>\r\nRCPT TO:a1\r\nRCPT TO:<a2>\r\nSubject: f\xfc\r\n  olded\r\n" + rest));
    REQUIRE((world.content("site/b/new/" + part(3, "b")) ==
             "MAIL FROM:<me>\r\nrcpt to : b1\r\nSubject: f\xfc\r\n  olded\r\n" + rest));
    REQUIRE(world.content("noroute/new/" + part(1, "") + ".why") == "no rule for it\n");
    REQUIRE(output.code == 1);
    REQUIRE(output.out ==
            part(1, "") + "\tparked\tnoroute\n" + part(2, "a") + "\trouted\ta\n" + part(3, "b") + "\trouted\tb\n");
    for (const char* state : {"tmp", "new", "sending", "publishing"})
        REQUIRE(world.names(std::string("outgoing/") + state).empty());
    auto spool = world.open(world.real);
    REQUIRE(spool.journal_of(name.id()).size() == 3);
}

TEST_CASE("a report is a part of its own, with its own content and name", "[split]") {
    World world;
    const auto name = world.put("RCPT TO:-1\nRCPT TO:a1\nRCPT TO:-2\n\nbody\n");
    const auto output = world.run();
    REQUIRE(output.code == 1);
    const auto failed = name.child(1).with('a', "failed");
    const auto report = name.child(2).with('a', "report");
    REQUIRE(world.content("failed/new/" + failed.text()) == "RCPT TO:-1\nRCPT TO:-2\n\nbody\n");
    REQUIRE(world.content("failed/new/" + failed.text() + ".why") == "no\n");
    REQUIRE(world.content("connector/ExConn/new/" + report.text()) ==
            "RCPT TO:report\n\n" + std::string(report.id()) + "\n");
    REQUIRE(world.names("site/a/new").size() == 1);
    REQUIRE(world.names("outgoing/new").empty());
}

TEST_CASE("what is held stays in its queue, with the reason, as it is or as a part", "[split]") {
    World world;
    const auto whole = world.put("RCPT TO:=1\n\nbody\n").with('a', "hold");
    const auto part = world.put("RCPT TO:a1\nRCPT TO:=2\n\nbody\n").child(1).with('a', "hold");
    REQUIRE(world.run().code == 1);
    REQUIRE(world.content("outgoing/hold/" + whole.text()) == "RCPT TO:=1\n\nbody\n");
    REQUIRE(world.content("outgoing/hold/" + whole.text() + ".why") == "ask\n");
    REQUIRE(world.content("outgoing/hold/" + part.text()) == "RCPT TO:=2\n\nbody\n");
    REQUIRE(world.names("site/a/new").size() == 1);
    REQUIRE(world.run().out.empty());
}

TEST_CASE("a message that lacks its envelope gets it, also if it goes one way", "[split]") {
    World world;
    const auto name = world.put("For: a1\r\nSubject: x\r\n\r\nbody\r\n");
    REQUIRE(world.run().code == 0);
    REQUIRE(world.content("site/a/new/" + name.child(1).with('s', "a").text()) ==
            "RCPT TO:a1\r\nFor: a1\r\nSubject: x\r\n\r\nbody\r\n");
    REQUIRE(world.names("outgoing/new").empty());
}

TEST_CASE("what cannot be used is parked with the reason, the others go on", "[split]") {
    World world;
    const auto empty = world.put("");
    const auto none = world.put("Subject: x\n\nbody\n", ",c=ExConn,t=1800000001");
    const auto refused = world.put("RCPT TO:!\n\n");
    const auto good = world.put("RCPT TO:a\n\n");
    const auto output = world.run();
    REQUIRE(output.code == 1);
    REQUIRE(world.names("site/a/new") == std::set<std::string>{good.with('s', "a").text()});
    REQUIRE(world.names("outgoing/new").empty());
    REQUIRE(world.names("failed/new").size() == 6);
    REQUIRE_FALSE(world.content("failed/new/" + empty.text() + ".why").empty());
    REQUIRE(world.content("failed/new/" + none.without('t').text() + ".why") == "no recipient\n");
    REQUIRE(world.content("failed/new/" + refused.text() + ".why") == "not to be used\n");
    REQUIRE_THAT(output.out, Catch::Contains(refused.text() + "\tparked\tfailed: not to be used\n"));
}

TEST_CASE("what no rule knows is parked", "[split]") {
    World world;
    const auto name = world.put("RCPT TO:0\n\n");
    REQUIRE(world.run().code == 1);
    REQUIRE(world.content("noroute/new/" + name.text()) == "RCPT TO:0\n\n");
    REQUIRE(world.content("noroute/new/" + name.text() + ".why") == "no rule for it\n");
}

TEST_CASE("a message that cannot be read waits, and stops no other", "[split]") {
    for (const auto& [fault, code] :
         std::vector<std::pair<Fault, int>>{{Fault::cannot_read, 74}, {Fault::permission, 77}}) {
        World world;
        const auto first = world.put("RCPT TO:a\n\n");
        const auto bad = world.put("RCPT TO:a\n\n");
        const auto last = world.put("RCPT TO:a\nRCPT TO:b\n\n");
        BadFileDisk disk(world.real);
        disk.bad = bad.text();
        disk.fault = fault;
        const auto output = world.run(disk);
        REQUIRE(output.code == code);
        REQUIRE_THAT(output.err, Catch::Contains(bad.text()) && Catch::Contains("the message waits"));
        REQUIRE(world.names("outgoing/new") == std::set<std::string>{bad.text()});
        REQUIRE(world.names("site/a/new").size() == 2);
        REQUIRE(world.names("site/b/new").size() == 1);
    }
}

TEST_CASE("a message whose body cannot be read waits, and stops no other", "[split]") {
    class BadBodyDisk final : public io::ForwardingDisk {
      public:
        explicit BadBodyDisk(io::Disk& real) : ForwardingDisk(real) {}
        void copy(const io::Fd&, std::uint64_t, Bytes, const io::Fd&, const std::string& path) override {
            throw Error(Fault::cannot_read, "cannot copy '" + path + "': injected");
        }
    };
    World world;
    world.put("RCPT TO:a\nRCPT TO:b\n\nbody\n");
    world.put("RCPT TO:a\n\n");
    BadBodyDisk disk(world.real);
    const auto output = world.run(disk);
    REQUIRE(output.code == 74);
    REQUIRE_THAT(output.err, Catch::Contains("the message waits"));
    REQUIRE(world.names("site/a/new").size() == 1);
    REQUIRE(world.names("outgoing/tmp").empty());
    REQUIRE(world.names("outgoing/publishing").empty());
    REQUIRE(world.run().code == 0);
    REQUIRE(world.names("site/a/new").size() == 2);
    REQUIRE(world.names("site/b/new").size() == 1);
}

TEST_CASE("a decision without any part loses nothing", "[split]") {
    World world;
    const auto name = world.put("RCPT TO:?\n\n");
    const auto good = world.put("RCPT TO:a\n\n");
    const auto output = world.run();
    REQUIRE(output.code == 70);
    REQUIRE(world.names("outgoing/new").contains(name.text()));
}

TEST_CASE("a full disk holds up what must be split, not what is only moved", "[split]") {
    class FullDisk final : public io::ForwardingDisk {
      public:
        explicit FullDisk(io::Disk& real) : ForwardingDisk(real) {}
        std::uint64_t room = 100;  // for content
        void write(const io::Fd& fd, std::string_view data, const std::string& path) override {
            if (path.find("/outgoing/tmp/") != std::string::npos) take(data.size());
            ForwardingDisk::write(fd, data, path);
        }
        void copy(const io::Fd& from, std::uint64_t offset, Bytes length, const io::Fd& to,
                  const std::string& path) override {
            take(length.count);
            ForwardingDisk::copy(from, offset, length, to, path);
        }

      private:
        void take(std::uint64_t size) {
            if (size > room) throw Error(Fault::cannot_write, "injected: no space left on device");
            room -= size;
        }
    };
    World world;
    const auto several = world.put("RCPT TO:a\nRCPT TO:b\n\n" + std::string(60, 'x'));
    const auto single = world.put("RCPT TO:a\n\n");
    FullDisk disk(world.real);
    const auto output = world.run(disk);
    REQUIRE(output.code == 73);
    REQUIRE_THAT(output.err, Catch::Contains("no space left on device; the message waits"));
    REQUIRE(world.names("outgoing/new") == std::set<std::string>{several.text()});
    for (const char* state : {"tmp", "sending", "publishing"}) {
        REQUIRE(world.names(std::string("outgoing/") + state).empty());
    }
    REQUIRE(world.names("site/a/new") == std::set<std::string>{single.with('s', "a").text()});
    REQUIRE(world.run().code == 0);
    REQUIRE(world.names("site/b/new").size() == 1);
}

TEST_CASE("the parts of what was accepted may use the reserve", "[split]") {
    class NearlyFullDisk final : public io::ForwardingDisk {
      public:
        explicit NearlyFullDisk(io::Disk& real) : ForwardingDisk(real) {}
        io::Space space(const std::string&) override { return {Bytes{100ULL << 30}, Bytes{1000}}; }
    };
    World world;
    world.put("RCPT TO:a\nRCPT TO:b\n\n");
    NearlyFullDisk disk(world.real);
    REQUIRE(world.run(disk).code == 0);
    REQUIRE(world.names("site/a/new").size() == 1);
    REQUIRE(world.names("site/b/new").size() == 1);
}

TEST_CASE("--names says which, --limit how many, in order of arrival", "[split]") {
    World world;
    std::vector<EntryName> all;
    for (int i = 0; i < 6; ++i) all.push_back(world.put("RCPT TO:a\n\n"));
    Common common;
    common.limit = 2;
    REQUIRE(world.run(common).out ==
            all[0].with('s', "a").text() + "\trouted\ta\n" + all[1].with('s', "a").text() + "\trouted\ta\n");
    common.limit = 0;
    common.names = world.directory.path() + "/names";
    test::write_to(common.names, all[3].text() + "\n" + all[0].text() + "\n" + std::string(all[5].id()) + "\tx\n");
    REQUIRE(world.run(common).code == 0);
    REQUIRE(world.names("outgoing/new") == std::set<std::string>{all[2].text(), all[4].text()});
    test::write_to(common.names, "");
    REQUIRE(world.run(common).out.empty());
    REQUIRE(world.names("outgoing/new").size() == 2);
}

TEST_CASE("a dry run says the same and changes nothing", "[split]") {
    World world;
    world.put("RCPT TO:a\n\n");
    world.put("RCPT TO:a\nRCPT TO:b\nRCPT TO:0\n\n");
    world.put("RCPT TO:!\n\n");
    world.put("RCPT TO:0\n\n");
    const auto before = world.everything();
    Common common;
    common.dry_run = true;
    const auto dry = world.run(common);
    REQUIRE(world.everything() == before);
    REQUIRE(dry.code == 1);
    const auto wet = world.run();
    REQUIRE(wet.code == 1);
    std::multiset<std::string> dry_lines;
    std::multiset<std::string> wet_lines;
    for (const auto line : text::split(dry.out, '\n')) dry_lines.emplace(line);
    for (const auto line : text::split(wet.out, '\n')) wet_lines.emplace(line);
    REQUIRE(dry_lines == wet_lines);
}

TEST_CASE("a queue that another run works is left to it", "[split]") {
    World world;
    world.put("RCPT TO:a\n\n");
    auto spool = world.open(world.real);
    const auto worker = spool.work(Queue::outgoing());
    const auto output = world.run();
    REQUIRE(output.code == 0);
    REQUIRE(output.out.empty());
    REQUIRE(world.names("outgoing/new").size() == 1);
}

TEST_CASE("more messages than a batch holds", "[split]") {
    World world;
    for (int i = 0; i < 4200; ++i) world.put(i % 100 == 7 ? "RCPT TO:0\n\n" : "RCPT TO:a\n\n");
    REQUIRE(world.run().code == 1);
    REQUIRE(world.names("outgoing/new").empty());
    REQUIRE(world.names("site/a/new").size() == 4158);
    REQUIRE(world.names("noroute/new").size() == 84);
}

TEST_CASE("a crash or failure at every change of the stage: every recipient is sent to exactly once",
          "[split][fault]") {
    // In a process of its own: once with the fault, twice without. Whether the fault came.
    const auto run = [](World& world, const FaultyDisk::Fault fault, std::size_t at) {
        return test::captured([&] {
                   FaultyDisk disk(world.real);
                   disk.plan(fault, at);
                   for (io::Disk* one : std::array<io::Disk*, 3>{&disk, &world.real, &world.real}) {
                       try {
                           auto spool = world.open(*one);
                           report::Reporter reporter("ums-test", {}, world.clock);
                           split::run_stage({}, {}, spool, Queue::outgoing(), reporter, decide);
                       } catch (const test::Crash&) {
                       } catch (const Error&) {
                       }
                   }
                   return disk.fired() ? 50 : 0;
               }).code == 50;
    };
    for (const auto fault :
         {FaultyDisk::Fault::crash_before, FaultyDisk::Fault::crash_after, FaultyDisk::Fault::fail}) {
        bool fired = true;
        for (std::size_t at = 1; fired; ++at) {
            INFO("fault " << static_cast<int>(fault) << " at change " << at);
            World world;
            world.put("RCPT TO:a1\n\n");
            world.put("RCPT TO:a2\nRCPT TO:b1\nRCPT TO:01\n\nbody\n");
            world.put("RCPT TO:02\n\n");
            world.put("RCPT TO:c1\nRCPT TO:c2\n\n");
            world.put("RCPT TO:-1\nRCPT TO:a3\n\n");
            world.put("RCPT TO:-2\n\n");
            world.put("RCPT TO:=1\nRCPT TO:a4\n\n");
            world.put("RCPT TO:=2\n\n");
            world.put("For: a5\n\n");
            fired = run(world, fault, at);
            REQUIRE((fired || at > 80));
            std::map<std::string, int> sent;
            auto spool = world.open(world.real);
            for (const auto& queue : spool.all_queues()) {
                for (const State state : {State::tmp, State::fresh, State::sending, State::publishing, State::hold}) {
                    for (const auto& entry : spool.list(queue, state)) {
                        REQUIRE((queue.kind != Queue::Kind::outgoing || state == State::hold));
                        const auto content = test::content_of(spool.path(entry));
                        for (const auto line : text::split(content, '\n')) {
                            if (line.starts_with("RCPT TO:"))
                                ++sent[to_string(queue) + " " + std::string(line.substr(8))];
                        }
                    }
                }
            }
            REQUIRE(sent == std::map<std::string, int>{{"site/a a1", 1},
                                                       {"site/a a2", 1},
                                                       {"site/b b1", 1},
                                                       {"noroute 01", 1},
                                                       {"noroute 02", 1},
                                                       {"site/c c1", 1},
                                                       {"site/c c2", 1},
                                                       {"failed -1", 1},
                                                       {"failed -2", 1},
                                                       {"connector/ExConn report", 2},
                                                       {"site/a a3", 1},
                                                       {"outgoing =1", 1},
                                                       {"site/a a4", 1},
                                                       {"outgoing =2", 1},
                                                       {"site/a a5", 1}});
        }
    }
}
