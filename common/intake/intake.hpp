// SPDX-License-Identifier: GPL-3.0-or-later
//
// intake: the protocol by which a message comes from a source directory into the spool. Section 4 of the design.
//
//  1. A ripe file (looks.hpp) is claimed: renamed, never over anything, to a dotfile in its own directory that carries
//     our MDS id, our spool and the id of the entry that it will be. Of several MDS exactly one wins. The names of a
//     batch's claims are on disk (state/claims/) before the first is made: some servers do not list dotfiles (nginx), and
//     a claim that only a listing could find would be lost with its process. At a server the
//     claims of a batch are the files of a directory of such a name, a basket: over WebDAV it goes with all that is in it by one
//     request, and Samba reads a whole directory for each name that is not there.
//  2. It is downloaded into tmp/ of the queue, its length checked, synced.
//  3. A note, the empty file `state/fetch/<source>/<id>`, is made durable: from here on the message is ours, and tmp/ keeps
//     it.
//  4. It is moved to new/: accepted.
//  5. The claim is deleted at the source, durably where we can; then the note. A basket goes as a whole if all that was ever
//     to come into it was accepted by this process, else file by file, and itself when it was seen empty ten minutes later: a
//     rename that is still on its way must not be deleted with it. What a server says that it deleted is remembered in
//     state/deleted/ until a listing is without it, and for ten minutes: some say so and keep it.
//
// Batches overlap: while one is accepted (end of 2 to 4), the next is claimed and downloaded, and the one after it gets its
// drafts. A claim that is not at the source is forgotten after ten minutes: the request of a run that died could still be
// carried out.
//
// Recovery of what a dead run left: note and file in tmp/: go on at 4. Note alone: it was accepted; go on at 5. A claim
// of ours without a note: go on at 2. Ours is what is noted in state/: anybody who may write to the source can name a file
// like a claim, and its id would be believed. Such a file is claimed anew, under an id of its own. Equal content is not a
// duplicate: two equal faxes are two faxes. What cannot be taken is reported by every run and left, and never stops the rest;
// a claim that failed several times is tried less and less often, but for ever.
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
#include "intake/deleted.hpp"
#include "intake/looks.hpp"
#include "spool/spool.hpp"
#include "transport/pace.hpp"
#include "transport/store.hpp"

namespace ums::intake {

struct Source {
    std::string name;       ///< for people: `ExConn`, `munich-1 R_ExConn`
    std::string key;        ///< for file names in state/: unique among the sources of a spool
    std::string directory;  ///< below the store's root
    std::string local;      ///< the same as an absolute local path, if the store is a local directory
    spool::Queue queue = spool::Queue::outgoing();
    std::string connector;  ///< attributes of its entries; may be empty
    std::string origin;
};

struct Report {
    std::string name;  ///< of the entry; for a file that was left, its name at the source
    enum class Outcome {
        fetched,
        left,
        told,  ///< of the source as a whole, without a name
    } outcome = Outcome::fetched;
    std::string detail;
    std::optional<Fault> fault = std::nullopt;  ///< what the run ends with; without it, of what was left: `later`
};

enum class DryRun { no, yes };

class Intake {
  public:
    Intake(spool::Spool& spool, transport::Store& store, Source source, std::chrono::milliseconds settle,
           const clock::Clock& clock, transport::Pace& pace);

    /// Finishes what earlier runs began. `done`, or why the source cannot be used.
    transport::Answer recover(std::vector<Report>& reports);

    /// One look at the source; takes what is ripe, at most `limit` (0: all). Batches are committed one by one; `pause`
    /// is asked between them and ends the run when true.
    transport::Answer collect(std::size_t limit, const std::function<bool()>& pause, std::vector<Report>& reports);

    /// What recover() and collect() would take, and what they would leave.
    transport::Answer examine(const std::function<void(Report)>& each);

    /// Files that the last collect() or examine() saw and left, as they may still be written.
    std::size_t unripe() const noexcept { return unripe_; }

    /// Takes over the claims of an MDS that is gone for ever: they become ours.
    transport::Answer take_over(const std::string& mds_id, std::vector<Report>& reports);

  private:
    struct Claim {
        spool::EntryName name;
        std::string claim;     ///< path at the source, below its directory: `.ums-claim-...`, or `.ums-claim-.../<id>`
        std::string original;  ///< file name before; empty when recovered
        transport::Item item;
    };
    /// Messages whose content is here, and which are being accepted.
    struct Received {
        std::vector<Claim> claims;
        std::vector<spool::Draft> drafts;
        std::string basket;  ///< that goes as a whole once they are accepted; else empty
        /// After what it uses, so that it ends before; nothing without claims.
        std::unique_ptr<io::Disk::Work> acceptance;
        transport::Answer worst;  ///< of those that could not be received
    };
    /// A message on its way from the source into a draft.
    struct Incoming {
        Claim claim;
        spool::Draft draft;
        transport::Answer answer;  ///< of the download
    };
    std::string claim_name(const spool::EntryName& name) const;
    std::string note_of(const spool::EntryName& name) const;
    std::string at_source(const std::string& file) const { return source_.directory + "/" + file; }
    spool::EntryName new_name() const;
    transport::Answer list(std::vector<transport::Item>& ripe, std::vector<Report>& reports);
    bool is_ours(const std::string& name) const;
    /// A batch before it is claimed. Its drafts are made, and the names of its claims are noted, while the one before it is
    /// taken.
    struct Batch {
        std::vector<Claim> wanted;
        Bytes size;
        std::string basket;                               ///< with a slash at its end; empty for none
        std::vector<std::optional<spool::Draft>> drafts;  ///< all there once it is open
        std::vector<std::optional<Error>> failures;       ///< of the drafts
        std::shared_ptr<io::Disk::Work> preparation;      ///< after what it uses
    };
    /// The next ones of what is ripe, `next` beyond them; null if there are no more, or no more fit
    /// beside `before`, which is not on the disk yet.
    std::unique_ptr<Batch> next_batch(std::vector<transport::Item>& ripe, std::size_t& next, const Batch* before,
                                      std::vector<Report>& reports);
    /// A basket, or nothing, becomes the place of its claims.
    void name_claims(Batch& batch, std::string basket);
    void drop(Batch& batch);
    /// Waits for its preparation, and makes its basket. Nothing else is prepared meanwhile.
    transport::Answer open(Batch& batch, std::vector<Report>& reports);
    /// Claims and receives a batch, and begins to accept it. The answer is the worst of the claims.
    transport::Answer take(Batch& batch, std::optional<Received>& received, std::vector<Report>& reports);
    /// What became of claims that were not `done`, by looking. Those that were made after all are marked `done`.
    transport::Answer judge(std::vector<Claim>& wanted, std::vector<transport::Take>& takes, bool& all_clear,
                            std::vector<Report>& reports);
    std::optional<spool::Draft> draft_of(const Claim& claim, std::vector<Report>& reports);
    /// Receives claims that stand.
    Received receive(std::vector<Claim> claims, std::vector<Report>& reports);
    /// Of what came what is whole, and its acceptance.
    Received keep(std::vector<Incoming> all, std::vector<Report>& reports);
    /// Makes messages durable, notes and accepts them, while the next ones are claimed and received: it uses these
    /// alone, and of the spool what changes nothing in it.
    void accept(std::span<spool::Draft> drafts, std::span<const Claim> claims);
    /// Waits for the acceptance; then they are deleted at the source.
    transport::Answer commit(Received& received, std::vector<Report>& reports);
    void write_notes(std::span<const Claim> claims);
    void save_open_claims();
    std::string claims_path() const;
    std::string claims_text() const;
    void read_open_claims();
    static std::optional<Bytes> size_of(const Claim& claim);
    std::vector<std::string> open_baskets() const;
    /// After a whole listing: deletes once more what is still there, tells of it, and forgets the rest.
    void see_to_undeleted(std::vector<Report>& reports);
    spool::EntryName with_attributes(spool::EntryName name) const;
    transport::Answer finish(const std::vector<Claim>& accepted, const std::string& basket = "");
    /// At the source, what it said of each.
    std::vector<transport::Answer> remove_claims(const std::vector<Claim>& accepted, const std::string& basket);
    transport::Answer claims_at_source(std::vector<Claim>& ours, std::vector<Report>& reports);
    /// Claims in baskets that only a listing of the source shows, by their ids.
    transport::Answer find_claims(std::map<std::string, std::string>& claims);
    /// Baskets that nothing is expected in any more, and nothing is in.
    void remove_baskets(std::vector<Report>& reports);
    /// A rename to this name, of a run that died, may still be carried out.
    bool may_come(std::string_view claim) const;
    /// `name` as it is called now: a claim, or a file that could not be claimed.
    Report left_resting(const std::string& name, const std::string& original) const;
    Report left(const Claim& claim, const Error& error) const;
    bool fits(Bytes size, std::size_t messages) const;
    bool is_too_large(const transport::Item& item, std::vector<Report>& reports) const;
    bool is_being_written(const transport::Item& item, std::vector<Report>& reports);
    void save_looks(std::vector<Report>& reports);
    std::string memory(const std::string& directory) const;

    spool::Spool& spool_;
    transport::Store& store_;
    Source source_;
    const clock::Clock& clock_;
    transport::Pace& pace_;
    Looks looks_;
    std::string claim_prefix_;
    bool has_baskets_;  ///< as far as is known of the source
    /// Claims that may stand at the source, and baskets, which end with a slash: state/claims/<key>.
    std::set<std::string> open_claims_;
    std::set<std::string> saved_claims_;         ///< as they are on disk
    std::weak_ptr<io::Disk::Work> preparation_;  ///< which writes them too
    Deleted deleted_;                            ///< by earlier runs, as the source said
    std::size_t unripe_ = 0;
    std::vector<std::string> undeleted_;  ///< of them, what the last listing has shown all the same
};

}  // namespace ums::intake
