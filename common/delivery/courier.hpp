// SPDX-License-Identifier: GPL-3.0-or-later
//
// delivery: the protocol by which a message leaves the spool: stage, publish, or revoke. Section 3 of the design.
//
//  1. The entry goes to sending/ with a new attempt number, durably.
//  2. A witness of its batch, `<stage>/witness.<token>`, is put into the stage directory. Then the message is uploaded to a
//     stage name that nobody reads, `<stage>/<id>.<attempt>.part`; its size is checked.
//  3. The entry goes to publishing/ with the token in its name, durably.
//  4. Publish: the stage name is renamed to the final name, never over anything.
//  5. The entry is removed, or goes to sent/, while the next batch is on its way.
//
// Until step 4 every failure is certain: nothing can have arrived. Step 4 is clear if it was done, or if it certainly never
// left, or was refused for want of credentials. Everything else is in doubt, and a doubt is resolved by looking, never by
// guessing: the stage name is renamed to `.revoked`, then looked for, and then what it can have become. If `.revoked` is
// there, before the directories were synced and after it, and the final name is not, the message was not published and now
// cannot be, however late a delayed request may still be carried out. If the final name is there, it is the message if it has its size; a file of another size (a server
// that died while it copied, a planted name) proves nothing. If neither stage name nor `.revoked` is there and *its* witness
// is, our publish won, even if the kernel has taken the file since. If the witness is gone too, somebody cleared the
// directory: nothing is proven, and the policy for doubts decides (ums-failover). The witness of another batch proves
// nothing: the directory may have been cleared in between.
// tests/model/delivery.pml is the model of all this, and tests/model/recall.pml of what recall() does.
//
// In place (Destination::in_place), for a server whose rename cannot be had or trusted, there is no stage: the entry goes to
// publishing/, without a witness, and is uploaded straight to its final name, never over anything. What the server has
// refused has not arrived; an unclear answer is settled only by finding the whole message under its name, and is a matter
// for the policy otherwise. Without `in_place` such a server is refused: prepare() tries once whether a rename replaces.
//
// recall() takes back what has arrived at a target that does not work it off. A witness is put, and the entry goes from sent/
// to publishing/ with the mark `k=1`, durably; then its final name is renamed to `.revoked`. If that is there afterwards, and
// the final name is not, it was taken back, and is sent again under another final name (`b=`): whatever is still on its way
// can do nothing to that one. If neither is there and the witness is, the target took it after all, and it was delivered. If
// it lies there still, it is in doubt, as a rename may be on its way, unless the one and only rename was refused.
//
// Names are used once: attempt numbers never repeat, final names are made of the id, and of how often it was sent again.
// `<stage>/owner` names the spool, so that two spools with one MDS id find each other out instead of sweeping each other's
// files. Kernels of one spool may lead to one directory, and then share its stage: witnesses carry a hash of their queue, and
// clean() asks all queues.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "clock/clock.hpp"
#include "message/header_block.hpp"
#include "spool/spool.hpp"
#include "transport/store.hpp"

namespace ums::delivery {

/// Where the messages of one queue go.
struct Destination {
    std::string name;  ///< of the kernel or connector, for people
    spool::Queue queue;
    std::string stage;      ///< directory below the store's root: `.BER1`
    std::string extension;  ///< of final names
    bool keep_sent = false;
    bool in_place = false;
    std::string address;  ///< of the target, as in the configuration: what is known of it holds for that one
    /// The final directory of an entry, below the store's root: `R_ExConn/Out`; nothing if it cannot be known.
    std::function<std::optional<std::string>(const spool::EntryName&)> directory;
    /// What is changed in the header as the message leaves.
    std::function<message::Edit(const spool::EntryName&, const message::HeaderBlock&)> edit;
    /// Where it goes if edit() throws Error{unusable}, since it is not sent from here: it is decided about anew there.
    /// Nothing: to failed/.
    std::optional<spool::Queue> rejected{};
    /// Whether edit() may change anything in this message; false spares reading its header.
    std::function<bool(const spool::EntryName&)> edits;
};

enum class Outcome {
    delivered,
    deferred,  ///< back in new/, for certain not delivered
    in_doubt,  ///< in publishing/
    parked,    ///< in failed/
};
/// `delivered`, ..., `in-doubt`, ...: the words of result lines.
std::string_view to_string(Outcome outcome) noexcept;

struct Report {
    spool::EntryName name;
    Outcome outcome = Outcome::deferred;
    std::string detail;
    bool told_before = false;  ///< of `in_doubt`: an earlier run has said so
};

/// Final name of a message: its id and a hash that tells spools and copies apart, of `[A-Za-z0-9._-]`.
std::string final_name(const spool::EntryName& name, const std::string& uuid, const std::string& extension);

class Refusals;

class Courier {
  public:
    /// All of them must outlive the courier. `worker` proves that the queue is ours.
    Courier(spool::Spool& spool, const spool::Worker& worker, transport::Store& store, Destination destination,
            const clock::Clock& clock);

    /// Sees that the stage directory is there and ours; once, before anything else. `done`, or why the target cannot be
    /// used now. Throws Error{configuration} if the stage directory belongs to another spool, and for a target that knows no
    /// rename, or whose rename replaces what is there, unless delivery is in place.
    transport::Answer prepare();

    /// Resolves what an earlier run left in publishing/. What stays in doubt carries the time since when.
    std::vector<Report> settle();

    /// Delivers a batch of entries of new/. Entries that another took meanwhile are passed over. Ends early when the
    /// target is ill: see target_fault(). Those that arrived leave the spool while the next batch is on its way: they are
    /// told of by the next call, or by finish().
    std::vector<Report> deliver(std::span<const spool::Entry> entries);

    /// Waits until what arrived has left the spool, and tells of it: after the last deliver(), also after one that threw.
    std::vector<Report> finish();

    /// What this queue delivered there, of what sent/ still has; and what of it lies there under its final name.
    std::vector<spool::Entry> given() const;
    std::vector<spool::Entry> lying();

    /// Takes back what lies there. `delivered` is what the target took meanwhile, or would not give back; what is `deferred` is in
    /// new/ of the queue again.
    std::vector<Report> recall(std::span<const spool::Entry> entries);

    /// What made the target unusable in the last call; nothing if it works. A message's own fault is none of the target's:
    /// one that is not taken while others of its batch are, or a canary is, waits alone.
    const std::optional<transport::Answer>& target_fault() const noexcept { return target_fault_; }

    /// Removes what earlier attempts left in the stage directory, of this queue or another, and the witnesses of this queue
    /// for which nothing is in doubt.
    void clean();

  private:
    struct Attempt;
    std::string stage_path(const spool::EntryName& name, std::string_view suffix) const;
    std::string final_path(const spool::EntryName& name, const std::string& directory) const;
    std::string witness_path(std::string_view token) const {
        return destination_.stage + "/witness." + std::string(token);
    }
    transport::Answer put(const std::string& path, const std::string& content);
    bool ensure_directory(const std::string& directory);
    /// What is sent of a message, without the descriptor: as it stands, or with another header.
    transport::Body body_of(const spool::Entry& entry, const io::Fd& file) const;
    /// Why what stands at `path`, its final name, is not the message; empty if it is.
    std::string difference(const spool::Entry& entry, const transport::Item& item, const std::string& path) const;
    void open_attempts(std::vector<Attempt>& attempts, std::vector<Report>& reports);
    void upload(std::vector<Attempt>& attempts, std::vector<Report>& reports);
    bool witness(std::span<const Attempt> attempts, std::vector<Report>& reports);
    transport::Answer put_witness();
    bool begin_publishing(std::vector<Attempt>& attempts, std::vector<Report>& reports);
    /// Whether the target takes another file of that size now: then what it refused is the message's own matter. One that is
    /// full takes small ones still, and does not always say that it is full.
    transport::Answer canary(const spool::EntryName& name, Bytes size);
    /// Asks the target, if something was refused.
    void judge(Refusals& refusals, const spool::EntryName& name);
    transport::Answer check_rename(const std::string& owner_path, const std::string& own);
    void deliver_in_place(std::span<Attempt> attempts, std::vector<Report>& reports);
    void upload_in_place(std::span<Attempt> attempts, std::vector<Report>& reports);
    void publish(std::vector<Attempt>& attempts, std::vector<Report>& reports);
    /// What the publish that made a doubt said, by id.
    using Doubts = std::map<std::string, std::string, std::less<>>;
    /// By looking at the final names alone. `kept_out`: the ids of those that had no room, if they are not there.
    void resolve_in_place(std::span<const spool::Entry> entries, const Doubts& doubts,
                          const std::set<std::string, std::less<>>& kept_out, std::vector<Report>& reports);
    /// They stay in publishing/, with the time since when.
    void leave_in_doubt(std::span<const std::pair<spool::Entry, std::string>> entries, const Doubts& doubts,
                        std::vector<Report>& reports);
    /// Whether no rename of these messages can be on its way but the one that is made now.
    enum class Try { first, another };
    /// How many were revoked.
    std::size_t resolve(std::vector<spool::Entry> entries, const Doubts& doubts, std::vector<Report>& reports,
                        Try attempt = Try::another);
    struct Arrived {
        spool::Entry entry;
        std::string path;       ///< its final name
        std::string note = {};  ///< how that is known, if not from the answer
        bool for_good = false;  ///< nobody is to try again to take it back
    };
    /// Makes their names durable and begins to end their attempts; false, with all of them in doubt, if the target cannot.
    /// `staged`: they came through the stage directory.
    bool complete(std::span<const Arrived> arrived, bool staged, std::vector<Report>& reports);
    void give_back(std::span<const spool::Entry> entries, std::vector<Report>& reports, const std::string& why);
    /// The target is to blame, and none of them can be tried there now.
    void give_back_all(std::span<const Attempt> attempts, const transport::Answer& answer,
                       std::vector<Report>& reports);
    /// Counts it, and makes it wait; the fifth refusal that is the message's own matter parks it, a lack of room never does.
    void refuse(const spool::Entry& entry, const transport::Answer& answer, bool is_own, std::vector<Report>& reports);
    /// Back in new/ under `name`, not to be tried before the pause is over.
    void postpone(const spool::Entry& entry, const spool::EntryName& name, std::chrono::seconds pause,
                  const std::string& why, std::vector<Report>& reports);
    void blame_target(const transport::Answer& answer);
    /// Attempts that are being ended, and what is told when they are.
    struct Ending {
        std::vector<spool::Entry> entries;
        std::vector<spool::Entry> for_good;
        std::vector<Report> reports;
        std::unique_ptr<io::Disk::Work> work = nullptr;  ///< last: it ends before what it uses
    };
    void finish(std::vector<Report>& reports);
    /// What can be seen of all attempts becomes durable.
    void sync_attempts();
    void sync_moves_to_publishing();

    spool::Spool& spool_;
    const spool::Worker& worker_;
    transport::Store& store_;
    Destination destination_;
    const clock::Clock& clock_;
    std::optional<transport::Answer> target_fault_;
    std::set<std::string> directories_;
    std::string witness_token_;            ///< of this batch
    std::set<std::string> own_witnesses_;  ///< paths of those that were put here
    std::optional<Ending> ending_;
};

}  // namespace ums::delivery
