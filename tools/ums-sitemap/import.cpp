// SPDX-License-Identifier: GPL-3.0-or-later
#include "import.hpp"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "config/config.hpp"
#include "error/error.hpp"
#include "number/conversion.hpp"
#include "number/number.hpp"
#include "text/text.hpp"

namespace ums::sitemap {

namespace {

struct Cell {
    std::string text;
    int line = 0;
};
using Row = std::vector<Cell>;

char separator_of(std::string_view csv) {
    const auto first = csv.substr(0, csv.find_first_of("\r\n"));
    char best = ',';
    std::ptrdiff_t most = 0;
    for (const char candidate : {',', ';', '\t'}) {
        const auto count = std::count(first.begin(), first.end(), candidate);
        if (count > most) {
            most = count;
            best = candidate;
        }
    }
    return best;
}

std::vector<Row> rows_of(std::string_view csv) {
    if (csv.starts_with("\xef\xbb\xbf")) csv.remove_prefix(3);
    const char separator = separator_of(csv);
    std::vector<Row> rows;
    int line = 1;
    std::size_t at = 0;
    while (at < csv.size()) {
        Row row;
        for (bool more = true; more;) {
            Cell cell;
            cell.line = line;
            if (at < csv.size() && csv[at] == '"') {
                ++at;
                for (;; ++at) {
                    if (at >= csv.size()) {
                        throw Error(Fault::unusable,
                                    "line " + std::to_string(cell.line) + ": a quote is opened and never closed");
                    }
                    if (csv[at] == '"' && at + 1 < csv.size() && csv[at + 1] == '"')
                        ++at;
                    else if (csv[at] == '"')
                        break;
                    if (csv[at] == '\n') ++line;
                    cell.text += csv[at];
                }
                ++at;
            }
            while (at < csv.size() && csv[at] != separator && csv[at] != '\n' && csv[at] != '\r')
                cell.text += csv[at++];
            more = at < csv.size() && csv[at] == separator;
            if (csv.substr(at).starts_with("\r\n")) ++at;  // old Macs end lines with the first of them
            if (at < csv.size()) ++at;
            cell.text = text::trim(cell.text);
            row.push_back(std::move(cell));
        }
        ++line;
        if (std::any_of(row.begin(), row.end(), [](const Cell& cell) { return !cell.text.empty(); })) {
            rows.push_back(std::move(row));
        }
    }
    return rows;
}

// What a field is called, reduced to its letters and digits, and our key for it.
struct Field {
    std::string_view name;
    std::string_view key;
};
constexpr std::array fields{Field{"site", "name"},
                            Field{"sitename", "name"},
                            Field{"location", "name"},
                            Field{"name", "name"},
                            Field{"standort", "name"},
                            Field{"standortname", "name"},
                            Field{"description", "name"},
                            Field{"country", "country"},
                            Field{"countrycode", "country"},
                            Field{"landeskennzahl", "country"},
                            Field{"landesvorwahl", "country"},
                            Field{"landesvorwahlnummer", "country"},
                            Field{"lndervorwahl", "country"},
                            Field{"area", "area"},
                            Field{"areacode", "area"},
                            Field{"ortskennzahl", "area"},
                            Field{"ortsvorwahl", "area"},
                            Field{"ortsnetzkennzahl", "area"},
                            Field{"vorwahl", "area"},
                            Field{"landeskennziffer", "country"},
                            Field{"laenderkennzahl", "country"},
                            Field{"lnderkennzahl", "country"},
                            Field{"subscriber", "subscriber"},
                            Field{"hauptnummer", "subscriber"},
                            Field{"hauptrufnummer", "subscriber"},
                            Field{"rufnummer", "subscriber"},
                            Field{"subscribernumber", "subscriber"},
                            Field{"mainnumber", "subscriber"},
                            Field{"accessnumber", "subscriber"},
                            Field{"teilnehmernummer", "subscriber"},
                            Field{"teilnehmerrufnummer", "subscriber"},
                            Field{"anschlussnummer", "subscriber"},
                            Field{"extensiondigits", "extension-digits"},
                            Field{"numberofdirectdialingdigits", "extension-digits"},
                            Field{"numberofdirectdialdigits", "extension-digits"},
                            Field{"directdialingdigits", "extension-digits"},
                            Field{"ddilength", "extension-digits"},
                            Field{"anzahldurchwahlziffern", "extension-digits"},
                            Field{"anzahlderdurchwahlziffern", "extension-digits"},
                            Field{"durchwahlstellen", "extension-digits"},
                            Field{"nationalprefix", "national-prefix"},
                            Field{"nationalaccesscode", "national-prefix"},
                            Field{"nationaleskennzeichen", "national-prefix"},
                            Field{"nationalekennziffer", "national-prefix"},
                            Field{"internationalprefix", "international-prefix"},
                            Field{"internationalaccesscode", "international-prefix"},
                            Field{"internationaleskennzeichen", "international-prefix"},
                            Field{"internationalekennziffer", "international-prefix"},
                            Field{"outsideline", "outside-line"},
                            Field{"outsidelineaccess", "outside-line"},
                            Field{"outsidelineaccessnumber", "outside-line"},
                            Field{"amtsholung", "outside-line"},
                            Field{"amtskennziffer", "outside-line"},
                            Field{"amtskennzahl", "outside-line"},
                            Field{"internallength", "internal-length"},
                            Field{"maxinternalddilength", "internal-length"},
                            Field{"internelnge", "internal-length"},
                            Field{"internelaenge", "internal-length"},
                            Field{"maxinternedurchwahllnge", "internal-length"},
                            Field{"maxinternedurchwahllaenge", "internal-length"},
                            Field{"typeofnumber", "type-of-number"},
                            Field{"ton", "type-of-number"},
                            Field{"numberine164", "e164-signalled"},
                            Field{"rufnummerine164", "e164-signalled"},
                            Field{"e164only", "e164-only"},
                            Field{"allowoutgoingmessagesonlyine164format", "e164-only"},
                            Field{"ausgehendenachrichtennurime164format", "e164-only"},
                            Field{"alwaysdialarea", "always-dial-area"},
                            Field{"dialalwaysnationalaccessandareacode", "always-dial-area"},
                            Field{"alwaysdialnationalaccessandareacode", "always-dial-area"},
                            Field{"removeoutsideline", "remove-outside-line"},
                            Field{"removeoutsidelineaccessatthesenderscallnumber", "remove-outside-line"},
                            Field{"faxid", "fax-id"},
                            Field{"senderid", "fax-id"},
                            Field{"faxsendernumber", "fax-id"},
                            Field{"absenderkennung", "fax-id"},
                            Field{"absenderid", "fax-id"},
                            Field{"headerline", "header-line"},
                            Field{"faxheadline", "header-line"},
                            Field{"headline", "header-line"},
                            Field{"kopfzeile", "header-line"},
                            Field{"callerid", "caller-id"},
                            Field{"isdnoriginatingaddress", "caller-id"},
                            Field{"billing", "billing"},
                            Field{"billingcode", "billing"},
                            Field{"kostenstelle", "billing"},
                            Field{"language", "language"},
                            Field{"sprache", "language"},
                            Field{"timezone", "time-zone"},
                            Field{"zeitzone", "time-zone"},
                            Field{"ddimapping", "ddi"},
                            Field{"ddi", "ddi"},
                            Field{"dienstzuordnung", "ddi"},
                            Field{"servicemapping", "ddi"},
                            Field{"conversions", "conversions"},
                            Field{"conversionrules", "conversions"},
                            Field{"numberconversions", "conversions"},
                            Field{"numberconversion", "conversions"},
                            Field{"rufnummernkonverter", "conversions"},
                            Field{"rufnummernkonvertierung", "conversions"}};

std::string reduced(std::string_view name) {
    std::string out;
    for (const char c : text::lower(name)) {
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
    }
    return out;
}

std::optional<std::string_view> key_of(std::string_view name) {
    const auto wanted = reduced(name);
    const auto* found = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == wanted; });
    return found == fields.end() ? std::nullopt : std::optional(found->key);
}

// In single quotes, in which only the quote itself means something.
std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') out += '\'';
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return out + "'";
}

std::optional<bool> flag_of(std::string_view text) {
    const auto word = text::lower(text);
    for (const std::string_view yes : {"yes", "true", "1", "on", "x", "ja", "wahr"}) {
        if (word == yes) return true;
    }
    for (const std::string_view no : {"no", "false", "0", "off", "", "nein", "falsch"}) {
        if (word == no) return false;
    }
    return std::nullopt;
}

std::string only_digits(std::string_view text, std::string_view also = "") {
    std::string out;
    std::copy_if(text.begin(), text.end(), std::back_inserter(out),
                 [&](char c) { return (c >= '0' && c <= '9') || also.find(c) != std::string_view::npos; });
    return out;
}

// Entries of a cell that holds several: lines, or parts between `|`.
std::vector<std::string_view> entries_of(std::string_view text) {
    std::vector<std::string_view> out;
    for (const auto line : text::split(text, '\n')) {
        for (const auto part : text::split(line, '|')) {
            if (!text::trim(part).empty()) out.push_back(text::trim(part));
        }
    }
    return out;
}

class Site {
  public:
    Site(std::string name, std::vector<std::string>& warnings) : name_(std::move(name)), warnings_(warnings) {}

    void set(std::string_view key, const Cell& cell) {
        // An empty prefix says that there is none; of all else an empty cell says nothing.
        if (cell.text.empty() && key == "national-prefix") numbering_["national-prefix"] = "''";
        if (key == "name" || cell.text.empty()) return;
        if (key == "e164-only" || key == "always-dial-area" || key == "remove-outside-line" ||
            key == "e164-signalled") {
            const auto flag = flag_of(cell.text);
            if (!flag) {
                warn(cell, key, "is neither yes nor no");
            } else if (key == "e164-signalled") {
                if (*flag) numbering_["type-of-number"] = "international";
            } else if (*flag) {
                numbering_[std::string(key)] = "yes";
            }
        } else if (key == "country" || key == "area" || key == "national-prefix" || key == "international-prefix" ||
                   key == "outside-line") {
            if (const auto value = digits(key, cell.text))
                numbering_[std::string(key)] = quoted(*value);
            else
                warn(cell, key, "is no digits");
        } else if (key == "subscriber") {
            subscribers(cell);
        } else if (key == "extension-digits" || key == "internal-length") {
            if (const auto value = count_of(key, cell.text))
                numbering_[std::string(key)] = *value;
            else
                warn(cell, key, "is no number of digits");
        } else if (key == "type-of-number") {
            const auto type = number::parse_type_of_number(cell.text);
            if (type)
                numbering_["type-of-number"] = std::string(number::to_string(*type));
            else
                warn(cell, key, "is not unknown, subscriber, national or international");
        } else if (key == "ddi") {
            ddi(cell);
        } else if (key == "conversions") {
            conversions(cell);
        } else {
            own_.emplace_back(key, quoted(cell.text));
        }
    }

    std::string yaml() {
        // The manuals want the area without its leading 0, and people write it all the same.
        const bool italian = numbering_["country"] == quoted("39");
        auto& area = numbering_["area"];
        if (!italian && area.size() > 3 && area[1] == '0') {
            warnings_.push_back("site " + text::quote(name_) + ": the area is taken without its leading 0");
            area.erase(1, 1);
        }
        std::string out = "  " + name_ + ":\n    kernels: [CHANGE-ME]\n    numbering:\n";
        for (const std::string_view key : {"country", "area", "subscriber", "extension-digits", "national-prefix",
                                           "international-prefix", "outside-line", "remove-outside-line",
                                           "internal-length", "type-of-number", "e164-only", "always-dial-area"}) {
            const auto found = numbering_.find(std::string(key));
            if (found != numbering_.end() && !found->second.empty()) {
                out.append("      ").append(key).append(": ").append(found->second).append("\n");
            }
        }
        if (!conversions_.empty()) {
            out += "    conversions:\n";
            for (const auto& one : conversions_) out += "      - " + one + "\n";
        }
        if (!ddi_.empty()) {
            out += "    ddi:\n";
            for (const auto& [pattern, action] : ddi_) out += "      " + pattern + ": " + action + "\n";
        }
        for (const auto& [key, value] : own_) out.append("    ").append(key).append(": ").append(value).append("\n");
        return out;
    }

  private:
    void warn(const Cell& cell, std::string_view key, const std::string& what) {
        warnings_.push_back("line " + std::to_string(cell.line) + ": " + std::string(key) + " " +
                            text::quote(cell.text) + " of site " + text::quote(name_) + " " + what +
                            "; it is left out");
    }

    // As people write a number; `-` and `/` stand between two.
    static std::optional<std::string> digits(std::string_view key, std::string_view text) {
        std::string value = only_digits(text, key == "outside-line" ? "*#" : "");
        if (key == "country" && value.starts_with("00")) value.erase(0, 2);
        const bool usual = text.find_first_not_of("0123456789*#+() .") == std::string::npos;
        if (!usual || value.empty() || value.size() > 20) return std::nullopt;
        return value;
    }

    // `3`, and of extensions `2-3`.
    static std::optional<std::string> count_of(std::string_view key, std::string_view text) {
        constexpr unsigned most = 20;
        std::string out;
        for (const auto part : text::split(text, '-')) {
            const auto number = text::parse_number(text::trim(part));
            if (!number || *number > most) return std::nullopt;
            out += (out.empty() ? "" : "-") + std::to_string(*number);
        }
        return key == "extension-digits" || out.find('-') == std::string::npos ? std::optional(out) : std::nullopt;
    }

    // `4799`, several as `4799/4838`, and blocks as `5550100-5550199`.
    void subscribers(const Cell& cell) {
        std::string list;
        std::size_t count = 0;
        std::string separated = cell.text;
        for (char& c : separated) c = std::string_view("/,;|\n").find(c) != std::string_view::npos ? '\n' : c;
        for (const auto part : text::split(separated, '\n')) {
            const auto ends = text::split(part, '-');
            std::string one;
            bool right = ends.size() <= 2;
            std::size_t length = 0;
            for (const auto end : ends) {
                const auto value = digits("subscriber", end);
                right = right && value && (length == 0 || value->size() == length);
                if (!right) return warn(cell, "subscriber", "is no main number, nor a block of numbers");
                length = value->size();
                one += (one.empty() ? "" : "-") + *value;
            }
            list += (list.empty() ? "" : ", ") + quoted(one);
            ++count;
        }
        numbering_["subscriber"] = count == 1 ? list : "[" + list + "]";
    }

    // `1*=Fax`, `2*: Voice`, `30 Fax or Voice`.
    void ddi(const Cell& cell) {
        for (const auto entry : entries_of(cell.text)) {
            const auto end = entry.find_first_of("=:; \t");
            const auto pattern = text::trim(entry.substr(0, end));
            const auto word = end == std::string_view::npos ? std::string() : reduced(entry.substr(end + 1));
            const std::string action = word == "faxorvoice" || word == "faxandvoice" || word == "faxodervoice"
                                           ? "fax-or-voice"
                                       : word == "fax" || word == "voice" || word == "ignore" || word == "reject" ? word
                                                                                                                  : "";
            const bool right = !pattern.empty() && pattern.find_first_not_of("0123456789*?+") == std::string_view::npos;
            if (!right || action.empty()) {
                warn({std::string(entry), cell.line}, "ddi",
                     "is no extension with fax, voice, fax or voice, ignore or reject");
            } else {
                ddi_.emplace_back(quoted(pattern), action);
            }
        }
    }

    void conversions(const Cell& cell) {
        for (const auto entry : entries_of(cell.text)) {
            try {
                number::parse_conversion(entry);
                conversions_.push_back(quoted(entry));
            } catch (const Error& error) {
                warnings_.push_back("line " + std::to_string(cell.line) + ": " + error.what() + "; it is left out");
            }
        }
    }

    std::string name_;
    std::vector<std::string>& warnings_;
    std::map<std::string, std::string> numbering_;
    std::vector<std::string> conversions_;
    std::vector<std::pair<std::string, std::string>> ddi_;
    std::vector<std::pair<std::string_view, std::string>> own_;
};

// A name that a site can have: what cannot stand in one is left out.
std::string site_name_of(std::string_view wanted) {
    std::string name;
    for (const char c : text::lower(wanted)) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (plain && name.size() < 28)
            name += c;
        else if (c == ' ' && !name.empty() && !name.ends_with('-') && name.size() < 28)
            name += '-';
    }
    while (name.ends_with('-') || name.ends_with('.')) name.pop_back();
    return name;
}

// The same of a site that is not named so, and different from all others.
std::string site_name(std::string_view wanted, std::size_t number, std::set<std::string>& taken) {
    auto name = site_name_of(wanted);
    if (!config::is_name(name) || name == "noroute") name = "site-" + std::to_string(number);
    for (unsigned k = 2; !taken.insert(name).second; ++k) name = name.substr(0, 26) + "-" + std::to_string(k);
    return name;
}

std::vector<Row> turned(const std::vector<Row>& rows) {
    std::size_t width = 0;
    for (const auto& row : rows) width = std::max(width, row.size());
    std::vector<Row> out(width);
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < width; ++i) out[i].push_back(i < row.size() ? row[i] : Cell{"", row.front().line});
    }
    return out;
}

std::size_t known_in(const Row& row) {
    return static_cast<std::size_t>(
        std::count_if(row.begin(), row.end(), [](const Cell& cell) { return key_of(cell.text).has_value(); }));
}

bool is_utf16(std::string_view csv) { return csv.starts_with("\xff\xfe") || csv.starts_with("\xfe\xff"); }

// What Excel saves as "Unicode text"; its mark says which byte comes first.
std::string from_utf16(std::string_view csv) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): that is how iconv_open() says that it failed
    const auto is_open = [](iconv_t one) { return one != reinterpret_cast<iconv_t>(-1); };
    const auto converter = iconv_open("UTF-8", "UTF-16");
    if (!is_open(converter)) throw Error(Fault::unusable, "the file is UTF-16, which cannot be read here");
    std::string input(csv);
    std::string out(csv.size() * 2, '\0');
    char* from = input.data();
    char* to = out.data();
    std::size_t left = input.size();
    std::size_t room = out.size();
    const bool whole = iconv(converter, &from, &left, &to, &room) != static_cast<std::size_t>(-1) && left == 0;
    iconv_close(converter);
    if (!whole) throw Error(Fault::unusable, "the file begins as UTF-16, but is not all of it");
    out.resize(out.size() - room);
    return out;
}

}  // namespace

Imported import_sites(std::string_view csv) {
    Imported imported;
    std::string converted;
    if (is_utf16(csv)) csv = converted = from_utf16(csv);
    if (csv.find('\0') != std::string_view::npos) {
        throw Error(Fault::unusable,
                    "the file has characters that are 0, as UTF-16 without its mark, or UTF-32; save it as UTF-8");
    }
    if (!text::is_utf8(csv)) {
        imported.warnings.emplace_back("the file is no UTF-8; it is read as Latin-1");
        csv = converted = text::from_latin1(csv);
    }
    auto rows = rows_of(csv);
    if (rows.empty()) throw Error(Fault::unusable, "the file is empty");
    auto columns = turned(rows);
    if (known_in(columns.front()) > known_in(rows.front())) rows = std::move(columns);
    if (known_in(rows.front()) == 0) {
        throw Error(Fault::unusable,
                    "no field is known: the first row, or the first column, must have names such as 'Country Code', "
                    "'Area Code', 'Subscriber Number', 'Outside Line Access'");
    }
    const Row& names = rows.front();
    std::vector<std::string_view> known;
    for (const auto& field : fields) known.push_back(field.name);
    for (const auto& name : names) {
        if (name.text.empty() || key_of(name.text)) continue;
        const auto near = text::nearest(reduced(name.text), known);
        imported.warnings.push_back("line " + std::to_string(name.line) + ": the field " + text::quote(name.text) +
                                    " is not known and left out" +
                                    (near ? "; is " + text::quote(*near) + " meant?" : ""));
    }
    std::vector<std::optional<std::string_view>> keys;  // of each column; what is there again counts as unknown
    for (const auto& name : names) {
        auto key = key_of(name.text);
        if (key && std::find(keys.begin(), keys.end(), key) != keys.end()) {
            imported.warnings.push_back("line " + std::to_string(name.line) + ": " + text::quote(name.text) +
                                        " is a second field for " + text::quote(*key) + " and left out");
            key.reset();
        }
        keys.push_back(key);
    }
    if (rows.size() == 1) throw Error(Fault::unusable, "there are names of fields, and no site");
    std::set<std::string> taken;
    imported.yaml = "sites:\n";
    for (std::size_t i = 1; i < rows.size(); ++i) {
        const Row& row = rows[i];
        const auto told = [&](const std::string& what) {
            imported.warnings.push_back("line " + std::to_string(row.front().line) + ": " + what);
        };
        const auto named = std::find(keys.begin(), keys.end(), std::optional<std::string_view>("name"));
        const auto column = static_cast<std::size_t>(named - keys.begin());
        const std::string wanted = column < row.size() ? row[column].text : std::string();
        const auto called = site_name(wanted, i, taken);
        if (named != keys.end() && called != site_name_of(wanted)) {
            told((wanted.empty() ? "a site without a name" : "site " + text::quote(wanted)) + " is called " +
                 text::quote(called));
        }
        if (row.size() > names.size()) told("site " + text::quote(called) + " has more cells than there are fields");
        Site site(called, imported.warnings);
        for (std::size_t k = 0; k < names.size() && k < row.size(); ++k) {
            if (keys[k]) site.set(*keys[k], row[k]);
        }
        imported.yaml += site.yaml();
    }
    return imported;
}

}  // namespace ums::sitemap
