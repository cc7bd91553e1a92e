// SPDX-License-Identifier: GPL-3.0-or-later
//
// A Disk that hands every call to another: what a test derives from to change one of them.
#pragma once

#include "io/disk.hpp"

namespace ums::io {

class ForwardingDisk : public Disk {
  public:
    explicit ForwardingDisk(Disk& real) : real_(real) {}

    Fd create(const std::string& path) override { return real_.create(path); }
    std::optional<Fd> open(const std::string& path) override { return real_.open(path); }
    std::optional<Fd> open_to_write(const std::string& path) override { return real_.open_to_write(path); }
    Fd open_or_create(const std::string& path) override { return real_.open_or_create(path); }
    void write(const Fd& fd, std::string_view data, const std::string& path) override { real_.write(fd, data, path); }
    std::size_t read(const Fd& fd, std::span<char> buffer, std::uint64_t offset, const std::string& path) override {
        return real_.read(fd, buffer, offset, path);
    }
    void copy(const Fd& from, std::uint64_t offset, Bytes length, const Fd& to, const std::string& path) override {
        real_.copy(from, offset, length, to, path);
    }
    void append(const std::string& path, std::string_view data) override { real_.append(path, data); }
    void sync(const Fd& fd, const std::string& path) override { real_.sync(fd, path); }
    void sync_all(std::span<const Fd* const> fds, const std::string& what) override { real_.sync_all(fds, what); }
    void sync_directory(const std::string& path) override { real_.sync_directory(path); }
    Renamed rename(const std::string& from, const std::string& to) override { return real_.rename(from, to); }
    void replace(const std::string& from, const std::string& to) override { real_.replace(from, to); }
    bool remove(const std::string& path) override { return real_.remove(path); }
    bool make_directory(const std::string& path) override { return real_.make_directory(path); }
    bool remove_directory(const std::string& path) override { return real_.remove_directory(path); }
    Fd open_directory(const std::string& top, const std::string& below) override {
        return real_.open_directory(top, below);
    }
    bool list(const std::string& path, const std::function<bool(std::string_view)>& each) override {
        return real_.list(path, each);
    }
    std::optional<FileInfo> info(const std::string& path) override { return real_.info(path); }
    FileInfo info(const Fd& fd, const std::string& path) override { return real_.info(fd, path); }
    bool try_lock(const Fd& fd, const std::string& path) override { return real_.try_lock(fd, path); }
    Space space(const std::string& path) override { return real_.space(path); }
    bool may_keep_both_names(const std::string& path) override { return real_.may_keep_both_names(path); }
    std::optional<std::string> network_file_system(const std::string& path) override {
        return real_.network_file_system(path);
    }
    bool has_writer(const Fd& fd) override { return real_.has_writer(fd); }

  private:
    Disk& real_;
};

/// Everything but waiting for the platter: for tests that do thousands of steps and cut no power.
class QuickDisk final : public ForwardingDisk {
  public:
    QuickDisk() : ForwardingDisk(real_) {}
    void sync(const Fd&, const std::string&) override {}
    void sync_all(std::span<const Fd* const>, const std::string&) override {}
    void sync_directory(const std::string& path) override {
        if (!real_.info(path)) throw Error(Fault::cannot_write, "cannot sync directory " + path + ": it is not there");
    }

  private:
    PosixDisk real_;
};

}  // namespace ums::io
