// SPDX-License-Identifier: GPL-3.0-or-later
//
// HTTP requests to one server through libcurl, many at a time; private to the transport module.
//
// Requests without a body go over HTTP/2 where the server offers it (with TLS, by ALPN), those with one over HTTP/1.1, on
// kept connections both.
//
// What it promises beyond libcurl: no request that changes something is sent a second time unless the server answered
// the first with "log in" (401); no redirect, no proxy but the one
// that is asked for, no other protocol; certificates are always checked; every
// request ends within a deadline; what the server sends is bounded; and a failure tells whether anything was sent.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/disk.hpp"
#include "target/target.hpp"
#include "transport/dav_answer.hpp"
#include "transport/dav_listing.hpp"
#include "transport/store.hpp"

namespace ums::transport {

/// One HTTP request. What it refers to must live until its reply is there.
struct Request {
    Method method = Method::get;
    std::string url;
    std::vector<std::string> headers;
    const char* content = nullptr;  ///< a small constant body, for PROPFIND
    const Body* body = nullptr;     ///< for PUT
    /// Gets the body of a 2xx reply in parts; false: no more of it. It may throw, and must not use the client.
    std::function<bool(std::string_view)> sink;
    std::optional<Bytes> expected;  ///< how much it will be, for the deadline of a large reply
    bool streaming = false;         ///< a reply that may take long, as long as it moves
};

class Client {
  public:
    Client(const target::Target& target, Access access, const Limits& limits, io::Disk& disk);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    const Origin& origin() const noexcept;

    enum class Slash { no, yes };
    /// Absolute URL of a decoded absolute path on the server.
    std::string url(const std::string& path, Slash slash = Slash::no) const;

    /// The next request of job `i`, or nothing when it is through. It gets the reply to the one before, at first null.
    using Next = std::function<std::optional<Request>(std::size_t i, const Reply* reply)>;

    /// Works on `jobs` jobs, as many at a time as the distance asks for and the limits allow. An exception of a sink, a body or `next` is thrown
    /// after the requests that are under way have ended. When the server cannot be reached again and again, or takes
    /// requests and does not answer, the jobs that are left are told at once that it is `unreachable`.
    void run(std::size_t jobs, const Next& next);

    /// What is known of the server: its name, protocol, TLS, the way of logging in.
    std::string describe() const;

    struct State;

  private:
    std::unique_ptr<State> state_;
};

}  // namespace ums::transport
