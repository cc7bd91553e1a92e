// SPDX-License-Identifier: GPL-3.0-or-later
#include "message/header_block.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "message/address.hpp"
#include "message/decoded_text.hpp"
#include "text/text.hpp"

namespace ums::message {

namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr std::array<std::string_view, 5> service_names{"fax", "sms", "voc", "mwi", "tts"};

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

[[noreturn]] void unusable(const std::string& reason) { throw Error(Fault::unusable, reason); }

// Finds the end of a block in bytes that arrive piece by piece; no byte is looked at twice.
class BlockEnd {
  public:
    // Where the body starts, once the empty line is among `bytes`: all that there are so far.
    std::optional<std::size_t> find(std::string_view bytes) noexcept {
        for (;;) {
            const auto end = bytes.find('\n', searched_);
            if (end == std::string_view::npos) {
                searched_ = bytes.size();
                return std::nullopt;
            }
            searched_ = end + 1;
            const auto line = bytes.substr(line_start_, end - line_start_);
            line_start_ = end + 1;
            if (line.find_first_not_of('\r') == std::string_view::npos) return line_start_;
        }
    }

  private:
    std::size_t line_start_ = 0;
    std::size_t searched_ = 0;
};

// `RCPT  to` is `RCPT TO`.
bool is_command(std::string_view name, std::string_view first, std::string_view second) noexcept {
    return name.size() > first.size() + second.size() && text::starts_with_ignoring_case(name, first) &&
           is_blank(name[first.size()]) && text::equal_ignoring_case(text::trim(name.substr(first.size())), second);
}

bool is_field_name(std::string_view name) noexcept {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

Line parse_line(std::string_view raw) {
    Line line;
    line.raw = raw;
    line.kind = Line::Kind::other;
    line.value = raw.substr(0, 0);
    if (raw.starts_with(byte_order_mark)) raw.remove_prefix(byte_order_mark.size());
    const auto colon = raw.find(':');
    if (colon == std::string_view::npos || raw.starts_with(' ') || raw.starts_with('\t')) return line;
    const auto name = text::trim(raw.substr(0, colon));
    if (is_command(name, "MAIL", "FROM")) {
        line.kind = Line::Kind::mail_from;
    } else if (is_command(name, "RCPT", "TO")) {
        line.kind = Line::Kind::rcpt_to;
    } else if (is_field_name(name)) {
        line.kind = Line::Kind::field;
    } else {
        return line;
    }
    line.name = name;
    const auto rest = raw.substr(colon + 1);
    line.value = text::trim(rest);
    if (line.value.empty()) {
        // Where a value would be put: behind one blank, if there is one.
        line.value = rest.substr(rest.starts_with(' ') || rest.starts_with('\t') ? 1 : 0, 0);
    }
    return line;
}

// RFC 5322 section 2.2.3: the line end goes, the blank after it stays. A CR alone is a blank.
std::string unfold(std::string_view value) {
    std::string out;
    out.reserve(value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '\n') continue;
        if (value[i] != '\r') {
            out += value[i];
        } else if (i + 1 == value.size() || value[i + 1] != '\n') {
            out += ' ';
        }
    }
    return out;
}

std::string without_controls(std::string_view value) {
    std::string out(value);
    for (char& c : out) {
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == '\x7f') c = ' ';
    }
    return out;
}

std::string_view line_end_of(std::string_view raw) noexcept {
    if (!raw.ends_with('\n')) return {};
    return raw.substr(raw.ends_with("\r\n") ? raw.size() - 2 : raw.size() - 1);
}

[[noreturn]] void too_long() { unusable("the header block is longer than " + text::format_bytes(longest_header)); }

// What both read_header() share: `more` appends the next bytes and says how many; 0 is the end.
// Returns where the body starts in `bytes`.
template <typename More>
std::size_t read_block(std::string& bytes, const More& more) {
    BlockEnd end;
    // A block is a kilobyte or two; what is read of the body with it is wasted, or carried along.
    std::size_t chunk = 4096;
    for (;;) {
        const auto before = bytes.size();
        bytes.resize(before + chunk);
        const std::size_t got = more(std::span<char>(bytes).subspan(before));
        bytes.resize(before + got);
        if (const auto body = end.find(bytes)) {
            if (*body > longest_header.count) too_long();
            return *body;
        }
        if (bytes.size() > longest_header.count) too_long();
        if (got == 0) return bytes.size();
        if (got == chunk) chunk = std::min<std::size_t>(chunk * 2, 65536);
    }
}

}  // namespace

std::string_view to_string(Importance importance) noexcept {
    switch (importance) {
        case Importance::low: return "low";
        case Importance::normal: return "normal";
        case Importance::high: return "high";
    }
    return "";
}

std::string_view to_string(Service service) noexcept { return service_names.at(static_cast<std::size_t>(service)); }

std::optional<Service> parse_service(std::string_view text) noexcept {
    for (std::size_t i = 0; i < service_names.size(); ++i) {
        if (text::equal_ignoring_case(text, service_names.at(i))) return static_cast<Service>(i);
    }
    return std::nullopt;
}

HeaderBlock HeaderBlock::parse(std::string bytes) {
    if (bytes.empty()) unusable("the message is empty");
    const auto body = BlockEnd().find(bytes);
    if (body) bytes.resize(*body);
    if (bytes.size() > longest_header.count) too_long();
    if (bytes.find('\0') != std::string::npos) unusable("there is a NUL byte in the header block");

    HeaderBlock block;
    block.bytes_ = std::make_shared<const std::string>(std::move(bytes));
    std::string_view rest = *block.bytes_;
    while (!rest.empty()) {
        std::size_t end = 0;
        do {
            const auto feed = rest.find('\n', end);
            end = feed == std::string_view::npos ? rest.size() : feed + 1;
        } while (end < rest.size() && is_blank(rest[end]));
        const auto raw = rest.substr(0, end);
        rest.remove_prefix(end);
        if (body && rest.empty() && raw.find_first_not_of("\r\n") == std::string_view::npos) break;
        block.lines_.push_back(parse_line(raw));
    }
    if (block.lines_.empty()) unusable("there is no header line");
    if (block.lines_.front().kind == Line::Kind::other) {
        unusable("the first line is neither an envelope line nor a header field: " +
                 text::quote(text::trim(block.lines_.front().raw.substr(0, 60))));
    }
    return block;
}

std::string_view HeaderBlock::line_end() const noexcept {
    const auto end = line_end_of(lines_.empty() ? std::string_view() : lines_.front().raw);
    return end.empty() ? "\r\n" : end;
}

std::string HeaderBlock::sender() const {
    const auto line =
        std::find_if(lines_.begin(), lines_.end(), [](const Line& l) { return l.kind == Line::Kind::mail_from; });
    if (line == lines_.end()) return {};
    const std::string value = unfold(line->value);
    const auto open = value.starts_with('<') ? 0 : value.ends_with('>') ? value.rfind('<') : std::string::npos;
    const auto close = open == std::string::npos ? open : value.find('>', open);
    if (close == std::string::npos) return value;
    return std::string(text::trim(std::string_view(value).substr(open + 1, close - open - 1)));
}

std::vector<Recipient> HeaderBlock::recipients() const {
    std::vector<Recipient> recipients;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        if (lines_[i].kind != Line::Kind::rcpt_to || lines_[i].value.empty()) continue;
        Recipient recipient;
        recipient.spelling = unfold(lines_[i].value);
        auto [service, address] = split_service(recipient.spelling);
        if (address.empty() && !service) continue;
        recipient.service = service;
        recipient.address = std::move(address);
        recipient.line = i;
        recipients.push_back(std::move(recipient));
    }
    return recipients;
}

std::vector<std::string> HeaderBlock::values(std::string_view name) const {
    std::vector<std::string> values;
    for (const auto& line : lines_) {
        if (line.kind != Line::Kind::field || !text::equal_ignoring_case(line.name, name)) continue;
        values.push_back(decode_value(unfold(line.value)));
    }
    return values;
}

std::vector<std::pair<std::string, std::string>> HeaderBlock::fields() const {
    std::vector<std::pair<std::string, std::string>> fields;
    for (const auto& line : lines_) {
        if (line.kind == Line::Kind::field) fields.emplace_back(line.name, decode_value(unfold(line.value)));
    }
    return fields;
}

bool HeaderBlock::has_field(std::string_view name) const noexcept {
    return std::any_of(lines_.begin(), lines_.end(), [&](const Line& line) {
        return line.kind == Line::Kind::field && text::equal_ignoring_case(line.name, name);
    });
}

Importance HeaderBlock::importance() const {
    // The highest that the values of a field say; nothing if none says anything.
    const auto said = [&](std::string_view name, auto meaning) {
        std::optional<Importance> most;
        for (const auto& value : values(name)) {
            const std::optional<Importance> one = meaning(value);
            if (one && (!most || *one > *most)) most = one;
        }
        return most;
    };
    const auto word = [](std::string_view low, std::string_view high) {
        return [low, high](std::string_view value) -> std::optional<Importance> {
            if (text::equal_ignoring_case(value, high)) return Importance::high;
            if (text::equal_ignoring_case(value, low)) return Importance::low;
            return std::nullopt;
        };
    };
    const auto importance = said("Importance", word("low", "high"));
    if (importance == Importance::high) return *importance;
    const auto priority = said("Priority", word("non-urgent", "urgent"));
    if (priority == Importance::high) return *priority;
    // `1 (Highest)`, but not `10`.
    const auto number = said("X-Priority", [](std::string_view value) -> std::optional<Importance> {
        if (value.empty() || (value.size() > 1 && !is_blank(value[1]))) return std::nullopt;
        if (value[0] == '1' || value[0] == '2') return Importance::high;
        if (value[0] == '4' || value[0] == '5') return Importance::low;
        return std::nullopt;
    });
    if (number == Importance::high) return *number;
    return importance.value_or(number.value_or(priority.value_or(Importance::normal)));
}

FileHeader read_header(io::Disk& disk, const io::Fd& file, const std::string& path) {
    std::string bytes;
    std::uint64_t offset = 0;
    const auto body = read_block(bytes, [&](std::span<char> buffer) {
        const std::size_t got = disk.read(file, buffer, offset, path);
        offset += got;
        return got;
    });
    bytes.resize(body);
    return {HeaderBlock::parse(std::move(bytes)), body};
}

Reader read_from(int fd, std::string name) {
    return [fd, name = std::move(name)](std::span<char> buffer) {
        for (;;) {
            const auto got = ::read(fd, buffer.data(), buffer.size());
            if (got >= 0) return static_cast<std::size_t>(got);
            if (errno != EINTR) throw system_error(Fault::cannot_read, "read " + text::quote(name), errno);
        }
    };
}

StreamHeader read_header(const Reader& read) {
    std::string bytes;
    const auto body = read_block(bytes, read);
    std::string rest = bytes.substr(body);
    bytes.resize(body);
    return {HeaderBlock::parse(std::move(bytes)), std::move(rest)};
}

namespace {

// What becomes of each line: by index, so that a block with many recipients stays linear.
struct LineFates {
    std::vector<bool> kept;
    std::vector<const std::string*> new_value;
};

LineFates decide_fates(const HeaderBlock& block, const Edit& edit) {
    const auto& lines = block.lines();
    LineFates fates{std::vector<bool>(lines.size(), true), std::vector<const std::string*>(lines.size(), nullptr)};
    if (edit.keep_recipients) {
        for (std::size_t i = 0; i < lines.size(); ++i) fates.kept[i] = lines[i].kind != Line::Kind::rcpt_to;
        for (const auto i : *edit.keep_recipients) {
            if (i < lines.size()) fates.kept[i] = true;
        }
    }
    for (const auto& [i, value] : edit.new_values) {
        if (i < lines.size() && lines[i].kind != Line::Kind::other) fates.new_value[i] = &value;
    }
    std::vector<std::string> added;
    for (const auto& [name, value] : edit.fields) added.push_back(text::lower(name));
    std::sort(added.begin(), added.end());
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].kind == Line::Kind::field &&
            std::binary_search(added.begin(), added.end(), text::lower(lines[i].name))) {
            fates.kept[i] = false;
        }
    }
    return fates;
}

}  // namespace

std::string apply(const HeaderBlock& block, const Edit& edit) {
    const auto bytes = block.bytes();
    if (edit.changes_nothing()) return std::string(bytes);
    const auto& lines = block.lines();
    const auto fates = decide_fates(block, edit);
    const auto line_end = block.line_end();

    std::size_t envelope_end = 0;  // lines before this one are the envelope
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].kind == Line::Kind::mail_from || lines[i].kind == Line::Kind::rcpt_to) envelope_end = i + 1;
    }

    std::string out;
    out.reserve(bytes.size() + 256);
    for (const auto& line : edit.envelope) {
        if (bytes.starts_with(byte_order_mark) && out.empty()) out += byte_order_mark;
        out.append(without_controls(line)).append(line_end);
    }
    const auto add_fields = [&] {
        if (edit.fields.empty()) return;
        if (!out.empty() && !out.ends_with('\n') && out != byte_order_mark) out += line_end;
        for (const auto& [name, value] : edit.fields) {
            out.append(name).append(": ").append(without_controls(value)).append(line_end);
        }
    };

    std::size_t length = 0;  // of all lines: what follows is the empty line
    // A block begins with an envelope line or a field. Should all of them before a line that is neither be dropped, the
    // next one goes in front of it.
    std::string postponed;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        auto raw = lines[i].raw;
        length += raw.size();
        if (i == 0 && raw.starts_with(byte_order_mark)) {
            if (out.empty()) out += byte_order_mark;
            raw.remove_prefix(byte_order_mark.size());
        }
        if (i == envelope_end) add_fields();
        if (!fates.kept[i]) continue;
        if (lines[i].kind == Line::Kind::other && (out.empty() || out == byte_order_mark)) {
            postponed += raw;
            continue;
        }
        if (fates.new_value[i] == nullptr) {
            out += raw;
        } else {
            out.append(raw.data(), lines[i].value.data());
            out.append(without_controls(*fates.new_value[i])).append(line_end_of(raw));
        }
        if (!postponed.empty()) {
            if (!out.ends_with('\n')) out += line_end;
            out += std::exchange(postponed, {});
        }
    }
    if (envelope_end == lines.size()) add_fields();
    out.append(postponed).append(bytes.substr(length));
    return out;
}

}  // namespace ums::message
