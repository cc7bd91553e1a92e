// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/store_of.hpp"

#include <algorithm>

#include "delivery/assignment.hpp"
#include "site/site.hpp"
#include "text/text.hpp"

namespace ums::delivery {

namespace {

namespace attribute = spool::attribute;

transport::AuthMethod method_of(config::AuthMethod method) {
    switch (method) {
        case config::AuthMethod::automatic: return transport::AuthMethod::automatic;
        case config::AuthMethod::none: return transport::AuthMethod::none;
        case config::AuthMethod::basic: return transport::AuthMethod::basic;
        case config::AuthMethod::digest: return transport::AuthMethod::digest;
        case config::AuthMethod::ntlm: return transport::AuthMethod::ntlm;
        case config::AuthMethod::negotiate: return transport::AuthMethod::negotiate;
    }
    return transport::AuthMethod::automatic;
}

// As many as help: a distant WebDAV server needs many for what a near one does with few (see Client). A session of SMB or
// SMTP is dearer, and where the line is kept from being full, few are enough.
unsigned connections_of(const config::Limit& limit, target::Scheme scheme) {
    if (limit.connections) return *limit.connections;
    if (limit.bandwidth) return 2;
    return scheme == target::Scheme::dav || scheme == target::Scheme::davs ? 64 : 8;
}

transport::Limits limits_of(const config::Limit& limit, target::Scheme scheme) {
    transport::Limits limits;
    limits.connections = connections_of(limit, scheme);
    limits.bandwidth = limit.bandwidth.value_or(Bytes{0});
    limits.connect = limit.connect;
    limits.answer = limit.answer;
    limits.stall = limit.stall;
    return limits;
}

/// A file system keeps its word about renames; that of a server is tried.
std::string address_of(const target::Target& target) {
    return target.scheme == target::Scheme::file ? "" : target::to_string(target);
}

transport::Access access_of(const config::Auth& auth, const config::Tls& tls) {
    transport::Access access;
    access.method = method_of(auth.method);
    access.user = auth.user;
    access.ca_file = tls.ca;
    access.certificate = tls.cert;
    access.key = tls.key;
    access.pin = tls.pin;
    return access;
}

transport::StartTls starttls_of(const config::Auth& auth, const config::Tls& tls) {
    const bool trusts_somebody = !tls.ca.empty() || !tls.pin.empty() || !tls.cert.empty();
    const bool logs_in = !auth.user.empty() && auth.method != config::AuthMethod::none;
    switch (tls.starttls) {
        case config::StartTls::require: return transport::StartTls::require;
        case config::StartTls::attempt: return transport::StartTls::attempt;
        case config::StartTls::never: return transport::StartTls::never;
        case config::StartTls::automatic: break;
    }
    return trusts_somebody || logs_in ? transport::StartTls::require : transport::StartTls::attempt;
}

/// What cannot be opened (a secret, a certificate) is told with the name of who needs it.
template <typename Open>
auto named(const std::string& name, Open open) {
    try {
        return open();
    } catch (const Error& error) {
        throw Error(error.fault(), name + ": " + error.what(), error.error_number());
    }
}

}  // namespace

bool is_supported(const target::Target& target) noexcept {
    return target.scheme == target::Scheme::file || target.scheme == target::Scheme::dav ||
           target.scheme == target::Scheme::davs || target.scheme == target::Scheme::smb;
}

std::unique_ptr<transport::Store> store_of(const target::Target& target, const config::Auth& auth,
                                           const config::Tls& tls, const config::Http& http,
                                           const transport::Limits& limits, io::Disk& disk) {
    if (!is_supported(target)) {
        throw Error(Fault::configuration, "this version cannot carry to " + target::to_string(target));
    }
    auto access = access_of(auth, tls);
    if (target.scheme != target::Scheme::file) access.password = config::read_secret(auth.password);
    access.proxy = http.proxy;
    access.proxy_user = http.proxy_user;
    if (!http.proxy.empty()) access.proxy_password = config::read_secret(http.proxy_password);
    access.headers = http.headers;
    return transport::open_store(target, access, limits, disk);
}

std::unique_ptr<transport::Store> store_of(const config::Kernel& kernel, io::Disk& disk,
                                           std::optional<std::chrono::milliseconds> patience) {
    return named("kernel " + text::quote(kernel.name), [&] {
        auto limits = limits_of(kernel.limit, kernel.url.scheme);
        if (patience) {
            limits.connect = std::min(limits.connect, *patience);
            limits.answer = std::min(limits.answer, *patience);
            limits.stall = std::min(limits.stall, *patience);
        }
        return store_of(kernel.url, kernel.auth, kernel.tls, kernel.http, limits, disk);
    });
}

std::unique_ptr<transport::Store> store_of(const config::Connector& connector, io::Disk& disk) {
    auto target = connector.root.value();
    target.path = (target.path == "/" ? "" : target.path) + "/" + connector.name;
    return named("connector " + text::quote(connector.name), [&] {
        return store_of(target, connector.auth, connector.tls, connector.http,
                        limits_of(connector.limit, target.scheme), disk);
    });
}

std::unique_ptr<transport::MailServer> mail_server_of(const config::Deliver& deliver, const config::Limit& limit,
                                                      io::Disk& disk, std::function<bool()> stopping) {
    transport::MailSettings settings;
    settings.access = access_of(deliver.auth, deliver.tls);
    settings.access.password = config::read_secret(deliver.auth.password);
    settings.starttls = starttls_of(deliver.auth, deliver.tls);
    settings.connections = connections_of(limit, deliver.url.scheme);
    settings.connect = std::min<std::chrono::milliseconds>(settings.connect, deliver.timeout);
    settings.answer = deliver.timeout;
    settings.stopping = std::move(stopping);
    return transport::open_mail_server(deliver.url, settings, disk);
}

std::unique_ptr<transport::MailServer> mail_server_of(const config::Connector& connector, io::Disk& disk,
                                                      std::function<bool()> stopping) {
    return named("connector " + text::quote(connector.name),
                 [&] { return mail_server_of(connector.deliver.value(), connector.limit, disk, std::move(stopping)); });
}

std::string stage_of(const config::Config& config, const config::Kernel& kernel) {
    return kernel.stage.empty() ? "." + config.mds.id : kernel.stage;
}

Destination destination_of(const config::Config& config, const config::Kernel& kernel) {
    Destination destination;
    destination.name = kernel.name;
    destination.queue = spool::Queue::kernel(kernel.name);
    destination.stage = stage_of(config, kernel);
    destination.in_place = kernel.in_place;
    destination.address = address_of(kernel.url);
    destination.extension = kernel.extension;
    destination.keep_sent = config.mds.keep_sent.count() > 0 || kernel.recall;
    destination.directory = [](const spool::EntryName& name) -> std::optional<std::string> {
        const auto connector = name.get(attribute::connector);
        if (connector.empty()) return std::nullopt;
        return "R_" + std::string(connector) + "/Out";
    };
    destination.rejected = spool::Queue::outgoing();
    destination.edits = [&config](const spool::EntryName& name) {
        const auto* site = config.site(name.get(attribute::site));
        return name.number(attribute::duplicate) > 0 ||
               (site != nullptr && site::edits_outgoing(*site, home_of(config, name)));
    };
    destination.edit = [&config](const spool::EntryName& name, const message::HeaderBlock& block) {
        message::Edit edit;
        if (const auto* site = config.site(name.get(attribute::site)))
            edit = site::outgoing_edit(*site, block, home_of(config, name));
        if (name.number(attribute::duplicate) > 0) edit.fields.emplace_back("X-UMS-Possible-Duplicate", "yes");
        return edit;
    };
    return destination;
}

Destination destination_of(const config::Config& config, const config::Connector& connector) {
    Destination destination;
    destination.name = connector.name;
    destination.queue = spool::Queue::connector(connector.name);
    destination.stage = "." + config.mds.id;
    destination.in_place = connector.in_place;
    if (connector.root) destination.address = address_of(*connector.root);
    destination.extension = connector.extension;
    destination.keep_sent = config.mds.keep_sent.count() > 0;
    destination.directory = [](const spool::EntryName&) -> std::optional<std::string> { return "In"; };
    destination.edits = [&config](const spool::EntryName& name) {
        const auto* site = config.site(name.get(attribute::site));
        return site != nullptr && site::edits_incoming(*site);
    };
    destination.edit = [&config](const spool::EntryName& name, const message::HeaderBlock& block) {
        const auto* site = config.site(name.get(attribute::site));
        return site == nullptr ? message::Edit{} : site::incoming_edit(*site, block);
    };
    return destination;
}

}  // namespace ums::delivery
