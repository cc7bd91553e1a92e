// SPDX-License-Identifier: GPL-3.0-or-later
#include "intake/claim_names.hpp"

namespace ums::intake {

std::optional<spool::EntryName> id_of_claim(std::string_view name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    if (name.ends_with('/')) name.remove_suffix(1);
    if (const auto slash = name.find('/'); slash != std::string_view::npos) {
        if (!spool::EntryName::parse(name.substr(0, slash))) return std::nullopt;
        name.remove_prefix(slash + 1);
    }
    auto id = spool::EntryName::parse(name);
    return id && id->id() == id->text() ? id : std::nullopt;
}

bool is_basket(std::string_view claim) noexcept { return claim.ends_with('/'); }

std::string basket_of(const std::string& claim) {
    const auto slash = claim.find('/');
    return slash == std::string::npos ? "" : claim.substr(0, slash + 1);
}

std::string without_slash(const std::string& basket) { return basket.substr(0, basket.size() - 1); }

}  // namespace ums::intake
