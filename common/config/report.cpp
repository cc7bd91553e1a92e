// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/report.hpp"

#include <algorithm>
#include <tuple>

#include "config/document.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

// Enough for any honest mistake; a file that is something else altogether must not fill the screen or the memory.
constexpr std::size_t most_diagnostics = 1000;
constexpr std::size_t most_names_listed = 12;

}  // namespace

Place Report::place(const Node& node) const { return {file_, node.line, node.column}; }

void Report::add(Severity severity, const Place& place, std::string text) {
    failed_ = failed_ || severity == Severity::error;
    if (diagnostics_.size() >= most_diagnostics) {
        ++dropped_;
        return;
    }
    diagnostics_.push_back({severity, place, std::move(text)});
}

void Report::unknown(const Place& place, const std::string& what, std::string_view word,
                     std::span<const std::string_view> known) {
    // Past the limit nobody reads the suggestion, and looking for it is what costs.
    if (diagnostics_.size() >= most_diagnostics) return add(Severity::error, place, {});
    std::string text = "unknown " + what + " " + text::quote(word);
    if (const auto near = text::nearest(word, known)) {
        text += "; did you mean " + text::quote(*near) + "?";
    } else if (!known.empty()) {
        text += "; known here: ";
        for (std::size_t i = 0; i < known.size() && i < most_names_listed; ++i) {
            if (i > 0) text += ", ";
            text += text::escape(known[i]);
        }
        if (known.size() > most_names_listed) text += ", ...";
    }
    add(Severity::error, place, std::move(text));
}

std::vector<Diagnostic> Report::take() {
    std::stable_sort(diagnostics_.begin(), diagnostics_.end(), [](const Diagnostic& a, const Diagnostic& b) {
        return std::tie(a.place.line, a.place.column) < std::tie(b.place.line, b.place.column);
    });
    // What stands in site-defaults is read for each site.
    const auto twice = std::unique(diagnostics_.begin(), diagnostics_.end(), [](const auto& a, const auto& b) {
        return a.place.line > 0 && a.place.line == b.place.line && a.place.column == b.place.column && a.text == b.text;
    });
    diagnostics_.erase(twice, diagnostics_.end());
    if (dropped_ > 0) {
        const auto severity = failed_ ? Severity::error : Severity::warning;
        diagnostics_.push_back({severity, whole_file(), std::to_string(dropped_) + " more are not shown"});
    }
    return std::move(diagnostics_);
}

}  // namespace ums::config
