// SPDX-License-Identifier: GPL-3.0-or-later
#include "message/attachments.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "message/mime.hpp"
#include "text/text.hpp"

namespace ums::message {

namespace {

// A boundary has 70 characters at most; what is longer than this is content.
constexpr std::size_t longest_line = 1000;
constexpr std::size_t longest_part_header = 64 * 1024;
constexpr std::size_t most_levels = 50;

struct PartHeader {
    std::string type = "text/plain";
    std::string name;
    std::string boundary;  // of a multipart
};

PartHeader read_part(const std::string& content_type, const std::string& disposition) {
    PartHeader part;
    if (!content_type.empty()) {
        const auto read = mime::content_type(content_type);
        if (!read.type.empty()) part.type = text::lower(read.type);
        part.name = read.name;
        if (part.type.starts_with("multipart/")) part.boundary = read.boundary;
    }
    if (!disposition.empty()) {
        if (auto name = mime::file_name(disposition); !name.empty()) part.name = std::move(name);
    }
    return part;
}

std::string first_value(const HeaderBlock& block, std::string_view name) {
    const auto values = block.values(name);
    return values.empty() ? std::string() : values.front();
}

class Walk {
  public:
    explicit Walk(const HeaderBlock& block) {
        auto part = read_part(first_value(block, "Content-Type"), first_value(block, "Content-Disposition"));
        if (part.boundary.empty()) {
            found_.push_back({std::move(part.type), std::move(part.name)});
            done_ = true;
        } else {
            boundaries_.push_back(std::move(part.boundary));
        }
    }

    bool done() const noexcept { return done_; }
    std::vector<Attachment> take() { return std::move(found_); }

    // One line without its line end; only the first bytes of a long one.
    void line(std::string_view text) {
        if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
        if (text.starts_with("--") && boundary(text.substr(2))) return;
        if (!in_header_) return;
        if (text.empty()) {
            end_header();
        } else if (header_.size() + text.size() < longest_part_header) {
            header_.append(text).append("\r\n");
        }
    }

  private:
    // Also that of an outer multipart, whose inner one was not closed.
    bool boundary(std::string_view text) {
        for (std::size_t i = boundaries_.size(); i-- > 0;) {
            if (!text.starts_with(boundaries_[i])) continue;
            const auto rest = text.substr(boundaries_[i].size());
            const bool closes = rest.starts_with("--");
            if (!text::trim(closes ? rest.substr(2) : rest).empty()) continue;
            if (in_header_) end_header();
            boundaries_.resize(closes ? i : i + 1);
            in_header_ = !closes;
            header_.clear();
            done_ = boundaries_.empty();
            return true;
        }
        return false;
    }

    void end_header() {
        in_header_ = false;
        PartHeader part;
        if (!header_.empty()) {
            try {
                const auto block = HeaderBlock::parse(header_ + "\r\n");
                part = read_part(first_value(block, "Content-Type"), first_value(block, "Content-Disposition"));
            } catch (const Error&) {
                // No header that can be read: plain text, as if it had none.
            }
        }
        if (!part.boundary.empty() && boundaries_.size() < most_levels) {
            boundaries_.push_back(std::move(part.boundary));
            return;
        }
        found_.push_back({std::move(part.type), std::move(part.name)});
        done_ = found_.size() >= most_parts;
    }

    std::vector<std::string> boundaries_;
    std::string header_;
    std::vector<Attachment> found_;
    bool in_header_ = false;
    bool done_ = false;
};

}  // namespace

std::vector<Attachment> attachments(const HeaderBlock& block, const Reader& body) {
    Walk walk(block);
    std::string line;
    std::vector<char> buffer(64 * 1024);
    while (!walk.done()) {
        const auto got = body(buffer);
        if (got == 0) break;
        std::string_view rest(buffer.data(), got);
        while (!rest.empty() && !walk.done()) {
            const auto feed = rest.find('\n');
            const auto part = rest.substr(0, feed);
            line.append(part.substr(0, longest_line - std::min(longest_line, line.size())));
            if (feed == std::string_view::npos) break;
            walk.line(line);
            line.clear();
            rest.remove_prefix(feed + 1);
        }
    }
    if (!walk.done() && !line.empty()) walk.line(line);
    return walk.take();
}

}  // namespace ums::message
