// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/config.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>

#include "config/draft.hpp"
#include "config/section.hpp"
#include "error/error.hpp"
#include "text/text.hpp"

namespace ums::config {

namespace {

constexpr std::size_t largest_file = 16U << 20U;

}  // namespace

std::string directory_of(const std::string& file) {
    std::error_code error;
    const auto whole = std::filesystem::absolute(file, error);
    if (error) return "/";
    return whole.lexically_normal().parent_path().string();
}

std::string read_file(const std::string& file, std::string_view what) {
    struct Close {
        void operator()(std::FILE* f) const noexcept { std::fclose(f); }
    };
    const std::string doing = "read " + std::string(what) + " " + text::quote(file);
    const std::unique_ptr<std::FILE, Close> stream(std::fopen(file.c_str(), "rbe"));
    if (!stream) throw system_error(Fault::configuration, doing, errno);
    std::string out;
    std::string block(65536, '\0');
    for (;;) {
        const auto count = std::fread(block.data(), 1, block.size(), stream.get());
        out.append(block, 0, count);
        if (out.size() > largest_file) {
            throw Error(Fault::configuration, "cannot " + doing + ": it is larger than 16 MiB");
        }
        if (count == block.size()) continue;
        if (std::ferror(stream.get()) != 0) throw system_error(Fault::configuration, doing, errno);
        return out;
    }
}

namespace {

void read_whole(const Node& root, Draft& draft) {
    if (root.kind != Node::Kind::map) {
        draft.report.error(root, "the file must be a map of mds, kernels, connectors, sites and routes");
        return;
    }
    Section section(root, "file", keys::file, draft.report);
    const Node* defaults = section.find("site-defaults");
    if (defaults != nullptr && defaults->kind != Node::Kind::map) {
        report_wrong(*defaults, "site-defaults", "a map of what all sites have (key: value)", draft.report);
        defaults = nullptr;
    }
    struct Part {
        std::string_view key;
        std::function<void(const Node&, Draft&)> read;
        std::string_view needed;
    };
    const Part parts[] = {
        {"mds", read_mds, "at least its 'id'"},
        {"kernels", read_kernels, "at least one kernel"},
        {"connectors", read_connectors, "at least one connector"},
        {"sites", [&](const Node& node, Draft& to) { read_sites(node, defaults, to); }, "at least one site"},
        {"routes", read_routes, "at least one rule"}};
    for (const auto& part : parts) {
        if (const Node* node = section.find(part.key)) {
            part.read(*node, draft);
            continue;
        }
        const bool refused =
            std::any_of(root.keys.begin(), root.keys.end(), [&](auto& key) { return key.text == part.key; });
        if (refused) continue;
        draft.report.error(draft.report.whole_file(),
                           text::quote(part.key) + " is missing: " + std::string(part.needed) + " is needed");
    }
}

template <typename Entry>
const Entry* find_by_name(const std::vector<Entry>& entries, std::string_view name) noexcept {
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.name == name; });
    return found == entries.end() ? nullptr : &*found;
}

}  // namespace

Duration Config::sent_is_kept() const noexcept {
    const bool recalls =
        std::any_of(kernels.begin(), kernels.end(), [](const Kernel& kernel) { return kernel.recall; });
    // Without either, what lies there is of an earlier configuration, and may be wanted back by a later one.
    const bool for_recall = recalls || mds.keep_sent == Duration::zero();
    return for_recall ? std::max<Duration>(mds.keep_sent, std::chrono::hours(24)) : mds.keep_sent;
}

std::string_view to_string(DdiRule::Action action) noexcept {
    switch (action) {
        case DdiRule::Action::fax: return "fax";
        case DdiRule::Action::voice: return "voice";
        case DdiRule::Action::fax_or_voice: return "fax-or-voice";
        case DdiRule::Action::ignore: return "ignore";
        case DdiRule::Action::reject: return "reject";
    }
    return "fax";
}

const std::vector<std::string>& SiteConnectors::of(std::string_view service) const {
    const auto found = by_service.find(std::string(service));
    return found == by_service.end() ? usual : found->second;
}

bool SiteConnectors::names(std::string_view connector) const noexcept {
    const auto in = [&](const std::vector<std::string>& list) {
        return std::find(list.begin(), list.end(), connector) != list.end();
    };
    return in(usual) || std::any_of(by_service.begin(), by_service.end(), [&](auto& one) { return in(one.second); });
}

const Kernel* Config::kernel(std::string_view name) const noexcept { return find_by_name(kernels, name); }
const Connector* Config::connector(std::string_view name) const noexcept { return find_by_name(connectors, name); }
const Site* Config::site(std::string_view name) const noexcept { return find_by_name(sites, name); }

const number::Numbering* Config::numbering_of(const Site* site) const noexcept {
    if (site != nullptr && site->numbering) return &*site->numbering;
    return mds.numbering ? &*mds.numbering : nullptr;
}

std::string to_string(const Diagnostic& diagnostic) {
    std::string out = text::escape(diagnostic.place.file);
    if (diagnostic.place.line > 0) {
        out += ":" + std::to_string(diagnostic.place.line) + ":" + std::to_string(diagnostic.place.column);
    }
    out += diagnostic.severity == Severity::error ? ": error: " : ": warning: ";
    return out + diagnostic.text;
}

bool is_name(std::string_view text) noexcept {
    const auto alphanumeric = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    };
    return !text.empty() && text.size() <= 32 && alphanumeric(text[0]) && !text.ends_with(".why") &&
           std::all_of(text.begin(), text.end(),
                       [&](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

Loaded parse(std::string_view yaml, const std::string& file, Look look) {
    Draft draft(file, directory_of(file));
    if (yaml.size() > largest_file) {
        draft.report.error(draft.report.whole_file(), "the file is larger than 16 MiB");
    } else if (const auto root = read_document(yaml, draft.report)) {
        read_whole(*root, draft);
        check_whole(draft);
        if (!draft.report.failed()) check_examples(draft);
    }
    Loaded loaded;
    if (!draft.report.failed()) {
        if (look == Look::everything) check_sense(draft);
        loaded.config = std::move(draft.config);
    }
    loaded.diagnostics = draft.report.take();
    return loaded;
}

Loaded load(const std::string& file, Look look) { return parse(read_file(file, "the configuration"), file, look); }

}  // namespace ums::config
