// SPDX-License-Identifier: GPL-3.0-or-later
#include "message/address.hpp"

#include <catch2/catch.hpp>

using namespace ums::message;

TEST_CASE("the service stands before the number, in any case") {
    for (const auto& [text, service] :
         std::initializer_list<std::pair<const char*, Service>>{{"fax#1", Service::fax},
                                                                {"FAX#1", Service::fax},
                                                                {"SMS#1", Service::sms},
                                                                {"voc#1", Service::voc},
                                                                {"MwI#1", Service::mwi},
                                                                {"tts#1", Service::tts},
                                                                {" fax # 1 ", Service::fax}}) {
        const auto split = split_service(text);
        CHECK(split.service == service);
        CHECK(split.address == "1");
        CHECK(parse_service(to_string(service)) == service);
    }
}

TEST_CASE("a prefix that is no service stays part of the address") {
    CHECK(split_service("pager#1").address == "pager#1");
    CHECK_FALSE(split_service("pager#1").service.has_value());
    CHECK(split_service("*21#4711").address == "*21#4711");
    CHECK(split_service("#1").address == "#1");
    CHECK(split_service("").address.empty());
    CHECK(split_service("fax#").address.empty());
    CHECK(split_service("fax#").service == Service::fax);
    CHECK(split_service("fax#*21#1").address == "*21#1");
    CHECK(split_service("+49 170...").address == "+49 170...");
    CHECK(split_service("SMS#+49 170...").address == "+49 170...");
}

TEST_CASE("brackets around the whole are removed") {
    CHECK(split_service("<fax#1>").address == "1");
    CHECK(split_service("< a@b >").address == "a@b");
    CHECK(split_service("<a").address == "<a");
    CHECK(split_service("<a>b").address == "<a>b");
    CHECK(split_service("<>").address.empty());
}
