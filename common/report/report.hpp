// SPDX-License-Identifier: GPL-3.0-or-later
//
// report: what a tool says. stdout is data, one line per message handled; stderr is talk.
//
//     name TAB result TAB detail         the names alone with -q, an object per line with --json
//     ums-push: error: cannot reach 'munich-1': connection refused; 12 messages wait
//
// Whatever comes from messages or servers is escaped. Lines are written whole, so that several processes may share an
// output. An output that cannot be written (closed pipe, full disk) does not stop the work: it is an error at the end.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clock/clock.hpp"

namespace ums::report {

enum class Result { fetched, routed, assigned, delivered, deferred, in_doubt, parked, failed };
/// `fetched`, ..., `in-doubt`, ...
std::string_view to_string(Result result) noexcept;
std::optional<Result> parse_result(std::string_view text) noexcept;

/// A line of data. Fields beside name, result and detail appear in JSON only.
struct Line {
    std::string name;
    Result result = Result::failed;
    std::string detail;
    std::vector<std::pair<std::string, std::string>> fields;
};

enum class Level {
    error,
    warning,
    notice,  ///< what went well, and somebody waits for: always said, and needs nobody
    info,
    debug,
};

std::string_view to_string(Level level) noexcept;

/// Where talk also goes: the journal of systemd, or a file of JSON lines.
class Log {
  public:
    Log() = default;
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;
    virtual ~Log() = default;
    virtual void write(Level level, std::string_view tool, std::string_view text) = 0;
};
/// `journal`, or the path of a file to append to. Throws Error{cannot_write}.
std::unique_ptr<Log> open_log(const std::string& where, const clock::Clock& clock);

struct Style {
    bool quiet = false;
    bool json = false;
    bool names_end_in_nul = false;  ///< with quiet: NUL in place of the line end
    bool color = false;             ///< on stderr
    bool progress = false;          ///< a bar on stderr
    unsigned verbose = 0;           ///< 1: info, 2: debug
};

class Reporter {
  public:
    Reporter(std::string tool, Style style, const clock::Clock& clock, std::unique_ptr<Log> log = nullptr);
    ~Reporter();
    Reporter(const Reporter&) = delete;
    Reporter& operator=(const Reporter&) = delete;

    const std::string& tool() const noexcept { return tool_; }
    const Style& style() const noexcept { return style_; }

    /// A message was handled. Lines are kept until flush() or until there are many.
    void line(const Line& line) { line_of(line.name, to_string(line.result), line.detail, line.fields); }
    /// The same with another word in place of the result: for the operator's commands (`held`, `deleted`).
    void line_of(std::string_view name, std::string_view word, std::string_view detail,
                 const std::vector<std::pair<std::string, std::string>>& fields = {});
    /// Any other line of data (tables, explanations), as it is, a line end added.
    void data(std::string_view text);

    /// Whole lines that another process of ours has formed.
    void raw(std::string_view lines);

    /// `tool: error: ...`; errors and warnings also with -q. The same warning comes again after a quarter of an hour.
    void error(std::string_view text) { say(Level::error, text); }
    void warning(std::string_view text) { say(Level::warning, text); }
    void notice(std::string_view text) { say(Level::notice, text); }
    void info(std::string_view text) { say(Level::info, text); }
    void debug(std::string_view text) { say(Level::debug, text); }
    void say(Level level, std::string_view text);

    /// How far it is: drawn at most ten times a second, only on a terminal. `total` 0: not known.
    void progress(std::size_t done, std::size_t total);

    /// Writes what is kept.
    void flush();
    /// flush(); then false if anything could not be written to stdout in this run (said once on stderr).
    bool finish();

    /// A line in a form of its own (a compiler's, for the configuration): to stderr as it is if `shown`, and to the log.
    void diagnostic(Level level, std::string_view line, bool shown);

    /// How many lines raw() was given.
    std::size_t lines_passed() const noexcept { return lines_passed_; }
    /// What ends a line of data: NUL only after names alone.
    char line_end() const noexcept { return style_.quiet && style_.names_end_in_nul ? '\0' : '\n'; }

  private:
    void clear_bar();
    void write_out();

    std::string tool_;
    Style style_;
    const clock::Clock& clock_;
    std::unique_ptr<Log> log_;
    std::string pending_;
    std::map<std::string, std::chrono::steady_clock::time_point, std::less<>> said_;  ///< warnings
    std::size_t lines_passed_ = 0;
    int output_error_ = 0;
    bool bar_shown_ = false;
    std::chrono::steady_clock::time_point next_bar_{};
};

}  // namespace ums::report
