// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/pace.hpp"

#include <catch2/catch.hpp>

using namespace ums;
using transport::Pace;
using namespace std::chrono_literals;

namespace {

struct World {
    clock::ManualClock clock{clock::Instant(std::chrono::seconds(1'800'000'000))};
    void work(Pace& pace, std::chrono::milliseconds time, std::size_t messages) {
        pace.begin();
        clock.sleep(time);
        pace.end(messages);
    }
};

}  // namespace

TEST_CASE("batches grow while they are quick and full, and shrink when they are slow", "[pace]") {
    World world;
    Pace pace(world.clock);
    CHECK(pace.batch() == Pace::first);
    world.work(pace, 100ms, Pace::first);
    CHECK(pace.batch() == 2 * Pace::first);
    world.work(pace, 100ms, 3);  // not full
    CHECK(pace.batch() == 2 * Pace::first);
    world.work(pace, 500ms, pace.batch());  // as it should be
    CHECK(pace.batch() == 2 * Pace::first);
    for (int i = 0; i < 10; ++i) world.work(pace, 1ms, pace.batch());
    CHECK(pace.batch() == Pace::most);
    world.work(pace, 1001ms, 2);
    CHECK(pace.batch() == Pace::most / 2);
    for (int i = 0; i < 10; ++i) world.work(pace, 30s, 1);
    CHECK(pace.batch() == Pace::least);
    CHECK(pace.pause() == 0ms);
}

TEST_CASE("no more than so many messages a second", "[pace]") {
    World world;
    Pace pace(world.clock, 10);
    CHECK(pace.batch() == 10);
    CHECK(pace.pause() == 0ms);
    world.work(pace, 100ms, 10);
    CHECK(pace.pause() == 900ms);
    world.clock.sleep(900ms);
    CHECK(pace.pause() == 0ms);
    world.work(pace, 3s, 10);
    CHECK(pace.pause() == 0ms);
    // A pause is not saved up.
    world.clock.sleep(1h);
    world.work(pace, 0ms, 10);
    CHECK(pace.pause() == 1s);
}

TEST_CASE("less than one message a second", "[pace]") {
    World world;
    Pace pace(world.clock, 0.25);
    CHECK(pace.batch() == 1);
    world.work(pace, 0ms, 1);
    CHECK(pace.pause() == 4s);
}

TEST_CASE("a limit above what a batch takes leaves the batch alone", "[pace]") {
    World world;
    Pace pace(world.clock, 100'000);
    CHECK(pace.batch() == Pace::first);
    world.work(pace, 0ms, 32);
    CHECK(pace.batch() == 2 * Pace::first);
    CHECK(pace.pause() == 1ms);
}
