// SPDX-License-Identifier: GPL-3.0-or-later
#include "single.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "error/error.hpp"
#include "message/address.hpp"
#include "number/number.hpp"
#include "site/site.hpp"
#include "text/text.hpp"

namespace ums::sitemap {

namespace {

using Steps = std::vector<number::Step>;

std::string_view to_string(config::Dial dial) noexcept {
    switch (dial) {
        case config::Dial::off: return "off";
        case config::Dial::rewrite: return "rewrite";
        case config::Dial::header: return "header";
    }
    return "off";
}

void write(std::ostream& out, std::string_view bytes) {
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!out) throw Error(Fault::cannot_write, "cannot write to the output");
}

// What the site makes of one recipient.
struct Mapped {
    Steps steps;
    std::optional<std::string> number;  // as formed; nothing if its spelling stays
    site::Choice choice;                // incoming only
};

Mapped map_recipient(const config::Config& config, const config::Site& site, Direction direction,
                     const message::Recipient& recipient) {
    Mapped mapped;
    if (direction == Direction::incoming) {
        mapped.number = site::incoming_number(site, recipient, &mapped.steps);
        mapped.choice = site::choose_connector(config, &site, mapped.number.value_or(recipient.address));
    } else {
        mapped.number = site::outgoing_number(site, recipient, &mapped.steps);
    }
    if (mapped.steps.empty()) {
        mapped.steps.push_back({site.numbering ? "is no telephone number: its spelling stays"
                                               : "the site has no numbering: its spelling stays",
                                recipient.address});
    }
    return mapped;
}

std::string json_steps(const Steps& steps) {
    std::string out = "[";
    for (const auto& step : steps) {
        out += std::string(out.size() > 1 ? "," : "") + R"({"what":)" + text::json_string(step.what) + R"(,"number":)" +
               text::json_string(step.number) + "}";
    }
    return out + "]";
}

std::string json_or_null(const std::optional<std::string>& text) { return text ? text::json_string(*text) : "null"; }

void print_mapped(const Mapped& mapped, const config::Site& site, Direction direction,
                  const message::Recipient& recipient, std::ostream& out) {
    out << "recipient " << text::quote(recipient.spelling) << '\n';
    for (const auto& step : mapped.steps)
        out << "    " << text::escape(step.number) << "  " << text::escape(step.what) << '\n';
    if (direction == Direction::incoming) {
        out << "  -> " << text::escape(mapped.number.value_or(recipient.address)) << ", connector "
            << text::escape(mapped.choice.connector.value_or("none")) << ": " << mapped.choice.reason << '\n';
    } else {
        out << "  -> " << text::escape(mapped.number.value_or(recipient.address))
            << (site.dial == config::Dial::off ? ", but left to the kernel (dial: off)" : "") << '\n';
    }
}

void print_mapped_json(const Mapped& mapped, const config::Site& site, Direction direction,
                       const message::Recipient& recipient, std::ostream& out) {
    out << R"({"recipient":)" << text::json_string(recipient.spelling) << R"(,"site":)" << text::json_string(site.name)
        << R"(,"number":)" << json_or_null(mapped.number) << R"(,"steps":)" << json_steps(mapped.steps);
    if (direction == Direction::incoming) {
        out << R"(,"connector":)" << json_or_null(mapped.choice.connector) << R"(,"reason":)"
            << text::json_string(mapped.choice.reason);
    } else {
        out << R"(,"dial":)" << text::json_string(to_string(site.dial));
    }
    out << "}\n";
}

int explain_changes(const config::Config& config, const config::Site& site, Direction direction, Json json,
                    const message::HeaderBlock& block, std::ostream& out) {
    int exit = 0;
    for (const auto& recipient : block.recipients()) {
        const auto mapped = map_recipient(config, site, direction, recipient);
        if (direction == Direction::incoming && !mapped.choice.connector) exit = exit_attention;
        if (json == Json::yes) {
            print_mapped_json(mapped, site, direction, recipient, out);
        } else {
            print_mapped(mapped, site, direction, recipient, out);
        }
    }
    if (direction == Direction::outgoing && json == Json::no) {
        for (const auto& [name, value] : site.mark) out << "mark " << text::escape(name + ": " + value) << '\n';
    }
    return exit;
}

}  // namespace

const config::Site& find_site(const config::Config& config, std::string_view name) {
    std::vector<std::string_view> names;
    for (const auto& site : config.sites) {
        if (site.name == name) return site;
        names.push_back(site.name);
    }
    if (name.empty()) {
        if (config.sites.size() == 1) return config.sites.front();
        std::string all;
        for (const auto& other : names) all += (all.empty() ? "" : ", ") + std::string(other);
        throw Error(Fault::usage, config.sites.empty() ? "there is no site" : "--site is missing: one of " + all);
    }
    const auto near = text::nearest(name, names);
    throw Error(Fault::usage,
                "there is no site " + text::quote(name) + (near ? "; is " + text::quote(*near) + " meant?" : ""));
}

int map_single(const config::Config& config, const config::Site& site, Direction direction, Explain explain, Json json,
               const message::Reader& in, std::ostream& out) {
    const auto header = message::read_header(in);
    if (header.block.recipients().empty()) {
        throw Error(Fault::unusable, "the message has no recipient: no 'RCPT TO:' line with a value");
    }
    if (explain == Explain::yes || json == Json::yes)
        return explain_changes(config, site, direction, json, header.block, out);

    const auto edit = direction == Direction::incoming ? site::incoming_edit(site, header.block)
                                                       : site::outgoing_edit(site, header.block);
    write(out, message::apply(header.block, edit));
    write(out, header.body);
    std::vector<char> buffer(256 * 1024);
    while (const std::size_t got = in(buffer)) write(out, {buffer.data(), got});
    out.flush();
    write(out, {});
    return 0;
}

int map_number(const config::Site& site, Direction direction, Quiet quiet, Json json, std::string_view number,
               std::ostream& out) {
    const auto address = message::split_service(number).address;
    if (!number::is_number(address)) throw Error(Fault::unusable, text::quote(number) + " is no telephone number");
    Steps steps;
    std::string result = number::strip(address);
    if (!site.numbering) {
        steps.push_back({"the site has no numbering: the number stays", result});
    } else if (direction == Direction::incoming) {
        result = number::incoming(*site.numbering, site.conversions, address, &steps);
    } else {
        result = number::outgoing(*site.numbering, site.conversions, address, &steps);
    }
    if (json == Json::yes) {
        out << R"({"site":)" << text::json_string(site.name) << R"(,"direction":)"
            << (direction == Direction::incoming ? R"("incoming")" : R"("outgoing")") << R"(,"number":)"
            << text::json_string(number) << R"(,"result":)" << text::json_string(result) << R"(,"steps":)"
            << json_steps(steps) << "}\n";
    } else if (quiet == Quiet::yes) {
        out << text::escape(result) << '\n';
    } else {
        for (const auto& step : steps) out << text::escape(step.number) << '\t' << text::escape(step.what) << '\n';
    }
    return 0;
}

namespace {

constexpr std::array<const char*, 12> columns{"SITE",      "COUNTRY",  "AREA",          "SUBSCRIBER",
                                              "EXTENSION", "NATIONAL", "INTERNATIONAL", "OUTSIDE",
                                              "INTERNAL",  "DIAL",     "CONNECTOR",     "KERNELS"};
using Row = std::array<std::string, columns.size()>;

std::string joined(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& name : names) out += (out.empty() ? "" : ",") + name;
    return out;
}

Row row_of(const config::Site& site) {
    Row row;
    row[0] = site.name;
    if (const auto& n = site.numbering) {
        row[1] = n->country;
        row[2] = n->area + (n->always_dial_area ? "!" : "");
        row[3] = n->subscriber;
        if (n->extension_digits) row[4] = std::to_string(*n->extension_digits);
        row[5] = n->national_prefix;
        row[6] = n->international_prefix;
        row[7] = n->outside_line;
        row[8] = n->internal_length > 0 ? std::to_string(n->internal_length) : "";
    }
    row[9] = to_string(site.dial);
    if (site.numbering && site.numbering->e164_only) row[9] += ",e164-only";
    row[10] = site.connector;
    row[11] = joined(site.kernels);
    for (auto& cell : row) cell = cell.empty() ? "-" : text::escape(cell);
    return row;
}

std::string json_strings(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const auto& text : texts) out += (out.size() > 1 ? "," : "") + text::json_string(text);
    return out + "]";
}

void print_site_json(const config::Site& site, std::ostream& out) {
    out << R"({"site":)" << text::json_string(site.name) << R"(,"numbering":)";
    if (const auto& n = site.numbering) {
        out << R"({"country":)" << text::json_string(n->country) << R"(,"area":)" << text::json_string(n->area)
            << R"(,"subscriber":)" << text::json_string(n->subscriber) << R"(,"extension-digits":)"
            << (n->extension_digits ? std::to_string(*n->extension_digits) : "null") << R"(,"national-prefix":)"
            << text::json_string(n->national_prefix) << R"(,"international-prefix":)"
            << text::json_string(n->international_prefix) << R"(,"outside-line":)" << text::json_string(n->outside_line)
            << R"(,"internal-length":)" << n->internal_length << R"(,"e164-only":)" << (n->e164_only ? "true" : "false")
            << R"(,"always-dial-area":)" << (n->always_dial_area ? "true" : "false") << '}';
    } else {
        out << "null";
    }
    std::vector<std::string> conversions;
    for (const auto& conversion : site.conversions) conversions.push_back(conversion.text);
    out << R"(,"conversions":)" << json_strings(conversions) << R"(,"dial":)" << text::json_string(to_string(site.dial))
        << R"(,"connector":)" << (site.connector.empty() ? "null" : text::json_string(site.connector))
        << R"(,"kernels":)" << json_strings(site.kernels) << "}\n";
}

}  // namespace

int list_sites(const config::Config& config, Json json, std::ostream& out) {
    if (json == Json::yes) {
        for (const auto& site : config.sites) print_site_json(site, out);
        return 0;
    }
    std::vector<Row> rows(1);
    std::copy(columns.begin(), columns.end(), rows[0].begin());
    for (const auto& site : config.sites) rows.push_back(row_of(site));
    std::array<std::size_t, columns.size()> widths{};
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
        }
        out << line << '\n';
    }
    return 0;
}

}  // namespace ums::sitemap
