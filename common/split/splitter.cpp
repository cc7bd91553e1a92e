// SPDX-License-Identifier: GPL-3.0-or-later
#include "split/splitter.hpp"

#include <algorithm>
#include <optional>

#include "text/text.hpp"

namespace ums::split {

namespace {

using report::Result;
using spool::Entry;
using spool::Queue;
using spool::State;

namespace attribute = spool::attribute;

// A batch shares its syncs: one for each directory that is left or reached, whatever the number of messages.
constexpr std::size_t batch_messages = 4096;

class Stage {
  public:
    Stage(const cli::Common& common, const cli::Names& names, spool::Spool& spool, const Queue& queue,
          report::Reporter& reporter, const Decide& decide)
        : common_(common), names_(names), spool_(spool), queue_(queue), reporter_(reporter), decide_(decide) {}

    int pass() {
        if (!common_.dry_run) {
            worker_ = spool_.work(queue_);
            if (!worker_) {
                reporter_.info("another run is at it");
                return 0;
            }
        }
        auto entries = spool_.due(queue_);
        std::erase_if(entries, [&](const Entry& entry) { return !names_.wants(entry.name); });
        if (common_.limit > 0 && entries.size() > common_.limit) {
            entries.erase(entries.begin() + static_cast<long>(common_.limit), entries.end());
        }
        std::size_t done = 0;
        for (const auto& entry : entries) {
            if (cli::stopping()) break;
            handle(entry);
            reporter_.progress(++done, entries.size());
        }
        move_batch();
        if (unwritten_ > 1) {
            const auto more = unwritten_ - 1;
            reporter_.error(std::to_string(more) + " more " + (more == 1 ? "message waits" : "messages wait") +
                            " for want of room, too");
        }
        worker_.reset();
        return code_.value();
    }

  private:
    struct Planned {
        Entry from;
        Part part;
        bool parked = false;
    };

    void handle(const Entry& entry) {
        std::optional<io::Fd> file;
        message::FileHeader header;
        std::vector<Part> parts;
        try {
            file = spool_.open(entry);
            if (!file) {
                if (!spool_.disk().info(spool_.path(entry))) return;  // taken away meanwhile
                throw Error(Fault::unusable, "it is no regular file");
            }
            header = message::read_header(spool_.disk(), *file, spool_.path(entry));
            parts = decide_({entry, header.block, *file, header.body_offset});
            if (parts.empty()) throw Error(Fault::internal, "no decision about " + text::quote(entry.name.text()));
        } catch (const Error& error) {
            if (error.fault() != Fault::unusable) {
                // Whatever is wrong with this one must not stop the others.
                wait(error);
                return;
            }
            Part part{entry.name.without(attribute::not_before), Queue::failed()};
            part.result = Result::parked;
            part.detail = std::string("failed: ") + error.what();
            part.reason = error.what();
            plan(entry, part);
            return;
        }
        if (parts.size() == 1 && !parts.front().needs_rewriting()) {
            plan(entry, parts.front());
            return;
        }
        try {
            split(entry, *file, header, parts);
        } catch (const Error& error) {
            if (error.fault() != Fault::cannot_read) throw;
            wait(error);  // in sending/, from where the next run takes it back
        }
    }

    void wait(const Error& error) {
        code_.note(exit_code(error.fault()));
        // A full disk keeps thousands: it is said once.
        if (error.fault() == Fault::cannot_write && ++unwritten_ > 1) {
            reporter_.info(error.what());
            return;
        }
        reporter_.error(std::string(error.what()) + "; the message waits");
    }

    void plan(const Entry& entry, const Part& part) {
        const bool parked = part.result == Result::parked || part.result == Result::failed;
        planned_.push_back({entry, part, parked});
        if (planned_.size() >= batch_messages) move_batch();
    }

    void tell(const Part& part, std::string_view event) {
        reporter_.line({part.name.text(),
                        part.result,
                        part.detail,
                        {{"queue", spool::to_string(part.queue)}, {"why", part.reason}}});
        events_.push_back(
            {std::string(part.name.id()), std::string(event),
             part.detail + (part.reason.empty() || part.result == Result::parked ? "" : ": " + part.reason)});
        if (part.result == Result::parked || part.result == Result::failed) code_.attention();
    }

    void flush() {
        if (!common_.dry_run) spool_.journal(reporter_.tool(), events_);
        events_.clear();
        reporter_.flush();
    }

    void move_batch() {
        if (planned_.empty()) return;
        std::vector<spool::Move> moves;
        for (const auto& one : planned_) {
            const Entry to{one.part.queue, one.part.state, one.part.name};
            if (!one.parked) {
                moves.push_back({one.from, to});
            } else if (common_.dry_run || spool_.park(one.from, to, one.part.reason)) {
                tell(one.part, "parked");
            }
        }
        const auto moved = common_.dry_run ? std::vector(moves.size(), spool::Moved::yes) : spool_.move(moves);
        std::size_t next = 0;
        for (const auto& one : planned_) {
            if (one.parked) continue;
            if (moved[next++] == spool::Moved::yes) tell(one.part, report::to_string(one.part.result));
        }
        planned_.clear();
        flush();
    }

    void split(const Entry& entry, const io::Fd& file, const message::FileHeader& header,
               const std::vector<Part>& parts) {
        std::vector<Part> children = parts;
        for (unsigned k = 0; k < children.size(); ++k) children[k].name = children[k].name.child(k + 1);
        if (common_.dry_run) {
            for (const auto& child : children) tell(child, "split");
            return;
        }
        const auto size = spool_.disk().info(file, spool_.path(entry)).size;
        // Into sending/ first: from there nobody takes it away while its children are made.
        const Entry original{queue_, State::sending, entry.name};
        if (!spool_.move(entry, original)) return;
        std::vector<spool::Draft> drafts;
        try {
            for (const auto& child : children) {
                drafts.push_back(spool_.draft(queue_, child.name, spool::Spool::Room::use_reserve));
                if (child.content) {
                    drafts.back().write(child.content(child.name));
                    continue;
                }
                message::Edit edit;
                edit.keep_recipients = child.lines;
                edit.envelope = child.envelope;
                drafts.back().write(message::apply(header.block, edit));
                drafts.back().copy(file, header.body_offset, Bytes{size.count - header.body_offset});
            }
        } catch (const Error& error) {
            if (error.fault() != Fault::cannot_write && error.fault() != Fault::cannot_read) throw;
            // No room for the parts now: the others go on, and as they leave they make some.
            drafts.clear();
            spool_.move(original, entry);
            wait(error);
            return;
        }
        spool_.commit_split(*worker_, original, drafts);
        std::vector<spool::Move> moves;
        for (const auto& child : children) {
            const Entry from{queue_, State::publishing, child.name};
            const Entry to{child.queue, child.state, child.name};
            if (child.result == Result::parked) {
                spool_.park(from, to, child.reason);
            } else {
                moves.push_back({from, to});
            }
        }
        spool_.move(moves);
        for (const auto& child : children) tell(child, "split");
        flush();
    }

    const cli::Common& common_;
    const cli::Names& names_;
    spool::Spool& spool_;
    const Queue& queue_;
    report::Reporter& reporter_;
    const Decide& decide_;
    std::optional<spool::Worker> worker_;
    std::vector<Planned> planned_;
    std::vector<spool::Spool::Event> events_;
    cli::ExitCode code_;
    std::size_t unwritten_ = 0;  ///< messages that could not be split
};

}  // namespace

int run_stage(const cli::Common& common, const cli::Names& names, spool::Spool& spool, const Queue& queue,
              report::Reporter& reporter, const Decide& decide) {
    return cli::run_passes(common, reporter, {spool.path(queue, State::fresh)},
                           [&] { return Stage(common, names, spool, queue, reporter, decide).pass(); });
}

}  // namespace ums::split
