// SPDX-License-Identifier: GPL-3.0-or-later
//
// What route.py compares with, and how it starts and measures every program.
//
//     floor route RULES SOURCE DESTINATION    the floor of routing: read, split, decide, rename, and nothing else
//     floor spawn COUNT INPUT PROGRAM...      start a program COUNT times, one after the other; JSON about each
//
// A line of RULES: folder, kind, field, pattern, with TABs between them; the first that holds decides, else `rest`.
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <regex.h>
#include <spawn.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

extern char** environ;

namespace {

using std::string_view;

[[noreturn]] void give_up(const std::string& what) {
    std::perror(what.c_str());
    std::exit(1);
}

struct Rule {
    int folder = -1;
    enum class Kind { equal, prefix, domain, wildcard, regex } kind = Kind::equal;
    std::size_t field = 0;
    std::string pattern;
    regex_t regex{};
};

struct Rules {
    std::vector<Rule> rules;
    std::vector<std::string> fields;
    int rest = -1;
};

int open_folder(const std::string& path) {
    const int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) give_up(path);
    return folder;
}

Rules read_rules(const char* path, const std::string& destination) {
    static const std::map<std::string, Rule::Kind> kinds{
        {"equal", Rule::Kind::equal},   {"sender", Rule::Kind::equal},      {"prefix", Rule::Kind::prefix},
        {"domain", Rule::Kind::domain}, {"wildcard", Rule::Kind::wildcard}, {"regex", Rule::Kind::regex}};
    Rules out;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream columns(line);
        std::string folder, kind, field;
        Rule rule;
        std::getline(columns, folder, '\t');
        std::getline(columns, kind, '\t');
        std::getline(columns, field, '\t');
        std::getline(columns, rule.pattern);
        rule.kind = kinds.at(kind);
        rule.folder = open_folder(destination + "/" + folder);
        auto known = std::find(out.fields.begin(), out.fields.end(), field);
        rule.field = static_cast<std::size_t>(known - out.fields.begin());
        if (known == out.fields.end()) out.fields.push_back(field);
        if (rule.kind == Rule::Kind::domain) rule.pattern = "@" + rule.pattern;
        if (rule.kind == Rule::Kind::regex &&
            regcomp(&rule.regex, rule.pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0) {
            std::fprintf(stderr, "no regular expression: %s\n", rule.pattern.c_str());
            std::exit(1);
        }
        out.rules.push_back(rule);
    }
    out.rest = open_folder(destination + "/rest");
    return out;
}

bool holds(const Rule& rule, const std::string& value) {
    switch (rule.kind) {
        case Rule::Kind::equal: return value == rule.pattern;
        case Rule::Kind::prefix: return value.compare(0, rule.pattern.size(), rule.pattern) == 0;
        case Rule::Kind::domain: return string_view(value).ends_with(rule.pattern);
        case Rule::Kind::wildcard: return fnmatch(rule.pattern.c_str(), value.c_str(), 0) == 0;
        case Rule::Kind::regex: return regexec(&rule.regex, value.c_str(), 0, nullptr, 0) == 0;
    }
    return false;
}

// The values of the fields that rules ask for.
void split_header(string_view bytes, const std::vector<std::string>& fields, std::vector<std::string>& values) {
    for (auto& value : values) value.clear();
    while (!bytes.empty() && bytes[0] != '\r' && bytes[0] != '\n') {
        std::size_t end = 0;
        do {
            end = bytes.find('\n', end);
            end = end == string_view::npos ? bytes.size() : end + 1;
        } while (end < bytes.size() && (bytes[end] == ' ' || bytes[end] == '\t'));
        auto line = bytes.substr(0, end);
        bytes.remove_prefix(end);
        const auto colon = line.find(':');
        if (colon == string_view::npos) continue;
        for (std::size_t i = 0; i < fields.size(); ++i) {
            if (colon != fields[i].size() || strncasecmp(line.data(), fields[i].data(), colon) != 0) continue;
            line.remove_prefix(colon + 1);
            if (const auto open = line.rfind('<'); open != string_view::npos) {
                line = line.substr(open + 1, line.find('>', open) - open - 1);
            }
            while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
            while (!line.empty() && std::strchr(" \r\n", line.back()) != nullptr) line.remove_suffix(1);
            values[i] = line;
            break;
        }
    }
}

int route(const char* rules_file, const char* source, const std::string& destination) {
    const auto rules = read_rules(rules_file, destination);
    const int from = open_folder(source);
    DIR* directory = fdopendir(dup(from));
    if (directory == nullptr) give_up(source);
    std::vector<std::string> names;
    while (const dirent* entry = readdir(directory)) {
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    closedir(directory);
    std::vector<std::string> values(rules.fields.size());
    std::array<char, 8192> buffer{};
    for (const auto& name : names) {
        const int file = openat(from, name.c_str(), O_RDONLY | O_CLOEXEC);
        if (file < 0) give_up(name);
        const auto got = read(file, buffer.data(), buffer.size());
        close(file);
        if (got < 0) give_up(name);
        split_header({buffer.data(), static_cast<std::size_t>(got)}, rules.fields, values);
        const auto rule = std::find_if(rules.rules.begin(), rules.rules.end(),
                                       [&](const Rule& one) { return holds(one, values[one.field]); });
        const int to = rule == rules.rules.end() ? rules.rest : rule->folder;
        if (renameat(from, name.c_str(), to, name.c_str()) != 0) give_up(name);
    }
    return 0;
}

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// This program is small, so that the peak memory that a child inherits through exec says nothing.
int spawn(int count, const char* input, char** program) {
    std::printf("[");
    for (int i = 0; i < count; ++i) {
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        const auto start = std::chrono::steady_clock::now();
        pid_t child = 0;
        errno = posix_spawnp(&child, program[0], &actions, nullptr, program, environ);
        if (errno != 0) give_up(program[0]);
        int status = 0;
        rusage usage{};
        while (wait4(child, &status, 0, &usage) < 0) {
            if (errno != EINTR) give_up("wait4");
        }
        const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
        posix_spawn_file_actions_destroy(&actions);
        std::printf("%s{\"seconds\":%.6f,\"cpu\":%.6f,\"peak_kb\":%ld,\"exit\":%d}", i == 0 ? "" : ",", wall.count(),
                    seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss,
                    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    std::printf("]\n");
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 5 && std::strcmp(argv[1], "route") == 0) return route(argv[2], argv[3], argv[4]);
    if (argc > 4 && std::strcmp(argv[1], "spawn") == 0) return spawn(std::atoi(argv[2]), argv[3], argv + 4);
    std::fputs("usage: floor route RULES SOURCE DESTINATION | floor spawn COUNT INPUT PROGRAM...\n", stderr);
    return 64;
}
