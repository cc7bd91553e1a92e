// SPDX-License-Identifier: GPL-3.0-or-later
#include "rules/conditions.hpp"

#include <algorithm>
#include <array>

#include "message/address.hpp"
#include "text/text.hpp"

namespace ums::rules {

namespace {

using Field = config::Condition::Field;

// RFC 5322 3.6.2, 3.6.3 and 3.6.6, and what servers write about where a mail was sent.
bool holds_addresses(std::string_view field) noexcept {
    static constexpr std::array<std::string_view, 16> fields{
        "from",         "sender",      "reply-to",      "to",        "cc",        "bcc",         "return-path",
        "delivered-to", "envelope-to", "x-original-to", "errors-to", "resent-to", "resent-from", "resent-sender",
        "resent-cc",    "resent-bcc"};
    return std::any_of(fields.begin(), fields.end(),
                       [&](std::string_view known) { return text::equal_ignoring_case(known, field); });
}

Role role_of(const config::Condition& condition) noexcept {
    switch (condition.field) {
        case Field::recipient: return Role::address;
        case Field::sender: return Role::sender;
        case Field::header: return holds_addresses(condition.header) ? Role::mailbox : Role::header;
        default: return Role::word;
    }
}

std::string name_of(const config::Condition& condition) {
    switch (condition.field) {
        case Field::recipient: return "recipient";
        case Field::sender: return "sender";
        case Field::service: return "service";
        case Field::connector: return "connector";
        case Field::header: return "header " + text::escape(condition.header);
        case Field::importance: return "importance";
        case Field::attachment: return "attachment";
        case Field::size: return "size";
        case Field::pages: return "pages (" + text::escape(condition.header) + ")";
        case Field::hours: return "hours";
        case Field::days: return "days";
    }
    return {};
}

std::string two_digits(unsigned n) { return (n < 10 ? "0" : "") + std::to_string(n); }

}  // namespace

std::string CompiledCondition::what() const {
    std::string out = name_of(*source);
    const auto amount = [&](std::uint64_t n) {
        return source->field == Field::size ? text::format_bytes(Bytes{n}) : std::to_string(n);
    };
    if (source->over) out += " over " + amount(*source->over);
    if (source->under) out += " under " + amount(*source->under);
    if (!source->text.empty()) out += " " + text::escape(source->text);
    bool first = true;
    for (const auto& pattern : patterns) {
        out += (first ? " " : " or ") + pattern.name();
        first = false;
    }
    return out;
}

std::string CompiledCondition::place() const { return source->place.file + ":" + std::to_string(source->place.line); }

std::string CompiledTest::describe() const {
    std::string out;
    const auto add = [&](const std::string& part) { out += (out.empty() ? "" : ", ") + part; };
    for (const auto& condition : conditions) add(condition.what());
    const auto group = [&](const char* word, const std::vector<CompiledTest>& parts) {
        if (parts.empty()) return;
        std::string inner;
        for (const auto& part : parts) inner += (inner.empty() ? "" : "; ") + part.describe();
        add(std::string(word) + " (" + inner + ")");
    };
    group("any", any);
    group("all", all);
    group("not", none);
    return out;
}

bool CompiledTest::needs_body() const noexcept {
    const auto of = [](const std::vector<CompiledTest>& tests) {
        return std::any_of(tests.begin(), tests.end(), [](const CompiledTest& test) { return test.needs_body(); });
    };
    return of(any) || of(all) || of(none) ||
           std::any_of(conditions.begin(), conditions.end(), [](const CompiledCondition& condition) {
               return condition.source->field == Field::size || condition.source->field == Field::attachment;
           });
}

CompiledTest compile(const config::Test& test, const number::Numbering* home, std::string_view zone) {
    CompiledTest compiled;
    compiled.conditions.reserve(test.conditions.size());
    for (const auto& condition : test.conditions) {
        CompiledCondition c{&condition, zone, {}};
        c.patterns.reserve(condition.patterns.size());
        for (const auto& pattern : condition.patterns) c.patterns.emplace_back(pattern, role_of(condition), home);
        compiled.conditions.push_back(std::move(c));
    }
    for (const auto& part : test.any) compiled.any.push_back(compile(part, home, zone));
    for (const auto& part : test.all) compiled.all.push_back(compile(part, home, zone));
    for (const auto& part : test.none) compiled.none.push_back(compile(part, home, zone));
    return compiled;
}

void check_sites_of_rows(const CompiledTest& test, const config::Config& config) {
    for (const auto& condition : test.conditions) {
        for (const auto& pattern : condition.patterns) {
            if (pattern.table() == nullptr) continue;
            for (const auto& site : pattern.table()->sites()) {
                if (config.site(site.name) != nullptr) continue;
                throw Error(Fault::configuration,
                            condition.place() + ": " + pattern.name() + ", line " + std::to_string(site.line) + ": " +
                                (site.name.empty() ? "no site" : "there is no site " + text::quote(site.name)));
            }
        }
    }
    for (const auto& part : test.any) check_sites_of_rows(part, config);
    for (const auto& part : test.all) check_sites_of_rows(part, config);
}

const Value& Facts::sender() {
    if (!sender_) {
        auto [service, address] =
            message::split_service(subject_.envelope != nullptr ? subject_.envelope->sender : subject_.block->sender());
        sender_ = make_value(std::move(address), service, home_);
    }
    return *sender_;
}

const Value& Facts::connector() {
    if (!connector_) connector_ = make_value(subject_.connector, std::nullopt, nullptr);
    return *connector_;
}

const Value& Facts::importance() {
    if (!importance_) {
        importance_ = make_value(std::string(to_string(subject_.block->importance())), std::nullopt, nullptr);
    }
    return *importance_;
}

const std::vector<Value>& Facts::header(const std::string& name) {
    const auto [entry, added] = headers_.try_emplace(text::lower(name));
    if (!added) return entry->second;
    for (auto& value : subject_.block->values(name)) {
        entry->second.push_back(make_value(std::move(value), std::nullopt, home_));
    }
    if (!holds_addresses(name)) return entry->second;
    for (const auto& line : subject_.block->lines()) {
        if (line.kind != message::Line::Kind::field || !text::equal_ignoring_case(line.name, name)) continue;
        for (auto& address : message::addresses_in(line.value)) {
            entry->second.push_back(make_value(std::move(address), std::nullopt, home_));
        }
    }
    return entry->second;
}

const std::vector<Value>& Facts::attachments() {
    if (!attachments_) {
        attachments_.emplace();
        for (auto& one : subject_.attachments ? subject_.attachments() : std::vector<message::Attachment>()) {
            attachments_->push_back(make_value(std::move(one.type), std::nullopt, nullptr));
            if (!one.name.empty()) attachments_->push_back(make_value(std::move(one.name), std::nullopt, nullptr));
        }
    }
    return *attachments_;
}

const clock::WallTime* Facts::wall_time(std::string_view zone) {
    if (!subject_.at) return nullptr;
    auto found = times_.find(zone);
    if (found == times_.end()) {
        found = times_.emplace(std::string(zone), clock::wall_time(*subject_.at, zone)).first;
    }
    return &found->second;
}

std::uint64_t Facts::hash() {
    if (!hash_) hash_ = mix(text::hash(subject_.block->bytes()));
    return *hash_;
}

Evaluation::Evaluation(Facts& facts, const message::Recipient& recipient, const number::Numbering* home,
                       std::vector<Look>* looks)
    : facts_(facts),
      recipient_(make_value(recipient.address, recipient.service, home)),
      service_(
          make_value(std::string(to_string(recipient.service.value_or(message::Service::fax))), std::nullopt, nullptr)),
      looks_(looks) {}

bool Evaluation::holds(const CompiledTest& test, const char* prefix) {
    for (const auto& condition : test.conditions) {
        if (!holds(condition, prefix)) return false;
    }
    const auto one = [&](const CompiledTest& part) { return holds(part, "any: "); };
    if (!test.any.empty() && std::none_of(test.any.begin(), test.any.end(), one)) return false;
    const auto each = [&](const CompiledTest& part) { return holds(part, prefix); };
    if (!std::all_of(test.all.begin(), test.all.end(), each)) return false;
    for (const auto& part : test.none) {
        const auto* before = row_site_;
        const bool found = holds(part, "not: ");
        row_site_ = before;
        if (found) return false;
    }
    return true;
}

bool Evaluation::holds(const CompiledCondition& condition, const char* prefix) {
    const auto field = condition.source->field;
    const bool of_recipient = field == Field::recipient || field == Field::service;
    // A table names the site of the value that it matched.
    const bool has_table = std::any_of(condition.patterns.begin(), condition.patterns.end(),
                                       [](const CompiledPattern& pattern) { return pattern.table() != nullptr; });
    if (of_recipient || has_table || looks_ != nullptr) return find_out(condition, prefix);
    const auto known = facts_.verdicts().find(&condition);
    if (known != facts_.verdicts().end()) return known->second;
    return facts_.verdicts()[&condition] = find_out(condition, prefix);
}

bool Evaluation::find_out(const CompiledCondition& condition, const char* prefix) {
    switch (condition.source->field) {
        case Field::recipient: return one_of(condition, prefix, {&recipient_, 1});
        case Field::sender: return one_of(condition, prefix, {&facts_.sender(), 1});
        case Field::service: return one_of(condition, prefix, {&service_, 1});
        case Field::connector: return one_of(condition, prefix, {&facts_.connector(), 1});
        case Field::header: return one_of(condition, prefix, facts_.header(condition.source->header));
        case Field::importance: return one_of(condition, prefix, {&facts_.importance(), 1});
        case Field::attachment: return one_of(condition, prefix, facts_.attachments());
        case Field::size: {
            const auto size = facts_.size();
            return in_range(condition, prefix, size ? text::format_bytes(*size) : "",
                            size ? std::optional(size->count) : std::nullopt);
        }
        case Field::pages: {
            // The first field that has a number; what else people write there is no number of pages.
            const auto& values = facts_.header(condition.source->header);
            for (const auto& value : values) {
                if (const auto pages = text::parse_number(text::trim(value.written)))
                    return in_range(condition, prefix, value.written, *pages);
            }
            return in_range(condition, prefix, values.empty() ? "" : values.front().written, std::nullopt);
        }
        case Field::hours:
        case Field::days: return in_time(condition, prefix);
    }
    return false;
}

bool Evaluation::one_of(const CompiledCondition& condition, const char* prefix, std::span<const Value> values) {
    const Value* hit = nullptr;
    for (const auto& value : values) {
        for (const auto& pattern : condition.patterns) {
            if (!pattern.matches(value)) continue;
            if (const auto* site = pattern.site_for(value)) row_site_ = site;
            hit = &value;
            break;
        }
        if (hit != nullptr) break;
    }
    if (looks_ != nullptr) {
        const Value* shown = hit != nullptr ? hit : values.empty() ? nullptr : &values.front();
        look(condition, prefix, shown ? shown->written : "", shown ? shown->compared() : "", hit != nullptr);
    }
    return hit != nullptr;
}

bool Evaluation::in_range(const CompiledCondition& condition, const char* prefix, const std::string& seen,
                          std::optional<std::uint64_t> value) {
    const auto& source = *condition.source;
    const bool holds = value && (!source.over || *value > *source.over) && (!source.under || *value < *source.under);
    if (looks_ != nullptr) look(condition, prefix, seen, seen, holds);
    return holds;
}

bool Evaluation::in_time(const CompiledCondition& condition, const char* prefix) {
    const auto& source = *condition.source;
    const auto* now = facts_.wall_time(condition.zone);
    bool holds = false;
    if (now != nullptr && source.field == Field::hours) {
        holds = std::any_of(source.hours.begin(), source.hours.end(),
                            [&](const config::Hours& hours) { return hours.contains(now->minute); });
    } else if (now != nullptr) {
        holds =
            (source.days.weekdays >> now->weekday & 1U) != 0 ||
            std::any_of(source.days.dates.begin(), source.days.dates.end(), [&](const auto& date) {
                return (date.year == 0 || date.year == now->year) && date.month == now->month && date.day == now->day;
            });
    }
    if (looks_ != nullptr) {
        static constexpr std::array<const char*, 7> names{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
        std::string seen;
        if (now != nullptr) {
            seen = std::string(names.at(now->weekday)) + " " + std::to_string(now->year) + "-" +
                   two_digits(now->month) + "-" + two_digits(now->day) + " " + two_digits(now->minute / 60) + ":" +
                   two_digits(now->minute % 60) + (condition.zone.empty() ? "" : " " + std::string(condition.zone));
        }
        look(condition, prefix, seen, seen, holds);
    }
    return holds;
}

void Evaluation::look(const CompiledCondition& condition, const char* prefix, std::string seen, std::string compared,
                      bool matched) {
    // A header field may have a megabyte, and be looked at for each of thousands of recipients.
    constexpr std::size_t longest = 300;
    for (auto* text : {&seen, &compared}) {
        if (text->size() > longest) *text = text->substr(0, longest) + "...";
    }
    looks_->push_back(
        {rule_, condition.place(), prefix + condition.what(), std::move(seen), std::move(compared), matched});
}

}  // namespace ums::rules
