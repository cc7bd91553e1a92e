// SPDX-License-Identifier: GPL-3.0-or-later
//
// The section `routes:`.
#include <re2/re2.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>

#include "config/draft.hpp"
#include "config/section.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

using Field = Condition::Field;
using Kind = Pattern::Kind;

constexpr std::array<std::string_view, 3> degrees{"high", "normal", "low"};

bool has_wildcard(std::string_view text) noexcept { return text.find_first_of("*?") != std::string_view::npos; }

// Only looked at, not opened: what stands there may be a pipe.
std::string problem_of_file(const std::string& path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status)) return std::strerror(error ? error.value() : ENOENT);
    if (!std::filesystem::is_regular_file(status)) return "it is no regular file";
    if (::access(path.c_str(), R_OK) != 0) return std::strerror(errno);
    return {};
}

std::optional<Pattern> read_table(const Node& node, std::string_view key, Field field, Draft& draft) {
    // A service and a connector are no numbers.
    const bool numbers = field == Field::recipient || field == Field::sender || field == Field::header;
    Section section(node, key, numbers ? keys::Keys(keys::table) : keys::Keys(keys::list), draft.report);
    Pattern pattern;
    pattern.place = draft.report.place(node);
    std::string prefixes;
    std::string in;
    const bool has_prefixes = numbers && section.path("prefixes", prefixes, draft.base);
    const bool has_in = section.path("in", in, draft.base);
    if (node.keys.empty()) {
        draft.report.error(
            node, text::quote(key) + " must be a pattern" + (numbers ? ", {prefixes: file}" : "") + " or {in: file}");
        return std::nullopt;
    }
    if (has_prefixes && has_in) {
        draft.report.error(node, "'prefixes' and 'in' cannot stand together; make a list of two");
        return std::nullopt;
    }
    if (!has_prefixes && !has_in) return std::nullopt;
    pattern.kind = has_prefixes ? Kind::prefixes : Kind::in;
    pattern.text = has_prefixes ? prefixes : in;
    if (const auto problem = problem_of_file(pattern.text); !problem.empty()) {
        draft.report.error(*section.find(has_prefixes ? "prefixes" : "in"),
                           "cannot read " + text::quote(pattern.text) + ": " + problem);
    }
    return pattern;
}

std::optional<Pattern> read_text_pattern(const Node& node, std::string_view key, Field field, Draft& draft) {
    Report& report = draft.report;
    const auto* value = read_line(node, key, report);
    if (!value) return std::nullopt;
    Pattern pattern{Kind::text, *value, report.place(node)};
    if (value->starts_with('/')) {
        if (value->size() < 3 || !value->ends_with('/')) {
            report.error(node, text::quote(*value) + " begins like a regular expression: write /" +
                                   (value->ends_with('/') ? "..." : text::escape(value->substr(1))) +
                                   "/ (and options as in /(?i)abc/)");
            return std::nullopt;
        }
        pattern.kind = Kind::regex;
        pattern.text = value->substr(1, value->size() - 2);
        // As rules compiles it: what cannot be compiled there must not pass here.
        const re2::RE2 regex(pattern.text, re2::RE2::Quiet);
        if (!regex.ok()) {
            report.error(node, "the regular expression " + text::quote(*value) +
                                   " cannot be used: " + text::escape(regex.error()));
            return std::nullopt;
        }
        return pattern;
    }
    // `MAIL FROM:<>` and an empty field are things that exist; an empty number is not.
    if (text::trim(*value).empty() && field != Field::sender && field != Field::header) {
        report.error(node, text::quote(key) + " is empty");
        return std::nullopt;
    }
    if (has_wildcard(*value)) return pattern;
    if (field == Field::importance && std::none_of(degrees.begin(), degrees.end(), [&](std::string_view degree) {
            return text::equal_ignoring_case(degree, *value);
        })) {
        report.unknown(report.place(node), "importance", *value, degrees);
        return std::nullopt;
    }
    if (field == Field::connector) draft.refer(Reference::To::connector, node);
    if (field == Field::service && std::none_of(services.begin(), services.end(), [&](std::string_view service) {
            return text::equal_ignoring_case(service, *value);
        })) {
        report.unknown(report.place(node), "service", *value, services);
        return std::nullopt;
    }
    return pattern;
}

std::vector<Pattern> read_patterns(const Node& node, std::string_view key, Field field, Draft& draft) {
    std::vector<Pattern> out;
    const auto add = [&](const Node& item) {
        if (item.refused) return;
        auto pattern = item.kind == Node::Kind::map ? read_table(item, key, field, draft)
                                                    : read_text_pattern(item, key, field, draft);
        if (pattern) out.push_back(std::move(*pattern));
    };
    if (node.kind == Node::Kind::list) {
        if (node.values.empty()) draft.report.error(node, text::quote(key) + " is an empty list: nothing would match");
        for (const auto& item : node.values) add(item);
    } else {
        add(node);
    }
    return out;
}

void read_header_conditions(const Node& node, Test& test, Draft& draft) {
    if (node.kind != Node::Kind::map || node.keys.empty()) {
        report_wrong(node, "header", "a map of a field and what it must be ({X-Name: pattern})", draft.report);
        return;
    }
    std::set<std::string> seen;
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
        const Node& name = node.keys[i];
        if (name.refused || node.values[i].refused) continue;
        if (!is_field_name(name.text)) {
            draft.report.error(name, text::quote(name.text) + " cannot be the name of a header field");
            continue;
        }
        if (!seen.insert(text::lower(name.text)).second) continue;
        Condition condition;
        condition.field = Field::header;
        condition.header = name.text;
        condition.place = draft.report.place(name);
        condition.patterns = read_patterns(node.values[i], name.text, Field::header, draft);
        test.conditions.push_back(std::move(condition));
    }
}

Test read_test(const Node& node, std::string_view key, Draft& draft);

std::vector<Test> read_tests(const Node& node, std::string_view key, Draft& draft) {
    std::vector<Test> out;
    const auto add = [&](const Node& item) {
        if (item.refused) return;
        if (item.kind == Node::Kind::map && item.keys.empty()) {
            draft.report.error(item, "a condition in " + text::quote(key) + " is empty");
            return;
        }
        out.push_back(read_test(item, key, draft));
    };
    if (node.kind == Node::Kind::list) {
        if (node.values.empty()) draft.report.error(node, text::quote(key) + " is an empty list");
        for (const auto& item : node.values) add(item);
    } else if (key == "not" && node.kind == Node::Kind::map) {
        add(node);
    } else {
        report_wrong(node, key,
                     key == "not" ? "a condition or a list of them ({field: pattern})"
                                  : "a list of conditions ([{field: pattern}, ...])",
                     draft.report);
    }
    return out;
}

// `{over: 5, under: 20}`, amounts as `parse` understands them; pages may name their header field.
Condition read_range(const Node& node, std::string_view key, Field field, Draft& draft) {
    const bool pages = field == Field::pages;
    Section section(node, key, pages ? keys::Keys(keys::pages) : keys::Keys(keys::size), draft.report);
    Condition condition;
    condition.field = field;
    condition.place = draft.report.place(node);
    const auto amount = [&](std::string_view name, std::optional<std::uint64_t>& out) {
        const Node* value = section.find(name);
        if (!value) return;
        if (value->kind == Node::Kind::text) {
            if (const auto bytes = pages ? std::nullopt : text::parse_bytes(value->text)) out = bytes->count;
            if (const auto number = pages ? text::parse_number(value->text) : std::nullopt) out = *number;
        }
        if (!out) report_wrong(*value, name, pages ? "a number" : "a size such as 500KB or 5MB", draft.report);
    };
    amount("over", condition.over);
    amount("under", condition.under);
    if (pages) {
        condition.header = "X-MaxPages";
        if (section.text("field", condition.header) && !is_field_name(condition.header)) {
            draft.report.error(*section.find("field"),
                               text::quote(condition.header) + " cannot be the name of a header field");
        }
    }
    if (!section.is_map()) return condition;
    if (!section.find("over") && !section.find("under")) {
        draft.report.error(node, text::quote(key) + " needs 'over' or 'under'");
    } else if (condition.over && condition.under && *condition.over + 1 >= *condition.under) {
        draft.report.error(
            node, "nothing is over " + section.find("over")->text + " and under " + section.find("under")->text);
    }
    return condition;
}

// `8:00`, `18:30`, `24:00`.
std::optional<unsigned> parse_time(std::string_view text) {
    const auto colon = text.find(':');
    const auto hour = text::parse_number(text.substr(0, colon));
    const auto minute = colon == std::string_view::npos ? std::optional<unsigned long long>(0)
                                                        : text::parse_number(text.substr(colon + 1));
    const bool right = hour && minute && *minute < 60 && *hour * 60 + *minute <= 1440 &&
                       (colon == std::string_view::npos || text.size() - colon == 3);
    if (!right) return std::nullopt;
    return static_cast<unsigned>(*hour * 60 + *minute);
}

std::optional<Hours> parse_hours(std::string_view text) {
    const auto dash = text.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto from = parse_time(text::trim(text.substr(0, dash)));
    const auto to = parse_time(text::trim(text.substr(dash + 1)));
    if (!from || !to || *from == *to || *from == 1440) return std::nullopt;
    return Hours{*from, *to};
}

constexpr std::array<std::string_view, 7> day_names{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

// `mon`, `mon-fri`, `fri-mon`, `2026-12-24`, `12-24`.
bool parse_days(std::string_view text, Days& days) {
    const auto day_of = [](std::string_view name) -> std::optional<unsigned> {
        const std::string lower = text::lower(text::trim(name));
        for (unsigned i = 0; i < day_names.size(); ++i) {
            if (lower == day_names[i]) return i;
        }
        return std::nullopt;
    };
    const auto parts = text::split(text, '-');
    if (const auto first = day_of(parts[0])) {
        const auto last = parts.size() == 1 ? first : parts.size() == 2 ? day_of(parts[1]) : std::nullopt;
        if (!last) return false;
        for (unsigned day = *first;; day = (day + 1) % 7) {
            days.weekdays |= 1U << day;
            if (day == *last) return true;
        }
    }
    if (parts.size() < 2 || parts.size() > 3) return false;
    std::array<unsigned, 3> numbers{};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto number = text::parse_number(parts[i]);
        if (!number || *number > 9999) return false;
        numbers[i + 3 - parts.size()] = static_cast<unsigned>(*number);
    }
    // A leap year stands for "every year": 02-29 exists.
    const std::chrono::year_month_day date{std::chrono::year(parts.size() == 3 ? static_cast<int>(numbers[0]) : 2024),
                                           std::chrono::month(numbers[1]), std::chrono::day(numbers[2])};
    if (!date.ok()) return false;
    days.dates.push_back({static_cast<int>(numbers[0]), numbers[1], numbers[2]});
    return true;
}

void read_times(Section& section, Test& test, Draft& draft) {
    const auto read = [&](std::string_view key, Field field, const std::string& wanted, auto parse) {
        const Node* node = section.find(key);
        if (!node) return;
        Condition condition;
        condition.field = field;
        condition.place = draft.report.place(*node);
        for (const Node* one : section.texts(key)) {
            if (!parse(one->text, condition)) report_wrong(*one, key, wanted, draft.report);
            condition.text += (condition.text.empty() ? "" : ", ") + one->text;
        }
        test.conditions.push_back(std::move(condition));
    };
    read("hours", Field::hours, "a span such as 08:00-18:00", [](const std::string& text, Condition& condition) {
        const auto hours = parse_hours(text);
        if (hours) condition.hours.push_back(*hours);
        return hours.has_value();
    });
    read("days", Field::days, "days such as mon-fri, sat, 2026-12-24 or 12-24",
         [](const std::string& text, Condition& condition) { return parse_days(text, condition.days); });
}

// The conditions that `section`, a rule or a nested test, has.
Test read_conditions(Section& section, Draft& draft) {
    Test test;
    const auto simple = [&](std::string_view key, Field field) {
        const Node* node = section.find(key);
        if (!node) return;
        Condition condition;
        condition.field = field;
        condition.place = draft.report.place(*node);
        condition.patterns = read_patterns(*node, key, field, draft);
        test.conditions.push_back(std::move(condition));
    };
    simple("recipient", Field::recipient);
    simple("sender", Field::sender);
    simple("service", Field::service);
    simple("connector", Field::connector);
    simple("importance", Field::importance);
    simple("attachment", Field::attachment);
    if (const Node* size = section.find("size"))
        test.conditions.push_back(read_range(*size, "size", Field::size, draft));
    if (const Node* pages = section.find("pages"))
        test.conditions.push_back(read_range(*pages, "pages", Field::pages, draft));
    read_times(section, test, draft);
    if (const Node* header = section.find("header")) read_header_conditions(*header, test, draft);
    if (const Node* any = section.find("any")) test.any = read_tests(*any, "any", draft);
    if (const Node* all = section.find("all")) test.all = read_tests(*all, "all", draft);
    if (const Node* none = section.find("not")) test.none = read_tests(*none, "not", draft);
    return test;
}

Test read_test(const Node& node, std::string_view key, Draft& draft) {
    Section section(node, key, keys::test, draft.report);
    return read_conditions(section, draft);
}

// Whether a table that names sites takes part in the decision. Asked of the file rather than of what was understood, so
// that one mistake is not two.
bool has_table_of_sites(const Node& node) {
    for (std::size_t i = 0; i < node.values.size(); ++i) {
        const bool is_map = node.kind == Node::Kind::map;
        if (is_map && node.keys[i].text == "prefixes") return true;
        if (is_map && node.keys[i].text == "not") continue;
        if (has_table_of_sites(node.values[i])) return true;
    }
    return false;
}

void read_to(Section& section, Route& route, Draft& draft) {
    const Node* node = section.find("to");
    if (!node) return;
    if (node->kind == Node::Kind::text && node->text == "*") {
        route.to = {"*"};
        if (!has_table_of_sites(section.node())) {
            draft.report.error(*node,
                               "'to: *' takes the site from a table: the rule needs recipient: {prefixes: file}");
        }
        return;
    }
    if (node->kind == Node::Kind::text && text::equal_ignoring_case(node->text, "noroute")) {
        route.action = Route::Action::noroute;
        return;
    }
    std::set<std::string_view> seen;
    for (const Node* name : section.texts("to")) {
        if (name->text == "*" || text::equal_ignoring_case(name->text, "noroute")) {
            draft.report.error(*name, text::quote(name->text) + " stands alone in 'to', not in a list");
        } else if (!seen.insert(name->text).second) {
            draft.report.error(*name, "'to' names " + text::quote(name->text) + " twice");
        } else {
            draft.refer(Reference::To::site, *name);
            route.to.push_back(name->text);
        }
    }
}

void read_route(const Node& node, Draft& draft) {
    Section section(node, "rule", keys::route, draft.report);
    Route route;
    route.place = draft.report.place(node);
    section.text("name", route.name);
    section.prose("note", route.note);
    route.when = read_conditions(section, draft);
    read_to(section, route, draft);
    if (section.prose("hold", route.text)) route.action = Route::Action::hold;
    if (section.prose("reject", route.text)) route.action = Route::Action::reject;
    std::set<std::string_view> actions;
    for (const auto& key : node.keys) {
        if (key.text == "to" || key.text == "hold" || key.text == "reject") actions.insert(key.text);
    }
    if (section.is_map() && actions.empty()) {
        draft.report.error(node, "the rule has no 'to' (a site, a list of sites, '*' or noroute), 'hold' or 'reject'");
    } else if (actions.size() > 1) {
        draft.report.error(node, "a rule does one thing: 'to', 'hold' or 'reject'");
    }
    draft.config.routes.push_back(std::move(route));
}

}  // namespace

void read_routes(const Node& node, Draft& draft) {
    if (node.kind != Node::Kind::list) {
        report_wrong(node, "routes", "a list of rules (- {recipient: ..., to: site})", draft.report);
        return;
    }
    if (node.values.empty()) draft.report.error(node, "'routes' is empty: at least one rule is needed");
    for (const auto& rule : node.values) {
        if (!rule.refused) read_route(rule, draft);
    }
}

}  // namespace ums::config
