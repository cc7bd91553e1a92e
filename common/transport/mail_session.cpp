// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/mail_session.hpp"

#include <curl/curl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <new>

#include "error/error.hpp"
#include "text/text.hpp"
#include "transport/curl_text.hpp"
#include "transport/mail_text.hpp"

namespace ums::transport {

namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr std::size_t longest_reply = 64 * 1024;
constexpr std::size_t longest_text = 500;
constexpr std::size_t longest_address = 480;  // a command line has 512 bytes (RFC 5321 4.5.3.1.4)
constexpr milliseconds slice{250};            // how soon a wait hears that we are to end
constexpr milliseconds farewell{500};
constexpr milliseconds last_chance{20'000};  // for the answer to the dot when we are to end
constexpr Bytes slowest{1024};               // per second
constexpr std::string_view end_of_data = ".\r\n";

bool has_high_bytes(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

// What would end a command, or begin another one. What an address may look like is the caller's matter.
bool is_safe(std::string_view address) {
    return address.size() <= longest_address && std::none_of(address.begin(), address.end(), [](char c) {
               return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
           });
}

MailAnswer not_here(Verdict verdict, std::string text, int status = 0) {
    return {Mailed::not_here, {verdict, std::move(text), status, {}}};
}

MailAnswer never(std::string text) { return {Mailed::never, {Verdict::refused, std::move(text), 0, {}}}; }

// What an answer to a command of a mail transaction means.
MailAnswer judge(const MailReply& reply) {
    const Answer answer{Verdict::refused, reply.text(), reply.code, {}};
    switch (reply.code) {
        case 421: return not_here(Verdict::unreachable, answer.text, reply.code);
        // These are about the session: a login is wanted, a command is not known.
        case 530:
        case 534:
        case 535:
        case 538: return not_here(Verdict::denied, answer.text, reply.code);
        case 502:
        case 503: return not_here(Verdict::broken, answer.text, reply.code);
        default: break;
    }
    switch (reply.code / 100) {
        case 2: return {Mailed::yes, {Verdict::done, answer.text, reply.code, {}}};
        case 4: return {Mailed::later, answer};
        case 5: return {Mailed::never, answer};
        default: return not_here(Verdict::broken, "an answer that makes no sense: " + answer.text, reply.code);
    }
}

std::string host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
    return name.data();
}

std::string authority(const target::Target& target) {
    std::uint16_t port = 25;
    if (target.scheme == target::Scheme::smtps) port = 465;
    if (target.scheme == target::Scheme::lmtp) port = 24;
    return target::url_host(target.host) + ":" + std::to_string(target.port.value_or(port));
}

std::string login_options(AuthMethod method) {
    switch (method) {
        case AuthMethod::basic: return "AUTH=PLAIN;AUTH=LOGIN";
        case AuthMethod::digest: return "AUTH=DIGEST-MD5;AUTH=CRAM-MD5";
        case AuthMethod::ntlm: return "AUTH=NTLM";
        case AuthMethod::negotiate: return "AUTH=GSSAPI";
        case AuthMethod::automatic:
        case AuthMethod::none: break;
    }
    return "AUTH=*";
}

}  // namespace

std::string MailReply::text() const {
    std::string out = std::to_string(code);
    for (const auto& line : lines) {
        if (out.size() > longest_text) break;
        if (!line.empty()) out += " " + line.substr(0, longest_text);
    }
    return out;
}

std::optional<bool> add_line(MailReply& reply, std::string_view line) {
    const bool numbered = line.size() >= 3 && line[0] >= '1' && line[0] <= '5' && line[1] >= '0' && line[1] <= '9' &&
                          line[2] >= '0' && line[2] <= '9';
    if (!numbered || (line.size() > 3 && line[3] != ' ' && line[3] != '-')) return std::nullopt;
    const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    if (!reply.lines.empty() && code != reply.code) return std::nullopt;
    reply.code = code;
    reply.lines.emplace_back(line.substr(std::min<std::size_t>(4, line.size())));
    return line.size() == 3 || line[3] == ' ';
}

MailExtensions extensions_of(const MailReply& reply) {
    MailExtensions found;
    // The first line is the server's name.
    for (std::size_t i = 1; i < reply.lines.size(); ++i) {
        const auto words = text::split(text::trim(reply.lines[i]), ' ');
        const auto name = words.front();
        if (text::equal_ignoring_case(name, "8BITMIME")) found.eight_bit = true;
        if (text::equal_ignoring_case(name, "SMTPUTF8")) found.utf8 = true;
        if (text::equal_ignoring_case(name, "STARTTLS")) found.starttls = true;
        if (text::equal_ignoring_case(name, "AUTH") || text::starts_with_ignoring_case(name, "AUTH="))
            found.auth = true;
        if (text::equal_ignoring_case(name, "SIZE")) {
            found.size = true;
            const auto limit = words.size() > 1 ? text::parse_number(words[1]) : std::nullopt;
            if (limit && *limit > 0) found.largest = Bytes{*limit};
        }
    }
    return found;
}

// What libcurl holds: the socket, TLS, and while it connects the answers that it hears.
struct MailSession::Connection {
    struct Free {
        void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
    };
    std::unique_ptr<CURL, Free> easy{curl_easy_init()};
    std::array<char, CURL_ERROR_SIZE> error{};
    curl_socket_t socket = CURL_SOCKET_BAD;
    bool tls = false;
    const MailSettings* settings = nullptr;
    MailReply reply;                 // the last whole answer
    MailReply growing;               // lines of the next
    std::optional<MailReply> hello;  // the last answer to EHLO
    std::string first;               // the greeting
    bool greeted = false;
    std::size_t heard = 0;
    Steady::time_point begun = Steady::now();
    bool silent = false;

    explicit Connection(const MailSettings& s) : settings(&s) {
        if (!easy) throw std::bad_alloc();
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        // Nothing more may be said on it: libcurl would send QUIT, also into the middle of a message, and wait.
        if (socket != CURL_SOCKET_BAD) ::shutdown(socket, SHUT_RDWR);
    }

    template <typename Value>
    void set(CURLoption option, Value value) {
        const CURLcode code = curl_easy_setopt(easy.get(), option, value);
        if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
        if (code != CURLE_OK) {
            throw Error(Fault::configuration,
                        "libcurl does not take option " + std::to_string(option) + ": " + curl_easy_strerror(code));
        }
    }

    void hear(std::string_view line) {
        while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
        const auto whole = add_line(growing, line);
        if (!whole) growing = {};
        if (!whole || !*whole) return;
        reply = std::move(growing);
        growing = {};
        if (!greeted) {
            greeted = true;
            first = reply.text();
        } else if (reply.code == 250) {
            hello = reply;
        } else if (reply.code == 220) {
            tls = true;  // the answer to STARTTLS; libcurl goes on over TLS or not at all
        }
    }

    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) noexcept {
        auto& c = *static_cast<Connection*>(self);
        c.heard += size * count;
        if (c.heard > longest_reply) return 0;
        try {
            c.hear({data, size * count});
        } catch (...) {
            return 0;
        }
        return size * count;
    }
    static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept {
        auto& c = *static_cast<Connection*>(self);
        if (c.settings->stopping && c.settings->stopping()) return 1;
        // libcurl has one limit for all of it, and a host that is silent need not have the time of an answer.
        curl_off_t connected = 0;
        curl_easy_getinfo(c.easy.get(), CURLINFO_CONNECT_TIME_T, &connected);
        c.silent = connected == 0 && Steady::now() > c.begun + c.settings->connect;
        return c.silent ? 1 : 0;
    }
};

MailSession::MailSession(const target::Target& target, const MailSettings& settings, io::Disk& disk)
    : target_(target), settings_(settings), disk_(disk) {}

MailSession::~MailSession() { quit(); }

void MailSession::quit() {
    if (connection_ && !owed_ && buffer_.empty()) {
        // Politeness, for which nobody waits long.
        const auto until = Steady::now() + farewell;
        if (send("QUIT\r\n", until)) receive(until);
    }
    close();
}

bool MailSession::is_open() const noexcept { return connection_ != nullptr; }
bool MailSession::has_tls() const noexcept { return connection_ && connection_->tls; }

MailSession::Deadline MailSession::deadline() const { return Steady::now() + settings_.answer; }

void MailSession::close() {
    connection_.reset();
    buffer_.clear();
    extensions_ = {};
    logged_in_ = used_ = dirty_ = owed_ = false;
}

MailAnswer MailSession::lost(std::string_view doing) {
    auto answer = not_here(Verdict::broken, std::string(doing) + ": " + trouble_);
    close();
    return answer;
}

MailAnswer MailSession::open() {
    close();
    auto answer = open_connection();
    if (answer.mailed == Mailed::yes && target_.scheme == target::Scheme::lmtp) answer = greet_lmtp();
    if (answer.mailed != Mailed::yes) close();
    return answer;
}

MailAnswer MailSession::open_connection() {
    connection_ = std::make_unique<Connection>(settings_);
    auto& c = *connection_;
    const auto& access = settings_.access;
    const bool lmtp = target_.scheme == target::Scheme::lmtp;
    const bool smtps = target_.scheme == target::Scheme::smtps;
    const bool local = target_.host.empty();
    // libcurl knows no LMTP; of HTTP it makes nothing but the connection.
    const std::string scheme = lmtp ? "http" : smtps ? "smtps" : "smtp";
    c.set(CURLOPT_PROTOCOLS_STR, scheme.c_str());
    c.set(CURLOPT_URL, (scheme + "://" + (local ? "localhost" : authority(target_))).c_str());
    c.set(CURLOPT_CONNECT_ONLY, 1L);
    if (local) c.set(CURLOPT_UNIX_SOCKET_PATH, target_.path.c_str());
    c.set(CURLOPT_ERRORBUFFER, c.error.data());
    c.set(CURLOPT_NOSIGNAL, 1L);
    c.set(CURLOPT_QUICK_EXIT, 1L);
    c.set(CURLOPT_PROXY, "");
    c.set(CURLOPT_TCP_NODELAY, 1L);
    c.set(CURLOPT_HEADERFUNCTION, &Connection::on_header);
    c.set(CURLOPT_HEADERDATA, static_cast<void*>(&c));
    c.set(CURLOPT_NOPROGRESS, 0L);
    c.set(CURLOPT_XFERINFOFUNCTION, &Connection::on_progress);
    c.set(CURLOPT_XFERINFODATA, static_cast<void*>(&c));
    // The time to connect counts until the login is through; each answer in between has its own limit too.
    const auto answer_s = std::max<long>(1, std::chrono::ceil<std::chrono::seconds>(settings_.answer).count());
    c.set(CURLOPT_CONNECTTIMEOUT_MS,
          static_cast<long>(std::max<std::int64_t>(settings_.connect.count() + settings_.answer.count(), 1)));
    c.set(CURLOPT_SERVER_RESPONSE_TIMEOUT, answer_s);
    if (!lmtp) {
        const bool attempt = settings_.starttls == StartTls::attempt;
        c.set(CURLOPT_USE_SSL, static_cast<long>(settings_.starttls == StartTls::never ? CURLUSESSL_NONE
                                                 : attempt                             ? CURLUSESSL_TRY
                                                                                       : CURLUSESSL_ALL));
        const bool check = smtps || !attempt || !access.ca_file.empty() || !access.pin.empty();
        c.set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
        c.set(CURLOPT_SSL_VERIFYPEER, check ? 1L : 0L);
        c.set(CURLOPT_SSL_VERIFYHOST, check ? 2L : 0L);
        if (!access.ca_file.empty()) {
            c.set(CURLOPT_CAINFO, access.ca_file.c_str());
            c.set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
        }
        if (!access.certificate.empty()) c.set(CURLOPT_SSLCERT, access.certificate.c_str());
        if (!access.key.empty()) c.set(CURLOPT_SSLKEY, access.key.c_str());
        if (!access.pin.empty()) c.set(CURLOPT_PINNEDPUBLICKEY, access.pin.c_str());
        if (access.method != AuthMethod::none && !access.user.empty()) {
            c.set(CURLOPT_USERNAME, access.user.c_str());
            c.set(CURLOPT_PASSWORD, access.password.c_str());
            c.set(CURLOPT_LOGIN_OPTIONS, login_options(access.method).c_str());
        }
    }

    const CURLcode code = curl_easy_perform(c.easy.get());
    greeting_ = c.first;
    const std::string said = c.reply.code >= 400 ? c.reply.text() : "";
    if (code != CURLE_OK) {
        const std::string own_words = c.error[0] != '\0' ? c.error.data() : curl_easy_strerror(code);
        std::string why = connection_text(c.easy.get(), code, target_.host, text::escape(own_words));
        if (why.empty()) why = lower_first(own_words);
        if (code == CURLE_COULDNT_CONNECT && local) {
            long error = 0;
            curl_easy_getinfo(c.easy.get(), CURLINFO_OS_ERRNO, &error);
            why = "cannot connect to the socket " + text::quote(target_.path) + ": " +
                  std::generic_category().message(static_cast<int>(error));
        }
        if (code == CURLE_PEER_FAILED_VERIFICATION) why += " (see 'tls: {ca: ...}')";
        if (code == CURLE_SSL_CONNECT_ERROR && smtps)
            why += "; if the server does not begin with TLS, its URL is smtp://";
        if (code == CURLE_OPERATION_TIMEDOUT && c.first.empty() && !smtps && !lmtp)
            why += "; if the server begins with TLS, its URL is smtps://";
        if (code == CURLE_ABORTED_BY_CALLBACK) why = c.silent ? "no connection in time" : "asked to end";
        if (code == CURLE_USE_SSL_FAILED) why = "the server offers no STARTTLS, and without TLS nothing is sent";
        if (!said.empty()) why = said;
        // 454 is a login server that is ill (RFC 4954).
        if (code == CURLE_LOGIN_DENIED && c.reply.code / 100 != 4) {
            return not_here(Verdict::denied, "the login was refused" + (said.empty() ? "" : ": " + said), c.reply.code);
        }
        return not_here(Verdict::unreachable, why, c.reply.code);
    }
    curl_easy_getinfo(c.easy.get(), CURLINFO_ACTIVESOCKET, &c.socket);
    if (c.socket == CURL_SOCKET_BAD) return not_here(Verdict::broken, "the connection was lost at once");
    if (lmtp) return {};
    logged_in_ = c.reply.code == 235;
    if (c.hello) extensions_ = extensions_of(*c.hello);
    c.tls = c.tls || smtps;
    if (access.method != AuthMethod::none && !access.user.empty() && !logged_in_) {
        return not_here(Verdict::denied, extensions_.auth ? "the server has no way to log in that we know"
                                                          : "the server offers no login");
    }
    return {};
}

MailAnswer MailSession::greet_lmtp() {
    const auto until = deadline();
    auto reply = receive(until);
    if (!reply) return lost("no greeting");
    greeting_ = reply->text();
    if (reply->code / 100 != 2) return not_here(Verdict::unreachable, reply->text(), reply->code);
    reply = command("LHLO " + host_name());
    if (!reply) return lost("no answer to LHLO");
    if (reply->code / 100 != 2) return not_here(Verdict::unreachable, reply->text(), reply->code);
    extensions_ = extensions_of(*reply);
    return {};
}

bool MailSession::send(std::string_view data, Deadline until) {
    if (!connection_) return false;
    while (!data.empty()) {
        std::size_t sent = 0;
        const CURLcode code = curl_easy_send(connection_->easy.get(), data.data(), data.size(), &sent);
        if (code == CURLE_OK) {
            data.remove_prefix(sent);
            continue;
        }
        if (code != CURLE_AGAIN) {
            trouble_ = "the connection was lost";
            return false;
        }
        if (Steady::now() >= until) {
            trouble_ = "the server takes no more data";
            return false;
        }
        if (settings_.stopping && settings_.stopping()) {
            trouble_ = "asked to end";
            return false;
        }
        pollfd one{connection_->socket, POLLOUT, 0};
        ::poll(&one, 1, static_cast<int>(slice.count()));
    }
    return true;
}

std::optional<MailReply> MailSession::receive(Deadline until) {
    if (!connection_) return std::nullopt;
    MailReply reply;
    std::size_t taken = 0;
    for (;;) {
        for (auto end = buffer_.find('\n'); end != std::string::npos; end = buffer_.find('\n')) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            if (line.ends_with('\r')) line.pop_back();
            const auto whole = add_line(reply, line);
            if (!whole) {
                trouble_ = "the server's answer is none: " + line.substr(0, 80);
                return std::nullopt;
            }
            if (*whole) return reply;
        }
        std::array<char, 4096> block{};
        std::size_t got = 0;
        const CURLcode code = curl_easy_recv(connection_->easy.get(), block.data(), block.size(), &got);
        if (code == CURLE_OK && got > 0) {
            buffer_.append(block.data(), got);
            taken += got;
            if (taken > longest_reply) {
                trouble_ = "the server's answer does not end";
                return std::nullopt;
            }
            if (Steady::now() < until) continue;
        }
        if (code == CURLE_OK && got == 0) {
            trouble_ = "the server closed the connection";
            return std::nullopt;
        }
        if (code != CURLE_OK && code != CURLE_AGAIN) {
            trouble_ = "the connection was lost";
            return std::nullopt;
        }
        const auto now = Steady::now();
        if (now >= until) {
            trouble_ = "no answer in time";
            return std::nullopt;
        }
        if (settings_.stopping && settings_.stopping()) {
            if (!owed_) {
                trouble_ = "asked to end";
                return std::nullopt;
            }
            until = std::min(until, now + last_chance);
        }
        const auto left = std::chrono::ceil<milliseconds>(until - now);
        pollfd one{connection_->socket, POLLIN, 0};
        ::poll(&one, 1, static_cast<int>(std::min(left, slice).count()));
    }
}

std::optional<MailReply> MailSession::unasked() {
    if (buffer_.empty()) {
        std::array<char, 1024> block{};
        std::size_t got = 0;
        const CURLcode code = curl_easy_recv(connection_->easy.get(), block.data(), block.size(), &got);
        if (code == CURLE_AGAIN) return std::nullopt;
        if (code != CURLE_OK || got == 0) {
            trouble_ = "the server closed the connection";
            return MailReply{};
        }
        buffer_.append(block.data(), got);
    }
    trouble_ = "the server spoke out of turn";
    const auto reply = receive(Steady::now() + farewell);
    return reply ? *reply : MailReply{};
}

std::optional<MailReply> MailSession::command(const std::string& line) {
    // An answer that came before its question must never be taken for it. A server that closes down says 421.
    if (auto early = unasked()) {
        if (early->code == 421) return early;
        return std::nullopt;
    }
    const auto until = deadline();
    if (!send(line + "\r\n", until)) {
        // Its last words may say why.
        const auto words = receive(Steady::now() + farewell);
        if (words && words->code >= 400) return words;
        return std::nullopt;
    }
    return receive(until);
}

MailAnswer MailSession::ask(const std::string& line) {
    const auto reply = command(line);
    return reply ? judge(*reply) : lost("no answer");
}

MailAnswer MailSession::offer(const Mail& mail) {
    withdraw();
    if (!is_open()) {
        if (auto opened = open(); opened.mailed != Mailed::yes) return opened;
    }
    const bool kept = used_;
    met_ = false;
    auto answer = offer_once(mail);
    // Closed while nobody used it: nothing of this mail was taken yet.
    if (kept && answer.mailed == Mailed::not_here && !met_) {
        if (auto opened = open(); opened.mailed != Mailed::yes) return opened;
        answer = offer_once(mail);
    }
    return answer;
}

MailAnswer MailSession::offer_once(const Mail& mail) {
    const bool utf8 = has_high_bytes(mail.sender) || has_high_bytes(mail.recipient);
    if (!is_safe(mail.sender) || !is_safe(mail.recipient) || mail.recipient.empty()) {
        return never("the address cannot be told to a mail server");
    }
    if (utf8 && !extensions_.utf8) {
        return never("the server takes no addresses beyond ASCII (SMTPUTF8, RFC 6531)");
    }
    const auto facts = facts_of(disk_, mail.body);
    if (facts.nul) return never("the message has a NUL byte, which no mail can carry (RFC 2045)");
    if (facts.eight_bit && !extensions_.eight_bit) {
        return never("the message has 8-bit text, and the server takes none (8BITMIME, RFC 6152)");
    }
    if (extensions_.largest && facts.size > *extensions_.largest) {
        return never("the message has " + text::format_bytes(facts.size) + ", and the server takes " +
                     text::format_bytes(*extensions_.largest) + " at most (SIZE, RFC 1870)");
    }

    // The answer to RSET, and whether the connection still stands.
    if (dirty_) {
        const auto reply = command("RSET");
        if (!reply || reply->code / 100 != 2) {
            if (reply) trouble_ = reply->text();
            return lost("RSET");
        }
        dirty_ = false;
    }
    std::string from = "MAIL FROM:<" + mail.sender + ">";
    if (extensions_.size) from += " SIZE=" + std::to_string(facts.size.count);
    if (facts.eight_bit) from += " BODY=8BITMIME";
    if (utf8) from += " SMTPUTF8";
    auto reply = command(from);
    if (!reply) return lost("no answer to MAIL");
    if (reply->code == 421) {
        auto answer = judge(*reply);
        close();
        return answer;
    }
    used_ = met_ = dirty_ = true;
    // Nothing if the answer lets us go on.
    const auto refusal = [&](int wanted) -> std::optional<MailAnswer> {
        if (reply->code / 100 == wanted) return std::nullopt;
        auto answer = judge(*reply);
        if (answer.mailed == Mailed::yes) answer = not_here(Verdict::broken, "out of step: " + reply->text());
        if (answer.mailed == Mailed::not_here) close();
        return answer;
    };
    if (auto answer = refusal(2)) return *answer;
    reply = command("RCPT TO:<" + mail.recipient + ">");
    if (!reply) return lost("no answer to RCPT");
    if (auto answer = refusal(2)) return *answer;
    reply = command("DATA");
    if (!reply) return lost("no answer to DATA");
    if (auto answer = refusal(3)) return *answer;
    return send_data(mail, facts.size);
}

MailAnswer MailSession::send_data(const Mail& mail, Bytes size) {
    const auto last = deadline() + std::chrono::seconds(size.count / slowest.count);
    bool sent = true;
    try {
        for_each_part(disk_, mail.body, [&](std::string_view part) {
            sent = send(part, std::min(last, deadline()));
            return sent;
        });
    } catch (...) {
        // The server waits for the rest, which cannot be given.
        close();
        throw;
    }
    std::optional<MailReply> early;
    if (sent) {
        early = unasked();
    } else if (auto words = receive(Steady::now() + farewell)) {
        early = words;
    }
    if (!sent && !early) return lost("in the message");
    if (early) return before_the_dot(*early);
    owed_ = true;
    return {};
}

// It does not want the rest, or speaks of something else, or is gone. Without the dot it has nothing.
MailAnswer MailSession::before_the_dot(const MailReply& early) {
    auto answer = early.code >= 400 ? judge(early) : not_here(Verdict::broken, "in the message: " + trouble_);
    close();
    return answer;
}

MailAnswer MailSession::commit() {
    if (const auto early = unasked()) return before_the_dot(*early);
    const auto until = Steady::now() + 2 * settings_.answer;
    // What libcurl has taken may leave. Less than the whole line is no end of the data.
    if (!send(end_of_data, until)) return lost("at the end of the message");
    auto reply = receive(until);
    owed_ = false;
    dirty_ = false;
    if (reply && !buffer_.empty()) {
        // Two answers to one dot: nobody knows which is meant.
        reply.reset();
        trouble_ = "the server gave two answers";
    }
    if (!reply) {
        MailAnswer answer{Mailed::unknown, {Verdict::unknown, "sent, but " + trouble_, 0, {}}};
        close();
        return answer;
    }
    auto answer = judge(*reply);
    const int kind = reply->code / 100;
    if (kind != 2 && kind != 4 && kind != 5) {
        answer = {Mailed::unknown, {Verdict::unknown, "sent, and answered with " + reply->text(), reply->code, {}}};
    }
    if (answer.mailed == Mailed::not_here || answer.mailed == Mailed::unknown) close();
    return answer;
}

void MailSession::withdraw() {
    if (owed_) close();
}

}  // namespace ums::transport
