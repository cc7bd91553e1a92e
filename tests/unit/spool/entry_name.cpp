// SPDX-License-Identifier: GPL-3.0-or-later
#include "spool/entry_name.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "error/error.hpp"
#include "random_text.hpp"

using namespace ums;
using spool::EntryName;

namespace {

const clock::Instant start_time{std::chrono::microseconds(1'795'406'406'123'456)};
constexpr const char* plain = "1795406406123456.k2j4x7ab.BER1";

EntryName name_of(std::string_view text) {
    const auto name = EntryName::parse(text);
    INFO(text);
    REQUIRE(name);
    return *name;
}

}  // namespace

TEST_CASE("a new name has the time, eight random characters and the MDS id", "[spool][name]") {
    const auto name = EntryName::make(start_time, "BER1");
    REQUIRE(name.text().size() == 16 + 1 + 8 + 1 + 4);
    REQUIRE(name.text().starts_with("1795406406123456."));
    REQUIRE(name.text().ends_with(".BER1"));
    REQUIRE(name.id() == name.text());
    REQUIRE(name.mds_id() == "BER1");
    REQUIRE(name.arrival() == start_time);
    REQUIRE(name.parent_id().empty());
    REQUIRE(name_of(name.text()) == name);
}

TEST_CASE("names made at the same microsecond differ", "[spool][name]") {
    std::set<std::string> seen;
    for (int i = 0; i < 2000; ++i) seen.insert(EntryName::make(start_time, "A").text());
    REQUIRE(seen.size() == 2000);
}

TEST_CASE("a clock out of its range still makes names of sixteen digits", "[spool][name]") {
    using std::chrono::microseconds;
    REQUIRE(EntryName::make(clock::Instant(microseconds(-5)), "A").text().starts_with("0000000000000000."));
    REQUIRE(EntryName::make(clock::Instant(microseconds(7)), "A").text().starts_with("0000000000000007."));
    const auto late = EntryName::make(clock::Instant::max(), "A");
    REQUIRE(late.text().starts_with("9999999999999999."));
    REQUIRE(EntryName::parse(late.text()));
}

TEST_CASE("attributes are read back, and unknown ones are kept", "[spool][name]") {
    const auto name = name_of("1795406406123456.k2j4x7ab.BER1,c=ExConn,s=munich,n=2,Z=x.y-z_9");
    REQUIRE(name.id() == plain);
    REQUIRE(name.get('c') == "ExConn");
    REQUIRE(name.get('s') == "munich");
    REQUIRE(name.number('n') == 2);
    REQUIRE(name.get('Z') == "x.y-z_9");
    REQUIRE(name.get('p').empty());
    REQUIRE(name.number('p') == 0);
    REQUIRE(name.number('s') == 0);
    REQUIRE(name.with('p', 1).get('Z') == "x.y-z_9");
}

TEST_CASE("a key is looked for in keys, not in values", "[spool][name]") {
    const auto name = name_of(std::string(plain) + ",c=s-n,s=c");
    REQUIRE(name.get('s') == "c");
    REQUIRE(name.get('n').empty());
    REQUIRE(name.get('c') == "s-n");
}

TEST_CASE("attributes stand in one order, however they were set", "[spool][name]") {
    std::string keys = "csonptwvdmr";
    const auto expected = std::string(plain) + ",c=1,s=1,o=1,n=1,p=1,t=1,w=1,v=1,d=1,m=1,r=1";
    test::RandomText random(1);
    for (int i = 0; i < 200; ++i) {
        for (std::size_t k = keys.size(); k > 1; --k) std::swap(keys[k - 1], keys[random.below(k)]);
        auto name = name_of(plain);
        for (const char key : keys) name = name.with(key, 1);
        REQUIRE(name.text() == expected);
    }
}

TEST_CASE("an attribute is replaced, and an empty value takes it away", "[spool][name]") {
    const auto name = name_of(plain).with('n', 1).with('s', "munich");
    REQUIRE(name.text() == std::string(plain) + ",s=munich,n=1");
    REQUIRE(name.with('n', 2).text() == std::string(plain) + ",s=munich,n=2");
    REQUIRE(name.with('s', "").text() == std::string(plain) + ",n=1");
    REQUIRE(name.without('s').without('n').text() == plain);
    REQUIRE(name.without('x') == name);
}

TEST_CASE("what a name cannot hold becomes an underscore", "[spool][name]") {
    const auto name = name_of(plain).with('s', "a/b,c=d~e f\n\xc3\xa4");
    REQUIRE(name.get('s') == "a_b_c_d_e_f___");
    REQUIRE(name_of(name.text()) == name);
    const auto nul = name_of(plain).with('s', std::string_view("a\0b", 3));
    REQUIRE(nul.get('s') == "a_b");
}

TEST_CASE("no value makes a name that looks like the reason beside an entry", "[spool][name]") {
    for (const char* value : {".why", "x.why", "munich.why.why"}) {
        const auto name = name_of(plain).with('s', value);
        INFO(name.text());
        REQUIRE(name_of(name.text()) == name);
        REQUIRE(name_of(name.with('n', 1).text()).with('n', "") == name);
        REQUIRE_FALSE(EntryName::parse(name.text() + ".why"));
    }
}

TEST_CASE("what is no entry is none", "[spool][name]") {
    const std::string id = plain;
    for (const std::string& text : {std::string(),
                                    std::string("."),
                                    std::string(".."),
                                    std::string("lock"),
                                    std::string(".") + id,
                                    "-" + id,
                                    " " + id,
                                    id + " ",
                                    id + "\n",
                                    id + ".why",
                                    id + ",c=ExConn.why",
                                    id + ",",
                                    id + ",,c=a",
                                    id + ",c=a,",
                                    id + ",c=",
                                    id + ",c",
                                    id + ",=a",
                                    id + ",cc=a",
                                    id + ",c=a,c=b",
                                    id + ",c=a/b",
                                    id + ",c=a=b",
                                    id + ",c=a~b",
                                    id + ",_=a",
                                    id + ",c=a b",
                                    id + ",c=\xc3\xa4",
                                    id + "/",
                                    id + "~",
                                    id + "~0",
                                    id + "~01",
                                    id + "~a",
                                    id + "~1~",
                                    id + "~~1",
                                    id + "~1234567",
                                    id + "~-1",
                                    id + "~1x",
                                    id + ".tmp",
                                    id + "-x",
                                    id + "TOOLONG",
                                    std::string("1795406406123456.k2j4x7ab."),
                                    std::string("1795406406123456..BER1"),
                                    std::string("1795406406123456.k2j4x7ab"),
                                    std::string("179540640612345.k2j4x7ab.BER1"),
                                    std::string("17954064061234567.k2j4x7ab.BER1"),
                                    std::string("179540640612345x.k2j4x7ab.BER1"),
                                    std::string("+795406406123456.k2j4x7ab.BER1"),
                                    std::string("1795406406123456.k2j4~7ab.BER1"),
                                    std::string("1795406406123456.k2j4x7ab.BER_"),
                                    id + std::string(1, '\0'),
                                    id + std::string(",c=a\0b", 6)}) {
        INFO(text);
        REQUIRE_FALSE(EntryName::parse(text));
    }
}

TEST_CASE("names are at most 250 bytes", "[spool][name]") {
    const std::string start = std::string(plain) + ",c=";
    REQUIRE(EntryName::parse(start + std::string(250 - start.size(), 'x')));
    REQUIRE_FALSE(EntryName::parse(start + std::string(251 - start.size(), 'x')));
    REQUIRE(name_of(plain).with('c', std::string(250 - start.size(), 'x')).text().size() == 250);
    REQUIRE_THROWS_AS(name_of(plain).with('c', std::string(251 - start.size(), 'x')), Error);
    REQUIRE_THROWS_AS(name_of(start + std::string(250 - start.size(), 'x')).child(1), Error);
}

TEST_CASE("the longest names of a configuration fit, with every attribute and a split", "[spool][name]") {
    const std::string longest(32, 'x');
    auto name = name_of("1795406406123456.k2j4x7ab.ABCDEF").child(99);
    for (const char key : {'c', 's', 'o'}) name = name.with(key, longest);
    name = name.with('n', 99).with('p', 1).with('t', 1'795'406'406).with('d', 1).with('w', 1'795'406'406);
    name = name.with('m', 1).with('r', 9).with('v', "k2j4x7ab");
    REQUIRE(name_of(name.text()) == name);
}

TEST_CASE("children know their parents", "[spool][name]") {
    const auto name = name_of(plain).with('c', "ExConn");
    const auto child = name.child(2);
    REQUIRE(child.text() == std::string(plain) + "~2,c=ExConn");
    REQUIRE(child.id() == std::string(plain) + "~2");
    REQUIRE(child.parent_id() == plain);
    REQUIRE(child.mds_id() == "BER1");
    REQUIRE(child.arrival() == start_time);
    const auto grandchild = child.child(10);
    REQUIRE(grandchild.id() == std::string(plain) + "~2~10");
    REQUIRE(grandchild.parent_id() == child.id());
    REQUIRE(grandchild.mds_id() == "BER1");
    REQUIRE(name_of(grandchild.text()) == grandchild);
}

TEST_CASE("lexical order is arrival order", "[spool][name]") {
    test::RandomText random(2);
    std::vector<EntryName> names;
    for (int i = 0; i < 300; ++i) {
        const auto instant = start_time + std::chrono::microseconds(random.below(1'000'000'000));
        auto name = EntryName::make(instant, "BER1");
        if (random.below(2) == 0) name = name.with('p', 1);
        names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    REQUIRE(std::is_sorted(names.begin(), names.end(),
                           [](const auto& a, const auto& b) { return a.arrival() < b.arrival(); }));
}

TEST_CASE("whatever is parsed keeps its text, and whatever is composed is parsed", "[spool][name][property]") {
    test::RandomText random(3);
    const std::vector<std::string_view> pieces{"1795406406123456",
                                               ".",
                                               "k2j4x7ab",
                                               "BER1",
                                               ",",
                                               "=",
                                               "~",
                                               "1",
                                               "c",
                                               "s",
                                               "n",
                                               "why",
                                               ".why",
                                               "-",
                                               "_",
                                               "/",
                                               "\n",
                                               "x",
                                               ",c=a",
                                               ",s=b.why",
                                               "~2"};
    std::size_t parsed = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::string text = random.below(4) == 0 ? "" : plain;
        text += random.of(pieces, 8);
        if (const auto name = EntryName::parse(text)) {
            ++parsed;
            REQUIRE(name->text() == text);
            REQUIRE(std::string_view(text).starts_with(name->id()));
            REQUIRE(name->id().find(',') == std::string_view::npos);
        }
    }
    REQUIRE(parsed > 500);
    for (int i = 0; i < 20'000; ++i) {
        auto name = EntryName::make(start_time + std::chrono::microseconds(i), "BER1");
        if (random.below(3) == 0) name = name.child(static_cast<unsigned>(random.below(99) + 1));
        std::map<char, std::string> set;
        for (std::size_t n = random.below(5); n > 0; --n) {
            const char key = "csonptwdrxyzABC09"[random.below(17)];
            const auto value = random.below(2) == 0 ? random.of(pieces, 2) : random.bytes(12);
            name = name.with(key, value);
            set[key] = value;
        }
        INFO(name.text());
        const auto again = EntryName::parse(name.text());
        REQUIRE(again);
        REQUIRE(*again == name);
        for (const auto& [key, value] : set) {
            REQUIRE(name.get(key).size() == value.size());
            REQUIRE(name.with(key, name.get(key)) == name);
        }
        REQUIRE(name.text().find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._,=~-") ==
                std::string::npos);
    }
}

TEST_CASE("a name has room for every attribute at its longest", "[spool][name]") {
    const std::string long_name(32, 'x');
    auto name = name_of(plain).child(10);
    for (const char key : {'c', 's', 'o'}) name = name.with(key, long_name);
    for (const char key : {'t', 'w', 'e'}) name = name.with(key, 1'795'406'406ULL);
    for (const char key : {'n', 'r', 'q', 'b'}) name = name.with(key, 99ULL);
    for (const char key : {'p', 'd', 'm', 'l', 'k'}) name = name.with(key, 1ULL);
    name = name.with('v', "123456abcdef").with('a', "expired");
    REQUIRE(name.text().size() <= EntryName::longest);
    REQUIRE(EntryName::parse(name.text()));
    // What leaves through another site has come from no kernel, and nobody chose its connector.
    name = name.without('o').without('m').with('h', long_name);
    REQUIRE(name.text().size() <= EntryName::longest);
    REQUIRE(EntryName::parse(name.text()));
}

TEST_CASE("what is decided about anew keeps what was not decided here", "[spool][name]") {
    const std::string id(plain);
    CHECK(undecided(name_of(id + ",c=ExConn,s=a,h=b,n=3,p=1,t=1795406406,r=1")).text() == id + ",c=ExConn,n=3,p=1,r=1");
    CHECK(undecided(name_of(id + ",c=ExConn,s=a,o=k1")).text() == id + ",c=ExConn,o=k1");
    CHECK(undecided(name_of(id + ",c=ExConn,s=a,o=k1,m=1")).text() == id + ",o=k1");
}
