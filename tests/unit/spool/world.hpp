// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>

#include "forwarding_disk.hpp"
#include "spool/spool.hpp"
#include "temporary_directory.hpp"

namespace ums::test {

inline const clock::Instant start_time{std::chrono::seconds(1'800'000'000)};

/// A place for a spool, and what puts messages there.
struct Place {
    TemporaryDirectory directory;
    io::QuickDisk real;
    clock::ManualClock clock{start_time};
    std::string root = directory.path() + "/spool";

    spool::Spool open(io::Disk& disk, spool::Opening opening = spool::Opening::create) {
        return {disk, clock, root, "BER1", spool::NetworkFileSystem::refuse, opening};
    }
    spool::Spool open() { return open(real); }

    /// A message in new/ of `queue`, which arrived a second after the one before.
    spool::Entry put(spool::Spool& spool, const spool::Queue& queue, const std::string& attributes = "",
                     const std::string& content = "RCPT TO:1\r\n\r\nbody\r\n") {
        clock.sleep(std::chrono::seconds(1));
        const auto id = spool::EntryName::make(clock.now(), "BER1").text();
        std::array<spool::Draft, 1> draft{
            spool.draft(spool::Queue::outgoing(), spool::EntryName::parse(id + attributes).value())};
        draft[0].write(content);
        const auto name = draft[0].name();
        spool.accept(draft);
        const spool::Entry entry{queue, spool::State::fresh, name};
        if (queue != spool::Queue::outgoing()) spool.move({spool::Queue::outgoing(), spool::State::fresh, name}, entry);
        return entry;
    }
    std::set<std::string> names(const std::string& relative) const { return names_in(root + "/" + relative); }
};

}  // namespace ums::test
