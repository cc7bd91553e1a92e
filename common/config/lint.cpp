// SPDX-License-Identifier: GPL-3.0-or-later
//
// Rules that cannot be meant: that never act, that ask for what cannot be, patterns that look like something else.
//
// A rule never acts if an earlier one takes all that it could: each condition of the earlier one is implied by one of
// its own. Only what can be told for certain is said: a rule with `any` or `not` takes an unknown part, and one that holds
// lets what was released pass.
#include <algorithm>
#include <map>
#include <optional>

#include "config/draft.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

using Field = Condition::Field;
using Kind = Pattern::Kind;

// E.164: a country code and a number, 15 digits in all.
constexpr std::size_t most_digits = 15;
// For tables of tens of thousands of rules: what takes too long is not told.
constexpr std::size_t most_comparisons = 20'000'000;

// A pattern in the form that tells what it covers.
struct Shape {
    enum class Kind { exact, prefix, suffix, all, other } kind = Kind::other;
    std::string service;  // `sms`; empty: any
    std::string text;     // normalised, in lower case; of prefix and suffix without the *
    std::string spelled;  // tells `other` ones apart
};

Shape shape_of(const Pattern& pattern, Field field, const number::Numbering* home) {
    Shape shape;
    shape.spelled = std::to_string(static_cast<int>(pattern.kind)) + ":" + pattern.text;
    if (pattern.kind != Kind::text) return shape;
    std::string text = text::lower(text::trim(pattern.text));
    if (field == Field::recipient || field == Field::sender) {
        shape.service = take_service(text);
    }
    const bool numbers = field == Field::recipient || field == Field::sender || field == Field::header;
    if (numbers && number::is_number_pattern(text)) text = number::normalise_pattern(text, home);
    const auto special = text.find_first_of("*?");
    if (text == "*") {
        shape.kind = Shape::Kind::all;
    } else if (field == Field::sender && text.starts_with('@') && special == std::string::npos) {
        shape.kind = Shape::Kind::suffix;
    } else if (special == std::string::npos) {
        shape.kind = Shape::Kind::exact;
    } else if (special + 1 == text.size() && text[special] == '*') {
        shape.kind = Shape::Kind::prefix;
        text.pop_back();
    } else if (special == 0 && text[0] == '*' && text.find_first_of("*?", 1) == std::string::npos) {
        shape.kind = Shape::Kind::suffix;
        text.erase(0, 1);
    }
    shape.text = std::move(text);
    return shape;
}

// Whether each value that `narrow` matches is matched by `wide`.
bool covers(const Shape& wide, const Shape& narrow) {
    if (!wide.service.empty() && wide.service != narrow.service) return false;
    if (wide.kind == Shape::Kind::all) return true;
    if (wide.spelled == narrow.spelled) return true;
    const std::string_view text = narrow.text;
    switch (wide.kind) {
        case Shape::Kind::exact: return narrow.kind == Shape::Kind::exact && text == wide.text;
        case Shape::Kind::prefix: {
            if (narrow.kind == Shape::Kind::exact || narrow.kind == Shape::Kind::prefix)
                return text.starts_with(wide.text);
            const auto special = text.find_first_of("*?");
            return narrow.kind == Shape::Kind::other && special != std::string_view::npos &&
                   text.substr(0, special).starts_with(wide.text);
        }
        case Shape::Kind::suffix:
            return (narrow.kind == Shape::Kind::exact || narrow.kind == Shape::Kind::suffix) &&
                   text.ends_with(wide.text);
        default: return false;
    }
}

struct Known {
    const Condition* condition;
    std::string header;  // in lower case
    std::vector<Shape> shapes;
};

// A rule's conditions that must all hold: its own, and those of `all`.
struct Rule {
    const Route* route = nullptr;
    std::vector<Known> conditions;
    std::vector<std::vector<Known>> none;  // of `not`, where they are simple
    bool simple = true;                    // has nothing but these
};

void collect(const Test& test, const number::Numbering* home, std::vector<Known>& out) {
    for (const auto& condition : test.conditions) {
        Known known{&condition, text::lower(condition.header), {}};
        for (const auto& pattern : condition.patterns) known.shapes.push_back(shape_of(pattern, condition.field, home));
        out.push_back(std::move(known));
    }
}

Rule rule_of(const Route& route, const number::Numbering* home) {
    Rule rule;
    rule.route = &route;
    rule.simple = route.when.any.empty() && route.when.none.empty();
    collect(route.when, home, rule.conditions);
    for (const auto& part : route.when.all) {
        if (part.any.empty() && part.all.empty() && part.none.empty()) {
            collect(part, home, rule.conditions);
        } else {
            rule.simple = false;
        }
    }
    for (const auto& part : route.when.none) {
        if (!part.any.empty() || !part.all.empty() || !part.none.empty()) continue;
        collect(part, home, rule.none.emplace_back());
    }
    return rule;
}

bool is_patterns(Field field) noexcept {
    return field != Field::size && field != Field::pages && field != Field::hours && field != Field::days;
}

// Whether `wide` holds whenever `narrow` does.
bool implied(const Known& wide, const Known& narrow) {
    const auto& a = *wide.condition;
    const auto& b = *narrow.condition;
    if (a.field != b.field || wide.header != narrow.header) return false;
    if (!is_patterns(a.field)) {
        return a.text == b.text && (!a.over || (b.over && *b.over >= *a.over)) &&
               (!a.under || (b.under && *b.under <= *a.under));
    }
    return !narrow.shapes.empty() && std::all_of(narrow.shapes.begin(), narrow.shapes.end(), [&](const Shape& shape) {
        return std::any_of(wide.shapes.begin(), wide.shapes.end(),
                           [&](const Shape& one) { return covers(one, shape); });
    });
}

bool all_implied(const std::vector<Known>& wide, const std::vector<Known>& narrow) {
    return std::all_of(wide.begin(), wide.end(), [&](const Known& condition) {
        // Every recipient has an address and a service, so a rule for all of them asks nothing.
        const bool asks_nothing =
            (condition.condition->field == Field::recipient || condition.condition->field == Field::service) &&
            std::any_of(condition.shapes.begin(), condition.shapes.end(),
                        [](const Shape& shape) { return shape.kind == Shape::Kind::all && shape.service.empty(); });
        return asks_nothing ||
               std::any_of(narrow.begin(), narrow.end(), [&](const Known& other) { return implied(condition, other); });
    });
}

std::string line_of(const Place& place) { return "line " + std::to_string(place.line); }

std::string called(const Route& route) {
    return route.name.empty() ? "the rule" : "the rule " + text::quote(route.name);
}

// All of them exact, and no two the same.
bool exclude_each_other(const Known& a, const Known& b) {
    const auto exact = [](const Known& known) {
        return !known.shapes.empty() && std::all_of(known.shapes.begin(), known.shapes.end(), [](const Shape& shape) {
            return shape.kind == Shape::Kind::exact;
        });
    };
    if (!exact(a) || !exact(b)) return false;
    return std::none_of(a.shapes.begin(), a.shapes.end(), [&](const Shape& one) {
        return std::any_of(b.shapes.begin(), b.shapes.end(), [&](const Shape& other) {
            return one.text == other.text &&
                   (one.service.empty() || other.service.empty() || one.service == other.service);
        });
    });
}

void check_possible(const Rule& rule, Report& report) {
    const auto never = [&](const std::string& why) {
        report.warning(rule.route->place, called(*rule.route) + " never acts: " + why);
    };
    const Known* service = nullptr;
    const Known* recipient = nullptr;
    for (const auto& known : rule.conditions) {
        if (known.condition->field == Field::service) service = &known;
        if (known.condition->field == Field::recipient) recipient = &known;
    }
    if (service != nullptr && recipient != nullptr) {
        const auto fits = [&](const Shape& one) {
            return one.service.empty() ||
                   std::any_of(service->shapes.begin(), service->shapes.end(), [&](const Shape& wanted) {
                       return wanted.kind != Shape::Kind::exact || wanted.text == one.service;
                   });
        };
        if (std::none_of(recipient->shapes.begin(), recipient->shapes.end(), fits)) {
            never("its 'recipient' names " + text::quote(recipient->shapes.front().service + "#") + ", its 'service' " +
                  text::quote(service->shapes.front().text));
            return;
        }
    }
    // A header field may occur twice; these cannot.
    for (std::size_t i = 0; i < rule.conditions.size(); ++i) {
        for (std::size_t k = i + 1; k < rule.conditions.size(); ++k) {
            const auto field = rule.conditions[i].condition->field;
            if (field != rule.conditions[k].condition->field || field == Field::header || field == Field::attachment ||
                !is_patterns(field) || !exclude_each_other(rule.conditions[i], rule.conditions[k]))
                continue;
            never("two of its conditions exclude each other");
            return;
        }
    }
    for (const auto& part : rule.none) {
        if (!part.empty() && all_implied(part, rule.conditions)) {
            never("its 'not' takes back what its conditions ask for");
            return;
        }
    }
}

bool looks_like_wildcard(const std::string& regex) {
    // `+49*` and `\+49*`: digits, and a star that repeats the last of them.
    std::string_view rest = regex;
    for (const std::string_view start : {"^", "\\", "+"}) {
        if (rest.starts_with(start)) rest.remove_prefix(start.size());
    }
    const auto star = rest.find('*');
    return star != std::string_view::npos && star > 0 && star + 1 == rest.size() &&
           rest.substr(0, star).find_first_not_of("0123456789 -/") == std::string_view::npos;
}

void check_pattern(const Pattern& pattern, Field field, const number::Numbering* home, Report& report) {
    const bool numbers = field == Field::recipient || field == Field::sender || field == Field::header;
    if (pattern.kind == Kind::regex) {
        if (numbers && looks_like_wildcard(pattern.text)) {
            report.warning(pattern.place, "the regular expression /" + text::visible(pattern.text) +
                                              "/ looks like a wildcard: its * repeats the digit before it; without the "
                                              "slashes it is one");
        }
        return;
    }
    if (pattern.kind != Kind::text || (field != Field::recipient && field != Field::sender)) return;
    check_service(pattern.text, pattern.place, report);
    const auto shape = shape_of(pattern, field, home);
    const std::string_view text = shape.text;
    if (!text.starts_with('+')) return;
    const auto digits = static_cast<std::size_t>(
        std::count_if(text.begin() + 1, text.end(), [](char c) { return c >= '0' && c <= '9'; }));
    if (digits > most_digits) {
        report.warning(pattern.place, text::quote(pattern.text) + " has " + std::to_string(digits) +
                                          " digits: no number has more than 15 (E.164)");
    } else if (text.size() > 1 && text[1] == '0') {
        report.warning(pattern.place, text::quote(pattern.text) + " is no number: no country code begins with 0");
    } else if (text.find_first_not_of("0123456789*?", 1) != std::string_view::npos &&
               text.find('@') == std::string_view::npos) {
        report.warning(pattern.place,
                       text::quote(pattern.text) + " is no number: letters stand for themselves, they are not dialled");
    }
}

void check_patterns(const Test& test, const number::Numbering* home, Report& report) {
    for (const auto& condition : test.conditions) {
        for (const auto& pattern : condition.patterns) check_pattern(pattern, condition.field, home, report);
    }
    for (const auto* parts : {&test.any, &test.all, &test.none}) {
        for (const auto& part : *parts) check_patterns(part, home, report);
    }
}

// A text that two rules share only if they ask for the same.
void spell(const Test& test, std::string& out) {
    const auto part = [&](std::string_view text) { out += std::to_string(text.size()) + ":" + std::string(text); };
    for (const auto& condition : test.conditions) {
        out += "c" + std::to_string(static_cast<int>(condition.field));
        part(text::lower(condition.header));
        part(condition.text);
        part(condition.over ? std::to_string(*condition.over) : "");
        part(condition.under ? std::to_string(*condition.under) : "");
        for (const auto& pattern : condition.patterns) {
            out += "p" + std::to_string(static_cast<int>(pattern.kind));
            part(pattern.text);
        }
    }
    const auto nested = [&](char name, const std::vector<Test>& tests) {
        for (const auto& inner : tests) {
            out += name;
            out += '(';
            spell(inner, out);
            out += ')';
        }
    };
    nested('o', test.any);
    nested('a', test.all);
    nested('n', test.none);
}

}  // namespace

std::string_view take_service(std::string& pattern) {
    for (const auto service : services) {
        if (!pattern.starts_with(service) || pattern.size() <= service.size() || pattern[service.size()] != '#')
            continue;
        pattern = text::trim(std::string_view(pattern).substr(service.size() + 1));
        return service;
    }
    return {};
}

void check_service(std::string_view pattern, const Place& place, Report& report) {
    const auto word = text::lower(text::trim(pattern.substr(0, pattern.find('#'))));
    const bool is_word = !word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos;
    if (!is_word || pattern.find('#') == pattern.npos ||
        std::find(services.begin(), services.end(), word) != services.end())
        return;
    const auto near = text::nearest(word, services);
    report.warning(
        place, text::quote(pattern) + " fits no number: there is no service " + text::quote(word) +
                   (near ? "; did you mean " + text::quote(*near) + "?" : "; there are fax, sms, voc, mwi and tts"));
}

void check_rules(const Config& config, Report& report) {
    const number::Numbering* home = config.mds.numbering ? &*config.mds.numbering : nullptr;
    const Route* catch_all = nullptr;
    std::map<std::string, const Route*> spelled;
    std::vector<Rule> earlier;
    std::size_t comparisons = 0;
    for (const auto& route : config.routes) {
        check_patterns(route.when, home, report);
        if (catch_all != nullptr) {
            report.warning(route.place, called(route) + " never acts: the one in " + line_of(catch_all->place) +
                                            " takes every message");
            continue;
        }
        auto rule = rule_of(route, home);
        check_possible(rule, report);
        const bool lets_pass = route.action == Route::Action::hold;
        if (rule.simple && all_implied(rule.conditions, {})) {
            if (!lets_pass) catch_all = &route;
            continue;
        }
        std::string spelling;
        spell(route.when, spelling);
        const auto [first, is_new] = spelled.emplace(std::move(spelling), &route);
        if (!is_new && first->second->action != Route::Action::hold) {
            report.warning(route.place, called(route) + " never acts: it has the conditions of the one in " +
                                            line_of(first->second->place));
            continue;
        }
        comparisons += earlier.size();
        if (comparisons < most_comparisons) {
            const auto wider = std::find_if(earlier.begin(), earlier.end(), [&](const Rule& other) {
                return all_implied(other.conditions, rule.conditions);
            });
            if (wider != earlier.end()) {
                const bool same_field =
                    wider->conditions.size() == 1 && wider->conditions[0].condition->field == Field::recipient;
                report.warning(route.place, called(route) + " never acts: the one in " + line_of(wider->route->place) +
                                                (same_field ? " takes these recipients" : " takes these messages"));
                continue;
            }
        }
        if (rule.simple && !lets_pass) earlier.push_back(std::move(rule));
    }
    if (catch_all == nullptr && !config.routes.empty()) {
        report.warning(config.routes.back().place,
                       "the last rule does not take every message: what matches no rule goes to noroute; "
                       "'to: noroute' as the last rule says that this is meant");
    }
}

}  // namespace ums::config
