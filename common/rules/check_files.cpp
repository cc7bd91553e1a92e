// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <map>
#include <set>

#include "rules/conditions.hpp"
#include "rules/rules.hpp"
#include "text/text.hpp"

namespace ums::rules {

namespace {

using Action = config::Route::Action;

// What an earlier rule takes: the rows of its table, or the numbers that begin with its pattern.
struct Taker {
    const config::Route* route;
    const CompiledPattern* pattern;
};

std::string site_of(const config::Route& route, const std::string& of_row) {
    if (route.action != Action::route) return "another end";
    return route.to.size() == 1 && route.to.front() == "*" ? of_row : route.to.front();
}

// Where `number` goes by an earlier rule: nothing if it is none that this one takes for certain.
std::optional<std::string> taken_to(const Taker& taker, std::string_view number) {
    if (const auto* table = taker.pattern->table()) {
        const auto row = table->find(number);
        return row ? std::optional(site_of(*taker.route, *row->site)) : std::nullopt;
    }
    // All that begins so, if the number with anything behind it is matched: `+43*`.
    Value longer = make_value(std::string(number) + "0", std::nullopt, nullptr);
    Value exact = make_value(std::string(number), std::nullopt, nullptr);
    if (!taker.pattern->is_open_prefix() || !taker.pattern->matches(exact) || !taker.pattern->matches(longer))
        return std::nullopt;
    return site_of(*taker.route, "");
}

void add_table_sites(const CompiledTest& test, std::set<std::string_view>& sites) {
    for (const auto& condition : test.conditions) {
        for (const auto& pattern : condition.patterns) {
            if (pattern.table() == nullptr) continue;
            for (const auto& site : pattern.table()->sites()) sites.insert(site.name);
        }
    }
    for (const auto& part : test.any) add_table_sites(part, sites);
    for (const auto& part : test.all) add_table_sites(part, sites);
}

// Where `to: '*'` leads only the tables tell.
void check_sites(const config::Config& config, const std::vector<CompiledTest>& tests,
                 std::vector<config::Diagnostic>& found) {
    std::set<std::string_view> wanted;
    bool any = false;
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const auto& to = config.routes[i].to;
        wanted.insert(to.begin(), to.end());
        if (to.size() != 1 || to.front() != "*") continue;
        any = true;
        add_table_sites(tests[i], wanted);
    }
    for (const auto& site : config.sites) wanted.insert(site.fallback.begin(), site.fallback.end());
    for (const auto& site : config.sites) {
        if (!any || wanted.contains(site.name)) continue;
        found.push_back({config::Severity::warning, site.place,
                         "no rule and no row of a table routes to site " + text::quote(site.name) +
                             ", and no site falls back to it"});
    }
}

// The only condition of a rule, if it is one on recipients.
const CompiledCondition* only_recipients(const CompiledTest& test) {
    if (test.conditions.size() != 1 || !test.any.empty() || !test.all.empty() || !test.none.empty()) return nullptr;
    const auto& condition = test.conditions.front();
    return condition.source->field == config::Condition::Field::recipient ? &condition : nullptr;
}

void check_rows(const config::Route& route, const CompiledPattern& pattern, const std::vector<Taker>& takers,
                std::vector<config::Diagnostic>& found) {
    struct Shadowed {
        std::size_t rows = 0;
        std::string example;
    };
    std::map<const config::Route*, Shadowed> shadowed;
    const auto& table = *pattern.table();
    for (std::size_t i = 0; i < table.size(); ++i) {
        const auto row = table.row(i);
        for (const auto& taker : takers) {
            const auto site = taken_to(taker, row.number);
            if (!site) continue;
            if (*site != site_of(route, *row.site)) {
                auto& entry = shadowed[taker.route];
                if (++entry.rows == 1) {
                    entry.example = text::quote(row.number) + " (line " + std::to_string(row.line) + ") goes to " +
                                    text::quote(*site) + " there, and would go to " +
                                    text::quote(site_of(route, *row.site)) + " here";
                }
            }
            break;  // the first rule that takes it
        }
    }
    for (const auto& [other, entry] : shadowed) {
        found.push_back({config::Severity::warning, route.place,
                         std::to_string(entry.rows) + (entry.rows == 1 ? " row" : " rows") + " of " + pattern.name() +
                             " never " + (entry.rows == 1 ? "acts" : "act") + ": the rule in line " +
                             std::to_string(other->place.line) + " takes these numbers; " + entry.example});
    }
}

}  // namespace

std::vector<config::Diagnostic> check_files(const config::Config& config) {
    std::vector<config::Diagnostic> found;
    const number::Numbering* home = config.mds.numbering ? &*config.mds.numbering : nullptr;
    std::vector<CompiledTest> tests;
    tests.reserve(config.routes.size());
    try {
        for (const auto& route : config.routes) {
            tests.push_back(compile(route.when, home, config.mds.time_zone));
            if (route.to.size() == 1 && route.to.front() == "*") check_sites_of_rows(tests.back(), config);
        }
    } catch (const Error& error) {
        found.push_back({config::Severity::error, {config.file, 0, 0}, error.what()});
        return found;
    }
    std::vector<Taker> takers;
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const auto& route = config.routes[i];
        const auto* condition = only_recipients(tests[i]);
        if (condition == nullptr) continue;
        for (const auto& pattern : condition->patterns) {
            if (pattern.table() != nullptr) check_rows(route, pattern, takers, found);
        }
        if (route.action == Action::hold) continue;  // lets pass what was released
        for (const auto& pattern : condition->patterns) takers.push_back({&route, &pattern});
    }
    check_sites(config, tests, found);
    return found;
}

}  // namespace ums::rules
