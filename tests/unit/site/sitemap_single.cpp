// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <sstream>

#include "config_builder.hpp"
#include "error/error.hpp"
#include "ums-sitemap/single.hpp"

using namespace ums;
using namespace ums::sitemap;
using test::ConfigBuilder;

namespace {

config::Config make_config() {
    config::Site berlin;
    berlin.name = "berlin";
    berlin.numbering.emplace();
    berlin.numbering->country = "49";
    berlin.numbering->area = "30";
    berlin.numbering->subscribers = {{"456987"}};
    berlin.numbering->extension_digits = 3;
    berlin.numbering->outside_lines = {"0"};
    berlin.numbering->internal_length = 3;
    berlin.kernels = {"k1", "k2"};
    berlin.connectors.usual = {"Mail"};
    berlin.mark = {{"X-UMS-Site", "berlin"}};
    return ConfigBuilder().site(berlin).connector("ExConn", {"+49 30 456987 1*"}).config;
}

message::Reader reader_of(const std::string& bytes) {
    return [&bytes, at = std::size_t{0}](std::span<char> buffer) mutable {
        const auto n = std::min(buffer.size(), bytes.size() - at);
        std::copy_n(bytes.data() + at, n, buffer.data());
        at += n;
        return n;
    };
}

std::string map(const config::Config& config, Direction direction, const std::string& bytes,
                Explain explain = Explain::no, Json json = Json::no, int* exit = nullptr) {
    std::ostringstream out;
    const int code = map_single(config, config.sites[0], direction, explain, json, reader_of(bytes), out);
    if (exit != nullptr) *exit = code;
    return out.str();
}

std::string number_of(Direction direction, const std::string& number, Quiet quiet = Quiet::yes, Json json = Json::no) {
    const auto config = make_config();
    std::ostringstream out;
    map_number(config.sites[0], {direction, quiet, json, {}, {}}, number, out);
    return out.str();
}

Fault fault_of(const std::function<void()>& call, const std::string& said) {
    try {
        call();
    } catch (const Error& error) {
        CHECK_THAT(error.what(), Catch::Contains(said));
        return error.fault();
    }
    return Fault::internal;
}

}  // namespace

TEST_CASE("ums-sitemap prints the changed message, its body untouched") {
    std::string body(300'000, '\0');
    for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 7);
    // In brackets: a failure need not print the body.
    CHECK((map(make_config(), Direction::incoming, "RCPT TO:fax#123\r\n\r\n" + body) ==
           "RCPT TO:fax#+49 30 456987123\r\nX-UMS-Original-Recipient: fax#123\r\n\r\n" + body));
    CHECK((map(make_config(), Direction::outgoing, "RCPT TO:+49 30 1\r\n\r\n" + body) ==
           "RCPT TO:+49 30 1\r\nX-UMS-Site: berlin\r\n\r\n" + body));
    auto dialling = make_config();
    dialling.sites[0].dial = config::Dial::rewrite;
    CHECK(map(dialling, Direction::outgoing, "RCPT TO:+49 30 1\n\nb") == "RCPT TO:01\nX-UMS-Site: berlin\n\nb");
}

TEST_CASE("ums-sitemap explains") {
    int exit = -1;
    CHECK(map(make_config(), Direction::incoming, "RCPT TO:fax#123\n\n", Explain::yes, Json::no, &exit) ==
          "recipient 'fax#123'\n"
          "    123  signalled\n"
          "    +49 30 456987123  country, area and subscriber of the site in front\n"
          "  -> +49 30 456987123, connector ExConn: connector 'ExConn' takes '+49 30 456987 1*'\n");
    CHECK(exit == 0);
    CHECK(
        map(make_config(), Direction::incoming, "RCPT TO:223\n\n", Explain::no, Json::yes, &exit) ==
        R"({"recipient":"223","site":"berlin","number":"+49 30 456987223","steps":[{"what":"signalled","number":"223"},)"
        R"({"what":"country, area and subscriber of the site in front","number":"+49 30 456987223"}],"connector":"Mail",)"
        R"("reason":"no connector's numbers cover '+49 30 456987223'; it is the connector of site 'berlin'"})"
        "\n");
    auto config = make_config();
    config.sites[0].connectors.usual.clear();
    map(config, Direction::incoming, "RCPT TO:x@y\n\n", Explain::yes, Json::no, &exit);
    CHECK(exit == 1);
    CHECK(map(make_config(), Direction::outgoing, "RCPT TO:+43 1\n\n", Explain::yes, Json::no, &exit) ==
          "recipient '+43 1'\n"
          "    +431  wanted\n"
          "    00431  another country: international prefix '00'\n"
          "    000431  outside line '0'\n"
          "  -> 000431, but left to the kernel (dial: off)\n"
          "mark X-UMS-Site: berlin\n");
    CHECK(exit == 0);
}

TEST_CASE("ums-sitemap refuses what it cannot use") {
    CHECK(fault_of([] { map(make_config(), Direction::incoming, "Subject:x\n\n"); }, "no recipient") ==
          Fault::unusable);
    CHECK(fault_of([] { map(make_config(), Direction::incoming, ""); }, "empty") == Fault::unusable);
    std::ostringstream full;
    full.setstate(std::ios::badbit);
    const auto config = make_config();
    const std::string bytes = "RCPT TO:1\n\n";
    CHECK(fault_of(
              [&] {
                  map_single(config, config.sites[0], Direction::incoming, Explain::no, Json::no, reader_of(bytes),
                             full);
              },
              "cannot write") == Fault::cannot_write);
}

TEST_CASE("ums-sitemap finds its site") {
    auto config = make_config();
    CHECK(find_site(config, "").name == "berlin");
    CHECK(find_site(config, "berlin").name == "berlin");
    CHECK(fault_of([&] { find_site(config, "berlni"); }, "'berlin' meant") == Fault::usage);
    config.sites.push_back(config.sites[0]);
    config.sites[1].name = "munich";
    CHECK(fault_of([&] { find_site(config, ""); }, "berlin, munich") == Fault::usage);
    CHECK(fault_of([&] { find_site(config, "x"); }, "no site 'x'") == Fault::usage);
    CHECK(fault_of([] { find_site(config::Config{}, ""); }, "no site") == Fault::usage);
}

TEST_CASE("ums-sitemap number") {
    CHECK(number_of(Direction::incoming, "123") == "+49 30 456987123\n");
    CHECK(number_of(Direction::incoming, "fax#456987123") == "+49 30 456987123\n");
    CHECK(number_of(Direction::incoming, "0049 30 1") == "+49301\n");
    CHECK(number_of(Direction::outgoing, "+49 30 1") == "01\n");
    CHECK(number_of(Direction::outgoing, "123") == "123\n");
    CHECK(number_of(Direction::incoming, "456987123", Quiet::no) ==
          "456987123\tsignalled\n+49 30 456987123\tis the full subscriber number already: not doubled\n");
    CHECK(
        number_of(Direction::outgoing, "+49 89 1", Quiet::no, Json::yes) ==
        R"({"site":"berlin","direction":"outgoing","number":"+49 89 1","result":"00891","steps":[{"what":"wanted","number":"+49891"},)"
        R"({"what":"same country: national prefix '0'","number":"0891"},{"what":"outside line '0'","number":"00891"}]})"
        "\n");
    CHECK(fault_of([] { number_of(Direction::incoming, "anna"); }, "'anna' is no telephone number") == Fault::unusable);
}

TEST_CASE("ums-sitemap sites") {
    auto config = make_config();
    config.sites.emplace_back();
    config.sites[1].name = "bare";
    std::ostringstream table;
    CHECK(list_sites(config, Json::no, table) == 0);
    CHECK(table.str() ==
          "SITE    COUNTRY  AREA  SUBSCRIBER  EXTENSION  NATIONAL  INTERNATIONAL  OUTSIDE  INTERNAL  DIAL  CONNECTOR  "
          "KERNELS\n"
          "berlin  49       30    456987      3          0         00             0        3         off   Mail       "
          "k1,k2\n"
          "bare    -        -     -           -          -         -              -        -         off   -          "
          "-\n");
    std::ostringstream json;
    CHECK(list_sites(config, Json::yes, json) == 0);
    CHECK_THAT(json.str(),
               Catch::Contains(
                   R"({"site":"bare","numbering":null,"conversions":[],"dial":"off","connector":null,"kernels":[],)"));
    CHECK_THAT(
        json.str(),
        Catch::StartsWith(
            R"({"site":"berlin","numbering":{"country":"49","area":"30","subscriber":"456987","extension-digits":3,)"));
}
