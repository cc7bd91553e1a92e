// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/dav_answer.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "text/text.hpp"

namespace ums::transport {

namespace {

constexpr std::size_t longest_location = 200;

constexpr std::array<std::pair<int, std::string_view>, 33> reasons{{{200, "OK"},
                                                                    {201, "Created"},
                                                                    {202, "Accepted"},
                                                                    {204, "No Content"},
                                                                    {206, "Partial Content"},
                                                                    {207, "Multi-Status"},
                                                                    {301, "Moved Permanently"},
                                                                    {302, "Found"},
                                                                    {303, "See Other"},
                                                                    {307, "Temporary Redirect"},
                                                                    {308, "Permanent Redirect"},
                                                                    {400, "Bad Request"},
                                                                    {401, "Unauthorized"},
                                                                    {403, "Forbidden"},
                                                                    {404, "Not Found"},
                                                                    {405, "Method Not Allowed"},
                                                                    {407, "Proxy Authentication Required"},
                                                                    {409, "Conflict"},
                                                                    {410, "Gone"},
                                                                    {411, "Length Required"},
                                                                    {412, "Precondition Failed"},
                                                                    {413, "Content Too Large"},
                                                                    {414, "URI Too Long"},
                                                                    {415, "Unsupported Media Type"},
                                                                    {422, "Unprocessable Content"},
                                                                    {423, "Locked"},
                                                                    {429, "Too Many Requests"},
                                                                    {500, "Internal Server Error"},
                                                                    {501, "Not Implemented"},
                                                                    {502, "Bad Gateway"},
                                                                    {503, "Service Unavailable"},
                                                                    {504, "Gateway Timeout"},
                                                                    {507, "Insufficient Storage"}}};

bool is_wanted(Method method, int status) {
    switch (method) {
        case Method::propfind: return status == 207;
        case Method::get:
        case Method::head: return status == 200;
        case Method::put: return status == 200 || status == 201 || status == 204;
        case Method::move: return status == 201 || status == 204;
        case Method::remove: return status == 200 || status == 204;
        case Method::mkcol: return status == 201;
    }
    return false;
}

Verdict verdict_of(Method method, int status) {
    if (is_wanted(method, status)) return Verdict::done;
    switch (status) {
        case 401:
        case 403:
        case 407: return Verdict::denied;
        case 404:
        case 410: return Verdict::absent;
        // A missing parent (RFC 4918 sections 9.3.1, 9.7.1, 9.9.4).
        case 409:
            return method == Method::put || method == Method::mkcol || method == Method::move ? Verdict::absent
                                                                                              : Verdict::refused;
        case 412: return Verdict::exists;
        // The server's trouble in spite of its number: another try may pass.
        case 408:
        case 421:
        case 425:
        case 429: return Verdict::broken;
        case 507: return Verdict::full;
        default: break;
    }
    if (status >= 400 && status < 500) return Verdict::refused;
    // A 2xx that we do not know the meaning of: something was done, but what?
    if (status >= 200 && status < 300 && !is_repeatable(method)) return Verdict::unknown;
    return Verdict::broken;
}

}  // namespace

std::string_view to_string(Method method) noexcept {
    switch (method) {
        case Method::propfind: return "PROPFIND";
        case Method::get: return "GET";
        case Method::head: return "HEAD";
        case Method::put: return "PUT";
        case Method::move: return "MOVE";
        case Method::remove: return "DELETE";
        case Method::mkcol: return "MKCOL";
    }
    return "";
}

bool is_repeatable(Method method) noexcept {
    return method == Method::propfind || method == Method::get || method == Method::head;
}

std::string status_text(int status) {
    const auto* found = std::find_if(reasons.begin(), reasons.end(), [&](auto& r) { return r.first == status; });
    std::string text = std::to_string(status);
    if (found != reasons.end()) text.append(" ").append(found->second);
    return text;
}

Answer answer_of(Method method, const Reply& reply) {
    if (reply.status == 0) return reply.failure;
    Answer answer;
    answer.status = reply.status;
    answer.verdict = verdict_of(method, reply.status);
    if (answer.done()) return answer;
    answer.retry_after = reply.retry_after;
    answer.text = std::string(to_string(method)) + ": " + status_text(reply.status);
    if (reply.status / 100 == 3) {
        answer.text += ", a redirect";
        if (!reply.location.empty()) answer.text += " to " + text::quote(reply.location.substr(0, longest_location));
        answer.text += ", which is not followed";
    } else if (reply.status == 401) {
        answer.text += reply.offered.empty() ? ", user or password are not accepted" : ", " + reply.offered;
    } else if (reply.status == 407) {
        answer.text += ", " + (reply.offered.empty() ? std::string("a proxy wants a login") : reply.offered);
    } else if (reply.status == 405 || reply.status == 501) {
        answer.text += ", the server does not allow it here";
    } else if (reply.status / 100 == 2) {
        answer.text += ", an answer that says nothing certain";
    }
    return answer;
}

}  // namespace ums::transport
