// SPDX-License-Identifier: GPL-3.0-or-later
#include "message/mime.hpp"

#include <dlfcn.h>
#include <gmime/gmime.h>

#include <memory>

#include "error/error.hpp"

namespace ums::message::mime {

namespace {

class Library {
  public:
    Library() : handle_(::dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
        if (handle_ == nullptr) fail();
        find(init, "g_mime_init");
        find(shutdown, "g_mime_shutdown");
        find(decode_text, "g_mime_utils_header_decode_text");
        find(encode_text, "g_mime_utils_header_encode_text");
        find(parse_addresses, "internet_address_list_parse");
        find(length, "internet_address_list_length");
        find(get_address, "internet_address_list_get_address");
        find(mailbox_type, "internet_address_mailbox_get_type");
        find(mailbox_address, "internet_address_mailbox_get_addr");
        find(group_type, "internet_address_group_get_type");
        find(group_members, "internet_address_group_get_members");
        find(parse_type, "g_mime_content_type_parse");
        find(type_text, "g_mime_content_type_get_mime_type");
        find(type_parameter, "g_mime_content_type_get_parameter");
        find(parse_disposition, "g_mime_content_disposition_parse");
        find(disposition_parameter, "g_mime_content_disposition_get_parameter");
        find(is_a, "g_type_check_instance_is_a");
        find(unref, "g_object_unref");
        find(free, "g_free");
        init();
    }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;
    ~Library() { shutdown(); }  // and stays loaded: GLib cannot be unloaded

    decltype(&g_mime_init) init;
    decltype(&g_mime_shutdown) shutdown;
    decltype(&g_mime_utils_header_decode_text) decode_text;
    decltype(&g_mime_utils_header_encode_text) encode_text;
    decltype(&internet_address_list_parse) parse_addresses;
    decltype(&internet_address_list_length) length;
    decltype(&internet_address_list_get_address) get_address;
    decltype(&internet_address_mailbox_get_type) mailbox_type;
    decltype(&internet_address_mailbox_get_addr) mailbox_address;
    decltype(&internet_address_group_get_type) group_type;
    decltype(&internet_address_group_get_members) group_members;
    decltype(&g_mime_content_type_parse) parse_type;
    decltype(&g_mime_content_type_get_mime_type) type_text;
    decltype(&g_mime_content_type_get_parameter) type_parameter;
    decltype(&g_mime_content_disposition_parse) parse_disposition;
    decltype(&g_mime_content_disposition_get_parameter) disposition_parameter;
    decltype(&g_type_check_instance_is_a) is_a;
    decltype(&g_object_unref) unref;
    decltype(&g_free) free;

  private:
    static constexpr const char* name = "libgmime-3.0.so.0";

    [[noreturn]] static void fail() {
        const char* why = ::dlerror();
        throw Error(Fault::internal,
                    std::string("cannot load ") + name + ": " + (why != nullptr ? why : "unknown error"));
    }

    // What GMime is linked with is found by its handle too.
    template <typename Function>
    void find(Function& function, const char* symbol) {
        function = reinterpret_cast<Function>(::dlsym(handle_, symbol));
        if (function == nullptr) fail();
    }

    void* handle_;
};

const Library& gmime() {
    static const Library library;
    return library;
}

struct Unref {
    void operator()(void* object) const noexcept { gmime().unref(object); }
};
struct Free {
    void operator()(char* text) const noexcept { gmime().free(text); }
};
using Text = std::unique_ptr<char, Free>;

std::string text_or_empty(const char* text) { return text != nullptr ? text : ""; }

void collect(InternetAddressList* list, std::vector<std::string>& out) {
    const auto& g = gmime();
    const auto is = [&](InternetAddress* address, GType type) {
        return g.is_a(reinterpret_cast<GTypeInstance*>(address), type) != FALSE;
    };
    const int count = g.length(list);
    for (int i = 0; i < count; ++i) {
        auto* address = g.get_address(list, i);
        if (is(address, g.mailbox_type())) {
            const char* text = g.mailbox_address(reinterpret_cast<InternetAddressMailbox*>(address));
            if (text != nullptr && *text != '\0') out.emplace_back(text);
        } else if (is(address, g.group_type())) {
            if (auto* members = g.group_members(reinterpret_cast<InternetAddressGroup*>(address)))
                collect(members, out);
        }
    }
}

// Groups do not nest (RFC 5322 3.4), but GMime takes one in another as often as somebody writes it, and calls itself for
// each: a megabyte of them would be more than any stack holds.
bool nests_too_deep(std::string_view list) noexcept {
    constexpr int most = 10;
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < list.size(); ++i) {
        if (list[i] == '\\') {
            ++i;
        } else if (list[i] == '"') {
            quoted = !quoted;
        }
        // Not only outside of quotes: where GMime sees them end is not ours to guess.
        if (i < list.size() && list[i] == ':' && ++depth > most) return true;
        if (i < list.size() && list[i] == ';' && !quoted && depth > 0) --depth;
    }
    return false;
}

}  // namespace

std::string decode_words(const std::string& value) {
    const Text decoded(gmime().decode_text(nullptr, value.c_str()));
    return decoded ? decoded.get() : value;
}

std::string encode_words(const std::string& text) {
    const Text encoded(gmime().encode_text(nullptr, text.c_str(), "utf-8"));
    return encoded ? encoded.get() : text;
}

std::vector<std::string> addresses(const std::string& list) {
    std::vector<std::string> out;
    if (nests_too_deep(list)) return out;
    const std::unique_ptr<InternetAddressList, Unref> parsed(gmime().parse_addresses(nullptr, list.c_str()));
    if (parsed) collect(parsed.get(), out);
    return out;
}

ContentType content_type(const std::string& value) {
    const auto& g = gmime();
    const std::unique_ptr<GMimeContentType, Unref> parsed(g.parse_type(nullptr, value.c_str()));
    if (!parsed) return {};
    const Text type(g.type_text(parsed.get()));
    return {text_or_empty(type.get()), text_or_empty(g.type_parameter(parsed.get(), "name")),
            text_or_empty(g.type_parameter(parsed.get(), "boundary"))};
}

std::string file_name(const std::string& value) {
    const auto& g = gmime();
    const std::unique_ptr<GMimeContentDisposition, Unref> parsed(g.parse_disposition(nullptr, value.c_str()));
    return parsed ? text_or_empty(g.disposition_parameter(parsed.get(), "filename")) : std::string();
}

}  // namespace ums::message::mime
