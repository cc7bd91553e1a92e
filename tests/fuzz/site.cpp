// SPDX-License-Identifier: GPL-3.0-or-later
//
// Any header block through a site, in both directions: what leaves has the same recipients in number, its sender, every line
// that is none of ours byte for byte, and an incoming message that was formed is formed.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "error/error.hpp"
#include "site/site.hpp"
#include "text/text.hpp"

namespace {

using namespace ums;

void must(bool holds) {
    if (!holds) std::abort();
}

config::Site make_site(config::Dial dial) {
    config::Site site;
    site.name = "a";
    site.dial = dial;
    site.numbering.emplace();
    site.numbering->country = "49";
    site.numbering->area = "89";
    site.numbering->subscribers = {{"4799"}, {"48", {{"100", "299"}}}};
    site.numbering->outside_lines = {"0"};
    site.conversions = {number::parse_conversion("I;D=785;D=5[4]"), number::parse_conversion("O;O=+49;O=0[4]")};
    site.ddi = {{{}, "1*", config::DdiRule::Action::voice}, {{}, "*", config::DdiRule::Action::reject}};
    site.lines = {{"X-Line", {"1*"}}};
    site.caller_id = "+49 89 4799 0";
    site.header_line = "M\xc3\xbcller %n";
    site.mark = {{"X-UMS-Site", "a"}};
    return site;
}

bool is_ours(const message::Line& line) {
    const auto name = text::lower(line.name);
    return line.kind != message::Line::Kind::field || name.starts_with("x-ums-") || name == "x-ifaxdata-dchid";
}

void check(const message::HeaderBlock& block, const message::Edit& edit) {
    const auto bytes = message::apply(block, edit);
    const auto after = message::HeaderBlock::parse(bytes);
    must(after.recipients().size() == block.recipients().size());
    std::size_t at = 0;
    for (const auto& line : block.lines()) {
        if (is_ours(line)) continue;
        auto raw = line.raw;
        // A byte order mark stays in front of everything.
        if (raw.starts_with("\xef\xbb\xbf")) raw.remove_prefix(3);
        at = bytes.find(raw, at);
        must(at != std::string::npos);
        at += raw.size();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    message::HeaderBlock block;
    try {
        block = message::HeaderBlock::parse(std::string(reinterpret_cast<const char*>(data), size));
    } catch (const Error& error) {
        must(error.fault() == Fault::unusable);
        return 0;
    }
    auto elsewhere = make_site(config::Dial::off);
    elsewhere.numbering->area = "30";
    elsewhere.conversions = {number::parse_conversion("O;D=07;D=8[3]")};
    for (const auto dial : {config::Dial::off, config::Dial::rewrite, config::Dial::header}) {
        const auto site = make_site(dial);
        for (const auto& home : {site::Home{}, site::Home{&elsewhere, &*elsewhere.numbering}}) {
            try {
                check(block, site::outgoing_edit(site, block, home));
                for (const auto& recipient : block.recipients()) must(!site::refusal(site, recipient, home));
            } catch (const Error& error) {
                must(error.fault() == Fault::unusable);
            }
        }
    }
    auto site = make_site(config::Dial::off);
    site.conversions.clear();
    const auto incoming = site::incoming_edit(site, block);
    check(block, incoming);
    const auto formed = message::HeaderBlock::parse(message::apply(block, incoming));
    const auto again = message::apply(formed, site::incoming_edit(site, formed));
    must(again == formed.bytes());
    for (const auto& recipient : block.recipients()) site::parked(site, site::receive(site, block, recipient));
    config::Config config;
    config.sites = {site, site};
    config.sites[0].kernels = config.sites[1].kernels = {"k"};
    const site::Sites sites(config, "k", block);
    must(sites.of_message().site != nullptr);
    for (const auto& recipient : block.recipients()) must(sites.of(recipient).site != nullptr);
    return 0;
}
