// SPDX-License-Identifier: GPL-3.0-or-later
//
// Private to config: a YAML document as a tree that knows where each of its parts stands.
//
// The tree is built from the parser's events and never larger than the file: aliases are refused where they appear, so
// nothing is ever expanded. Scalars are kept as they were written (`02` stays `02`); what they mean is the business of
// whoever reads the key.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ums::config {

class Report;

struct Node {
    enum class Kind { nothing, text, list, map } kind = Kind::nothing;
    int line = 0;          ///< from 1
    int column = 0;        ///< from 1, in characters
    bool refused = false;  ///< reported already: an alias, or a key that is no text
    std::string text;
    std::vector<Node> keys;    ///< of a map; values[i] belongs to keys[i]
    std::vector<Node> values;  ///< of a list or map
};

/// The only document of `yaml`; nothing if it cannot be read as YAML, is empty, or is too deep or too large. Keys
/// given twice, anchors, aliases, tags and further documents are errors in the report, but the tree is there.
std::optional<Node> read_document(std::string_view yaml, Report& report);

}  // namespace ums::config
