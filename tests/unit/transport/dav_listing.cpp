// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/dav_listing.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace ums;
using namespace ums::transport;

namespace {

const Origin origin{.scheme = "https", .host = "Kernel.example", .port = 8443};

std::string response(const std::string& href, const std::string& properties,
                     const std::string& status = "HTTP/1.1 200 OK") {
    return "<D:response><D:href>" + href + "</D:href><D:propstat><D:prop>" + properties + "</D:prop><D:status>" +
           status + "</D:status></D:propstat></D:response>";
}

std::string document(const std::string& content) {
    return "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">" + content +
           "</D:multistatus>";
}

struct Result {
    std::vector<ListingEntry> entries;
    std::string problem;
    std::size_t foreign = 0;
};

Result parse(const std::string& text, std::size_t piece = 1'000'000) {
    Result result;
    Listing listing(origin, "/CR/Out", [&](const ListingEntry& entry) {
        result.entries.push_back(entry);
        return true;
    });
    bool more = true;
    for (std::size_t i = 0; more && i < text.size(); i += piece)
        more = listing.feed(std::string_view(text).substr(i, piece));
    if (more) listing.finish();
    result.problem = listing.problem();
    result.foreign = listing.foreign();
    return result;
}

std::string name_of_one(const std::string& href) {
    const auto result = parse(document(response(href, "<D:getcontentlength>1</D:getcontentlength>")));
    CHECK(result.problem.empty());
    if (result.entries.empty()) return "(none)";
    return result.entries[0].self ? "(self)" : result.entries[0].item.name;
}

}  // namespace

TEST_CASE("a listing of Apache, in pieces of every size", "[dav_listing]") {
    const std::string text =
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
        "<D:multistatus xmlns:D=\"DAV:\" xmlns:ns0=\"DAV:\">\n"
        "<D:response xmlns:lp1=\"DAV:\" xmlns:lp2=\"http://apache.org/dav/props/\">\n<D:href>/CR/Out/</D:href>\n"
        "<D:propstat>\n<D:prop>\n<lp1:resourcetype><D:collection/></lp1:resourcetype>\n"
        "<lp1:getetag>\"1000-60\"</lp1:getetag>\n<lp1:getlastmodified>Mon, 23 Nov 2026 04:38:30 "
        "GMT</lp1:getlastmodified>\n"
        "</D:prop>\n<D:status>HTTP/1.1 200 OK</D:status>\n</D:propstat>\n"
        "<D:propstat>\n<D:prop>\n<D:getcontentlength/></D:prop>\n<D:status>HTTP/1.1 404 Not Found</D:status>\n"
        "</D:propstat>\n</D:response>\n"
        "<D:response xmlns:lp1=\"DAV:\">\n<D:href>/CR/Out/a%20b.tmp</D:href>\n<D:propstat>\n<D:prop>\n"
        "<lp1:resourcetype/>\n<lp1:getcontentlength>1234</lp1:getcontentlength>\n<lp1:getetag>\"4d2-6&amp;1\"</"
        "lp1:getetag>\n"
        "<lp1:getlastmodified>Mon, 23 Nov 2026 04:38:31 GMT</lp1:getlastmodified>\n"
        "</D:prop>\n<D:status>HTTP/1.1 200 OK</D:status>\n</D:propstat>\n</D:response>\n</D:multistatus>\n";
    for (std::size_t piece = 1; piece < 200; piece += piece < 20 ? 1 : 37) {
        const auto result = parse(text, piece);
        REQUIRE(result.problem.empty());
        REQUIRE(result.entries.size() == 2);
        CHECK(result.entries[0].self);
        CHECK(result.entries[0].item.kind == ItemKind::directory);
        CHECK_FALSE(result.entries[0].sized);
        const auto& entry = result.entries[1];
        CHECK_FALSE(entry.self);
        CHECK(entry.sized);
        CHECK(entry.item.name == "a b.tmp");
        CHECK(entry.item.kind == ItemKind::file);
        CHECK(entry.item.size == Bytes{1234});
        CHECK(entry.item.version == "\"4d2-6&1\"");
        REQUIRE(entry.item.modified);
        CHECK(entry.item.modified->time_since_epoch() == std::chrono::seconds(1795408711));
    }
}

TEST_CASE("addresses of entries", "[dav_listing]") {
    CHECK(name_of_one("/CR/Out/x") == "x");
    CHECK(name_of_one("/CR/Out/x/") == "x");
    CHECK(name_of_one("/CR/Out") == "(self)");
    CHECK(name_of_one("/CR/Out/") == "(self)");
    CHECK(name_of_one("/%43R/O%75t/") == "(self)");
    CHECK(name_of_one("\n  /CR/Out/x \t\n") == "x");
    CHECK(name_of_one("https://kernel.EXAMPLE:8443/CR/Out/x") == "x");
    CHECK(name_of_one("HTTPS://kernel.example:8443/CR/Out/x") == "x");
    CHECK(name_of_one("/CR/Out/%C3%BC%25%3F%23&amp;+") == "\xc3\xbc%?#&+");
    CHECK(name_of_one("/CR/Out/%0a%1b") == "\n\x1b");
    CHECK(name_of_one("/CR/Out/...") == "...");
    CHECK(name_of_one("/CR/Out/..x") == "..x");
    CHECK(name_of_one("/CR/Out/%252e%252e") == "%2e%2e");
}

TEST_CASE("entries that lie elsewhere or lead there are passed over", "[dav_listing]") {
    for (const std::string href : {"",
                                   "x",
                                   "/",
                                   "/x",
                                   "/CR",
                                   "/CR/",
                                   "/CR/Other/x",
                                   "/cr/out/x",
                                   "/CR/Out/a/b",
                                   "/CR/Out/..",
                                   "/CR/Out/.",
                                   "/CR/Out/../x",
                                   "/CR/Out/../Out/x",
                                   "/CR/./Out/x",
                                   "/CR/Out/%2e%2e",
                                   "/CR/Out/%2E",
                                   "/CR/Out/a%2Fb",
                                   "/CR/Out/a%2fb",
                                   "/CR/Out/a%00",
                                   "/CR/Out/%",
                                   "/CR/Out/%4",
                                   "/CR/Out/%zz",
                                   "/CR/Out/a?b",
                                   "/CR/Out/a#b",
                                   "//Kernel.example:8443/CR/Out/x",
                                   "//CR/Out/x",
                                   "http://kernel.example:8443/CR/Out/x",
                                   "https://kernel.example/CR/Out/x",
                                   "https://kernel.example:443/CR/Out/x",
                                   "https://evil.example:8443/CR/Out/x",
                                   "https://kernel.example:99999999/CR/Out/x",
                                   "https://user@kernel.example:8443/CR/Out/x",
                                   "https://kernel.example:8443",
                                   "file:///CR/Out/x",
                                   "://x",
                                   "/CR/Outx",
                                   "/CR/Out%2Fx"}) {
        INFO(href);
        const auto result = parse(document(response(href, "")));
        CHECK(result.problem.empty());
        CHECK(result.entries.empty());
        CHECK(result.foreign == 1);
    }
}

TEST_CASE("the root of a server, default ports and IPv6", "[dav_listing]") {
    const Origin plain{.scheme = "http", .host = "::1", .port = 80};
    REQUIRE(relate("/x", plain, ""));
    CHECK(relate("/x", plain, "")->name == "x");
    CHECK(relate("/", plain, "")->self);
    CHECK(relate("/", plain, "/")->self);
    CHECK(relate("http://[::1]/x", plain, "")->name == "x");
    CHECK(relate("http://[::1]:80/x", plain, "")->name == "x");
    CHECK_FALSE(relate("http://[::1]:81/x", plain, ""));
    CHECK_FALSE(relate("http://[::2]/x", plain, ""));
}

TEST_CASE("properties count only with a status of success", "[dav_listing]") {
    const std::string length = "<D:getcontentlength>5</D:getcontentlength>";
    CHECK(parse(document(response("/CR/Out/x", length))).entries.at(0).sized);
    CHECK_FALSE(parse(document(response("/CR/Out/x", length, "HTTP/1.1 404 Not Found"))).entries.at(0).sized);
    CHECK(parse(document("<D:response><D:href>/CR/Out/x</D:href><D:status>HTTP/1.1 404 Gone</D:status></D:response>"))
              .entries.empty());
    for (const std::string bad : {"-1", "+5", "5x", "", "99999999999999999999999", "0x5", "5 5"}) {
        INFO(bad);
        CHECK_FALSE(parse(document(response("/CR/Out/x", "<D:getcontentlength>" + bad + "</D:getcontentlength>")))
                        .entries.at(0)
                        .sized);
    }
}

TEST_CASE("without an ETag the version is made of time and size", "[dav_listing]") {
    const auto version = [](const std::string& properties) {
        return parse(document(response("/CR/Out/x", properties))).entries.at(0).item.version;
    };
    const std::string time = "<D:getlastmodified>Mon, 23 Nov 2026 04:38:31 GMT</D:getlastmodified>";
    CHECK(version("<D:getetag>\"e\"</D:getetag>" + time) == "\"e\"");
    CHECK(version(time + "<D:getcontentlength>1</D:getcontentlength>") !=
          version(time + "<D:getcontentlength>2</D:getcontentlength>"));
    CHECK(version("<D:getcontentlength>1</D:getcontentlength>").empty());
    CHECK_FALSE(parse(document(response("/CR/Out/x", "<D:getlastmodified>never</D:getlastmodified>")))
                    .entries.at(0)
                    .item.modified);
}

TEST_CASE("names of elements count only in their namespace and place", "[dav_listing]") {
    CHECK(
        parse("<multistatus xmlns=\"DAV:\"><response><href>/CR/Out/x</href></response></multistatus>").entries.size() ==
        1);
    CHECK_FALSE(parse("<multistatus><response><href>/CR/Out/x</href></response></multistatus>").problem.empty());
    CHECK_FALSE(parse("<m xmlns=\"DAV:\"/>").problem.empty());
    // An href of a lock, and a size that an owner wrote, are not the entry's.
    const auto result = parse(document(response(
        "/CR/Out/x",
        "<D:lockdiscovery><D:href>/CR/Out/y</D:href><D:getcontentlength>9</D:getcontentlength></D:lockdiscovery>"
        "<x:getcontentlength xmlns:x=\"other\">8</x:getcontentlength><D:resourcetype><D:other/></D:resourcetype>")));
    REQUIRE(result.entries.size() == 1);
    CHECK(result.entries[0].item.name == "x");
    CHECK_FALSE(result.entries[0].sized);
    CHECK(result.entries[0].item.kind == ItemKind::file);
    // Properties of one entry do not reach the next.
    const auto two = parse(
        document(response("/CR/Out/a", "<D:resourcetype><D:collection/></D:resourcetype><D:getetag>e</D:getetag>") +
                 response("/CR/Out/b", "<D:resourcetype/>")));
    REQUIRE(two.entries.size() == 2);
    CHECK(two.entries[1].item.kind == ItemKind::file);
    CHECK(two.entries[1].item.version.empty());
}

TEST_CASE("documents that are not whole, or attacks, are a problem", "[dav_listing]") {
    const auto big = std::string(1'000'000, 'x');
    std::string deep;
    for (int i = 0; i < 100; ++i) deep += "<a>";
    for (const std::string& text :
         std::vector<std::string>{"",
                                  " ",
                                  "x",
                                  "<",
                                  "<html><body/></html>",
                                  "<D:multistatus xmlns:D=\"DAV:\">",
                                  "<D:multistatus/>",
                                  document("") + "x",
                                  document("<D:response>"),
                                  document("\x01"),
                                  document("\xff"),
                                  document("&undefined;"),
                                  document("&#0;"),
                                  "<!DOCTYPE a><D:multistatus xmlns:D=\"DAV:\"/>",
                                  "<!DOCTYPE a [<!ENTITY b \"c\">]><D:multistatus xmlns:D=\"DAV:\">&b;</D:multistatus>",
                                  "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><D:multistatus xmlns:D=\"DAV:\"/>",
                                  document(deep),
                                  document("<D:response><D:href>" + big + "</D:href></D:response>"),
                                  "<D:multistatus xmlns:D=\"DAV:\"><a b=\"" + big,
                                  "<D:multistatus xmlns:D=\"DAV:\"><!--" + big,
                                  "<" + big,
                                  document("<D:response><D:propstat><D:prop><D:getetag>" + big)}) {
        for (const std::size_t piece : {1'000'000UL, 1000UL}) {
            INFO(text.substr(0, 80));
            const auto result = parse(text, piece);
            CHECK_FALSE(result.problem.empty());
            CHECK(result.problem.size() < 200);
        }
    }
}

TEST_CASE("what would take memory is ended while it comes", "[dav_listing]") {
    std::string deep = "<D:multistatus xmlns:D=\"DAV:\">";
    for (int i = 0; i < 31; ++i) deep += "<a>";
    std::string close;
    for (int i = 0; i < 31; ++i) close += "</a>";
    CHECK(parse(deep + close + "</D:multistatus>").problem.empty());
    CHECK(parse(deep + "<a></a>" + close + "</D:multistatus>").problem.find("too deep") != std::string::npos);

    const std::string big(300'000, 'x');
    for (const std::string start : {"<", "<a b=\"", "<!--", "<?pi "}) {
        INFO(start);
        CHECK(parse("<D:multistatus xmlns:D=\"DAV:\">" + start + big, 4096).problem.find("too long") !=
              std::string::npos);
    }
    CHECK(parse(document("<D:response><D:href>" + big), 4096).problem.find("too long") != std::string::npos);
}

TEST_CASE("a large text outside of what is asked for is passed over", "[dav_listing]") {
    const auto result = parse(document("<x>" + std::string(1'000'000, 'y') + "</x>" + response("/CR/Out/x", "")), 4096);
    CHECK(result.problem.empty());
    CHECK(result.entries.size() == 1);
}

TEST_CASE("a listing ends when no more is wanted", "[dav_listing]") {
    int seen = 0;
    Listing listing(origin, "/CR/Out", [&](const ListingEntry&) { return ++seen < 2; });
    std::string text = "<D:multistatus xmlns:D=\"DAV:\">";
    for (int i = 0; i < 10; ++i) text += response("/CR/Out/" + std::to_string(i), "");
    CHECK_FALSE(listing.feed(text));
    CHECK(seen == 2);
    CHECK_FALSE(listing.feed("<not even xml"));
    CHECK(listing.problem().empty());
}

TEST_CASE("what the caller throws comes through", "[dav_listing]") {
    struct Ours {};
    Listing listing(origin, "/CR/Out", [](const ListingEntry&) -> bool { throw Ours(); });
    CHECK_THROWS_AS(listing.feed(document(response("/CR/Out/x", ""))), Ours);
}
