// SPDX-License-Identifier: GPL-3.0-or-later
//
// Ripeness: when a file at a source is whole. Nobody marks a file that is still being written, so we look twice: it is
// ripe when its size and version were the same in two looks and `settle` has passed since our first look at them. Age
// counts from what we saw, never from the file's own time, which may be old in a file just copied. What was seen is kept
// between runs in state/looks/. It is bounded, whatever a server lists: of more than `most` files the ones seen first are
// forgotten, so that what is new is found again by the next run.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "clock/clock.hpp"
#include "transport/store.hpp"

namespace ums::intake {

class Looks {
  public:
    explicit Looks(std::chrono::milliseconds settle) : settle_(settle) {}

    static constexpr std::size_t most = 100'000;

    /// Notes what is seen now. True if the file is ripe. With a settle time of 0 everything is.
    bool look(const transport::Item& item, clock::Instant now);
    /// A claim that could not be taken, and why; how often that is now, in a row and unchanged.
    unsigned failed(const std::string& name, clock::Instant now, std::string_view why);
    /// When it is tried again: after `most_failures` in a row 10 minutes later, then 20, 40, and an hour for ever. Nothing
    /// if it may be tried now. A clock that was set back ends the wait.
    std::optional<clock::Instant> rests_until(const std::string& name, clock::Instant now) const;
    static constexpr unsigned most_failures = 5;
    /// What the last failure said; empty if there was none.
    std::string why(const std::string& name) const;
    /// `name` was claimed, and is called `claim` now.
    void claimed(const std::string& name, const std::string& claim);
    /// What a claim was called before; empty if nobody knows.
    std::string original(const std::string& claim) const;
    void forget(const std::string& name) { seen_.erase(name); }
    /// Forgets what was not looked at since the last call of this, and what is more than `most`.
    void forget_unseen();

    std::string to_text() const;
    void read(std::string_view text);

  private:
    /// Of the few that were claimed, or could not be.
    struct Past {
        unsigned failures = 0;
        clock::Instant last_failure{};
        std::string original;
        std::string why;
    };
    /// One for each of 100,000 files: no larger than need be.
    struct Seen {
        Bytes size;
        unsigned long long version = 0;  ///< its hash
        clock::Instant first{};
        std::unique_ptr<Past> past;
        bool now = false;
    };
    static Past& past_of(Seen& seen);
    const Past* past_of(const std::string& name) const;
    void forget_oldest();

    std::chrono::milliseconds settle_;
    std::map<std::string, Seen, std::less<>> seen_;
};

}  // namespace ums::intake
