// SPDX-License-Identifier: GPL-3.0-or-later
//
// Paths below a store's root, and names that others give us: private to the transport module.
#pragma once

#include <string>
#include <string_view>

#include "transport/store.hpp"

namespace ums::transport {

/// One path segment that leads nowhere else: not empty, `.` or `..`, without '/' and NUL.
bool is_safe_name(std::string_view name) noexcept;

enum class Root { allowed, forbidden };

/// Safe names with single slashes between them; the empty path, which is the root itself, if allowed.
bool is_safe_path(std::string_view path, Root root) noexcept;

/// What an unsafe path gets, before anything is sent or touched.
Answer unsafe_path(std::string_view path);

/// `<parent>/<child>`; either may be empty.
std::string join(std::string_view parent, std::string_view child);

}  // namespace ums::transport
