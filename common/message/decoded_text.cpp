// SPDX-License-Identifier: GPL-3.0-or-later
#include "message/decoded_text.hpp"

#include "message/mime.hpp"
#include "text/text.hpp"

namespace ums::message {

namespace {

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto length = text::decode(text).length;
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string from_latin1(std::string_view text) {
    std::string out;
    out.reserve(text.size() * 2);
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80) {
            out += c;
        } else {
            out += static_cast<char>(0xc0 | (byte >> 6));
            out += static_cast<char>(0x80 | (byte & 0x3f));
        }
    }
    return out;
}

}  // namespace

std::string decode_value(std::string value) {
    if (!is_utf8(value)) value = from_latin1(value);
    if (value.find("=?") == std::string::npos) return value;
    std::string out = mime::decode_words(value);
    return is_utf8(out) ? out : from_latin1(out);
}

std::string encode_value(const std::string& text) { return mime::encode_words(text); }

}  // namespace ums::message
