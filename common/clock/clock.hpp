// SPDX-License-Identifier: GPL-3.0-or-later
//
// clock: time comes in through a constructor, so that a test can own it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace ums::clock {

/// A point in civil time, UTC, in microseconds: what is written into names and state files.
using Instant = std::chrono::sys_time<std::chrono::microseconds>;

class Clock {
  public:
    Clock() = default;
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    virtual ~Clock() = default;
    /// Civil time; it may jump in both directions.
    virtual Instant now() const = 0;
    /// Time since some fixed moment, never going back: for deadlines within one run.
    virtual std::chrono::steady_clock::time_point steady() const = 0;
    /// Waits; a signal that has a handler ends the wait early.
    virtual void sleep(std::chrono::milliseconds duration) = 0;
};

class SystemClock final : public Clock {
  public:
    Instant now() const override;
    std::chrono::steady_clock::time_point steady() const override;
    void sleep(std::chrono::milliseconds duration) override;
};

/// Stands still until told otherwise; sleeping moves it on at once. For tests.
class ManualClock final : public Clock {
  public:
    explicit ManualClock(Instant start) : now_(start) {}
    Instant now() const override { return now_; }
    std::chrono::steady_clock::time_point steady() const override {
        return std::chrono::steady_clock::time_point(now_.time_since_epoch());
    }
    void sleep(std::chrono::milliseconds duration) override { now_ += duration; }
    void set(Instant now) { now_ = now; }

  private:
    Instant now_;
};

/// Whole seconds since 1970, as the names of entries tell times; 0 for what lies before.
unsigned long long whole_seconds(Instant instant) noexcept;
/// RFC 3339 in UTC with seconds, `2026-11-23T04:00:06Z`.
std::string format(Instant instant);
/// With milliseconds, for logs.
std::string format_precise(Instant instant);
/// As the `Date` of a mail says it (RFC 5322 3.3): `Mon, 23 Nov 2026 04:00:06 +0000`.
std::string format_mail(Instant instant);
/// What format() and format_precise() wrote.
std::optional<Instant> parse(std::string_view text);

}  // namespace ums::clock
