// SPDX-License-Identifier: GPL-3.0-or-later
//
// The name of an entry of the spool: `<microseconds>.<random>.<mds-id>`, then `,key=value` attributes.
//
//     1795406406123456.k2j4x7ab.BER1,c=ExConn,s=munich,n=2
//
// What stands before the first comma is the id: the identity of the message as long as it lives. Lexical order is
// arrival order. A message that was split has the children `<id>~1`, `<id>~2`, ... Attributes stand in one fixed order;
// keys that this version does not know are kept. Charset `[A-Za-z0-9._,=~-]`, at most 200 bytes. See ums-spool(5).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clock/clock.hpp"

namespace ums::spool {

/// Of the file beside a parked entry that says why; no entry name ends so.
inline constexpr std::string_view why_suffix = ".why";

class EntryName {
  public:
    static constexpr std::size_t longest = 250;

    /// A new identity: `now` with 16 digits, 8 random characters, `mds_id`.
    static EntryName make(clock::Instant now, std::string_view mds_id);
    /// Nothing for what is no entry: other files may lie around, and are left alone.
    static std::optional<EntryName> parse(std::string_view text);

    const std::string& text() const noexcept { return text_; }
    std::string_view id() const noexcept;
    /// When the message arrived, as the id says.
    clock::Instant arrival() const noexcept;
    std::string_view mds_id() const noexcept;

    /// The value of an attribute; empty if there is none.
    std::string_view get(char key) const noexcept;
    /// get() as a number; 0 if there is none.
    unsigned long long number(char key) const noexcept;
    /// The same name with this attribute; an empty value takes it away. Characters outside the charset
    /// become `_`, and so does the dot of a `.why` at the end.
    EntryName with(char key, std::string_view value) const;
    EntryName with(char key, unsigned long long value) const { return with(key, std::to_string(value)); }
    EntryName without(char key) const { return with(key, ""); }

    /// `<id>~k` with the same attributes.
    EntryName child(unsigned k) const;
    /// The id of the message that this one was split from; empty if it was not.
    std::string_view parent_id() const noexcept;

    auto operator<=>(const EntryName& other) const noexcept { return text_ <=> other.text_; }
    bool operator==(const EntryName& other) const noexcept { return text_ == other.text_; }

  private:
    explicit EntryName(std::string text) : text_(std::move(text)) {}
    static std::string compose(std::string_view id, const std::vector<std::pair<char, std::string>>& attributes);
    std::vector<std::pair<char, std::string>> attributes() const;

    std::string text_;
};

/// The attributes, by their key in the name.
namespace attribute {
inline constexpr char connector = 'c';
inline constexpr char site = 's';
inline constexpr char home = 'h';         ///< the site it was decided for, if the one above is a fallback of it
inline constexpr char origin = 'o';       ///< the kernel it came from
inline constexpr char attempt = 'n';      ///< the last attempt number used; the next one is larger
inline constexpr char priority = 'p';     ///< 1: important
inline constexpr char not_before = 't';   ///< seconds since 1970
inline constexpr char doubt_since = 'w';  ///< seconds since 1970
inline constexpr char duplicate = 'd';    ///< 1: possibly sent before
inline constexpr char witness = 'v';   ///< the witness that was put before it was published; in sent/: by whose queue
inline constexpr char chosen = 'm';    ///< 1: the connector was chosen by ums-sitemap, not by the kernel
inline constexpr char refused = 'r';   ///< how often a target did not take this very message
inline constexpr char unwanted = 'q';  ///< how often of these for what it is, and not for want of room
inline constexpr char ruled =
    'a';  ///< what was decided: `hold` (also after its release), `failed`, `report`, `expired`
inline constexpr char counted_from = 'e';  ///< seconds since 1970: its waiting counts from here, not from its arrival
inline constexpr char delays_told = 'l';   ///< of how many delays somebody was told
inline constexpr char taking_back = 'k';   ///< 1: in publishing/, it is being taken back from where it has arrived
inline constexpr char copy = 'b';          ///< how often it was sent again: each time under another final name
inline constexpr std::string_view expired = "expired";  ///< value of `ruled`: for ums-route to put aside and report
}  // namespace attribute

/// The name when it is to be decided about anew: without a site, a connector that was chosen here, a pause.
EntryName undecided(const EntryName& name);

}  // namespace ums::spool
