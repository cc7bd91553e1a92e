// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/cases.hpp"

#include <algorithm>
#include <array>

#include "config/draft.hpp"
#include "config/section.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

void read_header(const Node& node, RoutingCase& one, Report& report) {
    if (node.kind != Node::Kind::map) {
        report_wrong(node, "header", "a map of a field and its value ({X-Name: value})", report);
        return;
    }
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
        const auto& name = node.keys[i];
        if (name.refused || node.values[i].refused) continue;
        if (!is_field_name(name.text)) {
            report.error(name, text::quote(name.text) + " cannot be the name of a header field");
        } else if (node.values[i].kind == Node::Kind::list) {
            for (const auto& value : node.values[i].values) {
                if (const auto* text = read_line(value, name.text, report)) one.header.emplace_back(name.text, *text);
            }
        } else if (const auto* text = read_line(node.values[i], name.text, report)) {
            one.header.emplace_back(name.text, *text);
        }
    }
}

void read_goal(const Node& node, const Config& config, std::vector<std::string>& to, Report& report) {
    const bool known =
        config.site(node.text) != nullptr || node.text == "noroute" || node.text == "hold" || node.text == "reject";
    if (known) {
        to.push_back(node.text);
        return;
    }
    std::vector<std::string_view> names{"noroute", "hold", "reject"};
    for (const auto& site : config.sites) names.push_back(site.name);
    report.unknown(report.place(node), "site", node.text, names);
}

void read_case(const Node& node, const Config& config, const std::string& base, LoadedCases& loaded, Report& report) {
    Section section(node, "case", keys::routing_case, report);
    RoutingCase one;
    one.place = report.place(node);
    section.text("name", one.name);
    section.path("message", one.message, base);
    for (const Node* recipient : section.texts("recipient")) one.recipients.push_back(recipient->text);
    section.text("sender", one.sender, Empty::allowed);
    if (section.text("connector", one.connector) && config.connector(one.connector) == nullptr) {
        std::vector<std::string_view> names;
        for (const auto& connector : config.connectors) names.push_back(connector.name);
        report.unknown(report.place(*section.find("connector")), "connector", one.connector, names);
    }
    if (const Node* header = section.find("header")) read_header(*header, one, report);
    if (const Node* size = section.find("size")) {
        one.size = size->kind == Node::Kind::text ? text::parse_bytes(size->text) : std::nullopt;
        if (!one.size) report_wrong(*size, "size", "a size such as 500KB or 5MB", report);
    }
    // What has a slash is a type, all else a name.
    for (const Node* attachment : section.texts("attachment")) {
        const bool is_type = attachment->text.find('/') != std::string::npos;
        one.attachments.emplace_back(is_type ? text::lower(attachment->text) : "", is_type ? "" : attachment->text);
    }
    std::string at;
    if (section.text("at", at)) {
        one.at = clock::parse(at);
        if (!one.at) report_wrong(*section.find("at"), "at", "a time in UTC such as 2026-11-23T22:00:00Z", report);
    }
    for (const Node* goal : section.texts("to")) read_goal(*goal, config, one.to, report);
    if (section.is_map()) {
        if (!section.find("to"))
            report.error(node, "the case has no 'to': a site, a list of sites, noroute, hold or reject");
        if (one.message.empty() == one.recipients.empty() && !report.failed())
            report.error(node, "a case has either a 'recipient' or a whole 'message'");
    }
    std::sort(one.to.begin(), one.to.end());
    one.to.erase(std::unique(one.to.begin(), one.to.end()), one.to.end());
    loaded.cases.push_back(std::move(one));
}

}  // namespace

void read_cases(const std::string& file, std::string_view form, Report& report,
                const std::function<void(const Node&)>& read) {
    const auto yaml = read_file(file, "the cases");
    const auto root = read_document(yaml, report);
    if (!root) return;
    Section section(*root, "file", keys::cases, report);
    const std::string what = "a list of cases (" + std::string(form) + ")";
    const Node* cases = section.find("cases");
    if (cases != nullptr && cases->kind == Node::Kind::list && !cases->values.empty()) {
        for (const auto& node : cases->values) {
            if (!node.refused) read(node);
        }
    } else if (cases != nullptr && cases->kind == Node::Kind::list) {
        report.error(*cases, "'cases' is an empty list");
    } else if (cases != nullptr) {
        report_wrong(*cases, "cases", what, report);
    } else if (section.is_map()) {
        report.error(*root, "'cases' is missing: " + what);
    }
}

LoadedCases load_cases(const std::string& file, const Config& config) {
    LoadedCases loaded;
    Report report(file);
    read_cases(file, "- {recipient: ..., to: site}", report,
               [&](const Node& node) { read_case(node, config, directory_of(file), loaded, report); });
    loaded.diagnostics = report.take();
    return loaded;
}

}  // namespace ums::config
