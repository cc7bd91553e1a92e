// SPDX-License-Identifier: GPL-3.0-or-later
#include "rules/pattern.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "error/error.hpp"
#include "io/disk.hpp"
#include "message/address.hpp"
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
    : role_(role) {
    const auto fail = [&](const std::string& what) -> Error {
        return {Fault::configuration, pattern.place.file + ":" + std::to_string(pattern.place.line) + ": " + what};
    };
    switch (pattern.kind) {
        case config::Pattern::Kind::text:
            name_ = text::quote(pattern.text);
            text_ = compile(pattern.text, role, home);
            return;
        case config::Pattern::Kind::regex: {
            name_ = "/" + text::escape(pattern.text) + "/";
            re2::RE2::Options options(re2::RE2::Quiet);
            options.set_case_sensitive(false);
            regex_ = std::make_unique<const re2::RE2>(pattern.text, options);
            if (!regex_->ok()) throw fail("the regular expression " + name_ + " cannot be used: " + regex_->error());
            return;
        }
        case config::Pattern::Kind::prefixes:
            name_ = "prefixes " + text::escape(io::name_of(pattern.text));
            table_ = std::make_unique<const PrefixTable>(pattern.text, home);
            return;
        case config::Pattern::Kind::in:
            name_ = "in " + text::escape(io::name_of(pattern.text));
            list_ = std::make_unique<const List>(read_list(pattern.text, role, home));
            return;
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
        text.form = role == Role::sender && rest.starts_with('@') && !has_wildcard(rest) ? Text::Form::domain
                                                                                         : Text::Form::plain;
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
            return (role_ == Role::header || !value.number) && covers(text.word, value.lower);
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
    if (const auto at = value.lower.rfind('@'); role_ == Role::sender && at != std::string::npos) {
        if (list_->words.contains(std::string_view(value.lower).substr(at))) return true;
    }
    return std::any_of(list_->others.begin(), list_->others.end(),
                       [&](const Text& text) { return matches_text(text, value); });
}

const std::string* CompiledPattern::site_for(const Value& value) const noexcept {
    if (!table_ || !value.number) return nullptr;
    const auto* row = table_->find(*value.number);
    return row == nullptr ? nullptr : &row->site;
}

bool CompiledPattern::matches(const Value& value) const {
    if (text_) return matches_text(*text_, value);
    if (regex_) return re2::RE2::PartialMatch(value.compared(), *regex_);
    if (table_) return site_for(value) != nullptr;
    return matches_list(value);
}

}  // namespace ums::rules
