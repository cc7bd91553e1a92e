// SPDX-License-Identifier: GPL-3.0-or-later
//
// ums-sitemap: applies a site's numbering. main: options; stage: the spool; single: one message or number by hand.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <iostream>

#include "single.hpp"
#include "stage.hpp"
#include "text/text.hpp"

namespace {

using namespace ums;

struct Options {
    enum class Command { stage, number, sites } command = Command::stage;
    std::string file;
    std::string number;
    std::string site;
    bool incoming = false;
    bool outgoing = false;
    bool explain = false;

    sitemap::Direction direction() const {
        return outgoing ? sitemap::Direction::outgoing : sitemap::Direction::incoming;
    }
};

int by_hand(const cli::Common& common, const Options& options, const config::Config& config) {
    const auto& site = sitemap::find_site(config, options.site);
    io::Fd opened;
    if (options.file != "-") {
        opened = io::Fd(::open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
        if (!opened) throw system_error(Fault::cannot_read, "open " + text::quote(options.file), errno);
    }
    const auto reader = message::read_from(opened ? opened.get() : STDIN_FILENO, options.file);
    return sitemap::map_single(config, site, options.direction(),
                               options.explain ? sitemap::Explain::yes : sitemap::Explain::no,
                               common.json ? sitemap::Json::yes : sitemap::Json::no, reader, std::cout);
}

int run(const cli::Common& common, const Options& options, report::Reporter& reporter) {
    if (options.command != Options::Command::stage && !options.file.empty()) {
        throw Error(Fault::usage, text::quote(options.file) + " is one argument too many");
    }
    const auto config = cli::load_config(common);
    const auto json = common.json ? sitemap::Json::yes : sitemap::Json::no;
    int code = 0;
    switch (options.command) {
        case Options::Command::sites: code = sitemap::list_sites(config, json, std::cout); break;
        case Options::Command::number:
            if (!options.incoming && !options.outgoing) throw Error(Fault::usage, "say --incoming or --outgoing");
            code = sitemap::map_number(sitemap::find_site(config, options.site), options.direction(),
                                       common.quiet ? sitemap::Quiet::yes : sitemap::Quiet::no, json, options.number,
                                       std::cout);
            break;
        case Options::Command::stage:
            if (options.file.empty()) {
                if (options.incoming || options.outgoing || options.explain || !options.site.empty()) {
                    throw Error(Fault::usage,
                                "--site, --incoming, --outgoing and --explain go with a FILE, - or 'number'");
                }
                return sitemap::run_stage(common, config, reporter);
            }
            try {
                code = by_hand(common, options, config);
            } catch (const Error& error) {
                if (error.fault() != Fault::cannot_write) throw;
                std::cout.setstate(std::ios::badbit);  // 73 is the spool's; an output that fails is 74 for every tool
            }
            break;
    }
    if (!std::cout.flush()) throw Error(Fault::cannot_read, "cannot write to standard output");
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    const cli::Tool tool{
        "ums-sitemap", "Form numbers by site, and choose the connector of incoming messages",
        "Examples:\n"
        "  ums-sitemap                                              work what came in\n"
        "  ums-sitemap --site munich - <job.tmp                     an incoming message as the connector gets it\n"
        "  ums-sitemap --outgoing --site munich - <job.tmp          an outgoing one as the kernel gets it\n"
        "  ums-sitemap number --site munich --outgoing '+49 89 1'   each step of one number\n"
        "  ums-sitemap sites                                        a table of all sites\n"
        "Exit codes and the pipeline: ums(7).",
        cli::Kind::stage};
    return cli::run_tool(
        tool, argc, argv,
        [&](CLI::App& app) {
            app.add_option("FILE", options.file, "A message to print as the site changes it; - is standard input");
            app.add_option("--site", options.site, "Whose numbering (with one site: that)")->type_name("SITE");
            auto* incoming = app.add_flag("--incoming", options.incoming, "As the site's PBX signalled it (default)");
            app.add_flag("--outgoing", options.outgoing, "As the site's PBX must dial it")->excludes(incoming);
            app.add_flag("--explain", options.explain, "Print what changes, and why, in place of the message");
            auto* number = app.add_subcommand("number", "Print what a site makes of one number");
            number->add_option("NUMBER", options.number, "The number")->required();
            number->callback([&] { options.command = Options::Command::number; });
            app.add_subcommand("sites", "Print all sites and their numbering")->callback([&] {
                options.command = Options::Command::sites;
            });
            app.require_subcommand(0, 1);
        },
        [&](const cli::Common& common, report::Reporter& reporter) { return run(common, options, reporter); });
}
