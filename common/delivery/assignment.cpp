// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/assignment.hpp"

#include <algorithm>

namespace ums::delivery {

namespace attribute = spool::attribute;

spool::EntryName assigned(const spool::EntryName& name, const std::string& site, const std::string& to) {
    const std::string known(name.get(attribute::home));
    const auto& home = known.empty() ? site : known;
    return name.with(attribute::site, to).with(attribute::home, home == to ? "" : home);
}

site::Home home_of(const config::Config& config, const spool::EntryName& name) {
    const auto home = name.get(attribute::home);
    if (home.empty()) return {};
    const auto* site = config.site(home);
    return {site, site::numbering_of(config, site)};
}

bool still_goes_there(const config::Config& config, const spool::Queue& queue, const spool::EntryName& name) {
    const auto of = name.get(attribute::site);
    if (of.empty()) return true;
    const auto* site = config.site(of);
    if (site == nullptr || queue.kind == spool::Queue::Kind::connector) return site != nullptr;
    const auto home = name.get(attribute::home);
    if (!home.empty() && config.site(home) == nullptr) return false;
    return std::find(site->kernels.begin(), site->kernels.end(), queue.name) != site->kernels.end();
}

}  // namespace ums::delivery
