// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/document.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <map>
#include <streambuf>

#include "config/report.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

constexpr std::size_t most_levels = 32;
constexpr std::size_t most_nodes = 500'000;

// Thrown through the parser once the reason is in the report.
struct Stop {};

// Reads from memory that stays where it is.
class MemoryBuffer : public std::streambuf {
  public:
    explicit MemoryBuffer(std::string_view text) {
        char* begin = const_cast<char*>(text.data());
        setg(begin, begin, begin + text.size());
    }
};

bool is_continuation(char c) noexcept { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// The parser counts bytes; editors and people count characters. Marks come nearly sorted, so each is found by walking
// from the one before: a file of a single long line must not cost the square of its length.
class Columns {
  public:
    explicit Columns(std::string_view text) : text_(text) {
        starts_.push_back(0);
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '\n') starts_.push_back(i + 1);
        }
    }

    std::string_view line(int line) const {
        if (line < 0 || static_cast<std::size_t>(line) >= starts_.size()) return {};
        const auto start = starts_[static_cast<std::size_t>(line)];
        return text_.substr(start, text_.find('\n', start) - start);
    }

    // All from 0.
    int characters(int line, int column) {
        if (line < 0 || column < 0 || static_cast<std::size_t>(line) >= starts_.size()) return 0;
        if (line != line_) {
            line_ = line;
            bytes_ = 0;
            characters_ = 0;
        }
        const auto start = starts_[static_cast<std::size_t>(line)];
        const auto wanted = std::min(static_cast<std::size_t>(column), text_.size() - start);
        for (; bytes_ < wanted; ++bytes_) characters_ += is_continuation(text_[start + bytes_]) ? 0 : 1;
        for (; bytes_ > wanted; --bytes_) characters_ -= is_continuation(text_[start + bytes_ - 1]) ? 0 : 1;
        return characters_;
    }

  private:
    std::string_view text_;
    std::vector<std::size_t> starts_;
    int line_ = -1;
    std::size_t bytes_ = 0;
    int characters_ = 0;
};

class TreeBuilder : public YAML::EventHandler {
  public:
    TreeBuilder(Columns& columns, Report& report) : columns_(columns), report_(report) {}

    std::optional<Node> take() { return std::move(root_); }
    Node at(const YAML::Mark& mark) const {
        Node node;
        node.line = mark.line + 1;
        node.column = columns_.characters(mark.line, mark.column) + 1;
        return node;
    }

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (documents_++ == 0) return;
        report_.error(at(mark), "a second YAML document begins here; only one is allowed");
        throw Stop{};
    }
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(begin(mark, "", anchor)); }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        Node node = begin(mark, "", 0);
        node.refused = true;
        report_.error(node, "aliases (*name) are refused: write the value out, or put it in quotes if it is one");
        add(std::move(node));
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        Node node = begin(mark, tag, anchor);
        node.kind = Node::Kind::text;
        node.text = value;
        add(std::move(node));
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, Node::Kind::list);
    }
    void OnSequenceEnd() override { close(); }

    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, Node::Kind::map);
    }
    void OnMapEnd() override {
        report_repeated(open_.back());
        close();
    }

  private:
    Node begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
        Node node = at(mark);
        if (++nodes_ > most_nodes) {
            report_.error(node, "more than " + std::to_string(most_nodes) +
                                    " values in one file; large tables belong into 'prefixes' and 'in' files");
            throw Stop{};
        }
        if (anchor != 0) report_.error(node, "anchors (&name) are refused: each value stands where it is used");
        // The parser says "?" for plain and "!" for quoted scalars that have no tag.
        if (!tag.empty() && tag != "?" && tag != "!")
            report_.error(node, "tags (" + text::escape(tag) + ") are refused");
        return node;
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
        Node node = begin(mark, tag, anchor);
        node.kind = kind;
        if (open_.size() >= most_levels) {
            report_.error(node, "nested deeper than " + std::to_string(most_levels) + " levels");
            throw Stop{};
        }
        open_.push_back(std::move(node));
    }

    void close() {
        Node node = std::move(open_.back());
        open_.pop_back();
        add(std::move(node));
    }

    void add(Node node) {
        if (open_.empty()) {
            root_ = std::move(node);
            return;
        }
        Node& parent = open_.back();
        if (parent.kind == Node::Kind::list) {
            parent.values.push_back(std::move(node));
        } else if (parent.keys.size() == parent.values.size()) {
            if (node.kind != Node::Kind::text && !node.refused) {
                report_.error(node, node.kind == Node::Kind::nothing ? "a key is missing (null and ~ need quotes)"
                                                                     : "a key must be a text");
                node.refused = true;
            }
            if (node.text == "<<") {
                report_.error(node, "merge keys (<<) are refused: write the values out");
                node.refused = true;
            }
            parent.keys.push_back(std::move(node));
        } else {
            // The parser marks a missing value where it found out; people look for it at its key.
            if (node.kind == Node::Kind::nothing && !node.refused) {
                node.line = parent.keys.back().line;
                node.column = parent.keys.back().column;
            }
            parent.values.push_back(std::move(node));
        }
    }

    void report_repeated(const Node& map) {
        std::map<std::string_view, int> lines;
        for (const auto& key : map.keys) {
            if (key.refused) continue;
            const auto [first, is_new] = lines.emplace(key.text, key.line);
            if (is_new) continue;
            report_.error(key, text::quote(key.text) + " is given twice; the first stands in line " +
                                   std::to_string(first->second));
        }
    }

    Columns& columns_;
    Report& report_;
    std::vector<Node> open_;
    std::optional<Node> root_;
    std::size_t nodes_ = 0;
    int documents_ = 0;
};

// What people who do not think in YAML most often meant.
std::string hint(std::string_view line, const YAML::Exception& error) {
    if (line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string_view::npos) {
        return "; indent with spaces, not with tabs";
    }
    const std::string_view message = error.msg;
    if (message.find("escape") != std::string_view::npos || message.find("hex") != std::string_view::npos ||
        message.find("unicode") != std::string_view::npos) {
        return "; in double quotes a \\ begins an escape, in single quotes it stands for itself";
    }
    if (message.find("alias") != std::string_view::npos || message == YAML::ErrorMsg::UNKNOWN_ANCHOR) {
        return "; a value that begins with * must stand in quotes";
    }
    const auto column = static_cast<std::size_t>(std::max(error.mark.column, 0));
    const char at = column < line.size() ? line[column] : ' ';
    if (at == '@' || at == '`' || at == '%' || at == '&' || at == '!') {
        return std::string("; a value that begins with ") + at + " must stand in quotes";
    }
    return {};
}

// Refuses what is no UTF-8 text, with the place of the first bad byte.
bool is_text(std::string_view text, Report& report) {
    Node at;
    at.line = 1;
    at.column = 1;
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte < 0x80) {
            const bool blank = byte == '\n' || byte == '\t' || byte == '\r';
            if ((byte < 0x20 && !blank) || byte == 0x7f) {
                report.error(at, "a control character (" + text::escape(text.substr(i, 1)) + ") stands here");
                return false;
            }
            ++i;
            ++at.column;
            if (byte == '\n') {
                ++at.line;
                at.column = 1;
            }
            continue;
        }
        const std::size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
        const auto character = text.substr(i, length);
        const auto continuations =
            static_cast<std::size_t>(std::count_if(character.begin() + 1, character.end(), is_continuation));
        if (byte < 0xc2 || byte > 0xf4 || character.size() != length || continuations + 1 != length) {
            report.error(at, "the file is not UTF-8 from here on");
            return false;
        }
        i += length;
        ++at.column;
    }
    return true;
}

}  // namespace

std::optional<Node> read_document(std::string_view yaml, Report& report) {
    if (yaml.starts_with("\xef\xbb\xbf")) yaml.remove_prefix(3);
    if (!is_text(yaml, report)) return std::nullopt;

    Columns columns(yaml);
    TreeBuilder builder(columns, report);
    MemoryBuffer buffer(yaml);
    std::istream stream(&buffer);
    try {
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(builder)) {
        }
    } catch (const Stop&) {
        return std::nullopt;
    } catch (const YAML::Exception& error) {
        if (error.mark.is_null()) {
            report.error(report.whole_file(), "this is no YAML: " + text::escape(error.msg));
        } else {
            report.error(builder.at(error.mark),
                         "this is no YAML: " + text::escape(error.msg) + hint(columns.line(error.mark.line), error));
        }
        return std::nullopt;
    }
    auto root = builder.take();
    if (!root || root->kind == Node::Kind::nothing) {
        if (!report.failed()) report.error(report.whole_file(), "the file is empty");
        return std::nullopt;
    }
    return root;
}

}  // namespace ums::config
