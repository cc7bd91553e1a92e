// SPDX-License-Identifier: GPL-3.0-or-later
//
// A Disk that dies or fails at a chosen call: the process ended there (Crash), or the system said no (Error). Calls that
// change nothing do not count. After a crash every further change crashes too, as a dead process changes nothing, so that
// destructors cannot tidy up what a kill would have left.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "forwarding_disk.hpp"

namespace ums::test {

struct Crash {};

class FaultyDisk final : public io::ForwardingDisk {
  public:
    enum class Fault { none, crash_before, crash_after, fail };
    explicit FaultyDisk(io::Disk& real) : ForwardingDisk(real) {}

    void plan(Fault fault, std::size_t call) {
        fault_ = fault;
        at_ = call;
        calls_ = 0;
        fired_ = false;
        dead_ = false;
    }
    bool fired() const { return fired_; }
    /// What is started is done when it is started, and not when it is waited for: what a thread can be like, at either end.
    bool works_at_once = false;
    std::size_t calls() const { return calls_; }

    io::Fd create(const std::string& path) override {
        return step("create", [&] { return ForwardingDisk::create(path); });
    }
    io::Fd open_or_create(const std::string& path) override {
        return step("open or create", [&] { return ForwardingDisk::open_or_create(path); });
    }
    void write(const io::Fd& fd, std::string_view data, const std::string& path) override {
        step("write", [&] { ForwardingDisk::write(fd, data, path); });
    }
    void copy(const io::Fd& from, std::uint64_t offset, Bytes length, const io::Fd& to,
              const std::string& path) override {
        step("copy", [&] { ForwardingDisk::copy(from, offset, length, to, path); });
    }
    void sync_all(std::span<const io::Fd* const> fds, const std::string& what) override {
        step("sync", [&] { ForwardingDisk::sync_all(fds, what); });
    }
    void sync_directory(const std::string& path) override {
        step("sync directory", [&] { ForwardingDisk::sync_directory(path); });
    }
    io::Renamed rename(const std::string& from, const std::string& to) override {
        return step("rename", [&] { return ForwardingDisk::rename(from, to); });
    }
    void replace(const std::string& from, const std::string& to) override {
        step("replace", [&] { ForwardingDisk::replace(from, to); });
    }
    bool remove(const std::string& path) override {
        return step("remove", [&] { return ForwardingDisk::remove(path); });
    }
    std::unique_ptr<Work> start(std::function<void()> work) override {
        if (!works_at_once) return ForwardingDisk::start(std::move(work));
        try {
            work();
        } catch (const Error&) {
            return ForwardingDisk::start([thrown = std::current_exception()] { std::rethrow_exception(thrown); });
        }
        return ForwardingDisk::start([] {});
    }

  private:
    template <typename Call>
    std::invoke_result_t<Call> step(const char* what, Call call) {
        if (dead_) throw Crash{};
        const bool now = ++calls_ == at_ && fault_ != Fault::none;
        if (!now) return call();
        fired_ = true;
        if (fault_ == Fault::fail) throw Error(ums::Fault::cannot_write, std::string("injected: ") + what);
        dead_ = true;
        if (fault_ == Fault::crash_before) throw Crash{};
        call();
        throw Crash{};
    }

    Fault fault_ = Fault::none;
    std::size_t at_ = 0;
    std::size_t calls_ = 0;
    bool fired_ = false;
    bool dead_ = false;
};

}  // namespace ums::test
