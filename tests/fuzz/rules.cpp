// SPDX-License-Identifier: GPL-3.0-or-later
//
// The first line is a pattern, the rest a message: any pattern can be compiled or is refused, and every recipient of
// every message is decided: by the index as by a walk through the rules, which --explain shows.
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
    for (const auto field : {Field::recipient, Field::sender, Field::service, Field::connector, Field::header,
                             Field::importance, Field::attachment}) {
        for (const auto kind : {config::Pattern::Kind::text, config::Pattern::Kind::regex}) {
            config::Route route;
            config::Condition condition;
            condition.field = field;
            condition.header = config.routes.size() % 4 < 2 ? "Subject" : "From";
            condition.patterns.push_back({kind, bytes.substr(0, end), {}});
            route.when.conditions.push_back(std::move(condition));
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
        for (int i = 0; i < 10 && !recipients.empty(); ++i) {
            std::vector<rules::Look> looks;
            const auto walked = table.decide({&block, "ExConn"}, recipients.front(), &looks);
            const auto found = table.decide({&block, "ExConn"}, recipients.front());
            if (walked.rule != found.rule || walked.site != found.site) std::abort();
        }
    } catch (const Error& error) {
        if (error.fault() != Fault::configuration && error.fault() != Fault::unusable) std::abort();
    }
    return 0;
}
