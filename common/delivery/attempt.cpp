// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/attempt.hpp"

#include <algorithm>
#include <cerrno>

#include "text/text.hpp"

namespace ums::delivery {

namespace attribute = spool::attribute;
using spool::Entry;
using spool::State;

std::vector<Entry> begin_attempts(spool::Spool& spool, std::span<const Entry> entries) {
    std::vector<spool::Move> moves;
    for (const auto& entry : entries) {
        const auto name = entry.name.with(attribute::attempt, entry.name.number(attribute::attempt) + 1)
                              .without(attribute::not_before);
        moves.push_back({entry, {entry.queue, State::sending, name}});
    }
    const auto moved = spool.move(moves);
    std::vector<Entry> ours;
    for (std::size_t i = 0; i < moves.size(); ++i) {
        if (moved[i] == spool::Moved::yes) ours.push_back(moves[i].to);
    }
    return ours;
}

void end_attempts(spool::Spool& spool, std::span<const Entry> entries, Keep keep) {
    if (entries.empty()) return;
    if (keep != Keep::no) {
        std::vector<spool::Move> moves;
        for (const auto& entry : entries) {
            auto name = entry.name.without(attribute::doubt_since).without(attribute::taking_back);
            if (keep == Keep::as_sent) name = name.without(attribute::witness);
            moves.push_back({entry, {spool::Queue::sent(), State::fresh, std::move(name)}});
        }
        try {
            // The last room is for what is still on its way: its directories grow, too.
            spool.require_room(spool::Queue::outgoing(), Bytes{0}, moves.size());
            spool.move(moves);
            return;
        } catch (const Error& error) {
            if (error.fault() != Fault::cannot_write) throw;
        }
    }
    spool.remove(entries);
}

std::chrono::seconds pause_after(const spool::EntryName& name, unsigned long long refusals) {
    constexpr unsigned long long most_doublings = 5;
    const auto doublings = std::min(refusals - std::min(refusals, 1ULL), most_doublings);
    const std::chrono::seconds pause = std::chrono::seconds(60) * (1U << doublings);
    const auto spread = text::hash(std::string(name.id()) + "/" + std::to_string(refusals));
    return pause + std::chrono::seconds(spread % static_cast<unsigned long long>(pause.count() / 4 + 1));
}

bool is_of_one_file(const Error& error) {
    const int number = error.error_number();
    return (error.fault() == Fault::permission || error.fault() == Fault::cannot_read) && number != EMFILE &&
           number != ENFILE && number != ENOMEM;
}

}  // namespace ums::delivery
