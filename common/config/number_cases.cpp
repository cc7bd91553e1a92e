// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/number_cases.hpp"

#include "config/draft.hpp"
#include "config/section.hpp"
#include "error/error.hpp"
#include "number/forming.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

using number::Conversion;

constexpr std::string_view refused = "refused";

NumberCase read_case(const Node& node, const Config& config, Report& report) {
    Section section(node, "case", keys::number_case, report);
    std::string name;
    section.text("name", name);
    std::string site;
    if (section.text("site", site) && config.site(site) == nullptr) {
        std::vector<std::string_view> names;
        for (const auto& one : config.sites) names.push_back(one.name);
        report.unknown(report.place(*section.find("site")), "site", site, names);
    }
    auto one = read_number_case(section);
    one.name = std::move(name);
    one.site = std::move(site);
    if (one.site.empty() && config.sites.size() == 1) one.site = config.sites.front().name;
    if (section.is_map() && !section.find("site") && one.site.empty()) report.error(node, "the case has no 'site'");
    return one;
}

}  // namespace

NumberCase read_number_case(Section& section) {
    NumberCase one;
    Report& report = section.report();
    one.place = report.place(section.node());
    if (section.text("number", one.number)) {
        const auto number = number::strip(one.number);
        if (number.find_first_of("0123456789") == std::string::npos) {
            report_wrong(*section.find("number"), "number", "a telephone number", report);
        }
    }
    section.choice("direction", one.direction,
                   {{"incoming", Conversion::Direction::incoming}, {"outgoing", Conversion::Direction::outgoing}});
    section.choice("kind", one.kind,
                   {{"destination", Conversion::Kind::destination},
                    {"originator", Conversion::Kind::originator},
                    {"redirector", Conversion::Kind::redirector}});
    if (const Node* type = section.find("type")) {
        one.type = type->kind == Node::Kind::text ? number::parse_type_of_number(type->text) : std::nullopt;
        if (!one.type) report_wrong(*type, "type", "unknown, subscriber, national or international", report);
    }
    section.text("expected", one.expected, Empty::allowed);
    if (!section.is_map()) return one;
    for (const auto* key : {"number", "direction", "expected"}) {
        if (!section.find(key)) {
            report.error(section.node(), std::string("it has no '") + key +
                                             "': {number: '+49 89 1', direction: outgoing, expected: '00891'}");
        }
    }
    if (one.direction == Conversion::Direction::outgoing) {
        for (const auto* key : {"type", "kind"}) {
            const Node* node = section.find(key);
            if (node && (std::string_view(key) == "type" || one.kind != Conversion::Kind::destination)) {
                report.error(*node, text::quote(key) + " goes with 'direction: incoming'");
            }
        }
    }
    return one;
}

NumberResult try_number(const Site& site, const NumberCase& one) {
    NumberResult result;
    const number::Numbering none;
    const auto& numbering = site.numbering ? *site.numbering : none;
    if (one.direction == Conversion::Direction::incoming) {
        result.got =
            site.numbering
                ? number::form(numbering, site.conversions, one.kind, one.number, one.type, &result.steps).number
                : number::strip(one.number);
    } else {
        try {
            result.got = site.numbering ? number::outgoing(numbering, site.conversions, one.number, &result.steps)
                                        : number::strip(one.number);
        } catch (const Error& error) {
            if (error.fault() != Fault::unusable) throw;
            result.got = refused;
            result.steps.push_back({error.what(), std::string(refused)});
        }
    }
    const bool refusal = text::equal_ignoring_case(one.expected, refused);
    result.passed = refusal ? result.got == refused : number::strip(one.expected) == number::strip(result.got);
    return result;
}

void check_examples(Draft& draft) {
    for (const auto& site : draft.config.sites) {
        for (const auto& example : site.examples) {
            const auto result = try_number(site, example);
            if (result.passed) continue;
            std::string how;
            for (const auto& step : result.steps) how += (how.empty() ? "" : "; ") + step.what + ": " + step.number;
            draft.report.error(example.place, "example of site " + text::quote(site.name) + ": " +
                                                  text::quote(example.number) + " becomes " + text::quote(result.got) +
                                                  ", not " + text::quote(example.expected) +
                                                  (how.empty() ? "" : " (" + text::visible(how) + ")"));
        }
    }
}

LoadedNumberCases load_number_cases(const std::string& file, const Config& config) {
    LoadedNumberCases loaded;
    Report report(file);
    read_cases(file, "- {site: ..., number: ..., expected: ...}", report,
               [&](const Node& node) { loaded.cases.push_back(read_case(node, config, report)); });
    loaded.diagnostics = report.take();
    return loaded;
}

}  // namespace ums::config
