// SPDX-License-Identifier: GPL-3.0-or-later
//
// The store that a test script names: UMS_STORE_URL, and where needed UMS_STORE_USER, UMS_STORE_PASSWORD_FILE,
// UMS_STORE_METHOD (automatic, none, basic, digest, ntlm), UMS_STORE_CA, UMS_STORE_CERTIFICATE, UMS_STORE_KEY,
// UMS_STORE_PIN, UMS_STORE_CONNECTIONS, and UMS_STORE_CONNECT, UMS_STORE_ANSWER, UMS_STORE_STALL in milliseconds.
#pragma once

#include <memory>
#include <string>

#include "transport/store.hpp"

std::string environment(const std::string& name, const std::string& otherwise = {});

std::unique_ptr<ums::transport::Store> store_from_environment(ums::io::Disk& disk);
