// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/dav_exchange.hpp"

#include <algorithm>
#include <cstdio>
#include <new>
#include <system_error>
#include <utility>

#include "error/error.hpp"
#include "text/text.hpp"
#include "transport/curl_text.hpp"

namespace ums::transport {

namespace {

constexpr std::size_t most_header_bytes = 64 * 1024;
constexpr std::size_t most_discarded = 64 * 1024;
constexpr std::size_t longest_server_name = 100;
// Digest with a new nonce, NTLM's three messages: a server that asks more often is playing with us.
constexpr int most_logins = 5;
constexpr std::chrono::seconds longest_pause{24 * 3600};

unsigned long methods_of(const Access& access, bool tls) {
    if (access.user.empty() && access.method != AuthMethod::negotiate) return CURLAUTH_NONE;
    switch (access.method) {
        case AuthMethod::automatic: return tls ? CURLAUTH_DIGEST | CURLAUTH_BASIC : CURLAUTH_DIGEST;
        case AuthMethod::none: return CURLAUTH_NONE;
        case AuthMethod::basic: return CURLAUTH_BASIC;
        case AuthMethod::digest: return CURLAUTH_DIGEST;
        case AuthMethod::ntlm: return CURLAUTH_NTLM;
        case AuthMethod::negotiate: return CURLAUTH_NEGOTIATE;
    }
    return CURLAUTH_NONE;
}

std::string names_of(unsigned long methods) {
    std::string names;
    const auto add = [&](unsigned long bit, std::string_view name) {
        if ((methods & bit) == 0) return;
        if (!names.empty()) names += ", ";
        names += name;
    };
    add(CURLAUTH_DIGEST, "digest");
    add(CURLAUTH_BASIC, "basic");
    add(CURLAUTH_NTLM, "ntlm");
    add(CURLAUTH_NEGOTIATE, "negotiate");
    add(CURLAUTH_BEARER, "bearer");
    return names;
}

std::string_view value_of(std::string_view line, std::string_view name) {
    if (!text::starts_with_ignoring_case(line, name)) return {};
    return text::trim(line.substr(name.size()));
}

std::string proxy_login_text(const Access& access) {
    return access.proxy_user.empty() ? ", the proxy wants a user and a password"
                                     : ", the proxy does not accept user or password";
}

std::int64_t milliseconds_for(Bytes size, Bytes per_second) {
    return static_cast<std::int64_t>(size.count / std::max<std::uint64_t>(per_second.count, 1)) * 1000;
}

}  // namespace

Exchange::Exchange(const Settings& settings) : settings_(settings), easy_(curl_easy_init()) {
    if (!easy_) throw std::bad_alloc();
    set_constants();
    const unsigned long methods = methods_of(settings.access, settings.tls());
    set_login(methods);
    // Basic alone is sent without being asked for.
    logged_in_ = methods == CURLAUTH_NONE || methods == CURLAUTH_BASIC;
}

template <typename Value>
void Exchange::set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(easy_.get(), option, value);
    if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
    if (code != CURLE_OK) {
        throw Error(Fault::configuration,
                    "libcurl does not take option " + std::to_string(option) + ": " + curl_easy_strerror(code));
    }
}

void Exchange::set_constants() {
    const auto& access = settings_.access;
    set(CURLOPT_ERRORBUFFER, error_.data());
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_NOPROGRESS, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // a name server that is silent must not hold the end of a run
    set(CURLOPT_USERAGENT, "ums");
    set(CURLOPT_PROTOCOLS_STR, settings_.tls() ? "https" : "http");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set_proxy();
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(settings_.limits.connect.count(), 1)));

    // Apache and lighttpd close a connection that was idle for 5 s, and a request that meets that is a doubt.
    set(CURLOPT_MAXAGE_CONN, 4L);
    set(CURLOPT_PIPEWAIT, 1L);  // rather another stream of a connection than another connection
    if (settings_.tls()) {
        set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
        set(CURLOPT_SSL_VERIFYPEER, 1L);
        set(CURLOPT_SSL_VERIFYHOST, 2L);
        if (!access.ca_file.empty()) {
            set(CURLOPT_CAINFO, access.ca_file.c_str());
            set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
        }
        if (!access.certificate.empty()) set(CURLOPT_SSLCERT, access.certificate.c_str());
        if (!access.key.empty()) set(CURLOPT_SSLKEY, access.key.c_str());
        if (!access.pin.empty()) set(CURLOPT_PINNEDPUBLICKEY, access.pin.c_str());
    }

    set(CURLOPT_HEADERFUNCTION, &Exchange::on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(this));
    set(CURLOPT_WRITEFUNCTION, &Exchange::on_content);
    set(CURLOPT_WRITEDATA, static_cast<void*>(this));
    set(CURLOPT_READFUNCTION, &Exchange::on_read);
    set(CURLOPT_READDATA, static_cast<void*>(this));
    set(CURLOPT_SEEKFUNCTION, &Exchange::on_seek);
    set(CURLOPT_SEEKDATA, static_cast<void*>(this));
    set(CURLOPT_PREREQFUNCTION, &Exchange::on_send);
    set(CURLOPT_PREREQDATA, static_cast<void*>(this));
    set(CURLOPT_PRIVATE, static_cast<void*>(this));
    set(CURLOPT_BUFFERSIZE, 256L * 1024);
    set(CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
    if (const auto share = settings_.limits.share(); share > 0) {
        set(CURLOPT_MAX_SEND_SPEED_LARGE, static_cast<curl_off_t>(share));
        set(CURLOPT_MAX_RECV_SPEED_LARGE, static_cast<curl_off_t>(share));
    }
}

void Exchange::set_proxy() {
    const auto& access = settings_.access;
    set(CURLOPT_PROXY, access.proxy.c_str());  // empty: also not those of the environment
    set(CURLOPT_NOPROXY, "");                  // nor its exceptions
    if (access.proxy.empty()) return;
    // What it answers to CONNECT is no answer of the target's.
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
    set(CURLOPT_HTTPPROXYTUNNEL, settings_.tls() ? 1L : 0L);
    if (access.proxy.starts_with("https:")) {
        set(CURLOPT_PROXY_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
        set(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
        set(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
        if (!access.ca_file.empty()) {
            set(CURLOPT_PROXY_CAINFO, access.ca_file.c_str());
            set(CURLOPT_PROXY_CAPATH, static_cast<const char*>(nullptr));
        }
    }
    if (access.proxy_user.empty()) return;
    set(CURLOPT_PROXYUSERNAME, access.proxy_user.c_str());
    set(CURLOPT_PROXYPASSWORD, access.proxy_password.c_str());
    set(CURLOPT_PROXYAUTH, static_cast<long>(CURLAUTH_BASIC | CURLAUTH_DIGEST | CURLAUTH_NTLM));
    // Through a tunnel the proxy is asked before anything of the request is sent.
    known_to_proxy_ = settings_.tls();
}

void Exchange::set_login(unsigned long methods) {
    login_methods_ = methods;
    if (methods == CURLAUTH_NONE) return;
    set(CURLOPT_USERNAME, settings_.access.user.c_str());
    set(CURLOPT_PASSWORD, settings_.access.password.c_str());
    // "Only" keeps libcurl from probing with an empty body, which a server that wants no login would store.
    const bool single_unasked = methods == CURLAUTH_DIGEST;
    set(CURLOPT_HTTPAUTH, static_cast<long>(single_unasked ? methods | CURLAUTH_ONLY : methods));
}

bool Exchange::may_use_http2() const noexcept {
    constexpr unsigned long of_connections = CURLAUTH_NTLM | CURLAUTH_NEGOTIATE;
    return settings_.tls() && settings_.limits.connections > 1 && (login_methods_ & of_connections) == 0 &&
           request_.body == nullptr && request_.content == nullptr;
}

void Exchange::prepare_login() {
    Request request;
    request.method = Method::propfind;
    request.url = settings_.root_url;
    request.headers = {"Depth: 0"};
    prepare(std::move(request));
}

void Exchange::prepare(Request request) {
    request_ = std::move(request);
    reply_ = {};
    status_ = 0;
    headers_done_ = false;
    header_bytes_ = 0;
    discarded_ = 0;
    position_ = 0;
    sent_ = logins_ = 0;
    open_ = asked_to_log_in_ = repeat_refused_ = login_refused_ = false;
    fault_ = nullptr;
    error_[0] = '\0';

    set(CURLOPT_HTTPGET, 1L);  // undoes the method and body of the request before
    set(CURLOPT_CUSTOMREQUEST, static_cast<const char*>(nullptr));
    set(CURLOPT_URL, request_.url.c_str());
    set(CURLOPT_HTTP_VERSION, static_cast<long>(may_use_http2() ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    switch (request_.method) {
        case Method::get: break;
        case Method::head: set(CURLOPT_NOBODY, 1L); break;
        case Method::put:
            set(CURLOPT_UPLOAD, 1L);
            set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.body->size().count));
            break;
        case Method::propfind:
            if (request_.content != nullptr) {
                set(CURLOPT_POST, 1L);
                set(CURLOPT_POSTFIELDSIZE, -1L);
                set(CURLOPT_POSTFIELDS, request_.content);
            }
            [[fallthrough]];
        case Method::move:
        case Method::remove:
        case Method::mkcol: set(CURLOPT_CUSTOMREQUEST, std::string(to_string(request_.method)).c_str()); break;
    }
    std::unique_ptr<curl_slist, FreeList> list;
    const auto add = [&](const std::string& header) {
        auto* longer = curl_slist_append(list.get(), header.c_str());
        if (longer == nullptr) throw std::bad_alloc();
        static_cast<void>(list.release());
        list.reset(longer);
    };
    add("Expect:");  // a server that does not know it makes us wait
    for (const auto& header : request_.headers) add(header);
    for (const auto& [name, value] : settings_.access.headers) add(name + ": " + value);
    set(CURLOPT_HTTPHEADER, list.get());
    headers_ = std::move(list);
    set_deadline(request_);
}

void Exchange::set_deadline(const Request& request) {
    const auto& limits = settings_.limits;
    const bool watched = request.body != nullptr || request.expected || request.streaming;
    std::int64_t most = limits.connect.count();
    if (request.streaming) {
        most += 10 * limits.answer.count() + limits.stall.count();
    } else if (watched) {
        const Bytes size = request.body != nullptr ? request.body->size() : *request.expected;
        most += 2 * limits.stall.count() + milliseconds_for(size, limits.slowest);
    } else {
        most += limits.answer.count();
    }
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(most, 1)));
    // A listing has no message in it: what it may wait for is an answer.
    const auto patience = request.streaming ? std::min(limits.stall, limits.answer) : limits.stall;
    const auto stall = std::chrono::ceil<std::chrono::seconds>(patience).count();
    set(CURLOPT_LOW_SPEED_TIME, watched ? std::max<long>(stall, 1) : 0L);
    set(CURLOPT_LOW_SPEED_LIMIT, watched ? static_cast<long>(limits.slowest.count) : 0L);
}

// Called before each sending, also before those that libcurl decides on by itself.
int Exchange::on_send(void* self, char*, char*, int, int) noexcept {
    auto& e = *static_cast<Exchange*>(self);
    // Connections that were dead when they were used again do not count: libcurl has a limit for them.
    if (e.asked_to_log_in_ && ++e.logins_ >= most_logins) {
        e.login_refused_ = true;
        return CURL_PREREQFUNC_ABORT;
    }
    if (e.sent_ > 0 && !e.asked_to_log_in_ && !is_repeatable(e.request_.method)) {
        e.repeat_refused_ = true;
        return CURL_PREREQFUNC_ABORT;
    }
    ++e.sent_;
    e.open_ = true;
    e.asked_to_log_in_ = false;
    return CURL_PREREQFUNC_OK;
}

std::size_t Exchange::on_header(char* data, std::size_t size, std::size_t count, void* self) noexcept {
    auto& e = *static_cast<Exchange*>(self);
    e.header_bytes_ += size * count;
    if (e.header_bytes_ > most_header_bytes) return 0;
    e.header({data, size * count});
    return size * count;
}

void Exchange::header(std::string_view line) {
    if (line.starts_with("HTTP/")) {
        const auto space = line.find(' ');
        const auto number = text::parse_number(line.substr(std::min(space, line.size() - 1) + 1, 3));
        status_ = number ? static_cast<int>(*number) : 0;
        headers_done_ = false;
        reply_.length.reset();
        reply_.location.clear();
        reply_.encoded = false;
        return;
    }
    const auto content = text::trim(line);
    if (content.empty()) {
        if (status_ >= 200) headers_done_ = true;
        if (status_ == 401 || status_ == 407) {
            open_ = false;
            asked_to_log_in_ = true;
        }
        return;
    }
    if (const auto length = value_of(content, "content-length:"); !length.empty()) {
        if (const auto number = text::parse_number(length)) reply_.length = *number;
    } else if (const auto location = value_of(content, "location:"); !location.empty()) {
        reply_.location = location;
    } else if (const auto encoding = value_of(content, "content-encoding:"); !encoding.empty()) {
        reply_.encoded = !text::equal_ignoring_case(encoding, "identity");
    } else if (const auto server = value_of(content, "server:"); !server.empty()) {
        server_ = server.substr(0, longest_server_name);
    }
}

std::size_t Exchange::on_content(char* data, std::size_t size, std::size_t count, void* self) noexcept {
    auto& e = *static_cast<Exchange*>(self);
    try {
        return e.content({data, size * count}) ? size * count : 0;
    } catch (...) {
        e.fault_ = std::current_exception();
        return 0;
    }
}

bool Exchange::content(std::string_view part) {
    if (status_ / 100 == 2 && request_.sink) {
        reply_.received += part.size();
        reply_.stopped = !request_.sink(part);
        return !reply_.stopped;
    }
    discarded_ += part.size();
    return discarded_ <= most_discarded;
}

std::size_t Exchange::on_read(char* data, std::size_t size, std::size_t count, void* self) noexcept {
    auto& e = *static_cast<Exchange*>(self);
    try {
        return e.fill({data, size * count});
    } catch (...) {
        e.fault_ = std::current_exception();
        return CURL_READFUNC_ABORT;
    }
}

std::size_t Exchange::fill(std::span<char> buffer) {
    const Body& body = *request_.body;
    std::size_t filled = 0;
    if (position_ < body.head.size()) {
        filled = body.head.copy(buffer.data(), buffer.size(), position_);
    }
    const std::uint64_t in_file = position_ + filled - body.head.size();
    const std::uint64_t left = position_ + filled < body.head.size() ? 0 : body.length.count - in_file;
    const auto part = buffer.subspan(filled, std::min<std::uint64_t>(left, buffer.size() - filled));
    if (!part.empty()) {
        const auto got = settings_.disk->read(*body.file, part, body.offset + in_file, "the message to send");
        if (got < part.size())
            throw Error(Fault::cannot_read, "cannot read the message to send: it is shorter than it was");
        filled += got;
    }
    position_ += filled;
    return filled;
}

int Exchange::on_seek(void* self, curl_off_t offset, int origin) noexcept {
    auto& e = *static_cast<Exchange*>(self);
    if (origin != SEEK_SET || offset < 0 || e.request_.body == nullptr) return CURL_SEEKFUNC_CANTSEEK;
    e.position_ = static_cast<std::uint64_t>(offset);
    return CURL_SEEKFUNC_OK;
}

void Exchange::learn_login(Seen& seen) {
    if (!server_.empty()) seen.server = server_;
    long version = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_HTTP_VERSION, &version);
    // Requests with a body go over HTTP/1.1 to any server.
    if (version == CURL_HTTP_VERSION_2_0 || seen.version.empty() || may_use_http2()) {
        seen.version = version == CURL_HTTP_VERSION_1_0   ? "HTTP/1.0"
                       : version == CURL_HTTP_VERSION_2_0 ? "HTTP/2"
                                                          : "HTTP/1.1";
    }

    long offered = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_HTTPAUTH_AVAIL, &offered);
    const auto both = static_cast<unsigned long>(offered) & login_methods_;
    if (reply_.status == 401) {
        logged_in_ = false;
        if (login_methods_ == CURLAUTH_NEGOTIATE && both != 0) {
            reply_.offered = "there is no Kerberos ticket that it takes (see kinit(1) and klist(1))";
        } else if (login_methods_ == CURLAUTH_NONE) {
            reply_.offered = "the server wants a user and a password";
        } else if (both == 0 && (static_cast<unsigned long>(offered) & CURLAUTH_BASIC) != 0 && !settings_.tls()) {
            reply_.offered =
                "the server offers only basic login, which shows the password unless over TLS: use davs://, or "
                "'method: basic' if that may be";
        } else if (both == 0 && offered != 0) {
            reply_.offered = "the server offers only these logins: " + names_of(static_cast<unsigned long>(offered));
        }
        return;
    }
    if (login_methods_ == CURLAUTH_NONE) {
        seen.login = "no login";
        return;
    }
    if (both != 0) {
        const unsigned long best = (both & CURLAUTH_DIGEST) != 0 ? CURLAUTH_DIGEST : both;
        seen.login = names_of(best);
        // From now on the login goes with the request, without being asked for each time.
        set(CURLOPT_HTTPAUTH, static_cast<long>(best));
    }
    logged_in_ = true;
}

void Exchange::learn_proxy_login() {
    if (known_to_proxy_ || reply_.status == 407) return;
    long offered = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_PROXYAUTH_AVAIL, &offered);
    known_to_proxy_ = true;
    for (const auto method : {CURLAUTH_DIGEST, CURLAUTH_NTLM, CURLAUTH_BASIC}) {
        if ((static_cast<unsigned long>(offered) & method) == 0) continue;
        set(CURLOPT_PROXYAUTH, static_cast<long>(method));  // from now on without being asked for each time
        return;
    }
}

bool Exchange::may_try_again(CURLcode code) const noexcept {
    if (code == CURLE_OK || fault_ || login_refused_ || reply_.received > 0 || reply_.stopped) return false;
    if (sent_ > 0 && asked_to_log_in_ && !open_) return true;
    const bool cut = code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING ||
                     code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM;
    return cut && open_ && is_repeatable(request_.method);
}

void Exchange::try_again() { prepare(std::move(request_)); }

Reply Exchange::finish(CURLcode code, Seen& seen) {
    reply_.status = status_;
    const bool changes = !is_repeatable(request_.method);
    // libcurl is content when a connection ends within the headers; we are not. A body that we stopped reading, or that
    // broke off where only the status matters, takes nothing from the status.
    const bool answered = headers_done_ && (code == CURLE_OK || changes || status_ / 100 != 2 || reply_.stopped);
    if (answered && !login_refused_ && !repeat_refused_) {
        curl_off_t pause = 0;
        curl_easy_getinfo(easy_.get(), CURLINFO_RETRY_AFTER, &pause);
        if (pause > 0) reply_.retry_after = std::min(std::chrono::seconds(pause), longest_pause);
        curl_off_t ready = 0;
        curl_off_t total = 0;
        curl_easy_getinfo(easy_.get(), CURLINFO_PRETRANSFER_TIME_T, &ready);
        curl_easy_getinfo(easy_.get(), CURLINFO_TOTAL_TIME_T, &total);
        reply_.took = std::chrono::microseconds(std::max<curl_off_t>(total - ready, 0));
        learn_proxy_login();
        if (reply_.status == 407) {
            reply_.offered = proxy_login_text(settings_.access).substr(2);
        } else {
            learn_login(seen);
        }
        return std::move(reply_);
    }
    reply_.status = 0;
    reply_.failure = failure(code);
    reply_.timed_out = open_ && code == CURLE_OPERATION_TIMEDOUT;
    if (login_refused_) {
        reply_.failure = {
            .verdict = Verdict::denied, .text = "the server asks for a login again and again", .status = 401};
    }
    return std::move(reply_);
}

Answer Exchange::failure(CURLcode code) {
    long connected = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_HTTP_CONNECTCODE, &connected);
    if (open_ || settings_.access.proxy.empty() || connected == 0 || connected / 100 == 2) {
        return {.verdict = open_ ? Verdict::unknown : Verdict::unreachable, .text = failure_text(code)};
    }
    const int status = static_cast<int>(connected);
    if (status != 407) {
        return {.verdict = Verdict::unreachable, .text = "the proxy does not connect: " + status_text(status)};
    }
    return {.verdict = Verdict::denied,
            .text = "CONNECT: " + status_text(status) + proxy_login_text(settings_.access),
            .status = status};
}

std::string Exchange::failure_text(CURLcode code) const {
    const std::string said = text::escape(error_.data());
    const auto seconds = [](std::chrono::milliseconds time) { return text::rough_duration(time); };
    if (const auto why = connection_text(easy_.get(), code, settings_.origin.host, said); !why.empty()) {
        const bool of_proxy = code == CURLE_COULDNT_CONNECT && !settings_.access.proxy.empty();
        return (of_proxy ? "proxy " + text::quote(settings_.access.proxy) + ": " : "") + why;
    }
    switch (code) {
        case CURLE_COULDNT_RESOLVE_PROXY:
            return "the host name of the proxy " + text::quote(settings_.access.proxy) + " is not known";
        case CURLE_OPERATION_TIMEDOUT:
            if (!open_) return "no connection within " + seconds(settings_.limits.connect);
            if (headers_done_ || request_.body != nullptr || request_.streaming || request_.expected) {
                const auto& limits = settings_.limits;
                return "nothing moved for " +
                       seconds(request_.streaming ? std::min(limits.stall, limits.answer) : limits.stall) +
                       ", or all of it took too long";
            }
            return "no answer within " + seconds(settings_.limits.answer);
        case CURLE_ABORTED_BY_CALLBACK:
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM:
            return open_ ? "the connection ended before the answer came" : "the connection broke: " + said;
        case CURLE_PARTIAL_FILE: return "the answer broke off";
        case CURLE_WRITE_ERROR:
            return header_bytes_ > most_header_bytes ? "the headers of the answer are too large"
                                                     : "the answer is not as it should be";
        case CURLE_OK: return "the answer broke off in its headers";
        default: return said.empty() ? lower_first(curl_easy_strerror(code)) : lower_first(said);
    }
}

}  // namespace ums::transport
