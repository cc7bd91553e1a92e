// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/keys.hpp"

#include "config/config.hpp"

namespace ums::config {

std::vector<std::string> known_keys() {
    std::vector<std::string> all;
    const auto add = [&](const std::string& parent, keys::Keys names) {
        for (const auto name : names) all.push_back(parent + std::string(name));
    };
    add("", keys::file);
    add("mds.", keys::mds);
    const auto add_numbering = [&](const std::string& parent) {
        add(parent, keys::numbering);
        add(parent + "subscriber.", keys::main_number);
        add(parent + "type-of-number.", keys::type_of_number);
    };
    const auto add_site = [&](const std::string& parent) {
        add(parent, keys::site);
        add(parent + "balance.", keys::balance);
        add_numbering(parent + "numbering.");
        add(parent + "conversions.", keys::conversion);
        add(parent + "connector.", keys::site_connectors);
        add(parent + "fields.", keys::fields);
        add(parent + "examples.", keys::example);
    };
    add_numbering("mds.numbering.");
    add("mds.in-doubt.", keys::in_doubt);
    add("mds.on-event.", keys::on_event);
    add("mds.on-event.mail.", keys::event_mail);
    add("mds.mail.", keys::mail);
    add("kernels.*.", keys::kernel);
    add("kernels.*.auth.", keys::auth);
    add("kernels.*.tls.", keys::tls);
    add("kernels.*.proxy.", keys::proxy);
    add("kernels.*.check.", keys::check);
    add("kernels.*.limit.", keys::limit);
    add("connectors.*.", keys::connector);
    add("connectors.*.auth.", keys::auth);
    add("connectors.*.tls.", keys::mail_tls);
    add("connectors.*.deliver.", keys::deliver);
    add("connectors.*.deliver.auth.", keys::auth);
    add("connectors.*.deliver.tls.", keys::mail_tls);
    add("connectors.*.proxy.", keys::proxy);
    add("connectors.*.limit.", keys::limit);
    add_site("site-defaults.");
    add_site("sites.*.");
    add("routes.*.", keys::route);
    for (const auto* field : {"recipient.", "sender.", "header.*."}) add(std::string("routes.*.") + field, keys::table);
    for (const auto* field : {"service.", "connector.", "importance.", "attachment."})
        add(std::string("routes.*.") + field, keys::list);
    add("routes.*.size.", keys::size);
    add("routes.*.pages.", keys::pages);
    return all;
}

}  // namespace ums::config
