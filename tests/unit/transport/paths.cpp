// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/paths.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace ums::transport;

TEST_CASE("paths that could lead elsewhere are not used", "[paths]") {
    for (const std::string path : {"a", "a/b", "R_x/Out/.BER1/1.part", "a b", "..a", "a..", "...", "\n", "%2e%2e"}) {
        INFO(path);
        CHECK(is_safe_path(path, Root::forbidden));
    }
    for (const std::string path : {"/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a/../b"}) {
        INFO(path);
        CHECK_FALSE(is_safe_path(path, Root::allowed));
    }
    CHECK_FALSE(is_safe_path(std::string("a\0b", 3), Root::forbidden));
    CHECK(is_safe_path("", Root::allowed));
    CHECK_FALSE(is_safe_path("", Root::forbidden));
    CHECK(unsafe_path("../x").verdict == Verdict::refused);
}

TEST_CASE("joining paths", "[paths]") {
    CHECK(join("a", "b") == "a/b");
    CHECK(join("/", "b") == "/b");
    CHECK(join("", "b") == "b");
    CHECK(join("a", "") == "a");
}
