// SPDX-License-Identifier: GPL-3.0-or-later
//
// `ums-sitemap import`: the settings of another system, as a start for mds.yaml.
//
// The file is CSV (RFC 4180; `,`, `;` or TAB, whichever its first line has most of). Either its first row has the names of
// the fields and each other row is a site, or its first column has them and each other column is a site: a page of the
// other system's settings copied down. Names are those of its manuals, in English or German, and our own keys; letter
// case, blanks and punctuation do not count.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ums::sitemap {

struct Imported {
    std::string yaml;                   ///< the section `sites:`
    std::vector<std::string> warnings;  ///< `line 3: ...`: what was not taken over, or was changed
};

/// Throws Error{unusable} for a file without any field that is known, and for an open quote.
Imported import_sites(std::string_view csv);

}  // namespace ums::sitemap
