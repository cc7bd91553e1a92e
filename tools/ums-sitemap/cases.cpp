// SPDX-License-Identifier: GPL-3.0-or-later
#include "cases.hpp"

#include <algorithm>

#include "config/number_cases.hpp"
#include "error/error.hpp"
#include "text/text.hpp"

namespace ums::sitemap {

namespace {

void tell(const config::Diagnostic& diagnostic, report::Reporter& reporter) {
    const bool is_error = diagnostic.severity == config::Severity::error;
    reporter.diagnostic(is_error ? report::Level::error : report::Level::warning, config::to_string(diagnostic), true);
}

std::string title(const config::NumberCase& one) {
    const bool incoming = one.direction == number::Conversion::Direction::incoming;
    return one.name.empty() ? one.site + ", " + (incoming ? "incoming" : "outgoing") + ": " + one.number : one.name;
}

std::string json_of(const config::NumberCase& one, const config::NumberResult& result, const std::string& place) {
    std::string steps;
    for (const auto& step : result.steps) {
        steps += std::string(steps.empty() ? "" : ",") + R"({"what":)" + text::json_string(step.what) +
                 R"(,"number":)" + text::json_string(step.number) + "}";
    }
    return R"({"place":)" + text::json_string(place) + R"(,"case":)" + text::json_string(title(one)) + R"(,"site":)" +
           text::json_string(one.site) + R"(,"number":)" + text::json_string(one.number) + R"(,"passed":)" +
           (result.passed ? "true" : "false") + R"(,"expected":)" + text::json_string(one.expected) + R"(,"got":)" +
           text::json_string(result.got) + R"(,"steps":[)" + steps + "]}";
}

}  // namespace

int run_cases(const cli::Common& common, const config::Config& config, const std::string& file,
              report::Reporter& reporter) {
    const auto loaded = config::load_number_cases(file, config);
    for (const auto& diagnostic : loaded.diagnostics) tell(diagnostic, reporter);
    if (std::any_of(loaded.diagnostics.begin(), loaded.diagnostics.end(),
                    [](const auto& d) { return d.severity == config::Severity::error; })) {
        throw Error(Fault::configuration, "the cases " + text::quote(file) + " have errors; nothing was tried");
    }
    std::size_t failed = 0;
    for (const auto& one : loaded.cases) {
        const auto result = config::try_number(*config.site(one.site), one);
        failed += result.passed ? 0 : 1;
        const std::string place = text::escape(one.place.file) + ":" + std::to_string(one.place.line);
        if (common.json) {
            reporter.data(json_of(one, result, place));
        } else if (common.quiet) {
            if (!result.passed) reporter.data(place);
        } else {
            reporter.data(place + "\t" + (result.passed ? "ok" : "FAILED") + "\t" + text::escape(title(one)));
            if (result.passed) continue;
            reporter.data("  - " + text::escape(one.expected));
            reporter.data("  + " + text::escape(result.got));
            for (const auto& step : result.steps)
                reporter.data("    " + text::escape(step.number) + "  " + text::visible(step.what));
        }
    }
    if (!common.json && !common.quiet) {
        reporter.data(std::to_string(loaded.cases.size()) + (loaded.cases.size() == 1 ? " case, " : " cases, ") +
                      std::to_string(failed) + " failed");
    }
    return failed == 0 ? 0 : exit_attention;
}

}  // namespace ums::sitemap
