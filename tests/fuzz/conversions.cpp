// SPDX-License-Identifier: GPL-3.0-or-later
//
// Three lines: an expression, a replacement, a number. Whatever they are, the rule is refused or can be applied, and what it
// makes is no longer than what RE2 may make of it.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "error/error.hpp"
#include "number/forming.hpp"
#include "text/text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ums;
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    const auto lines = text::split(bytes, '\n');
    if (lines.size() < 3) return 0;
    using Conversion = number::Conversion;
    std::vector<Conversion> rules;
    for (const auto direction : {Conversion::Direction::incoming, Conversion::Direction::outgoing}) {
        try {
            rules.push_back(number::make_conversion(direction, Conversion::Kind::destination, lines[0], lines[1]));
        } catch (const Error& error) {
            if (error.fault() != Fault::configuration) std::abort();
        }
    }
    try {
        rules.push_back(number::parse_conversion(lines[0]));
    } catch (const Error& error) {
        if (error.fault() != Fault::configuration) std::abort();
    }
    number::Numbering site;
    site.country = "49";
    site.area = "89";
    site.subscribers = {{"4799"}};
    number::form(site, rules, Conversion::Kind::destination, lines[2]);
    try {
        number::outgoing(site, rules, lines[2]);
    } catch (const Error& error) {
        if (error.fault() != Fault::unusable) std::abort();
    }
    return 0;
}
