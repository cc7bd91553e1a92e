// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/cli.hpp"

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>

#include "captured_output.hpp"
#include "forwarding_disk.hpp"

using namespace ums;
using cli::Common;
using cli::ExitCode;
using cli::Job;
using cli::Names;
using report::Reporter;
using report::Result;
using spool::EntryName;

namespace {

constexpr const char* one = "1795406406123456.k2j4x7ab.BER1";
constexpr const char* two = "1795406406123457.k2j4x7ab.BER1";

std::vector<std::string> read(const std::string& content, bool nul = false) {
    test::TemporaryDirectory directory;
    io::QuickDisk disk;
    test::write_to(directory.path() + "/names", content);
    return cli::read_names(directory.path() + "/names", nul, disk);
}

Job job(const std::string& name, const std::function<int(Reporter&, std::size_t)>& work, Reporter& reporter) {
    return {name, [work, &reporter](std::size_t limit) { return work(reporter, limit); }};
}

// Runs the jobs that `make` gives in a process whose output is looked at; prints the exit codes at the end.
test::Output run(const Common& common, const std::function<std::vector<Job>(Reporter&)>& make,
                 std::size_t parallel = 16, report::Style style = {}) {
    return test::captured([&] {
        clock::SystemClock clock;
        Reporter reporter("ums-test", style, clock);
        std::string codes = "codes";
        for (const int code : cli::run_jobs(common, reporter, make(reporter), parallel))
            codes += " " + std::to_string(code);
        reporter.data(codes);
        return reporter.finish() ? 0 : 1;
    });
}

int print(Reporter& reporter, const std::string& name, int lines) {
    for (int i = 0; i < lines; ++i) reporter.line({name, Result::delivered, "line " + std::to_string(i), {}});
    return 0;
}

std::size_t lines_of(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

// Exit codes.

TEST_CASE("of several exit codes the most urgent counts, in whatever order they come", "[cli]") {
    const std::vector<int> order{0, 1, 75, 69, 77, 74, 73, 78, 70};
    for (std::size_t i = 0; i < order.size(); ++i) {
        for (std::size_t j = 0; j < order.size(); ++j) {
            ExitCode code;
            code.note(order[i]);
            code.note(order[j]);
            REQUIRE(code.value() == order[std::max(i, j)]);
        }
    }
    ExitCode code;
    REQUIRE(code.value() == 0);
    code.attention();
    REQUIRE(code.value() == 1);
    code.note(0);
    REQUIRE(code.value() == 1);
}

TEST_CASE("what is thrown becomes a line and an exit code", "[cli]") {
    const auto result = [](const std::function<int()>& work) {
        return test::captured([&] {
            clock::SystemClock clock;
            Reporter reporter("t", {}, clock);
            return cli::guarded(reporter, work);
        });
    };
    REQUIRE(result([] { return 7; }).code == 7);
    const auto error = result([]() -> int { throw Error(Fault::cannot_write, "cannot do it"); });
    REQUIRE(error.code == 73);
    REQUIRE(error.err == "t: error: cannot do it\n");
    REQUIRE(result([]() -> int { throw Error(Fault::configuration, "x"); }).code == 78);
    REQUIRE(result([]() -> int { throw std::bad_alloc(); }).code == 75);
    REQUIRE(result([]() -> int { throw std::runtime_error("x"); }).code == 70);
}

// Names.

TEST_CASE("names come a line each, whatever stands after a TAB", "[cli]") {
    REQUIRE(read("").empty());
    REQUIRE(read("\n\n").empty());
    REQUIRE(read("a\nb") == std::vector<std::string>{"a", "b"});
    REQUIRE(read("a\r\n\r\nb\r\n") == std::vector<std::string>{"a", "b"});
    REQUIRE(read("a\tfetched\tfrom x\n\tno name\nb\tc") == std::vector<std::string>{"a", "b"});
    REQUIRE(read(" a \n") == std::vector<std::string>{"a"});
    REQUIRE(read(std::string("a\0b\n", 4)) == std::vector<std::string>{std::string("a\0b", 3)});
}

TEST_CASE("names that end with NUL are taken as they are", "[cli]") {
    REQUIRE(read(std::string("a\0b\0", 4), true) == std::vector<std::string>{"a", "b"});
    REQUIRE(read(std::string("a\nb\0\0c", 6), true) == std::vector<std::string>{"a\nb", "c"});
}

TEST_CASE("names come from standard input too", "[cli]") {
    test::TemporaryDirectory directory;
    std::string many;
    for (int i = 0; i < 20'000; ++i) many += std::string(one) + "~" + std::to_string(i + 1) + ",c=a\tfetched\n";
    test::write_to(directory.path() + "/in", many);
    const auto output = test::captured(
        [&] {
            io::QuickDisk disk;
            const auto names = cli::read_names("-", false, disk);
            return names.size() == 20'000 && names.back() == std::string(one) + "~20000,c=a" ? 0 : 1;
        },
        "", directory.path() + "/in");
    REQUIRE(output.code == 0);
}

TEST_CASE("a list of names that is not there is an error", "[cli]") {
    io::QuickDisk disk;
    try {
        cli::read_names("/nonexistent/names", false, disk);
        FAIL("no error");
    } catch (const Error& error) {
        REQUIRE(error.fault() == Fault::cannot_read);
    }
}

TEST_CASE("entries are wanted by their id, with or without attributes", "[cli]") {
    test::TemporaryDirectory directory;
    io::QuickDisk disk;
    Common common;
    const auto all = Names::read(common, disk);
    REQUIRE(all.all());
    REQUIRE(all.wants(EntryName::parse(one).value()));

    common.names = directory.path() + "/names";
    test::write_to(common.names, std::string(one) + ",c=ExConn,n=3\tdelivered\t\n" + two + "~1\n");
    const auto some = Names::read(common, disk);
    REQUIRE_FALSE(some.all());
    REQUIRE(some.ids().size() == 2);
    REQUIRE(some.wants(EntryName::parse(one).value()));
    REQUIRE(some.wants(EntryName::parse(std::string(one) + ",s=munich").value()));
    REQUIRE_FALSE(some.wants(EntryName::parse(std::string(one) + "~1").value()));
    REQUIRE_FALSE(some.wants(EntryName::parse(two).value()));
    REQUIRE(some.wants(EntryName::parse(std::string(two) + "~1,n=2").value()));

    test::write_to(common.names, "");
    const auto none = Names::read(common, disk);
    REQUIRE_FALSE(none.all());
    REQUIRE_FALSE(none.wants(EntryName::parse(one).value()));
}

// Jobs.

TEST_CASE("the lines of all jobs are passed on whole, and their exit codes kept apart", "[cli][jobs]") {
    const auto output = run({}, [](Reporter& r) {
        std::vector<Job> jobs;
        for (int k = 0; k < 5; ++k) {
            jobs.push_back(job(
                "j",
                [k](Reporter& reporter, std::size_t) {
                    for (int i = 0; i < 300; ++i) {
                        reporter.line({std::string(300, static_cast<char>('a' + k)), Result::delivered, "", {}});
                        if (i % 7 == 0) reporter.flush();
                    }
                    return k * 10;
                },
                r));
        }
        return jobs;
    });
    REQUIRE(output.code == 0);
    REQUIRE(output.err.empty());
    REQUIRE(output.out.ends_with("codes 0 10 20 30 40\n"));
    REQUIRE(lines_of(output.out) == 5 * 300 + 1);
    std::size_t at = 0;
    for (int i = 0; i < 1500; ++i) {
        const auto end = output.out.find('\n', at);
        REQUIRE(output.out.substr(at, end - at) == std::string(300, output.out[at]) + "\tdelivered\t");
        at = end + 1;
    }
}

TEST_CASE("a job that crashes is told, counts as work left, and stops no other", "[cli][jobs]") {
    const auto output = run(
        {},
        [](Reporter& r) {
            return std::vector<Job>{
                job(
                    "first", [](Reporter& reporter, std::size_t) { return print(reporter, "a", 3); }, r),
                job(
                    "bad 'n\n",
                    [](Reporter& reporter, std::size_t) {
                        print(reporter, "b", 2);
                        reporter.flush();
                        ::kill(::getpid(), SIGKILL);
                        return 0;
                    },
                    r),
                job(
                    "throws", [](Reporter&, std::size_t) -> int { throw Error(Fault::unreachable, "not there"); }, r),
                job(
                    "last", [](Reporter& reporter, std::size_t) { return print(reporter, "c", 3); }, r)};
        },
        1);
    REQUIRE(output.out.ends_with("codes 0 75 69 0\n"));
    REQUIRE(lines_of(output.out) == 3 + 2 + 3 + 1);
    REQUIRE_THAT(output.err, Catch::Contains("ums-test: error: the worker of 'bad 'n\\n' was ended by signal 9"));
    REQUIRE_THAT(output.err, Catch::Contains("ums-test: error: not there"));
}

TEST_CASE("a job that dies within a line spoils no other line", "[cli][jobs]") {
    const auto output = run(
        {},
        [](Reporter& r) {
            return std::vector<Job>{
                job(
                    "bad",
                    [](Reporter&, std::size_t) {
                        static_cast<void>(!::write(STDOUT_FILENO, "whole\nhalf", 10));
                        ::kill(::getpid(), SIGKILL);
                        return 0;
                    },
                    r),
                job(
                    "good", [](Reporter& reporter, std::size_t) { return print(reporter, "c", 1); }, r)};
        },
        1);
    REQUIRE(output.out == "whole\nhalf\nc\tdelivered\tline 0\ncodes 75 0\n");
}

TEST_CASE("a line that comes in pieces is passed on as one", "[cli][jobs]") {
    const auto output = run({}, [](Reporter& r) {
        return std::vector<Job>{job(
                                    "slow",
                                    [](Reporter&, std::size_t) {
                                        for (const char c : std::string("abc\n")) {
                                            static_cast<void>(!::write(STDOUT_FILENO, &c, 1));
                                            ::usleep(3000);
                                        }
                                        return 0;
                                    },
                                    r),
                                job(
                                    "quick",
                                    [](Reporter& reporter, std::size_t) {
                                        for (int i = 0; i < 5; ++i) {
                                            print(reporter, "x", 1);
                                            reporter.flush();
                                            ::usleep(2000);
                                        }
                                        return 0;
                                    },
                                    r)};
    });
    REQUIRE(lines_of(output.out) == 7);
    REQUIRE_THAT(output.out, Catch::StartsWith("abc\n") || Catch::Contains("\nabc\n"));
}

TEST_CASE("with --limit each job gets what the ones before it left", "[cli][jobs]") {
    for (const bool nul : {false, true}) {
        Common common;
        common.limit = 5;
        report::Style style;
        style.names_end_in_nul = nul;  // without -q: lines end as ever
        const auto output = run(
            common,
            [](Reporter& r) {
                std::vector<Job> jobs;
                for (int k = 0; k < 4; ++k) {
                    jobs.push_back(job(
                        "j",
                        [k](Reporter& reporter, std::size_t limit) {
                            return print(reporter, "job" + std::to_string(k) + "-limit" + std::to_string(limit),
                                         static_cast<int>(std::min<std::size_t>(limit, 2)));
                        },
                        r));
                }
                return jobs;
            },
            16, style);
        REQUIRE(output.out ==
                "job0-limit5\tdelivered\tline 0\njob0-limit5\tdelivered\tline 1\n"
                "job1-limit3\tdelivered\tline 0\njob1-limit3\tdelivered\tline 1\n"
                "job2-limit1\tdelivered\tline 0\ncodes 0 0 0 0\n");
    }
}

TEST_CASE("with --limit names that end with NUL are counted too", "[cli][jobs]") {
    Common common;
    common.limit = 3;
    report::Style style;
    style.quiet = true;
    style.names_end_in_nul = true;
    const auto output = run(
        common,
        [](Reporter& r) {
            std::vector<Job> jobs;
            for (int k = 0; k < 3; ++k) {
                jobs.push_back(job(
                    "j",
                    [](Reporter& reporter, std::size_t limit) {
                        return print(reporter, "n", static_cast<int>(std::min<std::size_t>(limit, 2)));
                    },
                    r));
            }
            return jobs;
        },
        16, style);
    REQUIRE(std::count(output.out.begin(), output.out.end(), '\0') == 3);
}

TEST_CASE("without --limit a job has none, and no jobs are no work", "[cli][jobs]") {
    const auto output = run({}, [](Reporter& r) {
        return std::vector<Job>{job(
            "j", [](Reporter&, std::size_t limit) { return static_cast<int>(limit); }, r)};
    });
    REQUIRE(output.out == "codes 0\n");
    REQUIRE(run({}, [](Reporter&) { return std::vector<Job>(); }).out == "codes\n");
}

TEST_CASE("no more jobs run at a time than were asked for", "[cli][jobs]") {
    test::TemporaryDirectory directory;
    const auto output = run(
        {},
        [&](Reporter& r) {
            std::vector<Job> jobs;
            for (int k = 0; k < 6; ++k) {
                jobs.push_back(job(
                    "j",
                    [&](Reporter&, std::size_t) {
                        const auto own = directory.path() + "/" + std::to_string(::getpid());
                        test::write_to(own, "");
                        const auto running = static_cast<int>(test::names_in(directory.path()).size());
                        ::usleep(10'000);
                        ::unlink(own.c_str());
                        return running > 2 ? 99 : 0;
                    },
                    r));
            }
            return jobs;
        },
        2);
    REQUIRE(output.out == "codes 0 0 0 0 0 0\n");
}

TEST_CASE("the jobs end when the program that started them is killed", "[cli][jobs]") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t parent = ::fork();
    REQUIRE(parent >= 0);
    if (parent == 0) {
        clock::SystemClock clock;
        Reporter reporter("t", {}, clock);
        std::vector<Job> jobs;
        for (int k = 0; k < 3; ++k) {
            jobs.push_back({"sleeper", [&](std::size_t) {
                                static_cast<void>(!::write(ends[1], "x", 1));
                                for (;;) ::pause();
                                return 0;
                            }});
        }
        cli::run_jobs({}, reporter, jobs);
        ::_exit(0);
    }
    ::close(ends[1]);
    char x = 0;
    for (int k = 0; k < 3; ++k) REQUIRE(::read(ends[0], &x, 1) == 1);
    ::kill(parent, SIGKILL);
    ::waitpid(parent, nullptr, 0);
    // The end of the pipe comes when the last of them has closed it.
    REQUIRE(::read(ends[0], &x, 1) == 0);
    ::close(ends[0]);
}

// Waiting.

TEST_CASE("a watch wakes up when a name appears in a directory, also in one that was made later", "[cli][watch]") {
    test::TemporaryDirectory directory;
    const auto later = directory.path() + "/later";
    const auto long_time = std::chrono::seconds(30);
    cli::Watch watch({directory.path(), later});
    ::mkdir(later.c_str(), 0700);
    watch.wait(std::chrono::milliseconds(1));
    const auto before = std::chrono::steady_clock::now();
    test::write_to(directory.path() + "/a", "x");
    watch.wait(long_time);
    test::write_to(later + "/b", "x");
    watch.wait(long_time);
    ::rename((directory.path() + "/a").c_str(), (later + "/c").c_str());
    watch.wait(long_time);
    REQUIRE(std::chrono::steady_clock::now() - before < long_time);
    watch.wait(std::chrono::milliseconds(1));
}

TEST_CASE("without --watch there is one pass, and what it throws is thrown", "[cli][watch]") {
    clock::ManualClock clock{clock::Instant{}};
    Reporter reporter("t", {}, clock);
    int passes = 0;
    REQUIRE(cli::run_passes({}, reporter, {}, [&] { return ++passes, 75; }) == 75);
    REQUIRE(passes == 1);
    REQUIRE_THROWS_AS(cli::run_passes({}, reporter, {}, []() -> int { throw Error(Fault::cannot_read, "x"); }), Error);
}

TEST_CASE("with --watch a pass that fails is told, and the next one tries again", "[cli][watch]") {
    const auto output = test::captured([] {
        clock::SystemClock clock;
        Reporter reporter("t", {}, clock);
        Common common;
        common.watch = std::chrono::milliseconds(1);
        int passes = 0;
        return cli::run_passes(common, reporter, {}, [&]() -> int {
            if (++passes < 3) throw Error(Fault::cannot_write, "disk " + std::to_string(passes));
            if (passes == 3) return 78;
            std::exit(passes);
        });
    });
    REQUIRE(output.code == 4);
    REQUIRE(output.err == "t: error: disk 1\nt: error: disk 2\n");
}
