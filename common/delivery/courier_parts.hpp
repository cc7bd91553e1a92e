// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the sources of the courier share: courier.cpp takes messages through the stage, courier_in_place.cpp without one,
// courier_refusals.cpp asks whose matter a refusal is, and courier_doubts.cpp finds out what became of them. Private to the delivery module.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "delivery/courier.hpp"

namespace ums::delivery {

inline constexpr std::string_view part_suffix = ".part";
inline constexpr std::string_view revoked_suffix = ".revoked";
inline constexpr std::string_view canary_suffix = ".canary";

/// What is told of a message that was found to have arrived.
inline constexpr std::string_view found_later = " (found after a doubt)";
inline constexpr std::string_view taken_since = " (taken by the kernel after a doubt)";
inline constexpr std::string_view fetched_before = " (fetched before it could be taken back)";

/// `~` of split messages is no character for every server; no id has a `-` of its own.
std::string plain_id(const spool::EntryName& name);
/// Kernels that lead to one directory have one stage there: the token says whose witness it is.
std::string witness_prefix(const spool::Queue& queue);
/// In publishing/, after it had arrived.
inline bool is_being_taken_back(const spool::EntryName& name) { return name.number(spool::attribute::taking_back) > 0; }
/// An upload that failed like this may have failed for what the message is: its size, its content, its name.
bool may_be_of_message(const transport::Answer& answer);

/// What the target refused of a batch, and what it took.
class Refusals {
  public:
    void took(Bytes size) { most_taken_ = std::max(most_taken_.value_or(Bytes{0}), size); }
    void refused(Bytes size, const transport::Answer& answer);
    /// How large the file is that it has to take before what it refused is the messages' own matter; nothing if it has taken
    /// as much already, or refused nothing.
    std::optional<Bytes> question() const;
    bool took_any() const noexcept { return most_taken_.has_value(); }
    void no_room() noexcept { no_room_ = true; }
    bool is_of_message(Bytes size) const { return !no_room_ || (most_taken_ && size <= *most_taken_); }

  private:
    std::optional<Bytes> most_taken_;
    std::optional<Bytes> most_refused_;
    bool no_room_ = false;
};

/// A message on its way out.
struct Courier::Attempt {
    spool::Entry entry;
    io::Fd file;
    transport::Body body;
    std::string directory;
    std::string stage;
    std::string final;
};

}  // namespace ums::delivery
