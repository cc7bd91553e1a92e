// SPDX-License-Identifier: GPL-3.0-or-later
#include "decision.hpp"

#include <algorithm>
#include <iterator>
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
    decision.site.reset();
    return decision;
}

Decision decide(const config::Config& config, const rules::Table& table, const rules::Subject& subject,
                const message::Recipient& recipient) {
    return with_site(config, table.decide(subject, recipient), recipient);
}

std::vector<rules::Table::Group> split(const config::Config& config, const rules::Table& table,
                                       const rules::Subject& subject,
                                       const std::vector<message::Recipient>& recipients) {
    std::vector<rules::Table::Group> out;
    for (auto& group : table.split(subject, recipients)) {
        std::vector<rules::Table::Group> refused;
        std::erase_if(group.recipients, [&](std::size_t index) {
            auto decision = with_site(config, group, recipients[index]);
            if (decision.action == group.action) return false;
            const auto same = std::find_if(refused.begin(), refused.end(),
                                           [&](const auto& other) { return other.text == decision.text; });
            if (same != refused.end()) {
                same->recipients.push_back(index);
            } else {
                refused.push_back({std::move(decision), {index}});
            }
            return true;
        });
        if (!group.recipients.empty()) out.push_back(std::move(group));
        std::move(refused.begin(), refused.end(), std::back_inserter(out));
    }
    return out;
}

}  // namespace ums::route
