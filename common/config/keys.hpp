// SPDX-License-Identifier: GPL-3.0-or-later
//
// Private to config: the names of all keys, map by map. The readers know no others (Section checks it), so known_keys()
// is the truth.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace ums::config::keys {

using Keys = std::span<const std::string_view>;

inline constexpr std::array<std::string_view, 6> file{"mds",           "kernels", "connectors",
                                                      "site-defaults", "sites",   "routes"};
inline constexpr std::array<std::string_view, 11> mds{"id",       "spool",    "force-spool", "numbering",
                                                      "settle",   "in-doubt", "expire",      "keep-sent",
                                                      "on-event", "mail",     "time-zone"};
inline constexpr std::array<std::string_view, 2> mail{"domains", "fields"};
inline constexpr std::array<std::string_view, 16> numbering{"country",
                                                            "area",
                                                            "subscriber",
                                                            "extension-digits",
                                                            "extensions",
                                                            "national-prefix",
                                                            "international-prefix",
                                                            "outside-line",
                                                            "remove-outside-line",
                                                            "internal-length",
                                                            "internal-calls",
                                                            "type-of-number",
                                                            "e164-only",
                                                            "always-dial-area",
                                                            "short-numbers",
                                                            "blocked"};
inline constexpr std::array<std::string_view, 2> main_number{"number", "extensions"};
inline constexpr std::array<std::string_view, 3> type_of_number{"destination", "originator", "redirector"};
inline constexpr std::array<std::string_view, 6> in_doubt{"wait", "fax", "voc", "sms", "mwi", "tts"};
inline constexpr std::array<std::string_view, 2> on_event{"command", "mail"};
inline constexpr std::array<std::string_view, 2> event_mail{"to", "via"};
inline constexpr std::array<std::string_view, 14> kernel{"url",      "auth",      "tls",   "proxy", "headers",
                                                         "channels", "fetch",     "check", "limit", "stage",
                                                         "in-place", "extension", "stuck", "recall"};
inline constexpr std::array<std::string_view, 10> connector{"root",    "deliver", "auth",     "tls",     "proxy",
                                                            "headers", "limit",   "in-place", "numbers", "extension"};
inline constexpr std::array<std::string_view, 5> proxy{"url", "user", "password-file", "password-command",
                                                       "password-credential"};
inline constexpr std::array<std::string_view, 5> auth{"method", "user", "password-file", "password-command",
                                                      "password-credential"};
inline constexpr std::array<std::string_view, 4> tls{"ca", "cert", "key", "pin"};
inline constexpr std::array<std::string_view, 5> mail_tls{"ca", "cert", "key", "pin", "starttls"};
inline constexpr std::array<std::string_view, 7> deliver{"url",     "address", "addresses", "from",
                                                         "timeout", "auth",    "tls"};
inline constexpr std::array<std::string_view, 4> check{"interval", "timeout", "fall", "rise"};
inline constexpr std::array<std::string_view, 7> limit{
    "connections", "messages-per-second", "bandwidth", "max-pending", "connect", "answer", "stall"};
inline constexpr std::array<std::string_view, 21> site{
    "kernels", "balance",     "fallback", "fail-back", "hold-down", "numbering", "conversions",
    "dial",    "mark",        "doubled",  "connector", "ddi",       "lines",     "caller-id",
    "fax-id",  "header-line", "billing",  "fields",    "language",  "time-zone", "examples"};
inline constexpr std::array<std::string_view, 10> fields{
    "caller-id", "fax-id",     "header-line",    "billing",         "language",
    "time-zone", "redirector", "type-of-number", "originator-type", "redirector-type"};
inline constexpr std::array<std::string_view, 4> conversion{"direction", "kind", "match", "replace"};
inline constexpr std::array<std::string_view, 6> site_connectors{"fax", "voc", "sms", "mwi", "tts", "other"};
inline constexpr std::array<std::string_view, 5> example{"number", "direction", "kind", "type", "expected"};
inline constexpr std::array<std::string_view, 7> number_case{"name", "site", "number",  "direction",
                                                             "kind", "type", "expected"};
inline constexpr std::array<std::string_view, 6> balance{"rotate",  "batch",         "min-active",
                                                         "weights", "least-pending", "hash"};
inline constexpr std::array<std::string_view, 19> route{
    "name", "recipient",  "sender", "service", "connector", "header", "importance", "size",   "pages", "hours",
    "days", "attachment", "any",    "all",     "not",       "to",     "hold",       "reject", "note"};
inline constexpr std::array<std::string_view, 14> test{"recipient",  "sender", "service", "connector", "header",
                                                       "importance", "size",   "pages",   "hours",     "days",
                                                       "attachment", "any",    "all",     "not"};
inline constexpr std::array<std::string_view, 2> size{"over", "under"};
inline constexpr std::array<std::string_view, 3> pages{"over", "under", "field"};
inline constexpr std::array<std::string_view, 2> table{"prefixes", "in"};
inline constexpr std::array<std::string_view, 1> cases{"cases"};
inline constexpr std::array<std::string_view, 10> routing_case{"name",   "message", "recipient",  "sender", "connector",
                                                               "header", "size",    "attachment", "at",     "to"};
inline constexpr std::array<std::string_view, 1> list{"in"};

}  // namespace ums::config::keys
