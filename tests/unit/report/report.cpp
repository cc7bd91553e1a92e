// SPDX-License-Identifier: GPL-3.0-or-later
#include "report/report.hpp"

#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "captured_output.hpp"
#include "error/error.hpp"

using namespace ums;
using report::Level;
using report::Line;
using report::Reporter;
using report::Result;
using report::Style;
using test::captured;

namespace {

const clock::Instant start_time{std::chrono::milliseconds(1'800'000'000'250)};

// What a reporter of this style prints when it is used so.
test::Output printed(const Style& style, const std::function<void(Reporter&)>& use, const std::string& out = "") {
    return captured(
        [&] {
            clock::ManualClock clock(start_time);
            Reporter reporter("ums-test", style, clock);
            use(reporter);
            return reporter.finish() ? 0 : 1;
        },
        out);
}

Style quiet() {
    Style style;
    style.quiet = true;
    return style;
}
Style nul() {
    Style style = quiet();
    style.names_end_in_nul = true;
    return style;
}
Style json() {
    Style style;
    style.json = true;
    return style;
}

const Line plain_line{"name1", Result::in_doubt, "no answer", {{"queue", "kernel/k1"}, {"why", ""}}};
const Line nasty_line{"a\tb\nc\x1b[2J", Result::failed, "d\\e\"f\r\x01\x7f\xff\xc3\xa4", {{"k\n", "v\n"}}};

}  // namespace

TEST_CASE("results have words, there and back", "[report]") {
    for (const char* word :
         {"fetched", "routed", "assigned", "delivered", "deferred", "in-doubt", "parked", "failed"}) {
        const auto result = report::parse_result(word);
        REQUIRE(result);
        REQUIRE(to_string(*result) == word);
    }
    for (const char* word : {"", "Fetched", "in_doubt", "failed "}) REQUIRE_FALSE(report::parse_result(word));
}

TEST_CASE("a line is name, result and detail", "[report]") {
    const auto output = printed({}, [](Reporter& r) {
        r.line(plain_line);
        r.line({"name2", Result::delivered, "", {}});
        r.line_of("name3", "held", "by hand");
    });
    REQUIRE(output.out == "name1\tin-doubt\tno answer\nname2\tdelivered\t\nname3\theld\tby hand\n");
    REQUIRE(output.err.empty());
    REQUIRE(output.code == 0);
}

TEST_CASE("quietly the names alone", "[report]") {
    const auto both = [](Reporter& r) {
        r.line(plain_line);
        r.line({"name2", Result::delivered, "", {}});
    };
    REQUIRE(printed(quiet(), both).out == "name1\nname2\n");
    REQUIRE(printed(nul(), both).out == std::string("name1\0name2\0", 12));
    Style loud;
    loud.names_end_in_nul = true;
    REQUIRE(printed(loud, both).out == "name1\tin-doubt\tno answer\nname2\tdelivered\t\n");
}

TEST_CASE("JSON has an object for each line, with all fields", "[report]") {
    const auto output = printed(json(), [](Reporter& r) { r.line(plain_line); });
    REQUIRE(
        output.out ==
        "{\"name\":\"name1\",\"result\":\"in-doubt\",\"detail\":\"no answer\",\"queue\":\"kernel/k1\",\"why\":\"\"}\n");
}

TEST_CASE("what comes from outside cannot break a line, or a terminal", "[report]") {
    const auto use = [](Reporter& r) { r.line(nasty_line); };
    // A detail is a sentence: what it quotes was escaped where it was quoted, so a backslash stays one.
    REQUIRE(printed({}, use).out == "a\\tb\\nc\\x1b[2J\tfailed\td\\e\"f\\r\\x01\\x7f\\xff\xc3\xa4\n");
    REQUIRE(printed(quiet(), use).out == "a\\tb\\nc\\x1b[2J\n");
    REQUIRE(printed(nul(), use).out == std::string("a\tb\nc\x1b[2J\0", 10));
    REQUIRE(printed(json(), use).out ==
            "{\"name\":\"a\\tb\\nc\\u001b[2J\",\"result\":\"failed\",\"detail\":"
            "\"d\\\\e\\\"f\\r\\u0001\\u007f\xef\xbf\xbd\xc3\xa4\",\"k\\n\":\"v\\n\"}\n");
}

TEST_CASE("other data are printed as they are", "[report]") {
    REQUIRE(printed(quiet(), [](Reporter& r) {
                r.data("a table\tof things");
                r.data("");
            }).out == "a table\tof things\n\n");
}

TEST_CASE("lines of another process are passed on, and counted", "[report]") {
    const auto output = printed({}, [](Reporter& r) {
        r.raw("one\ntwo\n");
        r.raw("three\n");
        r.raw("");
        if (r.lines_passed() != 3) r.error("wrong: " + std::to_string(r.lines_passed()));
    });
    REQUIRE(output.out == "one\ntwo\nthree\n");
    REQUIRE(output.err.empty());
    REQUIRE(printed(nul(), [](Reporter& r) {
                r.raw(std::string_view("a\0b\0", 4));
                if (r.lines_passed() != 2) r.error("wrong");
            }).err.empty());
}

TEST_CASE("talk goes to stderr, by its level", "[report]") {
    const auto talk = [](Reporter& r) {
        for (const Level level : {Level::error, Level::warning, Level::info, Level::debug}) r.say(level, "text");
    };
    Style style;
    REQUIRE(printed(style, talk).err == "ums-test: error: text\nums-test: warning: text\n");
    REQUIRE(printed(quiet(), talk).err == "ums-test: error: text\nums-test: warning: text\n");
    REQUIRE(printed(quiet(), [](Reporter& r) {
                r.notice("text");
                r.notice("text");
            }).err == "ums-test: text\nums-test: text\n");
    style.verbose = 1;
    REQUIRE(printed(style, talk).err == "ums-test: error: text\nums-test: warning: text\nums-test: text\n");
    style.verbose = 2;
    REQUIRE(printed(style, talk).err ==
            "ums-test: error: text\nums-test: warning: text\nums-test: text\nums-test: text\n");
    REQUIRE(printed(style, talk).out.empty());
    style.verbose = 0;
    style.color = true;
    REQUIRE(printed(style, talk).err ==
            "ums-test: \033[1;31merror\033[0m: text\nums-test: \033[1;33mwarning\033[0m: text\n");
}

TEST_CASE("control characters in talk are escaped, what is escaped already is not escaped again", "[report]") {
    const auto output =
        printed({}, [](Reporter& r) { r.error("the server says 'a\x1b[2J\r\nums-test: error: b' to 'c\\x01\\\\d'"); });
    REQUIRE(output.err == "ums-test: error: the server says 'a\\x1b[2J\\r\\nums-test: error: b' to 'c\\x01\\\\d'\n");
}

TEST_CASE("a warning is given once, an error each time", "[report]") {
    const auto output = printed({}, [](Reporter& r) {
        for (int i = 0; i < 3; ++i) {
            r.warning("w");
            r.error("e");
            r.warning("v");
        }
    });
    REQUIRE(output.err ==
            "ums-test: warning: w\nums-test: error: e\nums-test: warning: v\nums-test: error: e\nums-test: error: e\n");
}

TEST_CASE("lines come before the talk that follows them", "[report]") {
    const auto output = captured([] {
        ::dup2(STDERR_FILENO, STDOUT_FILENO);
        clock::ManualClock clock(start_time);
        Reporter reporter("t", {}, clock);
        reporter.line({"a", Result::failed, "", {}});
        reporter.error("e");
        reporter.line({"b", Result::failed, "", {}});
        return 0;
    });
    // The last without finish(): the destructor writes it.
    REQUIRE(output.err == "a\tfailed\t\nt: error: e\nb\tfailed\t\n");
}

TEST_CASE("an output that cannot be written is an error at the end, told once, and stops nothing", "[report]") {
    const auto output = printed(
        {},
        [](Reporter& r) {
            for (int i = 0; i < 5000; ++i) r.line(plain_line);
            r.error("still here");
        },
        "/dev/full");
    REQUIRE(output.code == 1);
    REQUIRE(output.err ==
            "ums-test: error: still here\nums-test: error: cannot write to standard output: No space left on device\n");
    REQUIRE(printed(
                {}, [](Reporter&) {}, "/dev/full")
                .code == 0);
}

TEST_CASE("a reader that went away is an error at the end", "[report]") {
    const auto output = captured([] {
        ::signal(SIGPIPE, SIG_IGN);
        int ends[2];
        if (::pipe(ends) != 0) return 2;
        ::close(ends[0]);
        ::dup2(ends[1], STDOUT_FILENO);
        clock::ManualClock clock(start_time);
        Reporter reporter("t", {}, clock);
        reporter.line(plain_line);
        reporter.flush();
        reporter.line(plain_line);
        return reporter.finish() ? 0 : 1;
    });
    REQUIRE(output.code == 1);
    REQUIRE(output.err == "t: error: cannot write to standard output: Broken pipe\n");
}

TEST_CASE("lines of several processes on one output never mix", "[report]") {
    const auto output = captured([] {
        int ends[2];
        if (::pipe(ends) != 0) return 2;
        for (char c = 'a'; c < 'd'; ++c) {
            if (::fork() != 0) continue;
            ::dup2(ends[1], STDOUT_FILENO);
            clock::SystemClock clock;
            Reporter reporter("t", {}, clock);
            for (int i = 0; i < 500; ++i) reporter.line({std::string(150, c), Result::failed, std::string(150, c), {}});
            ::_exit(reporter.finish() ? 0 : 1);
        }
        ::close(ends[1]);
        std::string all;
        char buffer[1000];
        for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
            all.append(buffer, static_cast<std::size_t>(n));
        std::size_t lines = 0;
        for (std::size_t at = 0; at < all.size(); ++lines) {
            const auto end = all.find('\n', at);
            const auto line = all.substr(at, end - at);
            const char c = line[0];
            if (line != std::string(150, c) + "\tfailed\t" + std::string(150, c)) return 3;
            at = end + 1;
        }
        return lines == 1500 ? 0 : 4;
    });
    REQUIRE(output.code == 0);
}

TEST_CASE("progress is drawn at most ten times a second, and cleared before talk", "[report]") {
    Style style;
    style.progress = true;
    const auto output = captured([&] {
        clock::ManualClock clock(start_time);
        Reporter reporter("t", style, clock);
        for (std::size_t i = 0; i < 10; ++i) {
            reporter.progress(i, 10);
            clock.sleep(std::chrono::milliseconds(20));
        }
        reporter.progress(10, 10);
        reporter.error("e");
        return 0;
    });
    REQUIRE(std::count(output.err.begin(), output.err.end(), '[') == 3 + 4);  // 3 bars, 4 sequences
    REQUIRE_THAT(output.err, Catch::Contains("] 10/10\033[K\r\033[Kt: error: e\n"));
    REQUIRE(printed({}, [](Reporter& r) { r.progress(1, 2); }).err.empty());
}

TEST_CASE("the same warning comes again after a quarter of an hour", "[report]") {
    const auto output = captured([&] {
        clock::ManualClock clock(start_time);
        Reporter reporter("ums-test", {}, clock);
        for (int minutes = 0; minutes < 31; minutes += 5) {
            reporter.warning("w");
            reporter.error("e");
            clock.sleep(std::chrono::minutes(5));
        }
        return 0;
    });
    const auto count = [&](std::string_view line) {
        std::size_t found = 0;
        for (auto at = output.err.find(line); at != std::string::npos; at = output.err.find(line, at + 1)) ++found;
        return found;
    };
    REQUIRE(count("warning: w\n") == 3);
    REQUIRE(count("error: e\n") == 7);
}

TEST_CASE("the log is a JSON object a line, with everything that was said", "[report][log]") {
    test::TemporaryDirectory directory;
    const auto file = directory.path() + "/log";
    const auto output = captured([&] {
        clock::ManualClock clock(start_time);
        Reporter reporter("ums-test", {}, clock, report::open_log(file, clock));
        reporter.error("e\"\n\x1b");
        reporter.debug("d");
        reporter.warning("w");
        reporter.warning("w");
        reporter.line(plain_line);
        return 0;
    });
    auto log = test::content_of(file);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < log.size();) {
        const auto end = log.find('\n', at);
        auto line = log.substr(at, end - at);
        const auto pid = line.find("\"pid\":");
        REQUIRE(pid != std::string::npos);
        line.erase(pid, line.find(',', pid) + 1 - pid);
        lines.push_back(line);
        at = end + 1;
    }
    const std::string start = "{\"time\":\"2027-01-15T08:00:00.250Z\",\"level\":\"";
    REQUIRE(lines == std::vector<std::string>{start + "error\",\"tool\":\"ums-test\",\"text\":\"e\\\"\\n\\u001b\"}",
                                              start + "debug\",\"tool\":\"ums-test\",\"text\":\"d\"}",
                                              start + "warning\",\"tool\":\"ums-test\",\"text\":\"w\"}"});
    REQUIRE(output.err == "ums-test: error: e\"\\n\\x1b\nums-test: warning: w\n");
}

TEST_CASE("a log that cannot be opened is an error, one that cannot be written stops nothing", "[report][log]") {
    clock::ManualClock clock(start_time);
    test::TemporaryDirectory directory;
    REQUIRE_THROWS_AS(report::open_log(directory.path() + "/none/log", clock), Error);
    REQUIRE_NOTHROW(report::open_log("/dev/full", clock)->write(Level::error, "t", "x"));
    const auto file = directory.path() + "/log";
    report::open_log(file, clock)->write(Level::info, "t", "one");
    report::open_log(file, clock)->write(Level::info, "t", "two");
    const auto log = test::content_of(file);
    REQUIRE(std::count(log.begin(), log.end(), '\n') == 2);
}
