// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/letter.hpp"

#include <catch2/catch.hpp>

#include "temporary_directory.hpp"

using namespace ums;
using delivery::is_mail_address;
using delivery::Letter;
using delivery::Postmark;
using message::Service;

namespace {

const number::Numbering munich = [] {
    number::Numbering numbering;
    numbering.country = "49";
    numbering.area = "89";
    return numbering;
}();

struct World {
    config::Config config;
    config::Connector connector;
    test::TemporaryDirectory directory;
    io::PosixDisk disk;

    World() {
        config.mds.id = "BER1";
        config.mds.numbering = munich;
        connector.name = "Mail";
        connector.deliver.emplace();
        connector.deliver->url.host = "mail.example.com";
    }
    std::string recipient(const std::string& address, Service service = Service::fax) {
        return Postmark(config, connector).recipient(address, service, &munich);
    }
    std::string sender(const std::string& address) {
        return Postmark(config, connector).sender(address, Service::fax, &munich);
    }
    Letter letter(const std::string& content, const std::string& attributes = "") {
        const auto path = directory.path() + "/m";
        test::write_to(path, content);
        const auto file = disk.open(path);
        return Postmark(config, connector)
            .letter(disk, *file, path, *spool::EntryName::parse("1795406406123456.k2j4x7ab.BER1" + attributes));
    }
};

bool refused(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) {
        return error.fault() == Fault::unusable;
    }
    return false;
}

}  // namespace

TEST_CASE("mail addresses", "[letter]") {
    for (const auto* good :
         {"a@b", "a.b@example.com", "\"a b\"@example.com", "\"a\\\"b@c\"@example.com", "+49@[192.0.2.1]",
          "x@[IPv6:2001:db8::1]", "m\u00fcller@b\u00fccher.example", "o'hara!#$%&*/=?^_`{|}~@x-1.example"}) {
        INFO(good);
        CHECK(is_mail_address(good));
    }
    for (const auto* bad : {"",
                            "a",
                            "@b",
                            "a@",
                            "a b@c",
                            "a..b@c",
                            ".a@c",
                            "a.@c",
                            "a@b..c",
                            "a@b c",
                            "a@b>",
                            "<a@b",
                            "a@b\r\nRCPT TO:<x@y>",
                            "a\r\n@b",
                            "\"a\r\n\"@b",
                            "\"a\"b\"@c",
                            "\"a\\\"@c",
                            "a@b,c@d",
                            "a(x)@b",
                            "a@[x y]",
                            "a@\xff",
                            "\"a\n\"@c",
                            "a@b;c",
                            "a,b@c",
                            "a@b\\c"}) {
        INFO(bad);
        CHECK_FALSE(is_mail_address(bad));
    }
    CHECK_FALSE(is_mail_address(std::string(251, 'a') + "@b.c"));
    CHECK_FALSE(is_mail_address(std::string("a\0b@c", 5)));
}

TEST_CASE("numbers become addresses", "[letter]") {
    World world;
    CHECK(world.recipient("+49 89 4799-123") == "+49894799123@mail.example.com");
    CHECK(world.recipient("089 4799 123") == "+49894799123@mail.example.com");
    auto& deliver = *world.connector.deliver;
    deliver.url.host = "192.0.2.1";
    CHECK(world.recipient("+491") == "+491@[192.0.2.1]");
    deliver.url.host = "2001:db8::1";
    CHECK(world.recipient("+491") == "+491@[IPv6:2001:db8::1]");
    deliver.url.host = "";
    CHECK(world.recipient("+491") == "+491@localhost");
    deliver.address = "{service}.{digits}@{service}.example.com";
    CHECK(world.recipient("+49 1", Service::sms) == "sms.491@sms.example.com");
    deliver.address = "all@example.com";
    CHECK(world.recipient("+49 1") == "all@example.com");
    CHECK(world.recipient("") == "all@example.com");
}

TEST_CASE("an address is used as it is, and nothing else can be smuggled in", "[letter]") {
    World world;
    CHECK(world.recipient("boss@example.com") == "boss@example.com");
    for (const std::string bad : {"a@b\nRCPT TO:<x@y>", "a b@c", "a@b> SIZE=1", "@", "a@"}) {
        INFO(bad);
        CHECK(refused([&] { world.recipient(bad); }));
    }
    // What is no number is quoted where it must be.
    CHECK(world.recipient("anonymous") == "anonymous@mail.example.com");
    CHECK(world.recipient("a>b") == "\"a>b\"@mail.example.com");
    CHECK(world.recipient("a\"b\\c") == "\"a\\\"b\\\\c\"@mail.example.com");
    CHECK(world.recipient("1\r\nDATA") == "1DATA@mail.example.com");
    CHECK(refused([&] { world.recipient(std::string("1\0", 2)); }));
    CHECK(refused([&] { world.recipient(""); }));
    CHECK(refused([&] { world.recipient(std::string(300, '1')); }));
}

TEST_CASE("a file says whom a number is: itself first, then the first row that covers it", "[letter]") {
    World world;
    auto& deliver = *world.connector.deliver;
    deliver.addresses = {{"+49 89 47*", "{digits}@fax.example.com"},
                         {"0 89 4712", "boss@example.com"},
                         {"+49 89 4*", "late@example.com"}};
    deliver.addresses_file = "/etc/ums/addresses.csv";
    CHECK(world.recipient("+49894712") == "boss@example.com");
    CHECK(world.recipient("+49 89 4713") == "49894713@fax.example.com");
    CHECK(world.recipient("+49 89 48") == "late@example.com");
    CHECK(refused([&] { world.recipient("+43 1"); }));
    deliver.address = "rest@example.com";
    CHECK(world.recipient("+43 1") == "rest@example.com");
}

TEST_CASE("senders", "[letter]") {
    World world;
    CHECK(world.sender("+49 1").empty());
    CHECK(world.sender("x@example.com") == "x@example.com");
    world.connector.deliver->from = "{originator}@fax.example.com";
    CHECK(world.sender("+49 1") == "+491@fax.example.com");
    CHECK(world.sender("0891") == "+49891@fax.example.com");
    // No sender is a report, or one that hides: nobody is answered.
    CHECK(world.sender("").empty());
    CHECK(world.sender("a@b\r\nRCPT TO:<x@y>").empty());
    CHECK(world.sender("1\r\nRCPT TO:<x@y>").empty());
    CHECK(world.sender("a b@c").empty());
}

TEST_CASE("what is sent: no envelope lines, what a mail must have, CRLF", "[letter]") {
    World world;
    const auto letter = world.letter(
        "MAIL FROM:+49 30 1\nRCPT TO:fax#+49 89 1\nSubject: a\r b\n\tfolded\r\nrcpt to: sms#+49 89 2\n\nbody\n",
        ",d=1");
    CHECK(letter.recipients == std::vector<std::string>{"+49891@mail.example.com", "+49892@mail.example.com"});
    CHECK(letter.sender.empty());
    CHECK(letter.head ==
          "Date: Mon, 23 Nov 2026 04:00:06 +0000\r\n"
          "From: \"+49 30 1\" <MAILER-DAEMON@ber1.invalid>\r\n"
          "Message-ID: <1795406406123456.k2j4x7ab.BER1@ums.invalid>\r\n"
          "Subject: a  b\r\n\tfolded\r\n"
          "X-UMS-Possible-Duplicate: yes\r\n"
          "\r\n");
    CHECK(letter.body_length == Bytes{5});

    const auto own = world.letter("Message-Id: <1@x>\r\nFROM: a@b\r\ndate: x\r\nRCPT TO:<boss@example.com>\r\n\r\n");
    CHECK(own.head == "Message-Id: <1@x>\r\nFROM: a@b\r\ndate: x\r\n\r\n");
    CHECK(own.recipients == std::vector<std::string>{"boss@example.com"});
    CHECK(own.body_length == Bytes{0});

    const auto half = world.letter("RCPT TO:+49891\nSubject: no end");
    CHECK(half.head.ends_with("Subject: no end\r\n\r\n"));
    CHECK(half.body_length == Bytes{0});
}

TEST_CASE("numbers of a site", "[letter]") {
    World world;
    config::Site site;
    site.name = "munich";
    site.numbering = munich;
    site.numbering->subscribers = {{"4799"}};
    world.config.sites.push_back(site);
    const auto letter = world.letter("RCPT TO:fax#123\n\nx", ",s=munich");
    CHECK(letter.recipients.front() == "+49894799123@mail.example.com");
    CHECK(letter.head.find("X-UMS-Original-Recipient: fax#123\r\n") != std::string::npos);
}
