// SPDX-License-Identifier: GPL-3.0-or-later
//
// config: mds.yaml, read once, checked whole, as plain structs. The file's manual is mds.yaml(5).
//
// load() finds every mistake it can in one pass: each is a Diagnostic with line and column, with what was meant when it
// is near. Unknown keys, keys given twice, aliases and anchors, wrong types and values out of range are errors; what is
// allowed but cannot be meant (dead rules, sites without rules, ...) are warnings. Secrets are not read here: see
// read_secret().
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "number/conversion.hpp"
#include "number/number.hpp"
#include "target/target.hpp"
#include "text/units.hpp"

namespace ums::config {

using text::Duration;

/// A place in a file, from 1. Line 0: the file as a whole.
struct Place {
    std::string file;
    int line = 0;
    int column = 0;
};

enum class Severity { error, warning };

struct Diagnostic {
    Severity severity = Severity::error;
    Place place;
    std::string text;
};
/// `mds.yaml:12:9: error: 'rotate' must be 1 to 2 (the site has 2 kernels), not 3`
std::string to_string(const Diagnostic& diagnostic);

/// Where a secret is kept. At most one is set.
struct Secret {
    std::string file;        ///< absolute; must not be readable by others
    std::string command;     ///< run by /bin/sh; the first line of its output
    std::string credential;  ///< a name in $CREDENTIALS_DIRECTORY (systemd)
    bool operator==(const Secret&) const = default;
};

enum class AuthMethod { automatic, none, basic, digest, ntlm, negotiate };

struct Auth {
    AuthMethod method = AuthMethod::automatic;
    std::string user;
    Secret password;
};

/// Of a mail server. Automatic: required where a login, a CA, a certificate or a pin is given, else tried.
enum class StartTls { automatic, require, attempt, never };

struct Tls {
    std::string ca;  ///< absolute paths, or empty
    std::string cert;
    std::string key;
    std::string pin;
    StartTls starttls = StartTls::automatic;
};

/// Of WebDAV targets alone.
struct Http {
    std::string proxy;  ///< `http://host:port` or `https://host:port`; empty: none, whatever the environment says
    std::string proxy_user;
    Secret proxy_password;
    std::vector<std::pair<std::string, std::string>> headers;  ///< that go with each request, in order
};

struct Limit {
    std::optional<unsigned> connections;  ///< at most; nothing: as many as the target needs
    std::optional<double> messages_per_second;
    std::optional<Bytes> bandwidth;  ///< bytes per second
    std::optional<unsigned> max_pending;
    Duration connect = std::chrono::seconds(10);  ///< to connect, TLS included
    Duration answer = std::chrono::seconds(60);   ///< one request without a message in it
    Duration stall = std::chrono::seconds(60);    ///< a transfer in which nothing moves for so long is ended
};

struct HealthCheck {
    Duration interval = std::chrono::seconds(10);
    Duration timeout = std::chrono::seconds(3);
    unsigned fall = 3;
    unsigned rise = 2;
};

struct Kernel {
    std::string name;
    Place place;
    target::Target url;
    Auth auth;
    Tls tls;
    Http http;
    std::optional<unsigned> channels;
    bool fetch = true;
    std::optional<std::vector<std::string>> fetch_connectors;  ///< only these connectors' In; nothing: all `R_*`
    HealthCheck check;
    Limit limit;
    std::string stage;               ///< stage directory below url; empty: `.<mds id>`
    bool in_place = false;           ///< uploads go straight to the final name
    std::string extension = ".tmp";  ///< of final names
    std::optional<Duration> stuck;   ///< stuck detection: the oldest file may be so old
    bool recall = false;
};

/// `number,address` of the file that `addresses` names.
struct AddressRow {
    std::string pattern;  ///< a number, or with `*` and `?`
    std::string address;  ///< as Deliver::address
};

/// How the messages of a connector become mails. Forms of addresses: `{number}@fax.example.com`, with `{number}`,
/// `{digits}` and `{service}`; that of the sender has `{originator}` in place of `{number}`.
struct Deliver {
    target::Target url;
    std::string address;  ///< empty: `{number}` at the mail server's host
    std::optional<std::vector<AddressRow>> addresses;
    std::string addresses_file;  ///< where they stand, for people
    std::string from;            ///< empty: `<>`
    Duration timeout = std::chrono::minutes(5);
    Auth auth;
    Tls tls;
};

/// A connector has a root (its directory is `<root>/<name>`), or a mail server it delivers to, or both.
struct Connector {
    std::string name;
    Place place;
    std::optional<target::Target> root;
    std::optional<Deliver> deliver;
    Auth auth;
    Tls tls;
    Http http;
    Limit limit;
    bool in_place = false;
    std::vector<std::string> numbers;  ///< patterns, as written
    std::string extension = ".tmp";
};

enum class Balancing { rotate, weights, least_pending, hash_sender, hash_recipient };

struct Balance {
    Balancing method = Balancing::rotate;
    unsigned rotate = 1;
    unsigned batch = 1;
    unsigned min_active = 1;
    std::map<std::string, unsigned> weights;  ///< of each kernel of the site; 0: stands by
};

enum class FailBack { automatic, manual };
enum class Dial { off, rewrite, header };
/// What becomes of a message whose called number was doubled, or would have been.
enum class Doubled { mend, park };

/// What a PBX does with the calls to some of its extensions.
struct DdiRule {
    Place place;
    std::string pattern;  ///< of the extension, with `*` and `?`; of the whole number if it begins with `+`
    enum class Action { fax, voice, fax_or_voice, ignore, reject } action = Action::fax;
};

std::string_view to_string(DdiRule::Action action) noexcept;

/// A header field that tells the line or controller by which a message came, and its values for one site.
struct LineRule {
    std::string field;
    std::vector<std::string> patterns;  ///< with `*` and `?`
};

/// The connectors of a site, for what no connector's numbers claim. Each of them gets the message.
struct SiteConnectors {
    std::vector<std::string> usual;
    std::map<std::string, std::vector<std::string>> by_service;  ///< `fax`, `voc`, ...: before the usual ones
    const std::vector<std::string>& of(std::string_view service) const;
    bool names(std::string_view connector) const noexcept;
};

/// The header fields by which kernels are told, and tell, what concerns a call. Empty: the field is not used.
struct Fields {
    std::string caller_id = "X-IFAXDATA-DChID";
    std::string fax_id = "X-IFAXDATA-SenderID";
    std::string header_line = "X-UMS-Header-Line";
    std::string billing = "X-IFAXDATA-Department";
    std::string language = "X-UMS-Language";
    std::string time_zone;  ///< not told by default
    std::string redirector = "X-UMS-Redirector";
    std::string type_of_number = "X-UMS-Type-Of-Number";
    std::string originator_type = "X-UMS-Originator-Type";
    std::string redirector_type = "X-UMS-Redirector-Type";
};

/// A number, and what a site must make of it: `examples:` of a site, and the cases of `ums-sitemap --test`.
struct NumberCase {
    Place place;
    std::string name;
    std::string site;
    std::string number;
    number::Conversion::Direction direction = number::Conversion::Direction::outgoing;
    number::Conversion::Kind kind = number::Conversion::Kind::destination;
    std::optional<number::TypeOfNumber> type;
    std::string expected;  ///< a number, in any spelling, or `refused`
};

struct Site {
    std::string name;
    Place place;
    std::vector<std::string> kernels;  ///< in order of preference
    Balance balance;
    std::vector<std::string> fallback;  ///< sites
    FailBack fail_back = FailBack::automatic;
    Duration hold_down = std::chrono::seconds(60);
    std::optional<number::Numbering> numbering;
    std::vector<number::Conversion> conversions;
    Dial dial = Dial::off;
    std::vector<std::pair<std::string, std::string>> mark;  ///< header fields, in order
    SiteConnectors connectors;
    std::string time_zone;  ///< IANA name; empty: that of the MDS
    Doubled doubled = Doubled::mend;
    std::vector<DdiRule> ddi;     ///< the first that fits
    std::vector<LineRule> lines;  ///< one of them tells that a message of a shared kernel is this site's
    Fields fields;
    // What a message gets that has no such field of its own; empty: nothing.
    std::string caller_id;
    std::string fax_id;
    std::string header_line;  ///< `%n`, `%d` and `%p` are for the kernel
    std::string billing;
    std::string language;
    std::vector<NumberCase> examples;
};

struct Pattern {
    enum class Kind { text, regex, prefixes, in } kind = Kind::text;
    std::string text;  ///< exact or with `*` and `?`; a regex without its slashes; the file's absolute path
    Place place;
};

/// A span of the day in minutes, `from` included, `to` not. From 22:00 to 06:00 it goes over midnight.
struct Hours {
    unsigned from = 0;
    unsigned to = 0;  ///< up to 24:00 (1440)
    bool contains(unsigned minute) const noexcept {
        return from < to ? minute >= from && minute < to : minute >= from || minute < to;
    }
};

/// Days of the week (bit 0 is Monday) and single dates.
struct Days {
    unsigned weekdays = 0;
    struct Date {
        int year = 0;  ///< 0: every year
        unsigned month = 0;
        unsigned day = 0;
    };
    std::vector<Date> dates;
};

/// The conditions of a rule. A node holds if all of its parts hold.
struct Condition {
    enum class Field {
        recipient,
        sender,
        service,
        connector,
        header,
        importance,  ///< `high`, `normal`, `low`
        attachment,  ///< content type, or file name, of a part of the body
        size,        ///< of the whole message, in bytes
        pages,       ///< a number in the header field `header`
        hours,       ///< when it is routed, in the time zone of the rule's site
        days,
    } field = Field::recipient;
    std::string header;                  ///< field name, for Field::header and Field::pages
    std::vector<Pattern> patterns;       ///< one of them must match (a list in the file)
    std::optional<std::uint64_t> over;   ///< size, pages: more than this
    std::optional<std::uint64_t> under;  ///< size, pages: less than this
    std::vector<Hours> hours;
    Days days;
    std::string text;  ///< hours and days as written
    Place place;
};
struct Test {
    std::vector<Condition> conditions;
    std::vector<Test> any;   ///< if not empty, one of them must hold
    std::vector<Test> all;   ///< all of them must hold
    std::vector<Test> none;  ///< `not`: none of them may hold
    bool is_catch_all() const noexcept { return conditions.empty() && any.empty() && all.empty() && none.empty(); }
};

struct Route {
    Place place;
    std::string name;
    std::string note;
    Test when;
    enum class Action {
        route,    ///< `to`
        noroute,  ///< `to: noroute`
        hold,     ///< kept until somebody releases it; then the rules below decide
        reject,   ///< to failed/, and a report to the sender
    } action = Action::route;
    std::vector<std::string> to;  ///< sites, or the one word `*`; empty for the other actions
    std::string text;             ///< of hold and reject: the reason
};

enum class DoubtPolicy { resend, hold };

struct InDoubt {
    Duration wait = std::chrono::minutes(30);
    DoubtPolicy fax = DoubtPolicy::resend;
    DoubtPolicy voc = DoubtPolicy::resend;
    DoubtPolicy sms = DoubtPolicy::hold;
    DoubtPolicy mwi = DoubtPolicy::resend;
    DoubtPolicy tts = DoubtPolicy::resend;
};

struct OnEvent {
    std::string command;
    std::string mail_to;
    std::string mail_via;          ///< as written
    target::Target mail_server{};  ///< the same
};

/// What makes recipients of a mail without envelope lines: see message::envelope_of().
struct Mail {
    std::vector<std::pair<std::string, std::string>> domains;  ///< domain (or `*.example.com`) and service, in order
    std::vector<std::string> fields{"To", "Cc", "Bcc"};
};

struct Mds {
    std::string id;
    std::string spool = "/var/spool/ums";  ///< absolute
    bool force_spool = false;              ///< `force-spool: yes`: use a network file system all the same
    std::optional<number::Numbering> numbering;
    Duration settle = std::chrono::seconds(5);
    InDoubt in_doubt;
    Duration expire = std::chrono::hours(5 * 24);
    Duration keep_sent{0};
    OnEvent on_event;
    Mail mail;
    std::string time_zone;  ///< IANA name; empty: the system's
};

struct Config {
    std::string file;  ///< as given
    Mds mds;
    std::vector<Kernel> kernels;  ///< in the order of the file, as all lists here
    std::vector<Connector> connectors;
    std::vector<Site> sites;
    std::vector<Route> routes;

    const Kernel* kernel(std::string_view name) const noexcept;
    const Connector* connector(std::string_view name) const noexcept;
    const Site* site(std::string_view name) const noexcept;
    /// What completes numbers at `site`: its own numbering, else that of the MDS; null if there is none.
    const number::Numbering* numbering_of(const Site* site) const noexcept;
    /// How long a delivered message is kept: `keep-sent`, and at least a day where a kernel may have to give it back.
    Duration sent_is_kept() const noexcept;
};

/// What load() found. `config` is set only if no diagnostic is an error.
struct Loaded {
    std::optional<Config> config;
    std::vector<Diagnostic> diagnostics;  ///< in the order of the file
};

/// What is allowed but cannot be meant takes time to find in a large table, and only --check-config and -v show it.
enum class Look { errors_alone, everything };

/// Reads and checks `file`. Relative paths in it start at its directory. A file that cannot be read throws
/// Error{configuration}; so does one over 16 MiB.
Loaded load(const std::string& file, Look look = Look::everything);
/// The same for text in hand; `file` is what diagnostics call it and where relative paths start.
Loaded parse(std::string_view yaml, const std::string& file, Look look = Look::everything);

/// The secret's value, the first line of what holds it; empty if none is set. Throws Error{permission} for a file that
/// group or others can use (but root's may be read by a group of ours), Error{configuration} for a missing or empty
/// file, and for a command that fails or takes more than 30 s. Neither value nor command is ever in a text.
/// From the first secret on the process, and what it starts, leaves no core file.
std::string read_secret(const Secret& secret);

/// All keys of the file as dotted paths, `*` for any name and for a rule: `kernels.*.auth.method`. Keys of the tests
/// that nest in `any`, `all` and `not` are those of the rule. For tests of schema and manual.
std::vector<std::string> known_keys();

/// Names of kernels, connectors and sites: 1 to 32 of `A-Z a-z 0-9 . _ -`, the first a letter or digit, without `.why` at
/// the end (in the spool that is a reason, no message).
bool is_name(std::string_view text) noexcept;

}  // namespace ums::config
