// SPDX-License-Identifier: GPL-3.0-or-later
//
// power: loses the power of a spool some million times, and checks what is left.
//
//     power [--histories N] [--seed N] [--jobs N] [--most N] [--mutants | --orders] [SCENARIO...]
//
// Ends with 0 if no promise was broken; with --mutants (--orders: of the order of steps alone), if each of them was found out. Then
// N is how many histories each gets in each scenario.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "explorer.hpp"

namespace {

using namespace ums::test;

constexpr std::array models{PowerDisk::Model::journal, PowerDisk::Model::directories, PowerDisk::Model::names,
                            PowerDisk::Model::twice};
constexpr std::array model_names{"journal", "directories", "names", "twice"};

struct Options {
    std::uint64_t histories = 100'000;
    std::uint64_t seed = 1;
    std::size_t jobs = std::max(1U, std::thread::hardware_concurrency());
    std::uint64_t most = 1;
    bool mutants = false;
    bool syncs = false;  ///< mutants that leave out syncs
    std::vector<std::string> scenarios;
};

[[noreturn]] void usage() {
    std::fputs("usage: power [--histories N] [--seed N] [--jobs N] [--most N] [--mutants | --orders] [SCENARIO...]\n",
               stderr);
    std::exit(64);
}

Options options_of(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const auto number = [&] {
            if (i + 1 >= argc) usage();
            return std::strtoull(argv[++i], nullptr, 10);
        };
        if (word == "--histories") {
            options.histories = number();
        } else if (word == "--seed") {
            options.seed = number();
        } else if (word == "--jobs") {
            options.jobs = number();
        } else if (word == "--most") {
            options.most = number();
        } else if (word == "--mutants" || word == "--orders") {
            options.mutants = true;
            options.syncs = word == "--mutants";
        } else if (word.starts_with("-")) {
            usage();
        } else {
            options.scenarios.push_back(word);
        }
    }
    return options;
}

/// What the code under test prints goes nowhere; what we say goes to where standard error was.
int silence() {
    const int out = dup(STDERR_FILENO);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    return out;
}

void say(int out, const std::string& text) {
    if (write(out, text.data(), text.size()) < 0) std::exit(74);
}

std::string padded(std::string text, std::size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

/// Runs `work(job)` in a process for each job, and adds up what they return.
template <typename Work>
Figures in_processes(std::size_t jobs, Work work) {
    std::vector<int> pipes;
    for (std::size_t job = 0; job < jobs; ++job) {
        std::array<int, 2> ends{};
        if (pipe(ends.data()) != 0) std::exit(71);
        const auto child = fork();
        if (child < 0) std::exit(71);
        if (child == 0) {
            close(ends[0]);
            const Figures figures = work(job);
            const auto written = write(ends[1], &figures, sizeof figures);
            _exit(written == sizeof figures ? 0 : 1);
        }
        close(ends[1]);
        pipes.push_back(ends[0]);
    }
    Figures sum;
    for (const int end : pipes) {
        Figures one;
        if (read(end, &one, sizeof one) != sizeof one) one.violations = 1;  // it died
        close(end);
        sum.histories += one.histories;
        sum.kills += one.kills;
        sum.twice += one.twice;
        sum.thrice += one.thrice;
        sum.cuts = std::max(sum.cuts, one.cuts);
        sum.violations += one.violations;
        sum.mutations += one.mutations;
    }
    while (wait(nullptr) > 0) {
    }
    return sum;
}

bool is_wanted(const Options& options, const std::string& name) {
    const auto& all = options.scenarios;
    return all.empty() || std::find(all.begin(), all.end(), name) != all.end();
}

int sweep(const Options& options, int out) {
    auto scenarios = all_scenarios();
    std::erase_if(scenarios, [&](const auto& one) { return !is_wanted(options, one->name()); });
    if (scenarios.empty()) usage();
    const auto began = std::chrono::steady_clock::now();
    Figures sum;
    std::uint64_t left = options.histories;
    std::uint64_t runs = scenarios.size() * models.size();
    for (const auto& scenario : scenarios) {
        for (std::size_t m = 0; m < models.size(); ++m) {
            // What the ones before did not find is looked for here.
            const auto share = left / runs--;
            const auto figures = in_processes(options.jobs, [&](std::size_t job) {
                Explorer explorer(*scenario, models[m], options.seed, job, options.jobs,
                                  [&](const std::string& what) { say(out, "VIOLATION " + what); });
                return explorer.explore(share / options.jobs + 1, options.most);
            });
            left -= std::min(left, figures.histories);
            sum.histories += figures.histories;
            sum.kills += figures.kills;
            sum.violations += figures.violations;
            say(out, "  " + padded(scenario->name(), 22) + padded(model_names[m], 12) + std::to_string(figures.cuts) +
                         " cuts, " + std::to_string(figures.histories) + " histories (" +
                         std::to_string(figures.twice) + " with two cuts, " + std::to_string(figures.thrice) +
                         " with three), " + std::to_string(figures.kills) + " kills" +
                         (figures.violations > 0 ? ", VIOLATED" : "") + "\n");
        }
    }
    const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    say(out, "  " + std::to_string(sum.histories) + " power losses, each of which lost something, and " +
                 std::to_string(sum.kills) + " that lost nothing; " + std::to_string(sum.violations) +
                 " violations; seed " + std::to_string(options.seed) + ", " + std::to_string(static_cast<int>(took)) +
                 " s, " + std::to_string(static_cast<int>(static_cast<double>(sum.histories) / took)) + " a second\n");
    return sum.violations == 0 && sum.histories >= options.histories ? 0 : 1;
}

using Kind = MutantDisk::Kind;
using Mutation = MutantDisk::Mutation;

struct Mutant {
    std::string name;
    Mutation mutation;
    std::vector<std::string> scenarios;  ///< where it is looked for; empty: in all
};

// Steps in another order, and renames that are none. Leaving out syncs is found by itself.
const std::vector<Mutant> orders{
    {"a message is moved to new/ before its content is synced",
     {Kind::late_content_sync, "content outgoing/tmp", ""},
     {"accept"}},
    {"the original of a split is removed before its parts are in publishing/",
     {Kind::late_rename, "outgoing/publishing", "outgoing/sending"},
     {"split"}},
    {"a fetched message is noted after it was moved to new/",
     {Kind::late_note, "state/fetch/connector.ExConn.Out", "outgoing/new"},
     {"fetch"}},
    {"a message goes to publishing/ after it was published",
     {Kind::rename_over_store, "kernel/munich-1/publishing", ""},
     {"deliver-eaten"}},
    {"a mail goes to publishing/ after its dot was sent",
     {Kind::rename_over_store, "connector/Mail/publishing", ""},
     {"mail"}},
    {"a claim is deleted before its message is in new/", {Kind::rename_over_store, "outgoing/new", ""}, {"fetch"}},
    {"a move is a copy and a removal", {Kind::copy_for_rename, "", ""}, {"move"}},
    {"a message with two names is not looked for", {Kind::no_second_look, "", ""}, {"move", "split", "deliver"}},
    {"a state file is written in place", {Kind::no_rename, "", ""}, {"state"}},
};

// Syncs without which nothing is lost and nothing doubled, and why they are there all the same.
struct Spare {
    const char* site;
    const char* why;
};
constexpr auto again = "the next run makes the move once more; that none is undone is seen at other queues";
const std::vector<Spare> spares{
    {"content state/deleted", "only where a server keeps what it says it deleted: tests/unit/intake"},
    {"directory state/deleted", "only where a server keeps what it says it deleted: tests/unit/intake"},
    {"content state/fetch/connector.ExConn.Out",
     "for file systems without a journal, that keep a name and lose its file"},
    {"directory connector/ExConn/new", again},
    {"directory connector/Mail/new", again},
    {"directory noroute/new", again},
    {"directory outgoing/hold", again},
    {"directory site/vienna/new", again},
};

/// How many histories it took to find the mutant out; nothing if it survived.
struct Hunt {
    bool found = false;
    std::string by;
    std::uint64_t histories = 0;
    std::uint64_t fired = 0;
};

Hunt hunt(const Options& options, const Mutation& mutation, const std::vector<const Scenario*>& scenarios) {
    Hunt result;
    for (const auto* scenario : scenarios) {
        for (const auto model : {PowerDisk::Model::names, PowerDisk::Model::journal, PowerDisk::Model::twice}) {
            const auto figures = in_processes(options.jobs, [&](std::size_t job) {
                Explorer explorer(*scenario, model, options.seed, job, options.jobs, [](const std::string&) {});
                explorer.world().disk.mutation = mutation;
                return explorer.explore(options.histories / options.jobs);
            });
            result.histories += figures.histories;
            result.fired += figures.mutations;
            if (figures.violations == 0) continue;
            result.found = true;
            result.by = scenario->name();
            return result;
        }
    }
    return result;
}

int mutants(const Options& options, int out) {
    auto scenarios = all_scenarios();
    std::erase_if(scenarios, [&](const auto& one) { return !is_wanted(options, one->name()); });
    // Which syncs there are, and who asks for them.
    std::map<std::string, std::vector<const Scenario*>> sites;
    for (const auto& scenario : scenarios) {
        if (!options.syncs) break;
        Explorer explorer(*scenario, PowerDisk::Model::names, options.seed, 0, 1, [](const std::string&) {});
        explorer.explore(1'000);
        for (const auto& site : explorer.world().disk.sites) sites[site].push_back(scenario.get());
    }
    std::size_t found = 0;
    std::size_t survived = 0;
    const auto tell = [&](const std::string& name, const Hunt& result, const std::string& spare) {
        const bool fine = spare.empty() ? result.found : !result.found;
        if (spare.empty()) ++(result.found ? found : survived);
        if (!spare.empty() && !fine) ++survived;
        say(out, std::string(fine ? "  " : "SURVIVOR ") + padded(name, 60) +
                     (result.found       ? " found out by " + result.by + " within " + std::to_string(result.histories)
                      : result.fired > 0 ? " not found out in " + std::to_string(result.histories)
                                         : " never did anything in " + std::to_string(result.histories)) +
                     " histories" + (spare.empty() ? "" : "; " + spare) + "\n");
    };
    for (const auto& [site, users] : sites) {
        const auto spare =
            std::find_if(spares.begin(), spares.end(), [&](const Spare& one) { return site == one.site; });
        auto effort = options;
        if (spare != spares.end()) effort.histories /= 20;
        tell("without sync: " + site, hunt(effort, {Kind::no_sync, site, ""}, users),
             spare == spares.end() ? "" : spare->why);
    }
    for (const auto& mutant : orders) {
        std::vector<const Scenario*> users;
        for (const auto& scenario : scenarios) {
            const auto& names = mutant.scenarios;
            if (std::find(names.begin(), names.end(), scenario->name()) != names.end()) users.push_back(scenario.get());
        }
        if (users.empty()) continue;
        for (const auto* scenario : users) {
            Explorer explorer(*scenario, PowerDisk::Model::names, options.seed, 0, 1, [](const std::string&) {});
            explorer.world().disk.mutation = mutant.mutation;
            if (const auto wrong = explorer.undisturbed(); !wrong.empty()) {
                ++survived;
                say(out, "BROKEN " + mutant.name + ": without any loss of power " + wrong + "\n");
            }
        }
        tell(mutant.name, hunt(options, mutant.mutation, users), "");
    }
    say(out, "  " + std::to_string(found) + " mutants found out, " + std::to_string(survived) + " not\n");
    return survived == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const auto options = options_of(argc, argv);
    const int out = silence();
    return options.mutants ? mutants(options, out) : sweep(options, out);
}
