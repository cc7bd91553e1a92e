// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "delivery/store_of.hpp"
#include "intake/intake.hpp"
#include "message/header_block.hpp"
#include "options.hpp"
#include "probe/probe.hpp"
#include "text/text.hpp"

namespace ums::fetch {

namespace {

using report::Result;
using spool::Queue;
using transport::Answer;
using transport::Verdict;

/// A connector or kernel with the directories that are collected there: one process each.
struct Place {
    std::string name;
    const config::Connector* connector = nullptr;
    const config::Kernel* kernel = nullptr;

    config::Limit limit() const {
        if (kernel != nullptr) return kernel->limit;
        return connector != nullptr ? connector->limit : config::Limit();
    }
};

std::vector<Place> places_of(const config::Config& config, const std::vector<std::string>& from) {
    std::vector<Place> places;
    const auto wanted = [&](const std::string& name) {
        return from.empty() || std::find(from.begin(), from.end(), name) != from.end();
    };
    for (const auto& connector : config.connectors) {
        if (connector.root && wanted(connector.name)) places.push_back({connector.name, &connector, nullptr});
    }
    for (const auto& kernel : config.kernels) {
        if (kernel.fetch && wanted(kernel.name)) places.push_back({kernel.name, nullptr, &kernel});
    }
    for (const auto& name : from) {
        if (std::none_of(places.begin(), places.end(), [&](const Place& place) { return place.name == name; })) {
            throw Error(Fault::usage, "nothing is fetched from " + text::quote(name) +
                                          ": it is no connector with a root and no kernel with 'fetch'");
        }
    }
    return places;
}

/// Of the files of a source in state/, in bytes.
constexpr std::size_t longest_key = 120;
/// What no file system can hold is no directory, whatever a server says.
constexpr std::size_t longest_directory = 255;

std::string local_path(const target::Target& target, const std::string& below) {
    if (target.scheme != target::Scheme::file) return "";
    return (target.path == "/" ? "" : target.path) + "/" + below;
}

class Collector {
  public:
    Collector(const cli::Common& common, const Options& options, const config::Config& config, const Place& place,
              report::Reporter& reporter)
        : common_(common), options_(options), config_(config), place_(place), reporter_(reporter) {}

    int run(std::size_t limit) {
        if (place_.kernel != nullptr && !delivery::is_supported(place_.kernel->url)) return 0;
        if (place_.connector != nullptr && !delivery::is_supported(*place_.connector->root)) return 0;
        if (place_.kernel != nullptr) {
            store_ = delivery::store_of(*place_.kernel, outside_);
        } else if (place_.connector != nullptr) {
            store_ = delivery::store_of(*place_.connector, outside_);
        }
        spool_.emplace(disk_, clock_, cli::spool_root(common_, config_), config_.mds.id,
                       config_.mds.force_spool ? spool::NetworkFileSystem::allow : spool::NetworkFileSystem::refuse,
                       common_.dry_run ? spool::Opening::examine_if_there : spool::Opening::create);
        std::vector<std::string> watched;
        if (place_.connector != nullptr) watched.push_back(local_path(*place_.connector->root, place_.name + "/Out"));
        limit_ = limit;
        cli::Common common = common_;
        if (common.watch && !watched.empty() && !watched.front().empty() && config_.mds.settle.count() > 0) {
            // inotify tells of a file's last change; that it has settled since, only another look tells.
            common.watch = std::min(*common.watch,
                                    std::max<std::chrono::milliseconds>(config_.mds.settle, std::chrono::seconds(1)));
        }
        return cli::run_passes(common, reporter_, watched, [&] { return pass(); });
    }

  private:
    /// A source of one process at a time: of overlapping runs the later ones pass on.
    int pass() {
        const auto now = clock_.steady();
        if (now < rest_until_) return 0;
        io::Fd lock;
        if (!common_.dry_run) {
            const std::string lock_path = spool_->state_path("sources/" + key("") + ".lock");
            lock = disk_.open_or_create(lock_path);
            if (!disk_.try_lock(lock, lock_path)) {
                reporter_.info(text::quote(place_.name) + ": another run is at it");
                return 0;
            }
        }
        code_ = cli::ExitCode();
        left_ = limit_;
        if (place_.connector != nullptr) {
            collect(source("Out", Queue::outgoing(), place_.name));
        } else {
            for (const auto& directory : kernel_directories()) {
                if (cli::stopping()) break;
                const auto name = directory.substr(2);
                const bool known = config_.connector(name) != nullptr;
                const auto one = source(directory + "/In", Queue::incoming(), known ? name : "");
                try {
                    collect(one);
                } catch (const Error& error) {  // what is wrong with one directory is not wrong with the next
                    reporter_.error("cannot fetch from " + text::quote(one.name) + ": " + error.what());
                    code_.note(exit_code(error.fault()));
                }
            }
        }
        return code_.value();
    }

    std::string key(const std::string& directory) const {
        std::string text = (place_.kernel != nullptr ? "kernel." : "connector.") + place_.name;
        if (!directory.empty()) text += "." + target::encode_segment(directory);
        // A file name has at most 255 bytes, and the kernel chooses those of its directories. Longer than any key that is
        // left as it is, so that it equals none of them.
        if (text.size() > longest_key) text = text.substr(0, longest_key) + "." + text::hex(text::hash(text));
        return text;
    }

    intake::Source source(const std::string& directory, const Queue& queue, const std::string& connector) const {
        intake::Source source;
        source.name = place_.name + "/" + directory;
        source.key = key(directory);
        source.directory = directory;
        source.queue = queue;
        source.connector = connector;
        if (place_.kernel != nullptr) {
            source.origin = place_.name;
            source.local = local_path(place_.kernel->url, directory);
        } else {
            source.local = local_path(*place_.connector->root, place_.name + "/" + directory);
        }
        return source;
    }

    /// The `R_*` of the kernel that are collected here.
    std::vector<std::string> kernel_directories() {
        std::vector<std::string> directories;
        if (place_.kernel->fetch_connectors) {
            for (const auto& name : *place_.kernel->fetch_connectors) directories.push_back("R_" + name);
            return directories;
        }
        const auto answer = store_->list("", [&](const transport::Item& item) {
            if (item.kind == transport::ItemKind::directory && item.name.starts_with("R_") && item.name.size() > 2 &&
                item.name.size() <= longest_directory) {
                directories.push_back(item.name);
            }
            return true;
        });
        if (!answer.done()) complain(answer, place_.name);
        std::sort(directories.begin(), directories.end());
        return directories;
    }

    void complain(const Answer& answer, const std::string& where) {
        const auto pause = std::min<std::chrono::seconds>(std::chrono::seconds(5) * (1U << std::min(failures_, 4U)),
                                                          std::chrono::seconds(60));
        if (common_.watch) {
            ++failures_;
            rest_until_ = clock_.steady() + pause;
        }
        const bool no_rename = answer.status == 405 || answer.status == 501;
        reporter_.error(
            "cannot fetch from " + text::quote(where) + ": " + text::escape(answer.text) +
            (no_rename ? "; what is fetched is claimed by a rename first: the server must allow it, or say 'fetch: no'"
             : common_.watch ? "; next try in " + std::to_string(pause.count()) + " s"
                             : "; the next run tries again"));
        code_.note(exit_code(answer.verdict == Verdict::unreachable ? Fault::unreachable
                             : answer.verdict == Verdict::denied    ? Fault::permission
                                                                    : Fault::later));
    }

    void collect(intake::Source source) {
        const std::string where = source.name;
        std::vector<intake::Report> reports;
        Answer answer;
        std::size_t unripe = 0;
        try {
            intake::Intake intake(*spool_, *store_, std::move(source), config_.mds.settle, clock_, pace_);
            if (common_.dry_run) {
                answer = intake.examine([&](intake::Report report) {
                    reports.push_back(std::move(report));
                    if (reports.size() >= 256) publish(where, reports);
                });
            } else {
                if (!options_.take_over.empty()) {
                    answer = intake.take_over(options_.take_over, reports);
                    if (!answer.done()) complain(answer, where);
                }
                answer = intake.recover(reports);
                const auto before =
                    static_cast<std::size_t>(std::count_if(reports.begin(), reports.end(), [](const auto& report) {
                        return report.outcome == intake::Report::Outcome::fetched;
                    }));
                if (answer.done() && !(limit_ > 0 && left_ <= before)) {
                    answer = intake.collect(
                        limit_ > 0 ? left_ - before : 0,
                        [&] {
                            publish(where, reports);
                            return !cli::wait(pace_.pause());
                        },
                        reports);
                }
            }
            unripe = intake.unripe();
        } catch (...) {
            publish(where, reports);
            throw;
        }
        publish(where, reports);
        if (unripe > 0) tell_unripe(unripe, where);
        // A kernel has no directory for a connector before the first message: nothing to fetch is no error there.
        if (answer.verdict == Verdict::absent) {
            if (place_.connector != nullptr) {
                reporter_.warning("there is no directory " + text::quote(where) +
                                  " to fetch from; the connector makes it, or you do, with the right to rename there");
            }
        } else if (!answer.done()) {
            complain(answer, where);
        } else {
            failures_ = 0;
        }
    }

    /// Whoever tries a run is there to hear why nothing comes; else it is what happens to each file once.
    void tell_unripe(std::size_t count, const std::string& where) {
        const std::string text = std::to_string(count) + (count == 1 ? " file at " : " files at ") +
                                 text::quote(where) + (count == 1 ? " is" : " are") +
                                 " not ripe yet: empty, or not seen unchanged in two looks, " +
                                 text::rough_duration(config_.mds.settle) + " apart ('settle')";
        if (!common_.dry_run) {
            reporter_.info(text);
            return;
        }
        reporter_.warning(text);
        code_.note(exit_code(Fault::later));
    }

    void publish(const std::string& where, std::vector<intake::Report>& reports) {
        std::vector<spool::Spool::Event> events;
        for (const auto& report : reports) {
            if (report.outcome == intake::Report::Outcome::fetched) {
                reporter_.line({report.name, Result::fetched, report.detail, {{"source", where}}});
                events.push_back({report.name.substr(0, report.name.find(',')), "fetched", report.detail});
                if (left_ > 0) --left_;
            } else if (report.outcome == intake::Report::Outcome::told) {
                reporter_.warning(text::quote(where) + ": " + report.detail);
                if (report.fault) code_.note(exit_code(*report.fault));
            } else {
                reporter_.warning("left " + text::quote(report.name) + " at " + text::quote(where) + ": " +
                                  text::escape(report.detail));
                code_.note(exit_code(report.fault.value_or(Fault::later)));
            }
        }
        if (!common_.dry_run) spool_->journal("ums-fetch", events);
        reporter_.flush();
        reports.clear();
    }

    const cli::Common& common_;
    const Options& options_;
    const config::Config& config_;
    const Place& place_;
    report::Reporter& reporter_;
    io::PosixDisk disk_;
    io::PosixDisk outside_{io::Sharing::by_umask};
    clock::SystemClock clock_;
    transport::Pace pace_{clock_, place_.limit().messages_per_second.value_or(0)};
    std::unique_ptr<transport::Store> store_;
    std::optional<spool::Spool> spool_;
    cli::ExitCode code_;
    std::size_t limit_ = 0;
    std::size_t left_ = 0;
    unsigned failures_ = 0;
    std::chrono::steady_clock::time_point rest_until_{};
};

void copy_stream(int fd, const std::string& name, spool::Draft& draft) {
    std::vector<char> buffer(256 * 1024);
    bool any = false;
    for (;;) {
        const auto n = ::read(fd, buffer.data(), buffer.size());
        if (n < 0) {
            if (errno == EINTR) {
                if (cli::stopping()) throw Error(Fault::later, "interrupted; nothing was accepted");
                continue;
            }
            throw system_error(Fault::cannot_read, "read " + name, errno);
        }
        if (n == 0) break;
        any = true;
        draft.write({buffer.data(), static_cast<std::size_t>(n)});
    }
    if (!any) throw Error(Fault::unusable, name + " is empty; nothing was accepted");
}

/// Puts the messages given on the command line into the spool; each is accepted when its line is printed.
int put(const cli::Common& common, const Options& options, const config::Config& config, report::Reporter& reporter) {
    std::string connector = options.connector;
    if (connector.empty() && config.connectors.size() == 1) connector = config.connectors.front().name;
    if (connector.empty()) throw Error(Fault::usage, "whose message is it? Give --connector NAME");
    if (config.connector(connector) == nullptr) {
        throw Error(Fault::usage, "the configuration has no connector " + text::quote(connector));
    }
    io::PosixDisk disk;
    const clock::SystemClock clock;
    auto spool = cli::open_spool(common, config, disk, clock);
    for (const auto& file : options.files) {
        const auto name =
            spool::EntryName::make(clock.now(), config.mds.id).with(spool::attribute::connector, connector);
        if (common.dry_run) {
            reporter.line({name.text(), Result::fetched, "would be put into the spool", {}});
            continue;
        }
        std::vector<spool::Draft> one;
        one.push_back(spool.draft(Queue::outgoing(), name));
        auto& draft = one.front();
        if (file == "-") {
            copy_stream(STDIN_FILENO, "standard input", draft);
        } else {
            // Whatever can be read will do: a link, a pipe. Whoever names it knows what it is.
            const io::Fd source(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
            if (!source)
                throw system_error(fault_of_errno(errno, Fault::cannot_read), "open " + text::quote(file), errno);
            copy_stream(source.get(), text::quote(file), draft);
        }
        // Whoever hands in a single message is there to hear that it cannot be used.
        const auto header = message::read_header(disk, draft.file(), draft.path());
        if (header.block.is_urgent()) draft.rename(draft.name().with(spool::attribute::priority, 1));
        const auto final = draft.name();
        spool.accept(one);
        const std::array<spool::Spool::Event, 1> event{
            {{std::string(final.id()), "fetched", "by hand, for " + connector}}};
        spool.journal("ums-fetch", event);
        reporter.line({final.text(), Result::fetched, connector, {{"source", file}}});
    }
    return 0;
}

}  // namespace

int run(const cli::Common& common, const Options& options, report::Reporter& reporter) {
    const transport::Library library;
    const auto config = cli::load_config(common);
    if (!options.probe.empty()) {
        if (!options.files.empty()) throw Error(Fault::usage, "--probe takes one target at a time, and no FILE");
        return probe::run(common, config, options.probe, probe::Use::fetching, reporter);
    }
    if (!options.files.empty()) return put(common, options, config, reporter);
    if (!options.connector.empty()) throw Error(Fault::usage, "--connector goes with a FILE or -");
    if (!common.names.empty())
        throw Error(Fault::usage, "--names means entries of the spool; ums-fetch brings new ones");

    const auto places = places_of(config, options.from);
    {
        // What is wrong with the spool is said once, not by every worker.
        io::PosixDisk disk;
        const clock::SystemClock clock;
        static_cast<void>(cli::open_spool(common, config, disk, clock));
    }
    std::vector<cli::Job> jobs;
    for (const auto& place : places) {
        jobs.push_back({place.name, [&](std::size_t limit) {
                            return Collector(common, options, config, place, reporter).run(limit);
                        }});
    }
    const auto codes = cli::run_jobs(common, reporter, jobs);
    cli::ExitCode code;
    const bool all_unreachable = !codes.empty() && std::all_of(codes.begin(), codes.end(), [](int c) {
        return c == exit_code(Fault::unreachable);
    });
    for (const int c : codes) {
        // One source that cannot be reached is left for later; that none can be is worth a code of its own.
        code.note(c == exit_code(Fault::unreachable) && !all_unreachable ? exit_code(Fault::later) : c);
    }
    return code.value();
}

}  // namespace ums::fetch
