// SPDX-License-Identifier: GPL-3.0-or-later
#include "spool/spool.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <span>
#include <thread>
#include <tuple>
#include <utility>

#include "text/text.hpp"

namespace ums::spool {

namespace {

constexpr std::string_view version_text = "ums-spool 1\n";
constexpr Bytes largest_reserve{16 << 20};
constexpr std::uint64_t largest_reserve_files = 64;
constexpr Bytes longest_why{8 << 10};

struct KindName {
    Queue::Kind kind;
    std::string_view name;
    bool has_name;
};
constexpr std::array<KindName, 8> kinds{{{Queue::Kind::outgoing, "outgoing", false},
                                         {Queue::Kind::incoming, "incoming", false},
                                         {Queue::Kind::site, "site", true},
                                         {Queue::Kind::kernel, "kernel", true},
                                         {Queue::Kind::connector, "connector", true},
                                         {Queue::Kind::noroute, "noroute", false},
                                         {Queue::Kind::failed, "failed", false},
                                         {Queue::Kind::sent, "sent", false}}};

const KindName& describe(Queue::Kind kind) {
    return *std::find_if(kinds.begin(), kinds.end(), [&](const KindName& k) { return k.kind == kind; });
}

std::vector<State> states_of(Queue::Kind kind) {
    switch (kind) {
        case Queue::Kind::outgoing:
        case Queue::Kind::incoming: return {State::tmp, State::fresh, State::sending, State::publishing, State::hold};
        case Queue::Kind::kernel:
        case Queue::Kind::connector: return {State::fresh, State::sending, State::publishing, State::hold};
        case Queue::Kind::site:
        case Queue::Kind::noroute:
        case Queue::Kind::failed: return {State::fresh, State::hold};
        case Queue::Kind::sent: return {State::fresh};
    }
    return {};
}

// Made with the spool, and not by the first message that comes there.
bool has_common_sign(Queue::Kind kind) { return !describe(kind).has_name && kind != Queue::Kind::sent; }

bool is_entry_of(std::string_view text, std::string_view id) {
    return text.starts_with(id) && (text.size() == id.size() || text[id.size()] == ',');
}

}  // namespace

std::string to_string(const Queue& queue) {
    const auto& kind = describe(queue.kind);
    return kind.has_name ? std::string(kind.name) + "/" + queue.name : std::string(kind.name);
}

std::optional<Queue> parse_queue(std::string_view text) {
    const auto slash = text.find('/');
    for (const auto& kind : kinds) {
        if (text.substr(0, slash) != kind.name) continue;
        if (!kind.has_name) return slash == std::string_view::npos ? std::optional(Queue{kind.kind, ""}) : std::nullopt;
        if (slash == std::string_view::npos) return std::nullopt;
        const auto name = text.substr(slash + 1);
        if (name.empty() || name[0] == '.' || name.find('/') != std::string_view::npos) return std::nullopt;
        return Queue{kind.kind, std::string(name)};
    }
    return std::nullopt;
}

std::string_view to_string(State state) noexcept {
    switch (state) {
        case State::tmp: return "tmp";
        case State::fresh: return "new";
        case State::sending: return "sending";
        case State::publishing: return "publishing";
        case State::hold: return "hold";
    }
    return "";
}

// Draft

Draft::Draft(Spool& spool, Queue queue, EntryName name, io::Fd fd, std::string path)
    : spool_(&spool),
      queue_(std::move(queue)),
      name_(std::move(name)),
      tmp_name_(name_),
      fd_(std::move(fd)),
      path_(std::move(path)) {}

Draft::Draft(Draft&& other) noexcept
    : spool_(std::exchange(other.spool_, nullptr)),
      queue_(std::move(other.queue_)),
      name_(std::move(other.name_)),
      tmp_name_(std::move(other.tmp_name_)),
      fd_(std::move(other.fd_)),
      path_(std::move(other.path_)),
      kept_(other.kept_),
      synced_(other.synced_) {}

void Draft::discard() {
    if (spool_ == nullptr || !fd_) return;
    spool_->disk().remove(path_);
    fd_.reset();
}

Draft::~Draft() {
    if (spool_ == nullptr || !fd_ || kept_) return;
    try {
        spool_->disk().remove(path_);
    } catch (...) {  // it belongs to nobody once the lock is gone: the next sweep takes it
    }
}

void Draft::write(std::string_view data) {
    synced_ = false;
    spool_->disk().write(fd_, data, path_);
}

void Draft::copy(const io::Fd& from, std::uint64_t offset, Bytes length) {
    synced_ = false;
    spool_->disk().copy(from, offset, length, fd_, path_);
}

void Draft::rename(EntryName name) {
    if (name.id() != name_.id()) throw Error(Fault::internal, "a draft keeps its id");
    name_ = std::move(name);
}

// Spool

Spool::Spool(io::Disk& disk, const clock::Clock& clock, std::string root, std::string mds_id, NetworkFileSystem network,
             Opening opening)
    : disk_(disk), clock_(clock), root_(std::move(root)), mds_id_(std::move(mds_id)) {
    if (opening != Opening::create) {
        if (!disk_.info(root_)) {
            if (opening == Opening::examine_if_there) return;
            throw Error(Fault::cannot_read, "there is no spool at " + text::quote(root_) + " yet");
        }
    } else {
        io::make_directories(disk_, root_);
    }
    if (network == NetworkFileSystem::refuse) {
        if (const auto name = disk_.network_file_system(root_)) {
            throw Error(Fault::configuration,
                        "the spool " + text::quote(root_) + " is on a network file system (" + *name +
                            "), which cannot keep the spool's promises; 'force-spool: yes' in the "
                            "configuration uses it all the same");
        }
    }
    const std::string version_path = root_ + "/VERSION";
    auto version = io::read_file(disk_, version_path, Bytes{4096});
    if (!version) {
        if (opening != Opening::create) throw Error(Fault::cannot_read, text::quote(root_) + " is no spool");
        bool is_foreign = false;
        disk_.list(root_, [&](std::string_view name) {
            // A first run that died left nothing but these; anything else is somebody's directory.
            is_foreign = name != "state" && !name.starts_with("VERSION");
            return !is_foreign;
        });
        // Unless another first run has just finished: VERSION is there before anything else is.
        if (is_foreign) version = io::read_file(disk_, version_path, Bytes{4096});
        if (is_foreign && !version) {
            throw Error(Fault::configuration,
                        "the spool " + text::quote(root_) + " is a directory with other things in it, and no spool");
        }
    }
    if (version && *version != version_text) {
        throw Error(Fault::configuration, "the spool " + text::quote(root_) + " has the version " +
                                              text::quote(text::trim(*version)) + ", this program knows " +
                                              text::quote(text::trim(version_text)));
    }

    const std::string uuid_path = root_ + "/state/uuid";
    auto uuid = io::read_file(disk_, uuid_path, Bytes{4096});
    if (!uuid && opening == Opening::create) {
        // Several tools may start on a new spool at once: the first name wins, the others read it.
        ensure_directory(root_ + "/state");
        const std::string own = uuid_path + "." + io::random_token();
        {
            const io::Fd fd = disk_.create(own);
            disk_.write(fd, io::random_token() + io::random_token() + "\n", own);
            disk_.sync(fd, own);
        }
        if (disk_.rename(own, uuid_path) != io::Renamed::moved) disk_.remove(own);
        disk_.sync_directory(root_ + "/state");
        uuid = io::read_file(disk_, uuid_path, Bytes{4096});
    }
    if (!version && opening == Opening::create) {
        const std::string own = version_path + "." + io::random_token();
        {
            const io::Fd fd = disk_.create(own);
            disk_.write(fd, version_text, own);
            disk_.sync(fd, own);
        }
        if (disk_.rename(own, version_path) != io::Renamed::moved) disk_.remove(own);
        disk_.sync_directory(root_);
    }
    uuid_ = std::string(text::trim(uuid.value_or("")));
    if (uuid_.empty() && opening == Opening::create) {
        throw Error(Fault::cannot_read, "the spool's identity " + text::quote(uuid_path) + " is empty");
    }
    if (opening == Opening::create) ensure_own();
    if (opening != Opening::create && opening != Opening::change) return;
    if (disk_.may_keep_both_names(root_)) remove_second_names();
}

std::string Spool::path(const Queue& queue) const { return root_ + "/" + to_string(queue); }

std::string Spool::path(const Queue& queue, State state) const {
    return path(queue) + "/" + std::string(to_string(state));
}

std::string Spool::path(const Entry& entry) const { return path(entry.queue, entry.state) + "/" + entry.name.text(); }

std::string Spool::state_path(std::string_view relative) const {
    const std::string full = root_ + "/state/" + std::string(relative);
    io::make_directories(disk_, io::parent_of(full));
    return full;
}

std::string Spool::note_path(std::string_view source, std::string_view id) const {
    return root_ + "/state/fetch/" + std::string(source) + "/" + std::string(id);
}

bool Spool::is_noted(std::string_view id) const {
    bool found = false;
    disk_.list(root_ + "/state/fetch", [&](std::string_view source) {
        found = disk_.info(note_path(source, id)).has_value();
        return !found;
    });
    return found;
}

void Spool::ensure_directory(const std::string& path) {
    if (!disk_.info(path)) io::make_directories(disk_, path);
}

// A directory that is there may have been made by somebody who died before its name was durable, and all that is moved into
// it would be lost with its name. So the names are synced until somebody has left a sign that he has done so: the file that
// the queue is locked by. If the sign is lost, they are synced once more.
void Spool::ensure(const Queue& queue) {
    const std::lock_guard lock(ensuring_);
    if (ensured_.contains(queue)) return;
    for (const State state : states_of(queue.kind)) ensure_directory(path(queue, state));
    if (!has_common_sign(queue.kind)) {
        const std::string sign = path(queue) + "/lock";
        if (!disk_.info(sign)) {
            for (const auto& directory : {path(queue), io::parent_of(path(queue)), root_})
                disk_.sync_directory(directory);
            leave_sign(sign);
        }
    }
    ensured_.insert(queue);
}

void Spool::leave_sign(const std::string& path) {
    try {
        static_cast<void>(disk_.open_or_create(path));
    } catch (const Error&) {  // a disk without room for it costs a few syncs more
    }
}

// The same for what the spool itself is made of, at once: VERSION before all that makes it look like somebody's directory.
void Spool::ensure_own() {
    std::vector<Queue> own;
    for (const auto& kind : kinds) {
        if (has_common_sign(kind.kind)) own.push_back(Queue{kind.kind, ""});
    }
    const std::string sign = path(Queue::outgoing()) + "/lock";
    const bool is_durable = disk_.info(sign).has_value();
    if (!is_durable) {
        for (const char* memory : {"claims", "deleted", "fetch"}) ensure_directory(root_ + "/state/" + memory);
        disk_.sync_directory(root_ + "/state");
        disk_.sync_directory(root_);
        try {
            disk_.sync_directory(io::parent_of(root_));
        } catch (const Error& error) {
            // A directory that we may not read is none that we have made the spool in.
            if (error.fault() != Fault::permission) throw;
        }
    }
    for (const auto& queue : own) ensure(queue);
    if (is_durable) return;
    for (const auto& queue : own) disk_.sync_directory(path(queue));
    disk_.sync_directory(root_);
    leave_sign(sign);
}

Draft Spool::draft(const Queue& queue) { return draft(queue, EntryName::make(clock_.now(), mds_id_)); }

Draft Spool::draft(const Queue& queue, const EntryName& name, Room room) {
    ensure(queue);
    const std::string directory = path(queue, State::tmp);
    if (room == Room::leave_reserve) require_room(queue, Bytes{0});
    const std::string file = directory + "/" + name.text();
    // A sweep may lock, and remove, the file between our open and our lock: then it is not ours, and we make another.
    for (;;) {
        io::Fd fd = disk_.create(file);
        while (!disk_.try_lock(fd, file)) std::this_thread::yield();
        if (disk_.info(fd, file).links > 0) return Draft(*this, queue, name, std::move(fd), file);
    }
}

void Spool::require_room(const Queue& queue, Bytes size, std::uint64_t files) {
    ensure(queue);
    const auto space = disk_.space(path(queue, State::tmp));
    const Bytes reserve = std::min(largest_reserve, Bytes{space.total.count / 20});
    // Sizes come from a server, and may be anything.
    if (space.available < reserve || size.count > space.available.count - reserve.count) {
        throw Error(Fault::cannot_write, "the spool's disk is full (" + text::format_bytes(space.available) +
                                             " left, and " + text::format_bytes(reserve) +
                                             " are kept to finish what was accepted); nothing new is taken");
    }
    // Moving a message on needs no file, but the directories of its next queue do, and notes, and states.
    const auto reserved_files = std::min(largest_reserve_files, space.files / 4);
    if (space.files > 0 && space.available_files < reserved_files + files) {
        throw Error(Fault::cannot_write, "the spool's disk is full (" + std::to_string(space.available_files) +
                                             " inodes left, and " + std::to_string(reserved_files) +
                                             " are kept to finish what was accepted); nothing new is taken");
    }
}

void Spool::sync(std::span<Draft> drafts) {
    std::vector<const io::Fd*> fds;
    for (const auto& draft : drafts) {
        if (!draft.synced_) fds.push_back(&draft.fd_);
    }
    if (fds.empty()) return;
    disk_.sync_all(fds, io::parent_of(drafts.front().path_));
    for (auto& draft : drafts) draft.synced_ = true;
}

void Spool::accept(std::span<Draft> drafts) {
    if (drafts.empty()) return;
    sync(drafts);
    std::vector<Move> moves;
    for (const auto& draft : drafts) {
        moves.push_back({{draft.queue_, State::tmp, draft.tmp_name_}, {draft.queue_, State::fresh, draft.name_}});
    }
    const auto moved = move(moves);
    for (std::size_t i = 0; i < drafts.size(); ++i) {
        if (moved[i] != Moved::yes) {
            throw Error(Fault::cannot_write,
                        "cannot accept " + text::quote(drafts[i].name_.text()) + ": its file in tmp/ was taken away");
        }
        drafts[i].fd_.reset();
    }
}

std::optional<Draft> Spool::adopt(const Queue& queue, std::string_view id) {
    for (const auto& entry : list(queue, State::tmp)) {
        if (entry.name.id() != id) continue;
        const std::string file = path(entry);
        auto fd = disk_.open_to_write(file);
        if (!fd) return std::nullopt;
        if (!disk_.try_lock(*fd, file)) throw Error(Fault::later, text::quote(file) + " is in use");
        Draft draft(*this, queue, entry.name, std::move(*fd), file);
        draft.keep();
        return draft;
    }
    return std::nullopt;
}

std::optional<Worker> Spool::work(const Queue& queue) {
    ensure(queue);
    const std::string file = path(queue) + "/lock";
    io::Fd fd = disk_.open_or_create(file);
    if (!disk_.try_lock(fd, file)) return std::nullopt;
    recover(queue);
    return Worker(queue, std::move(fd));
}

bool Spool::is_busy(const Queue& queue) const {
    const std::string file = path(queue) + "/lock";
    if (!disk_.info(file)) return false;
    const io::Fd fd = disk_.open_or_create(file);
    return !disk_.try_lock(fd, file);
}

void Spool::commit_split(const Worker& worker, const Entry& original, std::span<Draft> children) {
    if (worker.queue() != original.queue || original.state != State::sending) {
        throw Error(Fault::internal, "only the worker of a queue splits, and only what it has in sending/");
    }
    // Recovery knows the parts by their id; and without a part there is no message left.
    const auto is_part = [&](const Draft& child) {
        return child.queue_ == original.queue && child.name_.parent_id() == original.name.id();
    };
    if (children.empty() || !std::all_of(children.begin(), children.end(), is_part)) {
        throw Error(Fault::internal, "a message is split into parts of its own");
    }
    sync(children);
    std::vector<Move> moves;
    for (const auto& child : children) {
        moves.push_back({{child.queue_, State::tmp, child.tmp_name_}, {child.queue_, State::publishing, child.name_}});
    }
    const auto moved = move(moves);
    for (std::size_t i = 0; i < children.size(); ++i) {
        if (moved[i] != Moved::yes) {
            throw Error(Fault::cannot_write,
                        "cannot split " + text::quote(original.name.text()) + ": the file of a part was taken away");
        }
        children[i].fd_.reset();
    }
    remove(std::span(&original, 1));
}

std::vector<Entry> Spool::list(const Queue& queue, State state) const {
    std::vector<Entry> entries;
    disk_.list(path(queue, state), [&](std::string_view text) {
        if (auto name = EntryName::parse(text)) entries.push_back({queue, state, std::move(*name)});
        return true;
    });
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
    return entries;
}

namespace {

// One of each connector after the other, each in its own order: who sends thousands keeps nobody else waiting.
void take_turns(std::span<Entry> entries) {
    std::map<std::string, std::size_t, std::less<>> counts;
    std::vector<std::pair<std::size_t, std::size_t>> turns;  // the how manieth of its connector, and where it stands
    turns.reserve(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i)
        turns.emplace_back(counts[std::string(entries[i].name.get(attribute::connector))]++, i);
    if (counts.size() < 2) return;
    std::sort(turns.begin(), turns.end());
    std::vector<Entry> ordered;
    ordered.reserve(entries.size());
    for (const auto& turn : turns) ordered.push_back(std::move(entries[turn.second]));
    std::move(ordered.begin(), ordered.end(), entries.begin());
}

}  // namespace

std::vector<Entry> Spool::due(const Queue& queue) const {
    auto entries = list(queue, State::fresh);
    const auto now = clock::whole_seconds(clock_.now());
    std::erase_if(entries, [&](const Entry& entry) {
        // A time further ahead than any wait of ours was set by a clock that ran wrong.
        const auto not_before = entry.name.number(attribute::not_before);
        constexpr unsigned long long longest_pause = 3600;
        return not_before > now && not_before - now < longest_pause;
    });
    const auto others = std::stable_partition(
        entries.begin(), entries.end(), [](const Entry& entry) { return entry.name.number(attribute::priority) > 0; });
    take_turns({entries.begin(), others});
    take_turns({others, entries.end()});
    return entries;
}

std::vector<Queue> Spool::queues(Queue::Kind kind) const {
    const auto& description = describe(kind);
    if (!description.has_name) return {Queue{kind, ""}};
    std::vector<Queue> found;
    disk_.list(root_ + "/" + std::string(description.name), [&](std::string_view name) {
        if (!name.starts_with('.')) found.push_back(Queue{kind, std::string(name)});
        return true;
    });
    std::sort(found.begin(), found.end());
    return found;
}

std::vector<Queue> Spool::all_queues() const {
    std::vector<Queue> all;
    for (const auto& kind : kinds) {
        for (auto& queue : queues(kind.kind)) all.push_back(std::move(queue));
    }
    return all;
}

// All that lies in the queues, entries or not.
void Spool::each_name(const std::function<void(const Queue&, State, std::string_view)>& look) const {
    for (const auto& queue : all_queues()) {
        for (const State state : states_of(queue.kind)) {
            disk_.list(path(queue, state), [&](std::string_view text) {
                look(queue, state, text);
                return true;
            });
        }
    }
}

std::vector<Entry> Spool::find(std::string_view id) const {
    std::vector<Entry> found;
    each_name([&](const Queue& queue, State state, std::string_view text) {
        if (state == State::tmp || !is_entry_of(text, id)) return;
        if (auto name = EntryName::parse(text)) found.push_back({queue, state, std::move(*name)});
    });
    return found;
}

std::vector<Moved> Spool::move(std::span<const Move> moves) {
    std::vector<Moved> results;
    results.reserve(moves.size());
    std::set<std::string> destinations;
    std::set<std::string> sources;
    const auto make_durable = [&] {
        for (const auto& directory : destinations) disk_.sync_directory(directory);
        for (const auto& directory : sources) {
            if (!destinations.contains(directory)) disk_.sync_directory(directory);
        }
        destinations.clear();
        sources.clear();
    };
    try {
        for (const auto& one : moves) {
            ensure(one.to.queue);
            const auto source = path(one.from.queue, one.from.state);
            const auto destination = path(one.to.queue, one.to.state);
            // A directory that is left and reached by one batch cannot be synced both first and last.
            if (sources.contains(destination) || (source != destination && destinations.contains(source)))
                make_durable();
            switch (disk_.rename(path(one.from), path(one.to))) {
                case io::Renamed::moved:
                    results.push_back(Moved::yes);
                    destinations.insert(destination);
                    if (source != destination) sources.insert(source);
                    break;
                case io::Renamed::source_missing: results.push_back(Moved::gone); break;
                case io::Renamed::target_exists: results.push_back(Moved::clash); break;
            }
        }
    } catch (...) {
        // What was renamed before the failure must not stay half durable because of the rest.
        make_durable();
        throw;
    }
    make_durable();
    return results;
}

bool Spool::move(const Entry& from, const Entry& to) {
    const std::array<Move, 1> one{{{from, to}}};
    return move(one).front() == Moved::yes;
}

std::size_t Spool::remove(std::span<const Entry> entries) {
    std::size_t removed = 0;
    std::set<std::string> directories;
    for (const auto& entry : entries) {
        // The reason first: better an entry without one than one without an entry, which nobody would ever remove.
        if (entry.state == State::fresh || entry.state == State::hold) {
            disk_.remove(path(entry) + std::string(why_suffix));
        }
        if (disk_.remove(path(entry))) {
            directories.insert(path(entry.queue, entry.state));
            ++removed;
        }
    }
    for (const auto& directory : directories) disk_.sync_directory(directory);
    return removed;
}

std::optional<io::Fd> Spool::open(const Entry& entry) const { return disk_.open(path(entry)); }

bool Spool::park(const Entry& from, const Entry& to, std::string_view why) {
    ensure(to.queue);
    // The reason first, so that nobody sees a parked message without one. Losing it loses nothing: a failure to write
    // it must not keep the message from being parked.
    const std::string file = path(to) + std::string(why_suffix);
    try {
        disk_.remove(file);
        const io::Fd fd = disk_.create(file);
        disk_.write(fd, text::escape(why.substr(0, longest_why.count)) + "\n", file);
    } catch (const Error&) {
    }
    try {
        if (move(from, to)) return true;
    } catch (const Error&) {
        if (!disk_.info(path(to))) disk_.remove(file);
        throw;
    }
    disk_.remove(file);
    return false;
}

bool Spool::unpark(const Entry& from, const Entry& to) {
    disk_.remove(path(from) + std::string(why_suffix));
    return move(from, to);
}

std::optional<std::string> Spool::why(const Entry& entry) const {
    auto text = io::read_file(disk_, path(entry) + std::string(why_suffix), Bytes{64 << 10});
    if (text) *text = std::string(text::trim(*text));
    return text;
}

}  // namespace ums::spool
