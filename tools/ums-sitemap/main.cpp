// SPDX-License-Identifier: GPL-3.0-or-later
//
// ums-sitemap: applies a site's numbering. main: options; stage: the spool; single: one message or
// number by hand; cases: many numbers, compared; import: the settings of another system.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <iostream>

#include "cases.hpp"
#include "import.hpp"
#include "single.hpp"
#include "stage.hpp"
#include "text/text.hpp"

namespace {

using namespace ums;

struct Options {
    enum class Command { stage, number, sites, import } command = Command::stage;
    std::string file;
    std::string number;
    std::string csv;
    std::string test;
    std::string site;
    std::string type;
    std::string kind = "destination";
    bool incoming = false;
    bool outgoing = false;
    bool explain = false;

    sitemap::Direction direction() const {
        return outgoing ? sitemap::Direction::outgoing : sitemap::Direction::incoming;
    }
};

message::Reader reader_of(const std::string& file, io::Fd& opened) {
    if (file == "-") return message::read_from(STDIN_FILENO, file);
    opened = io::Fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened) throw system_error(Fault::cannot_read, "open " + text::quote(file), errno);
    return message::read_from(opened.get(), file);
}

int by_hand(const cli::Common& common, const Options& options, const config::Config& config) {
    const auto& site = sitemap::find_site(config, options.site);
    io::Fd opened;
    const auto reader = reader_of(options.file, opened);
    return sitemap::map_single(config, site, options.direction(),
                               options.explain ? sitemap::Explain::yes : sitemap::Explain::no,
                               common.json ? sitemap::Json::yes : sitemap::Json::no, reader, std::cout);
}

sitemap::Asked asked(const cli::Common& common, const Options& options) {
    sitemap::Asked asked;
    asked.direction = options.direction();
    asked.quiet = common.quiet ? sitemap::Quiet::yes : sitemap::Quiet::no;
    asked.json = common.json ? sitemap::Json::yes : sitemap::Json::no;
    using Kind = number::Conversion::Kind;
    for (const auto kind : {Kind::destination, Kind::originator, Kind::redirector}) {
        if (number::to_string(kind) == options.kind) asked.kind = kind;
    }
    if (!options.type.empty()) {
        asked.type = number::parse_type_of_number(options.type);
        if (!asked.type) {
            throw Error(Fault::usage, text::quote(options.type) +
                                          " is no type of number: unknown, subscriber, national or international");
        }
    }
    if (options.outgoing && (asked.type || asked.kind != Kind::destination)) {
        throw Error(Fault::usage, "--type and --kind go with --incoming");
    }
    return asked;
}

int import_file(const Options& options, report::Reporter& reporter) {
    io::Fd opened;
    const auto reader = reader_of(options.csv, opened);
    std::string csv;
    std::string buffer(64 * 1024, '\0');
    while (const auto got = reader(buffer)) {
        csv.append(buffer, 0, got);
        if (csv.size() > (16U << 20U))
            throw Error(Fault::unusable, text::quote(options.csv) + " is larger than 16 MiB");
    }
    const auto imported = sitemap::import_sites(csv);
    for (const auto& warning : imported.warnings) reporter.warning(options.csv + ", " + warning);
    // What the tools would say of it, with the lines of what is printed.
    const auto loaded = config::parse(imported.yaml +
                                          "mds: {id: X}\nkernels: {CHANGE-ME: {url: /nonexistent}}\n"
                                          "connectors: {X: {root: /nonexistent}}\nroutes: [{to: noroute}]\n",
                                      "sites", config::Look::errors_alone);
    for (const auto& diagnostic : loaded.diagnostics) {
        reporter.warning("what is printed, " + config::to_string(diagnostic));
    }
    const bool doubtful = !imported.warnings.empty() || !loaded.diagnostics.empty();
    std::cout << imported.yaml;
    return doubtful ? exit_attention : 0;
}

int run(const cli::Common& common, const Options& options, report::Reporter& reporter) {
    if (options.command != Options::Command::stage && !options.file.empty()) {
        throw Error(Fault::usage, text::quote(options.file) + " is one argument too many");
    }
    if (!options.test.empty() && (options.command != Options::Command::stage || !options.file.empty() ||
                                  options.incoming || options.outgoing || options.explain || !options.site.empty())) {
        throw Error(Fault::usage, "--test goes with a file of cases alone");
    }
    if (options.command == Options::Command::import) {
        const int code = import_file(options, reporter);
        if (!std::cout.flush()) throw Error(Fault::cannot_read, "cannot write to standard output");
        return code;
    }
    const auto config = cli::load_config(common);
    if (!options.test.empty()) return sitemap::run_cases(common, config, options.test, reporter);
    const auto json = common.json ? sitemap::Json::yes : sitemap::Json::no;
    int code = 0;
    switch (options.command) {
        case Options::Command::sites: code = sitemap::list_sites(config, json, std::cout); break;
        case Options::Command::number:
            if (!options.incoming && !options.outgoing) throw Error(Fault::usage, "say --incoming or --outgoing");
            code = options.number == "-"
                       ? sitemap::map_numbers(sitemap::find_site(config, options.site), asked(common, options),
                                              message::read_from(STDIN_FILENO, "-"), std::cout)
                       : sitemap::map_number(sitemap::find_site(config, options.site), asked(common, options),
                                             options.number, std::cout);
            break;
        case Options::Command::import: break;
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
        "  ums-sitemap --test cases.yaml                            are numbers still what they are meant to be?\n"
        "  ums-sitemap import old.csv >sites.yaml                   another system's settings, as a start\n"
        "Exit codes and the pipeline: ums(7).",
        cli::Kind::stage};
    return cli::run_tool(tool, argc, argv, [&](CLI::App& app) {
        app.add_option("FILE", options.file, "A message to print as the site changes it; - is standard input");
        app.add_option("--site", options.site, "Whose numbering (with one site: that)")->type_name("SITE");
        auto* incoming = app.add_flag("--incoming", options.incoming, "As the site's PBX signalled it (default)");
        app.add_flag("--outgoing", options.outgoing, "As the site's PBX must dial it")->excludes(incoming);
        app.add_flag("--explain", options.explain, "Print what changes, and why, in place of the message");
        app.add_option("--test", options.test, "Form the numbers of the cases in FILE and compare; 1 if one differs")
            ->type_name("FILE");
        auto* number = app.add_subcommand("number", "Print what a site makes of one number");
        number->add_option("NUMBER", options.number, "The number; - reads one a line from standard input")->required();
        number->add_option("--type", options.type, "The type that is signalled with it")->type_name("TYPE");
        number->add_option("--kind", options.kind, "Whose number it is: destination, originator or redirector")
            ->type_name("KIND")
            ->check(CLI::IsMember({"destination", "originator", "redirector"}));
        number->callback([&] { options.command = Options::Command::number; });
        app.add_subcommand("sites", "Print all sites and their numbering")->callback([&] {
            options.command = Options::Command::sites;
        });
        auto* import = app.add_subcommand("import", "Print the settings in a CSV file as sites of mds.yaml");
        import->add_option("CSV", options.csv, "The file; - is standard input")->required();
            import->callback([&] { options.command = Options::Command::import;
    });
    app.require_subcommand(0, 1);
},
        [&](const cli::Common& common, report::Reporter& reporter) {
    return run(common, options, reporter); });
}
