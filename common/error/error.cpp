// SPDX-License-Identifier: GPL-3.0-or-later
#include "error/error.hpp"

#include <cerrno>
#include <system_error>

namespace ums {

int exit_code(Fault fault) noexcept {
    switch (fault) {
        case Fault::usage: return 64;
        case Fault::unusable: return 65;
        case Fault::unreachable: return 69;
        case Fault::internal: return 70;
        case Fault::cannot_write: return 73;
        case Fault::cannot_read: return 74;
        case Fault::later: return 75;
        case Fault::permission: return 77;
        case Fault::configuration: return 78;
    }
    return 70;
}

Error system_error(Fault fault, const std::string& doing, int error) {
    return {fault, "cannot " + doing + ": " + std::generic_category().message(error), error};
}

Fault fault_of_errno(int error, Fault otherwise) noexcept {
    return error == EACCES || error == EPERM ? Fault::permission : otherwise;
}

}  // namespace ums
