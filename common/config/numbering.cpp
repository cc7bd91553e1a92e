// SPDX-License-Identifier: GPL-3.0-or-later
//
// `numbering:`, which the MDS and each site have.
#include <algorithm>

#include "config/draft.hpp"
#include "config/section.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

using number::Extensions;
using number::MainNumber;
using number::Numbering;

constexpr std::string_view decimal = "0123456789";
constexpr std::string_view dialled = "0123456789*#";
constexpr unsigned longest_number = 20;
constexpr std::string_view wanted_subscriber =
    "digits such as 4799, a block such as 5550100-5550199, a map (number, extensions) or a list of these";

bool is_digits(std::string_view text) noexcept {
    return !text.empty() && text.size() <= longest_number && text.find_first_not_of(decimal) == std::string_view::npos;
}

// `100-299`, or one number: both ends.
std::optional<Extensions> range_of(std::string_view text) {
    const auto dash = text.find('-');
    const auto first = text::trim(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : text::trim(text.substr(dash + 1));
    if (!is_digits(first) || !is_digits(last) || first.size() != last.size() || first > last) return std::nullopt;
    return Extensions{std::string(first), std::string(last)};
}

std::vector<Extensions> read_extensions(Section& section) {
    std::vector<Extensions> out;
    for (const Node* node : section.texts("extensions")) {
        if (auto range = range_of(node->text)) {
            out.push_back(std::move(*range));
        } else {
            report_wrong(*node, "extensions", "a range of extensions of one length such as 100-299, the lower first",
                         section.report());
        }
    }
    return out;
}

// A list of digits, of which the first is what is dialled. May be empty, in the file `''`.
void read_prefixes(Section& section, std::string_view key, std::string_view allowed, Empty empty,
                   std::vector<std::string>& out) {
    const Node* node = section.find(key);
    if (!node) return;
    std::vector<std::string> found;
    const auto add = [&](const Node& item) {
        if (item.refused) return;
        const bool right = item.kind == Node::Kind::text && item.text.size() <= longest_number &&
                           (empty == Empty::allowed || !item.text.empty()) &&
                           item.text.find_first_not_of(allowed) == std::string::npos;
        if (!right) {
            const bool more = allowed.find('*') != std::string_view::npos;
            report_wrong(item, key, more ? "at most 20 digits, * or #" : "at most 20 digits", section.report());
        } else if (std::find(found.begin(), found.end(), item.text) != found.end()) {
            section.report().error(item, text::quote(key) + " has " + text::quote(item.text) + " twice");
        } else {
            found.push_back(item.text);
        }
    };
    if (node->kind == Node::Kind::list) {
        for (const auto& item : node->values) add(item);
    } else {
        add(*node);
    }
    if (found.size() == 1 && found.front().empty()) found.clear();
    out = std::move(found);
}

void read_extension_digits(Section& section, Numbering& out) {
    const Node* node = section.find("extension-digits");
    if (!node) return;
    if (node->kind == Node::Kind::text) {
        const std::string_view text = node->text;
        const auto dash = text.find('-');
        const auto least =
            dash == std::string_view::npos ? std::optional(0ULL) : text::parse_number(text::trim(text.substr(0, dash)));
        const auto most = text::parse_number(text::trim(dash == std::string_view::npos ? text : text.substr(dash + 1)));
        if (least && most && *least <= *most && *most <= longest_number) {
            out.extension_digits = number::Digits(static_cast<unsigned>(*least), static_cast<unsigned>(*most));
            return;
        }
    }
    report_wrong(*node, "extension-digits", "0 to 20, or a span such as 2-4", section.report());
}

// A block of whole numbers: what stands before the extension, and the extensions.
std::optional<MainNumber> main_number_of_block(const Extensions& block, const Numbering& numbering) {
    std::size_t common = 0;
    while (common < block.first.size() && block.first[common] == block.last[common]) ++common;
    std::size_t before = common;
    if (numbering.extension_digits) {
        const std::size_t digits = numbering.extension_digits->most;
        before = digits >= block.first.size() ? 0 : block.first.size() - digits;
        if (before > common) return std::nullopt;
    }
    return MainNumber{block.first.substr(0, before), {{block.first.substr(before), block.last.substr(before)}}};
}

void read_main_number(const Node& node, const std::vector<Extensions>& extensions, Numbering& out, Report& report) {
    if (node.refused) return;
    MainNumber main;
    if (node.kind == Node::Kind::map) {
        Section section(node, "subscriber", keys::main_number, report);
        section.digits("number", main.number, decimal);
        main.extensions = read_extensions(section);
        if (!section.find("number")) report.error(node, "'subscriber' has no 'number'");
    } else if (node.kind == Node::Kind::text && is_digits(node.text)) {
        main.number = node.text;
        main.extensions = extensions;
    } else if (node.kind == Node::Kind::text && node.text.find('-') != std::string::npos) {
        const auto block = range_of(node.text);
        if (!block) {
            report_wrong(node, "subscriber",
                         "a block of numbers of one length such as 5550100-5550199, the lower first", report);
            return;
        }
        const auto made = main_number_of_block(*block, out);
        if (!made) {
            report.error(node, "'subscriber' " + text::quote(node.text) +
                                   " is no block: its numbers differ in more than the extension ('extension-digits')");
            return;
        }
        main = *made;
    } else {
        report_wrong(node, "subscriber", std::string(wanted_subscriber), report);
        return;
    }
    if (std::find(out.subscribers.begin(), out.subscribers.end(), main) != out.subscribers.end()) {
        report.error(node, "'subscriber' has this number twice");
        return;
    }
    out.subscribers.push_back(std::move(main));
}

void read_subscribers(Section& section, Numbering& out) {
    const auto extensions = read_extensions(section);
    const Node* node = section.find("subscriber");
    if (!node) return;
    // An empty one says that there is none.
    if (node->kind == Node::Kind::text && node->text.empty()) return;
    if (node->kind != Node::Kind::list) {
        read_main_number(*node, extensions, out, section.report());
    } else if (node->values.empty()) {
        section.report().error(*node, "'subscriber' is an empty list");
    } else {
        for (const auto& item : node->values) read_main_number(item, extensions, out, section.report());
    }
    if (!out.extension_digits) return;
    for (const auto& main : out.subscribers) {
        for (const auto& range : main.extensions) {
            if (out.extension_digits->contains(range.first.size())) continue;
            section.report().error(*node, "the extensions " + range.first + "-" + range.last + " have " +
                                              std::to_string(range.first.size()) +
                                              " digits, and 'extension-digits' is " +
                                              std::to_string(out.extension_digits->least) + " to " +
                                              std::to_string(out.extension_digits->most));
        }
    }
}

void read_country(Section& section, Numbering& out) {
    const Node* country = section.find("country");
    if (!country) return;
    const bool right = country->kind == Node::Kind::text && !country->text.empty() && country->text.size() <= 3 &&
                       country->text.find_first_not_of(decimal) == std::string::npos && country->text[0] != '0';
    if (right) {
        out.country = country->text;
    } else {
        report_wrong(*country, "country", "1 to 3 digits without + or 00, such as 49", section.report());
    }
}

void read_types(Section& section, Numbering& out) {
    const Node* node = section.find("type-of-number");
    if (!node) return;
    const auto read = [&](const Node& value, std::string_view key, number::TypeOfNumber& type) {
        const auto found = value.kind == Node::Kind::text ? number::parse_type_of_number(value.text) : std::nullopt;
        if (found) {
            type = *found;
        } else {
            report_wrong(value, key, "unknown, subscriber, national or international", section.report());
        }
    };
    if (node->kind != Node::Kind::map) {
        read(*node, "type-of-number", out.destination_type);
        return;
    }
    Section types(*node, "type-of-number", keys::type_of_number, section.report());
    if (const Node* one = types.find("destination")) read(*one, "destination", out.destination_type);
    if (const Node* one = types.find("originator")) read(*one, "originator", out.originator_type);
    if (const Node* one = types.find("redirector")) read(*one, "redirector", out.redirector_type);
}

void read_dial_area(Section& section, Numbering& out) {
    const Node* node = section.find("always-dial-area");
    if (!node) return;
    if (const auto flag = read_flag(*node)) {
        out.always_dial_area = *flag ? number::DialArea::yes : number::DialArea::no;
    } else if (node->kind == Node::Kind::text && text::equal_ignoring_case(node->text, "bare")) {
        out.always_dial_area = number::DialArea::bare;
    } else {
        report_wrong(*node, "always-dial-area", "yes, no or bare (the area without the national prefix)",
                     section.report());
    }
}

void read_short_numbers(Section& section, Numbering& out) {
    const Node* node = section.find("short-numbers");
    if (!node) return;
    out.short_numbers.emplace();
    if (read_flag(*node) == false) return;
    for (const Node* one : section.texts("short-numbers")) {
        if (is_digits(one->text)) {
            out.short_numbers->push_back(one->text);
        } else {
            report_wrong(*one, "short-numbers", "no, or a list of digits such as [110, 112]", section.report());
        }
    }
}

void read_blocked(Section& section, Numbering& out) {
    // That a site lifts what site-defaults block.
    if (const Node* node = section.find("blocked"); node != nullptr && read_flag(*node) == false) return;
    for (const Node* node : section.texts("blocked")) {
        if (number::is_number_pattern(node->text)) {
            const auto known = out.blocked.size();
            number::block(out, node->text);
            if (out.blocked.size() > known && out.blocked[known] == "+" + out.country + "*") {
                section.report().warning(*node, "'blocked': " + text::quote(node->text) +
                                                    " are all numbers of the country, those of the own area too");
            }
        } else {
            report_wrong(*node, "blocked", "no, or a pattern of numbers such as '0900*'", section.report());
        }
    }
}

// What is allowed, but is most likely not how this country dials.
void check_habits(Section& section, const Numbering& numbering) {
    Report& report = section.report();
    const Node* country = section.find("country");
    const auto habits = number::habits_of(numbering.country);
    const Node* area = section.find("area");
    // Italy (and with it San Marino and the Vatican) dials the 0 of its areas from everywhere.
    const bool keeps_zero = number::keeps_zero(numbering.country);
    const std::string national(numbering.national_prefix());
    if (area && !keeps_zero && national.starts_with('0') && numbering.area.starts_with(national)) {
        report.warning(*area, "'area' " + text::quote(numbering.area) + " begins with the national prefix " +
                                  text::quote(national) + "; it is written without");
    }
    if (area && keeps_zero && !numbering.area.empty() && !numbering.area.starts_with('0')) {
        report.warning(*area, "'area' " + text::quote(numbering.area) + " has lost its 0: in " +
                                  std::string(habits->name) + " it belongs to the number");
    }
    if (country && !numbering.country.empty() && !number::is_country(numbering.country) && !numbering.short_numbers) {
        report.warning(*country,
                       "no country has the code " + text::quote(numbering.country) +
                           ": of its emergency numbers only 112 is known; 'short-numbers' says which there are");
    }
    if (area && !numbering.area.empty() && !section.find("always-dial-area")) {
        if (number::always_dials_area(numbering.country)) {
            report.warning(*area, "with country " + numbering.country +
                                      " the area is dialled within it, too: say always-dial-area: yes");
        } else if (numbering.country == "1") {
            report.warning(*area,
                           "in most of North America the area is dialled within it, too: say always-dial-area: bare, "
                           "yes, or no if seven digits are enough");
        }
    }
    if (!country || !habits) return;
    const std::string name(habits->name);
    if (area && !numbering.area.empty() && !habits->has_areas) {
        report.warning(*area, name + " has no areas: all numbers are dialled whole, and 'area' is put before none");
    }
    const Node* prefix = section.find("national-prefix");
    // 0 for 06, and what a country has given up; a prefix may also choose a carrier.
    const bool is_wrong = prefix == nullptr
                              ? habits->national_prefix != national
                              : !national.empty() && habits->national_prefix != national &&
                                    (habits->national_prefix.starts_with(national) || habits->national_prefix.empty());
    if (is_wrong) {
        report.warning(prefix == nullptr ? *country : *prefix,
                       name + (habits->national_prefix.empty()
                                   ? " has no national prefix: say national-prefix: ''"
                                   : " has the national prefix " + std::string(habits->national_prefix) +
                                         ": say 'national-prefix'"));
    }
    if (!section.find("international-prefix") && habits->international_prefix != numbering.international_prefix()) {
        report.warning(*country, name + " has the international prefix " + std::string(habits->international_prefix) +
                                     ": say 'international-prefix'");
    }
}

}  // namespace

std::optional<Numbering> read_numbering(const Node& node, Report& report) {
    Section section(node, "numbering", keys::numbering, report);
    Numbering out;
    read_country(section, out);
    section.digits("area", out.area, decimal, Empty::allowed);
    read_extension_digits(section, out);
    read_subscribers(section, out);
    read_prefixes(section, "national-prefix", decimal, Empty::allowed, out.national_prefixes);
    read_prefixes(section, "international-prefix", decimal, Empty::refused, out.international_prefixes);
    read_prefixes(section, "outside-line", dialled, Empty::allowed, out.outside_lines);
    section.flag("remove-outside-line", out.remove_outside_line);
    section.number("internal-length", out.internal_length, 0, longest_number);
    section.flag("internal-calls", out.internal_calls);
    read_types(section, out);
    section.flag("e164-only", out.e164_only);
    read_dial_area(section, out);
    read_short_numbers(section, out);
    read_blocked(section, out);
    if (!section.is_map()) return std::nullopt;

    const Node* area = section.find("area");
    if (!section.find("country") && (area || section.find("subscriber"))) {
        report.error(node, std::string("'") + (area ? "area" : "subscriber") + "' needs 'country' beside it");
    }
    check_habits(section, out);
    return out;
}

}  // namespace ums::config
