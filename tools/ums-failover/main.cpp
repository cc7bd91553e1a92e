// SPDX-License-Identifier: GPL-3.0-or-later
//
// ums-failover: decides the kernel. main: options; run: one pass; canary: looking at a kernel; status: the table;
// settle: a person's word about a doubt.
#include <CLI/CLI.hpp>

#include "options.hpp"

int main(int argc, char** argv) {
    using namespace ums;
    std::vector<std::string> kernels;
    std::vector<std::string> ids;
    struct {
        bool delivered = false;
        bool send_again = false;
        bool hold = false;
    } said;
    enum class Command { pass, status, drain, disable, enable, settle } command = Command::pass;
    const cli::Tool tool{"ums-failover",
                         "Balance messages over the kernels of their sites, and past kernels that are down",
                         "Examples:\n"
                         "  ums-failover                    one pass: look, move, assign\n"
                         "  ums-failover status             how are the kernels, and what waits where?\n"
                         "  ums-failover drain munich-1     assign nothing new; what is queued still goes\n"
                         "  ums-failover disable munich-1   send nothing; its queue moves on\n"
                         "  ums-failover enable munich-1    back to work\n"
                         "  ums-failover settle --delivered ID   it was in doubt, and has arrived\n"
                         "Exit codes and the pipeline: ums(7).",
                         cli::Kind::stage};
    return cli::run_tool(
        tool, argc, argv,
        [&](CLI::App& app) {
            const auto add = [&](const char* name, const char* help, Command which) {
                auto* sub = app.add_subcommand(name, help);
                sub->callback([&command, which] { command = which; });
                if (which != Command::status) {
                    sub->add_option("KERNEL", kernels, "Kernels of the configuration")->required();
                }
            };
            add("status", "Show sites, kernels and what waits", Command::status);
            add("drain", "Assign nothing new to these kernels; what is queued still goes", Command::drain);
            add("disable", "Send nothing to these kernels; what is queued moves on", Command::disable);
            add("enable", "Use these kernels again", Command::enable);
            auto* settle = app.add_subcommand("settle", "Say of messages in doubt what became of them");
            settle->callback([&command] { command = Command::settle; });
            settle->add_option("ID", ids, "Messages in doubt; - reads them from standard input")->required();
            settle->add_flag("--delivered", said.delivered, "They had arrived");
            settle->add_flag(
                "--send-again,--force-retarget", said.send_again,
                "Send them again, marked as possible duplicates; the kernel may be the same, unless it is disabled");
            settle->add_flag("--hold", said.hold, "Keep them until they are released or deleted");
            app.require_subcommand(0, 1);
        },
        [&](const cli::Common& common, report::Reporter& reporter) {
            switch (command) {
                case Command::pass: return failover::run(common, reporter);
                case Command::status: return failover::status(common, reporter);
                case Command::drain: return failover::set_admin(common, kernels, health::Admin::drain, reporter);
                case Command::disable: return failover::set_admin(common, kernels, health::Admin::disabled, reporter);
                case Command::enable: return failover::set_admin(common, kernels, health::Admin::enabled, reporter);
                case Command::settle: {
                    if (said.delivered + said.send_again + said.hold != 1) {
                        throw Error(Fault::usage,
                                    "settle takes one of --delivered, --send-again (--force-retarget) and --hold");
                    }
                    const auto decision = said.delivered    ? failover::Decision::delivered
                                          : said.send_again ? failover::Decision::send_again
                                                            : failover::Decision::hold;
                    return failover::settle_by_hand(common, ids, decision, reporter);
                }
            }
            return 0;
        });
}
