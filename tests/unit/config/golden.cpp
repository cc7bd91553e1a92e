// SPDX-License-Identifier: GPL-3.0-or-later
//
// tests/data/config/*.yaml, each with all that is said of it beside it in *.expected.
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/config.hpp"

namespace {

using namespace ums;

std::string content(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

// Diagnostics a line each, with paths below the test data as `DATA/...`, wherever the source tree lies.
std::string said(const config::Loaded& loaded, const std::string& directory) {
    std::string out;
    for (const auto& diagnostic : loaded.diagnostics) {
        auto shortened = diagnostic;
        shortened.place.file = std::filesystem::path(diagnostic.place.file).filename();
        std::string line = config::to_string(shortened);
        for (auto at = line.find(directory); at != std::string::npos; at = line.find(directory)) {
            line.replace(at, directory.size(), "DATA");
        }
        out += line + "\n";
    }
    return out;
}

TEST_CASE("each bad configuration is told all its mistakes, in the order of the file") {
    const std::string directory = std::string(UMS_TEST_DATA) + "/config";
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        if (entry.path().extension() == ".yaml") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    REQUIRE(files.size() >= 8);
    for (const auto& file : files) {
        INFO(file.filename());
        const auto loaded = config::load(file);
        const auto found = said(loaded, directory);
        auto expected = file;
        expected.replace_extension(".expected");
        CHECK(found == content(expected));
        CHECK(loaded.config.has_value() == (found.find(": error: ") == std::string::npos));
    }
}

}  // namespace
