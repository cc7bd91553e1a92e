// SPDX-License-Identifier: GPL-3.0-or-later
//
// What forming.cpp and dialling.cpp share; nobody else's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "number/conversion.hpp"
#include "number/number.hpp"

namespace ums::number {

void note(Steps* steps, std::string what, const std::string& number);

/// Whether one of the rules changed `number`.
bool apply_conversions(const std::vector<Conversion>& conversions, Conversion::Direction direction,
                       Conversion::Kind kind, std::string& number, Steps* steps);

/// `+49 30 456987123`: country and area of the site in front.
std::string written(const Numbering& site, std::string_view subscriber);

/// usual_extension_digits if the site does not say.
unsigned most_extension_digits(const Numbering& site);

/// The main number that `extension` belongs to: the first that names it among its own, else the first that takes all; null
/// if the site has none.
const MainNumber* main_number_of(const Numbering& site, std::string_view extension);

/// Of `+<country><area><main>...` what stands behind the main number, of the longest one.
std::optional<std::string_view> behind_main(const Numbering& site, std::string_view international,
                                            const MainNumber** main = nullptr);

}  // namespace ums::number
