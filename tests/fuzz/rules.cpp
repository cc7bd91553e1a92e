// SPDX-License-Identifier: GPL-3.0-or-later
//
// The first line is a pattern, the rest a message: any pattern can be compiled or is refused, and every recipient of
// every message is decided.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "error/error.hpp"
#include "rules/rules.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ums;
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    const auto end = bytes.find('\n');
    if (end == std::string::npos) return 0;

    config::Config config;
    config.mds.numbering.emplace();
    config.mds.numbering->country = "49";
    config.mds.numbering->area = "8142";
    config.sites.resize(2);
    config.sites[0].name = "a";
    config.sites[1].name = "b";
    using Field = config::Condition::Field;
    for (const auto field : {Field::recipient, Field::sender, Field::service, Field::connector, Field::header}) {
        for (const auto kind : {config::Pattern::Kind::text, config::Pattern::Kind::regex}) {
            config::Route route;
            route.when.conditions.push_back({field, "Subject", {{kind, bytes.substr(0, end), {}}}, {}});
            route.to = {"a", "b"};
            config.routes.push_back(route);
        }
    }
    try {
        const rules::Table table(config);
        const auto block = message::HeaderBlock::parse(bytes.substr(end + 1));
        const auto recipients = block.recipients();
        std::size_t grouped = 0;
        for (const auto& group : table.split({&block, "ExConn"})) grouped += group.recipients.size();
        if (grouped != recipients.size()) std::abort();
        std::vector<rules::Look> looks;
        if (!recipients.empty()) table.decide({&block, "ExConn"}, recipients.front(), &looks);
    } catch (const Error& error) {
        if (error.fault() != Fault::configuration && error.fault() != Fault::unusable) std::abort();
    }
    return 0;
}
