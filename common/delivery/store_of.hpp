// SPDX-License-Identifier: GPL-3.0-or-later
//
// From the configuration to stores, mail servers and destinations.
#pragma once

#include <functional>
#include <memory>

#include "config/config.hpp"
#include "delivery/courier.hpp"
#include "transport/mail_client.hpp"
#include "transport/store.hpp"

namespace ums::delivery {

/// Whether this build can carry to such a target at all.
bool is_supported(const target::Target& target) noexcept;

/// The kernel's directory tree. Reads the password; throws Error for one that cannot be read, and for a scheme that is
/// not supported.
/// Waits for no answer longer than `patience`, if that is given.
std::unique_ptr<transport::Store> store_of(const config::Kernel& kernel, io::Disk& disk,
                                           std::optional<std::chrono::milliseconds> patience = std::nullopt);
/// The connector's own directory, `<root>/<name>`. The connector must have a root.
std::unique_ptr<transport::Store> store_of(const config::Connector& connector, io::Disk& disk);
/// Any target, with the access of the kernel or connector that it is called after, if it names one.
std::unique_ptr<transport::Store> store_of(const target::Target& target, const config::Auth& auth,
                                           const config::Tls& tls, const config::Http& http,
                                           const transport::Limits& limits, io::Disk& disk);

/// The mail server of a connector, which must have `deliver`.
std::unique_ptr<transport::MailServer> mail_server_of(const config::Connector& connector, io::Disk& disk,
                                                      std::function<bool()> stopping);
/// Any mail server, with the access, limits and patience that `deliver` and `limit` say.
std::unique_ptr<transport::MailServer> mail_server_of(const config::Deliver& deliver, const config::Limit& limit,
                                                      io::Disk& disk, std::function<bool()> stopping);

/// The stage directory of a kernel, below its url.
std::string stage_of(const config::Config& config, const config::Kernel& kernel);

Destination destination_of(const config::Config& config, const config::Kernel& kernel);
Destination destination_of(const config::Config& config, const config::Connector& connector);

}  // namespace ums::delivery
