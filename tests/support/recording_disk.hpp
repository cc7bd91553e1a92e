// SPDX-License-Identifier: GPL-3.0-or-later
//
// A Disk that writes down every change, in order: what a test of a protocol's steps reads. Paths are kept without
// `root`.
#pragma once

#include "forwarding_disk.hpp"

namespace ums::test {

class RecordingDisk final : public io::ForwardingDisk {
  public:
    struct Step {
        std::string what;  ///< create, open (for writing, made if missing), content, directory, rename, replace, remove
        std::string path;  ///< for `content`: the directory of what was synced
        std::string to;    ///< of a rename or replace
        bool done = true;  ///< false for a rename that found nothing, or something
    };

    RecordingDisk(io::Disk& real, std::string root) : ForwardingDisk(real), root_(std::move(root)) {}

    std::vector<Step> steps;
    /// Where the first step of this kind on this path stands, from `from` on; steps.size() if there is none.
    std::size_t find(std::string_view what, std::string_view path, std::size_t from = 0) const {
        std::size_t i = from;
        while (i < steps.size() && !(steps[i].what == what && steps[i].path == path)) ++i;
        return i;
    }

    io::Fd create(const std::string& path) override {
        steps.push_back({"create", inside(path), "", true});
        return ForwardingDisk::create(path);
    }
    io::Fd open_or_create(const std::string& path) override {
        steps.push_back({"open", inside(path), "", true});
        return ForwardingDisk::open_or_create(path);
    }
    void sync_all(std::span<const io::Fd* const> fds, const std::string& what) override {
        steps.push_back({"content", inside(what), std::to_string(fds.size()), true});
        ForwardingDisk::sync_all(fds, what);
    }
    void sync_directory(const std::string& path) override {
        steps.push_back({"directory", inside(path), "", true});
        ForwardingDisk::sync_directory(path);
    }
    io::Renamed rename(const std::string& from, const std::string& to) override {
        const auto result = ForwardingDisk::rename(from, to);
        steps.push_back({"rename", inside(from), inside(to), result == io::Renamed::moved});
        return result;
    }
    void replace(const std::string& from, const std::string& to) override {
        steps.push_back({"replace", inside(from), inside(to), true});
        ForwardingDisk::replace(from, to);
    }
    bool remove(const std::string& path) override {
        const bool result = ForwardingDisk::remove(path);
        steps.push_back({"remove", inside(path), "", result});
        return result;
    }

    /// For every rename between two directories: the new name is made durable before the loss of the old one can be,
    /// and both are at the end. Empty if so, else what is wrong.
    std::string wrong_order() const {
        for (std::size_t i = 0; i < steps.size(); ++i) {
            if (steps[i].what != "rename" || !steps[i].done) continue;
            const auto source = io::parent_of("/" + steps[i].path).substr(1);
            const auto destination = io::parent_of("/" + steps[i].to).substr(1);
            const auto source_synced = find("directory", source, i);
            const auto destination_synced = find("directory", destination, i);
            const std::string move = steps[i].path + " -> " + steps[i].to;
            if (destination_synced == steps.size()) return move + ": destination not synced";
            if (source_synced == steps.size()) return move + ": source not synced";
            if (source != destination && source_synced < destination_synced) return move + ": source synced first";
        }
        return "";
    }

  private:
    std::string inside(const std::string& path) const {
        return path.starts_with(root_ + "/") ? path.substr(root_.size() + 1) : path;
    }
    std::string root_;
};

}  // namespace ums::test
