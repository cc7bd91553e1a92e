// SPDX-License-Identifier: GPL-3.0-or-later
//
// Whose matter a refusal is: the message's, or the target's.
#include <algorithm>
#include <array>

#include "delivery/courier_parts.hpp"
#include "io/disk.hpp"

namespace ums::delivery {

using spool::EntryName;
using transport::Answer;
using transport::Verdict;

namespace {

constexpr Bytes largest_canary{64 << 20};

}  // namespace

void Refusals::refused(Bytes size, const Answer& answer) {
    constexpr int too_large = 413;  // RFC 9110, 15.5.14: said of this one, whatever room there is
    most_refused_ = std::max(most_refused_.value_or(Bytes{0}), answer.status == too_large ? Bytes{0} : size);
}

std::optional<Bytes> Refusals::question() const {
    if (!most_refused_ || (most_taken_ && *most_refused_ <= *most_taken_)) return std::nullopt;
    return most_refused_;
}

// It is the message's own matter only if the target takes another one as large now.
void Courier::judge(Refusals& refusals, const EntryName& name) {
    const auto size = refusals.question();
    if (!size || target_fault_) return;
    if (canary(name, *size).done()) return;
    // Small ones may go on while there is no room for large ones.
    const auto answer = refusals.took_any() ? Answer{} : canary(name, Bytes{0});
    if (answer.done()) {
        refusals.no_room();
    } else {
        blame_target(answer);
    }
}

Answer Courier::canary(const EntryName& name, Bytes size) {
    const std::string canary = stage_path(name, std::string(canary_suffix) + std::string(part_suffix));
    std::array<transport::Upload, 1> upload{{{canary, {"canary\n", nullptr, 0, Bytes{0}}}}};
    io::Fd zeros;
    if (size.count > 0) {
        try {
            zeros = io::zeros(std::min(size, largest_canary));
        } catch (const Error& error) {  // who cannot ask does not know that it is the message's own matter
            return {Verdict::unknown, error.what(), 0, {}};
        }
        upload[0].body.file = &zeros;
        upload[0].body.length = std::min(size, largest_canary);
    }
    auto answer = store_.upload(upload).front();
    const std::array<std::string, 1> path{canary};
    store_.remove(path);
    return answer;
}

}  // namespace ums::delivery
