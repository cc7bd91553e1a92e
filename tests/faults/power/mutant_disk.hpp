// SPDX-License-Identifier: GPL-3.0-or-later
//
// A Disk through which a program that forgets a sync, or does things in another order, is seen: what a mutant of the code
// would do, without one. It also lists the syncs that were asked for, by where they are.
#pragma once

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "forwarding_disk.hpp"
#include "power_disk.hpp"

namespace ums::test {

/// `/s/outgoing/new/1800000000000000.k2j4x7ab.BER1,c=ExConn` -> `outgoing/new`; what stands in a directory has its path.
class MutantDisk final : public io::ForwardingDisk {
  public:
    enum class Kind {
        none,
        no_sync,            ///< the syncs at `site` are left out
        late_rename,        ///< renames into `site` are made after the next rename into, or removal below, `until`
        late_content_sync,  ///< files are synced after the next rename
        late_note,          ///< notes (files made in `site`) are made after the next rename into `until`
        copy_for_rename,    ///< a copy, synced with its name, and then a removal, in place of each rename
        rename_over_store,  ///< renames into `site` are made when the other side has answered the second request from now on
        no_second_look,  ///< nobody looks for messages that a loss of power has given two names
        no_rename,       ///< replace() writes the old file anew
    };
    struct Mutation {
        Kind kind = Kind::none;
        std::string site;
        std::string until;
    };

    explicit MutantDisk(io::Disk& real) : ForwardingDisk(real), real_(real) {}

    Mutation mutation;
    std::set<std::string> sites;  ///< of syncs that were asked for
    std::size_t fired = 0;        ///< how often the mutation did something else than the code

    bool may_keep_both_names(const std::string& path) override {
        if (mutation.kind != Kind::no_second_look) return ForwardingDisk::may_keep_both_names(path);
        ++fired;
        return false;
    }

    /// Another history begins.
    void reset() { late_.clear(); }
    /// What was kept back until the other side answered.
    void request() {
        if (mutation.kind != Kind::rename_over_store || late_.empty() || ++requests_ < 3) return;
        flush();
    }

    void sync(const io::Fd& fd, const std::string& path) override {
        const auto site = "content " + site_of(path);
        sites.insert(site);
        if (left_out(site)) return;
        ForwardingDisk::sync(fd, path);
    }
    void sync_all(std::span<const io::Fd* const> fds, const std::string& what) override {
        if (fds.empty()) return;
        const auto site = "content " + site_of(what + "/");
        sites.insert(site);
        if (left_out(site)) return;
        if (mutation.kind == Kind::late_content_sync && site == mutation.site) {
            ++fired;
            late_content_.assign(fds.begin(), fds.end());
            return;
        }
        ForwardingDisk::sync_all(fds, what);
    }
    void sync_directory(const std::string& path) override {
        const auto site = "directory " + site_of(path + "/");
        sites.insert(site);
        if (left_out(site)) return;
        ForwardingDisk::sync_directory(path);
    }
    io::Fd open_or_create(const std::string& path) override {
        if (mutation.kind == Kind::late_note && site_of(path) == mutation.site && !info(path)) {
            ++fired;
            late_.push_back({path, [this, path] {
                                 const auto fd = ForwardingDisk::open_or_create(path);
                                 ForwardingDisk::sync(fd, path);
                                 ForwardingDisk::sync_directory(io::parent_of(path));
                             }});
            const auto aside = "/aside" + std::to_string(++asides_);
            auto fd = ForwardingDisk::create(aside);
            ForwardingDisk::remove(aside);
            return fd;
        }
        return ForwardingDisk::open_or_create(path);
    }
    std::optional<io::Fd> open(const std::string& path) override {
        needed(path);
        return ForwardingDisk::open(path);
    }
    std::optional<io::FileInfo> info(const std::string& path) override {
        needed(path);
        return ForwardingDisk::info(path);
    }
    using ForwardingDisk::info;
    io::Renamed rename(const std::string& from, const std::string& to) override {
        needed(from);
        const bool into_site = site_of(to) == mutation.site;
        if (into_site && (mutation.kind == Kind::late_rename || mutation.kind == Kind::rename_over_store)) {
            if (!info(from)) return io::Renamed::source_missing;
            ++fired;
            requests_ = 0;
            late_.push_back({to, [this, from, to] {
                                 ForwardingDisk::rename(from, to);
                                 ForwardingDisk::sync_directory(io::parent_of(to));
                                 ForwardingDisk::sync_directory(io::parent_of(from));
                             }});
            return io::Renamed::moved;
        }
        if (mutation.kind == Kind::copy_for_rename && info(from) && !info(to)) {
            ++fired;
            {
                const auto source = open(from);
                const auto size = info(from)->size;
                const auto copy = create(to);
                ForwardingDisk::copy(*source, 0, size, copy, to);
                ForwardingDisk::sync(copy, to);
                ForwardingDisk::sync_directory(io::parent_of(to));
            }
            ForwardingDisk::remove(from);
            return io::Renamed::moved;
        }
        const auto result = ForwardingDisk::rename(from, to);
        if (mutation.kind == Kind::late_content_sync && !late_content_.empty()) {
            const auto fds = std::move(late_content_);
            late_content_.clear();
            ForwardingDisk::sync_all(fds, to);
        }
        if (site_of(to) == mutation.until) flush();
        return result;
    }
    void replace(const std::string& from, const std::string& to) override {
        if (mutation.kind != Kind::no_rename) {
            ForwardingDisk::replace(from, to);
            return;
        }
        ++fired;
        const auto content = io::read_file(real_, from).value_or("");
        ForwardingDisk::remove(to);
        const auto fd = ForwardingDisk::create(to);
        ForwardingDisk::write(fd, content, to);
        ForwardingDisk::sync(fd, to);
        ForwardingDisk::remove(from);
    }
    bool remove(const std::string& path) override {
        needed(path);
        const bool result = ForwardingDisk::remove(path);
        if (site_of(path) == mutation.until) flush();
        return result;
    }

    /// The directory that a path leads to, as the spool calls it.
    static std::string site_of(const std::string& path) {
        auto directory = path.substr(0, path.rfind('/'));
        if (directory.starts_with("/s/")) return directory.substr(3);
        if (directory.starts_with("/proc/self/fd/")) return "target";
        return directory.empty() ? "/" : directory;
    }

  private:
    bool left_out(const std::string& site) {
        if (mutation.kind != Kind::no_sync || site != mutation.site) return false;
        ++fired;
        return true;
    }
    /// Who looks at a file whose name is still to come finds it: a program knows what it has done.
    void needed(const std::string& path) {
        if (std::any_of(late_.begin(), late_.end(), [&](const Late& one) { return one.path == path; })) flush();
    }
    void flush() {
        const auto all = std::move(late_);
        late_.clear();
        for (const auto& one : all) one.action();
    }

    io::Disk& real_;
    struct Late {
        std::string path;
        std::function<void()> action;
    };
    std::vector<Late> late_;
    std::vector<const io::Fd*> late_content_;
    std::size_t requests_ = 0;
    std::size_t asides_ = 0;
};

}  // namespace ums::test
