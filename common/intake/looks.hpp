// SPDX-License-Identifier: GPL-3.0-or-later
//
// Ripeness: when a file at a source is whole. Nobody marks a file that is still being written, so we look twice: it is
// ripe when its size and version were the same in two looks and `settle` has passed since our first look at them. Age
// counts from what we saw, never from the file's own time, which may be old in a file just copied. What was seen is kept
// between runs in state/looks/.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "clock/clock.hpp"
#include "transport/store.hpp"

namespace ums::intake {

class Looks {
  public:
    explicit Looks(std::chrono::milliseconds settle) : settle_(settle) {}

    /// Notes what is seen now. True if the file is ripe. With a settle time of 0 everything is.
    bool look(const transport::Item& item, clock::Instant now);
    /// A file that could not be taken; how often that is now, in a row and unchanged.
    unsigned failed(const std::string& name);
    unsigned failures(const std::string& name) const;
    void forget(const std::string& name) { seen_.erase(name); }
    /// Forgets what was not looked at since the last call of this.
    void forget_unseen();

    std::string to_text() const;
    void read(std::string_view text);

  private:
    struct Seen {
        Bytes size;
        std::string version;
        clock::Instant first{};
        unsigned failures = 0;
        bool now = false;
    };
    std::chrono::milliseconds settle_;
    std::map<std::string, Seen, std::less<>> seen_;
};

}  // namespace ums::intake
