// SPDX-License-Identifier: GPL-3.0-or-later
//
// spool: the messages that we have accepted, in directories. The layout is the contract of ums-spool(5).
//
//     <spool>/VERSION
//     <spool>/outgoing | incoming | site/<site> | kernel/<kernel> | connector/<connector> | noroute | failed | sent
//             each with some of  tmp/ new/ sending/ publishing/ hold/  and  lock
//     <spool>/state/
//
// The state is the directory: there is no index. What protects a message:
//
// - *Enqueue*: written in tmp/ under a lock of its own, synced, moved to new/. Only then is it accepted.
// - *Move*: one rename that never replaces, then the destination directory is synced, then the source directory. Never link
//   and unlink: after a crash in between, the second name would come alive again when the first was delivered. Where the
//   file system can leave both all the same (btrfs), who opens the spool to work first takes one away.
// - *One worker a queue*: an open-file-description lock, which dies with its process. Only its holder touches
//   sending/ and publishing/. Others may take entries out of new/, by rename, where exactly one wins.
// - *Split*: the original is taken into sending/; its children are written in tmp/, moved to publishing/; the original is
//   removed: that is the commit; the children are forwarded. A child whose original is still there is rolled back.
//
// Batches share their syncs. Every call may be repeated after a failure: what was done stays done.
//
// What can be seen need not be durable: who died before he synced it has left it so, and a loss of power may still undo it.
// Who moves a message on makes it durable with it. Who concludes something from what is there, or not there, syncs first.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clock/clock.hpp"
#include "io/disk.hpp"
#include "spool/entry_name.hpp"

namespace ums::spool {

struct Queue {
    enum class Kind { outgoing, incoming, site, kernel, connector, noroute, failed, sent } kind = Kind::outgoing;
    std::string name;  ///< of the site, kernel or connector; else empty

    static Queue outgoing() { return {Kind::outgoing, ""}; }
    static Queue incoming() { return {Kind::incoming, ""}; }
    static Queue site(std::string_view name) { return {Kind::site, std::string(name)}; }
    static Queue kernel(std::string_view name) { return {Kind::kernel, std::string(name)}; }
    static Queue connector(std::string_view name) { return {Kind::connector, std::string(name)}; }
    static Queue noroute() { return {Kind::noroute, ""}; }
    static Queue failed() { return {Kind::failed, ""}; }
    static Queue sent() { return {Kind::sent, ""}; }

    auto operator<=>(const Queue&) const = default;
};
/// `outgoing`, `site/munich`, ...; and back.
std::string to_string(const Queue& queue);
std::optional<Queue> parse_queue(std::string_view text);

enum class State { tmp, fresh, sending, publishing, hold };
/// `tmp`, `new`, `sending`, `publishing`, `hold`.
std::string_view to_string(State state) noexcept;

struct Entry {
    Queue queue;
    State state = State::fresh;
    EntryName name;
};

struct Move {
    Entry from;
    Entry to;
};

enum class Moved {
    yes,
    gone,   ///< another took it: no error
    clash,  ///< the destination has an entry of that name; nothing was changed
};

class Spool;

/// A message being written in tmp/. The destructor discards what was neither accepted nor kept.
class Draft {
  public:
    Draft(Draft&& other) noexcept;
    Draft& operator=(Draft&&) = delete;
    Draft(const Draft&) = delete;
    Draft& operator=(const Draft&) = delete;
    ~Draft();

    void write(std::string_view data);
    /// `length` bytes of `from` at `offset`.
    void copy(const io::Fd& from, std::uint64_t offset, Bytes length);
    /// To be written to before the draft is synced, not after it.
    const io::Fd& file() const noexcept { return fd_; }
    const std::string& path() const noexcept { return path_; }
    const EntryName& name() const noexcept { return name_; }
    const Queue& queue() const noexcept { return queue_; }
    /// Attributes may still be set before it is accepted; the id stays.
    void rename(EntryName name);
    /// From now on the file stays in tmp/ if it is not accepted: an intake note speaks for it, and says that losing it would
    /// lose the message.
    void keep() noexcept { kept_ = true; }
    /// Removes the file now, kept or not.
    void discard();

  private:
    friend class Spool;
    Draft(Spool& spool, Queue queue, EntryName name, io::Fd fd, std::string path);
    Spool* spool_;
    Queue queue_;
    EntryName name_;
    EntryName tmp_name_;
    io::Fd fd_;
    std::string path_;
    bool kept_ = false;
    bool synced_ = false;
};

/// The lock of a queue. While it lives, sending/ and publishing/ of that queue are ours.
class Worker {
  public:
    const Queue& queue() const noexcept { return queue_; }

  private:
    friend class Spool;
    Worker(Queue queue, io::Fd lock) : queue_(std::move(queue)), lock_(std::move(lock)) {}
    Queue queue_;
    io::Fd lock_;
};

enum class NetworkFileSystem { refuse, allow };
/// `examine` for tools that only look: nothing is created, and a spool that is not there is an error; with
/// `examine_if_there` it is an empty one. `change` for what an administrator does by hand: nothing is created either, but a
/// message that a loss of power left twice is made one first.
enum class Opening { create, change, examine, examine_if_there };

class Spool {
  public:
    /// Opens the spool at `root`, creating what is missing. Throws Error{configuration} for a spool of another version
    /// and for a network file system unless allowed, Error{cannot_write} or {cannot_read} for the disk.
    Spool(io::Disk& disk, const clock::Clock& clock, std::string root, std::string mds_id,
          NetworkFileSystem network = NetworkFileSystem::refuse, Opening opening = Opening::create);
    Spool(const Spool&) = delete;
    Spool& operator=(const Spool&) = delete;

    const std::string& root() const noexcept { return root_; }
    /// What tells this spool from another with the same MDS id.
    const std::string& uuid() const noexcept { return uuid_; }
    const std::string& mds_id() const noexcept { return mds_id_; }
    io::Disk& disk() const noexcept { return disk_; }

    std::string path(const Queue& queue) const;
    std::string path(const Queue& queue, State state) const;
    std::string path(const Entry& entry) const;
    /// A file below state/; its directories are created.
    std::string state_path(std::string_view relative) const;

    // Taking in.

    /// A new message for `queue` (outgoing or incoming). Throws Error{cannot_write} also when the disk has less room than
    /// the reserve that finishing needs: 16 MiB, or 5 % of a small file system; and 64 inodes, or a quarter of very few.
    /// The parts of a message that was accepted may use the reserve: that is what it is kept for.
    enum class Room { leave_reserve, use_reserve };
    Draft draft(const Queue& queue, const EntryName& name, Room room = Room::leave_reserve);
    /// Throws as draft() does if `size` more bytes in so many files would not leave the reserve.
    void require_room(const Queue& queue, Bytes size, std::uint64_t files = 1);
    /// draft() under a new identity.
    Draft draft(const Queue& queue);
    /// Synced, moved to new/, directories synced: accepted when this returns. All of the batch or, after a failure, any
    /// part of it.
    void accept(std::span<Draft> drafts);
    /// Only the content of the drafts made durable, if it is not yet.
    void sync(std::span<Draft> drafts);
    /// Removes what lies in tmp/ of `queue` and belongs to nobody: it can be locked, and no intake note names it. So it does with
    /// what runs left that died while they made the spool.
    void sweep(const Queue& queue);
    /// The intake note of `id` for a source, an empty file: while it is there, the draft is not swept.
    std::string note_path(std::string_view source, std::string_view id) const;
    /// Whether any source has noted it.
    bool is_noted(std::string_view id) const;
    /// A draft that a dead process left in tmp/ of `queue`, reopened under its lock and kept; nothing if it is not there. Throws
    /// Error{later} if it is in use.
    std::optional<Draft> adopt(const Queue& queue, std::string_view id);

    // Working a queue.

    /// The queue's lock; nothing if another run has it. What is in sending/ goes back to new/ (its attempt ended by our
    /// own death), the splits that a dead run left are finished or rolled back, tmp/ is swept, and so are reasons without a
    /// message. publishing/ of kernels and connectors is left to the delivery protocol.
    std::optional<Worker> work(const Queue& queue);
    /// Whether somebody works it now. A hint.
    bool is_busy(const Queue& queue) const;

    /// Every entry in one state, in order of arrival. Missing directories are empty.
    std::vector<Entry> list(const Queue& queue, State state) const;
    /// list(new) without those that must wait; important ones first, the connectors in turn.
    std::vector<Entry> due(const Queue& queue) const;
    /// Queues of a kind that exist on disk, known to the configuration or not; sorted.
    std::vector<Queue> queues(Queue::Kind kind) const;
    std::vector<Queue> all_queues() const;
    /// Where the message with this id is now: every place (two only while a move is under way). Listing is not atomic: an
    /// entry that moves meanwhile may be missed.
    std::vector<Entry> find(std::string_view id) const;

    /// Moves a batch, each on its own: one rename, then all destination directories are synced, then all source ones. (A
    /// batch that leaves a directory and also reaches it is synced in between, for the same order.)
    std::vector<Moved> move(std::span<const Move> moves);
    /// The same for one; true if it was ours.
    bool move(const Entry& from, const Entry& to);
    /// Removed for good, and durably so. Entries already gone are no error; how many were there.
    std::size_t remove(std::span<const Entry> entries);
    /// The message, to read. Nothing if it has moved on.
    std::optional<io::Fd> open(const Entry& entry) const;
    /// Moves `from` to `to` and leaves the reason beside it.
    bool park(const Entry& from, const Entry& to, std::string_view why);
    /// The reason beside `from` goes, then move().
    bool unpark(const Entry& from, const Entry& to);
    std::optional<std::string> why(const Entry& entry) const;

    /// Splits `original`, which the holder of `worker` has in sending/, into `children` (drafts of the same queue, named
    /// by original.name.child(k)). When this returns they are in publishing/ and the original is gone.
    void commit_split(const Worker& worker, const Entry& original, std::span<Draft> children);
    /// Where a child in publishing/ of outgoing or incoming belongs, by its attributes: where a rule put it, the site's
    /// queue, the connector's, else noroute.
    static Entry destination(const Entry& child);

    /// Appends one line a message to state/journal: time, tool, id, event, detail. For people and `ums-spool trace`;
    /// never read to decide anything, not synced, kept to about 32 MiB.
    struct Event {
        std::string id;
        std::string what;
        std::string detail;
    };
    void journal(std::string_view tool, std::span<const Event> events) const;
    /// The journal lines of an id, of what it was split from and into, oldest first, as `(time, tool, id, event, detail)`.
    std::vector<std::vector<std::string>> journal_of(std::string_view id) const;

  private:
    void ensure(const Queue& queue);
    void ensure_directory(const std::string& path);
    void ensure_own();
    void leave_sign(const std::string& path);
    void sweep_first_runs();
    void sweep_reasons(const Queue& queue, State state);
    void recover(const Queue& queue);
    void recover_splits(const Queue& queue);
    void remove_second_names();
    void each_name(const std::function<void(const Queue&, State, std::string_view)>& look) const;

    io::Disk& disk_;
    const clock::Clock& clock_;
    std::string root_;
    std::string mds_id_;
    std::string uuid_;
    std::mutex ensuring_;  ///< one thread may end attempts while another begins some
    std::set<Queue> ensured_;
};

}  // namespace ums::spool
