// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/pace.hpp"

#include <algorithm>

namespace ums::transport {

namespace {

constexpr std::chrono::milliseconds quick{250};
constexpr std::chrono::milliseconds slow{1'000};

}  // namespace

Pace::Pace(const clock::Clock& clock, double messages_per_second) noexcept
    : clock_(&clock), per_second_(messages_per_second) {}

std::size_t Pace::batch() const noexcept {
    if (per_second_ <= 0 || per_second_ >= static_cast<double>(size_)) return size_;
    return std::max<std::size_t>(1, static_cast<std::size_t>(per_second_));
}

std::chrono::milliseconds Pace::pause() const {
    if (per_second_ <= 0) return {};
    return std::max(std::chrono::milliseconds(0),
                    std::chrono::ceil<std::chrono::milliseconds>(next_ - clock_->steady()));
}

void Pace::begin() { began_ = clock_->steady(); }

void Pace::end(std::size_t messages) {
    const auto took = clock_->steady() - began_;
    if (per_second_ > 0) {
        const std::chrono::duration<double> due(static_cast<double>(messages) / per_second_);
        next_ = began_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(due);
    }
    // A batch that was not full says nothing about a larger one.
    if (took > slow) {
        size_ = std::max(size_ / 2, least);
    } else if (took < quick && messages >= size_) {
        size_ = std::min(size_ * 2, most);
    }
}

}  // namespace ums::transport
