// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/assignment.hpp"

#include <algorithm>

namespace ums::delivery {

namespace attribute = spool::attribute;

spool::EntryName assigned(const spool::EntryName& name, const std::string& to) {
    const std::string known(name.get(attribute::home));
    const std::string home = known.empty() ? std::string(name.get(attribute::site)) : known;
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
    const auto has = [](const std::vector<std::string>& names, std::string_view one) {
        return std::find(names.begin(), names.end(), one) != names.end();
    };
    if (const auto home = name.get(attribute::home); !home.empty()) {
        const auto* own = config.site(home);
        if (own == nullptr || !has(own->fallback, of)) return false;
    }
    return has(site->kernels, queue.name);
}

}  // namespace ums::delivery
