// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/doubt.hpp"

#include "message/header_block.hpp"

namespace ums::delivery {

namespace attribute = spool::attribute;

namespace {

config::DoubtPolicy policy_of(const config::InDoubt& in_doubt, message::Service service) {
    switch (service) {
        case message::Service::fax: return in_doubt.fax;
        case message::Service::sms: return in_doubt.sms;
        case message::Service::voc: return in_doubt.voc;
        case message::Service::mwi: return in_doubt.mwi;
        case message::Service::tts: return in_doubt.tts;
    }
    return config::DoubtPolicy::hold;
}

}  // namespace

config::DoubtPolicy policy_of(const config::InDoubt& in_doubt, const spool::Spool& spool, const spool::Entry& entry) {
    try {
        const auto file = spool.open(entry);
        if (!file) return config::DoubtPolicy::hold;
        const auto header = message::read_header(spool.disk(), *file, spool.path(entry));
        auto policy = config::DoubtPolicy::resend;
        for (const auto& recipient : header.block.recipients()) {
            const auto one = policy_of(in_doubt, recipient.service.value_or(message::Service::fax));
            if (one == config::DoubtPolicy::hold) policy = one;
        }
        return policy;
    } catch (const Error&) {
        return config::DoubtPolicy::hold;
    }
}

spool::EntryName settled(const spool::EntryName& name) {
    return name.without(attribute::doubt_since).without(attribute::witness).without(attribute::taking_back);
}

spool::EntryName sent_again(const spool::EntryName& name) {
    return settled(name)
        .without(attribute::refused)
        .without(attribute::unwanted)
        .without(attribute::not_before)
        .with(attribute::copy, name.number(attribute::copy) + 1);
}

spool::EntryName held(const spool::EntryName& name) {
    return sent_again(name)
        .with(attribute::doubt_since, name.get(attribute::doubt_since))
        .with(attribute::duplicate, 1);
}

}  // namespace ums::delivery
