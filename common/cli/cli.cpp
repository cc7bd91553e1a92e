// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/cli.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <new>
#include <system_error>
#include <thread>

#include "rules/rules.hpp"
#include "text/text.hpp"

namespace ums::cli {

namespace {

/// Set by the handler, in whatever thread it runs; read by all of them.
std::atomic<int> stop_requested = 0;
static_assert(std::atomic<int>::is_always_lock_free);

/// What a process that keeps going remembers of its configuration file, to see that it was corrected.
struct ConfigStamp {
    std::string file;
    std::int64_t modified_ns = 0;
    std::uint64_t inode = 0;
    pid_t owner = -1;  ///< workers are told by their parent
    bool changed = false;
};
ConfigStamp config_stamp;

bool take_stamp(ConfigStamp& stamp) {
    struct stat st {};
    if (::stat(stamp.file.c_str(), &st) != 0) return false;  // being written over: the next look tells
    if (!S_ISREG(st.st_mode)) return false;                  // a FIFO would be waited for
    const auto modified = static_cast<std::int64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + st.st_mtim.tv_nsec;
    const bool same = modified == stamp.modified_ns && st.st_ino == stamp.inode;
    stamp.modified_ns = modified;
    stamp.inode = st.st_ino;
    return !same;
}

void on_stop(int) { stop_requested = 1; }

void install_signals() {
    struct sigaction action {};
    action.sa_handler = on_stop;  // no SA_RESTART: a sleep must end
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, nullptr);
    sigaction(SIGIO, &action, nullptr);  // io::PosixDisk::has_writer() takes leases
}

// A program started with a standard descriptor closed would write its errors into the first file it opens.
void open_standard_descriptors() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            // Opened the wrong way round on purpose: reading or writing it fails, as with a closed one.
            static_cast<void>(::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));
        }
    }
}

/// Numbers as they were written: CLI11 takes `5s` for 5 and throws what is not its own for `abc`.
struct Texts {
    std::string watch;
    std::string limit;
};

void read_numbers(const Texts& texts, Common& common) {
    if (!texts.watch.empty()) {
        const auto seconds = text::parse_number(texts.watch).value_or(0);
        if (seconds < 1 || seconds > 86'400) {
            throw Error(Fault::usage, "--watch takes 1 to 86400 seconds, not " + text::quote(texts.watch));
        }
        common.watch = std::chrono::seconds(seconds);
    }
    if (!texts.limit.empty()) {
        const auto limit = text::parse_number(texts.limit).value_or(0);
        if (limit == 0) throw Error(Fault::usage, "--limit takes a number from 1, not " + text::quote(texts.limit));
        common.limit = limit;
    }
}

void add_common(CLI::App& app, Common& common, Texts& texts, Kind kind) {
    app.add_option("-c,--config", common.config, "Configuration (else $UMS_CONFIG, else /etc/ums/mds.yaml)")
        ->type_name("FILE");
    app.add_option("--spool", common.spool, "Spool directory in place of the configured one")->type_name("DIR");
    app.add_flag("-n,--dry-run", common.dry_run, "Say what would be done; change nothing");
    app.add_flag("-v,--verbose", common.verbose, "Say more; twice: still more");
    app.add_flag("-q,--quiet", common.quiet, "Print the names alone");
    app.add_flag("--json", common.json, "Print a JSON object per line");
    app.add_option("--color", common.color, "Color on stderr")
        ->type_name("WHEN")
        ->check(CLI::IsMember({"auto", "always", "never"}));
    app.add_option("--log", common.log, "Also log to the systemd journal, or to a file as JSON lines")
        ->type_name("journal|FILE");
    app.add_flag("--check-config", common.check_config, "Only check the configuration");
    app.add_flag("-0,--null", common.nul, "Names end with NUL, not with a line end");
    if (kind == Kind::plain) return;
    app.add_option("--names", common.names, "Work on these entries only, names from FILE or - (standard input)")
        ->type_name("FILE");
    app.add_flag("--watch{5}", texts.watch, "Keep going: look again on changes, and every SECONDS (5)")
        ->type_name("=SECONDS");
    app.add_option("--limit", texts.limit, "Handle at most N messages in this run")->type_name("N");
}

/// What is meant by a word where a subcommand is expected; empty if that is not what is wrong.
std::string wrong_subcommand(const CLI::App& app) {
    if (!app.get_subcommands().empty()) return "";
    std::vector<std::string> names;
    for (const auto* sub : app.get_subcommands(nullptr)) names.push_back(sub->get_name());
    const auto rest = app.remaining();
    const auto word =
        std::find_if(rest.begin(), rest.end(), [](const std::string& one) { return !one.starts_with('-'); });
    if (names.empty() || word == rest.end()) return "";
    const std::vector<std::string_view> candidates(names.begin(), names.end());
    const auto nearest = text::nearest(*word, candidates);
    return "there is no subcommand " + text::quote(*word) +
           (nearest ? "; did you mean " + text::quote(*nearest) + "?" : "");
}

/// `--watch 5`: the number would be taken for a FILE.
void refuse_watch_with_a_blank(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; ++i) {
        if (std::string_view(argv[i]) == "--watch" && text::parse_number(argv[i + 1])) {
            throw Error(Fault::usage, std::string("the seconds of --watch follow a '=': --watch=") + argv[i + 1]);
        }
    }
}

report::Style style_of(const Common& common) {
    report::Style style;
    style.quiet = common.quiet;
    style.json = common.json && !common.quiet;
    style.names_end_in_nul = common.nul;
    style.verbose = common.verbose;
    const bool terminal = isatty(STDERR_FILENO) == 1;
    const char* no_color = std::getenv("NO_COLOR");  // no-color.org
    style.color =
        common.color == "always" || (common.color == "auto" && terminal && (no_color == nullptr || *no_color == '\0'));
    style.progress = terminal && !common.quiet;
    return style;
}

std::string default_config() {
    const char* from_environment = std::getenv("UMS_CONFIG");
    return from_environment != nullptr && *from_environment != '\0' ? from_environment : "/etc/ums/mds.yaml";
}

void print_diagnostics(const config::Loaded& loaded, bool warnings, report::Reporter* reporter) {
    for (const auto& diagnostic : loaded.diagnostics) {
        const bool warning = diagnostic.severity == config::Severity::warning;
        const bool shown = !warning || warnings;
        if (reporter != nullptr) {
            reporter->diagnostic(warning ? report::Level::warning : report::Level::error, config::to_string(diagnostic),
                                 shown);
        } else if (shown) {
            std::cerr << config::to_string(diagnostic) << "\n" << std::flush;
        }
    }
}

int check_config(const Common& common, report::Reporter& reporter) {
    auto loaded = config::load(common.config);
    if (loaded.config) {
        for (auto& diagnostic : rules::check_files(*loaded.config)) loaded.diagnostics.push_back(std::move(diagnostic));
    }
    print_diagnostics(loaded, true, &reporter);
    const auto errors = std::count_if(loaded.diagnostics.begin(), loaded.diagnostics.end(),
                                      [](const auto& d) { return d.severity == config::Severity::error; });
    if (!common.quiet) {
        const auto warnings = static_cast<long>(loaded.diagnostics.size()) - errors;
        reporter.data(text::escape(common.config) + ": " + std::to_string(errors) +
                      (errors == 1 ? " error, " : " errors, ") + std::to_string(warnings) +
                      (warnings == 1 ? " warning" : " warnings"));
    }
    return errors == 0 ? 0 : exit_code(Fault::configuration);
}

}  // namespace

bool stopping() noexcept { return stop_requested != 0 || config_stamp.changed; }

bool wait(std::chrono::milliseconds time) {
    // A signal between a look at stopping() and the sleep would be slept through: short sleeps bound that.
    const auto end = std::chrono::steady_clock::now() + time;
    while (!stopping()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0) return true;
        std::this_thread::sleep_for(std::min(left, std::chrono::milliseconds(100)));
    }
    return false;
}

void look_at_config(report::Reporter& reporter) {
    auto& stamp = config_stamp;
    if (stamp.owner != ::getpid() || stamp.changed || !take_stamp(stamp)) return;
    try {
        const auto loaded = config::load(stamp.file);
        if (loaded.config) {
            stamp.changed = true;
            reporter.info("the configuration has changed; starting again with it");
            return;
        }
        print_diagnostics(loaded, false, &reporter);
    } catch (const Error& error) {
        reporter.error(error.what());
    }
    reporter.error("the configuration " + text::quote(stamp.file) +
                   " has changed and has errors; the one before stays in force");
}

int guarded(report::Reporter& reporter, const std::function<int()>& work) {
    try {
        return work();
    } catch (const Error& error) {
        reporter.error(error.what());
        return exit_code(error.fault());
    } catch (const std::bad_alloc&) {
        reporter.error("out of memory; what was accepted is kept");
        return exit_code(Fault::later);
    } catch (const std::exception& error) {
        reporter.error(std::string("internal error: ") + error.what());
        return exit_code(Fault::internal);
    }
}

int run_tool(const Tool& tool, int argc, char** argv, const std::function<void(CLI::App&)>& setup,
             const std::function<int(const Common&, report::Reporter&)>& run) try {
    open_standard_descriptors();
    Common common;
    common.config = default_config();
    CLI::App app(tool.summary, tool.name);
    app.set_version_flag("--version", tool.name + " " + UMS_VERSION);
    app.set_help_flag("-h,--help", "Print this help");
    app.footer(tool.epilogue);
    app.fallthrough();
    app.get_formatter()->column_width(34);
    Texts texts;
    add_common(app, common, texts, tool.kind);
    setup(app);
    // An option that is a digit does not fall through from a subcommand: CLI11 takes it there for a negative number.
    for (auto* sub : app.get_subcommands({})) sub->add_flag("-0,--null", common.nul)->group("");
    const clock::SystemClock clock;
    try {
        if (tool.kind == Kind::stage) refuse_watch_with_a_blank(argc, argv);
        app.parse(argc, argv);
        read_numbers(texts, common);
    } catch (const CLI::Success& success) {
        app.exit(success);
        if (std::cout.flush()) return 0;
        std::cerr << tool.name << ": error: cannot write to standard output\n";
        return exit_code(Fault::cannot_read);
    } catch (const CLI::ParseError& problem) {
        const auto wrong = wrong_subcommand(app);
        std::cerr << tool.name << ": error: " << (wrong.empty() ? text::escape(problem.what()) : wrong) << "; see "
                  << tool.name << " --help\n";
        return exit_code(Fault::usage);
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception& problem) {
        std::cerr << tool.name << ": error: " << text::escape(problem.what()) << "; see " << tool.name << " --help\n";
        return exit_code(Fault::usage);
    }
    install_signals();

    std::unique_ptr<report::Log> log;
    try {
        if (!common.log.empty()) log = report::open_log(common.log, clock);
    } catch (const Error& error) {
        std::cerr << tool.name << ": error: " << error.what() << "\n";
        return exit_code(error.fault());
    }
    report::Reporter reporter(tool.name, style_of(common), clock, std::move(log));
    common.reporter = &reporter;
    const int code = guarded(reporter, [&] {
        if (common.check_config) return check_config(common, reporter);
        if (common.watch && common.limit > 0) throw Error(Fault::usage, "--watch and --limit exclude each other");
        if (common.watch && common.dry_run) throw Error(Fault::usage, "--watch and --dry-run exclude each other");
        return run(common, reporter);
    });
    if (config_stamp.changed && stop_requested == 0 && (code == 0 || code == exit_code(Fault::later))) {
        reporter.finish();
        log.reset();
        ::execv("/proc/self/exe", argv);
        reporter.error("cannot start again: " + std::generic_category().message(errno));
        return exit_code(Fault::later);
    }
    if (!reporter.finish()) return code == 0 || code == exit_attention ? exit_code(Fault::cannot_read) : code;
    return code;
} catch (const std::bad_alloc&) {  // before anything was begun
    std::cerr << tool.name << ": error: out of memory\n";
    return exit_code(Fault::later);
}

config::Config load_config(const Common& common) {
    // A log gets what -v would say too.
    const bool warnings = common.verbose > 0 || !common.log.empty();
    auto loaded = config::load(common.config, warnings ? config::Look::everything : config::Look::errors_alone);
    print_diagnostics(loaded, common.verbose > 0, common.reporter);
    if (!loaded.config) {
        throw Error(Fault::configuration,
                    "the configuration " + text::quote(common.config) + " has errors; nothing was done");
    }
    // Names from a pipe were read once, and would be lost with a new start.
    if (common.watch && common.names.empty()) {
        config_stamp.file = common.config;
        config_stamp.owner = ::getpid();
        take_stamp(config_stamp);
    }
    return std::move(*loaded.config);
}

std::string spool_root(const Common& common, const config::Config& config) {
    if (common.spool.empty()) return config.mds.spool;
    if (common.spool.starts_with('/')) return common.spool;
    std::array<char, 4096> here{};
    if (::getcwd(here.data(), here.size()) == nullptr)
        throw system_error(Fault::cannot_read, "find the working directory", errno);
    return std::string(here.data()) + "/" + common.spool;
}

std::string spool_root_as_owner(const Common& common, const config::Config& config) {
    auto root = spool_root(common, config);
    if (::geteuid() != 0) return root;
    struct stat st {};
    if (::stat(root.c_str(), &st) != 0 || st.st_uid == 0) return root;
    const auto* user = ::getpwuid(st.st_uid);
    const gid_t group = user != nullptr ? user->pw_gid : st.st_gid;
    const int groups = user != nullptr ? ::initgroups(user->pw_name, group) : ::setgroups(1, &group);
    if (groups != 0 || ::setresgid(group, group, group) != 0 || ::setresuid(st.st_uid, st.st_uid, st.st_uid) != 0) {
        throw system_error(Fault::permission,
                           "become the owner of the spool " + text::quote(root) + ", user " +
                               (user != nullptr ? text::quote(user->pw_name) : std::to_string(st.st_uid)),
                           errno);
    }
    return root;
}

spool::Spool open_spool(const Common& common, const config::Config& config, io::Disk& disk, const clock::Clock& clock) {
    const auto root = spool_root_as_owner(common, config);
    // A new spool because of a typing mistake would be empty, and everybody content.
    if (root != config.mds.spool && !disk.info(root + "/VERSION")) {
        throw Error(Fault::cannot_read,
                    "there is no spool at " + text::quote(root) +
                        ": --spool must name one that exists (only the one of the configuration is created)");
    }
    return {disk,
            clock,
            root,
            config.mds.id,
            config.mds.force_spool ? spool::NetworkFileSystem::allow : spool::NetworkFileSystem::refuse,
            common.dry_run ? spool::Opening::examine_if_there : spool::Opening::create};
}

std::vector<std::string> read_names(const std::string& from, bool nul, io::Disk& disk) {
    std::string content;
    if (from == "-") {
        std::array<char, 65'536> buffer{};
        for (;;) {
            const auto n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
            if (n == 0) break;
            if (n < 0) {
                if (errno == EINTR && !stopping()) continue;
                throw system_error(Fault::cannot_read, "read names from standard input", errno);
            }
            content.append(buffer.data(), static_cast<std::size_t>(n));
        }
    } else {
        auto read = io::read_file(disk, from, Bytes{256 << 20});
        if (!read) throw Error(Fault::cannot_read, "cannot read names from " + text::quote(from) + ": no such file");
        content = std::move(*read);
    }
    std::vector<std::string> names;
    for (auto part : text::split(content, nul ? '\0' : '\n')) {
        if (!nul) part = part.substr(0, part.find('\t'));
        part = nul ? part : text::trim(part);
        if (!part.empty()) names.emplace_back(part);
    }
    return names;
}

std::vector<std::string> names_of(const Common& common, const std::vector<std::string>& given, io::Disk& disk) {
    std::vector<std::string> names;
    for (const auto& one : given) {
        if (one == "-") {
            for (auto& name : read_names("-", common.nul, disk)) names.push_back(std::move(name));
        } else {
            names.push_back(one);
        }
    }
    return names;
}

std::vector<std::string> ids_of(const Common& common, const std::vector<std::string>& given, io::Disk& disk) {
    auto ids = names_of(common, given, disk);
    for (auto& id : ids) id = id.substr(0, id.find(','));
    return ids;
}

Names Names::read(const Common& common, io::Disk& disk) {
    Names names;
    if (common.names.empty()) return names;
    names.ids_.emplace();
    for (const auto& name : read_names(common.names, common.nul, disk)) {
        names.ids_->emplace(std::string_view(name).substr(0, name.find(',')));
    }
    return names;
}

bool Names::wants(const spool::EntryName& name) const { return !ids_ || ids_->contains(name.id()); }

void ExitCode::note(int code) noexcept {
    static constexpr std::array<int, 9> order{0, 1, 75, 69, 77, 74, 73, 78, 70};
    const auto rank = [](int c) { return std::find(order.begin(), order.end(), c) - order.begin(); };
    if (rank(code) > rank(value_)) value_ = code;
}

}  // namespace ums::cli
