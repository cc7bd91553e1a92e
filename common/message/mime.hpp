// SPDX-License-Identifier: GPL-3.0-or-later
//
// Inside of message: what GMime does for us. Most messages need none of it, and by hand a tool starts for each message; the
// library, with the fifteen others that it brings, takes longer to load than all else does. So it is loaded by the first
// call. Throws Error{internal} if that fails.
#pragma once

#include <string>
#include <vector>

namespace ums::message::mime {

/// RFC 2047: UTF-8 for encoded words, and back. The text as it is where GMime makes nothing of it.
std::string decode_words(const std::string& value);
std::string encode_words(const std::string& text);

/// RFC 5322: the addresses of a list, also of groups, without display names. None of a list in which groups nest deep.
std::vector<std::string> addresses(const std::string& list);

struct ContentType {
    std::string type;  ///< as it is written; empty if it cannot be read
    std::string name;
    std::string boundary;
};
/// RFC 2045 and 2231: the value of a Content-Type field.
ContentType content_type(const std::string& value);
/// RFC 2183: the file name in the value of a Content-Disposition field; empty if it has none.
std::string file_name(const std::string& value);

}  // namespace ums::message::mime
