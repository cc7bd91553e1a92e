// SPDX-License-Identifier: GPL-3.0-or-later
#include "single.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "error/error.hpp"
#include "number/number.hpp"
#include "rules/rules.hpp"
#include "text/text.hpp"

namespace ums::route {

namespace {

using Recipients = std::vector<message::Recipient>;

std::string json_or_null(const std::optional<std::string>& text) { return text ? text::json_string(*text) : "null"; }

// Rules are counted from 1 for people, and have no number where none matched.
std::string json_rule(std::size_t rule, const config::Config& config) {
    return rule < config.routes.size() ? std::to_string(rule + 1) : "null";
}

void print_groups(const std::vector<rules::Table::Group>& groups, const Recipients& recipients, std::ostream& out) {
    if (groups.size() == 1) {
        out << text::escape(groups.front().site.value_or("noroute")) << '\n';
        return;
    }
    for (const auto& group : groups) {
        out << text::escape(group.site.value_or("noroute"));
        const char* separator = "\t";
        for (const auto index : group.recipients) {
            out << std::exchange(separator, ", ") << text::escape(recipients[index].spelling);
        }
        out << '\n';
    }
}

void print_groups_json(const std::vector<rules::Table::Group>& groups, const Recipients& recipients,
                       const config::Config& config, std::ostream& out) {
    for (const auto& group : groups) {
        out << R"({"site":)" << json_or_null(group.site) << R"(,"recipients":[)";
        const char* separator = "";
        for (const auto index : group.recipients) {
            out << std::exchange(separator, ",") << text::json_string(recipients[index].spelling);
        }
        out << R"(],"rule":)" << json_rule(group.rule, config) << R"(,"reason":)" << text::json_string(group.reason)
            << "}\n";
    }
}

// Why one recipient goes where it goes.
struct Explanation {
    std::string service;
    std::optional<std::string> number;  // normalised, if it is one
    rules::Decision decision;
    std::vector<rules::Look> looks;
    std::optional<rules::Decision> later;  // what the first rule below would have decided
};

Explanation explain_recipient(const rules::Table& table, const rules::Subject& subject,
                              const message::Recipient& recipient, const config::Config& config) {
    Explanation e;
    e.service = to_string(recipient.service.value_or(message::Service::fax));
    const auto* home = config.mds.numbering ? &*config.mds.numbering : nullptr;
    if (number::is_number(recipient.address)) e.number = number::normalise(recipient.address, home);
    e.decision = table.decide(subject, recipient, &e.looks);
    if (e.decision.rule < config.routes.size()) {
        auto later = table.decide(subject, recipient, nullptr, e.decision.rule + 1);
        if (later.rule < config.routes.size()) e.later = std::move(later);
    }
    return e;
}

void print_explanation(const Explanation& e, const message::Recipient& recipient, std::ostream& out) {
    out << "recipient " << text::quote(recipient.spelling) << ": service " << e.service
        << (recipient.service ? "" : " (none is named)") << ", "
        << (e.number ? "number " + *e.number : std::string("no telephone number")) << '\n';
    std::optional<std::size_t> rule;
    for (const auto& look : e.looks) {
        if (rule != look.rule) out << "  rule " << look.rule + 1 << '\n';
        rule = look.rule;
        out << "    " << (look.matched ? "yes " : "no  ") << look.place << ": " << look.what << " against "
            << text::quote(look.compared);
        if (look.seen != look.compared) out << ", written " << text::quote(look.seen);
        out << '\n';
    }
    out << "  -> " << text::escape(e.decision.site.value_or("noroute")) << ", " << e.decision.reason << '\n';
    if (e.later) {
        out << "  later also " << text::escape(e.later->site.value_or("noroute")) << ", " << e.later->reason << '\n';
    }
}

void print_explanation_json(const Explanation& e, const message::Recipient& recipient, const config::Config& config,
                            std::ostream& out) {
    out << R"({"recipient":)" << text::json_string(recipient.spelling) << R"(,"service":)"
        << text::json_string(e.service) << R"(,"number":)" << json_or_null(e.number) << R"(,"site":)"
        << json_or_null(e.decision.site) << R"(,"rule":)" << json_rule(e.decision.rule, config) << R"(,"reason":)"
        << text::json_string(e.decision.reason) << R"(,"looks":[)";
    const char* separator = "";
    for (const auto& look : e.looks) {
        out << std::exchange(separator, ",") << R"({"rule":)" << look.rule + 1 << R"(,"place":)"
            << text::json_string(look.place) << R"(,"what":)" << text::json_string(look.what) << R"(,"seen":)"
            << text::json_string(look.seen) << R"(,"compared":)" << text::json_string(look.compared) << R"(,"matched":)"
            << (look.matched ? "true}" : "false}");
    }
    out << R"(],"later":)";
    if (e.later) {
        out << R"({"rule":)" << e.later->rule + 1 << R"(,"site":)" << json_or_null(e.later->site) << R"(,"reason":)"
            << text::json_string(e.later->reason) << '}';
    } else {
        out << "null";
    }
    out << "}\n";
}

}  // namespace

message::HeaderBlock read_single(int fd, const std::string& name) {
    try {
        return message::read_header(message::read_from(fd, name)).block;
    } catch (const Error& error) {
        if (error.fault() != Fault::unusable) throw;
        throw Error(Fault::unusable, "cannot use " + text::quote(name) + ": " + error.what());
    }
}

int route_single(const config::Config& config, std::string_view connector, const message::HeaderBlock& block,
                 Explain explain, Json json, std::ostream& out) {
    const auto recipients = block.recipients();
    if (recipients.empty())
        throw Error(Fault::unusable, "the message has no recipient: no 'RCPT TO:' line with a value");
    const rules::Table table(config);
    const rules::Subject subject{&block, std::string(connector)};

    bool all_routed = true;
    if (explain == Explain::yes) {
        for (const auto& recipient : recipients) {
            const auto explanation = explain_recipient(table, subject, recipient, config);
            all_routed = all_routed && explanation.decision.site;
            if (json == Json::yes) {
                print_explanation_json(explanation, recipient, config, out);
            } else {
                print_explanation(explanation, recipient, out);
            }
        }
    } else {
        const auto groups = table.split(subject, recipients);
        for (const auto& group : groups) all_routed = all_routed && group.site;
        if (json == Json::yes) {
            print_groups_json(groups, recipients, config, out);
        } else {
            print_groups(groups, recipients, out);
        }
    }
    return all_routed ? 0 : exit_attention;
}

}  // namespace ums::route
