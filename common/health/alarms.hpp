// SPDX-License-Identifier: GPL-3.0-or-later
//
// Alarms: what a person should be told, and was told. Whoever knows how things are hands over all conditions that hold now;
// what begins, changes or ends among them is an event, one for each change, however often somebody looks. Events wait here
// until they have been told, and are told to the end of a day in growing intervals. A flood is cut off, and that is said.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "clock/clock.hpp"

namespace ums::health {

/// Something that holds now.
struct Condition {
    std::string subject;  ///< what it is about, `kernel/munich-1`; one condition each
    std::string what;     ///< the word for it: `down`, `stuck`, `doubt`, `delay`, `full`
    std::string over;     ///< the word for its end: `up`
    unsigned degree = 0;  ///< it is told of again when that grows
    std::string text;     ///< for people
};

struct Event {
    std::string what;
    std::string subject;
    clock::Instant at{};
    std::string text;
    unsigned tries = 0;  ///< that failed
    clock::Instant next_try{};
    bool command_done = false;
    bool mail_done = false;
};

class Alarms {
  public:
    static constexpr unsigned most_an_hour = 30;

    /// What to_text() wrote; lines that are none are passed over.
    static Alarms parse(std::string_view text);
    std::string to_text() const;

    /// Makes events of what has changed since the last call.
    void update(const std::vector<Condition>& conditions, clock::Instant now);
    /// Those to tell now, oldest first. To be marked as done, or handed to later().
    std::vector<Event*> due(clock::Instant now);
    /// It could not be told, and is tried again after 1, 2, 4, ... 60 minutes.
    static void later(Event& event, clock::Instant now);
    /// Forgets what is done, and what could not be told for a day; how many of the latter.
    std::size_t forget(bool has_command, bool has_mail, clock::Instant now);

  private:
    struct Known {
        std::string what;
        std::string over;
        unsigned degree = 0;
        clock::Instant since{};
        bool operator==(const Known&) const = default;
    };
    void add(Event event, clock::Instant now);

    std::map<std::string, Known, std::less<>> known_;
    std::vector<Event> events_;
    clock::Instant hour_{};  ///< when the counting began
    unsigned in_hour_ = 0;
};

}  // namespace ums::health
