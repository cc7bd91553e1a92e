// SPDX-License-Identifier: GPL-3.0-or-later
//
// `ums-route --graph`: the routing table as a picture, from the rules by way of the sites to the kernels.
#pragma once

#include <string>

#include "config/config.hpp"

namespace ums::route {

enum class GraphFormat { dot, mermaid, svg };

/// DOT (graphviz.org) or Mermaid (mermaid.js.org) text. For svg, DOT is given to `dot -Tsvg`. Throws Error{usage} where
/// Graphviz is not installed, Error{internal} if it fails.
std::string draw(const config::Config& config, GraphFormat format);

}  // namespace ums::route
