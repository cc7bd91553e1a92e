// SPDX-License-Identifier: GPL-3.0-or-later
//
// Any text is a number to somebody: nothing crashes, and normalising twice is normalising once.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "error/error.hpp"
#include "number/forming.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ums;
    const std::string text(reinterpret_cast<const char*>(data), size);
    number::Numbering home;
    home.country = "49";
    home.area = "8142";
    home.subscribers = {{"4799"}};
    home.outside_lines = {"0"};
    home.internal_length = 4;
    for (const auto* numbering :
         {static_cast<const number::Numbering*>(nullptr), static_cast<const number::Numbering*>(&home)}) {
        const auto once = number::normalise(text, numbering);
        if (number::normalise(once, numbering) != once) std::abort();
        const auto pattern = number::normalise_pattern(text, numbering);
        if (number::normalise_pattern(pattern, numbering) != pattern) std::abort();
    }
    number::is_number(text);
    std::vector<number::Conversion> conversions;
    try {
        conversions.push_back(number::parse_conversion(text));
    } catch (const Error& error) {
        if (error.fault() != Fault::configuration) std::abort();
    }
    number::incoming(home, conversions, text);
    number::outgoing(home, conversions, text);
    return 0;
}
