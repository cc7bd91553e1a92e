// SPDX-License-Identifier: GPL-3.0-or-later
//
// The section `mds:`.
#include <algorithm>
#include <array>
#include <variant>

#include "clock/zone.hpp"
#include "config/draft.hpp"
#include "config/section.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

bool is_id(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 6 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    });
}

void read_id(Section& section, Mds& mds) {
    const Node* node = section.find("id");
    if (!node) return;
    if (node->kind != Node::Kind::text || !is_id(node->text)) {
        report_wrong(*node, "id", "1 to 6 of A-Z a-z 0-9", section.report());
        return;
    }
    mds.id = node->text;
}

void read_in_doubt(const Node& node, InDoubt& in_doubt, Report& report) {
    Section section(node, "in-doubt", keys::in_doubt, report);
    section.duration("wait", in_doubt.wait, Duration::zero());
    const auto policy = [&](std::string_view service, DoubtPolicy& out) {
        section.choice(service, out, {{"resend", DoubtPolicy::resend}, {"hold", DoubtPolicy::hold}});
    };
    policy("fax", in_doubt.fax);
    policy("voc", in_doubt.voc);
    policy("sms", in_doubt.sms);
    policy("mwi", in_doubt.mwi);
    policy("tts", in_doubt.tts);
}

void read_event_mail(const Node& node, OnEvent& on_event, Report& report) {
    Section section(node, "mail", keys::event_mail, report);
    if (section.text("to", on_event.mail_to) && on_event.mail_to.find('@') == std::string::npos) {
        report_wrong(*section.find("to"), "to", "a mail address", report);
    }
    if (section.text("via", on_event.mail_via)) {
        const auto parsed = target::parse_target(on_event.mail_via, "/");
        const auto* via = std::get_if<target::Target>(&parsed);
        if (!via) {
            report.error(*section.find("via"), "'via': " + std::get<std::string>(parsed));
        } else if (via->scheme != target::Scheme::smtp && via->scheme != target::Scheme::smtps &&
                   via->scheme != target::Scheme::lmtp) {
            report_wrong(*section.find("via"), "via", "smtp://, smtps:// or lmtp://", report);
        } else {
            on_event.mail_server = *via;
        }
    }
    if (!section.is_map()) return;
    if (!section.find("to")) report.error(node, "'mail' needs 'to', the address of whoever is told");
    if (!section.find("via")) report.error(node, "'mail' needs 'via', a mail server such as smtp://localhost");
}

void read_on_event(const Node& node, OnEvent& on_event, Report& report) {
    Section section(node, "on-event", keys::on_event, report);
    section.prose("command", on_event.command);
    if (const Node* mail = section.find("mail")) read_event_mail(*mail, on_event, report);
    if (!section.is_map()) return;
    if (node.keys.empty()) report.error(node, "'on-event' needs 'command' or 'mail'");
}

bool is_domain(std::string_view text) noexcept {
    if (text.starts_with("*.")) text.remove_prefix(2);
    return !text.empty() && text.find_first_of(" \t@*?#/<>\"(),;:") == std::string_view::npos;
}

void read_mail(const Node& node, Mail& mail, Report& report) {
    Section section(node, "mail", keys::mail, report);
    if (const Node* domains = section.find("domains")) {
        if (domains->kind != Node::Kind::map || domains->keys.empty()) {
            report_wrong(*domains, "domains", "a map of domains and services (fax.example.com: fax)", report);
            return;
        }
        for (std::size_t i = 0; i < domains->keys.size(); ++i) {
            const Node& name = domains->keys[i];
            const Node& service = domains->values[i];
            if (name.refused || service.refused) continue;
            if (!is_domain(name.text)) {
                report.error(name, text::quote(name.text) + " is no domain: write fax.example.com or '*.example.com'");
            } else if (std::find(services.begin(), services.end(), text::lower(service.text)) == services.end()) {
                report.unknown(report.place(service), "service", service.text, services);
            } else {
                mail.domains.emplace_back(text::lower(name.text), text::lower(service.text));
            }
        }
    }
    if (section.find("fields")) {
        mail.fields.clear();
        for (const Node* field : section.texts("fields")) {
            if (is_field_name(field->text)) {
                mail.fields.push_back(field->text);
            } else {
                report.error(*field, text::quote(field->text) + " cannot be the name of a header field");
            }
        }
    }
}

}  // namespace

void read_time_zone(Section& section, std::string& out) {
    if (section.text("time-zone", out) && !clock::is_zone(out)) {
        report_wrong(*section.find("time-zone"), "time-zone", "a zone of the IANA database such as Europe/Berlin",
                     section.report());
        out.clear();
    }
}

void read_mds(const Node& node, Draft& draft) {
    Section section(node, "mds", keys::mds, draft.report);
    Mds& mds = draft.config.mds;
    read_id(section, mds);
    section.path("spool", mds.spool, draft.base);
    section.flag("force-spool", mds.force_spool);
    if (const Node* numbering = section.find("numbering")) mds.numbering = read_numbering(*numbering, draft.report);
    section.duration("settle", mds.settle, Duration::zero());
    if (const Node* in_doubt = section.find("in-doubt")) read_in_doubt(*in_doubt, mds.in_doubt, draft.report);
    section.duration("expire", mds.expire, Duration(1));
    section.duration("keep-sent", mds.keep_sent, Duration::zero());
    if (const Node* on_event = section.find("on-event")) read_on_event(*on_event, mds.on_event, draft.report);
    if (const Node* mail = section.find("mail")) read_mail(*mail, mds.mail, draft.report);
    read_time_zone(section, mds.time_zone);
    if (section.is_map() &&
        std::none_of(node.keys.begin(), node.keys.end(), [](auto& key) { return key.text == "id"; })) {
        draft.report.error(node, "'id' is missing: 1 to 6 of A-Z a-z 0-9 that no other MDS has");
    }
}

}  // namespace ums::config
