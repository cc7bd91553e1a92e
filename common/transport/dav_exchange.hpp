// SPDX-License-Identifier: GPL-3.0-or-later
//
// One easy handle of libcurl and the request that it carries; private to dav_client.cpp.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "transport/dav_client.hpp"

namespace ums::transport {

/// What all handles of a client share.
struct Settings {
    Origin origin;
    Access access;
    Limits limits;
    io::Disk* disk = nullptr;
    std::string root_url;  ///< with a trailing slash: where we log in
    bool tls() const { return origin.scheme == "https"; }
};

/// What was seen of the server, for describe().
struct Seen {
    std::string server;
    std::string version;  ///< `HTTP/1.1`, `HTTP/2`
    std::string login;
};

struct FreeEasy {
    void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
};
struct FreeList {
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

class Exchange {
  public:
    explicit Exchange(const Settings& settings);
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    CURL* easy() const noexcept { return easy_.get(); }

    /// Whether the prepared request may go over HTTP/2, if the server offers it. Not with a body: a server that answers
    /// without having read it (401, 404, 412, 507) resets the stream, and libcurl 7.88 then loses the answer: a clear no
    /// would become a doubt. Not with logins of a connection (NTLM, Negotiate), nor if there is to be one connection only.
    bool may_use_http2() const noexcept;

    /// True when a request with a body can be sent without being asked to log in first: the body would be sent in vain,
    /// and a server that closes the connection on it leaves a doubt.
    bool is_ready_for_body() const noexcept { return logged_in_ && known_to_proxy_; }
    void prepare(Request request);
    /// PROPFIND of the root without a body: nothing is lost when it is answered with 401.
    void prepare_login();

    /// Whether a failure leaves no doubt (the server only asked us to log in), or a doubt that does not matter.
    bool may_try_again(CURLcode code) const noexcept;
    void try_again();

    /// After libcurl is through with it.
    Reply finish(CURLcode code, Seen& seen);
    /// Of the request that was carried last.
    std::uint64_t body_size() const noexcept { return request_.body != nullptr ? request_.body->size().count : 0; }
    /// What a sink or the reading of a body threw.
    std::exception_ptr fault() const noexcept { return fault_; }

  private:
    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) noexcept;
    static std::size_t on_content(char* data, std::size_t size, std::size_t count, void* self) noexcept;
    static std::size_t on_read(char* data, std::size_t size, std::size_t count, void* self) noexcept;
    static int on_seek(void* self, curl_off_t offset, int origin) noexcept;
    static int on_send(void* self, char* remote, char* local, int remote_port, int local_port) noexcept;

    void set_constants();
    void set_login(unsigned long methods);
    void set_deadline(const Request& request);
    void header(std::string_view line);
    bool content(std::string_view part);
    std::size_t fill(std::span<char> buffer);
    std::string failure_text(CURLcode code) const;
    void set_proxy();
    void learn_login(Seen& seen);
    void learn_proxy_login();
    Answer failure(CURLcode code);

    template <typename Value>
    void set(CURLoption option, Value value);

    const Settings& settings_;
    std::unique_ptr<CURL, FreeEasy> easy_;
    std::unique_ptr<curl_slist, FreeList> headers_;
    std::array<char, CURL_ERROR_SIZE> error_{};
    unsigned long login_methods_ = 0;
    bool logged_in_ = false;
    bool known_to_proxy_ = true;  // it asks for no login, or has taken ours

    Request request_;
    Reply reply_;
    int status_ = 0;             // of the reply whose headers are coming or came
    bool headers_done_ = false;  // of a final reply
    std::size_t header_bytes_ = 0;
    std::size_t discarded_ = 0;
    std::uint64_t position_ = 0;
    int sent_ = 0;
    int logins_ = 0;     // sent again because a login was asked for
    bool open_ = false;  // sent, and neither answered nor asked to log in
    bool asked_to_log_in_ = false;
    bool repeat_refused_ = false;
    bool login_refused_ = false;
    std::string server_;
    std::exception_ptr fault_;
};

}  // namespace ums::transport
