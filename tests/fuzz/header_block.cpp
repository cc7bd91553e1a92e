// SPDX-License-Identifier: GPL-3.0-or-later
//
// Any bytes: parsed or refused, and what is parsed is written back.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "error/error.hpp"
#include "message/attachments.hpp"
#include "message/envelope.hpp"
#include "message/header_block.hpp"

namespace {
void must(bool holds) {
    if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ums;
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    message::HeaderBlock block;
    try {
        block = message::HeaderBlock::parse(bytes);
    } catch (const Error& error) {
        must(error.fault() == Fault::unusable);
        return 0;
    }
    must(bytes.starts_with(block.bytes()));
    must(message::apply(block, {}) == block.bytes());
    block.sender();
    block.fields();
    block.importance();

    // The rest of the bytes as its body.
    std::size_t at = block.bytes().size();
    const auto parts = message::attachments(block, [&](std::span<char> buffer) {
        const auto n = std::min(buffer.size(), bytes.size() - at);
        bytes.copy(buffer.data(), n, at);
        at += n;
        return n;
    });
    must(parts.size() <= message::most_parts);

    // As a mail: with the envelope that it lacks it has these recipients, and no others.
    const auto envelope = message::envelope_of(block, {{{"f.example", message::Service::fax}}, {"To", "Cc", "Bcc"}});
    if (envelope.formed) {
        message::Edit enveloped;
        std::vector<std::size_t> all;
        for (std::size_t i = 0; i < envelope.recipients.size(); ++i) all.push_back(i);
        enveloped.envelope = message::envelope_lines(envelope, all);
        const auto again = message::HeaderBlock::parse(message::apply(block, enveloped));
        must(again.recipients().size() == all.size());
        must(message::apply(block, enveloped)
                 .ends_with(block.bytes().substr(0, 3) == "\xef\xbb\xbf" ? block.bytes().substr(3) : block.bytes()));
    }

    message::Edit edit;
    edit.keep_recipients.emplace();
    const auto recipients = block.recipients();
    if (recipients.empty()) return 0;
    edit.keep_recipients->push_back(recipients.back().line);
    edit.fields = {{"X-UMS-Site", bytes.substr(0, 20)}};
    const auto child = message::HeaderBlock::parse(message::apply(block, edit));
    must(child.recipients().size() == 1);
    must(child.recipients().front().spelling == recipients.back().spelling);
    must(child.values("X-UMS-Site").size() == 1);
    must(child.sender() == block.sender());
    return 0;
}
