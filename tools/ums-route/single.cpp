// SPDX-License-Identifier: GPL-3.0-or-later
#include "single.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "decision.hpp"
#include "error/error.hpp"
#include "number/number.hpp"
#include "text/text.hpp"

namespace ums::route {

namespace {

using Recipients = std::vector<message::Recipient>;

std::string json_or_null(const std::optional<std::string>& text) { return text ? text::json_string(*text) : "null"; }

// Rules are counted from 1 for people, and have no number where none matched.
std::string json_rule(std::size_t rule, const config::Config& config) {
    return rule < config.routes.size() ? std::to_string(rule + 1) : "null";
}

std::string json_action(const rules::Decision& decision) {
    return decision.action == rules::Decision::Action::route ? "\"route\"" : text::json_string(decision.word());
}

void print_groups(const std::vector<rules::Table::Group>& groups, const Recipients& recipients, std::ostream& out) {
    if (groups.size() == 1) {
        out << text::escape(groups.front().word()) << '\n';
        return;
    }
    for (const auto& group : groups) {
        out << text::escape(group.word());
        const char* separator = "\t";
        for (const auto index : group.recipients) {
            out << std::exchange(separator, ", ") << text::escape(recipients[index].spelling);
        }
        out << '\n';
    }
}

void print_groups_json(const std::vector<rules::Table::Group>& groups, const Recipients& recipients,
                       const config::Config& config, std::ostream& out) {
    for (const auto& group : groups) {
        out << R"({"site":)" << json_or_null(group.site) << R"(,"action":)" << json_action(group)
            << R"(,"recipients":[)";
        const char* separator = "";
        for (const auto index : group.recipients) {
            out << std::exchange(separator, ",") << text::json_string(recipients[index].spelling);
        }
        out << R"(],"rule":)" << json_rule(group.rule, config) << R"(,"reason":)" << text::json_string(group.reason)
            << "}\n";
    }
}

// Why one recipient goes where it goes.
struct Explanation {
    std::string service;
    std::optional<std::string> number;  // normalised, if it is one
    rules::Decision ruled;              // by the rules
    rules::Decision decision;           // as its site leaves it
    std::vector<rules::Look> looks;
    std::optional<rules::Decision> later;  // what the first rule below would have decided
};

Explanation explain_recipient(const rules::Table& table, const rules::Subject& subject,
                              const message::Recipient& recipient, const config::Config& config) {
    Explanation e;
    e.service = to_string(recipient.service.value_or(message::Service::fax));
    const auto* home = config.mds.numbering ? &*config.mds.numbering : nullptr;
    if (number::is_number(recipient.address)) e.number = number::normalise(recipient.address, home);
    e.ruled = table.decide(subject, recipient, &e.looks);
    e.decision = with_site(config, e.ruled, recipient);
    if (e.decision.rule < config.routes.size()) {
        auto later = table.decide(subject, recipient, nullptr, e.decision.rule + 1);
        if (later.rule < config.routes.size()) e.later = std::move(later);
    }
    return e;
}

void print_decision(const rules::Decision& decision, std::string_view how, std::ostream& out) {
    out << "  " << how << ' ' << text::escape(decision.word()) << ", " << decision.reason << '\n';
}

void print_explanation(const Explanation& e, const message::Recipient& recipient, std::ostream& out) {
    out << "recipient " << text::quote(recipient.spelling) << ": service " << e.service
        << (recipient.service ? "" : " (none is named)") << ", "
        << (e.number ? "number " + *e.number : std::string("no telephone number")) << '\n';
    std::optional<std::size_t> rule;
    for (const auto& look : e.looks) {
        if (rule != look.rule) out << "  rule " << look.rule + 1 << '\n';
        rule = look.rule;
        out << "    " << (look.matched ? "yes " : "no  ") << look.place << ": " << look.what << " against "
            << text::quote(look.compared);
        if (look.seen != look.compared) out << ", written " << text::quote(look.seen);
        out << '\n';
    }
    print_decision(e.ruled, "->", out);
    if (e.decision.by_site) print_decision(e.decision, "->", out);
    if (e.later) {
        print_decision(*e.later, "later also", out);
    }
}

void print_explanation_json(const Explanation& e, const message::Recipient& recipient, const config::Config& config,
                            std::ostream& out) {
    out << R"({"recipient":)" << text::json_string(recipient.spelling) << R"(,"service":)"
        << text::json_string(e.service) << R"(,"number":)" << json_or_null(e.number) << R"(,"site":)"
        << json_or_null(e.decision.site) << R"(,"action":)" << json_action(e.decision) << R"(,"rule":)"
        << json_rule(e.decision.rule, config) << R"(,"reason":)" << text::json_string(e.decision.reason)
        << R"(,"looks":[)";
    const char* separator = "";
    for (const auto& look : e.looks) {
        out << std::exchange(separator, ",") << R"({"rule":)" << look.rule + 1 << R"(,"place":)"
            << text::json_string(look.place) << R"(,"what":)" << text::json_string(look.what) << R"(,"seen":)"
            << text::json_string(look.seen) << R"(,"compared":)" << text::json_string(look.compared) << R"(,"matched":)"
            << (look.matched ? "true}" : "false}");
    }
    out << R"(],"later":)";
    if (e.later) {
        out << R"({"rule":)" << e.later->rule + 1 << R"(,"site":)" << json_or_null(e.later->site) << R"(,"reason":)"
            << text::json_string(e.later->reason) << '}';
    } else {
        out << "null";
    }
    out << "}\n";
}

}  // namespace

Single::Single(const std::string& name, const rules::Table& table) : name_(name) {
    const bool from_stdin = name == "-";
    if (!from_stdin) {
        file_ = io::Fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
        if (!file_) throw system_error(Fault::cannot_read, "open " + text::quote(name), errno);
    }
    const auto read = message::read_from(from_stdin ? STDIN_FILENO : file_.get(), name);
    try {
        auto header = message::read_header(read);
        body_offset_ = header.block.bytes().size();
        if (table.needs_body()) {
            // What cannot be read twice is kept until it was.
            io::PosixDisk disk;
            auto copy = io::temporary_file();
            std::uint64_t size = 0;
            const auto keep = [&](std::string_view bytes) {
                size += bytes.size();
                disk.write(copy, bytes, "a temporary file");
            };
            keep(header.block.bytes());
            keep(header.body);
            std::array<char, 65'536> buffer{};
            while (const auto got = read(buffer)) keep({buffer.data(), got});
            file_ = std::move(copy);
            size_ = Bytes{size};
        }
        block_ = std::move(header.block);
    } catch (const Error& error) {
        if (error.fault() != Fault::unusable) throw;
        throw Error(Fault::unusable, "cannot use " + text::quote(name) + ": " + error.what());
    }
    envelope_ = message::envelope_of(block_, table.mail());
    if (envelope_.recipients.empty()) {
        throw Error(Fault::unusable,
                    "cannot use " + text::quote(name) +
                        ": it has no recipient: no 'RCPT TO:' line with a value, and no address of ours in its fields");
    }
}

rules::Subject Single::subject(std::string connector, clock::Instant at) const {
    rules::Subject subject;
    subject.block = &block_;
    subject.connector = std::move(connector);
    subject.envelope = &envelope_;
    subject.size = size_;
    subject.at = at;
    subject.attachments = [this] {
        if (!size_) return std::vector<message::Attachment>();
        io::PosixDisk disk;
        return message::attachments(block_, [this, &disk, offset = body_offset_](std::span<char> buffer) mutable {
            const auto got = disk.read(file_, buffer, offset, name_);
            offset += got;
            return got;
        });
    };
    return subject;
}

int route_single(const config::Config& config, const rules::Table& table, const rules::Subject& subject,
                 Explain explain, Json json, std::ostream& out) {
    const auto& recipients = subject.envelope->recipients;
    bool all_routed = true;
    if (explain == Explain::yes) {
        for (const auto& recipient : recipients) {
            const auto explanation = explain_recipient(table, subject, recipient, config);
            all_routed = all_routed && explanation.decision.site;
            if (json == Json::yes) {
                print_explanation_json(explanation, recipient, config, out);
            } else {
                print_explanation(explanation, recipient, out);
            }
        }
    } else {
        const auto groups = groups_of(config, table, subject);
        for (const auto& group : groups) all_routed = all_routed && group.site;
        if (json == Json::yes) {
            print_groups_json(groups, recipients, config, out);
        } else {
            print_groups(groups, recipients, out);
        }
    }
    return all_routed ? 0 : exit_attention;
}

}  // namespace ums::route
