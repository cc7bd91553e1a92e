// SPDX-License-Identifier: GPL-3.0-or-later
//
// The section `sites:`.
#include <algorithm>
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
        if (folded == "mail from" || folded == "rcpt to" || folded == "content-type" || folded == "mime-version" ||
            folded == "content-transfer-encoding") {
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

void read_conversions(Section& section, Site& site) {
    for (const Node* node : section.texts("conversions")) {
        try {
            site.conversions.push_back(number::parse_conversion(node->text));
        } catch (const Error& error) {
            section.report().error(*node, error.what());
        }
    }
}

void read_site(const Named& entry, Draft& draft) {
    Section section(*entry.value, entry.name->text, keys::site, draft.report);
    Site site;
    site.name = entry.name->text;
    site.place = draft.report.place(*entry.name);
    if (text::equal_ignoring_case(site.name, "noroute")) {
        draft.report.error(*entry.name, "'noroute' cannot be the name of a site: it is what 'to: noroute' means");
    }
    site.kernels = read_references(section, "kernels", Reference::To::kernel, draft);
    if (section.is_map() && !section.find("kernels")) {
        draft.report.error(*entry.name, "site " + text::quote(site.name) + " has no 'kernels'");
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
    if (section.is_map() && !section.find("numbering")) {
        if (site.dial != Dial::off)
            draft.report.warning(*section.find("dial"), "'dial' does nothing without 'numbering'");
        if (!site.conversions.empty()) {
            draft.report.warning(*section.find("conversions"), "'conversions' do nothing without 'numbering'");
        }
    }
    if (const Node* mark = section.find("mark")) read_mark(*mark, site, draft.report);
    if (section.text("connector", site.connector)) draft.refer(Reference::To::connector, *section.find("connector"));
    draft.config.sites.push_back(std::move(site));
}

}  // namespace

void read_sites(const Node& node, Draft& draft) {
    for (const auto& entry : read_names(node, "sites", "site", draft.report)) read_site(entry, draft);
}

}  // namespace ums::config
