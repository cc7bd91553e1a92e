// SPDX-License-Identifier: GPL-3.0-or-later
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "config_builder.hpp"
#include "error/error.hpp"
#include "temporary_directory.hpp"
#include "ums-route/single.hpp"

using namespace ums;
using namespace ums::test;
using route::Explain;
using route::Json;

namespace {

struct Ran {
    int exit = -1;
    std::string out;
};

Ran run(const config::Config& config, const std::string& lines, Explain explain = Explain::no, Json json = Json::no) {
    TemporaryDirectory directory;
    const auto file = directory.path() + "/job.tmp";
    std::ofstream(file) << (lines.empty() ? "" : "MAIL FROM:a@example.com\r\n" + lines + "\r\n");
    const rules::Table table(config);
    const route::Single message(file, table);
    std::ostringstream out;
    const int exit = route::route_single(config, table, message.subject("", clock::Instant{}), explain, json, out);
    return {exit, out.str()};
}

config::Config table() {
    return ConfigBuilder()
        .sites({"munich", "vienna"})
        .route(recipient("+43*"), {"vienna"})
        .route(recipient("+49*"), {"munich"})
        .route(recipient("+4*"), {"munich"})
        .config;
}

}  // namespace

TEST_CASE("ums-route prints the site alone") {
    const auto one = run(table(), "RCPT TO:fax#+43 1\r\nRCPT TO:0043 2\r\n");
    CHECK(one.out == "vienna\n");
    CHECK(one.exit == 0);
    const auto none = run(table(), "RCPT TO:+1 2\r\n");
    CHECK(none.out == "noroute\n");
    CHECK(none.exit == 1);
}

TEST_CASE("ums-route prints several sites with their recipients") {
    const auto both = run(table(), "RCPT TO:fax#+43 1\r\nRCPT TO:+49 8142 1\r\nRCPT TO:+43 2\r\n");
    CHECK(both.out == "vienna\tfax#+43 1, +43 2\nmunich\t+49 8142 1\n");
    CHECK(both.exit == 0);
    const auto some = run(table(), "RCPT TO:+1\t2\r\nRCPT TO:+43\x1b\r\n");
    CHECK(some.out == "noroute\t+1\\t2\nvienna\t+43\\x1b\n");
    CHECK(some.exit == 1);
}

TEST_CASE("ums-route --json prints an object per site") {
    const auto both = run(table(), "RCPT TO:fax#+43 \"1\"\r\nRCPT TO:+1\r\n", Explain::no, Json::yes);
    CHECK(
        both.out ==
        R"({"site":"vienna","action":"route","recipients":["fax#+43 \"1\""],"rule":1,"reason":"rule 1 (mds.yaml:41): recipient '+43*'"})"
        "\n"
        R"({"site":null,"action":"noroute","recipients":["+1"],"rule":null,"reason":"no rule matches '+1'"})"
        "\n");
    CHECK(both.exit == 1);
}

TEST_CASE("ums-route --explain says why") {
    const auto why = run(table(), "RCPT TO:0049 8142 1\r\n", Explain::yes);
    CHECK(why.out ==
          "recipient '0049 8142 1': service fax (none is named), number +4981421\n"
          "  rule 1\n"
          "    no  mds.yaml:40: recipient '+43*' against '+4981421', written '0049 8142 1'\n"
          "  rule 2\n"
          "    yes mds.yaml:40: recipient '+49*' against '+4981421', written '0049 8142 1'\n"
          "  -> munich, rule 2 (mds.yaml:42): recipient '+49*'\n"
          "  later also munich, rule 3 (mds.yaml:43): recipient '+4*'\n");
    CHECK(why.exit == 0);
    const auto none = run(table(), "RCPT TO:sms#x@y\r\n", Explain::yes);
    CHECK_THAT(none.out, Catch::StartsWith("recipient 'sms#x@y': service sms, no telephone number\n"));
    CHECK_THAT(none.out, Catch::EndsWith("  -> noroute, no rule matches 'sms#x@y'\n"));
    CHECK(none.exit == 1);
}

TEST_CASE("ums-route --explain --json prints an object per recipient") {
    const auto why = run(table(), "RCPT TO:fax#+43 1\r\n", Explain::yes, Json::yes);
    CHECK(
        why.out ==
        R"({"recipient":"fax#+43 1","service":"fax","number":"+431","site":"vienna","action":"route","rule":1,"reason":"rule 1 (mds.yaml:41): recipient '+43*'",)"
        R"("looks":[{"rule":1,"place":"mds.yaml:40","what":"recipient '+43*'","seen":"+43 1","compared":"+431","matched":true}],)"
        R"("later":{"rule":3,"site":"munich","reason":"rule 3 (mds.yaml:43): recipient '+4*'"}})"
        "\n");
}

TEST_CASE("ums-route shows what a site does not send") {
    auto config = table();
    number::Numbering numbering;
    numbering.country = "49";
    numbering.area = "89";
    numbering.blocked = {"+49900*"};
    config.sites[0].numbering = numbering;
    REQUIRE(config.sites[0].name == "munich");
    const std::string lines = "RCPT TO:+49 900 1\r\nRCPT TO:+49 89 1\r\nRCPT TO:+49 900 2\r\n";
    const auto ways = run(config, lines);
    CHECK(ways.out == "munich\t+49 89 1\nreject\t+49 900 1\nreject\t+49 900 2\n");
    CHECK(ways.exit == 1);
    const auto json = run(config, lines, Explain::no, Json::yes);
    CHECK_THAT(json.out,
               Catch::Contains(R"({"site":null,"action":"reject","recipients":["+49 900 2"],"rule":2,)"
                               R"("reason":"site 'munich': '+49 900 2' is not dialled: the site blocks '+49900*'"})"));
    const auto why = run(config, "RCPT TO:+49 900 1\r\n", Explain::yes);
    CHECK_THAT(why.out,
               Catch::Contains("  -> munich, rule 2 (mds.yaml:42): recipient '+49*'\n  -> reject, site 'munich': "
                               "'+49 900 1' is not dialled: the site blocks '+49900*'\n"));
    CHECK(why.exit == 1);
    const auto json_why = run(config, "RCPT TO:+49 900 1\r\n", Explain::yes, Json::yes);
    CHECK_THAT(json_why.out, Catch::Contains(R"("site":null,"action":"reject","rule":2,"reason":"site 'munich': ')"));
}

TEST_CASE("ums-route refuses what it cannot use") {
    try {
        run(table(), "Subject: x\r\n");
        FAIL("routed");
    } catch (const Error& error) {
        CHECK(error.fault() == Fault::unusable);
        CHECK_THAT(error.what(), Catch::Contains("no recipient"));
    }
    try {
        run(table(), "");
        FAIL("read");
    } catch (const Error& error) {
        CHECK(error.fault() == Fault::unusable);
        CHECK_THAT(error.what(), Catch::StartsWith("cannot use '") && Catch::EndsWith("': the message is empty"));
    }
}
