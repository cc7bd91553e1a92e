// SPDX-License-Identifier: GPL-3.0-or-later
//
// ums-route: decides the site of outgoing messages. main: options; stage: the spool; single: one message by hand.
#include <CLI/CLI.hpp>
#include <map>
#include <sstream>

#include "graph.hpp"
#include "single.hpp"
#include "stage.hpp"
#include "text/text.hpp"
#include "trial.hpp"

namespace {

using namespace ums;

struct Options {
    std::vector<std::string> files;
    std::string connector;
    bool explain = false;
    std::string test;
    std::string simulate;
    std::string against;
    std::string graph;
};

int by_hand(const cli::Common& common, const Options& options, const config::Config& config,
            report::Reporter& reporter) {
    if (!options.connector.empty() && config.connector(options.connector) == nullptr)
        throw Error(Fault::usage, "the configuration has no connector " + text::quote(options.connector));
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

const std::map<std::string, route::GraphFormat> graph_formats{
    {"dot", route::GraphFormat::dot}, {"mermaid", route::GraphFormat::mermaid}, {"svg", route::GraphFormat::svg}};

int draw(const std::string& format, const config::Config& config, report::Reporter& reporter) {
    auto picture = route::draw(config, graph_formats.at(format));
    if (picture.ends_with('\n')) picture.pop_back();
    reporter.data(picture);
    return 0;
}

// Each of these is a job of its own.
void check(const Options& options) {
    const int jobs = (options.files.empty() ? 0 : 1) + (options.test.empty() ? 0 : 1) +
                     (options.simulate.empty() ? 0 : 1) + (options.graph.empty() ? 0 : 1);
    if (jobs > 1) throw Error(Fault::usage, "a FILE, --test, --simulate and --graph exclude each other");
    if (!options.against.empty() && options.simulate.empty())
        throw Error(Fault::usage, "--against goes with --simulate");
    if (!options.graph.empty() && !graph_formats.contains(options.graph)) {
        throw Error(Fault::usage, "--graph is dot, mermaid or svg, not " + text::quote(options.graph));
    }
    if (options.explain && options.files.empty()) throw Error(Fault::usage, "--explain goes with a FILE or -");
    if (!options.connector.empty() && options.files.empty())
        throw Error(Fault::usage, "--connector goes with a FILE or -");
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    const cli::Tool tool{"ums-route", "Decide the site of outgoing messages",
                         "Examples:\n"
                         "  ums-route                      route what waits in the spool\n"
                         "  ums-route - <job.tmp           print this message's site; touch nothing\n"
                         "  ums-route --explain job.tmp    and why\n"
                         "  ums-route --test cases.yaml    is the table still what it is meant to be?\n"
                         "  ums-route --simulate noroute --against old.yaml\n"
                         "Exit codes and the pipeline: ums(7).",
                         cli::Kind::stage};
    return cli::run_tool(
        tool, argc, argv,
        [&](CLI::App& app) {
            app.add_option("FILE", options.files, "Messages to print the site of; - is standard input");
            app.add_flag("--explain", options.explain, "Print rule by rule why (with a FILE)");
            app.add_option("--connector", options.connector, "The connector that FILE comes from, for rules that ask")
                ->type_name("NAME");
            app.add_option("--test", options.test, "Route the cases of FILE and compare; 1 if one goes elsewhere")
                ->type_name("FILE");
            app.add_option("--simulate", options.simulate,
                           "Print where the messages of a directory or queue would go; touch nothing")
                ->type_name("DIR|QUEUE");
            app.add_option("--against", options.against,
                           "With --simulate: also what goes another way than by the configuration FILE")
                ->type_name("FILE");
            app.add_option("--graph", options.graph, "Print the routing table as a picture: dot, mermaid or svg")
                ->type_name("FORMAT");
        },
        [&](const cli::Common& common, report::Reporter& reporter) {
            check(options);
            const auto config = cli::load_config(common);
            if (!options.test.empty()) return route::run_cases(common, config, options.test, reporter);
            if (!options.simulate.empty())
                return route::simulate(common, config, options.simulate, options.against, reporter);
            if (!options.graph.empty()) return draw(options.graph, config, reporter);
            if (!options.files.empty()) return by_hand(common, options, config, reporter);
            return route::run_stage(common, config, reporter);
        });
}
