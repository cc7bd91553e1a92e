// SPDX-License-Identifier: GPL-3.0-or-later
#include "number/advice.hpp"

#include <dlfcn.h>

#include <array>

#include "number/metadata.hpp"
#include "number/number.hpp"
#include "text/text.hpp"

namespace ums::number {

namespace {

// Never unloaded: the library keeps its tables until the program ends.
MetadataFunction load() noexcept {
    void* library = ::dlopen(metadata_library, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return nullptr;
    return reinterpret_cast<MetadataFunction>(::dlsym(library, metadata_function));
}

}  // namespace

std::optional<Advice> advise(std::string_view international) {
    const auto number = strip(international);
    if (!number.starts_with('+') || !is_stripped_number(number)) return std::nullopt;
    static const MetadataFunction ask = load();
    if (ask == nullptr) return std::nullopt;
    std::array<char, 512> answer{};
    const int plausible = ask(number.c_str(), answer.data(), answer.size());
    if (plausible < 0) return std::nullopt;
    const auto parts = text::split(answer.data(), '\t');
    if (parts.size() != 2) return std::nullopt;
    return Advice{plausible > 0, std::string(parts[0]), std::string(parts[1])};
}

}  // namespace ums::number
