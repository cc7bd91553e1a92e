// SPDX-License-Identifier: GPL-3.0-or-later
#include "rules/rules.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "rules/conditions.hpp"
#include "rules/index.hpp"
#include "text/text.hpp"

namespace ums::rules {

namespace {

using Field = config::Condition::Field;
using Action = config::Route::Action;

// By hand one message is routed and the program ends: compiling the index would take longer than the walk that it saves.
constexpr unsigned decisions_before_index = 8;
// Thousands of recipients without a route are not all named.
constexpr std::size_t longest_reason = 500;

struct CompiledRoute {
    const config::Route* route = nullptr;
    CompiledTest when;
    bool site_of_row = false;
    std::string reason;  // made when the rule first decides
};

std::string place_of(const config::Place& place) { return place.file + ":" + std::to_string(place.line); }

// The candidates for a recipient: the rules of which one condition that must hold may hold. Rules that have no such
// condition are always candidates.
class Index {
  public:
    explicit Index(const std::vector<CompiledRoute>& routes) {
        for (std::uint32_t i = 0; i < routes.size(); ++i) {
            if (!enter(routes[i].when, i)) always_.push_back(i);
        }
        for (auto* index : {&recipients_, &senders_, &connectors_}) index->finish();
        for (auto& [name, index] : headers_) index.finish();
    }

    /// In the order of the rules.
    const std::vector<std::uint32_t>& candidates(Evaluation& evaluation) {
        found_ = always_;
        recipients_.collect(evaluation.recipient(), found_);
        auto& facts = evaluation.facts();
        senders_.collect(facts.sender(), found_);
        connectors_.collect(facts.connector(), found_);
        for (const auto& [name, index] : headers_) {
            for (const auto& value : facts.header(name)) index.collect(value, found_);
        }
        std::sort(found_.begin(), found_.end());
        found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
        return found_;
    }

  private:
    PatternIndex* index_of(const config::Condition& condition) {
        switch (condition.field) {
            case Field::recipient: return &recipients_;
            case Field::sender: return &senders_;
            case Field::connector: return &connectors_;
            case Field::header: return &headers_[condition.header];
            default: return nullptr;
        }
    }

    // False if nothing in the test tells when it can hold.
    bool enter(const CompiledTest& test, std::uint32_t rule) {
        for (const auto& condition : test.conditions) {
            auto* index = index_of(*condition.source);
            if (index == nullptr) continue;
            for (const auto& pattern : condition.patterns) pattern.enter(*index, rule);
            return true;
        }
        for (const auto& part : test.all) {
            if (enter(part, rule)) return true;
        }
        // Of `any` all must tell; what some of them entered does no harm.
        if (test.any.empty()) return false;
        return std::all_of(test.any.begin(), test.any.end(),
                           [&](const CompiledTest& part) { return enter(part, rule); });
    }

    std::vector<std::uint32_t> always_;
    PatternIndex recipients_;
    PatternIndex senders_;
    PatternIndex connectors_;
    std::map<std::string, PatternIndex> headers_;
    std::vector<std::uint32_t> found_;
};

}  // namespace

std::string Decision::word() const {
    switch (action) {
        case Action::route: return site.value_or("noroute");
        case Action::noroute: return "noroute";
        case Action::hold: return "hold";
        case Action::reject: return "reject";
    }
    return {};
}

struct Table::Compiled {
    const config::Config& config;
    const number::Numbering* home;
    message::MailRules mail;
    std::vector<CompiledRoute> routes;
    unsigned decisions = 0;
    std::unique_ptr<Index> index;
    bool needs_body = false;

    Decision decide(Facts& facts, const message::Recipient& recipient, std::vector<Look>* looks, std::size_t from) {
        Evaluation evaluation(facts, recipient, home, looks);
        // To explain is to look at every rule.
        if (looks == nullptr && ++decisions > decisions_before_index) {
            if (!index) index = std::make_unique<Index>(routes);
            for (const auto i : index->candidates(evaluation)) {
                if (i < from) continue;
                if (auto decision = try_rule(i, evaluation, recipient, nullptr)) return std::move(*decision);
            }
        } else {
            for (std::size_t i = from; i < routes.size(); ++i) {
                if (auto decision = try_rule(i, evaluation, recipient, looks)) return std::move(*decision);
            }
        }
        return {Action::noroute, std::nullopt, routes.size(), "no rule matches " + text::quote(recipient.spelling), ""};
    }

    std::optional<Decision> try_rule(std::size_t i, Evaluation& evaluation, const message::Recipient& recipient,
                                     std::vector<Look>* looks) {
        auto& compiled = routes[i];
        const auto& route = *compiled.route;
        evaluation.start(i);
        if (!evaluation.holds(compiled.when)) return std::nullopt;
        if (looks != nullptr && route.when.is_catch_all()) {
            looks->push_back(
                {i, place_of(route.place), "everything", recipient.spelling, evaluation.recipient().compared(), true});
        }
        if (route.action == Action::hold && evaluation.facts().released()) {
            if (looks != nullptr) {
                looks->push_back({i, place_of(route.place), "hold, but it was released", recipient.spelling,
                                  evaluation.recipient().compared(), false});
            }
            return std::nullopt;
        }
        // `any:` may have been satisfied by something other than the table.
        if (compiled.site_of_row && evaluation.row_site() == nullptr) return std::nullopt;

        if (compiled.reason.empty()) compiled.reason = reason_of(i);
        Decision decision{route.action, std::nullopt, i, compiled.reason, route.text};
        if (route.action == Action::route && route.to.empty()) decision.action = Action::noroute;
        if (decision.action == Action::noroute) decision.reason += ", to noroute";
        if (decision.action != Action::route) return decision;
        if (compiled.site_of_row) {
            decision.site = *evaluation.row_site();
        } else if (route.to.size() == 1) {
            decision.site = route.to.front();
        } else {
            decision.site = route.to[mix(evaluation.facts().hash() ^ text::hash(recipient.spelling)) % route.to.size()];
            decision.reason += ", one of " + std::to_string(route.to.size()) + " sites";
        }
        return decision;
    }

    std::string describe(std::size_t i) const {
        return routes[i].route->when.is_catch_all() ? "everything" : routes[i].when.describe();
    }

    std::string reason_of(std::size_t i) const {
        const auto& route = *routes[i].route;
        return "rule " + std::to_string(i + 1) + (route.name.empty() ? "" : " " + text::quote(route.name)) + " (" +
               place_of(route.place) + "): " + describe(i);
    }
};

Table::Table(const config::Config& config) {
    const number::Numbering* home = config.mds.numbering ? &*config.mds.numbering : nullptr;
    compiled_ = std::make_unique<Compiled>(Compiled{config, home, {}, {}, 0, nullptr, false});
    compiled_->mail.fields = config.mds.mail.fields;
    for (const auto& [domain, service] : config.mds.mail.domains) {
        if (const auto known = message::parse_service(service)) compiled_->mail.domains.emplace_back(domain, *known);
    }
    compiled_->routes.reserve(config.routes.size());
    for (const auto& route : config.routes) {
        CompiledRoute compiled;
        compiled.route = &route;
        const auto* site = route.to.empty() ? nullptr : config.site(route.to.front());
        compiled.when = compile(route.when, home,
                                site != nullptr && !site->time_zone.empty() ? site->time_zone : config.mds.time_zone);
        compiled.site_of_row = route.to.size() == 1 && route.to.front() == "*";
        if (compiled.site_of_row) check_sites_of_rows(compiled.when, config);
        compiled_->needs_body = compiled_->needs_body || compiled.when.needs_body();
        compiled_->routes.push_back(std::move(compiled));
    }
}

Table::~Table() = default;
Table::Table(Table&&) noexcept = default;

bool Table::needs_body() const noexcept { return compiled_->needs_body; }

std::string Table::describe(std::size_t rule) const { return compiled_->describe(rule); }

const message::MailRules& Table::mail() const noexcept { return compiled_->mail; }

Decision Table::decide(const Subject& subject, const message::Recipient& recipient, std::vector<Look>* looks,
                       std::size_t from) const {
    Facts facts(subject, compiled_->home);
    return compiled_->decide(facts, recipient, looks, from);
}

std::vector<Table::Group> Table::split(const Subject& subject,
                                       const std::vector<message::Recipient>& recipients) const {
    Facts facts(subject, compiled_->home);
    std::vector<Group> groups;
    // A site is one group whatever rules lead there; what is held or rejected is told apart by the rule.
    std::map<std::tuple<Action, std::optional<std::string>, std::size_t>, std::size_t> index;
    for (std::size_t i = 0; i < recipients.size(); ++i) {
        auto decision = compiled_->decide(facts, recipients[i], nullptr, 0);
        const bool by_rule = decision.action == Action::hold || decision.action == Action::reject;
        const auto [entry, added] =
            index.try_emplace({decision.action, decision.site, by_rule ? decision.rule : 0}, groups.size());
        if (added) {
            groups.push_back({std::move(decision), {}});
        } else if (auto& why = groups[entry->second].reason; decision.action == Action::noroute &&
                                                             why.size() < longest_reason &&
                                                             why.find(decision.reason) == std::string::npos) {
            // Each is to be mended before the message can go.
            why += "; " + decision.reason;
        }
        groups[entry->second].recipients.push_back(i);
    }
    return groups;
}

std::vector<Table::Group> Table::split(const Subject& subject) const {
    return split(subject, subject.envelope != nullptr ? subject.envelope->recipients : subject.block->recipients());
}

}  // namespace ums::rules
