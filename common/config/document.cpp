// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/document.hpp"

#include <yaml.h>

#include <algorithm>
#include <iterator>
#include <new>

#include "config/report.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

constexpr std::size_t most_levels = 32;
constexpr std::size_t most_nodes = 500'000;

// Marks count from 0, and columns in characters.
Node node_at(const yaml_mark_t& mark) {
    Node node;
    node.line = static_cast<int>(mark.line) + 1;
    node.column = static_cast<int>(mark.column) + 1;
    return node;
}

class Event {
  public:
    Event() = default;
    ~Event() { yaml_event_delete(&event_); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    const yaml_event_t* operator->() const noexcept { return &event_; }
    const yaml_event_t& operator*() const noexcept { return event_; }
    yaml_event_t* replace() noexcept {
        yaml_event_delete(&event_);
        return &event_;
    }

  private:
    yaml_event_t event_{};
};

// Reads UTF-8 from memory that stays where it is.
class Parser {
  public:
    explicit Parser(std::string_view yaml) {
        if (yaml_parser_initialize(&parser_) == 0) throw std::bad_alloc();
        yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(yaml.data()), yaml.size());
    }
    ~Parser() { yaml_parser_delete(&parser_); }
    Parser(const Parser&) = delete;
    Parser& operator=(const Parser&) = delete;

    // Whether there is one: what is no YAML ends it too, and is told by state().
    bool next(Event& event) {
        if (yaml_parser_parse(&parser_, event.replace()) != 0) return event->type != YAML_STREAM_END_EVENT;
        if (parser_.error == YAML_MEMORY_ERROR) throw std::bad_alloc();
        return false;
    }
    const yaml_parser_t& state() const noexcept { return parser_; }

  private:
    yaml_parser_t parser_{};
};

std::string_view view(const yaml_char_t* text) {
    return text ? std::string_view(reinterpret_cast<const char*>(text)) : std::string_view();
}

bool means_nothing(std::string_view plain) noexcept {
    return plain.empty() || plain == "~" || plain == "null" || plain == "Null" || plain == "NULL";
}

class TreeBuilder {
  public:
    explicit TreeBuilder(Report& report) : report_(report) {}

    // Whether to go on; if not, the reason is in the report.
    bool take(const yaml_event_t& event) {
        switch (event.type) {
            case YAML_DOCUMENT_START_EVENT:
                if (documents_++ == 0) return true;
                report_.error(node_at(event.start_mark), "a second YAML document begins here; only one is allowed");
                return false;
            case YAML_ALIAS_EVENT:
            case YAML_SCALAR_EVENT:
            case YAML_SEQUENCE_START_EVENT:
            case YAML_MAPPING_START_EVENT: return take_node(event);
            case YAML_MAPPING_END_EVENT: report_repeated(open_.back()); [[fallthrough]];
            case YAML_SEQUENCE_END_EVENT: close(); return true;
            default: return true;
        }
    }

    std::optional<Node> root() { return std::move(root_); }

  private:
    bool take_node(const yaml_event_t& event) {
        Node node = node_at(event.start_mark);
        if (++nodes_ > most_nodes) {
            report_.error(node, "more than " + std::to_string(most_nodes) +
                                    " values in one file; large tables belong into 'prefixes' and 'in' files");
            return false;
        }
        if (event.type == YAML_ALIAS_EVENT) {
            node.refused = true;
            report_.error(node, "aliases (*name) are refused: write the value out, or put it in quotes if it is one");
        } else if (event.type == YAML_SCALAR_EVENT) {
            const auto& scalar = event.data.scalar;
            refuse_properties(node, scalar.anchor, scalar.tag);
            const std::string_view text(reinterpret_cast<const char*>(scalar.value), scalar.length);
            if (scalar.style != YAML_PLAIN_SCALAR_STYLE || scalar.tag || !means_nothing(text)) {
                node.kind = Node::Kind::text;
                node.text = text;
            }
        } else if (event.type == YAML_SEQUENCE_START_EVENT) {
            const auto& list = event.data.sequence_start;
            refuse_properties(node, list.anchor, list.tag);
            node.kind = Node::Kind::list;
            return open(std::move(node));
        } else {
            const auto& map = event.data.mapping_start;
            refuse_properties(node, map.anchor, map.tag);
            node.kind = Node::Kind::map;
            return open(std::move(node));
        }
        add(std::move(node));
        return true;
    }

    void refuse_properties(const Node& node, const yaml_char_t* anchor, const yaml_char_t* tag) {
        if (anchor) report_.error(node, "anchors (&name) are refused: each value stands where it is used");
        // "!" alone says only that a scalar is a text, which they all are.
        if (tag && view(tag) != "!") report_.error(node, "tags (" + text::escape(view(tag)) + ") are refused");
    }

    bool open(Node&& node) {
        if (open_.size() >= most_levels) {
            report_.error(node, "nested deeper than " + std::to_string(most_levels) + " levels");
            return false;
        }
        open_.push_back(std::move(node));
        return true;
    }

    void close() {
        Node node = std::move(open_.back());
        open_.pop_back();
        add(std::move(node));
    }

    void add(Node&& node) {
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

    // Equal keys are neighbours once sorted, in the order of the file.
    void report_repeated(const Node& map) {
        sorted_.clear();
        for (const auto& key : map.keys) {
            if (!key.refused) sorted_.push_back(&key);
        }
        std::sort(sorted_.begin(), sorted_.end(), [](const Node* a, const Node* b) {
            const int order = a->text.compare(b->text);
            return order != 0 ? order < 0 : a < b;
        });
        const Node* first = nullptr;
        for (const Node* key : sorted_) {
            if (first && key->text == first->text) {
                report_.error(*key, text::quote(key->text) + " is given twice; the first stands in line " +
                                        std::to_string(first->line));
            } else {
                first = key;
            }
        }
    }

    Report& report_;
    std::vector<Node> open_;
    std::vector<const Node*> sorted_;
    std::optional<Node> root_;
    std::size_t nodes_ = 0;
    int documents_ = 0;
};

bool is_continuation(char c) noexcept { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// What stands before a mark, whose index counts characters.
std::string_view before(const yaml_mark_t& mark, std::string_view text) {
    std::size_t i = 0;
    for (std::size_t characters = 0; i < text.size(); ++i) {
        if (!is_continuation(text[i]) && characters++ == mark.index) break;
    }
    return text.substr(0, i);
}

enum class Look {
    where_found,
    in_brackets,  ///< where it was found, in a map or list between brackets
    where_begun,
    at_value,  ///< where it began: more often than not at a value that needs quotes
};

// What libyaml calls a problem, where people should look for it, and what to tell them; # is the line where it began.
struct Explanation {
    std::string_view problem;
    Look look;
    std::string_view words;
};

constexpr std::string_view bad_escape =
    "an unknown escape stands here; in double quotes a \\ begins an escape, in single quotes it stands for itself";
constexpr std::string_view bad_tab = "a tab stands here";

constexpr Explanation explanations[] = {
    {"block sequence entries are not allowed in this context", Look::where_found,
     "no '- ' can stand here: a list begins in a line of its own"},
    {"could not find expected ':'", Look::where_begun, "a key begins here, but no ': ' follows it"},
    {"did not find expected '-' indicator", Look::where_found,
     "what stands here does not belong to the list that begins in line #: see the indentation"},
    {"did not find expected ',' or ']'", Look::in_brackets,
     "a , or ] is missing before this, in the list that begins in line #"},
    {"did not find expected ',' or '}'", Look::in_brackets,
     "a , or } is missing before this, in the map that begins in line #"},
    {"did not find expected <document start>", Look::where_found,
     "this stands outside of the document: see the indentation, and --- must follow lines that begin with %"},
    {"did not find expected hexdecimal number", Look::where_found, bad_escape},
    {"did not find expected key", Look::where_found,
     "what stands here does not belong to the map that begins in line #: see the indentation and the quotes"},
    {"did not find expected node content", Look::at_value, "a value is missing here"},
    {"found a tab character that violates indentation", Look::where_found, bad_tab},
    {"found a tab character where an indentation space is expected", Look::where_found, bad_tab},
    {"found character that cannot start any token", Look::at_value, bad_tab},
    {"found duplicate %YAML directive", Look::where_found, "a second line with %YAML stands here"},
    {"found incompatible YAML document", Look::where_found, "the version of YAML must be 1.1 or 1.2"},
    {"found invalid Unicode character escape code", Look::where_found, bad_escape},
    {"found unexpected ':'", Look::where_found, "a blank must follow this : (or quotes stand around the text)"},
    {"found unexpected document indicator", Look::where_begun,
     "the quote that opens here is not closed before a line that begins with --- or ..."},
    {"found unexpected end of stream", Look::where_begun, "the quote that opens here is never closed"},
    {"found unknown escape character", Look::where_found, bad_escape},
    {"mapping values are not allowed in this context", Look::where_found,
     "no ': ' can stand here: see the indentation, the blank behind each : before it, and the quotes around a text "
     "with ': '"},
};

bool is_one_of(char c, std::string_view all) noexcept { return all.find(c) != std::string_view::npos; }

void explain(const yaml_parser_t& failed, std::string_view yaml, Report& report) {
    const std::string_view problem = failed.problem ? failed.problem : "";
    const auto known = std::find_if(std::begin(explanations), std::end(explanations),
                                    [&](const Explanation& one) { return one.problem == problem; });
    const auto [ignored, look, words] =
        known != std::end(explanations) ? *known : Explanation{{}, Look::at_value, problem};

    const bool from_start = failed.context && (look == Look::where_begun || look == Look::at_value);
    const auto until = before(from_start ? failed.context_mark : failed.problem_mark, yaml);
    const auto line = until.substr(until.rfind('\n') + 1);
    const char here = until.size() < yaml.size() ? yaml[until.size()] : ' ';
    Node place;
    place.line = static_cast<int>(std::count(until.begin(), until.end(), '\n')) + 1;
    place.column =
        static_cast<int>(line.size()) + 1 - static_cast<int>(std::count_if(line.begin(), line.end(), is_continuation));

    std::string text(words);
    if (const auto at = text.find('#'); at != std::string::npos) {
        text.replace(at, 1, std::to_string(failed.context_mark.line + 1));
    }
    // What people who do not think in YAML most often meant.
    if (look == Look::in_brackets) {
        if (is_one_of(here, "[]{}")) text += "; a text with [ ] { or } must stand in quotes";
    } else if (look == Look::at_value && is_one_of(here, "@`%*&!|>?:-")) {
        text = std::string("a value that begins with ") + here + " must stand in quotes";
    } else if (here == '\t' || is_one_of('\t', line.substr(0, line.find_first_not_of(" \t")))) {
        text += "; indent with spaces, not with tabs";
    }
    report.error(place, "this is no YAML: " + text);
}

// What YAML 1.1 and 1.2 do not allow, and what ends a line in one of them only.
bool is_control(std::string_view text, char32_t code) noexcept {
    if (code == '\n' || code == '\t' || (code == '\r' && text.starts_with("\r\n"))) return false;
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 || code == 0xfeff ||
           code == 0xfffe || code == 0xffff;
}

// Refuses what is no UTF-8 text, with the place of the first bad byte.
bool is_text(std::string_view text, Report& report) {
    Node at;
    at.line = 1;
    at.column = 1;
    for (;;) {
        const auto plain = std::find_if(text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7e; });
        at.column += static_cast<int>(plain - text.begin());
        text.remove_prefix(static_cast<std::size_t>(plain - text.begin()));
        if (text.empty()) return true;
        const auto c = text::decode(text);
        if (c.length == 0) {
            report.error(at, "the file is not UTF-8 from here on");
            return false;
        }
        if (is_control(text, c.code)) {
            report.error(at, "a control character (" + text::escape(text.substr(0, c.length)) + ") stands here");
            return false;
        }
        text.remove_prefix(c.length);
        ++at.column;
        if (c.code == '\n') {
            ++at.line;
            at.column = 1;
        }
    }
}

}  // namespace

std::optional<Node> read_document(std::string_view yaml, Report& report) {
    if (yaml.starts_with("\xef\xbb\xbf")) yaml.remove_prefix(3);
    if (!is_text(yaml, report)) return std::nullopt;

    Parser parser(yaml);
    TreeBuilder builder(report);
    for (Event event; parser.next(event);) {
        if (!builder.take(*event)) return std::nullopt;
    }
    if (parser.state().error != YAML_NO_ERROR) {
        explain(parser.state(), yaml, report);
        return std::nullopt;
    }
    auto root = builder.root();
    if (!root || root->kind == Node::Kind::nothing) {
        if (!report.failed()) report.error(report.whole_file(), "the file is empty");
        return std::nullopt;
    }
    return root;
}

}  // namespace ums::config
