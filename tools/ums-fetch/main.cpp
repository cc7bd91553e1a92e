// SPDX-License-Identifier: GPL-3.0-or-later
//
// ums-fetch: collects messages from connectors' Out and kernels' R_*/In into the spool. main: options; run: the work.
#include <CLI/CLI.hpp>

#include "options.hpp"

int main(int argc, char** argv) {
    using namespace ums;
    fetch::Options options;
    const cli::Tool tool{"ums-fetch", "Collect messages from connectors and kernels into the spool",
                         "Examples:\n"
                         "  ums-fetch                              one look at every source\n"
                         "  ums-fetch --from ExConn                only this connector's Out\n"
                         "  ums-fetch --connector ExConn - <job    put one message into the spool\n"
                         "  ums-fetch --watch                      keep collecting\n"
                         "Exit codes and the pipeline: ums(7).",
                         cli::Kind::stage};
    return cli::run_tool(
        tool, argc, argv,
        [&](CLI::App& app) {
            app.add_option("FILE", options.files, "Messages to put into the spool; - is standard input");
            app.add_option("--connector", options.connector, "Whose message FILE is")->type_name("NAME");
            app.add_option("--from", options.from, "Only this connector's or kernel's directories; may be repeated")
                ->type_name("NAME")
                ->allow_extra_args(false);
            app.add_option("--take-over", options.take_over,
                           "Take over what the MDS with this id had claimed and never "
                           "fetched; only if it is gone for ever")
                ->type_name("ID");
            app.add_option("--probe", options.probe,
                           "Try what a source can do: a connector's or kernel's name, or a URL")
                ->type_name("SOURCE");
        },
        [&](const cli::Common& common, report::Reporter& reporter) { return fetch::run(common, options, reporter); });
}
