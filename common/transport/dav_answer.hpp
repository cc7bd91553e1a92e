// SPDX-License-Identifier: GPL-3.0-or-later
//
// What an HTTP status means to us (RFC 9110 section 15, RFC 4918 section 11); private to the transport module.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "transport/store.hpp"

namespace ums::transport {

enum class Method { propfind, get, head, put, move, remove, mkcol };

std::string_view to_string(Method method) noexcept;

/// Whether it may be sent again when nobody knows if it arrived. What changes something may not.
bool is_repeatable(Method method) noexcept;

/// The reply to one request: a status, or why there is none.
struct Reply {
    int status = 0;  ///< 0: `failure` says why
    Answer failure;
    bool timed_out = false;  ///< it was sent, and nothing came within the deadline
    std::optional<std::chrono::microseconds> took = std::nullopt;  ///< from sending to the end of the answer
    std::optional<std::chrono::seconds> retry_after = std::nullopt;
    std::optional<std::uint64_t> length;  ///< Content-Length
    std::uint64_t received = 0;           ///< bytes of the body of a 2xx reply
    bool encoded = false;                 ///< with a Content-Encoding that nobody asked for
    bool stopped = false;                 ///< we did not want the rest
    std::string location;
    std::string offered;  ///< with 401: the ways to log in that the server offers and we may not use
};

/// `507 Insufficient Storage`; the server's own words are not used.
std::string status_text(int status);

/// For every method but what it makes of 2xx itself: for `propfind` 207, for `get` and `head` 200, for `put` 200, 201
/// and 204, for `move` 201 and 204, for `remove` 200 and 204, for `mkcol` 201 are `done`.
Answer answer_of(Method method, const Reply& reply);

}  // namespace ums::transport
