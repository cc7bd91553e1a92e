// SPDX-License-Identifier: GPL-3.0-or-later
#include "health/alarms.hpp"

#include <catch2/catch.hpp>

using namespace ums;
using namespace ums::health;
using namespace std::chrono_literals;

namespace {

const clock::Instant noon = *clock::parse("2026-11-23T12:00:00Z");
const Condition down{"kernel/k1", "down", "up", 0, "connection refused"};
const Condition stuck{"kernel/k1", "stuck", "up", 0, "stuck: 3 files"};
const Condition full{"spool", "full", "room", 0, "no space"};

Condition delay(unsigned degree) { return {"kernel/k1/new", "delay", "moving", degree, "3 messages wait"}; }

// What is due, in words; all of it is told.
std::string told(Alarms& alarms, clock::Instant now) {
    std::string words;
    for (auto* event : alarms.due(now)) {
        words += (words.empty() ? "" : ", ") + event->subject + " " + event->what;
        event->command_done = event->mail_done = true;
    }
    CHECK(alarms.forget(true, true, now) == 0);
    return words;
}

std::string after(Alarms& alarms, const std::vector<Condition>& conditions, clock::Instant now) {
    alarms.update(conditions, now);
    // Whatever stands in the file is all that is known.
    alarms = Alarms::parse(alarms.to_text());
    return told(alarms, now);
}

}  // namespace

TEST_CASE("each change is told once, however often somebody looks", "[alarms]") {
    Alarms alarms;
    CHECK(after(alarms, {}, noon).empty());
    CHECK(after(alarms, {down}, noon + 1s) == "kernel/k1 down");
    CHECK(after(alarms, {down}, noon + 2s).empty());
    CHECK(after(alarms, {down, full}, noon + 3s) == "spool full");
    CHECK(after(alarms, {stuck, full}, noon + 4s) == "kernel/k1 stuck");
    CHECK(after(alarms, {full}, noon + 5s) == "kernel/k1 up");
    CHECK(after(alarms, {full}, noon + 6s).empty());
    CHECK(after(alarms, {}, noon + 7s) == "spool room");
    CHECK(after(alarms, {down}, noon + 8s) == "kernel/k1 down");
}

TEST_CASE("what gets worse is told again, what gets better is not", "[alarms]") {
    Alarms alarms;
    CHECK(after(alarms, {delay(1)}, noon) == "kernel/k1/new delay");
    CHECK(after(alarms, {delay(1)}, noon).empty());
    CHECK(after(alarms, {delay(3)}, noon) == "kernel/k1/new delay");
    CHECK(after(alarms, {delay(2)}, noon).empty());
    CHECK(after(alarms, {delay(3)}, noon).empty());
    CHECK(after(alarms, {}, noon) == "kernel/k1/new moving");
}

TEST_CASE("what could not be told is told later, for a day", "[alarms]") {
    Alarms alarms;
    alarms.update({down}, noon);
    auto now = noon;
    for (const auto pause : {1min, 2min, 4min, 8min, 16min, 32min, 60min, 60min}) {
        INFO(pause.count() << " minutes");
        auto due = alarms.due(now);
        REQUIRE(due.size() == 1);
        due[0]->mail_done = true;  // the command is still missing
        Alarms::later(*due[0], now);
        CHECK(alarms.forget(true, true, now) == 0);
        alarms = Alarms::parse(alarms.to_text());
        CHECK(alarms.due(now + pause - 1s).empty());
        now += pause;
    }
    REQUIRE(alarms.due(now).size() == 1);
    CHECK(alarms.due(now)[0]->mail_done);
    CHECK_FALSE(alarms.due(now)[0]->command_done);
    // The clock was set back by years: it does not wait for years.
    CHECK(alarms.due(noon - 10000h).size() == 1);
    CHECK(alarms.forget(true, true, noon + 24h - 1s) == 0);
    CHECK(alarms.forget(true, true, noon + 24h) == 1);
    CHECK(alarms.due(noon + 25h).empty());
}

TEST_CASE("only what is configured must be done", "[alarms]") {
    for (const bool command : {true, false}) {
        Alarms alarms;
        alarms.update({down}, noon);
        auto* event = alarms.due(noon).front();
        (command ? event->command_done : event->mail_done) = true;
        CHECK(alarms.forget(!command, command, noon) == 0);
        CHECK(alarms.due(noon).size() == 1);
        CHECK(alarms.forget(command, !command, noon) == 0);
        CHECK(alarms.due(noon).empty());
    }
}

TEST_CASE("a flood is cut off, and that is said", "[alarms]") {
    Alarms alarms;
    std::size_t count = 0;
    std::string last;
    for (int i = 0; i < 100; ++i) {
        const auto words = after(alarms, i % 2 == 0 ? std::vector{down} : std::vector<Condition>{}, noon + i * 1s);
        if (words.empty()) continue;
        ++count;
        last = words;
    }
    CHECK(count == Alarms::most_an_hour + 1);
    CHECK(last == "ums more");
    // An hour later it goes on, from how things are: up was not told.
    CHECK(after(alarms, {down}, noon + 1h) == "kernel/k1 down");
    CHECK(after(alarms, {}, noon + 2h) == "kernel/k1 up");
}

TEST_CASE("a file that cannot be understood is none", "[alarms]") {
    for (const char* text : {"", "x", "event\t", "known\ta\tb\tc\tx\ty", "hour\tx\ty",
                             "event\tdown\tkernel/k1\tnever\t0\tnever\t--\ttext"}) {
        auto alarms = Alarms::parse(text);
        CHECK(alarms.due(noon).empty());
        CHECK(after(alarms, {down}, noon) == "kernel/k1 down");
    }
    Alarms alarms;
    alarms.update({{"kernel/a\tb", "down", "up", 0, "line\nline\ttab \\ \x01"}}, noon);
    alarms = Alarms::parse(alarms.to_text());
    REQUIRE(alarms.due(noon).size() == 1);
    CHECK(alarms.due(noon)[0]->subject == "kernel/a\tb");
    CHECK(alarms.due(noon)[0]->text == "line\nline\ttab \\ \x01");
}
