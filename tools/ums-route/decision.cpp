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
        if (!group.recipients.empty()) out.push_back(std::move(group));
        for (auto& [text, one] : refused) out.push_back(std::move(one));
    }
    return out;
}

}  // namespace ums::route
