// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/assignment.hpp"

#include <algorithm>

namespace ums::delivery {

namespace attribute = spool::attribute;

std::string_view own_site(const spool::EntryName& name) noexcept {
    const auto home = name.get(attribute::home);
    return home.empty() ? name.get(attribute::site) : home;
}

spool::EntryName assigned(const spool::EntryName& name, const std::string& to) {
    const auto home = own_site(name);
    return name.with(attribute::site, to).with(attribute::home, home == to ? std::string_view() : home);
}

site::Home home_of(const config::Config& config, const spool::EntryName& name) {
    const auto home = name.get(attribute::home);
    if (home.empty()) return {};
    const auto* site = config.site(home);
    return {site, config.numbering_of(site)};
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
