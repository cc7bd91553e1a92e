// SPDX-License-Identifier: GPL-3.0-or-later
#include "rules/pattern.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "error/error.hpp"
#include "io/disk.hpp"
#include "message/address.hpp"
#include "rules/index.hpp"
#include "text/text.hpp"

namespace ums::rules {

namespace {

bool has_wildcard(std::string_view text) noexcept { return text.find_first_of("*?") != std::string_view::npos; }

message::Service service_of(const Value& value) noexcept { return value.service.value_or(message::Service::fax); }

}  // namespace

Value make_value(std::string written, std::optional<message::Service> service, const number::Numbering* home) {
    Value value;
    value.lower = text::lower(written);
    if (number::is_number(written)) value.number = number::normalise(written, home);
    value.service = service;
    value.written = std::move(written);
    return value;
}

CompiledPattern::CompiledPattern(const config::Pattern& pattern, Role role, const number::Numbering* home)
    : role_(role), source_(&pattern) {
    switch (pattern.kind) {
        case config::Pattern::Kind::text: text_ = compile(pattern.text, role, home); return;
        case config::Pattern::Kind::regex: return;  // load() has tried it
        case config::Pattern::Kind::prefixes: table_ = std::make_unique<const PrefixTable>(pattern.text, home); return;
        case config::Pattern::Kind::in:
            list_ = std::make_unique<const List>(read_list(pattern.text, role, home));
            return;
    }
}

std::string CompiledPattern::name() const {
    switch (source_->kind) {
        case config::Pattern::Kind::text: return text::quote(source_->text);
        case config::Pattern::Kind::regex: return "/" + text::escape(source_->text) + "/";
        case config::Pattern::Kind::prefixes: return "prefixes " + text::escape(io::name_of(source_->text));
        case config::Pattern::Kind::in: return "in " + text::escape(io::name_of(source_->text));
    }
    return {};
}

bool CompiledPattern::is_open_prefix() const noexcept {
    if (!text_ || text_->service) return false;
    if (text_->form == Text::Form::all) return true;
    const auto special = text_->pattern.find_first_of("*?");
    return special != std::string::npos && special + 1 == text_->pattern.size() && text_->pattern[special] == '*';
}

const re2::RE2& CompiledPattern::regex() const {
    if (!regex_) {
        re2::RE2::Options options(re2::RE2::Quiet);
        options.set_case_sensitive(false);
        regex_ = std::make_unique<const re2::RE2>(source_->text, options);
        if (!regex_->ok()) {
            throw Error(Fault::configuration, source_->place.file + ":" + std::to_string(source_->place.line) +
                                                  ": the regular expression " + name() +
                                                  " cannot be used: " + regex_->error());
        }
    }
    return *regex_;
}

void CompiledPattern::enter(PatternIndex& index, std::uint32_t rule) const {
    if (source_->kind == config::Pattern::Kind::regex) {
        index.add_regex(source_->text, rule);
    } else if (!text_ || text_->form == Text::Form::all) {
        index.add_any(rule);  // tables and lists are quick by themselves
    } else if (text_->form == Text::Form::domain) {
        index.add_word("*" + text_->pattern, rule);
    } else if (text_->form == Text::Form::number) {
        index.add_number(text_->pattern, rule);
        index.add_word(text_->word, rule);
    } else {
        index.add_word(text_->pattern, rule);
        if (text_->wildcard) index.add_number(text_->pattern, rule);
    }
}

CompiledPattern::~CompiledPattern() = default;
CompiledPattern::CompiledPattern(CompiledPattern&&) noexcept = default;

CompiledPattern::Text CompiledPattern::compile(std::string_view written, Role role, const number::Numbering* home) {
    Text text;
    std::string_view rest = text::trim(written);
    if (role == Role::address || role == Role::sender) {
        if (const auto hash = rest.find('#'); hash != std::string_view::npos) {
            text.service = message::parse_service(text::trim(rest.substr(0, hash)));
            if (text.service) rest = text::trim(rest.substr(hash + 1));
        }
    }
    if (rest == "*") {
        text.form = Text::Form::all;
    } else if (role != Role::word && number::is_number_pattern(rest)) {
        text.form = Text::Form::number;
        text.pattern = number::normalise_pattern(rest, home);
        text.word = text::lower(rest);
    } else {
        const bool of_mail = role == Role::sender || role == Role::mailbox;
        text.form = of_mail && rest.starts_with('@') && !has_wildcard(rest) ? Text::Form::domain : Text::Form::plain;
        text.pattern = text::lower(rest);
    }
    text.wildcard = has_wildcard(text.pattern);
    return text;
}

CompiledPattern::List CompiledPattern::read_list(const std::string& path, Role role, const number::Numbering* home) {
    List list;
    read_lines(path, [&](int, std::string_view line) {
        Text text = compile(line, role, home);
        if (text.service || text.wildcard || text.form == Text::Form::all) {
            list.others.push_back(std::move(text));
        } else if (text.form == Text::Form::number) {
            list.numbers.insert(std::move(text.pattern));
            list.words.insert(std::move(text.word));
        } else {
            list.words.insert(std::move(text.pattern));
        }
    });
    return list;
}

bool CompiledPattern::matches_text(const Text& text, const Value& value) const {
    if (text.service && *text.service != service_of(value)) return false;
    const auto covers = [&](const std::string& pattern, const std::string& seen) {
        return text.wildcard ? text::matches_wildcard(pattern, seen) : pattern == seen;
    };
    switch (text.form) {
        case Text::Form::all: return true;
        case Text::Form::domain: return value.lower.ends_with(text.pattern);
        case Text::Form::number:
            if (value.number && covers(text.pattern, *value.number)) return true;
            // `78*` is also how the value `78a` of a header begins; and `*4711` how the name of a mailbox may end.
            return (role_ == Role::header || role_ == Role::mailbox || !value.number) && covers(text.word, value.lower);
        case Text::Form::plain:
            // `?*` is made of nothing that tells numbers from words.
            return covers(text.pattern, value.lower) ||
                   (value.number && text.wildcard && covers(text.pattern, *value.number));
    }
    return false;
}

bool CompiledPattern::matches_list(const Value& value) const {
    if (value.number && list_->numbers.contains(*value.number)) return true;
    if (list_->words.contains(value.lower)) return true;
    if (const auto at = value.lower.rfind('@');
        (role_ == Role::sender || role_ == Role::mailbox) && at != std::string::npos) {
        if (list_->words.contains(std::string_view(value.lower).substr(at))) return true;
    }
    return std::any_of(list_->others.begin(), list_->others.end(),
                       [&](const Text& text) { return matches_text(text, value); });
}

const std::string* CompiledPattern::site_for(const Value& value) const noexcept {
    if (!table_ || !value.number) return nullptr;
    const auto row = table_->find(*value.number);
    return row ? row->site : nullptr;
}

bool CompiledPattern::matches(const Value& value) const {
    if (text_) return matches_text(*text_, value);
    if (table_) return site_for(value) != nullptr;
    if (list_) return matches_list(value);
    return re2::RE2::PartialMatch(value.compared(), regex());
}

}  // namespace ums::rules
