// SPDX-License-Identifier: GPL-3.0-or-later
//
// ums-push: delivers what is queued for kernels and connectors. main: options; run: the queues; single: one message.
#include <CLI/CLI.hpp>

#include "options.hpp"

int main(int argc, char** argv) {
    using namespace ums;
    push::Options options;
    const cli::Tool tool{"ums-push", "Deliver what is queued for kernels and connectors",
                         "Examples:\n"
                         "  ums-push                                       every queue once\n"
                         "  ums-push --to munich-1                         only what is queued for this kernel\n"
                         "  ums-push --probe munich-1                      what can this kernel's server do?\n"
                         "  ums-push --to munich-1 --connector ExConn job  one message, past the spool\n"
                         "Exit codes and the pipeline: ums(7).",
                         cli::Kind::stage};
    return cli::run_tool(
        tool, argc, argv,
        [&](CLI::App& app) {
            app.add_option("FILE", options.file, "One message to deliver past the spool; - is standard input");
            app.add_option("--to", options.to, "Only this kernel or connector; may be repeated")
                ->type_name("NAME")
                ->allow_extra_args(false);
            app.add_option("--connector", options.connector, "Whose message FILE is")->type_name("NAME");
            app.add_option("--probe", options.probe,
                           "Try what a target can do: a kernel's or connector's name, or a URL")
                ->type_name("TARGET");
        },
        [&](const cli::Common& common, report::Reporter& reporter) { return push::run(common, options, reporter); });
}
