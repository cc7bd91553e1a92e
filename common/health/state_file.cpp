// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <limits>
#include <map>

#include "health/health.hpp"
#include "text/text.hpp"

namespace ums::health {

namespace {

using Values = std::map<std::string, std::string, std::less<>>;

constexpr Bytes largest{64 << 10};
constexpr std::size_t longest_text = 4096;

// `key=value` lines; unknown keys are passed over, so that an older program reads a newer file.
Values read(io::Disk& disk, const std::string& path) {
    Values values;
    const auto info = disk.info(path);
    if (!info || info->size > largest) return values;
    const auto content = io::read_file(disk, path, largest).value_or("");
    for (const auto line : text::split(content, '\n')) {
        const auto equals = line.find('=');
        if (equals != std::string_view::npos) values.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
    return values;
}

std::string text_of(const Values& values, std::string_view key) {
    const auto found = values.find(key);
    return found == values.end() ? "" : text::unescape(found->second);
}

unsigned long long number_of(const Values& values, std::string_view key) {
    return text::parse_number(text_of(values, key)).value_or(0);
}

unsigned count_of(const Values& values, std::string_view key) {
    constexpr unsigned most = std::numeric_limits<unsigned>::max();
    return static_cast<unsigned>(std::min<unsigned long long>(number_of(values, key), most));
}

clock::Instant instant_of(const Values& values, std::string_view key) {
    return clock::parse(text_of(values, key)).value_or(clock::Instant{});
}

std::string line(std::string_view key, std::string_view value) {
    return std::string(key) + "=" + text::escape(value.substr(0, longest_text)) + "\n";
}
std::string line(std::string_view key, unsigned long long value) { return line(key, std::to_string(value)); }
std::string line(std::string_view key, clock::Instant value) { return line(key, clock::format_precise(value)); }

}  // namespace

std::string Files::path(std::string_view kind, std::string_view kernel) const {
    return directory_ + "/" + std::string(kind) + "/" + std::string(kernel);
}

void Files::write(std::string_view kind, std::string_view kernel, const std::string& content) {
    const std::string file = path(kind, kernel);
    io::make_directories(disk_, io::parent_of(file));
    io::write_file(disk_, file, content);
}

Health Files::load_health(std::string_view kernel) const {
    const auto values = read(disk_, path("health", kernel));
    Health health;
    const auto status = text_of(values, "status");
    for (const Status s : {Status::up, Status::suspect, Status::down, Status::probation}) {
        if (to_string(s) == status) health.status = s;
    }
    health.since = instant_of(values, "since");
    health.failures = count_of(values, "failures");
    health.successes = count_of(values, "successes");
    health.outages = number_of(values, "outages");
    health.last_look = instant_of(values, "last-look");
    health.next_look = instant_of(values, "next-look");
    health.why = text_of(values, "why");
    health.allowed = count_of(values, "allowed");
    health.was_assigned = count_of(values, "was-assigned") > 0;
    health.unproved = count_of(values, "unproved");
    health.relieved = instant_of(values, "relieved");
    return health;
}

void Files::save(std::string_view kernel, const Health& health) {
    write("health", kernel,
          line("status", to_string(health.status)) + line("since", health.since) +
              line("failures", static_cast<unsigned long long>(health.failures)) +
              line("successes", static_cast<unsigned long long>(health.successes)) + line("outages", health.outages) +
              line("last-look", health.last_look) + line("next-look", health.next_look) + line("why", health.why) +
              line("allowed", static_cast<unsigned long long>(health.allowed)) +
              line("was-assigned", health.was_assigned ? 1ULL : 0ULL) +
              line("unproved", static_cast<unsigned long long>(health.unproved)) + line("relieved", health.relieved));
}

std::string name_of_connector(std::string_view connector) { return "connector=" + std::string(connector); }

Seen Files::load_seen(std::string_view kernel) const {
    const auto values = read(disk_, path("seen", kernel));
    Seen seen;
    seen.failures = count_of(values, "failures");
    seen.last_failure = instant_of(values, "last-failure");
    seen.last_success = instant_of(values, "last-success");
    seen.text = text_of(values, "text");
    return seen;
}

void Files::save(std::string_view kernel, const Seen& seen) {
    write("seen", kernel,
          line("failures", static_cast<unsigned long long>(seen.failures)) + line("last-failure", seen.last_failure) +
              line("last-success", seen.last_success) + line("text", seen.text));
}

AdminState Files::load_admin(std::string_view kernel) const {
    const auto values = read(disk_, path("admin", kernel));
    AdminState state;
    state.admin = parse_admin(text_of(values, "admin")).value_or(Admin::enabled);
    state.since = instant_of(values, "since");
    state.who = text_of(values, "who");
    return state;
}

void Files::save(std::string_view kernel, const AdminState& admin) {
    write("admin", kernel, line("admin", to_string(admin.admin)) + line("since", admin.since) + line("who", admin.who));
}

}  // namespace ums::health
