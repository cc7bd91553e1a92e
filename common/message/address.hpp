// SPDX-License-Identifier: GPL-3.0-or-later
//
// Addresses as the envelope writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "message/header_block.hpp"

namespace ums::message {

/// `SMS#+49 170...` -> sms and `+49 170...`. A prefix that is no service stays part of the address. Blanks are trimmed,
/// angle brackets around the whole removed.
struct ServiceAddress {
    std::optional<Service> service;
    std::string address;
};
ServiceAddress split_service(std::string_view text);

}  // namespace ums::message
