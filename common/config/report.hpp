// SPDX-License-Identifier: GPL-3.0-or-later
//
// Private to config: where mistakes are collected, so that one pass tells all of them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace ums::config {

struct Node;

class Report {
  public:
    explicit Report(std::string file) : file_(std::move(file)) {}

    Place place(const Node& node) const;
    Place whole_file() const { return {file_, 0, 0}; }

    void error(const Place& place, std::string text) { add(Severity::error, place, std::move(text)); }
    void error(const Node& at, std::string text) { add(Severity::error, place(at), std::move(text)); }
    void warning(const Place& place, std::string text) { add(Severity::warning, place, std::move(text)); }
    void warning(const Node& at, std::string text) { add(Severity::warning, place(at), std::move(text)); }

    /// `unknown <what> 'wrod'; did you mean 'word'?`, or the few that there are.
    void unknown(const Place& place, const std::string& what, std::string_view word,
                 std::span<const std::string_view> known);

    bool failed() const noexcept { return failed_; }
    /// In the order of the file. No more than a thousand, and then a last one that says how many are not shown.
    std::vector<Diagnostic> take();

  private:
    void add(Severity severity, const Place& place, std::string text);

    std::string file_;
    std::vector<Diagnostic> diagnostics_;
    std::size_t dropped_ = 0;
    bool failed_ = false;
};

}  // namespace ums::config
