// SPDX-License-Identifier: GPL-3.0-or-later
#include "graph.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "error/error.hpp"
#include "io/disk.hpp"
#include "rules/rules.hpp"
#include "text/text.hpp"

namespace ums::route {

namespace {

using Action = config::Route::Action;

struct Node {
    std::string id;
    std::string label;
    enum class Shape { rule, site, kernel, end } shape = Shape::rule;
};

struct Edge {
    std::string from;
    std::string to;
    std::string label;
    bool dashed = false;
};

struct Graph {
    std::vector<Node> nodes;
    std::vector<Edge> edges;
};

// What a rule says, without its place: the picture has the order.
std::string conditions_of(const config::Config& config, const rules::Table& table, std::size_t rule) {
    const auto& route = config.routes[rule];
    std::string out = std::to_string(rule + 1) + (route.name.empty() ? "" : " " + route.name) + "\n";
    return out + table.describe(rule);
}

Graph graph_of(const config::Config& config) {
    const rules::Table table(config);
    Graph graph;
    std::map<std::string, std::string> sites;
    const auto site_node = [&](const std::string& name) {
        const auto [found, added] = sites.try_emplace(name, "s" + std::to_string(sites.size()));
        return found->second;
    };
    std::set<std::string> ends;
    const auto end_node = [&](const std::string& word) {
        if (ends.insert(word).second) graph.nodes.push_back({word, word, Node::Shape::end});
        return word;
    };
    graph.nodes.push_back({"message", "outgoing message", Node::Shape::end});
    for (const auto& site : config.sites) {
        graph.nodes.push_back({site_node(site.name), site.name, Node::Shape::site});
    }
    std::string previous = "message";
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const auto& route = config.routes[i];
        const std::string id = "r" + std::to_string(i + 1);
        graph.nodes.push_back({id, conditions_of(config, table, i), Node::Shape::rule});
        graph.edges.push_back({previous, id, i == 0 ? "" : "else"});
        previous = id;
        switch (route.action) {
            case Action::route: {
                // `to: '*'`: a row of its table can lead to any site.
                const bool any = route.to.size() == 1 && route.to.front() == "*";
                if (any) {
                    for (const auto& site : config.sites) graph.edges.push_back({id, site_node(site.name), "row"});
                }
                for (const auto& site : route.to) {
                    if (!any) graph.edges.push_back({id, site_node(site), route.to.size() > 1 ? "share" : ""});
                }
                break;
            }
            case Action::noroute: graph.edges.push_back({id, end_node("noroute"), ""}); break;
            case Action::hold: graph.edges.push_back({id, end_node("hold"), route.text}); break;
            case Action::reject: graph.edges.push_back({id, end_node("reject"), route.text}); break;
        }
    }
    if (config.routes.empty() || !config.routes.back().when.is_catch_all()) {
        graph.edges.push_back({previous, end_node("noroute"), "else"});
    }
    std::map<std::string, std::string> kernels;
    for (const auto& kernel : config.kernels) {
        const auto id = kernels.try_emplace(kernel.name, "k" + std::to_string(kernels.size())).first->second;
        graph.nodes.push_back({id, kernel.name, Node::Shape::kernel});
    }
    for (const auto& site : config.sites) {
        for (std::size_t i = 0; i < site.kernels.size(); ++i) {
            graph.edges.push_back({site_node(site.name), kernels[site.kernels[i]], std::to_string(i + 1)});
        }
        for (const auto& fallback : site.fallback) {
            graph.edges.push_back({site_node(site.name), site_node(fallback), "fallback", true});
        }
    }
    return graph;
}

// In DOT's double quotes; line ends stay line ends of the label.
std::string dot_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\n') {
            out += "\\n";
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string as_dot(const Graph& graph) {
    std::string out =
        "digraph ums {\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=11];\n"
        "  edge [fontname=\"sans-serif\", fontsize=9];\n";
    for (const auto& node : graph.nodes) {
        const char* shape = "box";
        switch (node.shape) {
            case Node::Shape::rule: shape = "box"; break;
            case Node::Shape::site: shape = "ellipse"; break;
            case Node::Shape::kernel: shape = "box3d"; break;
            case Node::Shape::end: shape = "plaintext"; break;
        }
        out += "  " + node.id + " [label=" + dot_text(node.label) + ", shape=" + shape + "];\n";
    }
    for (const auto& edge : graph.edges) {
        out += "  " + edge.from + " -> " + edge.to;
        std::string attributes;
        if (!edge.label.empty()) attributes += "label=" + dot_text(edge.label);
        if (edge.dashed) attributes += std::string(attributes.empty() ? "" : ", ") + "style=dashed";
        out += (attributes.empty() ? "" : " [" + attributes + "]") + std::string(";\n");
    }
    return out + "}\n";
}

// Mermaid has no escapes in quotes but HTML entities.
std::string mermaid_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '"': out += "#quot;"; break;
            case '#': out += "#35;"; break;
            case '<': out += "#lt;"; break;
            case '>': out += "#gt;"; break;
            case '\n': out += "<br/>"; break;
            default: out += c;
        }
    }
    return out;
}

std::string as_mermaid(const Graph& graph) {
    std::string out = "flowchart LR\n";
    for (const auto& node : graph.nodes) {
        const std::string label = "\"" + mermaid_text(node.label) + "\"";
        out += "  " + node.id;
        switch (node.shape) {
            case Node::Shape::rule: out += "[" + label + "]"; break;
            case Node::Shape::site: out += "([" + label + "])"; break;
            case Node::Shape::kernel: out += "[(" + label + ")]"; break;
            case Node::Shape::end: out += ">" + label + "]"; break;
        }
        out += '\n';
    }
    for (const auto& edge : graph.edges) {
        out += "  " + edge.from + (edge.dashed ? " -.->" : " -->");
        if (!edge.label.empty()) out += "|\"" + mermaid_text(edge.label) + "\"|";
        out += " " + edge.to + "\n";
    }
    return out;
}

// What `dot -Tsvg` makes of it. The text goes in through a temporary file: a pipe could block both sides.
std::string as_svg(const std::string& dot) {
    const auto input = io::temporary_file();
    io::PosixDisk().write(input, dot, "a temporary file");
    ::lseek(input.get(), 0, SEEK_SET);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error(Fault::later, "make a pipe", errno);
    io::Fd read_end(ends[0]);
    io::Fd write_end(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
    std::string program = "dot";
    std::string format = "-Tsvg";
    std::array<char*, 3> arguments{program.data(), format.data(), nullptr};
    pid_t pid = -1;
    const int failed = posix_spawnp(&pid, "dot", &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    const auto missing = [] {
        return Error(Fault::usage,
                     "svg needs Graphviz, which is not installed (Debian package graphviz); dot and mermaid do not");
    };
    if (failed == ENOENT) throw missing();
    if (failed != 0) throw system_error(Fault::internal, "run dot", failed);
    write_end.reset();
    std::string out;
    std::array<char, 65'536> buffer{};
    for (;;) {
        const auto got = ::read(read_end.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        out.append(buffer.data(), static_cast<std::size_t>(got));
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    // Where the C library cannot tell at once (no vfork), it is the child that does.
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) throw missing();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw Error(Fault::internal, "dot could not draw the table");
    return out;
}

}  // namespace

std::string draw(const config::Config& config, GraphFormat format) {
    const auto graph = graph_of(config);
    switch (format) {
        case GraphFormat::dot: return as_dot(graph);
        case GraphFormat::mermaid: return as_mermaid(graph);
        case GraphFormat::svg: return as_svg(as_dot(graph));
    }
    return {};
}

}  // namespace ums::route
