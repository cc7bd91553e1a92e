// SPDX-License-Identifier: GPL-3.0-or-later
//
// A shared library of its own, loaded by advice.cpp.
#include "number/metadata.hpp"

#include <phonenumbers/phonenumberutil.h>

#include <cstdio>
#include <string>

namespace {

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

const char* kind_of(PhoneNumberUtil::PhoneNumberType type) {
    switch (type) {
        case PhoneNumberUtil::FIXED_LINE: return "a fixed-line number";
        case PhoneNumberUtil::MOBILE: return "a mobile number";
        case PhoneNumberUtil::FIXED_LINE_OR_MOBILE: return "a fixed-line or mobile number";
        case PhoneNumberUtil::TOLL_FREE: return "a toll-free number";
        case PhoneNumberUtil::PREMIUM_RATE: return "a premium-rate number";
        case PhoneNumberUtil::SHARED_COST: return "a shared-cost number";
        case PhoneNumberUtil::VOIP: return "a VoIP number";
        case PhoneNumberUtil::PERSONAL_NUMBER: return "a personal number";
        case PhoneNumberUtil::PAGER: return "a pager";
        case PhoneNumberUtil::UAN: return "a company number";
        case PhoneNumberUtil::VOICEMAIL: return "a voice mailbox";
        default: return "of no known kind";
    }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int ums_number_metadata(const char* number, char* answer,
                                                                          std::size_t size) {
    try {
        static const auto* util = PhoneNumberUtil::GetInstance();
        PhoneNumber parsed;
        const auto error = util->Parse(number, "ZZ", &parsed);
        if (error == PhoneNumberUtil::INVALID_COUNTRY_CODE_ERROR) {
            std::snprintf(answer, size, "\tno country has this code");
            return 0;
        }
        std::string region;
        if (error == PhoneNumberUtil::NO_PARSING_ERROR) util->GetRegionCodeForNumber(parsed, &region);
        if (error == PhoneNumberUtil::NO_PARSING_ERROR && (region.empty() || region == "ZZ")) {
            util->GetRegionCodeForCountryCode(parsed.country_code(), &region);
        }
        if (region == "ZZ") region.clear();
        const std::string where = region.empty() || region == "001" ? "no single country" : region;
        if (error == PhoneNumberUtil::TOO_LONG_NSN) {
            std::snprintf(answer, size, "%s\t%s: too long for any number", region.c_str(), where.c_str());
            return 0;
        }
        if (error != PhoneNumberUtil::NO_PARSING_ERROR) {
            std::snprintf(answer, size, "%s\ttoo short for any number", region.c_str());
            return 0;
        }
        std::string understood;
        util->Format(parsed, PhoneNumberUtil::E164, &understood);
        if (understood != number) {
            std::snprintf(answer, size, "%s\t%s: a prefix stands behind the country, which only calls within it have",
                          region.c_str(), where.c_str());
            return 0;
        }
        const auto possible = util->IsPossibleNumberWithReason(parsed);
        const bool plausible =
            possible == PhoneNumberUtil::IS_POSSIBLE || possible == PhoneNumberUtil::IS_POSSIBLE_LOCAL_ONLY;
        const char* length = possible == PhoneNumberUtil::TOO_SHORT ? "shorter than numbers are there"
                             : possible == PhoneNumberUtil::TOO_LONG
                                 ? "longer than numbers are there, which an extension can be"
                             : plausible ? "of possible length"
                                         : "of a length that numbers do not have there";
        std::snprintf(answer, size, "%s\t%s: %s, %s", region.c_str(), where.c_str(),
                      kind_of(util->GetNumberType(parsed)), length);
        return plausible ? 1 : 0;
    } catch (...) {
        return -1;
    }
}
