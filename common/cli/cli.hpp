// SPDX-License-Identifier: GPL-3.0-or-later
//
// cli: what all tools have in common: options, configuration, exit codes, signals, watching, workers.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "clock/clock.hpp"
#include "config/config.hpp"
#include "io/disk.hpp"
#include "report/report.hpp"
#include "spool/spool.hpp"

namespace CLI {
class App;
}

namespace ums::cli {

/// The options of ums(7) that every tool takes.
struct Common {
    std::string config;    ///< -c, else $UMS_CONFIG, else /etc/ums/mds.yaml
    std::string spool;     ///< --spool; empty: as configured
    bool dry_run = false;  ///< -n
    bool check_config = false;
    std::string log;  ///< --log: `journal` or a file
    std::string color = "auto";
    unsigned verbose = 0;
    bool quiet = false;
    bool json = false;
    bool nul = false;  ///< -0, of names that are read and of those that -q prints
    // Only of tools that work a stage:
    std::string names;  ///< --names: `-` or a file
    std::optional<std::chrono::milliseconds> watch;
    std::size_t limit = 0;  ///< 0: none

    report::Reporter* reporter = nullptr;  ///< set by run_tool(): where load_config() says what is wrong
};

/// What kind of tool it is decides which options it has.
enum class Kind { stage, plain };

struct Tool {
    std::string name;
    std::string summary;   ///< one line for --help
    std::string epilogue;  ///< examples for --help
    Kind kind = Kind::stage;
};

/// The main function of a tool: parses the command line (`setup` adds the tool's own options and subcommands), answers
/// --help, --version and --check-config, then calls `run` and turns what it throws into a line on stderr and an exit code.
/// Nothing is opened before the command line is whole. SIGPIPE and SIGIO are ignored; SIGTERM and SIGINT set stopping().
int run_tool(const Tool& tool, int argc, char** argv, const std::function<void(CLI::App&)>& setup,
             const std::function<int(const Common&, report::Reporter&)>& run);

/// Loads the configuration; prints what is wrong with it. Throws Error{configuration} if that is an error. Warnings are
/// printed by --check-config and -v only (the log has them always): a cron job would send them every minute. With
/// --watch the file is looked at again from time to time: see look_at_config().
config::Config load_config(const Common& common);

/// The configured spool, or the one of --spool.
std::string spool_root(const Common& common, const config::Config& config);
/// The same, for those who open it themselves. What root writes there its owner could not read, and every run of his would
/// fail: root becomes the user whose directory the spool is, for good. Throws Error{permission} if it cannot.
std::string spool_root_as_owner(const Common& common, const config::Config& config);
/// Opens it, as its owner; the configured one is created if it is not there. Throws Error{cannot_read} for another that is not there.
spool::Spool open_spool(const Common& common, const config::Config& config, io::Disk& disk, const clock::Clock& clock);

/// The entries to work on, by id; everything if --names was not given.
class Names {
  public:
    /// Reads names or ids, a line each (or each ended by NUL); what stands after a TAB is not read, so that the output
    /// of another tool may come in with its results. Throws Error{cannot_read}.
    static Names read(const Common& common, io::Disk& disk);
    bool wants(const spool::EntryName& name) const;
    bool all() const noexcept { return !ids_; }
    const std::set<std::string, std::less<>>& ids() const { return *ids_; }

  private:
    std::optional<std::set<std::string, std::less<>>> ids_;
};
/// Lines (or NUL-ended names) of standard input or a file, as for --names.
std::vector<std::string> read_names(const std::string& from, bool nul, io::Disk& disk);

/// Names from the command line, and those of standard input where it says `-`.
std::vector<std::string> names_of(const Common& common, const std::vector<std::string>& given, io::Disk& disk);
/// The ids among them: up to their first comma.
std::vector<std::string> ids_of(const Common& common, const std::vector<std::string>& given, io::Disk& disk);

/// The exit code of a run that did several things: the one that an administrator must hear of first. 70, 78, 73, 74, 77,
/// 69, 75, 1, 0, in this order.
class ExitCode {
  public:
    void note(int code) noexcept;
    void attention() noexcept { note(exit_attention); }
    int value() const noexcept { return value_; }

  private:
    int value_ = 0;
};

/// True once SIGTERM or SIGINT has come, or the configuration was corrected: finish what is under way and return.
bool stopping() noexcept;

/// Sleeps for `time`; false at once when stopping().
bool wait(std::chrono::milliseconds time);

/// Whether the configuration file has changed since it was loaded with --watch; what is no regular file has not. If so, and it has no errors, stopping()
/// is true from now on, and run_tool() starts the program again, with the new one. With errors they are printed once, and
/// the one before stays in force.
void look_at_config(report::Reporter& reporter);

/// Sleeps until something may have changed: a name appeared in one of the local directories (inotify), the time is over,
/// or a signal came. Directories that are not there, or cannot be watched, are looked after by the clock alone.
class Watch {
  public:
    explicit Watch(std::vector<std::string> directories);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    void wait(std::chrono::milliseconds at_most);

  private:
    void add_missing();
    std::vector<std::string> directories_;
    std::vector<bool> watched_;
    int fd_ = -1;
};

/// What only a person can mend, perhaps elsewhere than in the configuration (a secret, an owner file), is tried again
/// after so many times the interval of --watch.
constexpr int pauses_for_a_person = 10;

/// The exit code of a run with --watch that was told to end, and whose last pass would have ended with `code`: 0, unless
/// the spool itself could not be written or read, or the error is ours. What is wrong with a target was printed.
int ended_by_signal(int code) noexcept;

/// Calls `pass` once; with --watch again and again until stopping(). Without a change it comes at the latest after
/// the time given with --watch. Returns the last pass's exit code; with --watch as ended_by_signal() has it. An Error of a pass ends a run without --watch; with it,
/// it is printed, and the next pass tries again.
/// `longest` may shorten the wait between two passes, for who has something to do at a certain time.
using Wait = std::function<std::chrono::milliseconds()>;
int run_passes(const Common& common, report::Reporter& reporter, const std::vector<std::string>& directories,
               const std::function<int()>& pass, const Wait& longest = {});

/// A process of its own for each target: one that hangs, or crashes, stops no other.
struct Job {
    std::string name;
    std::function<int(std::size_t limit)> work;  ///< runs in the child; its exit code
};
/// Runs all jobs, `parallel` at a time, passing on their data lines; with --watch each for ever, started again after a
/// crash. With --limit one after the other, each with what the ones before it left. A child ends when its parent does.
/// Returns each job's exit code, 75 for one that died.
std::vector<int> run_jobs(const Common& common, report::Reporter& reporter, const std::vector<Job>& jobs,
                          std::size_t parallel = 16);

/// Calls `work`, prints what it throws, and returns the exit code: the last resort of a process.
int guarded(report::Reporter& reporter, const std::function<int()>& work);

}  // namespace ums::cli
