// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goes through the histories of a scenario: the power is cut before a change (or a request), one of the states that may be
// left is what the next start meets, and while that recovers the power is cut again, and once more after that.
//
// A history is a cut, a state that it left which is not the one that was seen before it, up to three times; each is
// recovered until nothing changes any more, and checked. Also a process may be killed, and the power go while the next one is at
// it, which sees what was not synced. Those whose last cut lost nothing are counted apart, as kills. No history is counted twice.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "scenario.hpp"

namespace ums::test {

struct Figures {
    std::uint64_t histories = 0;
    std::uint64_t kills = 0;
    std::uint64_t twice = 0;   ///< of the histories, those with two cuts
    std::uint64_t thrice = 0;  ///< and with three
    std::uint64_t cuts = 0;    ///< in the undisturbed run
    std::uint64_t violations = 0;
    std::uint64_t mutations = 0;  ///< how often a mutant did something else
};

/// What is said of a violation.
using Tell = std::function<void(const std::string&)>;

class Explorer {
  public:
    /// Of the first cuts this one takes every `parts`th, from `part` on.
    Explorer(const Scenario& scenario, PowerDisk::Model model, std::uint64_t seed, std::size_t part, std::size_t parts,
             Tell tell);

    /// As many histories as wanted, or as many as there are found; stops at the `most`th violation.
    Figures explore(std::uint64_t wanted, std::uint64_t most = 1);
    /// What went wrong without a loss of power; empty if nothing did.
    std::string undisturbed();

    World& world() { return *world_; }

  private:
    struct Cut {
        World::Snapshot snapshot;
        std::string where;
    };
    enum class Record { nothing, some, all };
    struct Step {
        const Cut* cut = nullptr;
        std::uint64_t seen = 0;  ///< digest before the cut
        std::uint64_t left = 0;  ///< and of what it left
    };
    void prepare();
    std::vector<Cut> recorded(Record record, const std::function<void()>& work);
    void at_cut(std::string_view what, const std::string& path);
    /// Until nothing changes; what is wrong then.
    std::string recover();
    void branch(const Cut& cut, const PowerDisk::State& survivor, bool go_on);
    void violation(const std::string& what);
    bool is_over() const { return figures_.histories >= wanted_ || figures_.violations >= most_; }

    const Scenario& scenario_;
    PowerDisk::Model model_;
    std::uint64_t seed_;
    std::size_t part_;
    std::size_t parts_;
    Tell tell_;
    Dice dice_;
    std::unique_ptr<World> world_;
    Figures figures_;
    std::uint64_t wanted_ = 0;
    std::uint64_t most_ = 1;
    std::vector<Step> path_;
    std::unordered_set<std::uint64_t> known_;
    Record record_ = Record::nothing;
    std::vector<Cut>* cuts_ = nullptr;
};

/// What the random names of the spool are made of from now on.
void seed_names(std::uint64_t seed);

}  // namespace ums::test
