// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/dav_client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "error/error.hpp"
#include "text/text.hpp"
#include "transport/dav_exchange.hpp"

namespace ums::transport {

namespace {

// After so many in a row the rest of a batch is not tried: a host that is silent costs the connect time each time, and one
// that takes requests and never answers the time-out.
constexpr unsigned most_silent = 3;

// Requests at a time to a server that answers at once, or has complained; see Limits::width().
constexpr std::size_t near_width = 8;
constexpr std::chrono::milliseconds far_step{1};

using Steady = std::chrono::steady_clock;

struct FreeMulti {
    void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
};

std::string base_url(const Origin& origin) {
    std::string url = origin.scheme + "://" + target::url_host(origin.host);
    if (origin.port != (origin.scheme == "https" ? 443 : 80)) url += ":" + std::to_string(origin.port);
    return url;
}

}  // namespace

// An exchange and the job it works for.
struct Worker {
    explicit Worker(const Settings& settings) : exchange(settings) {}
    Exchange exchange;
    std::size_t job = 0;
    std::optional<Request> after_login;
    bool again = false;     // it is tried a second time
    CURLM* lane = nullptr;  // that carries it now
};

// Connections are kept in two lanes: libcurl 7.88 sends a request that wants HTTP/1.1 over a kept HTTP/2 connection.
enum Lane { http1, http2, lanes };

struct Client::State {
    Settings settings;
    std::array<std::unique_ptr<CURLM, FreeMulti>, lanes> multis;
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<Worker*> idle;
    Seen seen;
    bool known = false;                     // the server has taken our login once
    std::chrono::microseconds quickest{0};  // answer of the last run: how far away the server is
    bool overloaded = false;                // it has said so, or could not be reached
    Steady::time_point free_at;             // no transfer before, to keep within the bandwidth

    ~State() {
        for (const auto& worker : workers) {
            if (worker->lane != nullptr) curl_multi_remove_handle(worker->lane, worker->exchange.easy());
        }
        workers.clear();
    }

    Worker& worker() {
        if (idle.empty()) {
            workers.push_back(std::make_unique<Worker>(settings));
            idle.reserve(workers.size());
            idle.push_back(workers.back().get());
        }
        Worker* chosen = idle.back();
        idle.pop_back();
        return *chosen;
    }

    bool needs_login() const {
        const auto& access = settings.access;
        if (!access.proxy_user.empty()) return true;
        return access.method != AuthMethod::none && (!access.user.empty() || access.method == AuthMethod::negotiate);
    }
};

// One call of Client::run().
class Run {
  public:
    Run(Client::State& state, std::size_t jobs, const Client::Next& next) : state_(state), jobs_(jobs), next_(next) {}

    void work() {
        while (start_some() || active_ > 0) {
            std::array<int, lanes> running{};
            for (std::size_t i = 0; i < lanes; ++i) {
                if (curl_multi_perform(state_.multis[i].get(), &running[i]) != CURLM_OK)
                    throw Error(Fault::internal, "libcurl cannot go on");
            }
            if (take_results()) continue;
            // Both lanes are busy for moments only, as when uploads follow the login.
            auto wait_ms = running[http1] > 0 && running[http2] > 0 ? 10 : 1000;
            if (started_ < jobs_ && active_ < width()) wait_ms = std::min(wait_ms, until_free());
            curl_multi_poll(state_.multis[running[http2] > 0 ? http2 : http1].get(), nullptr, 0, wait_ms, nullptr);
        }
        if (quickest_) state_.quickest = *quickest_;
        if (fault_) std::rethrow_exception(fault_);
    }

  private:
    // A wrong password tried many times at once can lock the account: the first login goes alone.
    std::size_t width() const {
        if (state_.needs_login() && !state_.known) return 1;
        const auto quickest = state_.overloaded ? std::chrono::microseconds(0) : state_.quickest;
        return state_.settings.limits.width(near_width, quickest, far_step);
    }

    bool start_some() {
        while (!fault_ && started_ < jobs_ && active_ < width() && until_free() == 0) {
            const std::size_t job = started_++;
            guarded([&] {
                auto request = next_(job, nullptr);
                // What is hopeless is not tried; the job still takes its answer, and may not ask again.
                if (request && hopeless_) {
                    static_cast<void>(next_(job, &*hopeless_));
                } else if (request) {
                    submit(state_.worker(), job, std::move(*request));
                }
            });
        }
        return active_ > 0 || (!fault_ && started_ < jobs_);
    }

    // libcurl slows a transfer down, but takes at once what has come already: the next one waits for that.
    int until_free() const {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(state_.free_at - Steady::now()).count();
        return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1000));
    }

    void count(const Reply& reply, std::uint64_t sent) {
        const auto bandwidth = state_.settings.limits.bandwidth.count;
        if (bandwidth == 0 || !reply.took) return;
        const std::chrono::duration<double> due(static_cast<double>(sent + reply.received) /
                                                static_cast<double>(bandwidth));
        state_.free_at =
            std::max(state_.free_at, Steady::now() - *reply.took) + std::chrono::duration_cast<Steady::duration>(due);
    }

    void submit(Worker& worker, std::size_t job, Request request) {
        worker.job = job;
        worker.after_login.reset();
        worker.again = false;
        try {
            const bool has_body = request.body != nullptr || request.content != nullptr;
            if (has_body && !worker.exchange.is_ready_for_body()) {
                worker.after_login = std::move(request);
                worker.exchange.prepare_login();
            } else {
                worker.exchange.prepare(std::move(request));
            }
            add(worker);
        } catch (...) {
            state_.idle.push_back(&worker);
            throw;
        }
    }

    void add(Worker& worker) {
        CURLM* lane = state_.multis[worker.exchange.may_use_http2() ? http2 : http1].get();
        if (curl_multi_add_handle(lane, worker.exchange.easy()) != CURLM_OK) throw std::bad_alloc();
        worker.lane = lane;
        ++active_;
    }

    bool take_results() {
        bool any = false;
        for (const auto& multi : state_.multis) any = take_results(multi.get()) || any;
        return any;
    }

    bool take_results(CURLM* multi) {
        bool any = false;
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            any = true;
            const CURLcode code = message->data.result;
            char* owner = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
            Worker* worker = worker_of(owner);
            curl_multi_remove_handle(multi, worker->exchange.easy());
            worker->lane = nullptr;
            --active_;
            if (!worker->again && worker->exchange.may_try_again(code)) {
                worker->again = true;
                guarded([&] {
                    worker->exchange.try_again();
                    add(*worker);
                });
                continue;
            }
            state_.idle.push_back(worker);
            guarded([&] { take(*worker, code); });
        }
        return any;
    }

    Worker* worker_of(const void* exchange) const {
        const auto found = std::find_if(state_.workers.begin(), state_.workers.end(),
                                        [&](const auto& worker) { return &worker->exchange == exchange; });
        return found->get();
    }

    void take(Worker& worker, CURLcode code) {
        const Reply reply = worker.exchange.finish(code, state_.seen);
        if (auto fault = worker.exchange.fault()) std::rethrow_exception(fault);
        judge(reply);
        count(reply, worker.exchange.body_size());
        const bool may_go_on = reply.status != 0 && !wants_login(reply);
        if (worker.after_login && may_go_on) {
            auto request = std::move(*worker.after_login);
            resubmit(worker, std::move(request));
            return;
        }
        worker.after_login.reset();
        auto request = next_(worker.job, &reply);
        if (request) resubmit(worker, std::move(*request));
    }

    void resubmit(Worker& worker, Request request) {
        state_.idle.erase(std::find(state_.idle.begin(), state_.idle.end(), &worker));
        submit(worker, worker.job, std::move(request));
    }

    // The server, the proxy, or the proxy before it would connect.
    static bool wants_login(const Reply& reply) {
        return reply.status == 401 || reply.status == 407 ||
               (reply.status == 0 && reply.failure.verdict == Verdict::denied);
    }

    void judge(const Reply& reply) {
        const bool too_much = reply.status == 429 || reply.status == 503;
        if (too_much || (reply.status == 0 && reply.failure.verdict == Verdict::unreachable)) state_.overloaded = true;
        if (reply.took && (!quickest_ || *reply.took < *quickest_)) quickest_ = reply.took;
        if (wants_login(reply) && !state_.known) hopeless_ = reply;
        if (reply.status != 0 && !wants_login(reply)) state_.known = true;
        const bool unreachable = reply.status == 0 && reply.failure.verdict == Verdict::unreachable;
        silent_ = unreachable || reply.timed_out ? silent_ + 1 : 0;
        if (silent_ < most_silent) return;
        hopeless_ = reply;
        // It is the answer to what is never sent: no doubt there.
        hopeless_->failure.verdict = Verdict::unreachable;
    }

    // The first fault is kept; requests that are under way come to their end before it is thrown.
    template <typename Step>
    void guarded(Step step) {
        try {
            step();
        } catch (...) {
            if (!fault_) fault_ = std::current_exception();
        }
    }

    Client::State& state_;
    std::size_t jobs_;
    const Client::Next& next_;
    std::size_t started_ = 0;
    std::size_t active_ = 0;
    unsigned silent_ = 0;
    std::optional<std::chrono::microseconds> quickest_;
    std::optional<Reply> hopeless_;
    std::exception_ptr fault_;
};

Client::Client(const target::Target& target, Access access, const Limits& limits, io::Disk& disk)
    : state_(std::make_unique<State>()) {
    for (auto& multi : state_->multis) {
        multi.reset(curl_multi_init());
        if (!multi) throw std::bad_alloc();
        curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(std::max(1U, limits.connections)));
    }
    auto& settings = state_->settings;
    const bool tls = target.scheme == target::Scheme::davs;
    settings.origin = {.scheme = tls ? "https" : "http",
                       .host = target.host,
                       .port = target.port.value_or(static_cast<std::uint16_t>(tls ? 443 : 80))};
    settings.access = std::move(access);
    settings.limits = limits;
    settings.disk = &disk;
    settings.root_url = url(target.path, Slash::yes);
}

Client::~Client() = default;

const Origin& Client::origin() const noexcept { return state_->settings.origin; }

std::string Client::url(const std::string& path, Slash slash) const {
    std::string url = base_url(state_->settings.origin) + target::encode_path(path);
    if (slash == Slash::yes && !url.ends_with('/')) url += '/';
    return url;
}

void Client::run(std::size_t jobs, const Next& next) { Run(*state_, jobs, next).work(); }

std::string Client::describe() const {
    const auto& seen = state_->seen;
    std::string out = seen.server.empty() ? "a server without a name" : text::escape(seen.server);
    if (!seen.version.empty()) out += ", " + seen.version;
    out += state_->settings.tls() ? " over TLS" : " without TLS";
    if (!seen.login.empty()) out += ", login: " + seen.login;
    return out;
}

}  // namespace ums::transport
