// SPDX-License-Identifier: GPL-3.0-or-later
//
// What only the whole file can tell: missing parts and references (errors), and what cannot be meant (warnings).
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "config/draft.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

using target::Scheme;

std::string line_of(const Place& place) { return "line " + std::to_string(place.line); }

template <typename Entry>
std::vector<std::string_view> names_of(const std::vector<Entry>& entries) {
    std::vector<std::string_view> names;
    for (const auto& entry : entries) names.push_back(entry.name);
    return names;
}

// Whether a known name; reports it if not.
class Known {
  public:
    template <typename Entry>
    Known(std::string what, const std::vector<Entry>& entries)
        : what_(std::move(what)), names_(names_of(entries)), lookup_(names_.begin(), names_.end()) {}

    void check(const Reference& reference, Report& report) const {
        // With none at all, that they are missing is said already, once.
        if (names_.empty() || lookup_.contains(reference.name)) return;
        report.unknown(reference.place, what_, reference.name, names_);
    }

  private:
    std::string what_;
    std::vector<std::string_view> names_;
    std::set<std::string_view> lookup_;
};

bool is_within(const std::string& path, const std::string& directory) {
    if (directory == "/") return true;
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

// A spool that is fetched from, or a place of messages among the spool's own files, would eat itself. A spool beside the
// directories of connectors, or beside the `R_*` of a kernel, does no harm.
void check_apart_from_spool(const std::string& what, const std::optional<target::Target>& place,
                            const std::string& below, const Place& at, Draft& draft) {
    if (!place || place->scheme != Scheme::file) return;
    const std::string& spool = draft.config.mds.spool;
    if (is_within(place->path, spool)) {
        draft.report.error(at, what + " " + text::quote(place->path) + " lies in the spool " + text::quote(spool));
    } else if (!below.empty() && is_within(spool, (place->path == "/" ? "" : place->path) + "/" + below)) {
        draft.report.error(
            at, "the spool " + text::quote(spool) + " lies in the directory of connector " + text::quote(below));
    }
}

// A pattern of numbers as a plain prefix: `sms#+4917*` is the service `sms#`, the number `+4917`, open.
struct Prefix {
    std::string service;  // with its #, in lower case
    std::string number;   // as it is compared
    bool open = false;    // ends in *
};

// Nothing for a pattern with another wildcard.
std::optional<Prefix> prefix_of(std::string_view pattern, const number::Numbering* home) {
    Prefix out;
    std::string rest = text::lower(text::trim(pattern));
    if (const auto service = take_service(rest); !service.empty()) out.service.append(service) += '#';
    if (number::is_number_pattern(rest)) rest = number::normalise_pattern(rest, home);
    if (rest.ends_with('*')) {
        out.open = true;
        rest.pop_back();
    }
    if (rest.find_first_of("*?") != std::string::npos) return std::nullopt;
    out.number = std::move(rest);
    return out;
}

// Open prefixes that came earlier, and whose they are.
template <typename Owner>
class Prefixes {
  public:
    /// Whose prefix takes all that `prefix` could.
    const Owner* covering(const Prefix& prefix) const {
        for (const auto& service : {std::string(), prefix.service}) {
            for (std::size_t length = 0; length <= prefix.number.size(); ++length) {
                const auto found = owners_.find(service + prefix.number.substr(0, length));
                if (found != owners_.end()) return found->second;
            }
        }
        return nullptr;
    }
    void add(const Prefix& prefix, const Owner& owner) {
        if (prefix.open) owners_.emplace(prefix.service + prefix.number, &owner);
    }

  private:
    std::map<std::string, const Owner*> owners_;
};

// Without a country nobody knows what number `1234` is elsewhere.
void check_fallback(const Config& config, const Site& site, Report& report) {
    if (site.numbering ? !site.numbering->country.empty() : config.numbering_of(nullptr) != nullptr) return;
    for (const auto& name : site.fallback) {
        const auto* fallback = config.site(name);
        if (fallback == nullptr) continue;
        const bool completes = fallback->numbering && !fallback->numbering->country.empty();
        report.warning(site.place, "site " + text::quote(site.name) + " has no country, but falls back to " +
                                       text::quote(name) + ": a number without '+' is dialled there as " +
                                       (completes ? "one of " + text::quote(name) : "it is written"));
    }
}

void check_sites(const Config& config, Report& report) {
    std::set<std::string_view> wanted;
    bool any = false;
    for (const auto& route : config.routes) {
        wanted.insert(route.to.begin(), route.to.end());
        any = any || (route.to.size() == 1 && route.to[0] == "*");
    }
    for (const auto& site : config.sites) wanted.insert(site.fallback.begin(), site.fallback.end());
    for (const auto& site : config.sites) check_fallback(config, site, report);
    // A table names sites that only its reader knows.
    if (any) return;
    for (const auto& site : config.sites) {
        if (!wanted.contains(site.name)) {
            report.warning(site.place,
                           "no rule routes to site " + text::quote(site.name) + ", and no site falls back to it");
        }
    }
}

void check_kernels(const Config& config, Report& report) {
    std::set<std::string_view> used;
    for (const auto& site : config.sites) used.insert(site.kernels.begin(), site.kernels.end());
    std::map<std::string, const Kernel*> urls;
    for (const auto& kernel : config.kernels) {
        if (!used.contains(kernel.name)) {
            report.warning(kernel.place,
                           "no site uses kernel " + text::quote(kernel.name) +
                               (kernel.fetch ? ": messages are only fetched from it" : ": it does nothing"));
        }
        const auto has_another = [&](const Site& site) {
            return std::find(site.kernels.begin(), site.kernels.end(), kernel.name) != site.kernels.end() &&
                   (site.kernels.size() > 1 || !site.fallback.empty());
        };
        if (kernel.recall && used.contains(kernel.name) &&
            std::none_of(config.sites.begin(), config.sites.end(), has_another)) {
            report.warning(kernel.place, "'recall' of kernel " + text::quote(kernel.name) +
                                             " never acts: no site has another kernel for its messages");
        }
        if (kernel.recall && kernel.stuck && *kernel.stuck >= config.sent_is_kept()) {
            report.warning(kernel.place, "'recall' of kernel " + text::quote(kernel.name) +
                                             " comes too late: it counts as stuck after " +
                                             text::format_duration(*kernel.stuck) + ", and what was sent is kept for " +
                                             text::format_duration(config.sent_is_kept()));
        }
        const auto [first, is_new] = urls.emplace(target::to_string(kernel.url), &kernel);
        if (!is_new) {
            report.warning(kernel.place, "kernel " + text::quote(kernel.name) + " has the url of " +
                                             text::quote(first->second->name) + " in " + line_of(first->second->place));
        }
    }
}

// The first connector whose numbers fit gets a received message.
void check_numbers(const Config& config, Report& report) {
    Prefixes<Connector> prefixes;
    for (const auto& connector : config.connectors) {
        for (const auto& pattern : connector.numbers) {
            check_service(pattern, connector.place, report);
            const auto prefix = prefix_of(pattern, config.numbering_of(nullptr));
            if (!prefix) continue;
            const Connector* wider = prefixes.covering(*prefix);
            if (wider && wider != &connector) {
                report.warning(connector.place, "connector " + text::quote(connector.name) + " never gets " +
                                                    text::quote(pattern) + ": " + text::quote(wider->name) + " in " +
                                                    line_of(wider->place) + " takes these numbers");
            }
            prefixes.add(*prefix, connector);
        }
    }
}

// Numbers of a site: what they begin with in international form, and the extensions behind it.
struct Block {
    const Site* site;
    std::string prefix;
    const std::vector<number::Extensions>* extensions;
};

std::vector<Block> blocks_of(const Site& site) {
    std::vector<Block> out;
    if (!site.numbering || site.numbering->country.empty()) return out;
    for (const auto& main : site.numbering->subscribers) {
        out.push_back({&site, "+" + site.numbering->country + site.numbering->area + main.number, &main.extensions});
    }
    return out;
}

// Whether an extension behind `longer` can be one behind `shorter`, of which it is a part.
bool can_be_same(const Block& shorter, const Block& longer) {
    if (!longer.prefix.starts_with(shorter.prefix)) return false;
    if (shorter.extensions->empty()) return true;
    const std::string between = longer.prefix.substr(shorter.prefix.size());
    const auto overlap = [&](const number::Extensions& a, const std::string& first, const std::string& last) {
        return a.first.size() == first.size() && a.first <= last && first <= a.last;
    };
    for (const auto& a : *shorter.extensions) {
        if (longer.extensions->empty()) {
            // All that begins so, with whatever number of digits.
            const auto rest = a.first.size() < between.size() ? 0 : a.first.size() - between.size();
            if (a.first.size() >= between.size() &&
                overlap(a, between + std::string(rest, '0'), between + std::string(rest, '9')))
                return true;
            continue;
        }
        for (const auto& b : *longer.extensions) {
            if (overlap(a, between + b.first, between + b.last)) return true;
        }
    }
    return false;
}

bool overlap(const Block& a, const Block& b) {
    return a.prefix.size() <= b.prefix.size() ? can_be_same(a, b) : can_be_same(b, a);
}

bool stands_in_for(const Site& a, const Site& b) {
    return std::find(a.fallback.begin(), a.fallback.end(), b.name) != a.fallback.end();
}

// Two sites with the same numbers are one PBX, on purpose; with some of the same, a mistake.
void check_blocks(const Config& config, Report& report) {
    std::vector<Block> seen;
    for (const auto& site : config.sites) {
        const auto own = blocks_of(site);
        for (const auto& block : own) {
            for (const auto& other : seen) {
                if (!overlap(block, other) || stands_in_for(site, *other.site) || stands_in_for(*other.site, site) ||
                    site.numbering == other.site->numbering)
                    continue;
                report.warning(site.place, "numbers of site " + text::quote(site.name) + " (" + block.prefix +
                                               ") are also those of " + text::quote(other.site->name) + " in " +
                                               line_of(other.site->place) + " (" + other.prefix + ")");
            }
        }
        seen.insert(seen.end(), own.begin(), own.end());
    }
}

// An extension that two main numbers of a site name as theirs: signalled alone it can only be the first one's.
void check_extensions(const Config& config, Report& report) {
    for (const auto& site : config.sites) {
        if (!site.numbering) continue;
        const auto& all = site.numbering->subscribers;
        for (std::size_t i = 0; i < all.size(); ++i) {
            for (std::size_t k = 0; k < i; ++k) {
                for (const auto& a : all[k].extensions) {
                    for (const auto& b : all[i].extensions) {
                        if (a.first.size() != b.first.size() || a.first > b.last || b.first > a.last) continue;
                        report.warning(site.place, "site " + text::quote(site.name) + ": extensions " +
                                                       std::max(a.first, b.first) + " to " + std::min(a.last, b.last) +
                                                       " are those of " + all[k].number + " and of " + all[i].number +
                                                       "; signalled alone they are taken for " + all[k].number + "'s");
                    }
                }
            }
        }
    }
}

// Whether a number of the block can match the pattern (as normalise_pattern() leaves it, with * at its end at most).
bool can_match(const std::string& pattern, const Block& block) {
    const auto end = pattern.find_first_of("*?");
    const std::string start = pattern.substr(0, end);
    return start.starts_with(block.prefix) || (end != std::string::npos && block.prefix.starts_with(start));
}

// Whether a rule may make a number of somewhere else of what is signalled.
bool may_leave_the_site(const number::Conversion& rule, const number::Numbering& numbering) {
    if (rule.direction != number::Conversion::Direction::incoming || rule.kind != number::Conversion::Kind::destination)
        return false;
    const auto begins_with = [&](const std::string& prefix) { return rule.replacement.starts_with(prefix); };
    return rule.expression != nullptr || rule.replacement.empty() || begins_with("+") ||
           std::any_of(numbering.international_prefixes.begin(), numbering.international_prefixes.end(), begins_with);
}

// Only if all numbers of all sites are known can it be told that none reaches a connector.
void check_reach(const Config& config, Report& report) {
    std::vector<Block> blocks;
    for (const auto& site : config.sites) {
        const auto own = blocks_of(site);
        const bool converts =
            !own.empty() && std::any_of(site.conversions.begin(), site.conversions.end(),
                                        [&](const auto& rule) { return may_leave_the_site(rule, *site.numbering); });
        if (own.empty() || converts) return;
        blocks.insert(blocks.end(), own.begin(), own.end());
    }
    for (const auto& connector : config.connectors) {
        const bool of_a_site = std::any_of(config.sites.begin(), config.sites.end(),
                                           [&](const Site& site) { return site.connectors.names(connector.name); });
        if (of_a_site || connector.numbers.empty()) continue;
        const bool reached = std::any_of(connector.numbers.begin(), connector.numbers.end(), [&](const auto& pattern) {
            const auto prefix = prefix_of(pattern, config.numbering_of(nullptr));
            if (!prefix || !prefix->number.starts_with('+')) return true;
            return std::any_of(blocks.begin(), blocks.end(), [&](const Block& block) {
                return can_match(prefix->number + (prefix->open ? "*" : ""), block);
            });
        });
        if (!reached) {
            report.warning(connector.place, "no number of any site reaches connector " + text::quote(connector.name) +
                                                ": it gets only what lies in its own directory on a kernel");
        }
    }
}

// Of two sites of one kernel that name the same line, the second gets nothing by it.
void check_lines(const Config& config, Report& report) {
    const auto shared = [](const LineRule& a, const LineRule& b) -> const std::string* {
        if (!text::equal_ignoring_case(a.field, b.field)) return nullptr;
        for (const auto& pattern : b.patterns) {
            if (std::any_of(a.patterns.begin(), a.patterns.end(),
                            [&](const auto& wide) { return text::matches_wildcard(wide, pattern); }))
                return &pattern;
        }
        return nullptr;
    };
    for (auto site = config.sites.begin(); site != config.sites.end(); ++site) {
        for (auto before = config.sites.begin(); before != site; ++before) {
            const bool one_kernel =
                std::any_of(site->kernels.begin(), site->kernels.end(), [&](const std::string& kernel) {
                    return std::find(before->kernels.begin(), before->kernels.end(), kernel) != before->kernels.end();
                });
            if (!one_kernel) continue;
            for (const auto& a : before->lines) {
                for (const auto& b : site->lines) {
                    const auto* pattern = shared(a, b);
                    if (pattern == nullptr) continue;
                    report.warning(site->place, "line " + text::quote(*pattern) + " (" + b.field + ") of site " +
                                                    text::quote(site->name) + " is that of " +
                                                    text::quote(before->name) + " in " + line_of(before->place) +
                                                    " already, which gets what comes by it");
                }
            }
        }
    }
}

// Rules of a site that no extension meets, and conversions that nothing asks for.
void check_site_rules(const Config& config, Report& report) {
    for (const auto& site : config.sites) {
        const auto blocks = blocks_of(site);
        for (const auto& rule : site.ddi) {
            const bool whole = rule.pattern.starts_with('+');
            const bool is_open = rule.pattern.find('*') != std::string::npos;
            const bool too_long = !whole && !is_open && site.numbering && site.numbering->extension_digits &&
                                  rule.pattern.size() > site.numbering->extension_digits->most;
            const bool elsewhere =
                whole && !blocks.empty() && std::none_of(blocks.begin(), blocks.end(), [&](const Block& block) {
                    return can_match(number::normalise_pattern(rule.pattern, nullptr), block);
                });
            if (too_long || elsewhere) {
                report.warning(rule.place,
                               "'ddi' " + text::quote(rule.pattern) + " of site " + text::quote(site.name) +
                                   " fits nothing: " +
                                   (too_long ? "its extensions have fewer digits" : "it is no number of this site"));
            }
        }
        for (const auto& rule : site.conversions) {
            if (rule.direction != number::Conversion::Direction::outgoing ||
                rule.kind != number::Conversion::Kind::redirector)
                continue;
            report.warning(site.place, "conversion " + text::quote(rule.text) + " of site " + text::quote(site.name) +
                                           " is never used: an outgoing message has no redirector");
        }
    }
}

void check_connectors(const Config& config, Report& report) {
    const auto is_of_a_site = [&](std::string_view name) {
        return std::any_of(config.sites.begin(), config.sites.end(),
                           [&](const Site& site) { return site.connectors.names(name); });
    };
    std::map<std::string, const Connector*> folded;
    for (const auto& connector : config.connectors) {
        if (!connector.root && connector.numbers.empty() && !is_of_a_site(connector.name)) {
            report.warning(connector.place, "connector " + text::quote(connector.name) +
                                                " gets no message: it has no 'numbers' and is no site's connector");
        }
        const auto [first, is_new] = folded.emplace(text::lower(connector.name), &connector);
        if (!is_new) {
            report.warning(connector.place, "connectors " + text::quote(first->second->name) + " and " +
                                                text::quote(connector.name) +
                                                " are one directory on a kernel that does not tell letter case");
        }
    }
    // `<root>/<name>` of one can be a directory inside that of another, or the same by way of a longer root.
    std::map<std::string, const Connector*> directories;
    for (const auto& connector : config.connectors) {
        if (!connector.root) continue;
        directories.emplace(target::to_string(*connector.root) + "/" + connector.name, &connector);
    }
    for (const auto& connector : config.connectors) {
        if (!connector.root) continue;
        const std::string root = target::to_string(*connector.root);
        for (auto slash = root.find('/'); slash != std::string::npos; slash = root.find('/', slash + 1)) {
            const auto next = root.find('/', slash + 1);
            const auto outer = directories.find(root.substr(0, next));
            if (outer == directories.end() || outer->second == &connector) continue;
            report.warning(connector.place, "the directory of connector " + text::quote(connector.name) +
                                                " lies in that of " + text::quote(outer->second->name));
        }
    }
}

}  // namespace

void check_whole(Draft& draft) {
    const Config& config = draft.config;
    const Known kernels("kernel", config.kernels);
    const Known connectors("connector", config.connectors);
    const Known sites("site", config.sites);
    for (const auto& reference : draft.references) {
        switch (reference.to) {
            case Reference::To::kernel: kernels.check(reference, draft.report); break;
            case Reference::To::connector: connectors.check(reference, draft.report); break;
            case Reference::To::site: sites.check(reference, draft.report); break;
        }
    }
    for (const auto& connector : config.connectors) {
        check_apart_from_spool("the root", connector.root, connector.name, connector.place, draft);
    }
    for (const auto& kernel : config.kernels) {
        // A url that was wrong left the default target behind, which is no place.
        if (!kernel.url.path.empty()) check_apart_from_spool("the url", kernel.url, "", kernel.place, draft);
    }
}

void check_sense(Draft& draft) {
    check_rules(draft.config, draft.report);
    check_sites(draft.config, draft.report);
    check_kernels(draft.config, draft.report);
    check_connectors(draft.config, draft.report);
    check_numbers(draft.config, draft.report);
    check_blocks(draft.config, draft.report);
    check_extensions(draft.config, draft.report);
    check_reach(draft.config, draft.report);
    check_lines(draft.config, draft.report);
    check_site_rules(draft.config, draft.report);
}

}  // namespace ums::config
