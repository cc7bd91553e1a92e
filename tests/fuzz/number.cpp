// SPDX-License-Identifier: GPL-3.0-or-later
//
// Any text is a number to somebody, whatever the place: nothing crashes, normalising twice is normalising once, what was
// formed is formed, and no number is dialled that begins like a short one and was not written so. The first bytes make
// the place.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "error/error.hpp"
#include "number/forming.hpp"

namespace {

using namespace ums;

void must(bool holds) {
    if (!holds) std::abort();
}

// Bytes as choices; all zero when they are used up.
class Choices {
  public:
    explicit Choices(std::string& bytes) : bytes_(bytes) {}
    unsigned of(unsigned count) {
        if (bytes_.empty()) return 0;
        const auto byte = static_cast<unsigned char>(bytes_.back());
        bytes_.pop_back();
        return byte % count;
    }
    std::string digits(unsigned most) {
        std::string out;
        for (unsigned i = of(most + 1); i > 0; --i) out += static_cast<char>('0' + of(10));
        return out;
    }

  private:
    std::string& bytes_;
};

number::Numbering place(Choices& choices) {
    number::Numbering n;
    static constexpr std::array countries{"49", "1", "7", "39", "34", "353", "86", "52", "61", "43", "375", "971"};
    n.country = choices.of(4) == 0 ? choices.digits(3) : countries[choices.of(countries.size())];
    n.area = choices.digits(4);
    for (unsigned i = choices.of(4); i > 0; --i) {
        number::MainNumber main{choices.digits(6)};
        if (choices.of(3) == 0) main.extensions.push_back({"100", "299"});
        n.subscribers.push_back(main);
    }
    if (choices.of(2) == 0) n.extension_digits = number::Digits(choices.of(3), 3 + choices.of(5));
    if (choices.of(3) == 0) n.national_prefixes = {choices.digits(2), "8"};
    if (choices.of(4) == 0) n.international_prefixes = {"011", "00"};
    if (choices.of(2) == 0) n.outside_lines = {choices.digits(2)};
    n.internal_length = choices.of(6);
    n.internal_calls = choices.of(2) == 0;
    n.remove_outside_line = choices.of(2) == 0;
    n.always_dial_area = static_cast<number::DialArea>(choices.of(3));
    n.destination_type = static_cast<number::TypeOfNumber>(choices.of(4));
    n.originator_type = static_cast<number::TypeOfNumber>(choices.of(4));
    if (choices.of(3) == 0) number::block(n, choices.digits(5) + "*");
    return n;
}

// What is written as its pattern is not dialled, but for internal numbers, and `00*`, which is other countries.
void check_blocked(number::Numbering site, const std::string& text) {
    const auto written = number::strip(text);
    number::block(site, written + "*");
    must(site.blocks());
    const bool is_all = (!site.blocked.empty() && site.blocked.back() == "+*") || written == "+";
    if (is_all || written.size() <= site.internal_length) return;
    must(number::refusal(site, text).has_value());
}

void check_elsewhere(const number::Numbering& site, const std::string& text) {
    const auto away = number::elsewhere(site, {}, text);
    if (!away) return;
    must(number::elsewhere(site, {}, *away) == away);
    must(site.country.empty() || !number::is_number(text) || away->starts_with('+'));
}

void check_dialled(const number::Numbering& site, const std::string& text) {
    std::string dialled;
    try {
        dialled = number::outgoing(site, {}, text);
    } catch (const Error& error) {
        must(error.fault() == Fault::unusable);
        return;
    }
    const auto written = number::strip(text);
    if (!written.starts_with('+')) {
        must(dialled.ends_with(written));
        return;
    }
    const std::string outside(dialled.starts_with(site.outside_line()) ? site.outside_line() : std::string_view());
    for (const auto one : number::emergency_numbers(site.country)) {
        // A prefix of the place that begins so by itself is its PBX's business.
        const bool own = (outside + std::string(site.national_prefix())).find(one) != std::string::npos ||
                         (outside + std::string(site.international_prefix())).find(one) != std::string::npos;
        must(own || !std::string_view(dialled).substr(outside.size()).starts_with(one));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string text(reinterpret_cast<const char*>(data), size);
    Choices choices(text);
    const auto home = place(choices);
    for (const auto* numbering : {static_cast<const number::Numbering*>(nullptr), &home}) {
        const auto once = number::normalise(text, numbering);
        must(number::normalise(once, numbering) == once);
        const auto pattern = number::normalise_pattern(text, numbering);
        must(number::normalise_pattern(pattern, numbering) == pattern);
    }
    must(number::is_number(text) == number::is_stripped_number(number::strip(text)));
    std::vector<number::Conversion> conversions;
    try {
        conversions.push_back(number::parse_conversion(text));
    } catch (const Error& error) {
        must(error.fault() == Fault::configuration);
    }
    using Kind = number::Conversion::Kind;
    for (const auto kind : {Kind::destination, Kind::originator, Kind::redirector}) {
        number::form(home, conversions, kind, text);
        if (!number::is_number(text)) continue;
        number::Steps steps;
        const auto formed = number::form(home, {}, kind, text, std::nullopt, &steps);
        must(steps.empty() || steps.back().number == formed.number);
        if (!formed.number.starts_with('+')) continue;
        const auto again = number::form(home, {}, kind, formed.number);
        must(again.doubled || number::strip(again.number) == number::strip(formed.number));
    }
    number::own_digits(home, text);
    number::parse_type_of_number(text);
    if (number::is_number(text)) check_dialled(home, text);
    if (number::is_number(text)) check_blocked(home, text);
    if (number::is_number(text)) check_elsewhere(home, text);
    return 0;
}
