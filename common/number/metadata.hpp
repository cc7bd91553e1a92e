// SPDX-License-Identifier: GPL-3.0-or-later
//
// Private to number: between advice.cpp and the file that has libphonenumber in it.
#pragma once

#include <cstddef>

namespace ums::number {

/// Found by the search path that the program has in itself (RPATH).
inline constexpr const char* metadata_library = "libums-metadata.so";
inline constexpr const char* metadata_function = "ums_number_metadata";

/// Puts `region TAB sentence` for an international number of digits behind a `+` into `answer`. 1 if the number is plausible,
/// 0 if not, -1 if nothing can be said. Throws nothing.
using MetadataFunction = int (*)(const char* number, char* answer, std::size_t size);

}  // namespace ums::number
