// SPDX-License-Identifier: GPL-3.0-or-later
#include "store_from_environment.hpp"

#include <cstdlib>
#include <stdexcept>
#include <variant>

#include "io/disk.hpp"
#include "text/text.hpp"

using namespace ums::transport;

std::string environment(const std::string& name, const std::string& otherwise) {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? otherwise : value;
}

std::unique_ptr<Store> store_from_environment(ums::io::Disk& disk) {
    const auto target = ums::target::parse_target(environment("UMS_STORE_URL"), "/");
    if (const auto* problem = std::get_if<std::string>(&target)) throw std::runtime_error("UMS_STORE_URL: " + *problem);

    Access access;
    access.user = environment("UMS_STORE_USER");
    if (const auto file = environment("UMS_STORE_PASSWORD_FILE"); !file.empty()) {
        access.password = ums::text::trim(ums::io::read_file(disk, file).value());
    }
    const auto method = environment("UMS_STORE_METHOD", "automatic");
    access.method = method == "none"        ? AuthMethod::none
                    : method == "basic"     ? AuthMethod::basic
                    : method == "digest"    ? AuthMethod::digest
                    : method == "ntlm"      ? AuthMethod::ntlm
                    : method == "negotiate" ? AuthMethod::negotiate
                                            : AuthMethod::automatic;
    access.ca_file = environment("UMS_STORE_CA");
    access.certificate = environment("UMS_STORE_CERTIFICATE");
    access.key = environment("UMS_STORE_KEY");
    access.pin = environment("UMS_STORE_PIN");
    access.proxy = environment("UMS_STORE_PROXY");
    access.proxy_user = environment("UMS_STORE_PROXY_USER");
    access.proxy_password = environment("UMS_STORE_PROXY_PASSWORD");
    if (const auto header = environment("UMS_STORE_HEADER"); !header.empty()) access.headers = {{"X-Test", header}};

    Limits limits;
    limits.connections = static_cast<unsigned>(std::stoul(environment("UMS_STORE_CONNECTIONS", "8")));
    limits.connect = std::chrono::milliseconds(std::stol(environment("UMS_STORE_CONNECT", "10000")));
    limits.answer = std::chrono::milliseconds(std::stol(environment("UMS_STORE_ANSWER", "60000")));
    limits.stall = std::chrono::milliseconds(std::stol(environment("UMS_STORE_STALL", "60000")));
    return open_store(std::get<ums::target::Target>(target), access, limits, disk);
}
