// SPDX-License-Identifier: GPL-3.0-or-later
#include "rules/rules.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "config_builder.hpp"
#include "error/error.hpp"
#include "random_text.hpp"
#include "temporary_directory.hpp"

using namespace ums;
using namespace ums::rules;
using namespace ums::test;

namespace {

message::HeaderBlock block_of(const std::string& recipients, const std::string& sender = "a@example.com",
                              const std::string& fields = "") {
    return message::HeaderBlock::parse("MAIL FROM:" + sender + "\r\n" + recipients + fields + "\r\n");
}

// Where one recipient goes; `noroute` if nowhere.
std::string site_of(const config::Config& config, const std::string& recipient,
                    const std::string& sender = "a@example.com", const std::string& fields = "",
                    const std::string& connector = "") {
    const auto block = block_of("RCPT TO:" + recipient + "\r\n", sender, fields);
    const Table table(config);
    const auto recipients = block.recipients();
    REQUIRE(recipients.size() == 1);
    return table.decide({&block, connector}, recipients[0]).site.value_or("noroute");
}

bool hits(const config::Test& test, const std::string& recipient, const std::string& sender = "a@example.com",
          const std::string& fields = "", const std::string& connector = "") {
    const auto config = ConfigBuilder().sites({"yes"}).route(test, {"yes"}).config;
    return site_of(config, recipient, sender, fields, connector) == "yes";
}

std::string why_refused(const config::Config& config) {
    try {
        const Table table(config);
    } catch (const Error& error) {
        CHECK(error.fault() == Fault::configuration);
        return error.what();
    }
    return "accepted";
}

// The table that the manuals publish.
config::Config published() {
    return ConfigBuilder()
        .sites({"Austria", "Germany"})
        .route(recipient("+43*"), {"Austria"})
        .route(recipient("+49*"), {"Germany"})
        .route(sender("*@servonic.at"), {"Austria"})
        .route(sender("*@servonic.de"), {"Germany"})
        .route(recipient("*"), {"Germany"})
        .config;
}

}  // namespace

TEST_CASE("the published table, in all spellings of a number") {
    const auto config = published();
    for (const char* spelling : {"fax#+43 1 5330 90", "+4315330-90", "FAX#0043 1 5330 90", "<fax#+43 (0)1/5330.90>",
                                 "sms#+43", "tel:+43-1-5330"}) {
        INFO(spelling);
        CHECK(site_of(config, spelling, "x@servonic.de") == "Austria");
    }
    for (const char* spelling : {"fax#+49 8142 47989798", "004981424799", "voc#+49(0)8142 4799"}) {
        INFO(spelling);
        CHECK(site_of(config, spelling, "x@servonic.at") == "Germany");
    }
    CHECK(site_of(config, "fax#+1 212 5550100", "x@servonic.at") == "Austria");
    CHECK(site_of(config, "fax#+1 212 5550100", "X@SERVONIC.AT") == "Austria");
    CHECK(site_of(config, "fax#+1 212 5550100", "x@servonic.de") == "Germany");
    CHECK(site_of(config, "fax#+1 212 5550100", "x@example.com") == "Germany");
    CHECK(site_of(config, "fax#", "") == "Germany");
}

TEST_CASE("patterns may be spelled like numbers are") {
    for (const char* pattern : {"+43*", "0043*", "00 43 *", "+ 4 3 *", "+43 1 *", "+43 (0)1 5330-*", "+43 1 5330 90",
                                "+43 1 5330 9?", "*33090", "+*"}) {
        INFO(pattern);
        CHECK(hits(recipient(pattern), "fax#+43 1 5330 90"));
        CHECK(hits(recipient(pattern), "0043 1 5330 90"));
    }
    CHECK(hits(recipient("+49 8142 4838*"), "+4981424838123"));
    CHECK(hits(recipient("+4981424838*"), "+49 8142 4838 123"));
    CHECK_FALSE(hits(recipient("+43*"), "+49 43"));
    CHECK_FALSE(hits(recipient("+43"), "+431"));
    CHECK_FALSE(hits(recipient("43*"), "+431"));
}

TEST_CASE("with the numbering of the MDS, national numbers compare too") {
    auto builder = ConfigBuilder().home("49", "8142", 4).sites({"yes"}).route(recipient("+49 8142 4838*"), {"yes"});
    CHECK(site_of(builder.config, "4838123") == "yes");
    CHECK(site_of(builder.config, "08142 4838") == "yes");
    CHECK(site_of(builder.config, "4838") == "noroute");  // internal
    builder.config.routes.clear();
    builder.route(recipient("08142 4838*"), {"yes"});
    CHECK(site_of(builder.config, "+49 8142 4838") == "yes");
    builder.config.routes.clear();
    builder.route(recipient("0043*"), {"yes"});
    CHECK(site_of(builder.config, "043 1") == "noroute");
    CHECK(site_of(builder.config, "+43 1") == "yes");
}

TEST_CASE("a lone star matches all, also an empty value") {
    CHECK(hits(recipient("*"), "fax#"));
    CHECK(hits(recipient("*"), "nobody@example.com"));
    CHECK(hits(sender("*"), "1", ""));
    CHECK(hits(sender("*"), "1", "<>"));
    CHECK(hits(connector("*"), "1"));
    CHECK(hits(header("X-A", "*"), "1", "a", "X-A:\r\n"));
    CHECK_FALSE(hits(header("X-A", "*"), "1", "a"));
    CHECK(hits(everything(), "fax#"));
}

TEST_CASE("a recipient's pattern may name the service") {
    CHECK(hits(recipient("SMS#+4917*"), "sms#+49 171 1"));
    CHECK_FALSE(hits(recipient("SMS#+4917*"), "fax#+49 171 1"));
    CHECK_FALSE(hits(recipient("SMS#+4917*"), "+49 171 1"));
    CHECK(hits(recipient("fax#+4917*"), "+49 171 1"));
    CHECK(hits(recipient("mwi#*"), "MWI#4711"));
    CHECK_FALSE(hits(recipient("mwi#*"), "voc#4711"));
}

TEST_CASE("a recipient without service counts as fax") {
    CHECK(hits(service("fax"), "+49 1"));
    CHECK(hits(service("FAX"), "fax#+49 1"));
    CHECK_FALSE(hits(service("fax"), "sms#+49 1"));
    CHECK(hits(service("sms"), "SMS#+49 1"));
    CHECK_FALSE(hits(service("sms"), "+49 1"));
    CHECK(hits(when(config::Condition::Field::service, {test::pattern("voc"), test::pattern("mwi")}), "mwi#1"));
}

TEST_CASE("senders are addresses, domains or fax numbers") {
    CHECK(hits(sender("a@example.com"), "1", "A@Example.COM"));
    CHECK(hits(sender("a@example.com"), "1", "Anna <a@example.com>"));
    CHECK(hits(sender("@example.com"), "1", "a@EXAMPLE.com"));
    CHECK_FALSE(hits(sender("@example.com"), "1", "a@sub.example.com"));
    CHECK_FALSE(hits(sender("@example.com"), "1", "a@example.com.evil.test"));
    CHECK(hits(sender("*@*.example.com"), "1", "a@sub.example.com"));
    CHECK(hits(sender("a*"), "1", "anna"));
    CHECK(hits(sender("+49 89 4799*"), "1", "0049894799-123"));
    CHECK(hits(sender("0049894799123"), "1", "+49 89 4799 123"));
    CHECK(hits(sender("fax#+49894799123"), "1", "FAX#+49 89 4799 123"));
    CHECK_FALSE(hits(sender("+49 89 4799*"), "1", "a@example.com"));
    CHECK_FALSE(hits(recipient("@example.com"), "a@example.com"));
    CHECK(hits(recipient("*@example.com"), "a@Example.com"));
}

TEST_CASE("headers, any number of them") {
    const std::string fields =
        "X-IFAXDATA-DChID:789\r\nX-IFAXDATA-SenderID:+49 89 4799 123\r\nX-COVERINFO-Department:IT Nord\r\n"
        "Subject:=?utf-8?q?Angebot_M=C3=BCller?=\r\nX-Two: one\r\nX-Two: two\r\nX-Empty:\r\nX-Id:78a\r\n";
    const auto matches = [&](const std::string& name, const std::string& pattern) {
        return hits(header(name, pattern), "1", "a", fields);
    };
    CHECK(matches("X-IFAXDATA-DChID", "789"));
    CHECK(matches("x-ifaxdata-dchid", "78?"));
    CHECK_FALSE(matches("X-IFAXDATA-DChID", "78"));
    CHECK(matches("X-IFAXDATA-SenderID", "+49894799*"));
    CHECK(matches("X-IFAXDATA-SenderID", "0049 89 4799-123"));
    CHECK(matches("X-COVERINFO-Department", "it*"));
    CHECK(matches("Subject", "angebot M?ller"));
    CHECK(matches("X-Two", "two"));
    CHECK(matches("X-Two", "one"));
    CHECK_FALSE(matches("X-Two", "one two"));
    CHECK_FALSE(matches("X-None", "x"));
    CHECK(matches("X-Empty", ""));
    CHECK(matches("X-Id", "78*"));
    // A number in a header is not always a telephone number: with a home, its text still counts.
    const auto home = ConfigBuilder().home("49", "8142").sites({"yes"}).route(header("X-Id", "78*"), {"yes"}).config;
    CHECK(site_of(home, "1", "a", fields) == "yes");
    const auto short_id =
        ConfigBuilder().home("49", "8142").sites({"yes"}).route(header("X-IFAXDATA-DChID", "7*"), {"yes"}).config;
    CHECK(site_of(short_id, "1", "a", fields) == "yes");
    const auto internal =
        ConfigBuilder().home("49", "8142", 2).sites({"yes"}).route(header("X-IFAXDATA-DChID", "7*"), {"yes"}).config;
    CHECK(site_of(internal, "1", "a", fields) == "yes");
}

TEST_CASE("connectors") {
    CHECK(hits(connector("ExConn"), "1", "a", "", "ExConn"));
    CHECK(hits(connector("ex*"), "1", "a", "", "ExConn"));
    CHECK_FALSE(hits(connector("ExConn"), "1", "a", "", "Mail"));
    CHECK_FALSE(hits(connector("ExConn"), "1"));
}

TEST_CASE("regular expressions are found anywhere, in the normalised number") {
    CHECK(hits(recipient(regex("^\\+43")), "0043 1 5330"));
    CHECK(hits(recipient(regex("5330$")), "+43 1 53 30"));
    CHECK_FALSE(hits(recipient(regex("^43")), "0043 1 5330"));
    CHECK(hits(sender(regex("@(sales|support)\\.example\\.com$")), "1", "A@SALES.Example.com"));
    CHECK_FALSE(hits(sender(regex("^sales")), "1", "a@sales.example.com"));
    CHECK(hits(header("Subject", regex("m\u00fcller")), "1", "a", "Subject: =?utf-8?q?M=C3=BCller?=\r\n"));
    // load() does not let it pass; should one come all the same, it decides nothing.
    CHECK_THROWS_WITH(hits(recipient(regex("(")), "1"), Catch::Contains("/(/"));
}

TEST_CASE("all conditions must hold; any and not nest") {
    config::Test both = service("sms");
    both.conditions.push_back(sender("*@example.at").conditions[0]);
    CHECK(hits(both, "sms#1", "a@example.at"));
    CHECK_FALSE(hits(both, "sms#1", "a@example.de"));
    CHECK_FALSE(hits(both, "fax#1", "a@example.at"));

    auto nested = any({sender("@example.com"), header("X-COVERINFO-Department", "IT*")});
    nested.none = {service("mwi")};
    CHECK(hits(nested, "fax#1", "a@example.com"));
    CHECK(hits(nested, "fax#1", "b@other", "X-COVERINFO-Department: IT 3\r\n"));
    CHECK_FALSE(hits(nested, "mwi#1", "a@example.com"));
    CHECK_FALSE(hits(nested, "fax#1", "b@other"));

    CHECK(hits(all({service("fax"), sender("a")}), "1", "a"));
    CHECK_FALSE(hits(all({service("fax"), sender("a")}), "1", "b"));
    CHECK(hits(none({none({service("fax")})}), "1"));
    CHECK_FALSE(hits(none({service("sms"), service("fax")}), "1"));
    CHECK(hits(when(config::Condition::Field::recipient, {test::pattern("+43*"), test::pattern("+49*")}), "+49 1"));
}

TEST_CASE("noroute: no rule, or a rule that says so") {
    const auto config = ConfigBuilder().sites({"a"}).route(recipient("+43*"), {}).route(recipient("+4*"), {"a"}).config;
    CHECK(site_of(config, "+43 1") == "noroute");
    CHECK(site_of(config, "+49 1") == "a");
    CHECK(site_of(config, "+1 1") == "noroute");
    const Table table(config);
    const auto block = block_of("RCPT TO:+43 1\r\nRCPT TO:fax#+1 212 1\r\n");
    const auto recipients = block.recipients();
    const auto said = table.decide({&block, ""}, recipients[0]);
    CHECK(said.rule == 0);
    CHECK(said.reason == "rule 1 (mds.yaml:41): recipient '+43*', to noroute");
    const auto none = table.decide({&block, ""}, recipients[1]);
    CHECK(none.rule == 2);
    CHECK(none.reason == "no rule matches 'fax#+1 212 1'");
    CHECK(site_of(ConfigBuilder().config, "1") == "noroute");
}

TEST_CASE("the first rule that matches wins, in every order") {
    RandomText random(6);
    const std::vector<std::string> patterns{"+4*", "+43*", "+431*", "+49*", "*1", "*", "+4?1*"};
    const std::vector<std::string> numbers{"+431", "+49 1", "+432", "+4", "0043 1", "+1", "7"};
    for (int i = 0; i < 300; ++i) {
        ConfigBuilder builder;
        std::vector<std::string> order;
        for (std::size_t n = random.below(6) + 1; n > 0; --n) {
            order.push_back(patterns[random.below(patterns.size())]);
            builder.route(recipient(order.back()), {"rule" + std::to_string(order.size() - 1)});
        }
        const Table table(builder.config);
        for (const auto& number : numbers) {
            const auto block = block_of("RCPT TO:" + number + "\r\n");
            const auto decision = table.decide({&block, ""}, block.recipients()[0]);
            std::size_t expected = 0;
            while (expected < order.size() && !hits(recipient(order[expected]), number)) ++expected;
            REQUIRE(decision.rule == expected);
            REQUIRE(decision.site.value_or("") == (expected < order.size() ? "rule" + std::to_string(expected) : ""));
            // And the rule that would have matched next.
            if (expected == order.size()) continue;
            std::size_t next = expected + 1;
            while (next < order.size() && !hits(recipient(order[next]), number)) ++next;
            REQUIRE(table.decide({&block, ""}, block.recipients()[0], nullptr, decision.rule + 1).rule == next);
        }
    }
}

TEST_CASE("longest prefix wins, whatever the order of the rows") {
    const TemporaryFile file(
        "\xef\xbb\xbfnumber,site\r\n# carriers\r\n+49,b\r\n\r\n+49 89,a\r\n0049 8142 - "
        "4,c\r\n+4989123,b\r\n\"+43\",\"c\"\r\n+4989123,b\r\n");
    const auto config = ConfigBuilder()
                            .sites({"a", "b", "c"})
                            .route(recipient(prefixes(file.path)), {"*"})
                            .route(recipient("*"), {"a"})
                            .config;
    CHECK(site_of(config, "+49 1") == "b");
    CHECK(site_of(config, "+49 89 1") == "a");
    CHECK(site_of(config, "0049 89 12") == "a");
    CHECK(site_of(config, "+49 89 123") == "b");
    CHECK(site_of(config, "+49 89 1234") == "b");
    CHECK(site_of(config, "+49 8142 47") == "c");
    CHECK(site_of(config, "fax#+43 1") == "c");
    CHECK(site_of(config, "+1") == "a");
    CHECK(site_of(config, "+4") == "a");
    CHECK(site_of(config, "nobody@example.com") == "a");
    // A fixed target: the row only has to be there.
    const auto fixed = ConfigBuilder().sites({"x"}).route(recipient(prefixes(file.path)), {"x"}).config;
    CHECK(site_of(fixed, "+43 1") == "x");
    CHECK(site_of(fixed, "+1") == "noroute");
}

TEST_CASE("longest prefix agrees with looking at every row") {
    RandomText random(7);
    std::string csv;
    std::map<std::string, std::string> rows;
    for (int i = 0; i < 2000; ++i) {
        const auto number = "+" + random.digits(1 + random.below(6));
        const auto site = "s" + std::to_string(random.below(5));
        if (rows.try_emplace(number, site).second) csv += number + "," + site + "\n";
    }
    const TemporaryFile file(csv);
    const auto config =
        ConfigBuilder().sites({"s0", "s1", "s2", "s3", "s4"}).route(recipient(prefixes(file.path)), {"*"}).config;
    const Table table(config);
    for (int i = 0; i < 2000; ++i) {
        const auto number = "+" + random.digits(1 + random.below(8));
        std::string expected = "noroute";
        for (std::size_t length = 1; length <= number.size(); ++length) {
            if (const auto row = rows.find(number.substr(0, length)); row != rows.end()) expected = row->second;
        }
        const auto block = block_of("RCPT TO:" + number + "\r\n");
        REQUIRE(table.decide({&block, ""}, block.recipients()[0]).site.value_or("noroute") == expected);
    }
}

TEST_CASE("the site of a row only counts if the row made the rule match") {
    const TemporaryFile file("+43,b\n");
    auto either = any({recipient(prefixes(file.path)), sender("a")});
    const auto config = ConfigBuilder().sites({"b", "c"}).route(either, {"*"}).route(everything(), {"c"}).config;
    CHECK(site_of(config, "+43 1", "a") == "b");
    CHECK(site_of(config, "+49 1", "a") == "c");
    // Nor does a row of a rule that did not match in the end.
    auto failing = recipient(prefixes(file.path));
    failing.conditions.push_back(sender("nobody").conditions[0]);
    const auto two = ConfigBuilder()
                         .sites({"b", "c"})
                         .route(failing, {"*"})
                         .route(any({sender("a")}), {"*"})
                         .route(everything(), {"c"})
                         .config;
    CHECK(site_of(two, "+43 1", "a") == "c");
    // `not` never lends its row.
    auto test = recipient("*");
    test.none = {none({recipient(prefixes(file.path))})};
    CHECK(site_of(ConfigBuilder().sites({"b", "c"}).route(test, {"*"}).route(everything(), {"c"}).config, "+43 1") ==
          "c");
}

TEST_CASE("prefix files that cannot be used are refused with the line") {
    const auto refusal = [](const std::string& csv) {
        const TemporaryFile file(csv);
        return why_refused(ConfigBuilder().sites({"a", "b"}).route(recipient(prefixes(file.path)), {"*"}).config);
    };
    CHECK(refusal("+43,a\n") == "accepted");
    CHECK(refusal("") == "accepted");
    CHECK_THAT(refusal("+43,a\nabc,a\n"), Catch::Contains(":2: 'abc' is no number"));
    CHECK_THAT(refusal("+43,a\n\n0043,b\n"), Catch::Contains(":3: '0043' stands in line 1 with another site"));
    CHECK_THAT(refusal("+43,nowhere\n"), Catch::Contains("line 1: there is no site 'nowhere'"));
    CHECK_THAT(refusal("+43\n"), Catch::Contains("no site"));
    CHECK_THAT(refusal("+43,a,b\n"), Catch::Contains(":1: more than"));
    CHECK_THAT(why_refused(ConfigBuilder().route(recipient(prefixes("/nonexistent/x.csv")), {"*"}).config),
               Catch::Contains("'/nonexistent/x.csv': No such file"));
    CHECK_THAT(why_refused(ConfigBuilder().route(recipient(in("/")), {"a"}).config),
               Catch::Contains("cannot read '/'"));
}

TEST_CASE("list files: one value a line") {
    const TemporaryFile file(
        "# vip\r\nboss@example.com\r\n@vip.example.com\r\n*@*.gov.example\r\n+49 89 4799-1\r\n0043 1*\r\nSMS#+49 "
        "17*\r\n");
    CHECK(hits(sender(in(file.path)), "1", "Boss@Example.com"));
    CHECK(hits(sender(in(file.path)), "1", "anybody@VIP.example.com"));
    CHECK(hits(sender(in(file.path)), "1", "a@b.gov.example"));
    CHECK(hits(sender(in(file.path)), "1", "00498947991"));
    CHECK_FALSE(hits(sender(in(file.path)), "1", "other@example.com"));
    CHECK_FALSE(hits(sender(in(file.path)), "1", ""));
    CHECK(hits(recipient(in(file.path)), "fax#+49 89 4799 1"));
    CHECK(hits(recipient(in(file.path)), "+43 15"));
    CHECK(hits(recipient(in(file.path)), "sms#+49 171"));
    CHECK_FALSE(hits(recipient(in(file.path)), "+49 171"));
    CHECK_FALSE(hits(recipient(in(file.path)), "x@vip.example.com"));
    const TemporaryFile ids("789\nIT Nord\n");
    CHECK(hits(header("X-Id", in(ids.path)), "1", "a", "X-Id: 789\r\n"));
    CHECK(hits(header("X-Id", in(ids.path)), "1", "a", "X-Id: it nord\r\n"));
    CHECK_FALSE(hits(header("X-Id", in(ids.path)), "1", "a", "X-Id: 78\r\n"));
}

TEST_CASE("several sites share by a hash that stays") {
    const auto config = ConfigBuilder().sites({"a", "b", "c"}).route(everything(), {"a", "b", "c"}).config;
    const Table table(config);
    std::map<std::string, int> count;
    for (int i = 0; i < 3000; ++i) {
        const auto block = block_of("RCPT TO:+49 89 " + std::to_string(i) + "\r\n");
        const auto decision = table.decide({&block, ""}, block.recipients()[0]);
        REQUIRE(decision.site.has_value());
        ++count[*decision.site];
        REQUIRE(Table(config).decide({&block, "elsewhere"}, block.recipients()[0]).site == decision.site);
    }
    for (const auto& [site, n] : count) CHECK((n > 850 && n < 1150));
    CHECK(count.size() == 3);
    // The same number in another message may go elsewhere.
    std::set<std::string> sites;
    for (int i = 0; i < 50; ++i)
        sites.insert(site_of(config, "+49 89 1", "a@example.com", "X-N: " + std::to_string(i) + "\r\n"));
    CHECK(sites.size() == 3);
    const auto block = block_of("RCPT TO:1\r\n");
    CHECK_THAT(table.decide({&block, ""}, block.recipients()[0]).reason, Catch::Contains("one of 3 sites"));
}

TEST_CASE("the looks say what was compared with what") {
    auto config = ConfigBuilder()
                      .sites({"vienna", "munich"})
                      .route(recipient("+43*"), {"vienna"})
                      .route(service("sms"), {"vienna"})
                      .config;
    config.routes.push_back(config.routes[0]);
    config.routes[2].name = "Germany";
    config.routes[2].when = header("X-A", "x*");
    config.routes[2].when.conditions.push_back(sender("@example.com").conditions[0]);
    config.routes[2].to = {"munich"};
    const Table table(config);
    const auto block = block_of("RCPT TO:fax#0049 (0)89 1\r\n", "a@Example.com", "X-A: no\r\nX-A: XY\r\n");
    std::vector<Look> looks;
    const auto decision = table.decide({&block, ""}, block.recipients()[0], &looks);
    CHECK(decision.site == "munich");
    CHECK(decision.reason == "rule 3 'Germany' (mds.yaml:41): header X-A 'x*', sender '@example.com'");
    REQUIRE(looks.size() == 4);
    CHECK(looks[0].rule == 0);
    CHECK(looks[0].what == "recipient '+43*'");
    CHECK(looks[0].seen == "0049 (0)89 1");
    CHECK(looks[0].compared == "+49891");
    CHECK_FALSE(looks[0].matched);
    CHECK(looks[0].place == "mds.yaml:40");
    CHECK(looks[1].what == "service 'sms'");
    CHECK(looks[1].seen == "fax");
    CHECK(looks[2].seen == "XY");
    CHECK(looks[2].matched);
    CHECK(looks[3].what == "sender '@example.com'");
    CHECK(looks[3].matched);
}

TEST_CASE("rules that nest are described") {
    auto test = any({sender("@a"), header("X", "1")});
    test.none = {service("mwi")};
    test.conditions = recipient("+4*").conditions;
    const auto config = ConfigBuilder().sites({"a"}).route(test, {"a"}).config;
    const auto block = block_of("RCPT TO:+49\r\n", "x@a");
    std::vector<Look> looks;
    const auto decision = Table(config).decide({&block, ""}, block.recipients()[0], &looks);
    CHECK(decision.reason ==
          "rule 1 (mds.yaml:41): recipient '+4*', any (sender '@a'; header X '1'), not (service 'mwi')");
    REQUIRE(looks.size() == 3);
    CHECK(looks[1].what == "any: sender '@a'");
    CHECK(looks[2].what == "not: service 'mwi'");
}

TEST_CASE("a message is split into groups that part its recipients") {
    RandomText random(8);
    const auto config = ConfigBuilder()
                            .sites({"a", "b", "c"})
                            .route(recipient("+43*"), {"a"})
                            .route(recipient("+49*"), {"b", "c"})
                            .route(service("sms"), {"c"})
                            .route(recipient("*7"), {"a"})
                            .config;
    const Table table(config);
    for (int i = 0; i < 300; ++i) {
        std::string lines;
        for (std::size_t n = random.below(12); n > 0; --n)
            lines += "RCPT TO:" + random.of({"sms#", "+43", "+49", "1", "7", " "}, 4) + "\r\n";
        const auto block = block_of(lines);
        const auto recipients = block.recipients();
        const auto groups = table.split({&block, ""});
        std::set<std::size_t> seen;
        std::set<std::optional<std::string>> sites;
        std::size_t last_first = 0;
        for (const auto& group : groups) {
            REQUIRE_FALSE(group.recipients.empty());
            REQUIRE(sites.insert(group.site).second);
            REQUIRE(std::is_sorted(group.recipients.begin(), group.recipients.end()));
            REQUIRE(group.recipients.front() >= last_first);
            last_first = group.recipients.front();
            for (const auto index : group.recipients) {
                REQUIRE(seen.insert(index).second);
                REQUIRE(table.decide({&block, ""}, recipients.at(index)).site == group.site);
            }
            const auto first = table.decide({&block, ""}, recipients[group.recipients.front()]);
            // Of those without a route all reasons are told.
            if (group.site) {
                REQUIRE(group.reason == first.reason);
            } else {
                for (const auto index : group.recipients) {
                    REQUIRE_THAT(group.reason, Catch::Contains(table.decide({&block, ""}, recipients[index]).reason));
                }
            }
            REQUIRE(group.rule == first.rule);
        }
        REQUIRE(seen.size() == recipients.size());
    }
}

TEST_CASE("fifty thousand recipients take no quadratic time") {
    const auto config = ConfigBuilder()
                            .sites({"a", "b"})
                            .route(header("Subject", "none"), {"a"})
                            .route(everything(), {"a", "b"})
                            .config;
    std::string lines;
    for (int i = 0; i < 50000; ++i) lines += "RCPT TO:+49 89 " + std::to_string(i) + "\n";
    const auto block = message::HeaderBlock::parse(lines + "Subject: =?utf-8?q?x?=\n\n");
    const auto groups = Table(config).split({&block, ""});
    REQUIRE(groups.size() == 2);
    CHECK(groups[0].recipients.size() + groups[1].recipients.size() == 50000);
}
