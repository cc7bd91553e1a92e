// SPDX-License-Identifier: GPL-3.0-or-later
//
// Configurations made in a test without YAML.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"

namespace ums::test {

inline config::Pattern pattern(std::string text) { return {config::Pattern::Kind::text, std::move(text), {}}; }
inline config::Pattern regex(std::string pattern) { return {config::Pattern::Kind::regex, std::move(pattern), {}}; }
inline config::Pattern prefixes(std::string path) { return {config::Pattern::Kind::prefixes, std::move(path), {}}; }
inline config::Pattern in(std::string path) { return {config::Pattern::Kind::in, std::move(path), {}}; }

inline config::Test when(config::Condition::Field field, std::vector<config::Pattern> patterns,
                         std::string header = "") {
    config::Test test;
    config::Condition condition;
    condition.field = field;
    condition.header = std::move(header);
    condition.patterns = std::move(patterns);
    condition.place = {"mds.yaml", 40, 5};
    test.conditions.push_back(std::move(condition));
    return test;
}
inline config::Test recipient(config::Pattern pattern) {
    return when(config::Condition::Field::recipient, {std::move(pattern)});
}
inline config::Test recipient(const std::string& pattern) { return recipient(test::pattern(pattern)); }
inline config::Test sender(config::Pattern pattern) {
    return when(config::Condition::Field::sender, {std::move(pattern)});
}
inline config::Test sender(const std::string& pattern) { return sender(test::pattern(pattern)); }
inline config::Test service(const std::string& name) {
    return when(config::Condition::Field::service, {pattern(name)});
}
inline config::Test connector(const std::string& name) {
    return when(config::Condition::Field::connector, {pattern(name)});
}
inline config::Test header(std::string name, config::Pattern pattern) {
    return when(config::Condition::Field::header, {std::move(pattern)}, std::move(name));
}
inline config::Test header(std::string name, const std::string& pattern) {
    return header(std::move(name), test::pattern(pattern));
}
inline config::Test any(std::vector<config::Test> parts) {
    config::Test test;
    test.any = std::move(parts);
    return test;
}
inline config::Test all(std::vector<config::Test> parts) {
    config::Test test;
    test.all = std::move(parts);
    return test;
}
inline config::Test none(std::vector<config::Test> parts) {
    config::Test test;
    test.none = std::move(parts);
    return test;
}
inline config::Test everything() { return {}; }

/// `ConfigBuilder().sites({"munich", "vienna"}).route(recipient("+43*"), {"vienna"}).config`. Rules stand in lines 41
/// on.
struct ConfigBuilder {
    config::Config config;

    ConfigBuilder() {
        config.file = "mds.yaml";
        config.mds.id = "T1";
    }
    ConfigBuilder& home(std::string country, std::string area, unsigned internal_length = 0) {
        number::Numbering numbering;
        numbering.country = std::move(country);
        numbering.area = std::move(area);
        numbering.internal_length = internal_length;
        config.mds.numbering = numbering;
        return *this;
    }
    ConfigBuilder& sites(std::initializer_list<std::string> names) {
        for (const auto& name : names) {
            config::Site site;
            site.name = name;
            config.sites.push_back(site);
        }
        return *this;
    }
    ConfigBuilder& site(config::Site site) {
        config.sites.push_back(std::move(site));
        return *this;
    }
    ConfigBuilder& connector(std::string name, std::vector<std::string> numbers) {
        config::Connector connector;
        connector.name = std::move(name);
        connector.numbers = std::move(numbers);
        config.connectors.push_back(std::move(connector));
        return *this;
    }
    ConfigBuilder& route(config::Test when, std::vector<std::string> to) {
        config::Route route;
        route.place = {"mds.yaml", 41 + static_cast<int>(config.routes.size()), 5};
        route.when = std::move(when);
        if (to.empty()) route.action = config::Route::Action::noroute;
        route.to = std::move(to);
        config.routes.push_back(std::move(route));
        return *this;
    }
    ConfigBuilder& act(config::Test when, config::Route::Action action, std::string text) {
        route(std::move(when), {});
        config.routes.back().action = action;
        config.routes.back().text = std::move(text);
        return *this;
    }
};

}  // namespace ums::test
