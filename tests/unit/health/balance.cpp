// SPDX-License-Identifier: GPL-3.0-or-later
#include "health/balance.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "random_text.hpp"

using namespace ums;
using config::Balance;
using config::Balancing;
using health::Candidate;
using health::Memory;

namespace {

std::vector<Candidate> up(const std::vector<std::string>& names) {
    std::vector<Candidate> all;
    for (const auto& name : names) all.push_back({name, 0, 0, 1});
    return all;
}

Balance rotate(unsigned n, unsigned batch = 1, unsigned min_active = 1) {
    Balance balance;
    balance.rotate = n;
    balance.batch = batch;
    balance.min_active = min_active;
    return balance;
}

Balance weights(std::map<std::string, unsigned> of) {
    Balance balance;
    balance.method = Balancing::weights;
    balance.weights = std::move(of);
    return balance;
}

Balance of(Balancing method) {
    Balance balance;
    balance.method = method;
    return balance;
}

// The first choices of so many messages, a letter each.
std::string firsts(const Balance& balance, const std::vector<Candidate>& candidates, int messages, Memory& memory) {
    std::string all;
    for (int i = 0; i < messages; ++i) all += order(balance, candidates, "", memory).front();
    return all;
}
std::string firsts(const Balance& balance, const std::vector<Candidate>& candidates, int messages) {
    Memory memory;
    return firsts(balance, candidates, messages, memory);
}

}  // namespace

TEST_CASE("rotate: 1 is the first as long as it is there", "[balance]") {
    REQUIRE(firsts(rotate(1), up({"a", "b", "c"}), 6) == "aaaaaa");
    REQUIRE(firsts(rotate(1), up({"b", "c"}), 6) == "bbbbbb");
    REQUIRE(firsts(rotate(1, 10), up({"a", "b"}), 25) == std::string(25, 'a'));
}

TEST_CASE("rotate: N takes turns over the first N, with batches", "[balance]") {
    REQUIRE(firsts(rotate(2), up({"a", "b", "c"}), 6) == "ababab");
    REQUIRE(firsts(rotate(3), up({"a", "b", "c"}), 7) == "abcabca");
    REQUIRE(firsts(rotate(9), up({"a", "b", "c"}), 7) == "abcabca");
    REQUIRE(firsts(rotate(2, 3), up({"a", "b", "c"}), 13) == "aaabbbaaabbba");
    REQUIRE(firsts(rotate(2, 0), up({"a", "b"}), 4) == "abab");
    REQUIRE(firsts(rotate(0), up({"a", "b"}), 4) == "aaaa");
}

TEST_CASE("behind the one whose turn it is stand the others, those that rotate first", "[balance]") {
    Memory memory;
    const auto candidates = up({"a", "b", "c", "d"});
    const auto next = [&] { return order(rotate(3), candidates, "", memory); };
    REQUIRE(next() == std::vector<std::string>{"a", "b", "c", "d"});
    REQUIRE(next() == std::vector<std::string>{"b", "c", "a", "d"});
    REQUIRE(next() == std::vector<std::string>{"c", "a", "b", "d"});
    REQUIRE(memory.count == 3);
}

TEST_CASE("min-active brings standbys in", "[balance]") {
    auto candidates = up({"a", "b", "c"});
    REQUIRE(firsts(rotate(1, 1, 2), candidates, 4) == "abab");
    REQUIRE(firsts(rotate(1, 1, 9), candidates, 6) == "abcabc");
    candidates[0].rank = 1;
    REQUIRE(firsts(rotate(2), candidates, 4) == "bbbb");
    REQUIRE(firsts(rotate(2, 1, 2), candidates, 4) == "bcbc");
}

TEST_CASE("a better rank always comes first", "[balance]") {
    std::vector<Candidate> candidates{{"a", 2, 0, 1}, {"b", 1, 0, 1}, {"c", 0, 9, 1}, {"d", 1, 0, 1}, {"e", 0, 9, 1}};
    for (const auto& balance :
         {rotate(1), rotate(5), weights({{"a", 100}}), of(Balancing::least_pending), of(Balancing::hash_sender)}) {
        Memory memory;
        for (int i = 0; i < 10; ++i) {
            const auto names = order(balance, candidates, std::to_string(i), memory);
            REQUIRE((names[0] + names[1] == "ce" || names[0] + names[1] == "ec"));
            REQUIRE(names[2] + names[3] + names[4] == "bda");
        }
    }
}

TEST_CASE("weights are kept exactly, and smoothly", "[balance]") {
    const auto hundred = firsts(weights({{"a", 3}, {"b", 1}}), up({"a", "b"}), 100);
    REQUIRE(std::count(hundred.begin(), hundred.end(), 'a') == 75);
    REQUIRE(hundred.find("bb") == std::string::npos);
    REQUIRE(hundred.find("aaaa") == std::string::npos);
    REQUIRE(firsts(weights({{"a", 5}, {"b", 1}, {"c", 1}}), up({"a", "b", "c"}), 7) == "aabacaa");  // as nginx does
    const auto equal = firsts(weights({}), up({"a", "b", "c", "d"}), 100);
    for (const char c : std::string("abcd")) REQUIRE(std::count(equal.begin(), equal.end(), c) == 25);
    const auto mixed = firsts(weights({{"a", 7}, {"b", 2}, {"c", 1}}), up({"c", "b", "a"}), 100);
    REQUIRE(std::count(mixed.begin(), mixed.end(), 'a') == 70);
    REQUIRE(std::count(mixed.begin(), mixed.end(), 'b') == 20);
}

TEST_CASE("weight 0 stands by: only when the others cannot", "[balance]") {
    const auto balance = weights({{"a", 3}, {"b", 1}, {"s", 0}});
    const auto all = firsts(balance, up({"s", "a", "b"}), 100);
    REQUIRE(std::count(all.begin(), all.end(), 's') == 0);
    Memory memory;
    REQUIRE(order(balance, up({"s", "a", "b"}), "", memory).back() == "s");
    REQUIRE(firsts(balance, up({"s"}), 3) == "sss");
    REQUIRE(firsts(weights({{"a", 0}, {"b", 0}}), up({"a", "b"}), 3) == "aaa");
}

TEST_CASE("a standby stays one while others come and go", "[balance]") {
    const auto balance = weights({{"a", 1}, {"b", 3}, {"s", 0}});
    test::RandomText random(17);
    Memory memory;
    for (int i = 0; i < 2000; ++i) {
        auto candidates = up({"s"});
        if (random.below(2) == 0) candidates.push_back({"a", 0, 0, 1});
        if (random.below(2) == 0) candidates.push_back({"b", 0, 0, 1});
        const auto names = order(balance, candidates, "", memory);
        if (candidates.size() > 1) REQUIRE(names.front() != "s");
    }
}

TEST_CASE("a kernel that was away neither catches up nor falls behind for long", "[balance]") {
    const auto balance = weights({{"a", 3}, {"b", 1}});
    Memory memory;
    for (int away = 0; away < 7; ++away) {
        firsts(balance, up({"a", "b"}), away, memory);
        REQUIRE(firsts(balance, up({"a"}), 50, memory) == std::string(50, 'a'));
        const auto after = firsts(balance, up({"a", "b"}), 40, memory);
        const auto count = std::count(after.begin(), after.end(), 'b');
        REQUIRE(count >= 9);
        REQUIRE(count <= 11);
        for (const auto& [kernel, credit] : memory.credit) REQUIRE(std::abs(credit) <= 4);
    }
}

TEST_CASE("least-pending: the fewest per channel, the first of equals", "[balance]") {
    const auto first = [](std::vector<Candidate> candidates) {
        Memory memory;
        std::string all;
        for (const auto& name : order(of(Balancing::least_pending), candidates, "", memory)) all += name;
        return all;
    };
    REQUIRE(first({{"a", 0, 5, 1}, {"b", 0, 4, 1}, {"c", 0, 6, 1}}) == "bac");
    REQUIRE(first({{"a", 0, 5, 1}, {"b", 0, 50, 30}, {"c", 0, 6, 1}}) == "bac");
    REQUIRE(first({{"a", 0, 29, 30}, {"b", 0, 1, 1}}) == "ab");
    REQUIRE(first({{"a", 0, 31, 30}, {"b", 0, 1, 1}}) == "ba");
    REQUIRE(first({{"a", 0, 30, 30}, {"b", 0, 1, 1}, {"c", 0, 2, 2}}) == "abc");
    REQUIRE(first({{"a", 0, 1, 0}, {"b", 0, 0, 0}}) == "ba");
    REQUIRE(first({{"a", 0, 1'000'000'000, 1000}, {"b", 0, 1'000'000'001, 1000}}) == "ab");
}

TEST_CASE("hash: the same key to the same kernel, and a lost kernel moves only its own", "[balance]") {
    const auto four = up({"k1", "k2", "k3", "k4"});
    for (const auto method : {Balancing::hash_sender, Balancing::hash_recipient}) {
        Memory memory;
        std::map<std::string, int> shares;
        for (int i = 0; i < 2000; ++i) {
            const std::string key = "sender" + std::to_string(i) + "@example.com";
            const auto names = order(of(method), four, key, memory);
            Memory fresh;
            REQUIRE(order(of(method), {four[3], four[1], four[0], four[2]}, key, fresh) == names);
            ++shares[names.front()];
            for (std::size_t lost = 0; lost < 4; ++lost) {
                auto three = four;
                three.erase(three.begin() + static_cast<long>(lost));
                auto expected = names;
                std::erase(expected, four[lost].kernel);
                REQUIRE(order(of(method), three, key, fresh) == expected);
            }
        }
        for (const auto& [kernel, share] : shares) {
            INFO(kernel);
            REQUIRE(share > 400);
            REQUIRE(share < 600);
        }
    }
}

TEST_CASE("every method yields every candidate once, always", "[balance][property]") {
    test::RandomText random(19);
    for (const auto method : {Balancing::rotate, Balancing::weights, Balancing::least_pending, Balancing::hash_sender,
                              Balancing::hash_recipient}) {
        Memory memory;
        for (int i = 0; i < 500; ++i) {
            Balance balance = of(method);
            balance.rotate = static_cast<unsigned>(random.below(6));
            balance.batch = static_cast<unsigned>(random.below(4));
            balance.min_active = static_cast<unsigned>(random.below(6));
            std::vector<Candidate> candidates;
            std::vector<std::string> expected;
            for (std::size_t k = random.below(6); k > 0; --k) {
                candidates.push_back({"k" + std::to_string(k), static_cast<int>(random.below(3)), random.below(100),
                                      static_cast<unsigned>(random.below(3))});
                expected.push_back(candidates.back().kernel);
                balance.weights[candidates.back().kernel] = static_cast<unsigned>(random.below(4));
            }
            auto names = order(balance, candidates, random.bytes(4), memory);
            if (!names.empty()) {
                const auto best = std::min_element(candidates.begin(), candidates.end(), [](auto& a, auto& b) {
                                      return a.rank < b.rank;
                                  })->rank;
                const auto chosen =
                    std::find_if(candidates.begin(), candidates.end(), [&](auto& c) { return c.kernel == names[0]; });
                REQUIRE(chosen->rank == best);
            }
            std::sort(names.begin(), names.end());
            std::sort(expected.begin(), expected.end());
            REQUIRE(names == expected);
            REQUIRE(memory.count == static_cast<unsigned long long>(i) + 1);
            memory = health::parse_memory(to_text(memory));
        }
    }
}

TEST_CASE("what balancing remembers survives in a file", "[balance]") {
    Memory memory;
    memory.count = 123;
    memory.credit = {{"munich-1", -7}, {"k.2", 5}, {"z", 0}};
    const auto again = health::parse_memory(to_text(memory));
    REQUIRE(again.count == 123);
    REQUIRE(again.credit == memory.credit);
    REQUIRE(to_text(memory) == "count=123\ncredit.k.2=5\ncredit.munich-1=-7\ncredit.z=0\n");

    const auto balance = weights({{"a", 3}, {"b", 1}});
    Memory through;
    std::string all;
    for (int i = 0; i < 100; ++i) {
        all += firsts(balance, up({"a", "b"}), 1, through);
        through = health::parse_memory(to_text(through));
    }
    REQUIRE(all == firsts(balance, up({"a", "b"}), 100));
}

TEST_CASE("a memory that makes no sense is none", "[balance]") {
    for (const char* text : {"", "\n\n", "count", "count=", "count=x", "count=-", "count=--1",
                             "count=99999999999999999999", "=5", "credit.=", "credit=5", "count=-5"}) {
        const auto memory = health::parse_memory(text);
        INFO(text);
        REQUIRE(memory.count == 0);
        REQUIRE(memory.credit.empty());
    }
    REQUIRE(health::parse_memory("credit.a=99999999999999999\ncredit.b=-99999999999999999").credit.empty());
}
