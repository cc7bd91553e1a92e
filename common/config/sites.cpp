// SPDX-License-Identifier: GPL-3.0-or-later
//
// The section `sites:`.
#include <algorithm>
#include <iterator>
#include <set>

#include "config/draft.hpp"
#include "config/section.hpp"
#include "error/error.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

constexpr unsigned highest_weight = 1000;

// A list of names of which none may come twice; each must exist in the end.
std::vector<std::string> read_references(Section& section, std::string_view key, Reference::To to, Draft& draft) {
    std::vector<std::string> names;
    std::set<std::string_view> seen;
    for (const Node* name : section.texts(key)) {
        if (!seen.insert(name->text).second) {
            draft.report.error(*name, text::quote(key) + " names " + text::quote(name->text) + " twice");
            continue;
        }
        draft.refer(to, *name);
        names.push_back(name->text);
    }
    return names;
}

std::string kernel_count(std::size_t count) {
    return "the site has " + std::to_string(count) + (count == 1 ? " kernel" : " kernels");
}

void read_rotate(Section& section, std::size_t kernels, Balance& balance) {
    const Node* node = section.find("rotate");
    if (!node || kernels == 0) return;
    const auto value = node->kind == Node::Kind::text ? text::parse_number(node->text) : std::nullopt;
    if (!value || *value < 1 || *value > kernels) {
        const std::string wanted = kernels == 1 ? "1" : "1 to " + std::to_string(kernels);
        report_wrong(*node, "rotate", wanted + " (" + kernel_count(kernels) + ")", section.report());
        return;
    }
    balance.rotate = static_cast<unsigned>(*value);
}

void read_weights(const Node& node, const std::vector<std::string>& kernels, Balance& balance, Report& report) {
    if (node.kind != Node::Kind::map) {
        report_wrong(node, "weights", "a map of kernels (kernel: weight)", report);
        return;
    }
    for (const auto& kernel : kernels) balance.weights[kernel] = 1;
    const std::vector<std::string_view> known(kernels.begin(), kernels.end());
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
        const Node& name = node.keys[i];
        const Node& value = node.values[i];
        if (name.refused || value.refused) continue;
        if (std::find(kernels.begin(), kernels.end(), name.text) == kernels.end()) {
            report.unknown(report.place(name), "kernel of this site", name.text, known);
            continue;
        }
        const auto weight = value.kind == Node::Kind::text ? text::parse_number(value.text) : std::nullopt;
        if (!weight || *weight > highest_weight) {
            report_wrong(value, name.text, "a weight of 0 to " + std::to_string(highest_weight), report);
            continue;
        }
        balance.weights[name.text] = static_cast<unsigned>(*weight);
    }
    const bool all_stand_by = std::none_of(balance.weights.begin(), balance.weights.end(),
                                           [](const auto& weight) { return weight.second > 0; });
    if (all_stand_by && !kernels.empty())
        report.error(node, "'weights' needs at least one kernel with a weight above 0");
}

void read_min_active(Section& section, std::size_t kernels, Balance& balance) {
    const Node* node = section.find("min-active");
    if (!node || kernels == 0) return;
    const auto value = node->kind == Node::Kind::text ? text::parse_number(node->text) : std::nullopt;
    if (!value || *value < 1 || *value > kernels) {
        const std::string wanted = kernels == 1 ? "1" : "1 to " + std::to_string(kernels);
        report_wrong(*node, "min-active", wanted + " (" + kernel_count(kernels) + ")", section.report());
        return;
    }
    balance.min_active = static_cast<unsigned>(*value);
    if (balance.method == Balancing::rotate && balance.min_active > balance.rotate) {
        section.report().warning(*node, "'min-active' is above 'rotate': always so many kernels take turns");
    }
}

Balance read_balance(const Node& node, const std::vector<std::string>& kernels, Report& report) {
    Balance balance;
    if (node.kind == Node::Kind::text) {
        if (text::equal_ignoring_case(node.text, "least-pending")) {
            balance.method = Balancing::least_pending;
        } else {
            report_wrong(node, "balance", "least-pending or a map such as {rotate: 2, batch: 10}", report);
        }
        return balance;
    }
    Section section(node, "balance", keys::balance, report);
    if (!section.is_map()) return balance;

    std::vector<std::string_view> methods;
    for (const std::string_view method : {"rotate", "weights", "least-pending", "hash"}) {
        if (section.find(method)) methods.push_back(method);
    }
    if (methods.size() > 1) {
        report.error(node, "'balance' has " + text::quote(methods[0]) + " and " + text::quote(methods[1]) +
                               ": only one of rotate, weights, least-pending and hash can be");
    }
    read_rotate(section, kernels.size(), balance);
    if (section.number("batch", balance.batch, 1, 1'000'000) && !methods.empty() && methods[0] != "rotate") {
        report.error(*section.find("batch"), "'batch' goes with 'rotate', not with " + text::quote(methods[0]));
    }
    if (const Node* weights = section.find("weights")) {
        balance.method = Balancing::weights;
        read_weights(*weights, kernels, balance, report);
    }
    bool least_pending = false;
    if (section.flag("least-pending", least_pending)) {
        if (least_pending) {
            balance.method = Balancing::least_pending;
        } else {
            report.error(*section.find("least-pending"), "'least-pending' can only be yes");
        }
    }
    Balancing hash = balance.method;
    if (section.choice("hash", hash, {{"sender", Balancing::hash_sender}, {"recipient", Balancing::hash_recipient}})) {
        balance.method = hash;
    }
    read_min_active(section, kernels.size(), balance);
    return balance;
}

// Fields that a message must keep as they are.
bool is_of_the_message(std::string_view field) {
    const std::string folded = text::lower(field);
    return folded == "mail from" || folded == "rcpt to" || folded == "content-type" || folded == "mime-version" ||
           folded == "content-transfer-encoding";
}

void read_mark(const Node& node, Site& site, Report& report) {
    if (node.kind != Node::Kind::map) {
        report_wrong(node, "mark", "a map of header fields (X-Name: value)", report);
        return;
    }
    std::set<std::string> seen;
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
        const Node& name = node.keys[i];
        if (name.refused || node.values[i].refused) continue;
        if (!is_field_name(name.text)) {
            report.error(name, text::quote(name.text) + " cannot be the name of a header field");
            continue;
        }
        const std::string folded = text::lower(name.text);
        if (is_of_the_message(name.text)) {
            report.error(name, text::quote(name.text) + " cannot be a mark: the message would no longer be readable");
            continue;
        }
        const bool is_new = seen.insert(folded).second;
        const bool twice = std::count_if(node.keys.begin(), node.keys.end(),
                                         [&](const Node& other) { return other.text == name.text; }) > 1;
        if (!is_new) {
            if (!twice) report.error(name, text::quote(name.text) + " is given twice: header fields have no case");
            continue;
        }
        if (const auto* value = read_line(node.values[i], name.text, report)) site.mark.emplace_back(name.text, *value);
    }
}

number::Conversion read_expression(const Node& node, Report& report) {
    using number::Conversion;
    Section section(node, "conversions", keys::conversion, report);
    Conversion conversion;
    section.choice("direction", conversion.direction,
                   {{"incoming", Conversion::Direction::incoming}, {"outgoing", Conversion::Direction::outgoing}});
    section.choice("kind", conversion.kind,
                   {{"destination", Conversion::Kind::destination},
                    {"originator", Conversion::Kind::originator},
                    {"redirector", Conversion::Kind::redirector}});
    std::string match;
    std::string replacement;
    const bool has_match = section.text("match", match);
    section.text("replace", replacement, Empty::allowed);
    for (const auto* key : {"direction", "match", "replace"}) {
        if (!section.find(key)) {
            report.error(node, std::string("a conversion has no '") + key +
                                   "': {direction: outgoing, match: '/^0049(89.*)/', replace: '0\\1'}");
        }
    }
    if (!has_match) return conversion;
    try {
        return number::make_conversion(conversion.direction, conversion.kind, match, replacement);
    } catch (const Error& error) {
        report.error(*section.find("match"), error.what());
        return conversion;
    }
}

void read_conversions(Section& section, Site& site) {
    const Node* node = section.find("conversions");
    if (!node) return;
    Report& report = section.report();
    const auto read = [&](const Node& one) {
        if (one.refused) return;
        if (one.kind == Node::Kind::map) {
            site.conversions.push_back(read_expression(one, report));
        } else if (const auto* text = read_line(one, "conversions", report)) {
            try {
                site.conversions.push_back(number::parse_conversion(*text));
            } catch (const Error& error) {
                report.error(one, error.what());
            }
        }
    };
    if (node->kind != Node::Kind::list) {
        read(*node);
    } else if (node->values.empty()) {
        report.error(*node, "'conversions' is an empty list");
    } else {
        for (const auto& one : node->values) read(one);
    }
}

std::vector<std::string> read_connector_names(Section& section, std::string_view key, Draft& draft) {
    return read_references(section, key, Reference::To::connector, draft);
}

void read_site_connectors(Section& section, Site& site, Draft& draft) {
    const Node* node = section.find("connector");
    if (!node) return;
    if (node->kind != Node::Kind::map) {
        site.connectors.usual = read_connector_names(section, "connector", draft);
        return;
    }
    Section by_service(*node, "connector", keys::site_connectors, draft.report);
    for (const auto service : services) {
        auto names = read_connector_names(by_service, service, draft);
        if (!names.empty()) site.connectors.by_service.emplace(service, std::move(names));
    }
    site.connectors.usual = read_connector_names(by_service, "other", draft);
}

void read_ddi(Section& section, Site& site) {
    const Node* node = section.find("ddi");
    if (!node) return;
    Report& report = section.report();
    if (node->kind != Node::Kind::map) {
        report_wrong(*node, "ddi", "a map of extensions and what the PBX does with their calls ('1*': fax)", report);
        return;
    }
    using Action = DdiRule::Action;
    static constexpr Action actions[] = {Action::fax, Action::voice, Action::fax_or_voice, Action::ignore,
                                         Action::reject};
    const DdiRule* all = nullptr;
    site.ddi.reserve(node->keys.size());
    for (std::size_t i = 0; i < node->keys.size(); ++i) {
        const Node& name = node->keys[i];
        const Node& value = node->values[i];
        if (name.refused || value.refused) continue;
        DdiRule rule;
        rule.place = report.place(name);
        rule.pattern = number::strip(name.text);
        const auto digits = std::string_view(rule.pattern).substr(rule.pattern.starts_with('+') ? 1 : 0);
        if (digits.empty() || digits.find_first_not_of("0123456789*?") != std::string_view::npos) {
            report.error(name, "'ddi' has " + text::quote(name.text) +
                                   ": it must be an extension, with * and ? for what may stand there");
            continue;
        }
        const auto* known = std::find_if(std::begin(actions), std::end(actions), [&](Action one) {
            return value.kind == Node::Kind::text && text::equal_ignoring_case(to_string(one), value.text);
        });
        if (known == std::end(actions)) {
            std::vector<std::string_view> names;
            for (const auto one : actions) names.push_back(to_string(one));
            if (value.kind == Node::Kind::text) {
                report.unknown(report.place(value), "action", value.text, names);
            } else {
                report_wrong(value, name.text, "fax, voice, fax-or-voice, ignore or reject", report);
            }
            continue;
        }
        rule.action = *known;
        if (all != nullptr) {
            report.warning(name, "'ddi': " + text::quote(name.text) + " never acts: " + text::quote(all->pattern) +
                                     " in line " + std::to_string(all->place.line) + " takes all");
        }
        site.ddi.push_back(std::move(rule));
        if (all == nullptr && site.ddi.back().pattern == "*") all = &site.ddi.back();
    }
}

void read_lines(Section& section, Site& site) {
    const Node* node = section.find("lines");
    if (!node) return;
    Report& report = section.report();
    if (node->kind != Node::Kind::map) {
        report_wrong(*node, "lines", "a map of header fields and their values (X-Controller: [1, 2])", report);
        return;
    }
    for (std::size_t i = 0; i < node->keys.size(); ++i) {
        const Node& name = node->keys[i];
        const Node& value = node->values[i];
        if (name.refused || value.refused) continue;
        if (!is_field_name(name.text)) {
            report.error(name, text::quote(name.text) + " cannot be the name of a header field");
            continue;
        }
        LineRule rule;
        rule.field = name.text;
        const auto add = [&](const Node& one) {
            if (one.refused) return;
            if (const auto* pattern = read_line(one, name.text, report)) rule.patterns.push_back(*pattern);
        };
        if (value.kind == Node::Kind::list) {
            if (value.values.empty()) report.error(value, text::quote(name.text) + " is an empty list");
            for (const auto& one : value.values) add(one);
        } else {
            add(value);
        }
        site.lines.push_back(std::move(rule));
    }
}

void read_fields(Section& section, Site& site) {
    const Node* node = section.find("fields");
    if (!node) return;
    Section fields(*node, "fields", keys::fields, section.report());
    const auto read = [&](std::string_view key, std::string& out) {
        std::string name = out;
        if (!fields.text(key, name, Empty::allowed)) return;
        if (!name.empty() && (!is_field_name(name) || is_of_the_message(name))) {
            section.report().error(*fields.find(key), text::quote(name) + " cannot be the name of this header field");
        } else {
            out = name;
        }
    };
    read("caller-id", site.fields.caller_id);
    read("fax-id", site.fields.fax_id);
    read("header-line", site.fields.header_line);
    read("billing", site.fields.billing);
    read("language", site.fields.language);
    read("time-zone", site.fields.time_zone);
    read("redirector", site.fields.redirector);
    read("type-of-number", site.fields.type_of_number);
    read("originator-type", site.fields.originator_type);
    read("redirector-type", site.fields.redirector_type);
}

// ITU-T T.30: 20 characters of digits, blanks and +.
void read_fax_id(Section& section, Site& site) {
    if (!section.text("fax-id", site.fax_id)) return;
    if (site.fax_id.size() <= 20 && site.fax_id.find_first_not_of("0123456789+ ") == std::string::npos) return;
    report_wrong(*section.find("fax-id"), "fax-id", "up to 20 digits, blanks and +", section.report());
}

void read_header_line(Section& section, Site& site) {
    if (!section.text("header-line", site.header_line)) return;
    const std::string& line = site.header_line;
    for (std::size_t i = line.find('%'); i != std::string::npos; i = line.find('%', i + 2)) {
        if (i + 1 < line.size() && std::string_view("ndp%").find(line[i + 1]) != std::string_view::npos) continue;
        section.report().error(*section.find("header-line"),
                               "'header-line' has " + text::quote(line.substr(i, 2)) +
                                   ": its fields are %n (number), %d (date), %p (page) and %% for a percent sign");
        return;
    }
}

void read_identity(Section& section, Site& site) {
    if (section.text("caller-id", site.caller_id) && !number::is_number(site.caller_id)) {
        report_wrong(*section.find("caller-id"), "caller-id", "a number", section.report());
    }
    read_fax_id(section, site);
    read_header_line(section, site);
    section.text("billing", site.billing);
    if (section.text("language", site.language)) {
        const bool right =
            site.language.size() >= 2 && site.language.size() <= 35 && site.language.front() != '-' &&
            std::all_of(site.language.begin(), site.language.end(), [](char c) {
                return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
            });
        if (!right) report_wrong(*section.find("language"), "language", "a tag such as de or en-GB", section.report());
    }
}

void read_examples(Section& section, Site& site) {
    const Node* node = section.find("examples");
    if (!node) return;
    if (node->kind != Node::Kind::list || node->values.empty()) {
        report_wrong(*node, "examples", "a list of cases (- {number: ..., direction: outgoing, expected: ...})",
                     section.report());
        return;
    }
    for (const auto& one : node->values) {
        if (one.refused) continue;
        Section example(one, "example", keys::example, section.report());
        auto read = read_number_case(example);
        read.site = site.name;
        site.examples.push_back(std::move(read));
    }
}

// What does nothing for want of something else.
void check_numbering_is_there(Section& section, const Site& site) {
    if (!section.is_map() || section.find("numbering")) return;
    const auto useless = [&](std::string_view key, const char* verb) {
        if (const Node* node = section.find(key)) {
            section.report().warning(*node, text::quote(key) + " " + verb + " nothing without 'numbering'");
        }
    };
    if (site.dial != Dial::off) useless("dial", "does");
    if (!site.conversions.empty()) useless("conversions", "do");
    if (!site.ddi.empty()) useless("ddi", "does");
    useless("doubled", "does");
    useless("examples", "prove");
}

void read_site(const Node& name, const Node& value, Draft& draft) {
    Section section(value, name.text, keys::site, draft.report);
    Site site;
    site.name = name.text;
    site.place = draft.report.place(name);
    if (text::equal_ignoring_case(site.name, "noroute")) {
        draft.report.error(name, "'noroute' cannot be the name of a site: it is what 'to: noroute' means");
    }
    site.kernels = read_references(section, "kernels", Reference::To::kernel, draft);
    if (section.is_map() && !section.find("kernels")) {
        draft.report.error(name, "site " + text::quote(site.name) + " has no 'kernels'");
    }
    if (const Node* balance = section.find("balance"))
        site.balance = read_balance(*balance, site.kernels, draft.report);
    site.fallback = read_references(section, "fallback", Reference::To::site, draft);
    if (std::find(site.fallback.begin(), site.fallback.end(), site.name) != site.fallback.end()) {
        draft.report.error(*section.find("fallback"),
                           "'fallback' of " + text::quote(site.name) + " is the site itself");
    }
    section.choice("fail-back", site.fail_back, {{"auto", FailBack::automatic}, {"manual", FailBack::manual}});
    section.duration("hold-down", site.hold_down, Duration::zero());
    if (const Node* numbering = section.find("numbering")) site.numbering = read_numbering(*numbering, draft.report);
    read_conversions(section, site);
    read_time_zone(section, site.time_zone);
    section.choice("dial", site.dial, {{"off", Dial::off}, {"rewrite", Dial::rewrite}, {"header", Dial::header}});
    section.choice("doubled", site.doubled, {{"mend", Doubled::mend}, {"park", Doubled::park}});
    read_ddi(section, site);
    read_lines(section, site);
    read_fields(section, site);
    read_identity(section, site);
    read_examples(section, site);
    check_numbering_is_there(section, site);
    if (const Node* mark = section.find("mark")) read_mark(*mark, site, draft.report);
    read_site_connectors(section, site, draft);
    draft.config.sites.push_back(std::move(site));
}

// `node` with what it does not say from `defaults`. Maps whose keys mean something by themselves are completed key by
// key; of all else the site's own replaces the default.
Node inherited(const Node& node, const Node& defaults, bool is_site) {
    if (node.kind != Node::Kind::map) return node;
    static constexpr std::string_view completed[] = {"numbering", "fields", "mark"};
    Node out = node;
    for (std::size_t i = 0; i < defaults.keys.size(); ++i) {
        const Node& key = defaults.keys[i];
        const Node& value = defaults.values[i];
        if (key.refused) continue;
        const auto own =
            std::find_if(out.keys.begin(), out.keys.end(), [&](const Node& one) { return one.text == key.text; });
        if (own == out.keys.end()) {
            out.keys.push_back(key);
            out.values.push_back(value);
            continue;
        }
        const bool completes = is_site && value.kind == Node::Kind::map &&
                               std::find(std::begin(completed), std::end(completed), key.text) != std::end(completed);
        auto& mine = out.values[static_cast<std::size_t>(own - out.keys.begin())];
        if (completes) mine = inherited(mine, value, false);
    }
    return out;
}

}  // namespace

void read_sites(const Node& node, const Node* defaults, Draft& draft) {
    for (const auto& entry : read_names(node, "sites", "site", draft.report)) {
        if (defaults == nullptr) {
            read_site(*entry.name, *entry.value, draft);
        } else {
            read_site(*entry.name, inherited(*entry.value, *defaults, true), draft);
        }
    }
}

}  // namespace ums::config
