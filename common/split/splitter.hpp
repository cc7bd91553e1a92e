// SPDX-License-Identifier: GPL-3.0-or-later
//
// split: the stage that decides about whole messages by their header, and splits those whose recipients go different
// ways. ums-route and ums-sitemap are this with a decision of their own.
//
// A message that goes one way is moved as it is. One that goes several ways becomes one message for each, with its own
// `RCPT TO` lines and all else byte for byte: the protocol is Spool::commit_split()'s. A message that cannot be used is
// parked in failed/ with the reason; it never stops the others.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/cli.hpp"
#include "message/header_block.hpp"
#include "report/report.hpp"
#include "spool/spool.hpp"

namespace ums::split {

/// One way that (some of) the recipients of a message go.
struct Part {
    spool::EntryName name;             ///< the entry's name with the attributes that say where it goes
    spool::Queue queue;                ///< must be Spool::destination() of the name, or noroute
    std::vector<std::size_t> lines{};  ///< its `RCPT TO` lines, indices into HeaderBlock::lines()
    report::Result result = report::Result::routed;
    std::string detail{};                      ///< for the result line
    std::string reason{};                      ///< why, for the journal and for what is parked
    spool::State state = spool::State::fresh;  ///< hold: it waits there, the reason beside it
    std::vector<std::string> envelope{};       ///< lines that the message lacks: see message::Edit
    /// A message of its own in place of the (changed) original: a report about it. Given its name's id when it is
    /// written.
    std::function<std::string(const spool::EntryName& name)> content{};

    /// Whether the message as it lies there is not what goes this way.
    bool needs_rewriting() const noexcept { return !envelope.empty() || content; }
};

/// What is decided about.
struct Message {
    const spool::Entry& entry;
    const message::HeaderBlock& block;
    const io::Fd& file;
    std::uint64_t body_offset = 0;
};

/// All parts of a message, at least one. Throws Error{unusable} with the reason for failed/.
using Decide = std::function<std::vector<Part>(const Message& message)>;

/// Works `queue` (outgoing or incoming) once, or with --watch for ever. The exit code of the tool.
int run_stage(const cli::Common& common, const cli::Names& names, spool::Spool& spool, const spool::Queue& queue,
              report::Reporter& reporter, const Decide& decide);

}  // namespace ums::split
