// SPDX-License-Identifier: GPL-3.0-or-later
#include "message/decoded_text.hpp"

#include "message/mime.hpp"
#include "text/text.hpp"

namespace ums::message {

std::string decode_value(std::string value) {
    if (!text::is_utf8(value)) value = text::from_latin1(value);
    if (value.find("=?") == std::string::npos) return value;
    std::string out = mime::decode_words(value);
    return text::is_utf8(out) ? out : text::from_latin1(out);
}

std::string encode_value(const std::string& text) { return mime::encode_words(text); }

}  // namespace ums::message
