// SPDX-License-Identifier: GPL-3.0-or-later
#include "message/address.hpp"

#include "text/text.hpp"

namespace ums::message {

ServiceAddress split_service(std::string_view text) {
    text = text::trim(text);
    // ESMTP parameters may stand behind the brackets: `<a@example.com> NOTIFY=NEVER`.
    if (text.starts_with('<')) {
        const auto end = text.find('>');
        if (end != std::string_view::npos &&
            (end + 1 == text.size() || text[end + 1] == ' ' || text[end + 1] == '\t')) {
            text = text::trim(text.substr(1, end - 1));
        }
    }
    ServiceAddress result;
    if (const auto hash = text.find('#'); hash != std::string_view::npos) {
        result.service = parse_service(text::trim(text.substr(0, hash)));
        if (result.service) text = text::trim(text.substr(hash + 1));
    }
    result.address = text;
    return result;
}

}  // namespace ums::message
