// SPDX-License-Identifier: GPL-3.0-or-later
#include "target/target.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>
#include <vector>

#include "text/text.hpp"

namespace ums::target {

namespace {

constexpr std::array<std::pair<std::string_view, Scheme>, 7> schemes{{{"file", Scheme::file},
                                                                      {"dav", Scheme::dav},
                                                                      {"davs", Scheme::davs},
                                                                      {"smb", Scheme::smb},
                                                                      {"smtp", Scheme::smtp},
                                                                      {"smtps", Scheme::smtps},
                                                                      {"lmtp", Scheme::lmtp}}};

std::string_view name_of(Scheme scheme) {
    const auto* found = std::find_if(schemes.begin(), schemes.end(), [&](auto& s) { return s.second == scheme; });
    return found->first;
}

// Without empty segments and trailing slash; nothing when a segment is `.` or `..`, which could lead elsewhere.
std::optional<std::string> clean_path(std::string_view path) {
    std::string out;
    for (const auto segment : text::split(path, '/')) {
        if (segment.empty()) continue;
        if (segment == "." || segment == "..") return std::nullopt;
        out += '/';
        out += segment;
    }
    return out.empty() ? "/" : out;
}

// A directory of this machine; an administrator may write `../kernel1`.
std::string local_path(std::string_view text, std::string_view base) {
    std::filesystem::path path(text);
    if (!path.is_absolute()) path = std::filesystem::path(base) / path;
    std::string out = path.lexically_normal().string();
    while (out.size() > 1 && out.ends_with('/')) out.pop_back();
    return out;
}

bool is_mail(Scheme scheme) { return scheme == Scheme::smtp || scheme == Scheme::smtps || scheme == Scheme::lmtp; }

std::variant<Target, std::string> parse_unc(std::string_view text) {
    std::string path(text.substr(2));
    std::replace(path.begin(), path.end(), '\\', '/');
    const auto slash = path.find('/');
    if (slash == 0 || slash == std::string::npos) return "a UNC path is \\\\server\\share\\directory";
    const auto cleaned = clean_path(path.substr(slash));
    if (!cleaned) return "'.' and '..' are not allowed in a path";
    if (*cleaned == "/") return "a UNC path needs a share: \\\\server\\share\\directory";
    return Target{Scheme::smb, path.substr(0, slash), std::nullopt, *cleaned};
}

// host, [v6], host:port
std::optional<std::string> parse_authority(std::string_view authority, Target& target) {
    if (authority.find('@') != std::string_view::npos) {
        return "user and password do not belong into a URL; use 'auth:'";
    }
    std::string_view host = authority;
    std::string_view port;
    bool has_port = false;
    if (authority.starts_with('[')) {
        const auto end = authority.find(']');
        if (end == std::string_view::npos) return "the bracket of an IPv6 address is not closed";
        host = authority.substr(1, end - 1);
        port = authority.substr(end + 1);
        has_port = !port.empty();
        if (has_port && port[0] != ':') return "something stands between the IPv6 address and the port";
        if (host.find(':') == std::string_view::npos) return "brackets hold an IPv6 address";
        if (has_port) port.remove_prefix(1);
    } else if (const auto colon = authority.find(':'); colon != std::string_view::npos) {
        host = authority.substr(0, colon);
        port = authority.substr(colon + 1);
        has_port = true;
    }
    if (host.empty()) return "the host is missing";
    const bool plain = std::all_of(host.begin(), host.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
               c == '_' || c == ':' || (static_cast<unsigned char>(c) >= 0x80);
    });
    if (!plain) return "the host " + text::quote(host) + " has a character that no host name has";
    if (has_port) {
        const auto number = text::parse_number(port);
        if (!number || *number == 0 || *number > 65535) return "the port " + text::quote(port) + " is not 1 to 65535";
        target.port = static_cast<std::uint16_t>(*number);
    }
    target.host = host;
    return std::nullopt;
}

}  // namespace

std::variant<Target, std::string> parse_target(std::string_view text, std::string_view base) {
    if (text.empty()) return "it is empty";
    if (std::any_of(text.begin(), text.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
        return "it has a control character";
    }
    if (text.starts_with("\\\\")) return parse_unc(text);
    if (text.starts_with('\\')) return "a UNC path begins with two backslashes: \\\\server\\share\\directory";

    if (text.starts_with("//")) {
        return "it has no scheme; a share is written \\\\server\\share\\directory or smb://server/share/directory, "
               "a directory of this machine with one slash";
    }
    const auto colon = text.find(':');
    const auto slash = text.find('/');
    if (colon == std::string_view::npos || slash < colon) {
        return Target{Scheme::file, "", std::nullopt, local_path(text, base)};
    }

    const std::string scheme_name = text::lower(text.substr(0, colon));
    const auto* known = std::find_if(schemes.begin(), schemes.end(), [&](auto& s) { return s.first == scheme_name; });
    if (known == schemes.end()) {
        if (scheme_name == "http" || scheme_name == "https") {
            return "a WebDAV server is written " + std::string(scheme_name == "http" ? "dav://" : "davs://");
        }
        return "the scheme " + text::quote(scheme_name) + " is none of file, dav, davs, smb, smtp, smtps, lmtp";
    }
    Target target;
    target.scheme = known->second;
    auto rest = text.substr(colon + 1);
    if (rest.find_first_of("?#") != std::string_view::npos) return "a query or fragment has no meaning here";

    std::string_view path = rest;
    if (target.scheme == Scheme::file) {
        if (rest.starts_with("//")) {
            rest.remove_prefix(2);
            if (rest.starts_with("localhost/")) rest.remove_prefix(9);
            if (!rest.starts_with('/')) return "a file URL names no host: file:///directory";
            path = rest;
        }
        if (path.empty()) return "a file URL needs a directory: file:/directory";
    } else {
        if (!rest.starts_with("//")) return "'//' is missing after " + scheme_name + ":";
        rest.remove_prefix(2);
        const auto end = rest.find('/');
        const bool is_socket = target.scheme == Scheme::lmtp && end == 0;
        if (!is_socket) {
            if (auto problem = parse_authority(rest.substr(0, end), target)) return *problem;
        }
        path = end == std::string_view::npos ? std::string_view{} : rest.substr(end);
    }
    const auto decoded = decode(path);
    if (!decoded) return "a '%' in the path is not followed by two hexadecimal digits";
    if (std::any_of(decoded->begin(), decoded->end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
        return "the path has a control character";
    }
    if (target.scheme == Scheme::file) {
        target.path = local_path(*decoded, base);
        return target;
    }
    const auto cleaned = clean_path(*decoded);
    if (!cleaned) return "'.' and '..' are not allowed in a path";
    target.path = *cleaned;
    if (target.scheme == Scheme::smb && target.path == "/") return "an SMB target needs a share: smb://host/share";
    if (is_mail(target.scheme) && (target.path == "/") == target.host.empty()) {
        return target.host.empty() ? "the host is missing" : "a mail server has no path";
    }
    return target;
}

std::string url_host(std::string_view host) {
    const bool v6 = host.find(':') != std::string_view::npos;
    return v6 ? "[" + std::string(host) + "]" : std::string(host);
}

std::string to_string(const Target& target) {
    std::string out(name_of(target.scheme));
    out += ':';
    if (target.scheme != Scheme::file) {
        out += "//";
        out += url_host(target.host);
        if (target.port) out += ":" + std::to_string(*target.port);
        if (is_mail(target.scheme) && !target.host.empty()) return out;
    }
    return out + encode_path(target.path);
}

std::string encode_segment(std::string_view segment) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : segment) {
        const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                c == '-' || c == '.' || c == '_' || c == '~';
        if (unreserved) {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += '%';
            out += digits[byte >> 4];
            out += digits[byte & 0xf];
        }
    }
    return out;
}

std::string encode_path(std::string_view path) {
    std::string out;
    bool first = true;
    for (const auto segment : text::split(path, '/')) {
        if (!first) out += '/';
        first = false;
        out += encode_segment(segment);
    }
    return out;
}

std::optional<std::string> decode(std::string_view text) {
    const auto value = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = value(text[i + 1]);
        const int low = value(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

}  // namespace ums::target
