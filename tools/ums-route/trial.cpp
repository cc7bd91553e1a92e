// SPDX-License-Identifier: GPL-3.0-or-later
#include "trial.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "config/cases.hpp"
#include "decision.hpp"
#include "rules/rules.hpp"
#include "single.hpp"
#include "spool/spool.hpp"
#include "text/text.hpp"

namespace ums::route {

namespace {

using rules::Decision;

void tell(const config::Diagnostic& diagnostic, report::Reporter& reporter) {
    const bool is_error = diagnostic.severity == config::Severity::error;
    reporter.diagnostic(is_error ? report::Level::error : report::Level::warning, config::to_string(diagnostic), true);
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
    return out;
}

std::string json_list(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& word : words) out += (out.empty() ? "" : ",") + text::json_string(word);
    return "[" + out + "]";
}

// A message of which only what rules look at exists.
class Made {
  public:
    explicit Made(const config::RoutingCase& from) : case_(from), block_(message::HeaderBlock::parse(text_of(from))) {
        envelope_ = message::envelope_of(block_, {});
    }
    rules::Subject subject(clock::Instant now) const {
        rules::Subject subject;
        subject.block = &block_;
        subject.connector = case_.connector;
        subject.envelope = &envelope_;
        subject.size = case_.size.value_or(Bytes{block_.bytes().size()});
        subject.at = case_.at.value_or(now);
        subject.attachments = [this] {
            std::vector<message::Attachment> found;
            for (const auto& [type, name] : case_.attachments)
                found.push_back({type.empty() ? "application/octet-stream" : type, name});
            return found;
        };
        return subject;
    }

  private:
    static std::string text_of(const config::RoutingCase& from) {
        std::string out = "MAIL FROM:" + from.sender + "\r\n";
        for (const auto& recipient : from.recipients) out += "RCPT TO:" + recipient + "\r\n";
        for (const auto& [name, value] : from.header) out.append(name).append(": ").append(value).append("\r\n");
        return out + "\r\n";
    }

    const config::RoutingCase& case_;
    message::HeaderBlock block_;
    message::Envelope envelope_;
};

struct Went {
    std::vector<std::string> ways;
    std::vector<std::string> reasons;  // one each
};

Went went(const config::Config& config, const rules::Table& table, const rules::Subject& subject) {
    std::map<std::string, std::string> ways;
    for (const auto& group : groups_of(config, table, subject)) {
        ways.try_emplace(group.word(), group.reason);
    }
    Went result;
    for (const auto& [way, reason] : ways) {
        result.ways.push_back(way);
        result.reasons.push_back(reason);
    }
    return result;
}

}  // namespace

int run_cases(const cli::Common& common, const config::Config& config, const std::string& file,
              report::Reporter& reporter) {
    const auto loaded = config::load_cases(file, config);
    for (const auto& diagnostic : loaded.diagnostics) tell(diagnostic, reporter);
    if (std::any_of(loaded.diagnostics.begin(), loaded.diagnostics.end(),
                    [](const auto& d) { return d.severity == config::Severity::error; })) {
        throw Error(Fault::configuration, "the cases " + text::quote(file) + " have errors; nothing was tried");
    }
    const rules::Table table(config);
    const clock::SystemClock clock;
    std::size_t failed = 0;
    for (const auto& one : loaded.cases) {
        Went got;
        if (one.message.empty()) {
            got = went(config, table, Made(one).subject(clock.now()));
        } else {
            const Single message(one.message, table);
            auto subject = message.subject(one.connector, one.at.value_or(clock.now()));
            if (one.size) subject.size = one.size;
            got = went(config, table, subject);
        }
        const bool passed = got.ways == one.to;
        failed += passed ? 0 : 1;
        const std::string place = text::escape(one.place.file) + ":" + std::to_string(one.place.line);
        const std::string what = !one.name.empty()      ? one.name
                                 : !one.message.empty() ? one.message
                                                        : joined(one.recipients);
        if (common.json) {
            reporter.data("{\"place\":" + text::json_string(place) + ",\"case\":" + text::json_string(what) +
                          ",\"passed\":" + (passed ? "true" : "false") + ",\"expected\":" + json_list(one.to) +
                          ",\"got\":" + json_list(got.ways) + ",\"reasons\":" + json_list(got.reasons) + "}");
        } else if (common.quiet) {
            if (!passed) reporter.data(place);
        } else {
            reporter.data(place + "\t" + (passed ? "ok" : "FAILED") + "\t" + text::escape(what));
            if (passed) continue;
            for (const auto& way : one.to) {
                if (std::find(got.ways.begin(), got.ways.end(), way) == got.ways.end())
                    reporter.data("  - " + text::escape(way));
            }
            for (std::size_t i = 0; i < got.ways.size(); ++i) {
                const bool wanted = std::find(one.to.begin(), one.to.end(), got.ways[i]) != one.to.end();
                if (!wanted) reporter.data("  + " + text::escape(got.ways[i]) + "  " + text::visible(got.reasons[i]));
            }
        }
    }
    if (!common.json && !common.quiet) {
        reporter.data(std::to_string(loaded.cases.size()) + (loaded.cases.size() == 1 ? " case, " : " cases, ") +
                      std::to_string(failed) + " failed");
    }
    return failed == 0 ? 0 : exit_attention;
}

namespace {

struct Count {
    std::size_t messages = 0;
    std::size_t recipients = 0;
};

// Counts of one table, and what each recipient of the message at hand became.
struct Side {
    explicit Side(const config::Config& of) : config(of), table(of) {}
    const config::Config& config;
    rules::Table table;
    std::map<std::string, Count> counts;
    std::vector<Decision> decisions;

    void route(const rules::Subject& subject) {
        decisions.clear();
        std::set<std::string> ways;
        for (const auto& recipient : subject.envelope->recipients) {
            decisions.push_back(with_site(config, table.decide(subject, recipient), recipient));
            const auto way = decisions.back().word();
            ++counts[way].recipients;
            if (ways.insert(way).second) ++counts[way].messages;
        }
    }
};

// Files below a directory, or of a queue: path, name to show, connector.
struct Found {
    std::string path;
    std::string name;
    std::string connector;
    bool released = false;
};

std::vector<Found> found_in(const cli::Common& common, const config::Config& config, const std::string& where) {
    std::vector<Found> found;
    std::error_code error;
    if (std::filesystem::is_directory(where, error)) {
        namespace fs = std::filesystem;
        for (fs::recursive_directory_iterator it(where, fs::directory_options::skip_permission_denied, error), end;
             !error && it != end; it.increment(error)) {
            const std::string name = it->path().filename().string();
            const bool hidden = name.starts_with('.');
            if (hidden && it->is_directory(error)) it.disable_recursion_pending();
            if (hidden || name.ends_with(".why") || it->symlink_status(error).type() != fs::file_type::regular)
                continue;
            found.push_back({it->path().string(), fs::relative(it->path(), where, error).string(), "", false});
        }
        if (error) throw Error(Fault::cannot_read, "cannot list " + text::quote(where) + ": " + error.message());
    } else if (const auto queue = spool::parse_queue(where)) {
        io::PosixDisk disk;
        const clock::SystemClock clock;
        const spool::Spool spool(disk, clock, cli::spool_root(common, config), config.mds.id,
                                 spool::NetworkFileSystem::allow, spool::Opening::examine);
        for (const auto state : {spool::State::fresh, spool::State::hold}) {
            for (const auto& entry : spool.list(*queue, state)) {
                found.push_back(
                    {spool.path(entry), entry.name.text(), std::string(entry.name.get(spool::attribute::connector)),
                     entry.state == spool::State::fresh && entry.name.get(spool::attribute::ruled) == "hold"});
            }
        }
    } else {
        throw Error(Fault::usage, text::quote(where) +
                                      " is neither a directory nor a queue of the spool (outgoing, "
                                      "noroute, failed, sent, site/S, kernel/K)");
    }
    std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.name < b.name; });
    return found;
}

std::string padded(std::string text, std::size_t width) {
    text.resize(std::max(text.size(), width), ' ');
    return text;
}

void print_counts(const cli::Common& common, const Side& now, const Side* before, report::Reporter& reporter) {
    std::set<std::string> ways;
    for (const auto& [way, count] : now.counts) ways.insert(way);
    if (before != nullptr) {
        for (const auto& [way, count] : before->counts) ways.insert(way);
    }
    const auto of = [](const Side& side, const std::string& way) {
        const auto found = side.counts.find(way);
        return found == side.counts.end() ? Count{} : found->second;
    };
    std::size_t width = 4;
    for (const auto& way : ways) width = std::max(width, way.size());
    if (!common.json) {
        reporter.data(padded("SITE", width) + "  " + padded("MESSAGES", 10) + "RECIPIENTS" +
                      (before != nullptr ? "  BEFORE" : ""));
    }
    for (const auto& way : ways) {
        const auto count = of(now, way);
        if (common.json) {
            reporter.data("{\"site\":" + text::json_string(way) + ",\"messages\":" + std::to_string(count.messages) +
                          ",\"recipients\":" + std::to_string(count.recipients) +
                          (before != nullptr ? ",\"before\":" + std::to_string(of(*before, way).recipients) : "") +
                          "}");
            continue;
        }
        auto line = padded(way, width) + "  " + padded(std::to_string(count.messages), 10);
        if (before == nullptr) {
            line += std::to_string(count.recipients);
        } else {
            line += padded(std::to_string(count.recipients), 12) + std::to_string(of(*before, way).recipients);
        }
        reporter.data(line);
    }
}

}  // namespace

int simulate(const cli::Common& common, const config::Config& config, const std::string& where,
             const std::string& against, report::Reporter& reporter) {
    std::optional<config::Config> other;
    if (!against.empty()) {
        auto loaded = config::load(against);
        for (const auto& diagnostic : loaded.diagnostics) {
            if (diagnostic.severity == config::Severity::error) tell(diagnostic, reporter);
        }
        if (!loaded.config) {
            throw Error(Fault::configuration, "the configuration " + text::quote(against) + " has errors");
        }
        other = std::move(*loaded.config);
    }
    Side now(config);
    std::optional<Side> before;
    if (other) before.emplace(*other);

    const clock::SystemClock clock;
    const auto time = clock.now();
    std::size_t unusable = 0;
    std::size_t changed = 0;
    const auto files = found_in(common, config, where);
    for (std::size_t i = 0; i < files.size() && !cli::stopping(); ++i) {
        const auto& file = files[i];
        try {
            const Single message(file.path, now.table);
            auto subject = message.subject(file.connector, time);
            subject.released = file.released;
            now.route(subject);
            if (before) {
                // The other table may find other recipients in a mail, and ask for more of it.
                const Single old(file.path, before->table);
                auto old_subject = old.subject(file.connector, time);
                old_subject.released = file.released;
                before->route(old_subject);
            }
            for (std::size_t k = 0; before && k < now.decisions.size(); ++k) {
                const auto& to = now.decisions[k];
                const std::string from = k < before->decisions.size() ? before->decisions[k].word() : "nowhere";
                if (from == to.word()) continue;
                ++changed;
                const auto& recipient = message.recipients()[k].spelling;
                if (common.json) {
                    reporter.data(
                        "{\"name\":" + text::json_string(file.name) + ",\"recipient\":" + text::json_string(recipient) +
                        ",\"before\":" + text::json_string(from) + ",\"now\":" + text::json_string(to.word()) +
                        ",\"reason\":" + text::json_string(to.reason) + "}");
                } else if (common.quiet) {
                    reporter.data(text::escape(file.name));
                } else {
                    reporter.data(text::escape(file.name) + "\t" + from + " -> " + to.word() + "\t" +
                                  text::escape(recipient) + ": " + text::visible(to.reason));
                }
            }
        } catch (const Error& error) {
            if (error.fault() != Fault::unusable && error.fault() != Fault::cannot_read) throw;
            ++unusable;
            reporter.info(error.what());
        }
        reporter.progress(i + 1, files.size());
    }
    if (!common.quiet) {
        if (changed > 0 && !common.json) reporter.data("");
        print_counts(common, now, before ? &*before : nullptr, reporter);
    }
    if (unusable > 0) {
        reporter.warning(std::to_string(unusable) + (unusable == 1 ? " file is" : " files are") +
                         " no message that can be routed; -v names them");
    }
    return changed > 0 ? exit_attention : 0;
}

}  // namespace ums::route
