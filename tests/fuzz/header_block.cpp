// SPDX-License-Identifier: GPL-3.0-or-later
//
// Any bytes: parsed or refused, and what is parsed is written back.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "error/error.hpp"
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
    block.is_urgent();

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
