// SPDX-License-Identifier: GPL-3.0-or-later
#include "probe/probe.hpp"

#include <algorithm>

#include "delivery/letter.hpp"
#include "delivery/store_of.hpp"
#include "text/text.hpp"
#include "transport/probe.hpp"

namespace ums::probe {

namespace {

std::string_view word(transport::Finding finding) {
    switch (finding) {
        case transport::Finding::good: return "ok";
        case transport::Finding::warning: return "warning";
        case transport::Finding::bad: return "BAD";
    }
    return "";
}

std::string pad(std::string text, std::size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

/// Whose stage directory it is. Nothing is said where it has no owner, or cannot be read: other checks tell that.
std::optional<transport::Check> owner(const cli::Common& common, const config::Config& config, transport::Store& store,
                                      const std::string& stage, const clock::Clock& clock) {
    using transport::Finding;
    std::string found;
    if (!store.read(stage + "/owner", Bytes{4096}, found).done()) return std::nullopt;
    std::string own;
    try {
        io::PosixDisk disk;
        own = spool::Spool(disk, clock, cli::spool_root(common, config), config.mds.id, spool::NetworkFileSystem::allow,
                           spool::Opening::examine)
                  .uuid();
    } catch (const Error& error) {
        return transport::Check{"owner", Finding::warning,
                                std::string("a spool has used ") + stage + ", but is it ours? " + error.what()};
    }
    if (text::trim(found) == own) return transport::Check{"owner", Finding::good, "this spool"};
    return transport::Check{"owner", Finding::bad,
                            stage + " belongs to another spool with the MDS id " + config.mds.id +
                                "; give this MDS another id (if that spool is gone for ever, remove the file 'owner' "
                                "there)"};
}

constexpr std::size_t widest_name = std::string_view("addresses beyond ASCII").size();

/// The table, line by line as the checks are made, and the exit code that comes of them.
class Table {
  public:
    Table(const cli::Common& common, std::string what, const std::string& address, report::Reporter& reporter)
        : json_(common.json), what_(std::move(what)), reporter_(reporter) {
        if (json_) return;
        reporter_.data(text::escape(what_) + " (" + text::escape(address) + ")");
        reporter_.flush();
    }

    void add(const transport::Check& check) {
        if (json_) {
            reporter_.data("{\"target\":" + text::json_string(what_) + ",\"check\":" + text::json_string(check.name) +
                           ",\"finding\":" + text::json_string(text::lower(word(check.finding))) +
                           ",\"detail\":" + text::json_string(check.detail) + "}");
        } else {
            reporter_.data("  " + pad(check.name, widest_name) + "  " + pad(std::string(word(check.finding)), 7) +
                           "  " + text::escape(check.detail));
        }
        reporter_.flush();
        if (check.finding != transport::Finding::bad || code_ != 0) return;
        code_ = check.name == "connect" ? exit_code(Fault::unreachable)
                : check.name == "login" ? exit_code(Fault::permission)
                                        : exit_attention;
    }

    bool is_reached() const noexcept { return code_ != exit_code(Fault::unreachable); }
    int code() const noexcept { return code_; }

  private:
    bool json_;
    std::string what_;
    report::Reporter& reporter_;
    int code_ = 0;
};

// What a delivery needs is not what a fetch needs.
void adapt(transport::Check& check, Use use, bool in_place) {
    const bool overwrite = check.name == "overwrite protection";
    if (check.name != "rename" && !overwrite) return;
    if (use == Use::fetching && overwrite) {
        // The name of a claim is nobody else's.
        check.finding = transport::Finding::warning;
    } else if (use == Use::fetching) {
        check.detail +=
            "; what is fetched is claimed by a rename first, so nothing can be fetched from here: "
            "'fetch: no', or a server that can";
    } else if (in_place) {
        check.finding = transport::Finding::warning;
        check.detail += ", as it is here";
    }
}

/// Where ums-fetch(1) looks: of a kernel what its connectors have there.
std::vector<std::string> sources_of(const config::Config& config, const std::string& what) {
    std::vector<std::string> sources;
    if (const auto* kernel = config.kernel(what)) {
        if (kernel->fetch_connectors) {
            for (const auto& name : *kernel->fetch_connectors) sources.push_back("R_" + name + "/In");
        } else {
            for (const auto& connector : config.connectors) sources.push_back("R_" + connector.name + "/In");
        }
    } else if (config.connector(what) != nullptr) {
        sources.emplace_back("Out");
    }
    return sources;
}

bool is_mail(const target::Target& target) noexcept {
    return target.scheme == target::Scheme::smtp || target.scheme == target::Scheme::smtps ||
           target.scheme == target::Scheme::lmtp;
}

int probe_mail(const cli::Common& common, const std::string& what, const config::Deliver& deliver,
               report::Reporter& reporter) {
    io::PosixDisk disk;
    // Who looks at a table does not want to wait as long as a delivery does.
    auto patient = deliver;
    patient.timeout = std::min<config::Duration>(patient.timeout, std::chrono::seconds(30));
    const auto server = delivery::mail_server_of(patient, {}, disk, cli::stopping);
    // A number of no one's: its sender has the form that all have.
    config::Config none;
    config::Connector connector;
    connector.deliver = deliver;
    const auto sender = delivery::Postmark(none, connector).sender("+4930000000", message::Service::fax, nullptr);
    Table table(common, what, target::to_string(deliver.url), reporter);
    server->probe(sender, [&](const transport::Check& check) { table.add(check); });
    return table.code();
}

}  // namespace

int run(const cli::Common& common, const config::Config& config, const std::string& what, Use use,
        report::Reporter& reporter) {
    if (common.dry_run) throw Error(Fault::usage, "--probe tries by writing: it cannot go with --dry-run");
    // What is tried are the rights of who will carry, and what is made must be his.
    static_cast<void>(cli::spool_root_as_owner(common, config));
    io::PosixDisk disk(io::Sharing::by_umask);
    clock::SystemClock clock;
    std::unique_ptr<transport::Store> store;
    std::string scratch = "." + config.mds.id;
    bool in_place = false;
    std::string address;
    if (const auto* kernel = config.kernel(what)) {
        store = delivery::store_of(*kernel, disk);
        scratch = delivery::stage_of(config, *kernel);
        in_place = kernel->in_place;
        address = target::to_string(kernel->url);
    } else if (const auto* connector = config.connector(what)) {
        if (use == Use::sending && connector->deliver) return probe_mail(common, what, *connector->deliver, reporter);
        if (!connector->root) {
            throw Error(Fault::usage,
                        "nothing is fetched from the connector " + text::quote(what) + ": it has no 'root'");
        }
        store = delivery::store_of(*connector, disk);
        in_place = connector->in_place;
        address = target::to_string(*connector->root) + "/" + connector->name;
    } else if (what.find('/') == std::string::npos && what.find('\\') == std::string::npos) {
        throw Error(Fault::usage,
                    text::quote(what) + " is neither a kernel nor a connector of the configuration, nor a URL");
    } else {
        const auto target = target::parse_target(what, "/");
        if (const auto* problem = std::get_if<std::string>(&target))
            throw Error(Fault::usage, text::quote(what) + ": " + *problem);
        if (is_mail(std::get<target::Target>(target))) {
            config::Deliver deliver;
            deliver.url = std::get<target::Target>(target);
            return probe_mail(common, what, deliver, reporter);
        }
        store = delivery::store_of(std::get<target::Target>(target), {}, {}, {}, {}, disk);
        address = target::to_string(std::get<target::Target>(target));
    }

    Table table(common, what, address, reporter);
    const auto tell = [&](transport::Check check) {
        if (check.finding == transport::Finding::bad) adapt(check, use, in_place);
        table.add(check);
    };
    transport::probe(*store, scratch, clock, tell);
    // Who does not answer is not asked again.
    if (!table.is_reached()) return table.code();
    if (auto check = owner(common, config, *store, scratch, clock)) tell(std::move(*check));
    if (use == Use::fetching) {
        const auto tell_source = [&](transport::Check check) {
            // A kernel makes its directories with the first message.
            if (config.kernel(what) != nullptr && check.finding == transport::Finding::warning)
                check.finding = transport::Finding::good;
            table.add(check);
        };
        for (const auto& source : sources_of(config, what)) transport::probe_source(*store, source, tell_source);
    }
    return table.code();
}

}  // namespace ums::probe
