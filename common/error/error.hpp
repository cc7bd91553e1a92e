// SPDX-License-Identifier: GPL-3.0-or-later
//
// error: what can fail, and the exit code a failure ends a program with.
//
// Outcomes that a caller branches on are values; failures are this one exception. It is caught once, in
// cli::run_tool(), which prints its text and ends with its exit code. The text says what, on what and why.
#pragma once

#include <stdexcept>
#include <string>

namespace ums {

/// Kinds of failure, each with one exit code of ums(7). The numbers are those of sysexits.h.
enum class Fault {
    usage,          ///< 64: the command line is wrong
    unusable,       ///< 65: the single message given cannot be used
    unreachable,    ///< 69: no target could be reached; everything is kept
    internal,       ///< 70: a bug of ours
    cannot_write,   ///< 73: the spool (or the output) cannot be written
    cannot_read,    ///< 74: the spool (or the input) cannot be read
    later,          ///< 75: work is left that a later run will finish
    permission,     ///< 77
    configuration,  ///< 78
};

/// Exit code when everything is done but something now waits for a person.
inline constexpr int exit_attention = 1;

/// The exit code of `fault`, as the table in ums(7) lists it.
int exit_code(Fault fault) noexcept;

class Error : public std::runtime_error {
  public:
    Error(Fault fault, const std::string& text, int error_number = 0)
        : std::runtime_error(text), fault_(fault), error_number_(error_number) {}
    Fault fault() const noexcept { return fault_; }
    /// The errno value behind it, for those who branch on it; 0 if there was none.
    int error_number() const noexcept { return error_number_; }

  private:
    Fault fault_;
    int error_number_;
};

/// `cannot <doing>: <text of errno>`: the form of every failed system call. `error` is an errno value.
Error system_error(Fault fault, const std::string& doing, int error);

/// The fault that fits a failed write to, or read from, the spool: EACCES and EPERM are `permission`.
Fault fault_of_errno(int error, Fault otherwise) noexcept;

}  // namespace ums
