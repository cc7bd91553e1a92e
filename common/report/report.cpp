// SPDX-License-Identifier: GPL-3.0-or-later
#include "report/report.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "error/error.hpp"
#include "text/text.hpp"

namespace ums::report {

namespace {

constexpr std::chrono::minutes pause_between_repeats{15};
constexpr std::size_t most_remembered = 1000;

constexpr std::array<std::pair<Result, std::string_view>, 8> names{{{Result::fetched, "fetched"},
                                                                    {Result::routed, "routed"},
                                                                    {Result::assigned, "assigned"},
                                                                    {Result::delivered, "delivered"},
                                                                    {Result::deferred, "deferred"},
                                                                    {Result::in_doubt, "in-doubt"},
                                                                    {Result::parked, "parked"},
                                                                    {Result::failed, "failed"}}};

// All of `text`, or errno.
int write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const auto n = ::write(fd, text.data(), text.size());
        if (n < 0) {
            if (errno == EINTR) continue;
            return errno;
        }
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return 0;
}

}  // namespace

std::string_view to_string(Level level) noexcept {
    switch (level) {
        case Level::error: return "error";
        case Level::warning: return "warning";
        case Level::notice: return "notice";
        case Level::info: return "info";
        case Level::debug: return "debug";
    }
    return "";
}

std::string_view to_string(Result result) noexcept {
    const auto* found = std::find_if(names.begin(), names.end(), [&](auto& n) { return n.first == result; });
    return found->second;
}

std::optional<Result> parse_result(std::string_view text) noexcept {
    const auto* found = std::find_if(names.begin(), names.end(), [&](auto& n) { return n.second == text; });
    return found == names.end() ? std::nullopt : std::optional(found->first);
}

Reporter::Reporter(std::string tool, Style style, const clock::Clock& clock, std::unique_ptr<Log> log)
    : tool_(std::move(tool)), style_(style), clock_(clock), log_(std::move(log)) {}

Reporter::~Reporter() { flush(); }

void Reporter::line_of(std::string_view name, std::string_view word, std::string_view detail,
                       const std::vector<std::pair<std::string, std::string>>& fields) {
    if (style_.quiet) {
        pending_ += style_.names_end_in_nul ? std::string(name) : text::escape(name);
        pending_ += line_end();
    } else if (style_.json) {
        pending_ += "{\"name\":" + text::json_string(name) + ",\"result\":" + text::json_string(word) +
                    ",\"detail\":" + text::json_string(detail);
        for (const auto& [key, value] : fields)
            pending_ += "," + text::json_string(key) + ":" + text::json_string(value);
        pending_ += "}\n";
    } else {
        // A detail is a sentence whose parts are escaped already.
        pending_ += text::escape(name) + "\t" + std::string(word) + "\t" + text::visible(detail) + "\n";
    }
    if (pending_.size() > 60'000) flush();
}

void Reporter::data(std::string_view text) {
    pending_ += text;
    pending_ += '\n';
    if (pending_.size() > 60'000) flush();
}

void Reporter::raw(std::string_view lines) {
    pending_ += lines;
    lines_passed_ += static_cast<std::size_t>(std::count(lines.begin(), lines.end(), line_end()));
    if (pending_.size() > 60'000) flush();
}

void Reporter::say(Level level, std::string_view text) {
    if (level == Level::warning) {
        const auto now = clock_.steady();
        const auto found = said_.find(text);
        if (found != said_.end() && now - found->second < pause_between_repeats) return;
        if (said_.size() >= most_remembered) said_.clear();
        said_.insert_or_assign(std::string(text), now);
    }
    if (log_) log_->write(level, tool_, text);
    if (level == Level::info && style_.verbose < 1) return;
    if (level == Level::debug && style_.verbose < 2) return;
    std::string line = tool_ + ": ";
    if (level == Level::error || level == Level::warning) {
        const bool color = style_.color;
        if (color) line += level == Level::error ? "\033[1;31m" : "\033[1;33m";
        line += to_string(level);
        if (color) line += "\033[0m";
        line += ": ";
    }
    line += text::visible(text);
    line += '\n';
    flush();
    clear_bar();
    write_all(STDERR_FILENO, line);
}

void Reporter::diagnostic(Level level, std::string_view line, bool shown) {
    if (log_) log_->write(level, tool_, line);
    if (!shown) return;
    flush();
    clear_bar();
    write_all(STDERR_FILENO, text::visible(line) + "\n");
}

void Reporter::progress(std::size_t done, std::size_t total) {
    if (!style_.progress) return;
    const auto now = clock_.steady();
    if (now < next_bar_ && done != total) return;
    next_bar_ = now + std::chrono::milliseconds(100);
    std::string bar = "\r" + tool_ + " ";
    if (total > 0) {
        constexpr std::size_t width = 30;
        const std::size_t filled = std::min(width, width * done / total);
        bar += "[" + std::string(filled, '#') + std::string(width - filled, ' ') + "] " + std::to_string(done) + "/" +
               std::to_string(total);
    } else {
        bar += std::to_string(done);
    }
    bar += "\033[K";
    write_all(STDERR_FILENO, bar);
    bar_shown_ = true;
}

void Reporter::clear_bar() {
    if (!bar_shown_) return;
    write_all(STDERR_FILENO, "\r\033[K");
    bar_shown_ = false;
}

void Reporter::flush() {
    if (pending_.empty()) return;
    if (isatty(STDOUT_FILENO) == 1) clear_bar();
    if (output_error_ == 0) write_out();
    pending_.clear();
}

// In pieces of whole lines that a pipe takes in one go (PIPE_BUF), so that lines of several processes never mix.
void Reporter::write_out() {
    constexpr std::size_t piece = 4096;
    std::string_view rest = pending_;
    while (!rest.empty() && output_error_ == 0) {
        std::size_t end = std::min(rest.size(), piece);
        if (end < rest.size()) {
            const auto last = rest.rfind(line_end(), end - 1);
            if (last != std::string_view::npos) end = last + 1;
        }
        output_error_ = write_all(STDOUT_FILENO, rest.substr(0, end));
        rest.remove_prefix(end);
    }
}

bool Reporter::finish() {
    flush();
    clear_bar();
    if (output_error_ == 0) return true;
    error("cannot write to standard output: " + std::generic_category().message(output_error_));
    return false;
}

}  // namespace ums::report
