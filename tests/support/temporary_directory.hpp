// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>

namespace ums::test {

/// A directory of its own, removed with the object.
class TemporaryDirectory {
  public:
    TemporaryDirectory() {
        // Thousands of files made and removed take long on a disk; in memory the same calls do the same.
        const bool has_memory = access("/dev/shm", W_OK) == 0;
        std::string name =
            (has_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string()) + "/ums-test-XXXXXX";
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
        path_ = name;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

inline std::string content_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_to(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
}

/// A file with a content, removed with the object.
class TemporaryFile {
  public:
    explicit TemporaryFile(const std::string& content) : path(directory_.path() + "/file") { write_to(path, content); }

  private:
    TemporaryDirectory directory_;

  public:
    const std::string path;
};

/// The names in a directory; empty if there is none.
inline std::set<std::string> names_in(const std::string& path) {
    std::set<std::string> names;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(path, none)) names.insert(entry.path().filename());
    return names;
}

}  // namespace ums::test
