// SPDX-License-Identifier: GPL-3.0-or-later
//
// Inside of message: the text of a header value.
#pragma once

#include <string>
#include <string_view>

namespace ums::message {

/// `value` with RFC 2047 encoded words decoded, as UTF-8. Bytes that are no UTF-8 are taken as Latin-1, which has a
/// character for each of them.
std::string decode_value(std::string value);

}  // namespace ums::message
