// SPDX-License-Identifier: GPL-3.0-or-later
//
// The keys of WebDAV targets: proxy, headers, the deadlines of limit, in-place.
#include <catch2/catch.hpp>

#include <chrono>
#include <string>

#include "config/config.hpp"

namespace {

using namespace ums;
using namespace std::chrono_literals;

config::Loaded load(const std::string& kernel) {
    return config::parse("mds: {id: BER1}\nkernels:\n  k1: {" + kernel +
                             "}\nconnectors:\n  C: {root: /srv/cr}\nsites:\n  s: {kernels: k1}\nroutes:\n  - {to: s}\n",
                         "/etc/ums/mds.yaml");
}

config::Kernel good(const std::string& keys) {
    const auto loaded = load("url: 'davs://k1/CR', " + keys);
    for (const auto& diagnostic : loaded.diagnostics) UNSCOPED_INFO(config::to_string(diagnostic));
    CHECK(loaded.diagnostics.empty());
    REQUIRE(loaded.config);
    return loaded.config->kernels.front();
}

std::string bad(const std::string& keys, const std::string& url = "davs://k1/CR") {
    const auto loaded = load("url: '" + url + "', " + keys);
    REQUIRE(!loaded.diagnostics.empty());
    return config::to_string(loaded.diagnostics.front());
}

TEST_CASE("a proxy has an address, a user and a password of its own") {
    const auto kernel = good("proxy: {url: 'HTTP://proxy.example:3128/', user: u, password-file: p.secret}");
    CHECK(kernel.http.proxy == "http://proxy.example:3128");
    CHECK(kernel.http.proxy_user == "u");
    CHECK(kernel.http.proxy_password.file == "/etc/ums/p.secret");
    CHECK(good("proxy: {url: 'https://[2001:db8::1]:8080'}").http.proxy == "https://[2001:db8::1]:8080");
    CHECK(good("channels: 1").http.proxy.empty());
    for (const std::string url : {"proxy:3128", "http://proxy", "ftp://proxy:21", "http://proxy:3128/path",
                                  "http://:3128", "dav://proxy:3128", "http://proxy:0", "socks5://proxy:1080"}) {
        CHECK_THAT(bad("proxy: {url: '" + url + "'}"), Catch::Contains("must be http://host:port"));
    }
    const auto secret = bad("proxy: {url: 'http://user:geheim@proxy:3128'}");
    CHECK_THAT(secret, Catch::Contains("user and password in keys of their own") && !Catch::Contains("geheim"));
    CHECK_THAT(bad("in-place: yes, recall: yes"), Catch::Contains("what is delivered 'in-place' cannot be taken back"));
    CHECK_THAT(bad("proxy: {user: u}"), Catch::Contains("'proxy' has no 'url'"));
    CHECK_THAT(bad("proxy: {url: 'http://p:1', password-file: x}"), Catch::Contains("no 'user'"));
    CHECK_THAT(bad("proxy: {url: 'http://p:1', user: 'a:b', password-file: x}"), Catch::Contains("colon"));
}

TEST_CASE("header fields are names and text, and none of those that the transport sets") {
    const auto kernel = good("headers: {X-Tenant: fax 1, Cookie: a=b}");
    CHECK(kernel.http.headers ==
          std::vector<std::pair<std::string, std::string>>{{"X-Tenant", "fax 1"}, {"Cookie", "a=b"}});
    for (const std::string name :
         {"Authorization", "host", "OVERWRITE", "Destination", "If-None-Match", "If", "Depth", "Expect",
          "Content-Length", "Transfer-Encoding", "User-Agent", "Range", "Proxy-Authorization", "Connection"}) {
        CHECK_THAT(bad("headers: {" + name + ": x}"), Catch::Contains("set by the transport itself"));
    }
    CHECK_THAT(bad("headers: {'X A': x}"), Catch::Contains("cannot be the name"));
    CHECK_THAT(bad("headers: {'X:A': x}"), Catch::Contains("cannot be the name"));
    CHECK_THAT(bad("headers: {X-A: \"a\\tb\"}"), Catch::Contains("control characters"));
    CHECK_FALSE(load("url: 'davs://k1/', headers: {X-A: \"a\\r\\nHost: b\"}").config);
    CHECK_THAT(bad("headers: {X-A: a, x-a: b}"), Catch::Contains("given twice"));
    CHECK_THAT(bad("headers: [a]"), Catch::Contains("a map of HTTP header fields"));
}

TEST_CASE("what does nothing for a directory is warned of") {
    CHECK_THAT(bad("proxy: {url: 'http://p:1'}", "file:/srv/k1"), Catch::Contains("'proxy' does nothing for file:"));
    CHECK_THAT(bad("headers: {X-A: b}", "file:/srv/k1"), Catch::Contains("'headers' does nothing for file:"));
}

TEST_CASE("deadlines of a target") {
    const auto kernel = good("limit: {connect: 100ms, answer: 2s, stall: 3s}");
    CHECK(kernel.limit.connect == 100ms);
    CHECK(kernel.limit.answer == 2s);
    CHECK(kernel.limit.stall == 3s);
    CHECK(good("channels: 1").limit.stall == 60s);
    CHECK_THAT(bad("limit: {stall: 10ms}"), Catch::Contains("'stall'"));
    CHECK_THAT(bad("limit: {connect: 0s}"), Catch::Contains("'connect'"));
}

TEST_CASE("delivery in place is asked for") {
    CHECK(good("in-place: yes").in_place);
    CHECK_FALSE(good("channels: 1").in_place);
}

}  // namespace
