// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a target can do, found out by trying: for `ums-push --probe TARGET` and `ums-fetch --probe SOURCE`.
#pragma once

#include <functional>
#include <string>

#include "clock/clock.hpp"
#include "transport/store.hpp"

namespace ums::transport {

enum class Finding { good, warning, bad };

struct Check {
    std::string name;  ///< `connect`, `login`, `list`, `write`, `rename`, `overwrite protection`, `hidden names`, ...
    Finding finding = Finding::good;
    std::string detail;  ///< what was seen, and for a warning or worse what to change
};

/// Told of each check as soon as it is made: a server that is slow is no reason to show nothing.
using Tell = std::function<void(Check)>;

/// Tries everything that a delivery needs below `scratch`, which is created if missing and whose own leftovers are
/// removed afterwards: connect and log in, list, write and read back, the server's clock, rename, refusal to rename over an existing
/// name, refusal to create over one, odd and hidden names, remove, latency. A server without a rename that protects is
/// `bad`.
/// Stops at the first check without which the others mean nothing.
void probe(Store& store, const std::string& scratch, clock::Clock& clock, const Tell& tell);

/// Tries what a fetch needs in the directory itself: to list it, to rename in it, to remove. One check, `fetch <directory>`; what
/// is made for it is a dotfile, and removed.
void probe_source(Store& store, const std::string& directory, const Tell& tell);

}  // namespace ums::transport
