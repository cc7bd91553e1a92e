// SPDX-License-Identifier: GPL-3.0-or-later
#include "target/target.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <variant>
#include <vector>

using namespace ums::target;

namespace {

Target parsed(const std::string& text) {
    const auto result = parse_target(text, "/etc/ums");
    INFO(text);
    if (const auto* problem = std::get_if<std::string>(&result)) FAIL(*problem);
    return std::get<Target>(result);
}

}  // namespace

TEST_CASE("targets are parsed, and printed in one normal spelling", "[target]") {
    struct Row {
        std::string text;
        Target target;
        std::string normal;
    };
    const std::vector<Row> rows{
        {"/srv/CR", {Scheme::file, "", {}, "/srv/CR"}, "file:/srv/CR"},
        {"file:/srv/CR", {Scheme::file, "", {}, "/srv/CR"}, "file:/srv/CR"},
        {"file:///srv/CR", {Scheme::file, "", {}, "/srv/CR"}, "file:/srv/CR"},
        {"FILE:///srv/CR/", {Scheme::file, "", {}, "/srv/CR"}, "file:/srv/CR"},
        {"file://localhost/srv", {Scheme::file, "", {}, "/srv"}, "file:/srv"},
        {"file:/srv/a%20b", {Scheme::file, "", {}, "/srv/a b"}, "file:/srv/a%20b"},
        {"/srv/a%20b", {Scheme::file, "", {}, "/srv/a%20b"}, "file:/srv/a%2520b"},
        {"kernel1", {Scheme::file, "", {}, "/etc/ums/kernel1"}, "file:/etc/ums/kernel1"},
        {"file:kernel1", {Scheme::file, "", {}, "/etc/ums/kernel1"}, "file:/etc/ums/kernel1"},
        {"../kernel1//x/", {Scheme::file, "", {}, "/etc/kernel1/x"}, "file:/etc/kernel1/x"},
        {"dir/with:colon", {Scheme::file, "", {}, "/etc/ums/dir/with:colon"}, "file:/etc/ums/dir/with%3Acolon"},
        {"/", {Scheme::file, "", {}, "/"}, "file:/"},
        {"dav://host", {Scheme::dav, "host", {}, "/"}, "dav://host/"},
        {"dav://host:8080/CR/", {Scheme::dav, "host", 8080, "/CR"}, "dav://host:8080/CR"},
        {"DAVS://Host.example/a//b", {Scheme::davs, "Host.example", {}, "/a/b"}, "davs://Host.example/a/b"},
        {"davs://[::1]:8443/CR", {Scheme::davs, "::1", 8443, "/CR"}, "davs://[::1]:8443/CR"},
        {"davs://[fe80::1]/", {Scheme::davs, "fe80::1", {}, "/"}, "davs://[fe80::1]/"},
        {"dav://h/%C3%BC%25/x", {Scheme::dav, "h", {}, "/\xc3\xbc%/x"}, "dav://h/%C3%BC%25/x"},
        {"smb://srv/share/dir", {Scheme::smb, "srv", {}, "/share/dir"}, "smb://srv/share/dir"},
        {"\\\\srv\\ums$\\CR", {Scheme::smb, "srv", {}, "/ums$/CR"}, "smb://srv/ums%24/CR"},
        {"\\\\srv\\share", {Scheme::smb, "srv", {}, "/share"}, "smb://srv/share"},
        {"smtp://mail:25", {Scheme::smtp, "mail", 25, "/"}, "smtp://mail:25"},
        {"smtps://mail/", {Scheme::smtps, "mail", {}, "/"}, "smtps://mail"},
        {"lmtp:///run/dovecot/lmtp", {Scheme::lmtp, "", {}, "/run/dovecot/lmtp"}, "lmtp:///run/dovecot/lmtp"},
        {"lmtp://[::1]:24", {Scheme::lmtp, "::1", 24, "/"}, "lmtp://[::1]:24"},
    };
    for (const auto& row : rows) {
        INFO(row.text);
        const auto target = parsed(row.text);
        CHECK(target == row.target);
        CHECK(to_string(target) == row.normal);
        CHECK(parsed(to_string(target)) == target);
    }
}

TEST_CASE("what is no target says why", "[target]") {
    struct Row {
        std::string text;
        std::string says;
    };
    const std::vector<Row> rows{
        {"", "empty"},
        {"ftp://host/x", "scheme"},
        {"http://host/x", "dav://"},
        {"https://host/x", "davs://"},
        {"dav:/x", "//"},
        {"//server/share", "smb://server"},
        {"dav://", "host"},
        {"dav:///x", "host"},
        {"dav://:80/x", "host"},
        {"dav://user:secret@host/x", "auth:"},
        {"dav://host:0/", "port"},
        {"dav://host:65536/", "port"},
        {"dav://host:/", "port"},
        {"dav://host:8x/", "port"},
        {"dav://ho st/", "character"},
        {"dav://[::1/", "bracket"},
        {"dav://[::1]x/", "port"},
        {"dav://[host]/", "IPv6"},
        {"dav://host/a/../b", "'..'"},
        {"dav://host/a/%2e%2e/b", "'..'"},
        {"dav://host/./b", "'.'"},
        {"dav://host/%zz", "%"},
        {"dav://host/%4", "%"},
        {"dav://host/%0A", "control"},
        {"dav://host/%00", "control"},
        {"dav://host/a?b", "query"},
        {"dav://host/a#b", "fragment"},
        {"dav://host/a\nb", "control"},
        {"smb://host", "share"},
        {"\\\\host", "UNC"},
        {"\\host\\share", "two backslashes"},
        {"\\\\host\\", "share"},
        {"\\\\\\share", "UNC"},
        {"\\\\host\\share\\..\\x", "'..'"},
        {"smtp://mail/x", "path"},
        {"smtp:///run/x", "host"},
        {"lmtp:///", "host"},
        {"lmtp://mail/x", "path"},
        {"file://host/x", "host"},
        {"file:", "directory"},
    };
    for (const auto& row : rows) {
        INFO(row.text);
        const auto result = parse_target(row.text, "/etc/ums");
        REQUIRE(std::holds_alternative<std::string>(result));
        const auto& problem = std::get<std::string>(result);
        INFO(problem);
        CHECK(problem.find(row.says) != std::string::npos);
        CHECK(problem.find("secret") == std::string::npos);
    }
}

TEST_CASE("percent-encoding keeps only what is unreserved, and comes back", "[target]") {
    std::string all;
    for (int c = 1; c < 256; ++c) {
        if (c != '/') all += static_cast<char>(c);
    }
    const auto encoded = encode_segment(all);
    CHECK(encoded.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%") ==
          std::string::npos);
    CHECK(decode(encoded) == all);
    CHECK(encode_segment("a/b") == "a%2Fb");
    CHECK(encode_path("/a b/c%/") == "/a%20b/c%25/");
    CHECK(encode_path("") == "");
    CHECK(decode("%41%7e+") == "A~+");
    CHECK_FALSE(decode("%").has_value());
    CHECK_FALSE(decode("%4").has_value());
    CHECK_FALSE(decode("%4g").has_value());
    CHECK_FALSE(decode("a%-1").has_value());
}
