// SPDX-License-Identifier: GPL-3.0-or-later
//
// target: the address of a place where messages are carried to or fetched from, as it stands in the configuration.
//
// Spellings: `/dir`, `file:/dir`, `file:///dir`; `dav://host:port/path`, `davs://...` (RFC 4918 over HTTP or HTTPS);
// `smb://host/share/dir` or `\\host\share\dir`; `smtp://`, `smtps://`, `lmtp://host:port` for the delivery of a
// connector, `lmtp:///run/dovecot/lmtp` for a socket of this machine. Credentials never stand in it: they would show in listings and logs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace ums::target {

enum class Scheme { file, dav, davs, smb, smtp, smtps, lmtp };

struct Target {
    Scheme scheme = Scheme::file;
    std::string host;                   ///< empty for file and for a socket; IPv6 without its brackets
    std::optional<std::uint16_t> port;  ///< only when it was given
    std::string path;                   ///< decoded, absolute, without a trailing slash; "/" is the root

    bool operator==(const Target&) const = default;
};

/// A target, or a sentence that says what is wrong with `text`: unknown scheme, no host, a relative path, user
/// information, a query or fragment, `..` in the path of a server, a bad escape or port. `base` is put in front of a
/// relative directory (`kernel1`, `file:kernel1`); it must be absolute.
std::variant<Target, std::string> parse_target(std::string_view text, std::string_view base);

/// The normal spelling, which parse_target() reads back as the same target.
std::string to_string(const Target& target);
/// As it stands in a URL: an IPv6 address in brackets (RFC 3986, 3.2.2).
std::string url_host(std::string_view host);

/// `segment` percent-encoded for use between slashes of a URL: all but unreserved characters (RFC 3986 section 2.3).
std::string encode_segment(std::string_view segment);
/// A path with each of its segments encoded; slashes stay.
std::string encode_path(std::string_view path);
/// Percent-decoding; nothing for a broken escape.
std::optional<std::string> decode(std::string_view text);

}  // namespace ums::target
