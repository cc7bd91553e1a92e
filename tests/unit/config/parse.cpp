// SPDX-License-Identifier: GPL-3.0-or-later
#include <unistd.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "config/config.hpp"
#include "error/error.hpp"

namespace {

using namespace ums;
using namespace std::chrono_literals;
using config::Loaded;

// A configuration that is right, with `mds`, `kernel`, `site` and `routes` put into it.
struct Parts {
    std::string mds = "id: BER1";
    std::string kernel = "url: 'file:/srv/k1'";
    std::string connector = "root: /srv/cr";
    std::string site = "kernels: [k1]";
    std::string routes = "- {to: s}";
};
std::string whole(const Parts& parts) {
    return "mds: {" + parts.mds + "}\nkernels:\n  k1: {" + parts.kernel +
           "}\n  k2: {url: /srv/k2}\nconnectors:\n  C: {" + parts.connector + "}\nsites:\n  s: {" + parts.site +
           "}\n  t: {kernels: k2}\nroutes:\n  " + parts.routes + "\n";
}

config::Config good(const Parts& parts) {
    const auto loaded = config::parse(whole(parts), "/etc/ums/mds.yaml");
    for (const auto& diagnostic : loaded.diagnostics) UNSCOPED_INFO(config::to_string(diagnostic));
    REQUIRE(loaded.config);
    return *loaded.config;
}

std::string first(const std::string& yaml) {
    const auto loaded = config::parse(yaml, "/etc/ums/mds.yaml");
    REQUIRE(!loaded.diagnostics.empty());
    return config::to_string(loaded.diagnostics[0]);
}

bool is_told(const Loaded& loaded, std::string_view part) {
    return std::any_of(loaded.diagnostics.begin(), loaded.diagnostics.end(),
                       [&](const auto& d) { return d.text.find(part) != std::string::npos; });
}

TEST_CASE("the design's example is read into these values") {
    const auto loaded = config::load(std::string(UMS_TEST_DATA) + "/config/design.yaml");
    REQUIRE(loaded.config);
    const auto& c = *loaded.config;

    CHECK(c.mds.id == "BER1");
    CHECK(c.mds.spool == "/var/spool/ums");
    CHECK(!c.mds.force_spool);
    REQUIRE(c.mds.numbering);
    CHECK(c.mds.numbering->country == "49");
    CHECK(c.mds.numbering->area == "8142");
    CHECK(c.mds.numbering->national_prefix() == "0");
    CHECK(c.mds.settle == 5s);
    CHECK(c.mds.in_doubt.wait == 30min);
    CHECK(c.mds.in_doubt.sms == config::DoubtPolicy::hold);
    CHECK(c.mds.in_doubt.fax == config::DoubtPolicy::resend);
    CHECK(c.mds.expire == 120h);
    CHECK(c.mds.keep_sent == 0s);
    CHECK(c.mds.on_event.command == "/usr/local/bin/page-admin");
    CHECK(c.mds.on_event.mail_to == "it@example.com");
    CHECK(c.mds.on_event.mail_via == "smtp://localhost");

    REQUIRE(c.kernels.size() == 3);
    const auto& k = c.kernels[0];
    CHECK(k.name == "munich-1");
    CHECK(k.place.line == 12);
    CHECK(k.place.column == 3);
    CHECK(target::to_string(k.url) == "davs://kernel1.example.net:8443/CR");
    CHECK(k.auth.method == config::AuthMethod::digest);
    CHECK(k.auth.user == "mds");
    CHECK(k.auth.password.file == std::string(UMS_TEST_DATA) + "/config/kernel1.secret");
    CHECK(k.tls.ca == std::string(UMS_TEST_DATA) + "/config/ca.pem");
    CHECK(k.tls.key.ends_with("/config/k.pem"));
    CHECK(k.tls.cert.ends_with("/config/c.pem"));
    CHECK(k.tls.pin == "sha256//...");
    CHECK(k.channels == 30U);
    CHECK(k.fetch);
    CHECK(!k.fetch_connectors);
    CHECK(k.check.interval == 10s);
    CHECK(k.check.timeout == 3s);
    CHECK(k.limit.connections == 16);
    CHECK(k.limit.messages_per_second == 100.0);
    CHECK(k.limit.bandwidth == Bytes{10'000'000});
    CHECK(k.extension == ".tmp");
    CHECK(target::to_string(c.kernels[1].url) == "smb://kernel2/ums%24/CR");
    CHECK(c.kernels[1].auth.user == "DOM\\mds");
    CHECK(c.kernels[1].auth.method == config::AuthMethod::automatic);
    CHECK(c.kernel("munich-2") == &c.kernels[1]);
    CHECK(c.kernel("munich") == nullptr);

    REQUIRE(c.connectors.size() == 2);
    CHECK(c.connectors[0].root->path == "/srv/ums/CR");
    CHECK(c.connectors[0].numbers == std::vector<std::string>{"+49 8142 4838*"});
    CHECK(!c.connectors[1].root);
    CHECK(c.connectors[1].deliver->url.scheme == target::Scheme::smtp);
    CHECK(c.connectors[1].deliver->url.port == 25);
    CHECK(c.connector("Mail") == &c.connectors[1]);

    const auto* s = c.site("munich");
    REQUIRE(s);
    CHECK(s->kernels == std::vector<std::string>{"munich-1", "munich-2"});
    CHECK(s->balance.method == config::Balancing::rotate);
    CHECK(s->balance.rotate == 2);
    CHECK(s->balance.batch == 10);
    CHECK(s->balance.min_active == 1);
    CHECK(s->fallback == std::vector<std::string>{"vienna"});
    CHECK(s->fail_back == config::FailBack::automatic);
    CHECK(s->hold_down == 60s);
    CHECK(s->numbering->subscribers == std::vector<number::MainNumber>{{"4799"}});
    CHECK(s->numbering->extension_digits == number::Digits(3));
    CHECK(s->numbering->outside_line() == "0");
    CHECK(s->numbering->internal_length == 4);
    REQUIRE(s->conversions.size() == 1);
    CHECK(s->conversions[0].match == "00498142");
    CHECK(s->dial == config::Dial::off);
    CHECK(s->mark == std::vector<std::pair<std::string, std::string>>{{"X-UMS-Site", "munich"}});
    CHECK(s->connectors.usual == std::vector<std::string>{"ExConn"});

    using Field = config::Condition::Field;
    using Kind = config::Pattern::Kind;
    REQUIRE(c.routes.size() == 7);
    REQUIRE(c.routes[0].when.conditions.size() == 1);
    CHECK(c.routes[0].when.conditions[0].field == Field::recipient);
    CHECK(c.routes[0].when.conditions[0].patterns.at(0).text == "+43*");
    CHECK(c.routes[0].to == std::vector<std::string>{"vienna"});
    CHECK(c.routes[0].place.line == 39);
    CHECK(c.routes[1].when.conditions.size() == 2);
    CHECK(c.routes[2].when.conditions[0].header == "X-IFAXDATA-DChID");
    CHECK(c.routes[2].when.conditions[0].patterns[0].text == "789");
    CHECK(c.routes[3].when.conditions[0].patterns[0].kind == Kind::prefixes);
    CHECK(c.routes[3].when.conditions[0].patterns[0].text == std::string(UMS_TEST_DATA) + "/config/carriers.csv");
    CHECK(c.routes[3].to == std::vector<std::string>{"*"});
    REQUIRE(c.routes[4].when.any.size() == 2);
    CHECK(c.routes[4].when.any[1].conditions[0].field == Field::header);
    REQUIRE(c.routes[4].when.none.size() == 1);
    CHECK(c.routes[4].when.none[0].conditions[0].field == Field::service);
    CHECK(c.routes[5].to == std::vector<std::string>{"munich", "vienna"});
    CHECK(c.routes[6].when.is_catch_all());
    CHECK(c.routes[6].action == config::Route::Action::route);
}

TEST_CASE("what is not given has the default of the manual") {
    const auto c = good({.mds = "id: b", .kernel = "url: /srv/k1"});
    CHECK(c.mds.spool == "/var/spool/ums");
    CHECK(c.mds.settle == 5s);
    CHECK(c.mds.in_doubt.mwi == config::DoubtPolicy::resend);
    CHECK(!c.mds.numbering);
    const auto& k = c.kernels[0];
    CHECK(k.fetch);
    CHECK(!k.channels);
    CHECK(k.check.fall == 3);
    CHECK(k.check.rise == 2);
    CHECK(!k.limit.connections);
    CHECK(!k.limit.max_pending);
    CHECK(k.stage.empty());
    CHECK(!k.stuck);
    CHECK(!k.recall);
    CHECK(k.auth.password == config::Secret{});
    CHECK(c.sites[0].balance.rotate == 1);
    CHECK(c.sites[0].hold_down == 60s);
    CHECK(c.sites[0].mark.empty());
}

TEST_CASE("numbers are texts, as they were written") {
    const auto c =
        good({.mds = "id: 0123, numbering: {country: 39, area: 02, national-prefix: '', outside-line: 0}",
              .connector = "root: /srv/cr, numbers: 0049*",
              .site = "kernels: k1, numbering: {country: 49, area: 8142, subscriber: 007, outside-line: '*9#', "
                      "always-dial-area: Yes, e164-only: TRUE}, mark: {X-A: 0x10, X-B: 1_000, X-C: yes}",
              .routes = "- {header: {X-IFAXDATA-DChID: 0789, X-Null: ''}, recipient: [0049, +43*], to: s}"});
    CHECK(c.mds.id == "0123");
    CHECK(c.mds.numbering->area == "02");
    CHECK(c.mds.numbering->national_prefix().empty());
    CHECK(c.mds.numbering->outside_line() == "0");
    CHECK(c.connectors[0].numbers[0] == "0049*");
    CHECK(c.sites[0].numbering->subscribers[0].number == "007");
    CHECK(c.sites[0].numbering->outside_line() == "*9#");
    CHECK(c.sites[0].numbering->always_dial_area == number::DialArea::yes);
    CHECK(c.sites[0].numbering->e164_only);
    CHECK(c.sites[0].mark[0].second == "0x10");
    CHECK(c.sites[0].mark[1].second == "1_000");
    CHECK(c.sites[0].mark[2].second == "yes");
    const auto& conditions = c.routes[0].when.conditions;
    CHECK(conditions[0].patterns[0].text == "0049");
    CHECK(conditions[0].patterns[1].text == "+43*");
    CHECK(conditions[1].patterns[0].text == "0789");
    CHECK(conditions[2].patterns[0].text.empty());
}

TEST_CASE("yes and no have the spellings of YAML 1.1, in any case") {
    for (const std::string yes : {"yes", "Yes", "TRUE", "true", "on", "ON", "'yes'"}) {
        CHECK(good({.mds = "id: b, force-spool: " + yes}).mds.force_spool);
        CHECK(good({.kernel = "url: /srv/k1, fetch: " + yes}).kernels[0].fetch);
        CHECK(good({.mds = "id: b, keep-sent: 1h", .kernel = "url: /srv/k1, recall: " + yes}).sent_is_kept() == 24h);
    }
    for (const std::string no : {"no", "NO", "False", "off"}) {
        CHECK(!good({.mds = "id: b, force-spool: " + no}).mds.force_spool);
        CHECK(!good({.kernel = "url: /srv/k1, fetch: " + no}).kernels[0].fetch);
        CHECK(good({.site = "kernels: k1, dial: " + no}).sites[0].dial == config::Dial::off);
        CHECK(!good({.kernel = "url: /srv/k1, stuck: " + no}).kernels[0].stuck);
        CHECK(good({.mds = "id: b, keep-sent: 1h", .kernel = "url: /srv/k1, recall: " + no}).sent_is_kept() == 1h);
    }
}

TEST_CASE("relative paths start at the configuration's directory") {
    const auto c = good({.mds = "id: b, spool: ../spool/",
                         .kernel = "url: k1, tls: {ca: ./ca.pem}",
                         .connector = "root: 'file:cr', auth: {user: u, password-file: sub/../x}"});
    CHECK(c.mds.spool == "/etc/spool");
    CHECK(c.kernels[0].url.path == "/etc/ums/k1");
    CHECK(c.kernels[0].tls.ca == "/etc/ums/ca.pem");
    CHECK(c.connectors[0].root->path == "/etc/ums/cr");
    CHECK(c.connectors[0].auth.password.file == "/etc/ums/x");
}

TEST_CASE("each way to balance is read") {
    const auto balance = [](const std::string& text, const std::string& kernels = "[k1, k2]") {
        return good({.site = "kernels: " + kernels + ", balance: " + text}).sites[0].balance;
    };
    CHECK(balance("{rotate: 2, batch: 7, min-active: 2}").min_active == 2);
    CHECK(balance("{rotate: 2, batch: 7}").batch == 7);
    CHECK(balance("{rotate: 1}", "k1").rotate == 1);
    const auto weighted = balance("{weights: {k1: 3}, min-active: 2}");
    CHECK(weighted.method == config::Balancing::weights);
    CHECK(weighted.weights == std::map<std::string, unsigned>{{"k1", 3}, {"k2", 1}});
    CHECK(weighted.min_active == 2);
    CHECK(balance("least-pending").method == config::Balancing::least_pending);
    CHECK(balance("{least-pending: yes}").method == config::Balancing::least_pending);
    CHECK(balance("{hash: sender}").method == config::Balancing::hash_sender);
    CHECK(balance("{hash: recipient}").method == config::Balancing::hash_recipient);
}

TEST_CASE("each form of a rule is read") {
    const auto c =
        good({.routes = "- {name: n, note: \"a\\nb\", recipient: [/^\\+43/, '+49*'], sender: '', to: [s, t]}\n"
                        "  - {all: [{any: [{sender: a}, {sender: b}]}, {not: [{service: SMS}, {service: 'm*'}]}], "
                        "connector: C, to: noroute}\n"
                        "  - {recipient: '*', to: t}"});
    const auto& first_rule = c.routes[0];
    CHECK(first_rule.name == "n");
    CHECK(first_rule.note == "a\nb");
    CHECK(first_rule.when.conditions[0].patterns[0].kind == config::Pattern::Kind::regex);
    CHECK(first_rule.when.conditions[0].patterns[0].text == "^\\+43");
    CHECK(first_rule.when.conditions[0].patterns[1].kind == config::Pattern::Kind::text);
    CHECK(first_rule.when.conditions[1].patterns[0].text.empty());
    CHECK(c.routes[1].action == config::Route::Action::noroute);
    CHECK(c.routes[1].to.empty());
    REQUIRE(c.routes[1].when.all.size() == 2);
    CHECK(c.routes[1].when.all[0].any.size() == 2);
    CHECK(c.routes[1].when.all[1].none.size() == 2);
    CHECK(!c.routes[1].when.is_catch_all());
    CHECK(!c.routes[2].when.is_catch_all());
}

TEST_CASE("a diagnostic names file, line, column in characters, and escapes what it cites") {
    CHECK(first("mds: {id: BER1}  # M\xc3\xbcnchen\n\xc3\xbc: {k\xc3\xb6: 1}\n") ==
          "/etc/ums/mds.yaml: error: 'kernels' is missing: at least one kernel is needed");
    const auto loaded = config::parse(whole({.mds = "\xc3\xbc\xe2\x82\xac: 1, id: \"a\\nb\", spol: x"}), "mds.yaml");
    REQUIRE(loaded.diagnostics.size() == 3);
    CHECK(config::to_string(loaded.diagnostics[0])
              .starts_with("mds.yaml:1:7: error: unknown key '\xc3\xbc\xe2\x82\xac'"));
    CHECK(config::to_string(loaded.diagnostics[1]) ==
          "mds.yaml:1:18: error: 'id' must be 1 to 6 of A-Z a-z 0-9, not 'a\\nb'");
    CHECK(loaded.diagnostics[2].place.column == 26);
    CHECK(config::to_string({config::Severity::warning, {"a\x1b[2Jb", 0, 0}, "text"}) == "a\\x1b[2Jb: warning: text");
}

TEST_CASE("a byte order mark is no content") {
    CHECK(config::parse("\xef\xbb\xbf" + whole({}), "mds.yaml").config);
    const auto loaded = config::parse("\xef\xbb\xbfxds: 1\n", "mds.yaml");
    CHECK(is_told(loaded, "unknown key 'xds'; did you mean 'mds'?"));
}

TEST_CASE("lines may end in CRLF, and the last one without") {
    std::string text = whole({});
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.insert(at, "\r");
    CHECK(config::parse(text, "mds.yaml").config);
    text.resize(text.size() - 2);
    CHECK(config::parse(text, "mds.yaml").config);
}

TEST_CASE("what is no YAML is told in words, where people look for it") {
    const auto told = [](const std::string& yaml) {
        const auto text = first(yaml);
        const std::string_view about = "this is no YAML: ";
        REQUIRE(text.starts_with("/etc/ums/mds.yaml:"));
        REQUIRE(text.find(about) != std::string::npos);
        const auto place = text.substr(18, text.find(": error: ") - 18);
        return place + " " + text.substr(text.find(about) + about.size());
    };
    CHECK(told("a: - b\n") == "1:4 no '- ' can stand here: a list begins in a line of its own");
    CHECK(told("a: b\nc\nd: e\n") == "2:1 a key begins here, but no ': ' follows it");
    CHECK(told("x: y\na:\n  - b\n  c: d\n") ==
          "4:3 what stands here does not belong to the list that begins in line 3: see the indentation");
    CHECK(told("x: y\na: {b: [c\n  d: e}\n") ==
          "3:4 a , or ] is missing before this, in the list that begins in line 2");
    CHECK(
        told("routes:\n  - {recipient: /^[0-9]/, to: s}\n") ==
        "2:19 a , or } is missing before this, in the map that begins in line 2; a text with [ ] { or } must stand in "
        "quotes");
    CHECK(told("a: {b: 'c'\n\td: e\n") == "2:2 a , or } is missing before this, in the map that begins in line 1");
    CHECK(told("{a: b}\nc: d\n") ==
          "2:1 this stands outside of the document: see the indentation, and --- must follow lines that begin with %");
    CHECK(told("a:\n    b: c\n  d: e\n") ==
          "3:3 what stands here does not belong to the map that begins in line 1: see the indentation and the quotes");
    CHECK(told("a: [b,,c]\n") == "1:7 a value is missing here");
    CHECK(told("%YAML 1.2\n%YAML 1.2\n---\na: b\n") == "2:1 a second line with %YAML stands here");
    CHECK(told("%YAML 2.0\n---\na: b\n") == "1:1 the version of YAML must be 1.1 or 1.2");
    CHECK(told("{a:, b: c}\n") == "1:3 a blank must follow this : (or quotes stand around the text)");
    CHECK(told("a: 'b\n---\n") ==
          "1:4 the quote that opens here is not closed before a line that begins with --- or ...");
    CHECK(told("a: \"b\nc: d\n") == "1:4 the quote that opens here is never closed");
    CHECK(told("a: b\n  c: d\n") ==
          "2:4 no ': ' can stand here: see the indentation, the blank behind each : before it, and the quotes around a "
          "text with ': '");

    for (const std::string bad : {"\\q", "\\ums", "\\uD83D"}) {
        CHECK(told("a: \"" + bad + "\"\n")
                  .ends_with("; in double quotes a \\ begins an escape, in single quotes it stands for itself"));
    }
    for (const std::string tabs : {"a:\n\tb: c\n", "a: b\n\tc: d\n", "a: |\n\tb\n", "a: b\n\nc:\n\t- d\n"}) {
        CHECK(told(tabs).ends_with(":1 a tab stands here; indent with spaces, not with tabs"));
    }
    CHECK(told("a: b\n  \tc: d\n").ends_with("; indent with spaces, not with tabs"));
    for (const std::string bare : {"@b", "`b`", "%b", "*", "*.b", "&", "&.b", "!b!c", "|b", ">b", "?"}) {
        CHECK(told("a: " + bare + "\n") ==
              std::string("1:4 a value that begins with ") + bare[0] + " must stand in quotes");
    }
    for (const std::string bare : {"?b", ":b", "::1", "- b"}) {
        CHECK(told("{a: " + bare + "}\n") ==
              std::string("1:5 a value that begins with ") + bare[0] + " must stand in quotes");
    }
    CHECK(told("a: [\n\t@b]\n") == "2:2 a value that begins with @ must stand in quotes");
    CHECK(told("%b c\n---\na: b\n") == "1:1 a value that begins with % must stand in quotes");

    // Whatever the line ends are, and with none at the end.
    CHECK(told("a: b\r\nc: d\r\n\xc3\xbc: [\xe2\x82\xac, @e]\r\n").starts_with("3:8 "));
    CHECK(told("a: b\n\xc3\xbc: {c: d").starts_with("2:9 "));
}

TEST_CASE("characters that end a line for some readers only, or that nobody sees, are refused") {
    for (const std::string character : {"\r", "\x1b", "\x7f", "\xc2\x81", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9",
                                        "\xef\xbb\xbf", "\xef\xbf\xbf"}) {
        for (const std::string before : {"mds: 'a", "mds: a\n# \xc3\xbc"}) {
            const auto place = before.ends_with("a") ? "1:8" : "2:4";
            CHECK(first(before + character + "b'\n")
                      .starts_with("/etc/ums/mds.yaml:" + std::string(place) + ": error: a control character ("));
        }
    }
    for (const std::string bytes :
         {"\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
        CHECK(first("mds: \xc3\xbc" + bytes) == "/etc/ums/mds.yaml:1:7: error: the file is not UTF-8 from here on");
    }
    CHECK(good({.routes = "- {note: \"\xc2\xa0\xee\x80\x80\xf0\x9f\x98\x80\", to: s}"}).routes[0].note ==
          "\xc2\xa0\xee\x80\x80\xf0\x9f\x98\x80");
}

TEST_CASE("plain texts need no quotes where YAML needs none") {
    const auto c =
        good({.kernel = "url: file:/srv/k1,channels: 2",
              .routes = "- {recipient: [0?*, +49*], sender: a#b?c=d&e, header: {X-A: '?', X-B: a:b}, to: s}"});
    CHECK(target::to_string(c.kernels[0].url) == "file:/srv/k1");
    CHECK(c.kernels[0].channels == 2U);
    CHECK(c.routes[0].when.conditions[0].patterns[0].text == "0?*");
    CHECK(c.routes[0].when.conditions[1].patterns[0].text == "a#b?c=d&e");
    CHECK(c.routes[0].when.conditions[3].patterns[0].text == "a:b");
}

TEST_CASE("each key that is given again is told, with the first") {
    const auto loaded = config::parse("mds: 1\nzz: 2\nmds: 3\nzz: 4\nmds: 5\n", "f");
    std::string told;
    for (const auto& diagnostic : loaded.diagnostics) {
        if (diagnostic.text.find("twice") != std::string::npos) told += config::to_string(diagnostic) + "\n";
    }
    CHECK(told ==
          "f:3:1: error: 'mds' is given twice; the first stands in line 1\n"
          "f:4:1: error: 'zz' is given twice; the first stands in line 2\n"
          "f:5:1: error: 'mds' is given twice; the first stands in line 1\n");
}

TEST_CASE("null and ~ are no value, and in quotes they are texts") {
    for (const std::string nothing : {"", "~", "null", "Null", "NULL"}) {
        CHECK(first(whole({.mds = "id: " + nothing})) ==
              "/etc/ums/mds.yaml:1:7: error: 'id' has no value; it must be 1 to 6 of A-Z a-z 0-9");
        CHECK(is_told(config::parse("? " + nothing + "\n: b\n", "f"), "a key is missing (null and ~ need quotes)"));
    }
    for (const std::string text : {"nULL", "nil", "'null'", "\"NULL\"", "! Null"})
        CHECK(good({.mds = "id: " + text}).mds.id.size() <= 4);
    CHECK(is_told(config::parse(whole({.mds = "id: '~'"}), "f"), "not '~'"));
}

TEST_CASE("values that could become header lines have no line ends") {
    CHECK(is_told(config::parse(whole({.site = "kernels: k1, mark: {X-A: \"a\\r\\nRCPT TO:x\"}"}), "f"), "one line"));
    CHECK(is_told(config::parse(whole({.site = "kernels: k1, mark: {\"X-A:b\\n\": a}"}), "f"), "cannot be the name"));
    CHECK(is_told(config::parse(whole({.kernel = "url: /k, auth: {user: \"a\\nb\"}"}), "f"), "one line"));
    CHECK(is_told(config::parse(whole({.kernel = "url: \"/k\\0\""}), "f"), "one line"));
}

TEST_CASE("a password that stands in the file is refused and not told") {
    for (const std::string kernel : {"url: /k, auth: {user: u, password: hunter2}", "url: 'davs://u:hunter2@host/'",
                                     "url: 'http://u:hunter2@host/'"}) {
        const auto loaded = config::parse(whole({.kernel = kernel}), "f");
        CHECK(!loaded.config);
        CHECK(!loaded.diagnostics.empty());
        CHECK(!is_told(loaded, "hunter2"));
    }
}

TEST_CASE("a document that expands, nests or repeats without end costs no more than its size") {
    std::string laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
    for (int i = 1; i < 30; ++i) {
        const std::string before = "*a" + std::to_string(i - 1);
        laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 9; ++j) laughs += (j > 0 ? ", " : "") + before;
        laughs += "]\n";
    }
    CHECK(is_told(config::parse(laughs, "f"), "aliases"));

    for (const std::string open : {"[", "{a: ", "- ", "? ", "[a, {b: "}) {
        std::string deep;
        for (int i = 0; i < 20'000; ++i) deep += open;
        const auto loaded = config::parse(deep, "f");
        CHECK(!loaded.config);
        CHECK(loaded.diagnostics.size() == 1);
    }

    std::string many = "routes: [";
    for (int i = 0; i < 600'000; ++i) many += "1,";
    CHECK(is_told(config::parse(many + "]", "f"), "more than 500000 values"));

    std::string mistakes;
    for (int i = 0; i < 5'000; ++i) mistakes += "key" + std::to_string(i) + ": 1\n";
    const auto loaded = config::parse(mistakes, "f");
    CHECK(loaded.diagnostics.size() == 1001);
    CHECK(loaded.diagnostics.back().text == "4005 more are not shown");
}

TEST_CASE("a file over 16 MiB is refused before it is read as YAML") {
    const std::string large(16U * 1024 * 1024 + 1, '#');
    CHECK(is_told(config::parse(large, "f"), "larger than 16 MiB"));
    const auto path = std::filesystem::temp_directory_path() / ("ums-config-large-" + std::to_string(::getpid()));
    std::ofstream(path, std::ios::binary) << large;
    try {
        config::load(path);
        FAIL("it was read");
    } catch (const Error& error) {
        CHECK(error.fault() == Fault::configuration);
        CHECK(std::string(error.what()).find("larger than 16 MiB") != std::string::npos);
    }
    std::filesystem::resize_file(path, 16U * 1024 * 1024);
    CHECK(is_told(config::load(path), "the file is empty"));
    std::filesystem::remove(path);
}

TEST_CASE("a file that cannot be read throws") {
    for (const std::string path : {"/nonexistent/mds.yaml", "/"}) {
        try {
            config::load(path);
            FAIL("it was read");
        } catch (const Error& error) {
            CHECK(error.fault() == Fault::configuration);
            CHECK(std::string(error.what()).starts_with("cannot read the configuration '" + path + "': "));
        }
    }
}

TEST_CASE("names are 1 to 32 letters, digits, dots, underscores and dashes") {
    for (const auto* name : {"a", "0", "munich-1", "A.b_c-D", "abcdefghijklmnopqrstuvwxyz012345"})
        CHECK(config::is_name(name));
    for (const auto* name : {"", ".a", "-a", "_a", "a b", "a/b", "..", "a\xc3\xbc", "abcdefghijklmnopqrstuvwxyz0123456",
                             "a,b", "munich.why"}) {
        CHECK(!config::is_name(name));
    }
}

TEST_CASE("20,000 rules are read and linted in a moment", "[large]") {
    std::string routes;
    for (int i = 0; i < 20'000; ++i) routes += "- {recipient: '+49" + std::to_string(100'000 + i) + "*', to: s}\n  ";
    const auto c = good({.routes = routes + "- {to: t}"});
    CHECK(c.routes.size() == 20'001);
}

}  // namespace
