// SPDX-License-Identifier: GPL-3.0-or-later
//
// Our tables of countries against the metadata of libphonenumber.
#include <phonenumbers/phonenumberutil.h>
#include <phonenumbers/shortnumberinfo.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <map>
#include <set>
#include <string>

#include "number/number.hpp"

using namespace ums;
using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

namespace {

// The prefix 01 of Mexico went in 2019, and Monaco's with the French plan of 1996; the metadata still have them. The Vatican
// has no region there; of Hong Kong's ways abroad, one for each carrier, they name another one.
// In Belarus they name the 8, and not the 0 that always follows.
const std::set<std::string> not_compared{"52", "375", "377", "379", "852"};

// How the metadata dial out of a country; empty where they name several ways, or none.
std::string international_prefix_of(const std::string& region, const std::string& country) {
    PhoneNumber abroad;
    PhoneNumberUtil::GetInstance()->Parse(country == "49" ? "+12125551234" : "+4989479912345", "ZZ", &abroad);
    std::string dialled;
    PhoneNumberUtil::GetInstance()->FormatOutOfCountryCallingNumber(abroad, region, &dialled);
    const auto prefix = dialled.substr(0, dialled.find(' '));
    return prefix.find_first_not_of("0123456789") == std::string::npos ? prefix : "";
}

}  // namespace

TEST_CASE("the prefixes of countries are those of libphonenumber", "[number][metadata]") {
    const auto* util = PhoneNumberUtil::GetInstance();
    int compared = 0;
    for (int code = 1; code < 1000; ++code) {
        const auto country = std::to_string(code);
        const auto habits = number::habits_of(country);
        std::string region;
        util->GetRegionCodeForCountryCode(code, &region);
        if (!habits || not_compared.contains(country)) continue;
        INFO(country << " " << region);
        REQUIRE(region != "ZZ");
        std::string national;
        util->GetNddPrefixForRegion(region, true, &national);
        CHECK(habits->national_prefix == national);
        if (const auto abroad = international_prefix_of(region, country); !abroad.empty()) {
            CHECK(habits->international_prefix == abroad);
        }
        ++compared;
    }
    REQUIRE(compared == 106);
}

TEST_CASE("by how many digits a number has its area is what libphonenumber says", "[number][metadata]") {
    const auto* util = PhoneNumberUtil::GetInstance();
    int compared = 0;
    for (int code = 1; code < 1000; ++code) {
        const auto country = std::to_string(code);
        const auto least = number::least_whole_digits(country);
        std::string region;
        util->GetRegionCodeForCountryCode(code, &region);
        std::set<std::size_t> whole;
        std::set<std::size_t> local;
        for (std::size_t digits = 3; digits <= 15; ++digits) {
            PhoneNumber probe;
            probe.set_country_code(code);
            probe.set_national_number(std::stoull(std::string(digits, '2')));
            const auto is = util->IsPossibleNumberForTypeWithReason(probe, PhoneNumberUtil::FIXED_LINE);
            if (is == PhoneNumberUtil::IS_POSSIBLE) whole.insert(digits);
            if (is == PhoneNumberUtil::IS_POSSIBLE_LOCAL_ONLY) local.insert(digits);
        }
        std::string national;
        if (region != "ZZ") util->GetNddPrefixForRegion(region, true, &national);
        const auto habits = number::habits_of(country);
        const bool must_tell = whole.size() == 1 && !local.empty() && *local.rbegin() < *whole.begin() &&
                               !national.empty() && (!habits || habits->has_areas);
        INFO(code << " " << region << " " << least);
        if (must_tell) CHECK(least == *whole.begin());
        if (least == 0) continue;
        REQUIRE_FALSE(whole.empty());
        PhoneNumber one;
        one.set_country_code(code);
        one.set_national_number(std::stoull(std::string(least, '2')));
        CHECK((whole.contains(least) ||
               util->IsPossibleNumberForTypeWithReason(one, PhoneNumberUtil::MOBILE) == PhoneNumberUtil::IS_POSSIBLE));
        // The Netherlands' longer ones are those of machines; Mexico's mobiles had a 1 until 2019.
        std::size_t longest = 0;
        for (std::size_t digits = 3; digits <= 15; ++digits) {
            PhoneNumber probe;
            probe.set_country_code(code);
            probe.set_national_number(std::stoull(std::string(digits, '2')));
            for (const auto type : {PhoneNumberUtil::FIXED_LINE, PhoneNumberUtil::MOBILE}) {
                if (util->IsPossibleNumberForTypeWithReason(probe, type) == PhoneNumberUtil::IS_POSSIBLE)
                    longest = digits;
            }
        }
        const std::set<std::string> known_better{"31", "52", "353", "972"};
        if (!known_better.contains(country)) CHECK(number::most_whole_digits(country) == longest);
        if (!local.empty()) CHECK(*local.rbegin() < least);
        ++compared;
    }
    REQUIRE(compared == 81);
}

TEST_CASE("no emergency number that libphonenumber knows is missing", "[number][metadata]") {
    const i18n::phonenumbers::ShortNumberInfo known;
    // They begin as calls within the country, or abroad, do.
    const std::map<int, std::set<std::string>> left_out{{370, {"01", "02", "03", "011", "022", "033"}},
                                                        {995, {"011", "022", "033"}},
                                                        {998, {"001", "002", "003", "050"}}};
    std::size_t compared = 0;
    for (int code = 1; code < 1000; ++code) {
        const auto ours = number::emergency_numbers(std::to_string(code));
        std::string region;
        PhoneNumberUtil::GetInstance()->GetRegionCodeForCountryCode(code, &region);
        for (int number = 0; number < 1000; ++number) {
            for (const int width : {2, 3}) {
                std::array<char, 12> digits{};
                std::snprintf(digits.data(), digits.size(), "%0*d", width, number);
                if (!known.IsEmergencyNumber(digits.data(), region)) continue;
                const std::string_view wanted = digits.data();
                INFO(code << " " << region << " " << wanted);
                const auto out = left_out.find(code);
                const bool is_left_out = out != left_out.end() && out->second.contains(digits.data());
                // 13 stands for 1300 to 1399.
                const bool is_ours =
                    std::any_of(ours.begin(), ours.end(), [&](auto one) { return wanted.starts_with(one); });
                CHECK(is_ours != is_left_out);
                CHECK(number::is_country(std::to_string(code)));
                ++compared;
            }
        }
    }
    REQUIRE(compared > 400);
}
