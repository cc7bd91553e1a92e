// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/paths.hpp"

#include <algorithm>

#include "text/text.hpp"

namespace ums::transport {

bool is_safe_name(std::string_view name) noexcept {
    if (name.empty() || name == "." || name == "..") return false;
    return std::none_of(name.begin(), name.end(), [](char c) { return c == '/' || c == '\0'; });
}

bool is_safe_path(std::string_view path, Root root) noexcept {
    if (path.empty()) return root == Root::allowed;
    for (;;) {
        const auto slash = path.find('/');
        if (!is_safe_name(path.substr(0, slash))) return false;
        if (slash == std::string_view::npos) return true;
        path.remove_prefix(slash + 1);
    }
}

Answer unsafe_path(std::string_view path) {
    return {.verdict = Verdict::refused,
            .text = "the path " + text::quote(path) + " is not used: it could lead elsewhere"};
}

std::string join(std::string_view parent, std::string_view child) {
    std::string out(parent);
    if (!out.empty() && !child.empty() && !out.ends_with('/')) out += '/';
    return out += child;
}

}  // namespace ums::transport
