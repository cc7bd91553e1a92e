// SPDX-License-Identifier: GPL-3.0-or-later
#include "decision.hpp"

#include <map>
#include <utility>

#include "site/site.hpp"
#include "text/text.hpp"

namespace ums::route {

using rules::Decision;

Decision with_site(const config::Config& config, Decision decision, const message::Recipient& recipient) {
    const auto* site = decision.site ? config.site(*decision.site) : nullptr;
    if (site == nullptr) return decision;
    auto why = site::refusal(*site, recipient);
    if (!why) return decision;
    decision.action = Decision::Action::reject;
    decision.reason = "site " + text::quote(site->name) + ": " + *why;
    decision.text = std::move(*why);
    decision.by_site = true;
    decision.site.reset();
    return decision;
}

namespace {

// The group, split where some of its recipients can wait for their own site only, and others need not wait with them.
std::vector<rules::Table::Group> by_fallback(const config::Config& config, rules::Table::Group group,
                                             const std::vector<message::Recipient>& recipients) {
    std::vector<rules::Table::Group> out;
    if (group.recipients.empty()) return out;
    const auto* site = group.site ? config.site(*group.site) : nullptr;
    if (site == nullptr || site->fallback.empty() || group.recipients.size() == 1) return {std::move(group)};
    const site::Home home{site, config.numbering_of(site)};
    std::map<std::string, std::vector<std::size_t>> parts;  // by who sends to them
    for (const auto index : group.recipients) {
        std::string who;
        for (const auto& name : site->fallback) {
            const auto* fallback = config.site(name);
            who += fallback != nullptr && site::refusal(*fallback, recipients[index], home) ? '1' : '0';
        }
        parts[who].push_back(index);
    }
    for (auto& [who, indices] : parts) {
        out.push_back(group);
        out.back().recipients = std::move(indices);
    }
    return out;
}

}  // namespace

std::vector<rules::Table::Group> groups_of(const config::Config& config, const rules::Table& table,
                                           const rules::Subject& subject) {
    const auto& recipients = subject.envelope->recipients;
    std::vector<rules::Table::Group> out;
    for (auto& group : table.split(subject)) {
        std::map<std::string, rules::Table::Group> refused;  // by its text
        std::erase_if(group.recipients, [&](std::size_t index) {
            auto decision = with_site(config, group, recipients[index]);
            if (!decision.by_site) return false;
            auto& one = refused[decision.text];
            static_cast<Decision&>(one) = std::move(decision);
            one.recipients.push_back(index);
            return true;
        });
        for (auto& part : by_fallback(config, std::move(group), recipients)) out.push_back(std::move(part));
        for (auto& [text, one] : refused) out.push_back(std::move(one));
    }
    return out;
}

}  // namespace ums::route
