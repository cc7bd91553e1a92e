// SPDX-License-Identifier: GPL-3.0-or-later
//
// message: the header block of a message on disk, its envelope, and rewriting it as a stream.
//
// A message is a text file: SMTP-like envelope lines (`MAIL FROM:`, `RCPT TO:`), then RFC 5322 header fields, an empty
// line, then the body (MIME), which is never looked at. Names in any case, blanks or none around the colon, CRLF and LF
// line ends, folded lines. Everything that is not changed on purpose is kept byte for byte.
//
// What is odd is read the way that loses no recipient and adds none: a CR without LF is a blank inside a line, never a
// line end; a line of nothing but CRs ends the block as an empty one does; a line of blanks continues the one before;
// `RCPT TO` counts wherever it stands in the block; a byte order mark before the first line is skipped.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/disk.hpp"
#include "text/units.hpp"

namespace ums::message {

/// The longest header block that is read. A longer one makes the message unusable.
inline constexpr Bytes longest_header{1 << 20};

/// What may stand before a number: `fax#`, `SMS#`. Written in lower case.
enum class Service { fax, sms, voc, mwi, tts };
std::string_view to_string(Service service) noexcept;
std::optional<Service> parse_service(std::string_view text) noexcept;

enum class Importance { low, normal, high };
std::string_view to_string(Importance importance) noexcept;

/// One line of the block, folded continuation lines included, with its line end.
struct Line {
    enum class Kind { mail_from, rcpt_to, field, other } kind = Kind::field;
    std::string_view raw;    ///< all bytes of the line(s), line ends included
    std::string_view name;   ///< `RCPT TO`, `Subject`: as written, without blanks around it; empty for `other`
    std::string_view value;  ///< after the colon, still folded, blanks around it trimmed; inside `raw` even if empty
};

struct Recipient {
    std::string address;             ///< as written, unfolded, without the service: `+49 8142 47989798`
    std::optional<Service> service;  ///< as written; none if the line names none
    std::string spelling;            ///< all of the value, unfolded: `fax#+49 8142 47989798`
    std::size_t line = 0;            ///< index into lines()
};

/// The parsed block. It never changes, so copies share its bytes; the views in lines() hold as long as one of them
/// lives.
class HeaderBlock {
  public:
    /// Parses a block from its bytes: everything up to and including the empty line, or all of `bytes` if the file
    /// ended without one. Throws Error{unusable} with a reason fit for a `.why` file: empty; a NUL byte; no header line
    /// at all; a first line that is neither envelope nor field; longer than `longest_header`.
    static HeaderBlock parse(std::string bytes);

    /// All lines but the empty one at the end.
    const std::vector<Line>& lines() const noexcept { return lines_; }
    /// The block with the empty line at its end (if it has one).
    std::string_view bytes() const noexcept { return bytes_ ? std::string_view(*bytes_) : std::string_view(); }
    /// What ends a line in this message: that of its first line; CRLF if that has none.
    std::string_view line_end() const noexcept;

    /// The address of `MAIL FROM`, without `<>` and what stands around them; empty if there is none. The first counts.
    std::string sender() const;
    /// One per `RCPT TO` line with a value (more than `<>`), in order. Two lines with the same spelling are two
    /// recipients.
    std::vector<Recipient> recipients() const;
    /// All values of a field, in order, unfolded and RFC 2047 decoded to UTF-8 (GMime). Bytes that are no UTF-8 are
    /// taken as Latin-1. `name` in any case. `MAIL FROM` and `RCPT TO` are no fields.
    std::vector<std::string> values(std::string_view name) const;
    /// values() of all fields in order, as (name, value).
    std::vector<std::pair<std::string, std::string>> fields() const;
    /// Whether there is such a field; cheaper than values().
    bool has_field(std::string_view name) const noexcept;
    /// What `Importance` says, else `X-Priority` (1 and 2 are high, 4 and 5 low), else `Priority` (`urgent`,
    /// `non-urgent`); of several, the highest. Normal if none says anything.
    Importance importance() const;
    bool is_urgent() const { return importance() == Importance::high; }

  private:
    std::shared_ptr<const std::string> bytes_;
    std::vector<Line> lines_;
};

/// Reads the header block of the file, at most `longest_header` of it; the second value is where the body starts.
/// Throws Error{unusable} as HeaderBlock::parse() does and for a longer block, Error{cannot_read} for the disk.
struct FileHeader {
    HeaderBlock block;
    std::uint64_t body_offset = 0;
};
FileHeader read_header(io::Disk& disk, const io::Fd& file, const std::string& path);

/// Puts up to `buffer.size()` bytes of a stream into `buffer`; 0 only at its end.
using Reader = std::function<std::size_t(std::span<char> buffer)>;
/// A reader of a descriptor, from where it stands. Throws Error{cannot_read}, which calls it `name`.
Reader read_from(int fd, std::string name);

/// The same for what cannot be read twice, such as standard input. `body` is what was read beyond the block: the first
/// bytes of the body, a few kilobytes at most; the rest is still in the stream.
struct StreamHeader {
    HeaderBlock block;
    std::string body;
};
StreamHeader read_header(const Reader& read);

/// What is changed in a block on its way out; everything else stays byte for byte.
struct Edit {
    /// Keep only these `RCPT TO` lines (indices into lines()); nothing: keep all.
    std::optional<std::vector<std::size_t>> keep_recipients;
    /// New values of lines that have a name, by line index. Name, colon, the blank after it and the line end stay. Control
    /// characters (but tabs) become blanks, here and in `fields`: a value never makes a line of its own.
    std::vector<std::pair<std::size_t, std::string>> new_values;
    /// Fields added after the last envelope line (at the top if there is none), in this order. A field of that name
    /// that is already there goes, so that a mark cannot be forged or piled up.
    std::vector<std::pair<std::string, std::string>> fields;
    /// Envelope lines for a mail that has none, put in front of everything.
    std::vector<std::string> envelope;

    bool changes_nothing() const noexcept {
        return !keep_recipients && new_values.empty() && fields.empty() && envelope.empty();
    }
};

/// The bytes of the block after `edit`; the empty line at the end included if it was there.
std::string apply(const HeaderBlock& block, const Edit& edit);

}  // namespace ums::message
