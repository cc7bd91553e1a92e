// SPDX-License-Identifier: GPL-3.0-or-later
//
// site: what a site makes of the numbers of a message, incoming and outgoing, what else of it goes into a message, and
// which connector an incoming one is for. Pure: ums-sitemap shows it, ums-push applies it as the message leaves, always
// from the numbers of the message.
//
// How a number is formed is number/forming.hpp's; here is where it stands in a message, and what is put there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "message/header_block.hpp"
#include "number/forming.hpp"

namespace ums::site {

struct Chosen {
    const config::Site* site = nullptr;
    std::string reason;
};

/// The sites of a message that was received from `kernel`. Where several sites list the kernel, in this order: the first
/// one of which `lines` fits a header field of the message; the one whose country, area and main number cover most
/// digits of the recipient, or, if it tells nothing, of any recipient; the first one without lines of its own. Null if
/// none lists it. What holds for the whole message is found out once; `config` and `block` must outlive this.
class Sites {
  public:
    Sites(const config::Config& config, std::string_view kernel, const message::HeaderBlock& block);
    const Chosen& of_message() const noexcept { return of_message_; }
    Chosen of(const message::Recipient& recipient) const;

  private:
    const message::HeaderBlock& block_;
    std::vector<const config::Site*> candidates_;
    bool by_number_ = false;  ///< nothing else has told it
    Chosen of_message_;
};

/// What a site makes of a recipient of a received message.
struct Received {
    std::string number;      ///< as formed, or as it is spelled
    bool is_formed = false;  ///< else its spelling stays
    bool doubled = false;    ///< see number::Formed
    const config::DdiRule* ddi = nullptr;
    std::string service;  ///< `fax`, `voc`, ...: as the recipient names it, else as the DDI map says, else `fax`
};
/// `steps` gets what was done, and why nothing was.
Received receive(const config::Site& site, const message::HeaderBlock& block, const message::Recipient& recipient,
                 number::Steps* steps = nullptr);
/// The same without a message: of type `type`, if that was signalled.
Received receive(const config::Site& site, std::string_view number, std::optional<number::TypeOfNumber> type,
                 number::Steps* steps = nullptr);

/// Why `received` goes to nobody: its site parks doubled numbers, or the DDI map ignores or rejects its extension.
/// Nothing if it goes its way.
std::optional<std::string> parked(const config::Site& site, const Received& received);

/// Where the numbers of a message were meant, if not at the site that sends it (`fallback`): one without `+` is another
/// number elsewhere.
struct Home {
    const config::Site* site = nullptr;
    const number::Numbering* numbering = nullptr;
};

/// What the PBX of `site` must dial for a recipient; nothing if it is no number, or the site has no numbering. Throws
/// Error{unusable} as number::outgoing() does.
std::optional<std::string> outgoing_number(const config::Site& site, const message::Recipient& recipient,
                                           number::Steps* steps = nullptr);

/// Why `site` does not send to a recipient, whoever dials: number::refusal(), and where dial strings are made here what
/// number::outgoing() throws. Of what is no number and no mail address (`0900 123,,5`) the digits count; where only numbers
/// with `+` are taken, it is refused; and so is what only `home` knows (number::elsewhere()). Nothing if it does.
std::optional<std::string> refusal(const config::Site& site, const message::Recipient& recipient,
                                   const Home& home = {});

/// The numbers of a received message as the site forms them: its recipients, the sender if that is a number
/// (originator), and the redirector (a header field). What was changed is kept in `X-UMS-Original-Recipient` (one for
/// each changed recipient), `X-UMS-Original-Sender` and `X-UMS-Original-Redirector`. A site without numbering changes
/// nothing.
message::Edit incoming_edit(const config::Site& site, const message::HeaderBlock& block);
/// Whether incoming_edit() may change anything.
bool edits_incoming(const config::Site& site) noexcept;

/// What leaves for a kernel of `site`: dial strings as `dial:` says (rewrite: into `RCPT TO`; header:
/// `X-UMS-Dial: <number>` per recipient, in their order, its address where that is no number); caller ID, fax ID, header
/// line, billing code, language and time zone of the site, each where the message has no such field; the caller ID after
/// the conversions of outgoing originators; and the marks of the site, which replace what is there. Numbers that are at
/// `home` somewhere else are completed there first, whatever `dial:` says. Throws Error{unusable} where refusal() says
/// something.
message::Edit outgoing_edit(const config::Site& site, const message::HeaderBlock& block, const Home& home = {});
/// Whether outgoing_edit() may change, or refuse, anything.
bool edits_outgoing(const config::Site& site, const Home& home = {});

/// The first connector one of whose `numbers` covers the number, after normalisation of both (a pattern's `*` and `?`
/// stay; the site's numbering completes them, else that of the MDS), and the service where the pattern names one
/// (`voc#+49*`); else those of the site for this service; else none.
struct Choice {
    std::vector<std::string> connectors;
    std::string reason;
};
Choice choose_connectors(const config::Config& config, const config::Site* site, std::string_view number,
                         std::string_view service = "fax");

}  // namespace ums::site
