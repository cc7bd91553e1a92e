// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/dav_answer.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace ums::transport;

namespace {

Reply reply(int status) {
    Reply r;
    r.status = status;
    return r;
}

}  // namespace

TEST_CASE("only a clear yes is done", "[dav_answer]") {
    const std::vector<std::pair<Method, std::vector<int>>> wanted{
        {Method::propfind, {207}},  {Method::get, {200}},         {Method::head, {200}}, {Method::put, {200, 201, 204}},
        {Method::move, {201, 204}}, {Method::remove, {200, 204}}, {Method::mkcol, {201}}};
    for (const auto& [method, statuses] : wanted) {
        for (int status = 100; status < 600; ++status) {
            INFO(to_string(method) << " " << status);
            const auto answer = answer_of(method, reply(status));
            const bool is_wanted = std::find(statuses.begin(), statuses.end(), status) != statuses.end();
            CHECK(answer.done() == is_wanted);
            CHECK(answer.text.empty() == is_wanted);
            CHECK(answer.status == status);
            // What was sent and answered was not without a connection.
            CHECK(answer.verdict != Verdict::unreachable);
        }
    }
}

TEST_CASE("what a status means", "[dav_answer]") {
    CHECK(answer_of(Method::move, reply(200)).verdict == Verdict::unknown);
    CHECK(answer_of(Method::move, reply(202)).verdict == Verdict::unknown);
    CHECK(answer_of(Method::get, reply(202)).verdict == Verdict::broken);
    CHECK(answer_of(Method::put, reply(409)).verdict == Verdict::absent);
    CHECK(answer_of(Method::remove, reply(409)).verdict == Verdict::refused);
    CHECK(answer_of(Method::put, reply(401)).verdict == Verdict::denied);
    CHECK(answer_of(Method::put, reply(403)).verdict == Verdict::denied);
    CHECK(answer_of(Method::put, reply(404)).verdict == Verdict::absent);
    CHECK(answer_of(Method::put, reply(412)).verdict == Verdict::exists);
    CHECK(answer_of(Method::put, reply(413)).verdict == Verdict::refused);
    CHECK(answer_of(Method::put, reply(408)).verdict == Verdict::broken);
    CHECK(answer_of(Method::put, reply(429)).verdict == Verdict::broken);
    CHECK(answer_of(Method::put, reply(500)).verdict == Verdict::broken);
    CHECK(answer_of(Method::put, reply(507)).verdict == Verdict::full);
    CHECK(answer_of(Method::put, reply(507)).text == "PUT: 507 Insufficient Storage");
    CHECK(answer_of(Method::put, reply(599)).text == "PUT: 599");
}

TEST_CASE("a redirect is not followed, and its address is no way into a terminal", "[dav_answer]") {
    auto r = reply(302);
    r.location = "http://elsewhere/\x1b[2J" + std::string(5000, 'x');
    const auto answer = answer_of(Method::move, r);
    CHECK(answer.verdict == Verdict::broken);
    CHECK(answer.text.find("not followed") != std::string::npos);
    CHECK(answer.text.find('\x1b') == std::string::npos);
    CHECK(answer.text.size() < 500);
}

TEST_CASE("no status, the failure itself", "[dav_answer]") {
    Reply r;
    r.failure.verdict = Verdict::unreachable;
    r.failure.text = "connection refused";
    CHECK(answer_of(Method::move, r).verdict == Verdict::unreachable);
    CHECK(answer_of(Method::move, r).text == "connection refused");
}
