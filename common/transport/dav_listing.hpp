// SPDX-License-Identifier: GPL-3.0-or-later
//
// A WebDAV multistatus (RFC 4918 section 13), read as it arrives; private to the transport module.
//
// What a server sends is not trusted: no document types and so no entities, bounded depth and text lengths, and only
// what lies directly below the directory that was asked for. Memory does not grow with the number of entries.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "transport/store.hpp"

namespace ums::transport {

/// Where a server's own addresses begin.
struct Origin {
    std::string scheme;  ///< `http`, `https`
    std::string host;    ///< IPv6 without its brackets
    std::uint16_t port = 0;
};

/// What an href says, seen from a directory of ours.
struct Relation {
    bool self = false;  ///< the directory (or file) itself
    std::string name;   ///< else the one decoded segment below it; safe
};

/// `href` is an absolute URL or an absolute path (RFC 4918 section 8.3); `base` is a decoded absolute path without
/// trailing slash, empty for the root. Nothing for other places, deeper ones, and unsafe names.
std::optional<Relation> relate(std::string_view href, const Origin& origin, std::string_view base);

struct ListingEntry {
    bool self = false;
    bool sized = false;  ///< the server said a length
    Item item;           ///< without name if it is the directory itself
};

class Listing {
  public:
    /// `each` returning false ends it: later input is passed over.
    Listing(Origin origin, std::string base, std::function<bool(const ListingEntry&)> each);
    ~Listing();
    Listing(const Listing&) = delete;
    Listing& operator=(const Listing&) = delete;

    /// False when nothing more is wanted: `each` said so, or there is a problem().
    bool feed(std::string_view part);
    /// After the last part: false if the document is not whole.
    bool finish();

    /// A sentence, or empty.
    const std::string& problem() const noexcept;
    /// Entries passed over because they lie elsewhere; one of them, as the server wrote it.
    std::size_t foreign() const noexcept;
    const std::string& foreign_example() const noexcept;

  private:
    class Parser;
    std::unique_ptr<Parser> parser_;
};

}  // namespace ums::transport
