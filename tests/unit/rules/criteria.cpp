// SPDX-License-Identifier: GPL-3.0-or-later
//
// Conditions on more than recipient, sender and header; what rules do; and that the index finds what a walk through the
// rules finds.
#include <catch2/catch.hpp>
#include <functional>

#include "config_builder.hpp"
#include "error/error.hpp"
#include "random_text.hpp"
#include "rules/rules.hpp"

using namespace ums;
using namespace ums::rules;
using namespace ums::test;
using Action = config::Route::Action;
using Field = config::Condition::Field;

namespace {

struct Given {
    std::string lines = "MAIL FROM:a@example.com\r\nRCPT TO:+49 89 1\r\n";
    std::optional<Bytes> size{};
    const char* at = nullptr;
    std::vector<message::Attachment> attachments{};
    bool released = false;
};

Decision decide(const config::Config& config, const Given& given, std::vector<Look>* looks = nullptr) {
    const auto block = message::HeaderBlock::parse(given.lines + "\r\n");
    Subject subject;
    subject.block = &block;
    subject.size = given.size;
    if (given.at != nullptr) subject.at = clock::parse(given.at);
    subject.attachments = [&] { return given.attachments; };
    subject.released = given.released;
    return Table(config).decide(subject, block.recipients().at(0), looks);
}

bool holds(const config::Condition& condition, const Given& given) {
    config::Test test;
    test.conditions.push_back(condition);
    return decide(ConfigBuilder().sites({"yes"}).route(test, {"yes"}).config, given).site == "yes";
}

config::Condition range(Field field, std::optional<std::uint64_t> over, std::optional<std::uint64_t> under) {
    config::Condition condition;
    condition.field = field;
    condition.header = "X-MaxPages";
    condition.over = over;
    condition.under = under;
    return condition;
}

}  // namespace

TEST_CASE("size has bounds that are not included", "[rules]") {
    const auto sized = [](std::uint64_t bytes) { return Given{.size = Bytes{bytes}}; };
    CHECK(holds(range(Field::size, 100, {}), sized(101)));
    CHECK_FALSE(holds(range(Field::size, 100, {}), sized(100)));
    CHECK(holds(range(Field::size, {}, 100), sized(99)));
    CHECK_FALSE(holds(range(Field::size, {}, 100), sized(100)));
    CHECK(holds(range(Field::size, 10, 12), sized(11)));
    CHECK_FALSE(holds(range(Field::size, {}, 100), {}));
}

TEST_CASE("pages are what the header field says, if it says a number", "[rules]") {
    const auto paged = [](const std::string& fields) {
        return Given{.lines = "MAIL FROM:a@b\r\nRCPT TO:1\r\n" + fields};
    };
    CHECK(holds(range(Field::pages, 50, {}), paged("X-MaxPages: 51\r\n")));
    CHECK_FALSE(holds(range(Field::pages, 50, {}), paged("X-MaxPages:50\r\n")));
    CHECK_FALSE(holds(range(Field::pages, {}, 50), paged("X-MaxPages: many\r\n")));
    CHECK_FALSE(holds(range(Field::pages, {}, 50), paged("Subject: x\r\n")));
    CHECK(holds(range(Field::pages, {}, 50), paged("X-MaxPages: ?\r\nX-MaxPages: 3\r\n")));
}

TEST_CASE("importance is a word", "[rules]") {
    const auto condition = when(Field::importance, {pattern("high")}).conditions[0];
    CHECK(holds(condition, {.lines = "RCPT TO:1\r\nImportance: High\r\n"}));
    CHECK(holds(condition, {.lines = "RCPT TO:1\r\nX-Priority: 1\r\n"}));
    CHECK_FALSE(holds(condition, {.lines = "RCPT TO:1\r\n"}));
    CHECK(holds(when(Field::importance, {pattern("normal")}).conditions[0], {.lines = "RCPT TO:1\r\n"}));
}

TEST_CASE("attachments by type and by name", "[rules]") {
    const Given pdf{.attachments = {{"text/plain", ""}, {"application/pdf", "Offer.PDF"}}};
    CHECK(holds(when(Field::attachment, {pattern("application/pdf")}).conditions[0], pdf));
    CHECK(holds(when(Field::attachment, {pattern("*.pdf")}).conditions[0], pdf));
    CHECK(holds(when(Field::attachment, {regex("^image/|^application/")}).conditions[0], pdf));
    CHECK_FALSE(holds(when(Field::attachment, {pattern("image/*")}).conditions[0], pdf));
    CHECK_FALSE(holds(when(Field::attachment, {pattern("*")}).conditions[0], {}));
}

TEST_CASE("hours and days are those of the rule's site", "[rules]") {
    config::Condition office;
    office.field = Field::hours;
    office.hours = {{8 * 60, 18 * 60}};
    config::Condition night = office;
    night.hours = {{22 * 60, 6 * 60}};
    const auto in = [](const config::Condition& condition, const char* zone, const char* at) {
        config::Site site;
        site.name = "yes";
        site.time_zone = zone;
        config::Test test;
        test.conditions.push_back(condition);
        return decide(ConfigBuilder().site(site).route(test, {"yes"}).config, {.at = at}).site.has_value();
    };
    CHECK(in(office, "UTC", "2026-11-23T08:00:00Z"));
    CHECK_FALSE(in(office, "UTC", "2026-11-23T07:59:59Z"));
    CHECK_FALSE(in(office, "UTC", "2026-11-23T18:00:00Z"));
    CHECK(in(office, "Europe/Berlin", "2026-11-23T07:30:00Z"));
    CHECK_FALSE(in(office, "America/New_York", "2026-11-23T12:30:00Z"));
    CHECK(in(night, "UTC", "2026-11-23T23:00:00Z"));
    CHECK(in(night, "UTC", "2026-11-23T05:59:00Z"));
    CHECK_FALSE(in(night, "UTC", "2026-11-23T06:00:00Z"));

    config::Condition days;
    days.field = Field::days;
    days.days.weekdays = 0b0011111;  // Monday to Friday
    CHECK(in(days, "UTC", "2026-11-23T08:00:00Z"));
    CHECK_FALSE(in(days, "UTC", "2026-11-22T08:00:00Z"));
    CHECK(in(days, "Asia/Tokyo", "2026-11-22T16:00:00Z"));  // Monday there
    days.days = {0, {{2026, 12, 24}, {0, 1, 1}}};
    CHECK(in(days, "UTC", "2026-12-24T08:00:00Z"));
    CHECK_FALSE(in(days, "UTC", "2027-12-24T08:00:00Z"));
    CHECK(in(days, "UTC", "2031-01-01T08:00:00Z"));
    // Without a time nothing holds.
    config::Test test;
    test.conditions.push_back(office);
    CHECK_FALSE(decide(ConfigBuilder().sites({"yes"}).route(test, {"yes"}).config, {}).site);
}

TEST_CASE("the zone of a rule without a site is the server's", "[rules]") {
    config::Condition office;
    office.field = Field::hours;
    office.hours = {{8 * 60, 18 * 60}};
    config::Test test;
    test.conditions.push_back(office);
    auto config = ConfigBuilder().sites({"a"}).act(test, Action::hold, "later").config;
    config.mds.time_zone = "America/New_York";
    CHECK(decide(config, {.at = "2026-11-23T20:00:00Z"}).action == Action::hold);
    CHECK(decide(config, {.at = "2026-11-23T10:00:00Z"}).action == Action::noroute);
}

TEST_CASE("addresses in header fields are compared as addresses", "[rules]") {
    const Given mail{.lines =
                         "RCPT TO:1\r\nFrom: \"eve@evil.example\" <bob@Example.com>\r\nX-From: bob@example.com\r\n"};
    CHECK(holds(header("From", "@example.com").conditions[0], mail));
    CHECK(holds(header("from", "bob@example.com").conditions[0], mail));
    CHECK_FALSE(holds(header("From", "@evil.example").conditions[0], mail));
    CHECK(holds(header("From", "*evil*").conditions[0], mail));
    CHECK_FALSE(holds(header("X-From", "@example.com").conditions[0], mail));
    const Given several{.lines = "RCPT TO:1\r\nTo: a@x, \"M, B\" <b@y>\r\nTo: c@z\r\n"};
    for (const auto* address : {"a@x", "b@y", "c@z"}) CHECK(holds(header("To", address).conditions[0], several));
}

TEST_CASE("a rule that holds is passed over once the message was released", "[rules]") {
    const auto config = ConfigBuilder()
                            .sites({"munich"})
                            .act(recipient("+49*"), Action::hold, "ask Bob")
                            .route(everything(), {"munich"})
                            .config;
    const auto held = decide(config, {});
    CHECK(held.action == Action::hold);
    CHECK(held.word() == "hold");
    CHECK(held.text == "ask Bob");
    CHECK_FALSE(held.site);
    CHECK(held.rule == 0);
    const auto released = decide(config, {.released = true});
    CHECK(released.site == "munich");
    CHECK(released.rule == 1);
    std::vector<Look> looks;
    CHECK(decide(config, {.released = true}, &looks).site == "munich");
    REQUIRE(looks.size() == 3);
    CHECK(looks[1].what == "hold, but it was released");
}

TEST_CASE("what different rules reject or hold are groups apart", "[rules]") {
    const auto config = ConfigBuilder()
                            .sites({"a"})
                            .act(recipient("+49900*"), Action::reject, "no premium numbers")
                            .act(recipient("+49137*"), Action::reject, "no votes")
                            .act(recipient("+1*"), Action::hold, "ask")
                            .route(recipient("+49*"), {"a"})
                            .config;
    const auto block = message::HeaderBlock::parse(
        "RCPT TO:+49 900 1\r\nRCPT TO:+49 89\r\nRCPT TO:+49 137 1\r\nRCPT TO:+1 2\r\nRCPT TO:+49900 2\r\nRCPT "
        "TO:+43\r\n\r\n");
    const auto groups = Table(config).split({&block, ""});
    REQUIRE(groups.size() == 5);
    CHECK(groups[0].word() == "reject");
    CHECK(groups[0].text == "no premium numbers");
    CHECK(groups[0].recipients == std::vector<std::size_t>{0, 4});
    CHECK(groups[1].word() == "a");
    CHECK(groups[2].text == "no votes");
    CHECK(groups[3].word() == "hold");
    CHECK(groups[4].word() == "noroute");
}

TEST_CASE("the index finds what a walk through the rules finds", "[rules]") {
    RandomText random(11);
    const auto number = [&](unsigned least) { return random.digits(least + random.below(3)); };
    const auto word = [&] { return std::string(1, static_cast<char>('a' + random.below(3))); };
    const auto a_pattern = [&]() -> config::Pattern {
        switch (random.below(9)) {
            case 0: return pattern("+" + number(1) + "*");
            case 1: return pattern("+" + number(2));
            case 2: return pattern("*" + number(1));
            case 3: return pattern("+" + number(1) + "?" + number(0) + "*");
            case 4: return regex("^\\+" + number(1) + "|" + word() + word() + "$");
            case 5: return pattern("*" + word() + "@" + word() + ".example.com");
            case 6: return pattern("@" + word() + ".example.com");
            case 7: return pattern(word() + "*" + word() + "?");
            default: return pattern("sms#+" + number(1) + "*");
        }
    };
    std::function<config::Test(int)> a_test = [&](int depth) -> config::Test {
        const auto leaf = [&] {
            switch (random.below(5)) {
                case 0:
                case 1: return recipient(a_pattern());
                case 2: return sender(a_pattern());
                case 3: return header("X-A", a_pattern());
                default: return header("From", a_pattern());
            }
        };
        if (depth > 2 || random.below(3) != 0) return leaf();
        switch (random.below(4)) {
            case 0: return any({a_test(depth + 1), a_test(depth + 1)});
            case 1: return all({a_test(depth + 1), a_test(depth + 1)});
            case 2: return none({a_test(depth + 1)});
            default: {
                auto both = leaf();
                both.conditions.push_back(leaf().conditions[0]);
                return both;
            }
        }
    };
    std::size_t matched = 0;
    for (int round = 0; round < 60; ++round) {
        ConfigBuilder builder;
        builder.sites({"s0", "s1", "s2"});
        if (round % 2 == 0) builder.home("49", "89");
        for (int i = 0; i < 60; ++i) builder.route(a_test(0), {"s" + std::to_string(random.below(3))});
        const Table table(builder.config);
        for (int i = 0; i < 60; ++i) {
            const auto address = [&] { return word() + word() + "@" + word() + ".example.com"; };
            const auto block = message::HeaderBlock::parse(
                "MAIL FROM:" + (random.below(4) == 0 ? "+" + number(3) : address()) +
                "\r\nRCPT TO:" + (random.below(3) == 0 ? "sms#" : "") +
                (random.below(5) == 0 ? "\xff" + word() + "\xc3\xa4" + word() : "+" + number(2)) +
                "\r\nX-A: " + (random.below(2) == 0 ? number(2) : word() + word() + word()) + "\r\nFrom: X <" +
                address() + ">, " + address() + "\r\n\r\n");
            const auto recipients = block.recipients();
            std::vector<Look> looks;
            const auto walked = table.decide({&block, ""}, recipients[0], &looks);
            const auto found = table.decide({&block, ""}, recipients[0]);
            REQUIRE(found.rule == walked.rule);
            REQUIRE(found.site == walked.site);
            REQUIRE(found.reason == walked.reason);
            matched += walked.site ? 1 : 0;
        }
    }
    CHECK(matched > 1000);
}
