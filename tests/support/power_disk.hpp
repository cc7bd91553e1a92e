// SPDX-License-Identifier: GPL-3.0-or-later
//
// A file system in memory that can lose its power: what was not synced may be gone then, names too.
//
// It knows what programs see, and what is durable. A change of names (create, make, rename, remove) is pending until a sync
// makes it durable; so is what was written to a file. After a loss of power any of the states is possible that the model
// allows: survivors() goes through them. A rename is atomic in all models but the last: the file has the old name, or the new
// one.
//
//     journal      Changes of names survive in their order: all, none, or the first so many. A sync of a file or of a
//                  directory makes all durable up to the last one that concerns it. So are xfs, whose log is forced up to
//                  what is synced, and ext4, which is kinder: it commits all there is.
//     directories  A directory's changes survive in their order, whatever becomes of those in other directories. A sync of a
//                  file says nothing about its names. A rename is certain when both its directories were synced since.
//     names        Nothing more than io/disk.hpp promises: as before, but also the changes in one directory survive in any
//                  order, if they are of different names.
//     twice        As names, but a file that was moved into a directory that was synced since may also have both names, until
//                  the directory that it left is synced. A sync of a directory that something left makes all durable. So is
//                  btrfs, which logs what is synced alone, and commits all where it cannot.
//
// What is in a file that was written to and not synced: what was synced of it (nothing, if it never was), all of it, the
// first half, zeros, or rubbish.
//
// Locks are not kept: nobody else is there. Descriptors are numbers that the kernel does not know.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/disk.hpp"
#include "text/text.hpp"

namespace ums::test {

/// Numbers at random, the same again for the same seed (splitmix64).
class Dice {
  public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t end) { return static_cast<std::size_t>(next() % end); }

  private:
    std::uint64_t state_;
};

class PowerDisk final : public io::Disk {
  public:
    enum class Model { journal, directories, names, twice };
    using Id = std::uint32_t;

    /// Names of a directory, sorted.
    class Names {
      public:
        using Slot = std::pair<std::string, Id>;
        const Id* find(std::string_view name) const {
            const auto at = place(name);
            return at != slots_.end() && at->first == name ? &at->second : nullptr;
        }
        void set(std::string_view name, Id id) {
            const auto at = place(name);
            if (at != slots_.end() && at->first == name) {
                slots_[static_cast<std::size_t>(at - slots_.begin())].second = id;
            } else {
                slots_.insert(at, {std::string(name), id});
            }
        }
        void erase(std::string_view name) {
            const auto at = place(name);
            if (at != slots_.end() && at->first == name) slots_.erase(at);
        }
        bool empty() const { return slots_.empty(); }
        auto begin() { return slots_.begin(); }
        auto end() { return slots_.end(); }
        auto begin() const { return slots_.begin(); }
        auto end() const { return slots_.end(); }

      private:
        std::vector<Slot>::const_iterator place(std::string_view name) const {
            return std::lower_bound(slots_.begin(), slots_.end(), name,
                                    [](const Slot& slot, std::string_view wanted) { return slot.first < wanted; });
        }
        std::vector<Slot> slots_;
    };

    struct Node {
        bool is_directory = false;
        bool dirty = false;  ///< what is in it is not what was synced
        std::uint32_t links = 0;
        std::uint64_t inode = 0;
        std::uint64_t changed = 0;  ///< the last change that concerns it
        std::int64_t modified = 0;
        std::string content = {};
        std::string synced = {};
        Names names = {};
        Names durable = {};
    };
    /// A change of names that is not durable. One name alone: `to` is empty.
    struct Change {
        enum class Kind { add, remove, rename } kind = Kind::add;
        std::uint64_t number = 0;
        Id node = 0;
        Id directory = 0;
        std::string name;
        Id to_directory = 0;
        std::string to;
        bool synced = false;     ///< its directory was synced since
        bool to_synced = false;  ///< and the other one
    };
    struct State {
        std::vector<Node> nodes;
        std::vector<Change> pending;
        std::uint64_t changes = 0;
        std::uint64_t version = 0;  ///< changes, and syncs that made something durable
    };

    explicit PowerDisk(Model model) : model_(model) { state_.nodes.push_back({.is_directory = true, .links = 1}); }

    /// Called before each change, and before each sync that makes something durable: here the power may be cut.
    std::function<void(std::string_view what, const std::string& path)> before_change = nullptr;
    /// What is started is done when it is started, and not when it is waited for.
    bool works_at_once = false;

    Model model() const { return model_; }
    void set_model(Model model) { model_ = model; }
    const State& state() const { return state_; }
    /// Descriptors from before mean nothing any more.
    void restore(const State& state) {
        state_ = state;
        files_.clear();
    }
    /// Everything becomes durable.
    void settle() {
        for (auto& node : state_.nodes) {
            node.synced = node.content;
            node.durable = node.names;
            node.dirty = false;
        }
        state_.pending.clear();
    }

    /// What names and contents there are, in a number.
    static std::uint64_t digest(const State& state) { return digest_of(state, 0); }

    /// Calls `each` with at most `most` different states that a loss of power may leave: with all, if there are no more.
    /// Returns how many.
    template <typename Each>
    static std::size_t survivors(const State& state, Model model, std::size_t most, Dice& dice, Each each) {
        return Losing(state, model).go(most, dice, each);
    }

    // The Disk.

    io::Fd create(const std::string& path) override {
        const auto [directory, name] = parent(path, Fault::cannot_write, "create");
        if (lookup(directory, name)) fail(Fault::cannot_write, "create", path, EEXIST);
        step("create", path);
        return opened(add(directory, name, false));
    }
    std::optional<io::Fd> open(const std::string& path) override {
        const auto found = walk(path);
        if (!found || state_.nodes[*found].is_directory) return std::nullopt;
        return opened(*found);
    }
    std::optional<io::Fd> open_to_write(const std::string& path) override { return open(path); }
    io::Fd open_or_create(const std::string& path) override {
        const auto [directory, name] = parent(path, Fault::cannot_write, "open");
        if (const auto found = lookup(directory, name)) return opened(*found);
        step("create", path);
        return opened(add(directory, name, false));
    }
    void write(const io::Fd& fd, std::string_view data, const std::string& path) override {
        if (data.empty()) return;
        step("write", path);
        auto& file = of(fd);
        auto& node = state_.nodes[file.node];
        if (node.content.size() < file.offset + data.size()) node.content.resize(file.offset + data.size());
        std::copy(data.begin(), data.end(), node.content.begin() + static_cast<long>(file.offset));
        file.offset += data.size();
        touched(node);
    }
    std::size_t read(const io::Fd& fd, std::span<char> buffer, std::uint64_t offset, const std::string&) override {
        const auto& content = state_.nodes[of(fd).node].content;
        if (offset >= content.size()) return 0;
        const auto count = std::min<std::size_t>(buffer.size(), content.size() - offset);
        std::copy_n(content.begin() + static_cast<long>(offset), count, buffer.begin());
        return count;
    }
    void copy(const io::Fd& from, std::uint64_t offset, Bytes length, const io::Fd& to,
              const std::string& path) override {
        const auto& content = state_.nodes[of(from).node].content;
        if (offset + length.count > content.size()) fail(Fault::cannot_read, "copy", path, EIO);
        write(to, content.substr(offset, length.count), path);
    }
    void append(const std::string& path, std::string_view data) override {
        const auto fd = open_or_create(path);
        of(fd).offset = state_.nodes[of(fd).node].content.size();
        write(fd, data, path);
    }
    void sync(const io::Fd& fd, const std::string& path) override {
        if (!state_.nodes[of(fd).node].dirty && state_.pending.empty()) return;
        step("sync", path);
        sync_content(of(fd).node);
    }
    void sync_all(std::span<const io::Fd* const> fds, const std::string& what) override {
        for (const auto* fd : fds) sync(*fd, what);
    }
    std::unique_ptr<Work> start(std::function<void()> work) override {
        if (!works_at_once) return Disk::start(std::move(work));
        try {
            work();
        } catch (const Error&) {
            return Disk::start([thrown = std::current_exception()] { std::rethrow_exception(thrown); });
        }
        return Disk::start([] {});
    }
    void sync_directory(const std::string& path) override {
        const auto found = walk(path);
        if (!found || !state_.nodes[*found].is_directory) fail(Fault::cannot_write, "open directory", path, ENOENT);
        if (state_.pending.empty()) return;
        step("sync directory", path);
        sync_names(*found);
    }
    io::Renamed rename(const std::string& from, const std::string& to) override {
        const auto source = where(from);
        const auto target = where(to);
        const auto node = source ? lookup(source->first, source->second) : std::nullopt;
        if (!node || !target) return io::Renamed::source_missing;
        if (lookup(target->first, target->second)) return io::Renamed::target_exists;
        step("rename", to);
        move(*node, *source, *target);
        return io::Renamed::moved;
    }
    void replace(const std::string& from, const std::string& to) override {
        const auto source = where(from);
        const auto target = where(to);
        const auto node = source ? lookup(source->first, source->second) : std::nullopt;
        if (!node || !target) fail(Fault::cannot_write, "replace", to, ENOENT);
        step("replace", to);
        if (const auto old = lookup(target->first, target->second)) state_.nodes[*old].links = 0;
        move(*node, *source, *target);
    }
    bool remove(const std::string& path) override {
        const auto at = where(path);
        const auto node = at ? lookup(at->first, at->second) : std::nullopt;
        if (!node) return false;
        if (state_.nodes[*node].is_directory) fail(Fault::cannot_write, "remove", path, EISDIR);
        step("remove", path);
        take_away(*node, *at);
        return true;
    }
    bool make_directory(const std::string& path) override {
        const auto [directory, name] = parent(path, Fault::cannot_write, "create directory");
        if (lookup(directory, name)) return false;
        step("make directory", path);
        add(directory, name, true);
        return true;
    }
    bool remove_directory(const std::string& path) override {
        const auto at = where(path);
        const auto node = at ? lookup(at->first, at->second) : std::nullopt;
        if (!node || !state_.nodes[*node].names.empty()) return false;
        step("remove directory", path);
        take_away(*node, *at);
        return true;
    }
    io::Fd open_directory(const std::string& top, const std::string& below) override {
        const auto path = below.empty() ? top : top + "/" + below;
        const auto found = walk(path);
        if (!found || !state_.nodes[*found].is_directory) fail(Fault::cannot_read, "open directory", path, ENOENT);
        return opened(*found);
    }
    bool list(const std::string& path, const std::function<bool(std::string_view)>& each) override {
        const auto found = walk(path);
        if (!found || !state_.nodes[*found].is_directory) return false;
        const auto names = state_.nodes[*found].names;  // `each` may change them
        for (const auto& slot : names) {
            if (!each(slot.first)) return true;
        }
        return true;
    }
    std::optional<io::FileInfo> info(const std::string& path) override {
        const auto found = walk(path);
        if (!found) return std::nullopt;
        return info_of(*found);
    }
    io::FileInfo info(const io::Fd& fd, const std::string&) override { return info_of(of(fd).node); }
    bool try_lock(const io::Fd&, const std::string&) override { return true; }
    io::Space space(const std::string&) override { return {Bytes{1ULL << 40}, Bytes{1ULL << 39}, 1 << 20, 1 << 19}; }
    std::optional<std::string> network_file_system(const std::string&) override { return std::nullopt; }
    bool may_keep_both_names(const std::string&) override { return model_ == Model::twice; }
    bool has_writer(const io::Fd&) override { return false; }

    // For those who check.

    /// What is in the file, if it is there.
    std::optional<std::string> content(const std::string& path) const {
        const auto found = walk(path);
        if (!found || state_.nodes[*found].is_directory) return std::nullopt;
        return state_.nodes[*found].content;
    }
    std::vector<std::string> names(const std::string& path) const {
        std::vector<std::string> all;
        if (const auto found = walk(path)) {
            for (const auto& slot : state_.nodes[*found].names) all.push_back(slot.first);
        }
        return all;
    }
    /// Every file, by its path.
    std::vector<std::pair<std::string, std::string>> files() const {
        std::vector<std::pair<std::string, std::string>> all;
        collect(0, "", all);
        return all;
    }

  private:
    static constexpr int first_descriptor = 1 << 30;
    struct Open {
        Id node = 0;
        std::uint64_t offset = 0;
    };
    using Place = std::pair<Id, std::string>;

    [[noreturn]] static void fail(Fault fault, const std::string& verb, const std::string& path, int error) {
        throw system_error(fault_of_errno(error, fault), verb + " " + text::quote(path), error);
    }
    void step(std::string_view what, const std::string& path) {
        if (before_change) before_change(what, path);
        ++state_.version;
    }
    Open& of(const io::Fd& fd) {
        const auto index = static_cast<std::size_t>(fd.get() - first_descriptor);
        if (index >= files_.size()) throw Error(Fault::internal, "a descriptor of nobody");
        return files_[index];
    }
    io::Fd opened(Id node) {
        files_.push_back({node, 0});
        return io::Fd(first_descriptor + static_cast<int>(files_.size()) - 1);
    }
    std::optional<Id> lookup(Id directory, std::string_view name) const {
        const auto* found = state_.nodes[directory].names.find(name);
        return found == nullptr ? std::nullopt : std::optional(*found);
    }
    std::optional<Id> walk(std::string_view path) const {
        constexpr std::string_view by_descriptor = "/proc/self/fd/";
        Id at = 0;
        if (path.starts_with(by_descriptor)) {
            path.remove_prefix(by_descriptor.size());
            int number = 0;
            while (!path.empty() && path.front() != '/') {
                number = number * 10 + (path.front() - '0');
                path.remove_prefix(1);
            }
            const auto index = static_cast<std::size_t>(number - first_descriptor);
            if (index >= files_.size()) return std::nullopt;
            at = files_[index].node;
        }
        while (!path.empty()) {
            const auto end = std::min(path.find('/'), path.size());
            const auto name = path.substr(0, end);
            path.remove_prefix(std::min(end + 1, path.size()));
            if (name.empty() || name == ".") continue;
            const auto* found = state_.nodes[at].names.find(name);
            if (found == nullptr) return std::nullopt;
            at = *found;
        }
        return at;
    }
    std::optional<Place> where(const std::string& path) const {
        const auto slash = path.rfind('/');
        const auto directory = walk(std::string_view(path).substr(0, slash));
        if (!directory || !state_.nodes[*directory].is_directory) return std::nullopt;
        return Place{*directory, path.substr(slash + 1)};
    }
    Place parent(const std::string& path, Fault fault, const char* verb) const {
        auto found = where(path);
        if (!found) fail(fault, verb, path, ENOENT);
        return *found;
    }
    io::FileInfo info_of(Id id) const {
        const auto& node = state_.nodes[id];
        io::FileInfo info;
        info.kind = node.is_directory ? io::FileKind::directory : io::FileKind::regular;
        info.size = Bytes{node.content.size()};
        info.modified_ns = node.modified;
        info.changed_ns = node.modified;
        info.inode = node.inode;
        info.links = node.links;
        return info;
    }
    void touched(Node& node) {
        node.dirty = true;
        node.changed = ++state_.changes;
        node.modified = 1'700'000'000'000'000'000 + static_cast<std::int64_t>(state_.changes) * 1'000;
    }
    Change& pending(Change::Kind kind, Id node, const Place& at) {
        auto& change = state_.pending.emplace_back();
        change.kind = kind;
        change.number = ++state_.changes;
        change.node = node;
        change.directory = at.first;
        change.name = at.second;
        state_.nodes[node].changed = change.number;
        state_.nodes[at.first].changed = change.number;
        return change;
    }
    Id add(Id directory, const std::string& name, bool is_directory) {
        const auto id = static_cast<Id>(state_.nodes.size());
        state_.nodes.push_back({.is_directory = is_directory, .links = 1});
        state_.nodes[directory].names.set(name, id);
        state_.nodes[id].inode = pending(Change::Kind::add, id, {directory, name}).number;
        return id;
    }
    void take_away(Id node, const Place& at) {
        state_.nodes[at.first].names.erase(at.second);
        --state_.nodes[node].links;
        pending(Change::Kind::remove, node, at);
    }
    void move(Id node, const Place& from, const Place& to) {
        state_.nodes[from.first].names.erase(from.second);
        state_.nodes[to.first].names.set(to.second, node);
        auto& change = pending(Change::Kind::rename, node, from);
        change.to_directory = to.first;
        change.to = to.second;
        state_.nodes[to.first].changed = change.number;
    }

    static void apply(std::vector<Node>& nodes, const Change& change) {
        switch (change.kind) {
            case Change::Kind::add: nodes[change.directory].durable.set(change.name, change.node); break;
            case Change::Kind::remove: nodes[change.directory].durable.erase(change.name); break;
            case Change::Kind::rename:
                nodes[change.directory].durable.erase(change.name);
                nodes[change.to_directory].durable.set(change.to, change.node);
                break;
        }
    }
    static bool is_in(const Change& change, Id directory) {
        return change.directory == directory ||
               (change.kind == Change::Kind::rename && change.to_directory == directory);
    }
    static bool is_of(const Change& change, Id directory, const std::string& name) {
        return (change.directory == directory && change.name == name) ||
               (change.kind == Change::Kind::rename && change.to_directory == directory && change.to == name);
    }
    /// `later` cannot have been without `earlier`.
    static bool needs(const Change& later, const Change& earlier) {
        if (is_of(earlier, later.directory, later.name)) return true;
        if (later.kind == Change::Kind::rename) return is_of(earlier, later.to_directory, later.to);
        // A directory that is removed was empty.
        return later.kind == Change::Kind::remove && is_in(earlier, later.node);
    }

    void sync_content(Id id) {
        auto& node = state_.nodes[id];
        if (node.dirty) {
            node.synced = node.content;
            node.dirty = false;
        }
        if (model_ == Model::journal) commit_up_to(node.changed);
    }
    void commit_up_to(std::uint64_t number) {
        auto& all = state_.pending;
        const auto end =
            std::find_if(all.begin(), all.end(), [&](const Change& change) { return change.number > number; });
        std::for_each(all.begin(), end, [&](const Change& change) { apply(state_.nodes, change); });
        all.erase(all.begin(), end);
    }
    void sync_names(Id directory) {
        if (model_ == Model::journal) {
            commit_up_to(state_.nodes[directory].changed);
            return;
        }
        auto& all = state_.pending;
        if (model_ == Model::twice && std::any_of(all.begin(), all.end(), [&](const Change& change) {
                return change.kind != Change::Kind::add && change.directory == directory;
            })) {
            commit_up_to(state_.changes);
            return;
        }
        std::vector<char> certain(all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            auto& change = all[i];
            change.synced = change.synced || change.directory == directory;
            change.to_synced = change.to_synced || change.to_directory == directory;
            certain[i] = change.synced && (change.kind != Change::Kind::rename || change.to_synced);
        }
        for (std::size_t i = all.size(); i-- > 0;) {
            for (std::size_t k = 0; certain[i] && k < i; ++k) certain[k] = certain[k] || needs(all[i], all[k]);
        }
        std::vector<Change> left;
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (certain[i]) {
                apply(state_.nodes, all[i]);
            } else {
                left.push_back(std::move(all[i]));
            }
        }
        all = std::move(left);
    }

    static std::uint64_t mixed(std::uint64_t seed, std::string_view text) {
        for (const char c : text) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
        return Dice(seed ^ (text.size() << 56)).next();
    }
    static std::uint64_t digest_of(const State& state, Id id) {
        const auto& node = state.nodes[id];
        if (!node.is_directory) return mixed(1, node.content);
        std::uint64_t sum = 2;
        for (const auto& [name, child] : node.names) sum += mixed(digest_of(state, child), name);
        return Dice(sum).next();
    }
    void collect(Id id, const std::string& path, std::vector<std::pair<std::string, std::string>>& all) const {
        for (const auto& [name, child] : state_.nodes[id].names) {
            const auto here = path + "/" + name;
            if (state_.nodes[child].is_directory) {
                collect(child, here, all);
            } else {
                all.emplace_back(here, state_.nodes[child].content);
            }
        }
    }

    /// The states that a loss of power may leave.
    class Losing {
      public:
        Losing(const State& state, Model model) : state_(state), model_(model) {
            const auto& all = state.pending;
            needed_.resize(all.size());
            for (std::size_t i = 0; i < all.size(); ++i) {
                for (std::size_t k = 0; k < i; ++k) {
                    if (model == Model::journal || needs(all[i], all[k]) ||
                        (model == Model::directories && share_a_directory(all[i], all[k]))) {
                        needed_[i].push_back(k);
                    }
                }
            }
        }

        template <typename Each>
        std::size_t go(std::size_t most, Dice& dice, Each each) {
            std::vector<std::vector<char>> sets;
            std::vector<char> set(state_.pending.size());
            list_sets(0, set, sets, most);
            std::set<std::uint64_t> seen;
            const auto give = [&](const Choice& choice, const std::vector<unsigned>& contents) {
                auto survivor = build(choice, contents);
                if (seen.insert(digest(survivor)).second) each(std::move(survivor));
            };
            // All, if there are no more than are wanted.
            if (sets.size() <= most) {
                std::vector<Choice> choices;
                std::size_t total = 0;
                for (auto& one : sets) {
                    choices.push_back(choice_of(std::move(one)));
                    std::size_t ways = 1;
                    for (std::size_t i = choices.back().written.size(); i > 0 && ways <= most; --i) ways *= fates;
                    total += ways;
                    if (total > most) break;
                }
                if (total <= most) {
                    for (const auto& choice : choices) {
                        std::vector<unsigned> contents(choice.written.size());
                        do give(choice, contents);
                        while (counted_on(contents));
                    }
                    return seen.size();
                }
            }
            // Else those at both ends, and any.
            const auto all = choice_of(std::vector<char>(set.size(), 1));
            const auto none = choice_of(set);
            for (std::size_t tries = 0; seen.size() < most && tries < 3 * most; ++tries) {
                const bool first = tries < fates;
                const auto any = tries == 0 ? none : first ? all : choice_of(any_set(dice));
                std::vector<unsigned> contents(any.written.size(), static_cast<unsigned>(tries));
                if (!first) {
                    for (auto& fate : contents) fate = static_cast<unsigned>(dice.below(fates));
                }
                give(any, contents);
            }
            return seen.size();
        }

      private:
        static constexpr unsigned fates = 5;
        static constexpr char both = 2;  ///< a rename of which only the new name survives as a change

        static bool share_a_directory(const Change& a, const Change& b) {
            return is_in(b, a.directory) || (a.kind == Change::Kind::rename && is_in(b, a.to_directory));
        }
        bool may_be(std::size_t i, const std::vector<char>& chosen) const {
            return std::all_of(needed_[i].begin(), needed_[i].end(), [&](std::size_t k) { return chosen[k] != 0; });
        }
        // One more than `most` says that there are too many.
        void list_sets(std::size_t i, std::vector<char>& set, std::vector<std::vector<char>>& sets,
                       std::size_t most) const {
            if (sets.size() > most) return;
            if (i == set.size()) {
                sets.push_back(set);
                return;
            }
            list_sets(i + 1, set, sets, most);
            if (!may_be(i, set)) return;
            set[i] = 1;
            list_sets(i + 1, set, sets, most);
            if (may_be_twice(i)) {
                set[i] = both;
                list_sets(i + 1, set, sets, most);
            }
            set[i] = 0;
        }
        // Once it is removed, or moved on, by something that is not in the log, all before that is committed.
        bool may_be_twice(std::size_t i) const {
            const auto& all = state_.pending;
            if (model_ != Model::twice || all[i].kind != Change::Kind::rename || !all[i].to_synced) return false;
            return std::none_of(all.begin() + static_cast<long>(i) + 1, all.end(), [&](const Change& later) {
                return later.node == all[i].node && !(later.kind == Change::Kind::rename && later.to_synced);
            });
        }
        std::vector<char> any_set(Dice& dice) const {
            std::vector<char> set(state_.pending.size());
            if (model_ == Model::journal) {
                std::fill_n(set.begin(), dice.below(set.size() + 1), 1);
                return set;
            }
            const auto likely = dice.below(5);  // of 4
            for (std::size_t i = 0; i < set.size(); ++i) {
                set[i] = may_be(i, set) && dice.below(4) < likely;
                if (set[i] != 0 && may_be_twice(i) && dice.below(2) == 0) set[i] = both;
            }
            return set;
        }
        /// The changes that survive, what names there are then, and whose content was not synced.
        struct Choice {
            std::vector<Names> names;
            std::vector<Id> written;
        };
        Choice choice_of(const std::vector<char>& set) const {
            Choice choice{names_of(set), {}};
            find_written(choice.names, 0, choice.written);
            return choice;
        }
        void find_written(const std::vector<Names>& names, Id id, std::vector<Id>& found) const {
            for (const auto& slot : names[id]) {
                const auto& node = state_.nodes[slot.second];
                if (node.is_directory) {
                    find_written(names, slot.second, found);
                } else if (node.dirty) {
                    found.push_back(slot.second);
                }
            }
        }
        std::vector<Names> names_of(const std::vector<char>& chosen) const {
            std::vector<Names> names;
            names.reserve(state_.nodes.size());
            for (const auto& node : state_.nodes) names.push_back(node.durable);
            for (std::size_t i = 0; i < chosen.size(); ++i) {
                if (chosen[i] == 0) continue;
                const auto& change = state_.pending[i];
                if (change.kind == Change::Kind::add) {
                    names[change.directory].set(change.name, change.node);
                    continue;
                }
                if (chosen[i] != both) names[change.directory].erase(change.name);
                if (change.kind == Change::Kind::rename) names[change.to_directory].set(change.to, change.node);
            }
            return names;
        }
        static bool counted_on(std::vector<unsigned>& contents) {
            for (auto& fate : contents) {
                if (++fate < fates) return true;
                fate = 0;
            }
            return false;
        }
        static std::string content_of(const Node& node, unsigned fate) {
            const auto& whole = node.content;
            switch (fate) {
                case 0: return whole;
                case 1: return node.synced;
                case 2: return whole.substr(0, whole.size() / 2);
                case 3: return std::string(whole.size(), '\0');
                default: {
                    auto rubbish = whole;
                    for (auto& c : rubbish) c = static_cast<char>(c ^ 0x55);
                    return rubbish;
                }
            }
        }
        State build(const Choice& choice, const std::vector<unsigned>& contents) const {
            State survivor;
            survivor.changes = state_.changes;
            survivor.nodes.reserve(state_.nodes.size());
            std::map<Id, Id> copies;
            copy_node(choice, 0, contents, survivor, copies);
            return survivor;
        }
        /// What can be reached: the rest is gone.
        Id copy_node(const Choice& choice, Id id, const std::vector<unsigned>& contents, State& survivor,
                     std::map<Id, Id>& copies) const {
            const auto& old = state_.nodes[id];
            if (model_ == Model::twice && !old.is_directory) {
                const auto [at, is_new] = copies.try_emplace(id, static_cast<Id>(survivor.nodes.size()));
                if (!is_new) {
                    ++survivor.nodes[at->second].links;
                    return at->second;
                }
            }
            const auto made = static_cast<Id>(survivor.nodes.size());
            auto& node = survivor.nodes.emplace_back();
            node.is_directory = old.is_directory;
            node.links = 1;
            node.inode = old.inode;
            node.modified = old.modified;
            if (!old.is_directory) {
                const auto found = std::find(choice.written.begin(), choice.written.end(), id);
                node.content =
                    found == choice.written.end()
                        ? old.synced
                        : content_of(old, contents[static_cast<std::size_t>(found - choice.written.begin())]);
                node.synced = node.content;
                return made;
            }
            auto mine = choice.names[id];
            for (auto& slot : mine) slot.second = copy_node(choice, slot.second, contents, survivor, copies);
            survivor.nodes[made].names = mine;
            survivor.nodes[made].durable = std::move(mine);
            return made;
        }

        const State& state_;
        Model model_;
        std::vector<std::vector<std::size_t>> needed_;
    };

    Model model_;
    State state_;
    std::vector<Open> files_;
};

}  // namespace ums::test
