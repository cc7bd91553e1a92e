// SPDX-License-Identifier: GPL-3.0-or-later
//
// A WebDAV collection (RFC 4918) as a store; private to the transport module, see open_store().
#pragma once

#include <memory>

#include "transport/store.hpp"

namespace ums::transport {

std::unique_ptr<Store> open_dav_store(const target::Target& target, const Access& access, const Limits& limits,
                                      io::Disk& disk);

}  // namespace ums::transport
