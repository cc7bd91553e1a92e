// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the metadata of all countries (libphonenumber) says of a number. Advice for people: real extensions are longer
// than any metadata knows, and numbers are given out faster than packages are. Nothing is ever refused by it.
//
// The metadata takes several megabytes, and its library half a dozen others. So it is loaded when it is first asked, from a
// file of its own beside the programs; where that is not installed, there is no advice.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ums::number {

struct Advice {
    bool plausible = false;  ///< its country is known, and its length possible there
    std::string region;      ///< ISO 3166 of its country, `DE`; `001` for what is of no country; empty: unknown
    std::string text;        ///< `Germany (DE): a fixed-line number of possible length`
};

/// Of an international number, `+4989123`, in any spelling; nothing for another one, or where there is no metadata.
std::optional<Advice> advise(std::string_view international);

}  // namespace ums::number
