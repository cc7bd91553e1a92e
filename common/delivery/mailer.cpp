// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/mailer.hpp"

#include <algorithm>
#include <utility>

#include "delivery/attempt.hpp"
#include "delivery/doubt.hpp"
#include "text/text.hpp"

namespace ums::delivery {

using spool::Entry;
using spool::State;
using transport::Mailed;

namespace attribute = spool::attribute;

struct Mailer::Attempt {
    Entry entry;
    io::Fd file;
    transport::Mail mail;  // its body without the descriptor, which may still move
};

Mailer::Mailer(spool::Spool& spool, const spool::Worker& worker, transport::MailServer& server,
               const config::Config& config, const config::Connector& connector, const clock::Clock& clock)
    : spool_(spool),
      worker_(worker),
      server_(server),
      config_(config),
      connector_(connector),
      clock_(clock),
      postmark_(config, connector) {
    if (worker_.queue() != spool::Queue::connector(connector.name))
        throw Error(Fault::internal, "a mailer works the queue that it has locked");
}

unsigned long long Mailer::seconds_now() const { return clock::whole_seconds(clock_.now()); }

void Mailer::give_back(const Entry& entry, const std::string& why, std::vector<Report>& reports) {
    const Entry to{entry.queue, State::fresh, entry.name.without(attribute::doubt_since)};
    spool_.move(entry, to);
    reports.push_back({to.name, Outcome::deferred, why});
}

void Mailer::postpone(const Entry& entry, const std::string& why, std::vector<Report>& reports) {
    const auto refusals = entry.name.number(attribute::refused) + 1;
    const auto pause = pause_after(entry.name, refusals);
    const auto name = entry.name.without(attribute::doubt_since)
                          .with(attribute::refused, refusals)
                          .with(attribute::not_before, seconds_now() + static_cast<unsigned long long>(pause.count()));
    spool_.move(entry, {entry.queue, State::fresh, name});
    reports.push_back({name, Outcome::deferred, why + "; next try in " + text::rough_duration(pause)});
}

void Mailer::park(const Entry& entry, const std::string& why, std::vector<Report>& reports) {
    const auto name = entry.name.without(attribute::doubt_since);
    spool_.park(entry, {spool::Queue::failed(), State::fresh, name}, why);
    reports.push_back({name, Outcome::parked, why});
}

void Mailer::complete(std::span<const Entry> entries, std::span<const std::string> details,
                      std::vector<Report>& reports) {
    end_attempts(spool_, entries, config_.mds.keep_sent.count() > 0 ? Keep::as_sent : Keep::no);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        reports.push_back({entries[i].name.without(attribute::doubt_since), Outcome::delivered, details[i]});
    }
}

std::size_t Mailer::in_doubt() const { return spool_.list(worker_.queue(), State::publishing).size(); }

std::vector<Report> Mailer::settle() {
    target_fault_.reset();
    std::vector<Report> reports;
    const auto now = seconds_now();
    const auto wait = static_cast<unsigned long long>(
        std::chrono::duration_cast<std::chrono::seconds>(config_.mds.in_doubt.wait).count());
    for (const auto& entry : spool_.list(worker_.queue(), State::publishing)) {
        const auto since = entry.name.number(attribute::doubt_since);
        if (since == 0 || since > now + 60) {
            // The clock was ahead: the doubt begins now.
            const auto name = entry.name.with(attribute::doubt_since, now);
            spool_.move(entry, {entry.queue, State::publishing, name});
            reports.push_back({name, Outcome::in_doubt, "it may have been delivered"});
            continue;
        }
        if (now < since + wait) continue;
        const auto name = entry.name.without(attribute::doubt_since).with(attribute::duplicate, 1);
        if (policy_of(config_.mds.in_doubt, spool_, entry) == config::DoubtPolicy::resend) {
            if (!spool_.move(entry, {entry.queue, State::fresh, name})) continue;
            reports.push_back({name, Outcome::deferred,
                               "it may have been delivered; it is sent again, marked as a possible duplicate"});
        } else {
            const std::string why = "it may have reached " + connector_.name +
                                    ", and its service is not sent twice unasked; ums-spool release sends it again, "
                                    "ums-spool delete gives it up";
            if (!spool_.park(entry, {entry.queue, State::hold, name}, why)) continue;
            reports.push_back({name, Outcome::parked, why});
        }
    }
    return reports;
}

// Opens the messages and makes mails of them. What cannot be one is parked.
std::vector<Mailer::Attempt> Mailer::open_attempts(std::span<const Entry> entries, std::vector<Report>& reports) {
    std::vector<Attempt> ready;
    for (const auto& entry : entries) {
        try {
            auto file = spool_.open(entry);
            if (!file) {
                if (spool_.disk().info(spool_.path(entry))) park(entry, "it is no regular file", reports);
                continue;
            }
            auto letter = postmark_.letter(spool_.disk(), *file, spool_.path(entry), entry.name);
            if (letter.recipients.size() > 1) {
                const Entry to{spool::Queue::incoming(), State::fresh, entry.name};
                spool_.move(entry, to);
                reports.push_back({to.name, Outcome::deferred,
                                   "it has " + std::to_string(letter.recipients.size()) +
                                       " recipients; ums-sitemap makes a message for each"});
                continue;
            }
            transport::Mail mail{std::move(letter.sender), std::move(letter.recipients.front()), {}};
            mail.body = {std::move(letter.head), nullptr, letter.body_offset, letter.body_length};
            ready.push_back({entry, std::move(*file), std::move(mail)});
        } catch (const Error& error) {
            if (error.fault() == Fault::unusable) {
                park(entry, error.what(), reports);
            } else if (is_of_one_file(error)) {
                // Somebody's chown, or a bad block: a person can mend it, and the others need not wait for that.
                postpone(entry, error.what(), reports);
            } else {
                throw;
            }
        }
    }
    return ready;
}

std::vector<Report> Mailer::deliver(std::span<const Entry> entries) {
    target_fault_.reset();
    std::vector<Report> reports;
    if (transport::MailAnswer why; !entries.empty() && server_.ready(1, why) == 0) {
        target_fault_ = why.answer;
        return reports;
    }

    auto waiting = open_attempts(begin_attempts(spool_, entries), reports);
    std::reverse(waiting.begin(), waiting.end());  // the next is the last
    while (!waiting.empty() && !target_fault_) send_some(waiting, reports);
    for (auto left = waiting.rbegin(); left != waiting.rend(); ++left) {
        give_back(left->entry, target_fault_->text, reports);
    }
    return reports;
}

void Mailer::send_some(std::vector<Attempt>& waiting, std::vector<Report>& reports) {
    transport::MailAnswer why;
    const auto count = server_.ready(waiting.size(), why);
    if (count == 0) {
        target_fault_ = why.answer;
        return;
    }
    std::vector<Attempt> wave;
    wave.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        wave.push_back(std::move(waiting.back()));
        waiting.pop_back();
    }

    // 2. Everything but the dot.
    std::vector<transport::Mail> mails;
    std::vector<std::string> where;
    for (auto& one : wave) {
        one.mail.body.file = &one.file;
        where.push_back(connector_.name + " <" + one.mail.recipient + ">");
        mails.push_back(std::move(one.mail));
    }
    const auto offered = server_.offer(mails);

    // 3. Into publishing/, before the server can have it.
    std::vector<spool::Move> moves;
    std::vector<std::size_t> of_wave;
    for (std::size_t i = 0; i < wave.size(); ++i) {
        if (offered[i].mailed != Mailed::yes) continue;
        const auto& entry = wave[i].entry;
        of_wave.push_back(i);
        moves.push_back(
            {entry, {entry.queue, State::publishing, entry.name.with(attribute::doubt_since, seconds_now())}});
    }
    const auto moved = spool_.move(moves);
    std::vector<bool> wanted(wave.size(), false);
    for (std::size_t k = 0; k < moves.size(); ++k) {
        wanted[of_wave[k]] = moved[k] == spool::Moved::yes;
        wave[of_wave[k]].entry = moves[k].to;
    }

    // 4. The dots.
    const auto committed = server_.commit(wanted);
    std::vector<Entry> delivered;
    std::vector<std::string> details;
    for (std::size_t i = 0; i < wave.size(); ++i) {
        if (wanted[i] && committed[i].mailed == Mailed::yes) {
            delivered.push_back(wave[i].entry);
            details.push_back(where[i] + " " + committed[i].answer.text);
        }
    }
    if (!delivered.empty()) complete(delivered, details, reports);
    for (std::size_t i = 0; i < wave.size(); ++i) {
        if (offered[i].mailed != Mailed::yes) {
            take_answer(wave[i].entry, offered[i], where[i], reports);
        } else if (wanted[i] && committed[i].mailed != Mailed::yes) {
            take_answer(wave[i].entry, committed[i], where[i], reports);
        }
    }
}

void Mailer::take_answer(const Entry& entry, const transport::MailAnswer& answer, const std::string& where,
                         std::vector<Report>& reports) {
    const auto& text = answer.answer.text;
    switch (answer.mailed) {
        case Mailed::yes: break;
        case Mailed::later: postpone(entry, where + ": " + text, reports); break;
        case Mailed::never: park(entry, where + ": " + text, reports); break;
        case Mailed::unknown:
            // The others would fare no better at once, and each would be a doubt too.
            if (!target_fault_) target_fault_ = answer.answer;
            reports.push_back({entry.name, Outcome::in_doubt, where + ": " + text});
            break;
        case Mailed::not_here: {
            if (!target_fault_) target_fault_ = answer.answer;
            // A login that is wanted, or a host that does not answer, has nothing to do with this mail.
            const bool may_be_of_mail =
                answer.answer.verdict == transport::Verdict::broken || answer.answer.status == 421;
            if (!may_be_of_mail) {
                give_back(entry, text, reports);
            } else if (entry.name.number(attribute::refused) > 0) {
                postpone(entry, where + ": " + text, reports);
            } else {
                const auto name = entry.name.without(attribute::doubt_since).with(attribute::refused, 1);
                spool_.move(entry, {entry.queue, State::fresh, name});
                reports.push_back({name, Outcome::deferred, where + ": " + text});
            }
            break;
        }
    }
}

}  // namespace ums::delivery
