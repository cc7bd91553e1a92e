// SPDX-License-Identifier: GPL-3.0-or-later
//
// ums-spool: the operator's view of the spool. main: options; commands: the work.
#include <CLI/CLI.hpp>
#include <functional>

#include "commands.hpp"

int main(int argc, char** argv) {
    using namespace ums;
    using spool_tool::Action;
    using Command = std::function<int(const cli::Common&, report::Reporter&)>;
    spool_tool::ListOptions list;
    std::vector<std::string> ids;
    std::string reason;
    Command command;
    const cli::Tool tool{
        "ums-spool", "Look at the spool, and move messages in it by hand",
        "Examples:\n"
        "  ums-spool list                                    what waits, and where\n"
        "  ums-spool show ID                                 one message\n"
        "  ums-spool trace ID                                what happened to it\n"
        "  ums-spool list --failed -q | ums-spool requeue -  try all failed ones again\n"
        "An ID is a name as listed, or the part of it before the first comma; - reads them from standard input.\n"
        "Exit codes and the pipeline: ums(7); the layout: ums-spool(5).",
        cli::Kind::plain};
    return cli::run_tool(
        tool, argc, argv,
        [&](CLI::App& app) {
            app.require_subcommand(1);
            auto* list_command = app.add_subcommand("list", "List messages, a line each");
            list_command->add_option("QUEUE", list.queues,
                                     "Only these queues: outgoing, incoming, site/S, kernel/K, ...");
            list_command->add_flag("--failed", list.failed, "Only what is in failed");
            list_command->add_flag("--noroute", list.noroute, "Only what is in noroute");
            list_command->add_flag("--hold", list.held, "Only what is on hold, in any queue");
            list_command->add_flag("--in-doubt", list.in_doubt, "Only what may or may not have arrived");
            list_command->callback(
                [&] { command = [&](const auto& c, auto& r) { return spool_tool::list(c, list, r); }; });
            const auto add = [&](const char* name, const char* help, Command run) {
                auto* sub = app.add_subcommand(name, help);
                sub->add_option("ID", ids, "Messages; - reads them from standard input")->required();
                sub->callback([&command, run = std::move(run)] { command = run; });
                return sub;
            };
            add("show", "Show messages: where they are, their header",
                [&](const auto& c, auto& r) { return spool_tool::show(c, ids, r); });
            add("trace", "Tell what happened to messages",
                [&](const auto& c, auto& r) { return spool_tool::trace(c, ids, r); });
            auto* hold = add("hold", "Keep messages where they are until they are released",
                             [&](const auto& c, auto& r) { return spool_tool::act(c, Action::hold, ids, reason, r); });
            hold->add_option("--reason", reason, "Why, for whoever finds them")->type_name("TEXT");
            add("release", "Let held messages go on",
                [&](const auto& c, auto& r) { return spool_tool::act(c, Action::release, ids, "", r); });
            add("requeue", "Decide again: back to routing, or to the connector's choice if incoming",
                [&](const auto& c, auto& r) { return spool_tool::act(c, Action::requeue, ids, "", r); });
            add("delete", "Delete messages for good",
                [&](const auto& c, auto& r) { return spool_tool::act(c, Action::remove, ids, "", r); });
        },
        [&](const cli::Common& common, report::Reporter& reporter) { return command(common, reporter); });
}
