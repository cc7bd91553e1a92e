// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a failure of libcurl means, in words that are the same for every protocol. Internal to the module.
#pragma once

#include <string>
#include <string_view>

namespace ums::transport {

std::string lower_first(std::string text);

/// Why a transfer that ended with the CURLcode `code` came to no connection, or to one without the wanted TLS; empty for
/// codes that say something else. `curl` is the CURL handle, `host` the server's name, `said` libcurl's own words, escaped.
std::string connection_text(void* curl, int code, std::string_view host, const std::string& said);

}  // namespace ums::transport
