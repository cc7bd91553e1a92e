// SPDX-License-Identifier: GPL-3.0-or-later
//
// ums-route: decides the site of outgoing messages. main: options; stage: the spool; single: one message by hand.
#include <CLI/CLI.hpp>
#include <sstream>

#include "single.hpp"
#include "stage.hpp"
#include "text/text.hpp"

namespace {

using namespace ums;

struct Options {
    std::vector<std::string> files;
    std::string connector;
    bool explain = false;
};

int by_hand(const cli::Common& common, const Options& options, const config::Config& config,
            report::Reporter& reporter) {
    const rules::Table table(config);
    const clock::SystemClock clock;
    cli::ExitCode code;
    for (const auto& file : options.files) {
        const route::Single message(file, table);
        std::ostringstream out;
        code.note(route::route_single(config, table, message.subject(options.connector, clock.now()),
                                      options.explain ? route::Explain::yes : route::Explain::no,
                                      common.json ? route::Json::yes : route::Json::no, out));
        auto text = out.str();
        if (text.ends_with('\n')) text.pop_back();
        reporter.data(text);
    }
    return code.value();
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    const cli::Tool tool{"ums-route", "Decide the site of outgoing messages",
                         "Examples:\n"
                         "  ums-route                      route what waits in the spool\n"
                         "  ums-route - <job.tmp           print this message's site; touch nothing\n"
                         "  ums-route --explain job.tmp    and why\n"
                         "Exit codes and the pipeline: ums(7).",
                         cli::Kind::stage};
    return cli::run_tool(
        tool, argc, argv,
        [&](CLI::App& app) {
            app.add_option("FILE", options.files, "Messages to print the site of; - is standard input");
            app.add_flag("--explain", options.explain, "Print rule by rule why (with a FILE)");
            app.add_option("--connector", options.connector, "The connector that FILE comes from, for rules that ask")
                ->type_name("NAME");
        },
        [&](const cli::Common& common, report::Reporter& reporter) {
            const auto config = cli::load_config(common);
            if (!options.files.empty()) return by_hand(common, options, config, reporter);
            if (options.explain) throw Error(Fault::usage, "--explain goes with a FILE or -");
            if (!options.connector.empty()) throw Error(Fault::usage, "--connector goes with a FILE or -");
            return route::run_stage(common, config, reporter);
        });
}
