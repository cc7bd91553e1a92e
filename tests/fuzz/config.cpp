// SPDX-License-Identifier: GPL-3.0-or-later
//
// Any bytes as a configuration: it is refused with diagnostics that can be printed, or it is whole.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto loaded = ums::config::parse({reinterpret_cast<const char*>(data), size}, "/nonexistent/mds.yaml");
    bool failed = false;
    for (const auto& diagnostic : loaded.diagnostics) {
        failed = failed || diagnostic.severity == ums::config::Severity::error;
        const auto text = to_string(diagnostic);
        if (text.find_first_of("\n\x1b") != std::string::npos) std::abort();
        if (diagnostic.place.line < 0 || diagnostic.place.column < 0) std::abort();
    }
    if (failed == loaded.config.has_value()) std::abort();
    if (loaded.config && (loaded.config->kernels.empty() || loaded.config->routes.empty())) std::abort();
    return 0;
}
