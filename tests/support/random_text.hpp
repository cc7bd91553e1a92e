// SPDX-License-Identifier: GPL-3.0-or-later
//
// Random inputs that are the same in every run.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace ums::test {

class RandomText {
  public:
    explicit RandomText(std::uint32_t seed) : engine_(seed) {}

    std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(engine_); }
    /// Up to `longest` of `pieces`, one after the other.
    std::string of(const std::vector<std::string_view>& pieces, std::size_t longest) {
        std::string out;
        for (std::size_t n = below(longest + 1); n > 0; --n) out += pieces[below(pieces.size())];
        return out;
    }
    std::string digits(std::size_t length) {
        std::string out;
        while (out.size() < length) out += static_cast<char>('0' + below(10));
        return out;
    }
    std::string bytes(std::size_t longest) {
        std::string out(below(longest + 1), '\0');
        for (char& c : out) c = static_cast<char>(below(256));
        return out;
    }

  private:
    std::mt19937 engine_;
};

}  // namespace ums::test
