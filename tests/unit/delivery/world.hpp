// SPDX-License-Identifier: GPL-3.0-or-later
//
// A spool with messages for a kernel, its store, and one who delivers them: what the tests of delivery begin with.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "delivery/courier.hpp"
#include "fake_store.hpp"
#include "temporary_directory.hpp"

namespace ums::test {

using delivery::Courier;
using delivery::Destination;
using delivery::Outcome;
using spool::Entry;
using spool::EntryName;
using spool::Queue;
using spool::State;

inline const clock::Instant start_time{std::chrono::seconds(1'800'000'000)};

inline Destination destination(const std::string& kernel = "munich-1") {
    Destination d;
    d.name = kernel;
    d.queue = Queue::kernel(kernel);
    d.stage = ".BER1";
    d.extension = ".tmp";
    d.directory = [](const EntryName& name) -> std::optional<std::string> {
        if (name.get('c').empty()) return std::nullopt;
        return "R_" + std::string(name.get('c')) + "/Out";
    };
    d.edits = [](const EntryName& name) { return name.number('d') > 0; };
    d.edit = [](const EntryName&, const message::HeaderBlock&) {
        message::Edit edit;
        edit.fields.emplace_back("X-UMS-Possible-Duplicate", "yes");
        return edit;
    };
    return d;
}

struct World {
    test::TemporaryDirectory directory;
    io::QuickDisk real;
    FaultyDisk disk{real};
    clock::ManualClock clock{start_time};
    FakeStore store;
    std::vector<std::string> contents;
    std::size_t batches = 2;  ///< so that one ends while the other begins

    explicit World(unsigned messages) {
        spool::Spool spool(real, clock, directory.path() + "/spool", "BER1");
        for (unsigned i = 0; i < messages; ++i) {
            contents.push_back("RCPT TO:fax#+49 " + std::to_string(i) + "\r\n\r\nbody " + std::to_string(i) + "\r\n");
            put(spool, contents.back());
        }
    }
    EntryName put(spool::Spool& spool, const std::string& content, const std::string& connector = "ExConn",
                  const std::string& kernel = "munich-1") {
        auto name = EntryName::make(clock.now(), "BER1");
        if (!connector.empty()) name = name.with('c', connector);
        std::vector<spool::Draft> one;
        one.push_back(spool.draft(Queue::outgoing(), name));
        one.front().write(content);
        spool.accept(one);
        REQUIRE(spool.move({Queue::outgoing(), State::fresh, name}, {Queue::kernel(kernel), State::fresh, name}));
        return name;
    }
    /// Works the queue of `to`, if the target can be used.
    void work(const Destination& to, const std::function<void(Courier&, spool::Spool&)>& what) {
        spool::Spool spool(disk, clock, directory.path() + "/spool", "BER1");
        const auto worker = spool.work(to.queue);
        REQUIRE(worker);
        Courier courier(spool, *worker, store, to, clock);
        if (courier.prepare().done()) what(courier, spool);
    }
    /// One run of a pusher, as ums-push does it.
    void run(std::vector<delivery::Report>* all = nullptr, const std::string& kernel = "munich-1") {
        work(destination(kernel), [&](Courier& courier, spool::Spool& spool) {
            const auto keep = [&](std::vector<delivery::Report> reports) {
                if (all != nullptr) all->insert(all->end(), reports.begin(), reports.end());
            };
            keep(courier.settle());
            if (courier.target_fault()) return;
            const auto due = spool.due(Queue::kernel(kernel));
            const auto first = (due.size() + batches - 1) / batches;
            try {
                for (const auto batch : {std::span(due).first(first), std::span(due).subspan(first)}) {
                    if (!batch.empty()) keep(courier.deliver(batch));
                    if (courier.target_fault()) break;
                }
            } catch (const Error&) {
                keep(courier.finish());
                throw;
            }
            keep(courier.finish());
            if (courier.target_fault()) return;
            courier.clean();
        });
    }
    std::size_t in(const Queue& queue, State state) {
        spool::Spool spool(real, clock, directory.path() + "/spool", "BER1");
        return spool.list(queue, state).size();
    }
    std::size_t left() {
        spool::Spool spool(real, clock, directory.path() + "/spool", "BER1");
        std::size_t count = 0;
        for (const auto& kernel : spool.queues(Queue::Kind::kernel)) {
            for (const State state : {State::fresh, State::sending, State::publishing, State::hold}) {
                count += spool.list(kernel, state).size();
            }
        }
        return count + spool.list(Queue::failed(), State::fresh).size();
    }
    /// Runs without faults until nothing is left.
    void recover() {
        disk.plan(FaultyDisk::Fault::none, 0);
        store.plan(FakeStore::Fault::none, 0);
        for (int i = 0; i < 6 && left() > 0; ++i) {
            clock.sleep(std::chrono::hours(1));
            run();
        }
        store.deliver_late();
        run();
        run();
    }
    void check_arrived_once() {
        REQUIRE(left() == 0);
        for (const auto& content : contents) {
            INFO(content);
            REQUIRE(store.arrivals[content] == 1);
        }
        REQUIRE(store.arrivals.size() == contents.size());
        check_stage_is_clean();
    }
    void check_stage_is_clean() {
        std::set<std::string> stage;
        for (const auto& [path, content] : store.files) {
            if (path.starts_with(".BER1/")) stage.insert(path);
        }
        REQUIRE(stage == std::set<std::string>{".BER1/owner"});
    }
};

}  // namespace ums::test
