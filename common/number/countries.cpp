// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is known of countries. libphonenumber knows it too, and tests compare both; it is not asked here, since what must not
// be dialled must not depend on a library that may be missing.
#include <algorithm>
#include <array>

#include "number/number.hpp"
#include "text/text.hpp"

namespace ums::number {

namespace {

struct Country {
    std::string_view code;
    Habits habits;
};

// Those that do not dial `0` and `00`; but for Lithuania and Uzbekistan, which have given up their 8.
constexpr std::array<Country, 111> countries{{{"1", {"North America", "1", "011", true}},
                                              {"7", {"Russia and Kazakhstan", "8", "810", true}},
                                              {"30", {"Greece", "", "00", false}},
                                              {"34", {"Spain", "", "00", false}},
                                              {"36", {"Hungary", "06", "00", true}},
                                              {"39", {"Italy", "", "00", true}},
                                              {"45", {"Denmark", "", "00", false}},
                                              {"47", {"Norway", "", "00", false}},
                                              {"48", {"Poland", "", "00", false}},
                                              {"52", {"Mexico", "", "00", false}},
                                              {"53", {"Cuba", "0", "119", true}},
                                              {"56", {"Chile", "", "00", false}},
                                              {"61", {"Australia", "0", "0011", true}},
                                              {"65", {"Singapore", "", "000", false}},
                                              {"81", {"Japan", "0", "010", true}},
                                              {"82", {"South Korea", "0", "00700", true}},
                                              {"216", {"Tunisia", "", "00", false}},
                                              {"220", {"the Gambia", "", "00", false}},
                                              {"221", {"Senegal", "", "00", false}},
                                              {"222", {"Mauritania", "", "00", false}},
                                              {"223", {"Mali", "", "00", false}},
                                              {"224", {"Guinea", "", "00", false}},
                                              {"225", {"Ivory Coast", "", "00", false}},
                                              {"226", {"Burkina Faso", "", "00", false}},
                                              {"227", {"Niger", "", "00", false}},
                                              {"228", {"Togo", "", "00", false}},
                                              {"229", {"Benin", "", "00", false}},
                                              {"230", {"Mauritius", "", "020", false}},
                                              {"234", {"Nigeria", "0", "009", true}},
                                              {"235", {"Chad", "", "00", false}},
                                              {"236", {"the Central African Republic", "", "00", false}},
                                              {"237", {"Cameroon", "", "00", false}},
                                              {"238", {"Cape Verde", "", "0", false}},
                                              {"239", {"Sao Tome and Principe", "", "00", false}},
                                              {"240", {"Equatorial Guinea", "", "00", false}},
                                              {"241", {"Gabon", "", "00", false}},
                                              {"242", {"the Congo", "", "00", false}},
                                              {"244", {"Angola", "", "00", false}},
                                              {"245", {"Guinea-Bissau", "", "00", false}},
                                              {"246", {"Diego Garcia", "", "00", false}},
                                              {"247", {"Ascension", "", "00", false}},
                                              {"248", {"the Seychelles", "", "00", false}},
                                              {"253", {"Djibouti", "", "00", false}},
                                              {"254", {"Kenya", "0", "000", true}},
                                              {"257", {"Burundi", "", "00", false}},
                                              {"258", {"Mozambique", "", "00", false}},
                                              {"266", {"Lesotho", "", "00", false}},
                                              {"267", {"Botswana", "", "00", false}},
                                              {"268", {"Eswatini", "", "00", false}},
                                              {"269", {"the Comoros", "", "00", false}},
                                              {"290", {"Saint Helena", "", "00", false}},
                                              {"297", {"Aruba", "", "00", false}},
                                              {"298", {"the Faroe Islands", "", "00", false}},
                                              {"299", {"Greenland", "", "00", false}},
                                              {"350", {"Gibraltar", "", "00", false}},
                                              {"351", {"Portugal", "", "00", false}},
                                              {"352", {"Luxembourg", "", "00", false}},
                                              {"354", {"Iceland", "", "00", false}},
                                              {"356", {"Malta", "", "00", false}},
                                              {"357", {"Cyprus", "", "00", false}},
                                              {"371", {"Latvia", "", "00", false}},
                                              {"372", {"Estonia", "", "00", false}},
                                              {"375", {"Belarus", "80", "810", true}},
                                              {"376", {"Andorra", "", "00", false}},
                                              {"377", {"Monaco", "", "00", false}},
                                              {"378", {"San Marino", "", "00", true}},
                                              {"379", {"the Vatican", "", "00", true}},
                                              {"420", {"the Czech Republic", "", "00", false}},
                                              {"500", {"the Falkland Islands", "", "00", false}},
                                              {"501", {"Belize", "", "00", false}},
                                              {"502", {"Guatemala", "", "00", false}},
                                              {"503", {"El Salvador", "", "00", false}},
                                              {"504", {"Honduras", "", "00", false}},
                                              {"505", {"Nicaragua", "", "00", false}},
                                              {"506", {"Costa Rica", "", "00", false}},
                                              {"507", {"Panama", "", "00", false}},
                                              {"509", {"Haiti", "", "00", false}},
                                              {"592", {"Guyana", "", "001", false}},
                                              {"597", {"Suriname", "", "00", false}},
                                              {"599", {"Curacao", "", "00", false}},
                                              {"670", {"East Timor", "", "00", false}},
                                              {"672", {"Norfolk Island", "", "00", false}},
                                              {"673", {"Brunei", "", "00", false}},
                                              {"674", {"Nauru", "", "00", false}},
                                              {"675", {"Papua New Guinea", "", "00", false}},
                                              {"676", {"Tonga", "", "00", false}},
                                              {"677", {"the Solomon Islands", "", "00", false}},
                                              {"678", {"Vanuatu", "", "00", false}},
                                              {"679", {"Fiji", "", "00", false}},
                                              {"680", {"Palau", "", "00", false}},
                                              {"681", {"Wallis and Futuna", "", "00", false}},
                                              {"682", {"the Cook Islands", "", "00", false}},
                                              {"683", {"Niue", "", "00", false}},
                                              {"685", {"Samoa", "", "0", false}},
                                              {"687", {"New Caledonia", "", "00", false}},
                                              {"688", {"Tuvalu", "", "00", false}},
                                              {"689", {"French Polynesia", "", "00", false}},
                                              {"690", {"Tokelau", "", "00", false}},
                                              {"691", {"Micronesia", "", "00", false}},
                                              {"692", {"the Marshall Islands", "1", "011", true}},
                                              {"852", {"Hong Kong", "", "001", false}},
                                              {"853", {"Macao", "", "00", false}},
                                              {"960", {"the Maldives", "", "00", false}},
                                              {"965", {"Kuwait", "", "00", false}},
                                              {"968", {"Oman", "", "00", false}},
                                              {"973", {"Bahrain", "", "00", false}},
                                              {"974", {"Qatar", "", "00", false}},
                                              {"975", {"Bhutan", "", "00", false}},
                                              {"976", {"Mongolia", "0", "001", true}},
                                              {"992", {"Tajikistan", "", "810", false}},
                                              {"993", {"Turkmenistan", "8", "810", true}}}};

struct Emergency {
    std::string_view code;
    std::string_view numbers;
};
// What libphonenumber 8.12 knows, and for some countries more. Of several places with one code the largest one's: in North
// America those of the United States and Canada. Numbers that begin as calls within the country, or abroad, do there are
// left out (Lithuania, Georgia, Uzbekistan).
constexpr std::array<Emergency, 202> emergencies{{{"1", "911 112"},
                                                  {"7", "112 101 102 103 104 01 02 03"},
                                                  {"20", "122 123 180"},
                                                  {"27", "112 10111 10177"},
                                                  {"30", "112 100 166 199"},
                                                  {"31", "112 911"},
                                                  {"32", "112 100 101"},
                                                  {"33", "112 15 17 18"},
                                                  {"34", "112 091 062 061 080 085 088"},
                                                  {"36", "112 104 105 107"},
                                                  {"39", "112 113 115 118"},
                                                  {"40", "112"},
                                                  {"41", "112 117 118 144"},
                                                  {"43", "112 122 133 144"},
                                                  {"44", "112 999"},
                                                  {"45", "112 114"},
                                                  {"46", "112 90000"},
                                                  {"47", "112 110 113"},
                                                  {"48", "112 997 998 999"},
                                                  {"49", "112 110"},
                                                  {"51", "105 116 117"},
                                                  {"52", "911 060 065 066 068 080"},
                                                  {"53", "104 105 106"},
                                                  {"54", "100 101 107 911"},
                                                  {"55", "112 128 190 192 193 911"},
                                                  {"56", "131 132 133 911"},
                                                  {"57", "112 119 123 132 156"},
                                                  {"58", "112 171 911"},
                                                  {"60", "112 999"},
                                                  {"61", "000 112 106"},
                                                  {"62", "112 110 113 118 119"},
                                                  {"63", "112 117 911"},
                                                  {"64", "111"},
                                                  {"65", "995 999 993"},
                                                  {"66", "1669 191 199"},
                                                  {"81", "110 119"},
                                                  {"82", "112 119"},
                                                  {"84", "113 114 115"},
                                                  {"86", "110 119 120 122"},
                                                  {"90", "112 110 155"},
                                                  {"91", "112 100 101 102 108 1298 2611"},
                                                  {"92", "112 1122 115 15 16"},
                                                  {"93", "100 102 119"},
                                                  {"94", "112 110 116 118 119"},
                                                  {"95", "199"},
                                                  {"98", "112 110 115 125 911"},
                                                  {"211", "999"},
                                                  {"212", "15 177 19"},
                                                  {"213", "112 14 17"},
                                                  {"216", "190 197 198"},
                                                  {"218", "190 191 193"},
                                                  {"220", "116 117 118 16 17 18"},
                                                  {"221", "17 18"},
                                                  {"222", "17 18"},
                                                  {"223", "15 17 18"},
                                                  {"225", "110 111 170 180"},
                                                  {"226", "17 18"},
                                                  {"227", "118 15 17 18"},
                                                  {"228", "117 118 171 172 177"},
                                                  {"229", "117 118"},
                                                  {"230", "114 115 995 999"},
                                                  {"231", "355 911"},
                                                  {"232", "019 999"},
                                                  {"233", "191 192 193 999"},
                                                  {"234", "199"},
                                                  {"235", "17 18"},
                                                  {"236", "117 118 1220"},
                                                  {"237", "113 117 13 17"},
                                                  {"238", "130 131 132"},
                                                  {"239", "112"},
                                                  {"241", "13 1730 18"},
                                                  {"242", "117 118"},
                                                  {"243", "113 114 118 177 188"},
                                                  {"244", "112 113 115"},
                                                  {"245", "113 117 118"},
                                                  {"247", "911 999"},
                                                  {"248", "999"},
                                                  {"249", "999"},
                                                  {"250", "112 111"},
                                                  {"251", "91 911 92 93 939 991 997"},
                                                  {"252", "555 888 999"},
                                                  {"253", "17 18"},
                                                  {"254", "112 114 999"},
                                                  {"255", "112 110 111 114 115 999"},
                                                  {"256", "999"},
                                                  {"257", "112 113 117"},
                                                  {"258", "117 119 197 198"},
                                                  {"260", "112 991 993 999"},
                                                  {"261", "117 118 17 18"},
                                                  {"262", "112 15 17 18"},
                                                  {"263", "112 993 994 995 999"},
                                                  {"264", "10111"},
                                                  {"265", "199 997 998 999"},
                                                  {"266", "112 115 117"},
                                                  {"267", "911 997 998 999"},
                                                  {"268", "999"},
                                                  {"269", "17 18"},
                                                  {"290", "911 999"},
                                                  {"291", "112 113 114 116"},
                                                  {"297", "100 911"},
                                                  {"298", "112 114"},
                                                  {"299", "112"},
                                                  {"350", "112 190 199"},
                                                  {"351", "112 115"},
                                                  {"352", "112 113"},
                                                  {"353", "112 999"},
                                                  {"354", "112"},
                                                  {"355", "112 127 128 129"},
                                                  {"356", "112"},
                                                  {"357", "112 199"},
                                                  {"358", "112"},
                                                  {"359", "112 150 160 166"},
                                                  {"370", "112 101 102 103"},
                                                  {"371", "112 01 02 03 110 113"},
                                                  {"372", "112 110"},
                                                  {"373", "112 901 902 903"},
                                                  {"374", "101 102 103"},
                                                  {"375", "112 101 102 103"},
                                                  {"376", "112 110 116 118"},
                                                  {"377", "112 15 17 18"},
                                                  {"378", "113 115 118"},
                                                  {"380", "112 101 102 103"},
                                                  {"381", "112 92 93 94"},
                                                  {"382", "112 122 123 124"},
                                                  {"383", "112 192 193 194"},
                                                  {"385", "112 192 193 194 93 94"},
                                                  {"386", "112 113"},
                                                  {"387", "122 123 124"},
                                                  {"389", "112 192 193 194"},
                                                  {"420", "112 150 155 156 158"},
                                                  {"421", "112 150 155 158"},
                                                  {"423", "112 117 118 144"},
                                                  {"500", "999"},
                                                  {"501", "90 911 990"},
                                                  {"502", "110 120 123"},
                                                  {"503", "911 913"},
                                                  {"504", "199"},
                                                  {"505", "115 118 120 128"},
                                                  {"506", "112 911"},
                                                  {"507", "911"},
                                                  {"508", "15 17 18"},
                                                  {"509", "114 118"},
                                                  {"590", "15 17 18"},
                                                  {"591", "110 118 119"},
                                                  {"592", "911 912 913"},
                                                  {"593", "112 101 102 911"},
                                                  {"594", "15 17 18"},
                                                  {"595", "128 911"},
                                                  {"596", "112 15 17 18"},
                                                  {"597", "115"},
                                                  {"598", "128 911"},
                                                  {"599", "112 911"},
                                                  {"670", "112 115"},
                                                  {"672", "911 955 977"},
                                                  {"673", "991 993 995"},
                                                  {"674", "112 110 111"},
                                                  {"675", "000 110 111"},
                                                  {"676", "911 922 933 999"},
                                                  {"677", "999"},
                                                  {"678", "112"},
                                                  {"679", "911 917"},
                                                  {"680", "911"},
                                                  {"681", "15 17 18"},
                                                  {"682", "996 998 999"},
                                                  {"683", "999"},
                                                  {"685", "911 994 995 996 999"},
                                                  {"686", "192 193 194 195 992 993 994"},
                                                  {"687", "15 16 17 18"},
                                                  {"688", "911"},
                                                  {"689", "15 17 18"},
                                                  {"691", "911"},
                                                  {"692", "911"},
                                                  {"850", "112 119 819"},
                                                  {"852", "112 992 999"},
                                                  {"853", "999"},
                                                  {"855", "117 118 119 666"},
                                                  {"856", "190 191 195"},
                                                  {"880", "100 101 102 199 999"},
                                                  {"886", "112 110 119"},
                                                  {"960", "102 118 119"},
                                                  {"961", "112 140 175 999"},
                                                  {"962", "112 191 192 197 911"},
                                                  {"963", "112 110 113"},
                                                  {"964", "100 104 115 122"},
                                                  {"965", "112"},
                                                  {"966", "112 911 997 999"},
                                                  {"967", "191 194 195 199"},
                                                  {"968", "1444 9999"},
                                                  {"970", "100 101 102"},
                                                  {"971", "112 997 998 999"},
                                                  {"972", "112 100 101 102"},
                                                  {"973", "199 999"},
                                                  {"974", "999"},
                                                  {"975", "112 110 113"},
                                                  {"976", "100 101 102 103 105"},
                                                  {"977", "112 100 101 102 103"},
                                                  {"992", "112 101 102 103"},
                                                  {"993", "01 02 03"},
                                                  {"994", "112 101 102 103"},
                                                  {"995", "112 111 113 122"},
                                                  {"996", "101 102 103"},
                                                  {"998", "01 02 03"}}};

struct Lengths {
    std::string_view code;
    std::size_t least;
    std::size_t most;
};

// The digits of national numbers of subscribers, where the numbers of an area are shorter than all that have their area in
// them, or there are no areas. 0: that does not tell.
constexpr std::array<Lengths, 85> lengths{
    {{"1", 10, 10},  {"7", 10, 10},  {"20", 9, 10},  {"27", 9, 9},   {"30", 10, 10}, {"31", 9, 9},   {"32", 8, 9},
     {"33", 9, 9},   {"34", 9, 9},   {"36", 8, 9},   {"39", 0, 11},  {"40", 9, 9},   {"41", 9, 9},   {"44", 9, 10},
     {"45", 8, 8},   {"46", 0, 9},   {"47", 8, 8},   {"48", 9, 9},   {"51", 8, 9},   {"52", 10, 10}, {"54", 10, 11},
     {"55", 10, 11}, {"56", 9, 9},   {"57", 10, 10}, {"58", 10, 10}, {"60", 9, 10},  {"61", 9, 9},   {"63", 9, 10},
     {"64", 8, 10},  {"65", 8, 8},   {"66", 8, 9},   {"81", 9, 10},  {"82", 9, 10},  {"84", 9, 10},  {"86", 9, 11},
     {"90", 10, 10}, {"91", 10, 10}, {"93", 9, 9},   {"94", 9, 9},   {"216", 8, 8},  {"218", 9, 9},  {"232", 8, 8},
     {"233", 9, 9},  {"251", 9, 9},  {"256", 9, 9},  {"260", 9, 9},  {"261", 9, 9},  {"291", 7, 7},  {"351", 9, 9},
     {"353", 8, 9},  {"355", 8, 9},  {"356", 8, 8},  {"357", 8, 8},  {"358", 0, 10}, {"359", 0, 9},  {"371", 8, 8},
     {"374", 8, 8},  {"375", 9, 9},  {"380", 9, 9},  {"382", 8, 8},  {"385", 8, 9},  {"386", 8, 8},  {"387", 8, 9},
     {"389", 8, 8},  {"420", 9, 9},  {"421", 9, 9},  {"591", 8, 8},  {"593", 8, 9},  {"598", 8, 8},  {"852", 8, 8},
     {"853", 8, 8},  {"856", 8, 10}, {"886", 9, 9},  {"965", 8, 8},  {"966", 9, 9},  {"968", 8, 8},  {"970", 8, 9},
     {"971", 8, 9},  {"972", 8, 9},  {"973", 8, 8},  {"974", 8, 8},  {"977", 8, 10}, {"994", 9, 9},  {"995", 9, 9},
     {"996", 9, 9}}};

struct Services {
    std::string_view code;
    std::string_view numbers;
};

// Numbers of a whole country, which are dialled without a national prefix.
constexpr std::array<Services, 26> services{{{"20", "1????"},
                                             {"31", "14??? 14???? 18??"},
                                             {"32", "1???"},
                                             {"33", "1??? 3??? 118???"},
                                             {"36", "1???"},
                                             {"41", "1???"},
                                             {"43", "14?? 118???"},
                                             {"44", "118???"},
                                             {"46", "11??? 118???"},
                                             {"49", "115 118?? 118???"},
                                             {"60", "1300?????? 1600?????? 1700?????? 1800??????"},
                                             {"61", "1*"},
                                             {"62", "14??? 1500???"},
                                             {"63", "1800* 1900*"},
                                             {"66", "1??? 1800?????? 1900??????"},
                                             {"82", "15?????? 16?????? 18??????"},
                                             {"84", "1800???? 1800?????? 1900???? 1900??????"},
                                             {"86", "400??????? 800??????? 95??? 96??? 100?? 123??"},
                                             {"90", "444????"},
                                             {"91", "1800?????? 1800??????? 1860?????? 1860???????"},
                                             {"353", "1800?????? 1850?????? 1890?????? 15???????? 118??"},
                                             {"593", "1700?????? 1800?????? 1900??????"},
                                             {"880", "16???"},
                                             {"966", "9200????? 800???????"},
                                             {"971", "800* 600??????"},
                                             {"972", "1??? 1?????????"}}};

// Codes in the order of the tables.
bool comes_before(std::string_view a, std::string_view b) noexcept {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
}

template <typename Table>
const typename Table::value_type* row_of(const Table& table, std::string_view country) noexcept {
    const auto found =
        std::lower_bound(table.begin(), table.end(), country,
                         [](const auto& row, std::string_view code) { return comes_before(row.code, code); });
    return found == table.end() || found->code != country ? nullptr : &*found;
}

}  // namespace

std::optional<Habits> habits_of(std::string_view country) noexcept {
    const auto* row = row_of(countries, country);
    return row == nullptr ? std::nullopt : std::optional(row->habits);
}

bool is_country(std::string_view country) noexcept {
    return row_of(emergencies, country) != nullptr || row_of(countries, country) != nullptr;
}

std::vector<std::string_view> emergency_numbers(std::string_view country) {
    const auto* row = row_of(emergencies, country);
    return text::split(row == nullptr ? std::string_view("112") : row->numbers, ' ');
}

bool keeps_zero(std::string_view country) noexcept { return country == "39" || country == "378" || country == "379"; }

bool always_dials_area(std::string_view country) noexcept {
    static constexpr std::array<std::string_view, 6> codes{"27", "32", "33", "40", "41", "66"};
    return std::find(codes.begin(), codes.end(), country) != codes.end();
}

std::vector<std::string_view> numbers_of_whole_country(std::string_view country) {
    // 116000 and its like are dialled so in all Europe (2007/116/EC).
    constexpr std::string_view harmonised = "116???";
    std::vector<std::string_view> out;
    if (const auto* row = row_of(services, country)) out = text::split(row->numbers, ' ');
    if (country.starts_with('3') || country.starts_with('4')) out.push_back(harmonised);
    return out;
}

bool is_of_whole_country(std::string_view country, std::string_view national) {
    const auto numbers = numbers_of_whole_country(country);
    return std::any_of(numbers.begin(), numbers.end(),
                       [&](auto pattern) { return text::matches_wildcard(pattern, national); });
}

std::size_t least_whole_digits(std::string_view country) noexcept {
    const auto* row = row_of(lengths, country);
    return row == nullptr ? 0 : row->least;
}

std::size_t most_whole_digits(std::string_view country) noexcept {
    const auto* row = row_of(lengths, country);
    return row == nullptr ? 0 : row->most;
}

DialArea Numbering::dial_area() const noexcept {
    if (always_dial_area != DialArea::no) return always_dial_area;
    const auto* row = row_of(countries, country);
    const bool is_whole = keeps_zero(country) || (row != nullptr && !row->habits.has_areas);
    return is_whole ? DialArea::yes : DialArea::no;
}

bool Numbering::is_whole(std::string_view digits, Length length) const {
    if (is_of_whole_country(country, digits)) return true;
    const auto least = least_whole_digits(country);
    return least > 0 && length == Length::known && digits.size() >= least;
}

bool Numbering::has_country(std::string_view digits) const noexcept {
    constexpr std::size_t shortest = 7;
    const auto most = most_whole_digits(country);
    const auto least = std::max(shortest, least_whole_digits(country));
    return most > 0 && digits.size() > most && digits.starts_with(country) && digits.size() <= country.size() + most &&
           digits.size() >= country.size() + least;
}

bool Numbering::has_area(std::string_view digits, Length length) const {
    constexpr std::size_t without_area = 7;
    if (is_whole(digits, length)) return true;
    if (country == "1" && length == Length::known && digits.size() == without_area) return false;
    return dial_area() != DialArea::no;
}

}  // namespace ums::number
