// SPDX-License-Identifier: GPL-3.0-or-later
//
// The text of a header value, and back (RFC 2047, by GMime).
#pragma once

#include <string>
#include <string_view>

namespace ums::message {

/// `value` with RFC 2047 encoded words decoded, as UTF-8. Bytes that are no UTF-8 are taken as Latin-1, which has a
/// character for each of them.
std::string decode_value(std::string value);

/// UTF-8 as a header value can hold it: what is not ASCII in encoded words, folded.
std::string encode_value(const std::string& text);

}  // namespace ums::message
