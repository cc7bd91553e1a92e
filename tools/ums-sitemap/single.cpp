// SPDX-License-Identifier: GPL-3.0-or-later
#include "single.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "error/error.hpp"
#include "message/address.hpp"
#include "number/advice.hpp"
#include "number/forming.hpp"
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
    std::optional<std::string> stays;   // why it goes to nobody
    site::Choice choice;                // incoming only
};

Mapped map_recipient(const config::Config& config, const config::Site& site, Direction direction,
                     const message::HeaderBlock& block, const message::Recipient& recipient) {
    Mapped mapped;
    if (direction == Direction::incoming) {
        const auto received = site::receive(site, block, recipient, &mapped.steps);
        if (received.is_formed) mapped.number = received.number;
        mapped.stays = site::parked(site, received);
        if (mapped.stays) {
            mapped.choice.reason = *mapped.stays;
        } else {
            mapped.choice = site::choose_connectors(config, &site, received.number, received.service);
        }
    } else if ((mapped.stays = site::refusal(site, recipient))) {
        mapped.steps.push_back({*mapped.stays, recipient.address});
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

std::string joined(const std::vector<std::string>& names, std::string_view between = ",") {
    std::string out;
    for (const auto& name : names) out += (out.empty() ? "" : std::string(between)) + name;
    return out;
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
        out << "    " << text::escape(step.number) << "  " << text::visible(step.what) << '\n';
    const std::string number = text::escape(mapped.number.value_or(recipient.address));
    if (direction == Direction::incoming) {
        out << "  -> " << number << ", connector "
            << (mapped.choice.connectors.empty() ? "none" : text::escape(joined(mapped.choice.connectors, ", ")))
            << ": " << text::visible(mapped.choice.reason) << '\n';
    } else if (mapped.stays) {
        out << "  -> refused\n";
    } else {
        out << "  -> " << number << (site.dial == config::Dial::off ? ", but left to the kernel (dial: off)" : "")
            << '\n';
    }
}

std::string json_strings(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const auto& text : texts) out += (out.size() > 1 ? "," : "") + text::json_string(text);
    return out + "]";
}

void print_mapped_json(const Mapped& mapped, const config::Site& site, Direction direction,
                       const message::Recipient& recipient, std::ostream& out) {
    out << R"({"recipient":)" << text::json_string(recipient.spelling) << R"(,"site":)" << text::json_string(site.name)
        << R"(,"number":)" << json_or_null(mapped.number) << R"(,"steps":)" << json_steps(mapped.steps);
    if (direction == Direction::incoming) {
        const auto& connectors = mapped.choice.connectors;
        out << R"(,"connector":)" << (connectors.empty() ? "null" : text::json_string(connectors.front()));
        if (connectors.size() > 1) out << R"(,"connectors":)" << json_strings(connectors);
        out << R"(,"reason":)" << text::json_string(mapped.choice.reason);
    } else {
        out << R"(,"dial":)" << text::json_string(to_string(site.dial));
        if (mapped.stays) out << R"(,"refused":)" << text::json_string(*mapped.stays);
    }
    out << "}\n";
}

int explain_changes(const config::Config& config, const config::Site& site, Direction direction, Json json,
                    const message::HeaderBlock& block, std::ostream& out) {
    int exit = 0;
    bool refused = false;
    for (const auto& recipient : block.recipients()) {
        const auto mapped = map_recipient(config, site, direction, block, recipient);
        refused = refused || mapped.stays;
        if (mapped.stays || (direction == Direction::incoming && mapped.choice.connectors.empty()))
            exit = exit_attention;
        if (json == Json::yes) {
            print_mapped_json(mapped, site, direction, recipient, out);
        } else {
            print_mapped(mapped, site, direction, recipient, out);
        }
    }
    if (json == Json::yes || (refused && direction == Direction::outgoing)) return exit;
    const auto edit =
        direction == Direction::incoming ? site::incoming_edit(site, block) : site::outgoing_edit(site, block);
    for (const auto& [line, value] : edit.new_values) {
        if (block.lines()[line].kind == message::Line::Kind::rcpt_to) continue;
        out << text::escape(std::string(block.lines()[line].name)) << " becomes " << text::quote(value) << '\n';
    }
    for (const auto& [name, value] : edit.fields) {
        const bool is_mark =
            std::any_of(site.mark.begin(), site.mark.end(), [&](auto& mark) { return mark.first == name; });
        if (direction == Direction::incoming || name == "X-UMS-Dial") continue;
        out << (is_mark ? "mark " : "field ") << text::escape(name + ": " + value) << '\n';
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

namespace {

// Throws Error{unusable} as number::outgoing() does.
std::string formed(const config::Site& site, const Asked& asked, std::string_view address, Steps* steps) {
    if (!site.numbering) {
        auto result = number::strip(address);
        if (steps != nullptr) steps->push_back({"the site has no numbering: the number stays", result});
        return result;
    }
    if (asked.direction == Direction::outgoing) {
        return number::outgoing(*site.numbering, site.conversions, address, steps);
    }
    if (asked.kind != number::Conversion::Kind::destination) {
        return number::form(*site.numbering, site.conversions, asked.kind, address, asked.type, steps).number;
    }
    const auto received = site::receive(site, address, asked.type, steps);
    return received.is_formed ? received.number : number::strip(address);
}

std::string_view direction_name(Direction direction) noexcept {
    return direction == Direction::incoming ? "incoming" : "outgoing";
}

}  // namespace

int map_number(const config::Site& site, const Asked& asked, std::string_view number, std::ostream& out) {
    const auto address = message::split_service(number).address;
    if (!number::is_number(address)) throw Error(Fault::unusable, text::quote(number) + " is no telephone number");
    if (asked.quiet == Quiet::yes && asked.json == Json::no) {
        out << text::escape(formed(site, asked, address, nullptr)) << '\n';
        return 0;
    }
    Steps steps;
    const auto result = formed(site, asked, address, &steps);
    // Of an outgoing number what was wanted is looked at: what is dialled is no international number.
    const auto advice = number::advise(asked.direction == Direction::outgoing ? address : result);
    if (asked.json == Json::yes) {
        out << R"({"site":)" << text::json_string(site.name) << R"(,"direction":)"
            << text::json_string(direction_name(asked.direction)) << R"(,"number":)" << text::json_string(number)
            << R"(,"result":)" << text::json_string(result) << R"(,"steps":)" << json_steps(steps);
        if (advice) {
            out << R"(,"advice":{"plausible":)" << (advice->plausible ? "true" : "false") << R"(,"region":)"
                << (advice->region.empty() ? "null" : text::json_string(advice->region)) << R"(,"text":)"
                << text::json_string(advice->text) << "}";
        }
        out << "}\n";
        return 0;
    }
    for (const auto& step : steps) out << text::escape(step.number) << '\t' << text::visible(step.what) << '\n';
    if (advice) out << text::escape(result) << "\tadvice: " << text::escape(advice->text) << '\n';
    return 0;
}

int map_numbers(const config::Site& site, const Asked& asked, const message::Reader& in, std::ostream& out) {
    int exit = 0;
    const auto handle = [&](std::string_view line) {
        if (line.ends_with('\r')) line.remove_suffix(1);
        const auto address = message::split_service(line).address;
        std::string result(line);
        try {
            if (number::is_number(address)) result = formed(site, asked, address, nullptr);
        } catch (const Error& error) {
            if (error.fault() != Fault::unusable) throw;
            result = "refused";
            exit = exit_attention;
        }
        if (asked.json == Json::yes) {
            out << R"({"site":)" << text::json_string(site.name) << R"(,"direction":)"
                << text::json_string(direction_name(asked.direction)) << R"(,"number":)" << text::json_string(line)
                << R"(,"result":)" << text::json_string(result) << "}\n";
        } else if (asked.quiet == Quiet::yes) {
            out << text::escape(result) << '\n';
        } else {
            out << text::escape(line) << '\t' << text::escape(result) << '\n';
        }
    };
    std::string pending;
    std::vector<char> buffer(64 * 1024);
    while (const std::size_t got = in(buffer)) {
        pending.append(buffer.data(), got);
        std::size_t begin = 0;
        for (auto end = pending.find('\n'); end != std::string::npos; end = pending.find('\n', begin)) {
            handle(std::string_view(pending).substr(begin, end - begin));
            begin = end + 1;
        }
        pending.erase(0, begin);
        if (pending.size() > (1U << 20U)) throw Error(Fault::unusable, "a line is longer than 1 MiB");
        if (!out) throw Error(Fault::cannot_write, "cannot write to the output");
    }
    if (!pending.empty()) handle(pending);
    return exit;
}

namespace {

constexpr std::array<const char*, 12> columns{"SITE",      "COUNTRY",  "AREA",          "SUBSCRIBER",
                                              "EXTENSION", "NATIONAL", "INTERNATIONAL", "OUTSIDE",
                                              "INTERNAL",  "DIAL",     "CONNECTOR",     "KERNELS"};
using Row = std::array<std::string, columns.size()>;

std::string spelled(const number::MainNumber& main) {
    std::string out = main.number;
    for (const auto& range : main.extensions) {
        out += (&range == &main.extensions.front() ? "(" : "/") + range.first +
               (range.first == range.last ? "" : "-" + range.last);
    }
    return out + (main.extensions.empty() ? "" : ")");
}

std::string spelled(const number::Digits& digits) {
    return (digits.least > 0 ? std::to_string(digits.least) + "-" : "") + std::to_string(digits.most);
}

std::string spelled(const config::SiteConnectors& connectors) {
    std::string out = joined(connectors.usual);
    for (const auto& [service, names] : connectors.by_service) {
        out += (out.empty() ? "" : ",") + service + ":" + joined(names);
    }
    return out;
}

std::string main_numbers(const number::Numbering& numbering) {
    std::vector<std::string> out;
    for (const auto& main : numbering.subscribers) out.push_back(spelled(main));
    return joined(out);
}

Row row_of(const config::Site& site) {
    Row row;
    row[0] = site.name;
    if (const auto& n = site.numbering) {
        row[1] = n->country;
        row[2] = n->area + (n->always_dial_area != number::DialArea::no ? "!" : "");
        row[3] = main_numbers(*n);
        if (n->extension_digits) row[4] = spelled(*n->extension_digits);
        row[5] = joined(n->national_prefixes);
        row[6] = joined(n->international_prefixes);
        row[7] = joined(n->outside_lines);
        row[8] = n->internal_length > 0 ? std::to_string(n->internal_length) : "";
    }
    row[9] = to_string(site.dial);
    if (site.numbering && site.numbering->e164_only) row[9] += ",e164-only";
    row[10] = spelled(site.connectors);
    row[11] = joined(site.kernels);
    for (auto& cell : row) cell = cell.empty() ? "-" : text::escape(cell);
    return row;
}

// `"key":value` after `key:value` of an object.
class Object {
  public:
    Object& add(std::string_view key, std::string_view json) {
        out_ += (out_.empty() ? "" : ",") + text::json_string(key) + ":" + std::string(json);
        return *this;
    }
    Object& text(std::string_view key, std::string_view value) { return add(key, text::json_string(value)); }
    Object& text_or_null(std::string_view key, std::string_view value) {
        return value.empty() ? add(key, "null") : text(key, value);
    }
    Object& flag(std::string_view key, bool value) { return add(key, value ? "true" : "false"); }
    std::string str() const { return "{" + out_ + "}"; }

  private:
    std::string out_;
};

std::string json_of(const number::Numbering& n) {
    const auto digits = [&]() -> std::string {
        if (!n.extension_digits) return "null";
        const bool span = n.extension_digits->least > 0;
        return span ? text::json_string(spelled(*n.extension_digits)) : std::to_string(n.extension_digits->most);
    };
    const auto area = [&]() -> std::string {
        if (n.always_dial_area == number::DialArea::bare) return text::json_string("bare");
        return n.always_dial_area == number::DialArea::yes ? "true" : "false";
    };
    std::vector<std::string> mains;
    for (const auto& main : n.subscribers) mains.push_back(spelled(main));
    Object types;
    types.text("destination", number::to_string(n.destination_type))
        .text("originator", number::to_string(n.originator_type))
        .text("redirector", number::to_string(n.redirector_type));
    std::vector<std::string> shorts;
    if (n.short_numbers) {
        shorts = *n.short_numbers;
    } else {
        for (const auto one : number::emergency_numbers(n.country)) shorts.emplace_back(one);
    }
    Object out;
    out.text("country", n.country)
        .text("area", n.area)
        .text("subscriber", n.subscribers.empty() ? "" : n.subscribers.front().number)
        .add("extension-digits", digits())
        .text("national-prefix", n.national_prefix())
        .text("international-prefix", n.international_prefix())
        .text("outside-line", n.outside_line())
        .add("internal-length", std::to_string(n.internal_length))
        .flag("e164-only", n.e164_only)
        .add("always-dial-area", area())
        .add("subscribers", json_strings(mains))
        .add("national-prefixes", json_strings(n.national_prefixes))
        .add("international-prefixes", json_strings(n.international_prefixes))
        .add("outside-lines", json_strings(n.outside_lines))
        .flag("remove-outside-line", n.remove_outside_line)
        .flag("internal-calls", n.internal_calls)
        .add("type-of-number", types.str())
        .add("short-numbers", json_strings(shorts))
        .add("blocked", json_strings(n.blocked));
    return out.str();
}

void print_site_json(const config::Site& site, std::ostream& out) {
    std::vector<std::string> conversions;
    for (const auto& conversion : site.conversions) conversions.push_back(conversion.text);
    Object by_service;
    for (const auto& [service, names] : site.connectors.by_service) by_service.add(service, json_strings(names));
    Object ddi;
    for (const auto& rule : site.ddi) ddi.text(rule.pattern, config::to_string(rule.action));
    Object lines;
    for (const auto& line : site.lines) lines.add(line.field, json_strings(line.patterns));
    const auto& usual = site.connectors.usual;
    Object object;
    object.text("site", site.name)
        .add("numbering", site.numbering ? json_of(*site.numbering) : "null")
        .add("conversions", json_strings(conversions))
        .text("dial", to_string(site.dial))
        .text_or_null("connector", usual.empty() ? "" : usual.front())
        .add("kernels", json_strings(site.kernels))
        .add("connectors", json_strings(usual))
        .add("connectors-by-service", by_service.str())
        .text("doubled", site.doubled == config::Doubled::park ? "park" : "mend")
        .add("ddi", ddi.str())
        .add("lines", lines.str())
        .text_or_null("caller-id", site.caller_id)
        .text_or_null("fax-id", site.fax_id)
        .text_or_null("header-line", site.header_line)
        .text_or_null("billing", site.billing)
        .text_or_null("language", site.language)
        .text_or_null("time-zone", site.time_zone);
    out << object.str() << '\n';
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
