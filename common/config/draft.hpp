// SPDX-License-Identifier: GPL-3.0-or-later
//
// Private to config: the configuration while it is read, section by section, in whatever order the file has them.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/document.hpp"
#include "config/report.hpp"

namespace ums::config {

class Section;

/// What a recipient's number is for, `sms#+49...`.
inline constexpr std::array<std::string_view, 5> services{"fax", "sms", "voc", "mwi", "tts"};

/// The service before the # of a pattern in lower case, if it is one; both go from `pattern`. Else empty.
std::string_view take_service(std::string& pattern);
/// Warns of a pattern that names a service there is not, `voice#+49*`: it fits no number.
void check_service(std::string_view pattern, const Place& place, Report& report);

/// A name that must be one of a kernel, connector or site; looked up when all sections are read.
struct Reference {
    enum class To { kernel, connector, site } to = To::kernel;
    std::string name;
    Place place;
};

struct Draft {
    Draft(const std::string& file, std::string directory) : base(std::move(directory)), report(file) {
        config.file = file;
    }

    void refer(Reference::To to, const Node& node) { references.push_back({to, node.text, report.place(node)}); }

    std::string base;  ///< absolute; where relative paths start
    Config config;
    std::vector<Reference> references;
    Report report;
};

/// Where relative paths of `file` start; absolute.
std::string directory_of(const std::string& file);
/// All of `file`, which `what` it is. Throws Error{configuration}, also for more than 16 MiB.
std::string read_file(const std::string& file, std::string_view what);
/// A file of `cases:`, each of which goes to `read`; `form` shows how one is written.
void read_cases(const std::string& file, std::string_view form, Report& report,
                const std::function<void(const Node&)>& read);

void read_mds(const Node& node, Draft& draft);
void read_kernels(const Node& node, Draft& draft);
void read_connectors(const Node& node, Draft& draft);
/// `defaults`: the section `site-defaults`, or null.
void read_sites(const Node& node, const Node* defaults, Draft& draft);
void read_routes(const Node& node, Draft& draft);
std::optional<number::Numbering> read_numbering(const Node& node, Report& report);
/// The keys of a case but `name` and `site`. Reports what is missing.
NumberCase read_number_case(Section& section);
/// What the site makes of the examples of all sites is what they expect (errors). For a draft without errors.
void check_examples(Draft& draft);
/// The key `time-zone`.
void read_time_zone(Section& section, std::string& out);

/// What is wrong with the form of an address (see Deliver) that has `{<number>}`; nothing if it can be used.
std::optional<std::string> problem_of_address(std::string_view form, std::string_view number);
/// The rows of the file that `addresses` names, mistakes reported with their line.
std::vector<AddressRow> read_addresses(const std::string& file, const Node& node, Report& report);

/// What is missing, references, and contradictions between sections (errors).
void check_whole(Draft& draft);
/// What is allowed but cannot be meant (warnings). For a draft without errors.
void check_sense(Draft& draft);
/// The part of check_sense() that is about `routes:`.
void check_rules(const Config& config, Report& report);

/// The entries of a section of names (`kernels:` and the like) whose name can be one; reports the others.
struct Named {
    const Node* name;
    const Node* value;
};
std::vector<Named> read_names(const Node& node, std::string_view section, std::string_view one, Report& report);

}  // namespace ums::config
