// SPDX-License-Identifier: GPL-3.0-or-later
//
// The schema for editors and the manual know the keys that the reader knows, and the examples are good.
#include <regex.h>
#include <yaml.h>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "config/config.hpp"
#include "text/text.hpp"

namespace {

using namespace ums;
using Json = nlohmann::ordered_json;

const std::string source = std::string(UMS_TEST_DATA) + "/../..";

std::string content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    REQUIRE(in);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

bool matches(const std::string& pattern, const std::string& text) {
    regex_t compiled;
    REQUIRE(::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB) == 0);
    const bool found = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
    ::regfree(&compiled);
    return found;
}

class Schema {
  public:
    Schema() : root_(Json::parse(content(source + "/packaging/mds.schema.json"))) {}

    const Json& root() const { return root_; }
    const Json& target(const Json& schema) const {
        if (!schema.contains("$ref")) return schema;
        const std::string name = schema.at("$ref").get<std::string>();
        REQUIRE(name.starts_with("#/$defs/"));
        used_.insert(name.substr(8));
        return root_.at("$defs").at(name.substr(8));
    }
    const std::set<std::string>& used() const { return used_; }

    // Dotted paths of all properties, as known_keys() spells them.
    void collect(const Json& schema, const std::string& path, std::set<std::string>& out) const {
        const Json& s = target(schema);
        if (s.contains("properties")) {
            CHECK(s.at("additionalProperties") == false);
            for (const auto& [key, value] : s.at("properties").items()) {
                const std::string below = path.empty() ? key : path + "." + key;
                out.insert(below);
                if (key != "any" && key != "all" && key != "not") collect(value, below, out);
            }
        } else if (s.contains("additionalProperties")) {
            collect(s.at("additionalProperties"), path + ".*", out);
        }
        if (s.contains("items")) collect(s.at("items"), path == "routes" ? "routes.*" : path, out);
        if (s.contains("anyOf")) {
            for (const auto& one : s.at("anyOf")) collect(one, path, out);
        }
    }

    // The keywords that the schema uses, of draft 2020-12. An unknown one fails the test: it would check nothing.
    std::string problem(const Json& schema, const Json& value, const std::string& at) const {
        static const std::set<std::string> ignored{"$ref", "description", "default", "$schema",
                                                   "$id",  "title",       "$defs"};
        if (schema.contains("$ref")) {
            if (auto found = problem(target(schema), value, at); !found.empty()) return found;
        }
        for (const auto& [keyword, argument] : schema.items()) {
            if (ignored.contains(keyword)) continue;
            if (auto found = problem_of(keyword, argument, schema, value, at); !found.empty()) return found;
        }
        return {};
    }

  private:
    static bool is_type(const std::string& type, const Json& value) {
        if (type == "string") return value.is_string();
        if (type == "integer") return value.is_number_integer();
        if (type == "number") return value.is_number();
        if (type == "boolean") return value.is_boolean();
        if (type == "array") return value.is_array();
        if (type == "object") return value.is_object();
        FAIL("type " << type);
        return false;
    }

    std::string problem_of(const std::string& keyword, const Json& argument, const Json& schema, const Json& value,
                           const std::string& at) const {
        const auto unless = [&](bool right) { return right ? "" : at + ": " + keyword + " of " + value.dump(); };
        if (keyword == "type") {
            if (argument.is_string()) return unless(is_type(argument.get<std::string>(), value));
            return unless(std::any_of(argument.begin(), argument.end(),
                                      [&](const Json& one) { return is_type(one.get<std::string>(), value); }));
        }
        if (keyword == "enum") return unless(std::find(argument.begin(), argument.end(), value) != argument.end());
        if (keyword == "const") return unless(argument == value);
        if (keyword == "pattern") {
            return unless(!value.is_string() || matches(argument.get<std::string>(), value.get<std::string>()));
        }
        if (keyword == "minLength") {
            return unless(!value.is_string() || value.get<std::string>().size() >= argument.get<std::size_t>());
        }
        if (keyword == "minimum") return unless(!value.is_number() || value.get<double>() >= argument.get<double>());
        if (keyword == "maximum") return unless(!value.is_number() || value.get<double>() <= argument.get<double>());
        if (keyword == "exclusiveMinimum")
            return unless(!value.is_number() || value.get<double>() > argument.get<double>());
        if (keyword == "minItems") return unless(!value.is_array() || value.size() >= argument.get<std::size_t>());
        if (keyword == "minProperties")
            return unless(!value.is_object() || value.size() >= argument.get<std::size_t>());
        if (keyword == "uniqueItems") {
            return unless(!value.is_array() || std::set<Json>(value.begin(), value.end()).size() == value.size());
        }
        if (keyword == "required") {
            return unless(!value.is_object() || std::all_of(argument.begin(), argument.end(), [&](const Json& key) {
                return value.contains(key.get<std::string>());
            }));
        }
        if (keyword == "dependentRequired") {
            for (const auto& [key, needed] : argument.items()) {
                if (!value.contains(key)) continue;
                for (const auto& other : needed) {
                    if (!value.contains(other.get<std::string>())) return unless(false);
                }
            }
            return {};
        }
        if (keyword == "propertyNames") {
            for (const auto& [key, ignored] : value.items()) {
                if (auto found = problem(argument, key, at + "/" + key); !found.empty()) return found;
            }
            return {};
        }
        if (keyword == "properties") {
            if (!value.is_object()) return {};
            for (const auto& [key, one] : argument.items()) {
                if (!value.contains(key)) continue;
                if (auto found = problem(one, value.at(key), at + "/" + key); !found.empty()) return found;
            }
            return {};
        }
        if (keyword == "additionalProperties") {
            if (!value.is_object()) return {};
            for (const auto& [key, one] : value.items()) {
                if (schema.contains("properties") && schema.at("properties").contains(key)) continue;
                if (argument == false) return at + ": unknown " + key;
                if (auto found = problem(argument, one, at + "/" + key); !found.empty()) return found;
            }
            return {};
        }
        if (keyword == "items") {
            if (!value.is_array()) return {};
            for (std::size_t i = 0; i < value.size(); ++i) {
                if (auto found = problem(argument, value[i], at + "/" + std::to_string(i)); !found.empty())
                    return found;
            }
            return {};
        }
        if (keyword == "anyOf") {
            std::string all;
            for (const auto& one : argument) {
                const auto found = problem(one, value, at);
                if (found.empty()) return {};
                all += (all.empty() ? "" : " and ") + found;
            }
            return all;
        }
        FAIL("keyword " << keyword);
        return {};
    }

    Json root_;
    mutable std::set<std::string> used_;
};

// A file as an editor reads it: plain scalars by the core schema of YAML 1.2.
class Document {
  public:
    explicit Document(const std::string& file) : text_(content(file)) {
        yaml_parser_t parser;
        REQUIRE(yaml_parser_initialize(&parser) == 1);
        yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text_.data()), text_.size());
        const bool loaded = yaml_parser_load(&parser, &document_) == 1;
        yaml_parser_delete(&parser);
        REQUIRE(loaded);
    }
    ~Document() { yaml_document_delete(&document_); }
    Document(const Document&) = delete;
    Document& operator=(const Document&) = delete;

    Json json() { return json_of(*yaml_document_get_root_node(&document_)); }

  private:
    Json json_of(int node) { return json_of(*yaml_document_get_node(&document_, node)); }

    Json json_of(const yaml_node_t& node) {
        if (node.type == YAML_SEQUENCE_NODE) {
            Json out = Json::array();
            const auto& items = node.data.sequence.items;
            for (const auto* item = items.start; item != items.top; ++item) out.push_back(json_of(*item));
            return out;
        }
        if (node.type == YAML_MAPPING_NODE) {
            Json out = Json::object();
            const auto& pairs = node.data.mapping.pairs;
            for (const auto* pair = pairs.start; pair != pairs.top; ++pair) {
                out[text_of(*yaml_document_get_node(&document_, pair->key))] = json_of(pair->value);
            }
            return out;
        }
        return node.data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain(text_of(node)) : Json(text_of(node));
    }

    static std::string text_of(const yaml_node_t& node) {
        REQUIRE(node.type == YAML_SCALAR_NODE);
        return {reinterpret_cast<const char*>(node.data.scalar.value), node.data.scalar.length};
    }

    static Json plain(const std::string& text) {
        if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
        if (text == "true" || text == "True" || text == "TRUE") return true;
        if (text == "false" || text == "False" || text == "FALSE") return false;
        if (matches("^[-+]?[0-9]+$", text) && text.size() < 18) return std::stoll(text);
        if (matches("^[-+]?(\\.[0-9]+|[0-9]+(\\.[0-9]*)?)([eE][-+]?[0-9]+)?$", text)) return std::stod(text);
        return text;
    }

    std::string text_;
    yaml_document_t document_{};
};

Json json_of(const std::string& file) { return Document(file).json(); }

std::vector<std::string> examples() {
    std::vector<std::string> out{std::string(UMS_TEST_DATA) + "/config/design.yaml",
                                 std::string(UMS_TEST_DATA) + "/config/sites-fine.yaml"};
    for (const auto& entry : std::filesystem::directory_iterator(source + "/examples")) {
        if (entry.path().extension() == ".yaml") out.push_back(entry.path());
    }
    return out;
}

TEST_CASE("the schema has the keys that the reader knows, and no others") {
    const Schema schema;
    std::set<std::string> found;
    schema.collect(schema.root(), "", found);
    const auto keys = config::known_keys();
    const std::set<std::string> known(keys.begin(), keys.end());
    CHECK(known.size() == keys.size());
    for (const auto& key : known) {
        INFO(key);
        CHECK(found.contains(key));
    }
    for (const auto& key : found) {
        INFO(key);
        CHECK(known.contains(key));
    }

    // Nested conditions are those of a rule.
    std::set<std::string> of_rule;
    std::set<std::string> of_test;
    for (const auto& [key, value] : schema.root().at("$defs").at("route").at("properties").items()) of_rule.insert(key);
    for (const auto& [key, value] : schema.root().at("$defs").at("test").at("properties").items()) of_test.insert(key);
    for (const auto* key : {"name", "note", "to", "hold", "reject"}) CHECK(of_rule.erase(key) == 1);
    CHECK(of_rule == of_test);
}

TEST_CASE("the examples are valid by the schema, and wrong files are not") {
    const Schema schema;
    for (const auto& file : examples()) {
        INFO(file);
        CHECK(schema.problem(schema.root(), json_of(file), "").empty());
        CHECK(schema.problem(schema.root(), json_of(file), "") == "");
    }
    for (const auto* name :
         {"unknown-keys", "missing-sections", "wrong-values", "not-a-map", "empty-sections", "sites-wrong"}) {
        INFO(name);
        const auto file = std::string(UMS_TEST_DATA) + "/config/" + name + ".yaml";
        CHECK(!schema.problem(schema.root(), json_of(file), "").empty());
    }
    // Every definition is in use.
    for (const auto& [name, value] : schema.root().at("$defs").items()) {
        std::set<std::string> found;
        schema.collect(schema.root(), "", found);
        INFO(name);
        CHECK((schema.used().contains(name) || name == "test" || name == "name" || name == "flag"));
    }
}

TEST_CASE("the examples are read without a word") {
    for (const auto& file : examples()) {
        if (file.ends_with("design.yaml")) continue;
        INFO(file);
        const auto loaded = config::load(file);
        CHECK(loaded.config.has_value());
        for (const auto& diagnostic : loaded.diagnostics) CHECK(config::to_string(diagnostic) == "");
    }
}

TEST_CASE("the manual explains each key") {
    const std::string manual = content(source + "/man/mds.yaml.5");
    std::set<std::string> described;
    for (const auto line : text::split(manual, '\n')) {
        if (!line.starts_with(".It Ic ") && !line.starts_with(".Ss ") && !line.starts_with(".Sh ")) continue;
        for (const auto word : text::split(line, ' ')) described.insert(std::string(word.substr(0, word.find(':'))));
    }
    for (const auto& key : config::known_keys()) {
        const std::string last = key.substr(key.rfind('.') + 1);
        INFO(key);
        CHECK(described.contains(last));
    }
}

}  // namespace
