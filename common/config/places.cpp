// SPDX-License-Identifier: GPL-3.0-or-later
//
// The sections `kernels:` and `connectors:`: where messages are carried to and fetched from.
#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <variant>

#include "config/draft.hpp"
#include "config/section.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

using target::Scheme;

constexpr bool is_mail(Scheme scheme) {
    return scheme == Scheme::smtp || scheme == Scheme::smtps || scheme == Scheme::lmtp;
}

std::string_view scheme_name(Scheme scheme) {
    switch (scheme) {
        case Scheme::file: return "file";
        case Scheme::dav: return "dav";
        case Scheme::davs: return "davs";
        case Scheme::smb: return "smb";
        case Scheme::smtp: return "smtp";
        case Scheme::smtps: return "smtps";
        case Scheme::lmtp: return "lmtp";
    }
    return "";
}

enum class Use { store, mail };

std::optional<target::Target> read_target(Section& section, std::string_view key, Use use, const std::string& base) {
    std::string url;
    if (!section.text(key, url)) return std::nullopt;
    const Node& node = *section.find(key);
    Report& report = section.report();
    auto parsed = target::parse_target(url, base);
    if (const auto* problem = std::get_if<std::string>(&parsed)) {
        // What stands before an @ may be a password.
        const bool may_tell = url.find('@') == std::string::npos;
        report.error(node, text::quote(key) + (may_tell ? " " + text::quote(url) : "") + ": " + *problem);
        return std::nullopt;
    }
    auto& found = std::get<target::Target>(parsed);
    if (use == Use::store && is_mail(found.scheme)) {
        report_wrong(node, key, "a directory, dav://, davs:// or smb://", report);
        return std::nullopt;
    }
    if (use == Use::mail && !is_mail(found.scheme)) {
        report_wrong(node, key, "smtp://, smtps:// or lmtp://", report);
        return std::nullopt;
    }
    return std::move(found);
}

void read_secret_keys(Section& section, Secret& secret, const std::string& base) {
    const std::size_t given = static_cast<std::size_t>(section.path("password-file", secret.file, base)) +
                              static_cast<std::size_t>(section.text("password-command", secret.command)) +
                              static_cast<std::size_t>(section.text("password-credential", secret.credential));
    if (given > 1) {
        section.report().error(
            section.node(), "only one of 'password-file', 'password-command' and 'password-credential' can be given");
    }
    const bool is_plain = secret.credential.find('/') == std::string::npos && !secret.credential.starts_with('.');
    if (!is_plain) {
        report_wrong(*section.find("password-credential"), "password-credential", "a name without / and leading dot",
                     section.report());
    }
}

Auth read_auth(const Node& node, const std::string& base, Report& report) {
    Section section(node, "auth", keys::auth, report);
    Auth auth;
    section.choice("method", auth.method,
                   {{"automatic", AuthMethod::automatic},
                    {"none", AuthMethod::none},
                    {"basic", AuthMethod::basic},
                    {"digest", AuthMethod::digest},
                    {"ntlm", AuthMethod::ntlm},
                    {"negotiate", AuthMethod::negotiate}});
    section.text("user", auth.user);
    read_secret_keys(section, auth.password, base);
    if (!section.is_map()) return auth;

    const bool by_password =
        auth.method == AuthMethod::basic || auth.method == AuthMethod::digest || auth.method == AuthMethod::ntlm;
    const bool has_password = auth.password != Secret{};
    if (by_password && !section.find("user")) report.error(node, "'auth' with this method needs 'user'");
    if (!section.find("user") && !by_password && has_password)
        report.error(node, "'auth' has a password but no 'user'");
    if (auth.method == AuthMethod::basic && auth.user.find(':') != std::string::npos) {
        report.error(*section.find("user"), "'user' cannot have a colon with method basic (RFC 7617)");
    }
    const bool asked = std::any_of(node.keys.begin(), node.keys.end(),
                                   [](const Node& key) { return key.text.starts_with("password"); });
    if (section.find("user") && !asked && auth.method != AuthMethod::negotiate && auth.method != AuthMethod::none) {
        report.warning(node, "'auth' has a user and no password: the empty one is used");
    }
    return auth;
}

Tls read_tls(const Node& node, keys::Keys known, const std::string& base, Report& report) {
    Section section(node, "tls", known, report);
    Tls tls;
    if (known.size() == keys::mail_tls.size()) {
        section.choice("starttls", tls.starttls,
                       {{"require", StartTls::require}, {"try", StartTls::attempt}, {"no", StartTls::never}});
    }
    section.path("ca", tls.ca, base);
    section.path("cert", tls.cert, base);
    section.path("key", tls.key, base);
    if (section.text("pin", tls.pin)) {
        const Node& pin = *section.find("pin");
        for (const auto one : text::split(tls.pin, ';')) {
            if (!one.starts_with("sha256//")) {
                report_wrong(pin, "pin", "sha256//<base64 of the hash of the public key>, several joined by ;", report);
                break;
            }
            if (one.size() != 8 + 44 || !one.ends_with('=')) {
                report.warning(
                    pin, "'pin' " + text::quote(one) + " can never match: a SHA-256 hash is 44 characters in base64");
            }
        }
    }
    if (section.find("key") && !section.find("cert"))
        report.error(*section.find("key"), "'key' needs 'cert' beside it");
    return tls;
}

// What we set, or what would change the meaning of what we send.
bool is_ours(std::string_view field) {
    static constexpr std::array<std::string_view, 27> ours{"accept",
                                                           "accept-encoding",
                                                           "authorization",
                                                           "connection",
                                                           "content-encoding",
                                                           "content-length",
                                                           "content-range",
                                                           "content-type",
                                                           "depth",
                                                           "destination",
                                                           "expect",
                                                           "host",
                                                           "http2-settings",
                                                           "if",
                                                           "if-match",
                                                           "if-modified-since",
                                                           "if-none-match",
                                                           "if-unmodified-since",
                                                           "keep-alive",
                                                           "overwrite",
                                                           "proxy-authorization",
                                                           "proxy-connection",
                                                           "range",
                                                           "te",
                                                           "trailer",
                                                           "transfer-encoding",
                                                           "upgrade"};
    const auto folded = text::lower(field);
    return folded == "user-agent" || std::find(ours.begin(), ours.end(), folded) != ours.end();
}

void read_headers(const Node& node, Http& http, Report& report) {
    if (node.kind != Node::Kind::map) {
        report_wrong(node, "headers", "a map of HTTP header fields (X-Name: value)", report);
        return;
    }
    std::set<std::string> seen;
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
        const Node& name = node.keys[i];
        const Node& value = node.values[i];
        if (name.refused || value.refused) continue;
        static constexpr std::string_view marks = "!#$%&'*+-.^_`|~";  // RFC 9110 section 5.6.2
        const bool is_token = !name.text.empty() && std::all_of(name.text.begin(), name.text.end(), [](char c) {
            return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                   marks.find(c) != std::string_view::npos;
        });
        if (!is_token) {
            report.error(name, text::quote(name.text) + " cannot be the name of an HTTP header field");
        } else if (is_ours(name.text)) {
            report.error(name, "the header field " + text::quote(name.text) + " is set by the transport itself");
        } else if (!seen.insert(text::lower(name.text)).second) {
            report.error(name, text::quote(name.text) + " is given twice: header fields have no case");
        } else if (const auto* line = read_line(value, name.text, report)) {
            const bool has_control = std::any_of(
                line->begin(), line->end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
            if (has_control || text::trim(*line).empty()) {
                report_wrong(value, name.text, "text without control characters", report);
            } else {
                http.headers.emplace_back(name.text, std::string(text::trim(*line)));
            }
        }
    }
}

void read_proxy_url(Section& section, Http& http) {
    std::string url;
    if (!section.text("url", url)) return;
    const bool tls = text::starts_with_ignoring_case(url, "https://");
    const bool plain = text::starts_with_ignoring_case(url, "http://");
    // The part behind the scheme is that of a WebDAV target without a path.
    const auto parsed =
        target::parse_target((tls ? "davs" : "dav") + url.substr(std::min(url.find(':'), url.size())), "/");
    const auto* found = std::get_if<target::Target>(&parsed);
    if ((!tls && !plain) || found == nullptr || found->path != "/" || !found->port) {
        // What stands before an @ may be a password.
        const std::string wanted = "http://host:port or https://host:port, with user and password in keys of their own";
        if (url.find('@') == std::string::npos) {
            report_wrong(*section.find("url"), "url", wanted, section.report());
        } else {
            section.report().error(*section.find("url"), "'url' of a proxy must be " + wanted);
        }
        return;
    }
    http.proxy =
        std::string(tls ? "https://" : "http://") + target::url_host(found->host) + ":" + std::to_string(*found->port);
}

void read_proxy(const Node& node, Http& http, const std::string& base, Report& report) {
    Section section(node, "proxy", keys::proxy, report);
    read_proxy_url(section, http);
    section.text("user", http.proxy_user);
    read_secret_keys(section, http.proxy_password, base);
    if (!section.is_map()) return;
    if (!section.find("url")) report.error(node, "'proxy' has no 'url'");
    if (http.proxy_password != Secret{} && http.proxy_user.empty())
        report.error(node, "'proxy' has a password but no 'user'");
    if (http.proxy_user.find(':') != std::string::npos)
        report.error(*section.find("user"), "'user' of a proxy cannot have a colon (RFC 7617)");
}

Http read_http(Section& section, const std::string& base) {
    Http http;
    if (const Node* proxy = section.find("proxy")) read_proxy(*proxy, http, base, section.report());
    if (const Node* headers = section.find("headers")) read_headers(*headers, http, section.report());
    return http;
}

void read_rate(Section& section, Limit& limit) {
    const Node* node = section.find("messages-per-second");
    if (!node) return;
    double rate = 0;
    const std::string& text = node->text;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate, std::chars_format::fixed);
    if (node->kind != Node::Kind::text || error != std::errc() || end != text.data() + text.size() || !(rate > 0) ||
        rate > 1e6) {
        report_wrong(*node, "messages-per-second", "a number above 0 (at most 1000000)", section.report());
        return;
    }
    limit.messages_per_second = rate;
}

void read_bandwidth(Section& section, Limit& limit) {
    const Node* node = section.find("bandwidth");
    if (!node) return;
    const auto bytes = node->kind == Node::Kind::text ? text::parse_bytes(node->text) : std::nullopt;
    if (!bytes || bytes->count == 0) {
        report_wrong(*node, "bandwidth", "bytes per second such as 512kB, 10MB or 1MiB", section.report());
        return;
    }
    limit.bandwidth = *bytes;
}

Limit read_limit(const Node& node, Report& report) {
    Section section(node, "limit", keys::limit, report);
    Limit limit;
    unsigned connections = 0;
    if (section.number("connections", connections, 1, 256)) limit.connections = connections;
    read_rate(section, limit);
    read_bandwidth(section, limit);
    unsigned pending = 0;
    if (section.number("max-pending", pending, 1, 1'000'000)) limit.max_pending = pending;
    section.duration("connect", limit.connect, Duration(10));
    section.duration("answer", limit.answer, Duration(10));
    section.duration("stall", limit.stall, Duration(100));
    return limit;
}

HealthCheck read_check(const Node& node, Report& report) {
    Section section(node, "check", keys::check, report);
    HealthCheck check;
    section.duration("interval", check.interval, Duration(100));
    section.duration("timeout", check.timeout, Duration(10));
    section.number("fall", check.fall, 1, 100);
    section.number("rise", check.rise, 1, 100);
    if (section.is_map() && check.timeout >= check.interval) {
        const Node* timeout = section.find("timeout");
        report.warning(timeout ? *timeout : node,
                       "'timeout' (" + text::format_duration(check.timeout) + ") is not below 'interval' (" +
                           text::format_duration(check.interval) + "): checks would overlap");
    }
    return check;
}

// The end of names that transports use for themselves.
bool is_reserved_extension(std::string_view text) {
    return text::equal_ignoring_case(text, ".part") || text::equal_ignoring_case(text, ".revoked");
}

void read_extension(Section& section, std::string& out) {
    std::string text;
    if (!section.text("extension", text)) return;
    const bool plain = text.size() >= 2 && text.size() <= 16 && text[0] == '.' && !text.ends_with('.') &&
                       std::all_of(text.begin(), text.end(), [](char c) {
                           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                                  c == '.' || c == '_' || c == '-';
                       });
    if (!plain) {
        report_wrong(*section.find("extension"), "extension", "a dot and up to 15 of A-Z a-z 0-9 . _ -",
                     section.report());
    } else if (is_reserved_extension(text)) {
        section.report().error(*section.find("extension"),
                               "'extension' " + text::quote(text) + " is what unfinished files are called");
    } else {
        out = text;
    }
}

void read_stage(Section& section, std::string& out) {
    std::string text;
    if (!section.text("stage", text)) return;
    while (text.size() > 1 && text.ends_with('/')) text.pop_back();
    for (const auto segment : text::split(text, '/')) {
        if (segment.empty() || segment == "." || segment == ".." || segment.find('\\') != std::string_view::npos) {
            report_wrong(*section.find("stage"), "stage", "a directory below 'url', without leading / and ..",
                         section.report());
            return;
        }
        if (text::starts_with_ignoring_case(segment, "R_")) {
            section.report().error(*section.find("stage"),
                                   "'stage' " + text::quote(text) + " lies where the kernel looks for messages");
            return;
        }
    }
    out = text;
}

void read_fetch(Section& section, Kernel& kernel, Draft& draft) {
    const Node* node = section.find("fetch");
    if (!node) return;
    if (const auto flag = read_flag(*node)) {
        kernel.fetch = *flag;
        return;
    }
    if (node->kind != Node::Kind::list) {
        report_wrong(*node, "fetch", "yes, no or a list of connectors", draft.report);
        return;
    }
    std::vector<std::string> connectors;
    std::set<std::string_view> seen;
    for (const Node* name : section.texts("fetch")) {
        if (!seen.insert(name->text).second) {
            draft.report.error(*name, "'fetch' names " + text::quote(name->text) + " twice");
            continue;
        }
        draft.refer(Reference::To::connector, *name);
        connectors.push_back(name->text);
    }
    kernel.fetch_connectors = std::move(connectors);
}

void check_bandwidth(Section& section, const Limit& limit, Scheme scheme) {
    if (!limit.bandwidth || (scheme != Scheme::file && !is_mail(scheme))) return;
    section.report().warning(*section.find("limit"),
                             "'bandwidth' does nothing for " + std::string(scheme_name(scheme)) + ":");
}

// `auth` and `tls` that do nothing are a mistake in the scheme more often than not.
void check_access(Section& section, const target::Target& target, const Auth& auth) {
    Report& report = section.report();
    if (target.scheme != Scheme::dav && target.scheme != Scheme::davs) {
        for (const auto* key : {"proxy", "headers"}) {
            const Node* node = section.find(key);
            if (node)
                report.warning(*node,
                               text::quote(key) + " does nothing for " + std::string(scheme_name(target.scheme)) + ":");
        }
    }
    if (const Node* tls = section.find("tls");
        tls && (target.scheme == Scheme::file || target.scheme == Scheme::dav || target.scheme == Scheme::smb)) {
        report.warning(*tls, "'tls' does nothing for " + std::string(scheme_name(target.scheme)) + ":");
    }
    const Node* node = section.find("auth");
    if (!node) return;
    if (target.scheme == Scheme::file) report.warning(*node, "'auth' does nothing for a directory of this machine");
    if (target.scheme == Scheme::smb && (auth.method == AuthMethod::basic || auth.method == AuthMethod::digest)) {
        report.error(*node, "'method' of an SMB server is ntlm, negotiate or none");
    }
    if (target.scheme == Scheme::dav && auth.method == AuthMethod::basic) {
        report.warning(*node, "method basic over dav: sends the password in clear text; use davs: or digest");
    }
}

void read_kernel(const Named& entry, Draft& draft) {
    Section section(*entry.value, entry.name->text, keys::kernel, draft.report);
    Kernel kernel;
    kernel.name = entry.name->text;
    kernel.place = draft.report.place(*entry.name);
    const auto url = read_target(section, "url", Use::store, draft.base);
    if (url) kernel.url = *url;
    if (section.is_map() && !section.find("url")) {
        draft.report.error(*entry.name, "kernel " + text::quote(kernel.name) + " has no 'url'");
    }
    if (const Node* auth = section.find("auth")) kernel.auth = read_auth(*auth, draft.base, draft.report);
    if (const Node* tls = section.find("tls")) kernel.tls = read_tls(*tls, keys::tls, draft.base, draft.report);
    kernel.http = read_http(section, draft.base);
    section.flag("in-place", kernel.in_place);
    unsigned channels = 0;
    if (section.number("channels", channels, 1, 10'000)) kernel.channels = channels;
    read_fetch(section, kernel, draft);
    if (const Node* check = section.find("check")) kernel.check = read_check(*check, draft.report);
    if (const Node* limit = section.find("limit")) kernel.limit = read_limit(*limit, draft.report);
    read_stage(section, kernel.stage);
    read_extension(section, kernel.extension);
    Duration stuck{0};
    if (const Node* node = section.find("stuck"); node && read_flag(*node) != false) {
        if (section.duration("stuck", stuck, std::chrono::seconds(1))) {
            kernel.stuck = stuck;
        }
    }
    if (section.flag("recall", kernel.recall) && kernel.recall && kernel.in_place) {
        draft.report.error(*section.find("recall"),
                           "what is delivered 'in-place' cannot be taken back: that is a rename");
    }
    if (url) {
        check_access(section, *url, kernel.auth);
        check_bandwidth(section, kernel.limit, url->scheme);
    }
    draft.config.kernels.push_back(std::move(kernel));
}

// A password never goes where somebody on the way could read it, unless the file says so.
void check_mail_access(Section& section, const Deliver& deliver) {
    Report& report = section.report();
    const Node* auth = section.find("auth");
    const Node* tls = section.find("tls");
    const auto scheme = deliver.url.scheme;
    if (scheme == Scheme::lmtp) {
        if (auth) report.warning(*auth, "'auth' does nothing for lmtp:");
        if (tls) report.warning(*tls, "'tls' does nothing for lmtp:");
        return;
    }
    if (scheme == Scheme::smtps) {
        if (deliver.tls.starttls != StartTls::automatic) {
            report.warning(*tls, "'starttls' does nothing for smtps:, which begins with TLS");
        }
        return;
    }
    if (deliver.auth.user.empty() || deliver.auth.method == AuthMethod::none) return;
    if (deliver.tls.starttls == StartTls::attempt) {
        report.error(*tls,
                     "with 'starttls: try' whoever takes the offer away gets the password of 'auth': say require, or "
                     "no, if the password may go in clear text");
    } else if (deliver.tls.starttls == StartTls::never) {
        report.warning(*tls, "'starttls: no' sends the password of 'auth' in clear text");
    }
}

void read_form(Section& section, std::string_view key, std::string_view number, std::string& out) {
    std::string form;
    if (!section.text(key, form)) return;
    if (const auto problem = problem_of_address(form, number)) {
        section.report().error(*section.find(key), text::quote(key) + " " + text::quote(form) + ": " + *problem);
    } else {
        out = form;
    }
}

void read_deliver(Section& connector_section, Connector& connector, Draft& draft) {
    const Node* node = connector_section.find("deliver");
    if (!node) return;
    Deliver deliver;
    if (node->kind != Node::Kind::map) {
        const auto url = read_target(connector_section, "deliver", Use::mail, draft.base);
        if (!url) return;
        deliver.url = *url;
        if (!connector.root) {
            deliver.auth = connector.auth;
            deliver.tls = connector.tls;
            check_mail_access(connector_section, deliver);
        }
        connector.deliver = std::move(deliver);
        return;
    }
    Section section(*node, "deliver", keys::deliver, draft.report);
    const auto url = read_target(section, "url", Use::mail, draft.base);
    if (!section.find("url")) draft.report.error(*node, "'deliver' needs 'url', such as smtp://mail.example.com");
    read_form(section, "address", "number", deliver.address);
    read_form(section, "from", "originator", deliver.from);
    if (const Node* file = section.find("addresses"); section.path("addresses", deliver.addresses_file, draft.base)) {
        deliver.addresses = read_addresses(deliver.addresses_file, *file, draft.report);
    }
    section.duration("timeout", deliver.timeout, std::chrono::seconds(1));
    const Node* auth = section.find("auth");
    const Node* tls = section.find("tls");
    deliver.auth = auth ? read_auth(*auth, draft.base, draft.report) : connector.root ? Auth{} : connector.auth;
    deliver.tls = tls              ? read_tls(*tls, keys::mail_tls, draft.base, draft.report)
                  : connector.root ? Tls{}
                                   : connector.tls;
    if (!url) return;
    deliver.url = *url;
    check_mail_access(auth || tls || connector.root ? section : connector_section, deliver);
    connector.deliver = std::move(deliver);
}

void read_connector(const Named& entry, Draft& draft) {
    Section section(*entry.value, entry.name->text, keys::connector, draft.report);
    Connector connector;
    connector.name = entry.name->text;
    connector.place = draft.report.place(*entry.name);
    connector.root = read_target(section, "root", Use::store, draft.base);
    if (section.is_map() && !section.find("root") && !section.find("deliver")) {
        draft.report.error(*entry.name, "connector " + text::quote(connector.name) + " needs 'root' or 'deliver'");
    }
    if (const Node* auth = section.find("auth")) connector.auth = read_auth(*auth, draft.base, draft.report);
    if (const Node* tls = section.find("tls")) {
        connector.tls = read_tls(*tls, keys::mail_tls, draft.base, draft.report);
    }
    connector.http = read_http(section, draft.base);
    section.flag("in-place", connector.in_place);
    read_deliver(section, connector, draft);
    if (const Node* limit = section.find("limit")) connector.limit = read_limit(*limit, draft.report);
    for (const Node* pattern : section.texts("numbers")) connector.numbers.push_back(pattern->text);
    read_extension(section, connector.extension);
    // Where there is a root they are its own: a password for one server is no other's business.
    if (connector.root) {
        check_access(section, *connector.root, connector.auth);
        check_bandwidth(section, connector.limit, connector.root->scheme);
    } else if (connector.deliver) {
        check_bandwidth(section, connector.limit, connector.deliver->url.scheme);
    }
    draft.config.connectors.push_back(std::move(connector));
}

}  // namespace

std::vector<Named> read_names(const Node& node, std::string_view section, std::string_view one, Report& report) {
    if (node.kind != Node::Kind::map) {
        report_wrong(node, section, "a map of names (name: {...})", report);
        return {};
    }
    if (node.keys.empty()) {
        report.error(node, text::quote(section) + " is empty: at least one " + std::string(one) + " is needed");
    }
    std::vector<Named> out;
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
        const Node& name = node.keys[i];
        // A name given twice is in the report already.
        if (name.refused || !seen.insert(name.text).second) continue;
        if (!is_name(name.text)) {
            report.error(name, text::quote(name.text) + " cannot be the name of a " + std::string(one) +
                                   ": 1 to 32 of A-Z a-z 0-9 . _ -, the first a letter or digit" +
                                   (name.text.ends_with(".why") ? ", without .why at the end" : ""));
        }
        out.push_back({&name, &node.values[i]});
    }
    return out;
}

void read_kernels(const Node& node, Draft& draft) {
    for (const auto& entry : read_names(node, "kernels", "kernel", draft.report)) read_kernel(entry, draft);
}

void read_connectors(const Node& node, Draft& draft) {
    for (const auto& entry : read_names(node, "connectors", "connector", draft.report)) read_connector(entry, draft);
}

}  // namespace ums::config
