// SPDX-License-Identifier: GPL-3.0-or-later
//
// How fast a target is worked. Messages go in batches, which share syncs and listings, and are published or accepted
// together: the larger a batch, the less each of it costs, and the longer the first of it waits for the last. So a batch is
// as large as the target takes in about half a second: small over a slow line, large to a fast server. Where the
// configuration says how many messages a second may go, a batch is no more than those of a second, and the next one waits.
#pragma once

#include <chrono>
#include <cstddef>

#include "clock/clock.hpp"

namespace ums::transport {

class Pace {
  public:
    static constexpr std::size_t least = 8;
    static constexpr std::size_t first = 32;
    static constexpr std::size_t most = 256;

    /// `messages_per_second`: 0 for no limit. The clock must outlive it.
    explicit Pace(const clock::Clock& clock, double messages_per_second = 0) noexcept;

    /// How many messages the next batch may have, at least 1.
    std::size_t batch() const noexcept;
    /// How long the next batch has to wait to keep within the limit; zero if it need not.
    std::chrono::milliseconds pause() const;

    void begin();
    /// The batch that was begun had so many messages, and is through.
    void end(std::size_t messages);

  private:
    const clock::Clock* clock_;
    double per_second_;
    std::size_t size_ = first;
    std::chrono::steady_clock::time_point began_;
    std::chrono::steady_clock::time_point next_;
};

}  // namespace ums::transport
