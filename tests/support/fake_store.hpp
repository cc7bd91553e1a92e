// SPDX-License-Identifier: GPL-3.0-or-later
//
// A store in memory whose answers can be lost, whose requests can be late or never arrive, and that can end the process
// at any request. It counts every file that ever came to stand below a final directory: what a kernel would have sent.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "faulty_disk.hpp"
#include "transport/store.hpp"

namespace ums::test {

class FakeStore final : public transport::Store {
  public:
    /// Messages are read from this disk, and downloaded to it.
    explicit FakeStore(io::Disk& disk) : disk_(disk) {}
    FakeStore() : disk_(own_disk_) {}

    enum class Fault {
        none,
        unreachable,   ///< never left
        lost_request,  ///< left, never arrived, no answer
        lost_answer,   ///< carried out, no answer
        late,          ///< no answer now; carried out some requests later
        gateway,       ///< 504 of somebody in between; carried out some requests later
        error,         ///< 503: not carried out
        full,          ///< 507: not carried out
        crash_before,
        crash_after,
        crash_late,  ///< carried out some requests later, of the runs after it
    };

    std::map<std::string, std::string> files;
    std::set<std::string> directories{""};
    std::map<std::string, int> arrivals;  ///< content -> how often it was published
    bool kernel_eats = false;             ///< the kernel takes published files away at once
    bool hides_dotfiles = false;          ///< nginx does not list them
    std::size_t download_count = 0;
    std::map<std::string, std::uint64_t> false_sizes;  ///< content -> what is said of its length
    std::string unreadable;                            ///< what has this content cannot be downloaded
    bool keeps_deleted = false;                        ///< a server that says that it deletes, and does not
    bool loses_sight = false;                          ///< DELETE says that nothing is there, and that is not so
    std::function<void(std::span<const std::string>)> on_sync = nullptr;
    bool renames_copy = false;       ///< a server whose MOVE leaves the source
    bool renames_by_handle = false;  ///< SMB: what was opened is renamed, whatever its name is by then
    bool looks_backwards = false;    ///< paths of one look() are asked for at the same time: in any order
    bool renames_replace = false;    ///< `Overwrite: F` is ignored
    bool knows_rename = true;        ///< else 405
    DirectoryRemoval directories_go = DirectoryRemoval::none;
    bool makes_directories = true;    ///< else 403
    bool denies_directories = false;  ///< DELETE of one says that it is not there
    bool keeps_directories = false;   ///< DELETE of one: 405
    std::string unlisted;             ///< 403 to a listing of this directory
    /// What it answers to a rename to this name; nothing: it does it.
    std::function<std::optional<transport::Answer>(const std::string&)> refuses_rename_to = nullptr;
    bool crash_at_arrival = false;  ///< our process ends as a message arrives, before it hears of it
    /// What the other side answers to an upload with this content; nothing: it takes it.
    std::function<std::optional<transport::Answer>(const std::string&)> dislikes;
    /// What it answers to a rename of this name; nothing: it does it.
    std::function<std::optional<transport::Answer>(const std::string&)> refuses_rename = nullptr;
    /// Called before each request with its number: what others do meanwhile. Requests that it makes itself do not count.
    std::function<void(std::size_t)> meanwhile;

    void plan(Fault fault, std::size_t request, std::size_t delay = 0) {
        fault_ = fault;
        at_ = request;
        delay_ = delay;
        requests_ = 0;
        fired_ = false;
        second_fault_ = Fault::none;
    }
    /// One more, after plan(): both have fired when fired().
    void plan_second(Fault fault, std::size_t request, std::size_t delay = 0) {
        second_fault_ = fault;
        second_at_ = request;
        second_delay_ = delay;
    }
    bool fired() const { return fired_ && second_fault_ == Fault::none; }
    std::size_t requests() const { return requests_; }
    /// What is still on its way arrives now.
    void deliver_late() {
        const auto all = std::move(late_);
        late_.clear();
        for (const auto& [when, action] : all) action();
    }

    /// What the other side has, and what is on its way there. For this very store: what is on its way knows it.
    struct State {
        std::map<std::string, std::string> files;
        std::set<std::string> directories;
        std::map<std::string, int> arrivals;
        std::vector<std::pair<std::size_t, std::function<void()>>> late;
        std::size_t requests = 0;
    };
    State state() const { return {files, directories, arrivals, late_, requests_}; }
    void restore(const State& state) {
        files = state.files;
        directories = state.directories;
        arrivals = state.arrivals;
        late_ = state.late;
        requests_ = state.requests;
    }

    transport::Answer list(const std::string& directory,
                           const std::function<bool(const transport::Item&)>& each) override {
        transport::Answer result;
        const auto answer = request(
            [&] {
                if (!directories.contains(directory)) {
                    result = answer_of(transport::Verdict::absent);
                    return;
                }
                if (!unlisted.empty() && directory == unlisted) {
                    result = answer_of(transport::Verdict::denied, 403);
                    return;
                }
                const std::string prefix = directory.empty() ? "" : directory + "/";
                const auto is_shown = [&](const std::string& path) {
                    return path.size() > prefix.size() && path.starts_with(prefix) &&
                           path.find('/', prefix.size()) == std::string::npos &&
                           !(hides_dotfiles && path[prefix.size()] == '.');
                };
                for (const auto& path : directories) {
                    if (is_shown(path) &&
                        !each({path.substr(prefix.size()), transport::ItemKind::directory, {}, "", {}}))
                        return;
                }
                for (const auto& [path, content] : files) {
                    if (is_shown(path) && !each(item(path, content))) return;
                }
            },
            Kind::reads);
        return answer.done() ? result : answer;
    }
    std::vector<transport::Answer> look(std::span<const std::string> paths,
                                        std::vector<transport::Item>& items) override {
        items.assign(paths.size(), {});
        std::vector<transport::Answer> answers(paths.size());
        for (std::size_t k = 0; k < paths.size(); ++k) {
            const auto i = looks_backwards ? paths.size() - 1 - k : k;
            transport::Answer result;
            const auto answer = request(
                [&] {
                    const auto found = files.find(paths[i]);
                    if (directories.contains(paths[i])) {
                        items[i].kind = transport::ItemKind::directory;
                    } else if (found == files.end()) {
                        result = answer_of(transport::Verdict::absent);
                    } else {
                        items[i] = item(found->first, found->second);
                    }
                },
                Kind::reads);
            answers[i] = answer.done() ? result : answer;
        }
        return answers;
    }
    std::vector<transport::Answer> upload(std::span<const transport::Upload> uploads) override {
        std::vector<transport::Answer> answers;
        for (const auto& one : uploads) {
            std::string content = one.body.head;
            if (one.body.file != nullptr) {
                std::string rest(one.body.length.count, '\0');
                rest.resize(disk_.read(*one.body.file, rest, one.body.offset, "body"));
                content += rest;
            }
            auto result = std::make_shared<transport::Answer>();
            const auto answer = request([this, path = one.path, content, result] {
                if (auto disliked = dislikes ? dislikes(content) : std::nullopt) {
                    *result = *disliked;
                } else if (!directories.contains(io::parent_of("/" + path).substr(1))) {
                    *result = answer_of(transport::Verdict::absent);
                } else if (files.contains(path)) {
                    *result = answer_of(transport::Verdict::exists);
                } else {
                    const bool is_final = path.find("/Out/") != std::string::npos || path.starts_with("In/");
                    if (is_final) ++arrivals[content];
                    if (!is_final || !kernel_eats) files[path] = content;
                }
            });
            answers.push_back(answer.done() ? *result : answer);
        }
        return answers;
    }
    std::vector<transport::Answer> rename(std::span<const transport::Rename> renames) override {
        std::vector<transport::Answer> answers;
        for (const auto& one : renames) {
            auto result = std::make_shared<transport::Answer>();
            // What a contested rename makes sure of first.
            const bool held = one.contested && is_open(one.from);
            const auto handle = held ? nullptr : open_handle(one.from);
            const auto answer = request([this, one, held, handle, result] {
                auto refused = refuses_rename ? refuses_rename(one.from) : std::nullopt;
                if (!refused && refuses_rename_to) refused = refuses_rename_to(one.to);
                if (refused) {
                    *result = *refused;
                    return;
                }
                if (!held) *result = move(handle ? name_of(*handle) : one.from, one.to);
                if (held || (one.contested && is_open(one.to, handle.get()))) {
                    *result = answer_of(transport::Verdict::unknown);
                    result->held = true;
                }
            });
            answers.push_back(answer.done() ? *result : answer);
        }
        return answers;
    }
    std::vector<transport::Answer> download(std::span<transport::Download> downloads) override {
        std::vector<transport::Answer> answers;
        download_count += downloads.size();
        for (auto& one : downloads) {
            transport::Answer result;
            const auto answer = request(
                [&] {
                    const auto found = files.find(one.path);
                    if (found == files.end()) {
                        result = answer_of(transport::Verdict::absent);
                        return;
                    }
                    if (!unreadable.empty() && found->second == unreadable) {
                        result = answer_of(transport::Verdict::broken, 500);
                        return;
                    }
                    disk_.write(*one.into, found->second, "download");
                    one.received = Bytes{found->second.size()};
                    if (one.received != one.expected) result = answer_of(transport::Verdict::broken);
                },
                Kind::reads);
            answers.push_back(answer.done() ? result : answer);
        }
        return answers;
    }
    transport::Answer read(const std::string& path, Bytes, std::string& content) override {
        transport::Answer result;
        const auto answer = request(
            [&] {
                const auto found = files.find(path);
                if (found == files.end()) {
                    result = answer_of(transport::Verdict::absent);
                } else {
                    content = found->second;
                }
            },
            Kind::reads);
        return answer.done() ? result : answer;
    }
    std::vector<transport::Answer> remove(std::span<const std::string> paths) override {
        std::vector<transport::Answer> answers;
        for (const auto& path : paths) {
            auto result = std::make_shared<transport::Answer>();
            const auto answer = request([this, path, result] {
                if (keeps_deleted && files.contains(path)) return;
                if (loses_sight) {
                    *result = answer_of(transport::Verdict::absent);
                    return;
                }
                if (files.erase(path) == 0) *result = answer_of(transport::Verdict::absent);
            });
            answers.push_back(answer.done() ? *result : answer);
        }
        return answers;
    }
    transport::Answer make_directory(const std::string& path) override {
        auto result = std::make_shared<transport::Answer>();
        const auto answer = request([this, path, result] {
            const auto slash = path.rfind('/');
            if (!makes_directories) {
                *result = answer_of(transport::Verdict::denied, 403);
            } else if (slash != std::string::npos && !directories.contains(path.substr(0, slash))) {
                *result = answer_of(transport::Verdict::absent);
            } else {
                directories.insert(path);
            }
        });
        return answer.done() ? *result : answer;
    }
    DirectoryRemoval directory_removal() const override { return directories_go; }
    transport::Answer remove_directory(const std::string& path) override {
        auto result = std::make_shared<transport::Answer>();
        const auto answer = request([this, path, result] {
            if (keeps_deleted && directories.contains(path)) return;
            const auto first = files.lower_bound(path + "/");
            if (directories_go == DirectoryRemoval::empty && first != files.end() &&
                first->first.starts_with(path + "/")) {
                *result = answer_of(transport::Verdict::refused);
                return;
            }
            if (keeps_directories) {
                *result = answer_of(transport::Verdict::refused, 405);
                return;
            }
            if (loses_sight || denies_directories || directories.erase(path) == 0) {
                *result = answer_of(transport::Verdict::absent);
                return;
            }
            std::erase_if(files, [&](const auto& file) { return file.first.starts_with(path + "/"); });
        });
        return answer.done() ? *result : answer;
    }
    transport::Answer sync(std::span<const std::string> directories_to_sync) override {
        transport::Answer result;
        const auto answer = request(
            [&] {
                if (on_sync) on_sync(directories_to_sync);
                for (const auto& directory : directories_to_sync) {
                    if (!directories.contains(directory)) result = answer_of(transport::Verdict::absent);
                }
            },
            Kind::reads);
        return answer.done() ? result : answer;
    }
    std::string describe() const override { return "in memory"; }

  private:
    static transport::Answer answer_of(transport::Verdict verdict, int status = 0) {
        return {verdict, std::string(transport::to_string(verdict)), status, {}};
    }
    transport::Item item(const std::string& path, const std::string& content) const {
        const auto size = false_sizes.find(content);
        return {path.substr(path.rfind('/') + 1),
                transport::ItemKind::file,
                Bytes{size == false_sizes.end() ? content.size() : size->second},
                std::to_string(std::hash<std::string>()(content)),
                {}};
    }
    // The content of a file stands for the file: each message has its own.
    using Handle = std::string;
    std::shared_ptr<Handle> open_handle(const std::string& path) {
        const auto found = files.find(path);
        if (!renames_by_handle || found == files.end()) return nullptr;
        auto handle = std::make_shared<Handle>(found->second);
        handles_.push_back(handle);
        return handle;
    }
    std::string name_of(const Handle& handle) const {
        for (const auto& [path, content] : files) {
            if (content == handle) return path;
        }
        return "gone";
    }
    bool is_open(const std::string& path, const Handle* but = nullptr) const {
        const auto found = files.find(path);
        return found != files.end() && std::any_of(handles_.begin(), handles_.end(), [&](const auto& one) {
                   const auto handle = one.lock();
                   return handle && handle.get() != but && *handle == found->second;
               });
    }
    transport::Answer move(const std::string& from, const std::string& to) {
        if (!knows_rename) return answer_of(transport::Verdict::refused, 405);
        const auto found = files.find(from);
        if (found == files.end()) return answer_of(transport::Verdict::absent, 404);
        if (files.contains(to) && !renames_replace) return answer_of(transport::Verdict::exists, 412);
        if (!directories.contains(to.substr(0, to.rfind('/')))) return answer_of(transport::Verdict::absent, 409);
        const std::string content = found->second;
        if (!renames_copy) files.erase(found);
        const bool is_final = to.find("/Out/") != std::string::npos || to.starts_with("In/");
        if (is_final) ++arrivals[content];
        if (!is_final || !kernel_eats) files[to] = content;
        if (is_final && crash_at_arrival) throw Crash{};
        return {};
    }
    /// A read that is carried out late changes nothing: it is as good as lost.
    enum class Kind { reads, changes };
    transport::Answer request(const std::function<void()>& carry_out, Kind kind = Kind::changes) {
        if (nested_) {
            carry_out();
            return {};
        }
        ++requests_;
        if (meanwhile) {
            nested_ = true;
            const std::shared_ptr<void> done(nullptr, [this](void*) { nested_ = false; });
            meanwhile(requests_);
        }
        for (std::size_t i = late_.size(); i-- > 0;) {
            if (late_[i].first > requests_) continue;
            const auto action = late_[i].second;
            late_.erase(late_.begin() + static_cast<long>(i));
            action();
        }
        auto fault = requests_ == at_ ? fault_ : Fault::none;
        auto delay = delay_;
        if (fault != Fault::none) {
            fired_ = true;
        } else if (second_fault_ != Fault::none && requests_ == second_at_) {
            fault = second_fault_;
            delay = second_delay_;
            second_fault_ = Fault::none;
        }
        switch (fault) {
            case Fault::none: carry_out(); return {};
            case Fault::unreachable: return answer_of(transport::Verdict::unreachable);
            case Fault::lost_request: return answer_of(transport::Verdict::unknown);
            case Fault::lost_answer: carry_out(); return answer_of(transport::Verdict::unknown);
            case Fault::late:
                if (kind == Kind::reads) return answer_of(transport::Verdict::unknown);
                late_.emplace_back(requests_ + delay, carry_out);
                return answer_of(transport::Verdict::unknown);
            case Fault::gateway:
                if (kind == Kind::changes) late_.emplace_back(requests_ + delay, carry_out);
                return answer_of(transport::Verdict::broken, 504);
            case Fault::error: return answer_of(transport::Verdict::broken, 503);
            case Fault::full: return answer_of(transport::Verdict::full, 507);
            case Fault::crash_before: throw Crash{};
            case Fault::crash_late:
                if (kind == Kind::changes) late_.emplace_back(requests_ + delay, carry_out);
                throw Crash{};
            case Fault::crash_after: carry_out(); throw Crash{};
        }
        return {};
    }

    io::PosixDisk own_disk_;
    io::Disk& disk_;
    Fault fault_ = Fault::none;
    std::size_t at_ = 0;
    std::size_t delay_ = 0;
    Fault second_fault_ = Fault::none;
    std::size_t second_at_ = 0;
    std::size_t second_delay_ = 0;
    std::size_t requests_ = 0;
    bool fired_ = false;
    bool nested_ = false;
    std::vector<std::pair<std::size_t, std::function<void()>>> late_;
    std::vector<std::weak_ptr<Handle>> handles_;
};

}  // namespace ums::test
