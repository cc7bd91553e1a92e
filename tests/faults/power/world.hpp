// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a loss of power meets: a disk that forgets, kernels that do not, the clock, and what was promised up to now.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "fake_mail_server.hpp"
#include "fake_store.hpp"
#include "mutant_disk.hpp"
#include "power_disk.hpp"
#include "spool/spool.hpp"

namespace ums::test {

inline const clock::Instant start_time{std::chrono::seconds(1'800'000'000)};
inline const std::string spool_root = "/s";

struct World {
    PowerDisk power{PowerDisk::Model::names};
    MutantDisk disk{power};
    clock::ManualClock clock{start_time};
    FakeStore store{disk};
    FakeMailServer mail{disk, 2};

    /// What was promised.
    struct Ledger {
        std::vector<std::string> contents;  ///< of all messages
        std::set<std::string> accepted;     ///< those that somebody was told are safe
        std::string identity;               ///< of the spool, as somebody was told
        std::string version;                ///< of a file that was written, as far as that had returned
    };
    Ledger ledger;

    struct Snapshot {
        PowerDisk::State disk;
        FakeStore::State store;
        std::vector<FakeMailServer::Delivered> mail;
        Ledger ledger;
        clock::Instant now;
    };
    Snapshot snapshot() const { return {power.state(), store.state(), mail.delivered, ledger, clock.now()}; }
    void restore(const Snapshot& from, const PowerDisk::State& survivor) {
        power.restore(survivor);
        disk.reset();
        store.restore(from.store);
        mail.delivered = from.mail;
        ledger = from.ledger;
        clock.set(from.now);
    }

    spool::Spool open() { return {disk, clock, spool_root, "BER1"}; }

    /// Everything that can be seen, in a number.
    std::uint64_t digest() const {
        std::uint64_t sum = PowerDisk::digest(power.state());
        const auto add = [&](const std::string& text) { sum = sum * 0x100000001b3U + text::hash(text); };
        for (const auto& [path, content] : store.files) add(path + "\n" + content);
        for (const auto& path : store.directories) add(path);
        for (const auto& [content, count] : store.arrivals) add(std::to_string(count) + content);
        for (const auto& one : mail.delivered) add(one.recipient + one.text);
        return sum;
    }

    /// Of each content, how many entries of the spool have it; but not those that are kept in sent/.
    std::map<std::string, int> in_spool() const {
        std::map<std::string, int> found;
        for (const auto& [path, content] : power.files()) {
            if (!path.starts_with(spool_root + "/") || path.starts_with(spool_root + "/sent/")) continue;
            const auto slash = path.rfind('/');
            const auto state = io::name_of(path.substr(0, slash));
            if (state != "new" && state != "sending" && state != "publishing" && state != "hold") continue;
            if (spool::EntryName::parse(path.substr(slash + 1))) ++found[content];
        }
        return found;
    }
    std::map<std::string, int> in_directory(const std::string& directory) const {
        std::map<std::string, int> found;
        for (const auto& name : power.names(directory)) {
            if (const auto content = power.content(directory + "/" + name)) ++found[*content];
        }
        return found;
    }
    /// Files of the spool that nobody needs.
    std::string litter() const {
        std::string all;
        for (const auto& [path, content] : power.files()) {
            const auto name = io::name_of(path);
            const bool in_tmp = path.find("/tmp/") != std::string::npos;
            const bool note = path.starts_with(spool_root + "/state/fetch/");
            const bool lonely = path.ends_with(".why") && !power.content(path.substr(0, path.size() - 4));
            if (in_tmp || note || lonely || name.starts_with("VERSION.") || name.starts_with("uuid."))
                all += " " + path;
        }
        return all;
    }
};

}  // namespace ums::test
