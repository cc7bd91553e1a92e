// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/dav_listing.hpp"

#include <curl/curl.h>
#include <expat.h>

#include <array>
#include <new>
#include <utility>
#include <vector>

#include "target/target.hpp"
#include "text/text.hpp"
#include "transport/paths.hpp"

namespace ums::transport {

namespace {

constexpr std::size_t deepest = 32;
constexpr std::size_t longest_text = 16 * 1024;
// Expat keeps a tag, comment or attribute in memory until it ends.
constexpr std::size_t longest_token = 256 * 1024;
constexpr std::size_t longest_version = 512;

std::uint16_t default_port(std::string_view scheme) { return scheme == "https" ? 443 : 80; }

// The path of an absolute URL of this origin.
std::optional<std::string_view> path_at(std::string_view href, const Origin& origin) {
    if (href.starts_with('/')) return href.starts_with("//") ? std::nullopt : std::optional(href);
    const auto colon = href.find("://");
    if (colon == std::string_view::npos || !text::equal_ignoring_case(href.substr(0, colon), origin.scheme)) {
        return std::nullopt;
    }
    href.remove_prefix(colon + 3);
    const auto slash = href.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    std::string_view host = href.substr(0, slash);
    std::uint16_t port = default_port(origin.scheme);
    const auto port_colon = host.rfind(':');
    if (port_colon != std::string_view::npos && host.find(']', port_colon) == std::string_view::npos) {
        const auto number = text::parse_number(host.substr(port_colon + 1));
        if (!number || *number > 65535) return std::nullopt;
        port = static_cast<std::uint16_t>(*number);
        host = host.substr(0, port_colon);
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (port != origin.port || !text::equal_ignoring_case(host, origin.host)) return std::nullopt;
    return href.substr(slash);
}

// Decoded segments; nothing if one of them is unsafe.
std::optional<std::vector<std::string>> segments_of(std::string_view path) {
    std::vector<std::string> segments;
    for (const auto raw : text::split(path, '/')) {
        if (raw.empty()) continue;
        auto segment = target::decode(raw);
        if (!segment || !is_safe_name(*segment)) return std::nullopt;
        segments.push_back(std::move(*segment));
    }
    return segments;
}

// `HTTP/1.1 200 OK`
int status_of(std::string_view line) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos) return 0;
    const auto number = text::parse_number(line.substr(space + 1, 3));
    return number ? static_cast<int>(*number) : 0;
}

enum class Tag {
    none,
    multistatus,
    response,
    href,
    status,
    propstat,
    prop,
    resourcetype,
    collection,
    content_length,
    etag,
    last_modified,
};

struct Known {
    std::string_view name;  // as Expat gives it: namespace, space, local name
    Tag tag;
    Tag parent;
};

constexpr std::array<Known, 12> grammar{{{"DAV: multistatus", Tag::multistatus, Tag::none},
                                         {"DAV: response", Tag::response, Tag::multistatus},
                                         {"DAV: href", Tag::href, Tag::response},
                                         {"DAV: status", Tag::status, Tag::response},
                                         {"DAV: propstat", Tag::propstat, Tag::response},
                                         {"DAV: status", Tag::status, Tag::propstat},
                                         {"DAV: prop", Tag::prop, Tag::propstat},
                                         {"DAV: resourcetype", Tag::resourcetype, Tag::prop},
                                         {"DAV: collection", Tag::collection, Tag::resourcetype},
                                         {"DAV: getcontentlength", Tag::content_length, Tag::prop},
                                         {"DAV: getetag", Tag::etag, Tag::prop},
                                         {"DAV: getlastmodified", Tag::last_modified, Tag::prop}}};

bool has_text(Tag tag) {
    return tag == Tag::href || tag == Tag::status || tag == Tag::content_length || tag == Tag::etag ||
           tag == Tag::last_modified;
}

struct Properties {
    bool collection = false;
    std::optional<Bytes> size;
    std::string etag;
    std::string last_modified;
    int status = 0;
};

}  // namespace

std::optional<Relation> relate(std::string_view href, const Origin& origin, std::string_view base) {
    const auto path = path_at(href, origin);
    if (!path || path->find_first_of("?#") != std::string_view::npos) return std::nullopt;
    auto segments = segments_of(*path);
    if (!segments) return std::nullopt;
    std::vector<std::string_view> above;
    for (const auto segment : text::split(base, '/')) {
        if (!segment.empty()) above.push_back(segment);
    }
    if (segments->size() < above.size() || segments->size() > above.size() + 1) return std::nullopt;
    for (std::size_t i = 0; i < above.size(); ++i) {
        if ((*segments)[i] != above[i]) return std::nullopt;
    }
    if (segments->size() == above.size()) return Relation{.self = true, .name = {}};
    return Relation{.self = false, .name = std::move(segments->back())};
}

class Listing::Parser {
  public:
    Parser(Origin origin, std::string base, std::function<bool(const ListingEntry&)> each);

    bool feed(std::string_view part, bool last);

    std::string problem;
    std::size_t foreign = 0;
    std::string foreign_example;

  private:
    // Called by Expat, which is C: nothing may be thrown through it.
    static void start(void* self, const XML_Char* name, const XML_Char** attributes) noexcept;
    static void end(void* self, const XML_Char* name) noexcept;
    static void text(void* self, const XML_Char* data, int length) noexcept;
    static void doctype(void* self, const XML_Char* name, const XML_Char* system, const XML_Char* public_id,
                        int internal) noexcept;

    void stop(std::string why);
    void end_propstat();
    void end_response();
    bool drain();

    struct Free {
        void operator()(XML_ParserStruct* parser) const noexcept { XML_ParserFree(parser); }
    };

    Origin origin_;
    std::string base_;
    std::function<bool(const ListingEntry&)> each_;
    std::unique_ptr<XML_ParserStruct, Free> expat_;

    std::vector<Tag> open_;
    std::string text_;
    std::size_t since_event_ = 0;
    bool unwanted_ = false;

    std::string href_;
    int response_status_ = 0;
    Properties found_;                 // of the propstat that is open
    Properties entry_;                 // of the response
    std::vector<ListingEntry> ready_;  // complete, and not yet handed over: those of one part
};

Listing::Parser::Parser(Origin origin, std::string base, std::function<bool(const ListingEntry&)> each)
    : origin_(std::move(origin)),
      base_(std::move(base)),
      each_(std::move(each)),
      expat_(XML_ParserCreateNS(nullptr, ' ')) {
    if (!expat_) throw std::bad_alloc();
    XML_SetUserData(expat_.get(), this);
    XML_SetElementHandler(expat_.get(), start, end);
    XML_SetCharacterDataHandler(expat_.get(), text);
    XML_SetStartDoctypeDeclHandler(expat_.get(), doctype);
}

bool Listing::Parser::feed(std::string_view part, bool last) {
    if (unwanted_ || !problem.empty()) return false;
    while (!part.empty() || last) {
        const auto piece = part.substr(0, longest_text);
        part.remove_prefix(piece.size());
        since_event_ += piece.size();
        const bool final_piece = last && part.empty();
        const auto status = XML_Parse(expat_.get(), piece.data(), static_cast<int>(piece.size()), final_piece);
        if (status != XML_STATUS_OK && problem.empty()) {
            problem = std::string("it is no well-formed XML: ") + XML_ErrorString(XML_GetErrorCode(expat_.get()));
        }
        if (since_event_ > longest_token && problem.empty()) problem = "a tag in it is too long";
        if (!drain() || !problem.empty()) return false;
        if (final_piece) break;
    }
    return true;
}

bool Listing::Parser::drain() {
    auto entries = std::exchange(ready_, {});
    for (const auto& entry : entries) {
        if (unwanted_) break;
        unwanted_ = !each_(entry);
    }
    return !unwanted_;
}

void Listing::Parser::stop(std::string why) {
    if (problem.empty()) problem = std::move(why);
    XML_StopParser(expat_.get(), XML_FALSE);
}

void Listing::Parser::doctype(void* self, const XML_Char*, const XML_Char*, const XML_Char*, int) noexcept {
    static_cast<Parser*>(self)->stop("it declares a document type, which no WebDAV server needs");
}

void Listing::Parser::start(void* self, const XML_Char* name, const XML_Char**) noexcept {
    auto& p = *static_cast<Parser*>(self);
    if (!p.problem.empty()) return;  // Expat ends the tag that it is in after it was stopped
    p.since_event_ = 0;
    if (p.open_.size() >= deepest) {
        p.stop("its elements are nested too deep");
        return;
    }
    const Tag parent = p.open_.empty() ? Tag::none : p.open_.back();
    Tag tag = Tag::none;
    for (const auto& known : grammar) {
        // Tag::none stands for the outside, and for all that has no meaning here; only the outside holds the root.
        if (known.name == name && known.parent == parent && (parent != Tag::none || p.open_.empty())) tag = known.tag;
    }
    if (p.open_.empty() && tag != Tag::multistatus) {
        p.stop("it is no multistatus document");
        return;
    }
    p.open_.push_back(tag);
    p.text_.clear();
    if (tag == Tag::response) {
        p.href_.clear();
        p.response_status_ = 0;
        p.entry_ = {};
    } else if (tag == Tag::propstat) {
        p.found_ = {};
    } else if (tag == Tag::collection) {
        p.found_.collection = true;
    }
}

void Listing::Parser::text(void* self, const XML_Char* data, int length) noexcept {
    auto& p = *static_cast<Parser*>(self);
    if (!p.problem.empty()) return;  // Expat ends the tag that it is in after it was stopped
    p.since_event_ = 0;
    if (p.open_.empty() || !has_text(p.open_.back())) return;
    if (p.text_.size() + static_cast<std::size_t>(length) > longest_text) {
        p.stop("a text in it is too long");
        return;
    }
    p.text_.append(data, static_cast<std::size_t>(length));
}

void Listing::Parser::end(void* self, const XML_Char*) noexcept {
    auto& p = *static_cast<Parser*>(self);
    if (!p.problem.empty()) return;  // Expat ends the tag that it is in after it was stopped
    p.since_event_ = 0;
    const Tag tag = p.open_.back();
    p.open_.pop_back();
    const Tag parent = p.open_.empty() ? Tag::none : p.open_.back();
    const auto value = text::trim(p.text_);
    switch (tag) {
        case Tag::href: p.href_ = value; break;
        case Tag::status: (parent == Tag::propstat ? p.found_.status : p.response_status_) = status_of(value); break;
        case Tag::content_length:
            if (const auto number = text::parse_number(value)) p.found_.size = Bytes{*number};
            break;
        case Tag::etag: p.found_.etag = value.substr(0, longest_version); break;
        case Tag::last_modified: p.found_.last_modified = value.substr(0, longest_version); break;
        case Tag::propstat: p.end_propstat(); break;
        case Tag::response: p.end_response(); break;
        default: break;
    }
}

// The properties that a server has come with 200, those it lacks with 404, empty.
void Listing::Parser::end_propstat() {
    if (found_.status != 0 && found_.status / 100 != 2) return;
    entry_.collection |= found_.collection;
    if (found_.size) entry_.size = found_.size;
    if (!found_.etag.empty()) entry_.etag = std::move(found_.etag);
    if (!found_.last_modified.empty()) entry_.last_modified = std::move(found_.last_modified);
}

void Listing::Parser::end_response() {
    if (response_status_ != 0 && response_status_ / 100 != 2) return;
    auto relation = relate(href_, origin_, base_);
    if (!relation) {
        if (foreign++ == 0) foreign_example = href_.substr(0, longest_version);
        return;
    }
    ListingEntry entry;
    entry.self = relation->self;
    entry.sized = entry_.size.has_value();
    entry.item.name = std::move(relation->name);
    entry.item.kind = entry_.collection ? ItemKind::directory : ItemKind::file;
    entry.item.size = entry_.size.value_or(Bytes{});
    if (!entry_.etag.empty()) {
        entry.item.version = std::move(entry_.etag);
    } else if (!entry_.last_modified.empty()) {
        // To the second only: the size tells apart some of what was written within it.
        entry.item.version = entry_.last_modified + " " + std::to_string(entry.item.size.count);
    }
    if (const auto time = curl_getdate(entry_.last_modified.c_str(), nullptr); time != -1) {
        entry.item.modified = std::chrono::sys_seconds(std::chrono::seconds(time));
    }
    ready_.push_back(std::move(entry));
}

Listing::Listing(Origin origin, std::string base, std::function<bool(const ListingEntry&)> each)
    : parser_(std::make_unique<Parser>(std::move(origin), std::move(base), std::move(each))) {}

Listing::~Listing() = default;

bool Listing::feed(std::string_view part) { return parser_->feed(part, false); }

bool Listing::finish() { return parser_->feed({}, true); }

const std::string& Listing::problem() const noexcept { return parser_->problem; }
std::size_t Listing::foreign() const noexcept { return parser_->foreign; }
const std::string& Listing::foreign_example() const noexcept { return parser_->foreign_example; }

}  // namespace ums::transport
