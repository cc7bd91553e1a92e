// SPDX-License-Identifier: GPL-3.0-or-later
//
// The forms of mail addresses in `deliver:` of a connector.
#include <algorithm>
#include <set>

#include "config/document.hpp"
#include "config/draft.hpp"
#include "error/error.hpp"
#include "number/number.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

constexpr std::size_t longest_form = 254;

std::string_view unquoted(std::string_view cell) noexcept {
    cell = text::trim(cell);
    if (cell.size() >= 2 && cell.starts_with('"') && cell.ends_with('"')) {
        cell = text::trim(cell.substr(1, cell.size() - 2));
    }
    return cell;
}

}  // namespace

std::optional<std::string> problem_of_address(std::string_view form, std::string_view number) {
    if (form.size() > longest_form) return "it is longer than a mail address can be";
    const auto at = form.find('@');
    if (at == std::string_view::npos || at == 0 || at + 1 == form.size() || form.find('@', at + 1) != form.npos) {
        return "it is no mail address, such as {" + std::string(number) + "}@fax.example.com";
    }
    const auto strange = std::find_if(form.begin(), form.end(), [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f ||
               std::string_view("<>()[],;:\\\"").find(c) != std::string_view::npos;
    });
    if (strange != form.end()) return "it has a character that does not belong into an address";
    for (auto open = form.find_first_of("{}"); open != std::string_view::npos; open = form.find_first_of("{}", open)) {
        const auto close = form.find('}', open);
        if (form[open] == '}' || close == std::string_view::npos) return "a brace stands alone";
        const auto name = form.substr(open + 1, close - open - 1);
        const bool is_number = name == number || name == "digits";
        if (!is_number && name != "service") {
            return "there is no {" + std::string(name) + "}, but {" + std::string(number) + "}, {digits} and {service}";
        }
        if (is_number && open > at) return "{" + std::string(name) + "} can only stand before the @";
        open = close + 1;
    }
    return std::nullopt;
}

std::vector<AddressRow> read_addresses(const std::string& file, const Node& node, Report& report) {
    std::string content;
    try {
        content = read_file(file, "the addresses");
    } catch (const Error& error) {
        report.error(node, error.what());
        return {};
    }
    std::vector<AddressRow> rows;
    std::set<std::string, std::less<>> seen;
    std::string_view rest = content;
    if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
    int line = 0;
    bool first = true;
    for (const auto one : text::split(rest, '\n')) {
        ++line;
        const auto text = text::trim(one);
        if (text.empty() || text.starts_with('#')) continue;
        const Place place{file, line, 1};
        const auto comma = text.find(',');
        const auto pattern = unquoted(text.substr(0, comma));
        const auto address = comma == std::string_view::npos ? std::string_view() : unquoted(text.substr(comma + 1));
        const bool is_heading = first && address.find('@') == std::string_view::npos;
        first = false;
        if (is_heading && pattern.find_first_of("0123456789*?") == std::string_view::npos) continue;
        if (pattern != "*" && !number::is_number_pattern(pattern)) {
            report.error(place, text::quote(pattern) + " is no number, also not with * and ?");
        } else if (const auto problem = problem_of_address(address, "number")) {
            report.error(place, text::quote(address) + ": " + *problem);
        } else if (!seen.emplace(pattern).second) {
            report.error(place, text::quote(pattern) + " stands there twice");
        } else {
            rows.push_back({std::string(pattern), std::string(address)});
        }
    }
    return rows;
}

}  // namespace ums::config
