// SPDX-License-Identifier: GPL-3.0-or-later
//
// The section `routes:`.
#include <re2/re2.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
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

constexpr std::array<std::string_view, 5> services{"fax", "sms", "voc", "mwi", "tts"};

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
    const bool numbers = field != Field::service && field != Field::connector;
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
        route.noroute = true;
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
    const bool has_to =
        std::any_of(node.keys.begin(), node.keys.end(), [](const Node& key) { return key.text == "to"; });
    if (section.is_map() && !has_to) {
        draft.report.error(node, "the rule has no 'to': a site, a list of sites, '*' or noroute");
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
