// SPDX-License-Identifier: GPL-3.0-or-later
#include "rules/rules.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>

#include "message/address.hpp"
#include "rules/pattern.hpp"
#include "text/text.hpp"

namespace ums::rules {

namespace {

using Field = config::Condition::Field;

struct CompiledCondition {
    Field field = Field::recipient;
    std::string header;
    std::string what;  // `recipient '+43*'`
    std::string place;
    std::vector<CompiledPattern> patterns;
};

struct CompiledTest {
    std::vector<CompiledCondition> conditions;
    std::vector<CompiledTest> any;
    std::vector<CompiledTest> all;
    std::vector<CompiledTest> none;
};

struct CompiledRoute {
    const config::Route* route = nullptr;
    CompiledTest when;
    std::string place;
    std::string reason;  // `rule 3 (mds.yaml:41): recipient '+43*'`
    bool site_of_row = false;
};

std::string place_of(const config::Place& place) { return place.file + ":" + std::to_string(place.line); }

std::string name_of(const config::Condition& condition) {
    switch (condition.field) {
        case Field::recipient: return "recipient";
        case Field::sender: return "sender";
        case Field::service: return "service";
        case Field::connector: return "connector";
        case Field::header: return "header " + text::escape(condition.header);
    }
    return {};
}

Role role_of(Field field) noexcept {
    switch (field) {
        case Field::recipient: return Role::address;
        case Field::sender: return Role::sender;
        case Field::header: return Role::header;
        case Field::service:
        case Field::connector: return Role::word;
    }
    return Role::word;
}

CompiledTest compile(const config::Test& test, const number::Numbering* home) {
    CompiledTest compiled;
    for (const auto& condition : test.conditions) {
        CompiledCondition c;
        c.field = condition.field;
        c.header = condition.header;
        c.place = place_of(condition.place);
        c.what = name_of(condition);
        for (const auto& pattern : condition.patterns) {
            c.patterns.emplace_back(pattern, role_of(condition.field), home);
            c.what += (c.patterns.size() == 1 ? " " : " or ") + c.patterns.back().name();
        }
        compiled.conditions.push_back(std::move(c));
    }
    for (const auto& part : test.any) compiled.any.push_back(compile(part, home));
    for (const auto& part : test.all) compiled.all.push_back(compile(part, home));
    for (const auto& part : test.none) compiled.none.push_back(compile(part, home));
    return compiled;
}

// What a test says, for the reason: `sender '@a', any (service 'sms'; header X '1'), not (service 'mwi')`.
std::string describe(const CompiledTest& test) {
    std::string out;
    const auto add = [&](const std::string& part) { out += (out.empty() ? "" : ", ") + part; };
    for (const auto& condition : test.conditions) add(condition.what);
    const auto group = [&](const char* word, const std::vector<CompiledTest>& parts) {
        if (parts.empty()) return;
        std::string inner;
        for (const auto& part : parts) inner += (inner.empty() ? "" : "; ") + describe(part);
        add(std::string(word) + " (" + inner + ")");
    };
    group("any", test.any);
    group("all", test.all);
    group("not", test.none);
    return out;
}

void check_rows(const CompiledTest& test, const config::Config& config) {
    for (const auto& condition : test.conditions) {
        for (const auto& pattern : condition.patterns) {
            if (pattern.table() == nullptr) continue;
            for (const auto& [number, row] : pattern.table()->rows()) {
                const bool known = std::any_of(config.sites.begin(), config.sites.end(),
                                               [&site = row.site](const auto& s) { return s.name == site; });
                if (known) continue;
                throw Error(Fault::configuration,
                            condition.place + ": " + pattern.name() + ", line " + std::to_string(row.line) + ": " +
                                (row.site.empty() ? "no site" : "there is no site " + text::quote(row.site)));
            }
        }
    }
    for (const auto& part : test.any) check_rows(part, config);
    for (const auto& part : test.all) check_rows(part, config);
}

// Finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): FNV alone leaves the low bits of similar texts alike.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

// What all recipients of a message share, made when a rule first asks for it.
class Facts {
  public:
    Facts(const Subject& subject, const number::Numbering* home) : subject_(subject), home_(home) {}

    const Value& sender() {
        if (!sender_) {
            auto [service, address] = message::split_service(subject_.block->sender());
            sender_ = make_value(std::move(address), service, home_);
        }
        return *sender_;
    }
    const Value& connector() {
        if (!connector_) connector_ = make_value(subject_.connector, std::nullopt, nullptr);
        return *connector_;
    }
    const std::vector<Value>& header(const std::string& name) {
        const auto [entry, added] = headers_.try_emplace(text::lower(name));
        if (added) {
            for (auto& value : subject_.block->values(name)) {
                entry->second.push_back(make_value(std::move(value), std::nullopt, home_));
            }
        }
        return entry->second;
    }
    std::uint64_t hash() {
        if (!hash_) hash_ = mix(text::hash(subject_.block->bytes()));
        return *hash_;
    }

  private:
    const Subject& subject_;
    const number::Numbering* home_;
    std::optional<Value> sender_;
    std::optional<Value> connector_;
    std::map<std::string, std::vector<Value>> headers_;
    std::optional<std::uint64_t> hash_;
};

// One recipient against the rules.
class Evaluation {
  public:
    Evaluation(Facts& facts, const message::Recipient& recipient, const number::Numbering* home,
               std::vector<Look>* looks)
        : facts_(facts),
          recipient_(make_value(recipient.address, recipient.service, home)),
          service_(make_value(std::string(to_string(recipient.service.value_or(message::Service::fax))), std::nullopt,
                              nullptr)),
          looks_(looks) {}

    const Value& recipient() const noexcept { return recipient_; }

    void start(std::size_t rule) noexcept {
        rule_ = rule;
        row_site_ = nullptr;
    }
    // The site of the `prefixes` row that made the rule match.
    const std::string* row_site() const noexcept { return row_site_; }

    bool holds(const CompiledTest& test, const char* prefix = "") {
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

  private:
    bool holds(const CompiledCondition& condition, const char* prefix) {
        switch (condition.field) {
            case Field::recipient: return one_of(condition, prefix, {&recipient_, 1});
            case Field::sender: return one_of(condition, prefix, {&facts_.sender(), 1});
            case Field::service: return one_of(condition, prefix, {&service_, 1});
            case Field::connector: return one_of(condition, prefix, {&facts_.connector(), 1});
            case Field::header: return one_of(condition, prefix, facts_.header(condition.header));
        }
        return false;
    }

    bool one_of(const CompiledCondition& condition, const char* prefix, std::span<const Value> values) {
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
            looks_->push_back({rule_, condition.place, prefix + condition.what, shown ? shown->written : "",
                               shown ? shown->compared() : "", hit != nullptr});
        }
        return hit != nullptr;
    }

    Facts& facts_;
    Value recipient_;
    Value service_;
    std::vector<Look>* looks_;
    std::size_t rule_ = 0;
    const std::string* row_site_ = nullptr;
};

}  // namespace

struct Table::Compiled {
    const config::Config& config;
    const number::Numbering* home;
    std::vector<CompiledRoute> routes;

    Decision decide(Facts& facts, const message::Recipient& recipient, std::vector<Look>* looks,
                    std::size_t from) const {
        Evaluation evaluation(facts, recipient, home, looks);
        for (std::size_t i = from; i < routes.size(); ++i) {
            const auto& compiled = routes[i];
            evaluation.start(i);
            const bool holds = evaluation.holds(compiled.when);
            if (looks != nullptr && compiled.route->when.is_catch_all()) {
                looks->push_back(
                    {i, compiled.place, "everything", recipient.spelling, evaluation.recipient().compared(), true});
            }
            if (!holds) continue;
            const auto& to = compiled.route->to;
            if (compiled.route->noroute || to.empty()) return {std::nullopt, i, compiled.reason + ", to noroute"};
            if (compiled.site_of_row) {
                // `any:` may have been satisfied by something other than the table.
                if (evaluation.row_site() == nullptr) continue;
                return {*evaluation.row_site(), i, compiled.reason};
            }
            if (to.size() == 1) return {to.front(), i, compiled.reason};
            const auto chosen = mix(facts.hash() ^ text::hash(recipient.spelling)) % to.size();
            return {to[chosen], i, compiled.reason + ", one of " + std::to_string(to.size()) + " sites"};
        }
        return {std::nullopt, routes.size(), "no rule matches " + text::quote(recipient.spelling)};
    }
};

Table::Table(const config::Config& config) {
    const number::Numbering* home = config.mds.numbering ? &*config.mds.numbering : nullptr;
    compiled_ = std::make_unique<Compiled>(Compiled{config, home, {}});
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const auto& route = config.routes[i];
        CompiledRoute compiled;
        compiled.route = &route;
        compiled.when = compile(route.when, home);
        compiled.place = place_of(route.place);
        compiled.site_of_row = route.to.size() == 1 && route.to.front() == "*";
        if (compiled.site_of_row) check_rows(compiled.when, config);
        const std::string name = route.name.empty() ? "" : " " + text::quote(route.name);
        compiled.reason = "rule " + std::to_string(i + 1) + name + " (" + compiled.place +
                          "): " + (route.when.is_catch_all() ? "everything" : describe(compiled.when));
        compiled_->routes.push_back(std::move(compiled));
    }
}

Table::~Table() = default;
Table::Table(Table&&) noexcept = default;

Decision Table::decide(const Subject& subject, const message::Recipient& recipient, std::vector<Look>* looks,
                       std::size_t from) const {
    Facts facts(subject, compiled_->home);
    return compiled_->decide(facts, recipient, looks, from);
}

std::vector<Table::Group> Table::split(const Subject& subject,
                                       const std::vector<message::Recipient>& recipients) const {
    Facts facts(subject, compiled_->home);
    std::vector<Group> groups;
    std::map<std::optional<std::string>, std::size_t> index;
    for (std::size_t i = 0; i < recipients.size(); ++i) {
        auto decision = compiled_->decide(facts, recipients[i], nullptr, 0);
        const auto [entry, added] = index.try_emplace(decision.site, groups.size());
        if (added) groups.push_back({std::move(decision.site), {}, decision.rule, std::move(decision.reason)});
        groups[entry->second].recipients.push_back(i);
    }
    return groups;
}

std::vector<Table::Group> Table::split(const Subject& subject) const {
    return split(subject, subject.block->recipients());
}

}  // namespace ums::rules
