// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/smb_store.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <list>
#include <utility>

#include "error/error.hpp"
#include "text/text.hpp"
#include "transport/file_store.hpp"
#include "transport/paths.hpp"
#include "transport/smb_wire.hpp"
#include "transport/smb_worker.hpp"

namespace ums::transport {

namespace {

using smb::Fields;
using smb::Kind;
using Steady = std::chrono::steady_clock;

// A session that was used so recently is there; an older one is asked before something hangs on it.
constexpr std::chrono::seconds fresh{2};
// The library gives up by itself first, and then knows more than that it was killed.
constexpr std::chrono::milliseconds grace{2'000};
// Sessions with a server that is near: each costs a login, and more than three are no quicker. See Limits::width().
constexpr std::size_t near_width = 3;
constexpr std::chrono::milliseconds far_step{8};

// One request of a batch.
struct Job {
    Kind kind = Kind::check;
    Fields fields;
    const io::Fd* file = nullptr;
    std::function<void(Kind, Fields&)> on_part = nullptr;  ///< what comes before the end, and `done`
    Answer answer = {};
    bool done_before = false;  ///< it has its answer already
};

Item item_of(Fields& fields) {
    Item item;
    item.kind = static_cast<ItemKind>(fields.number());
    item.name = fields.text();
    item.size = Bytes{fields.number()};
    const auto seconds = fields.number();
    const auto nanoseconds = fields.number();
    item.version = std::to_string(seconds) + "." + std::to_string(nanoseconds) + "-" + std::to_string(item.size.count);
    item.modified = std::chrono::sys_seconds(std::chrono::seconds(static_cast<std::int64_t>(seconds)));
    return item;
}

// What an answer of the server means. What says nothing about the request says that the session has ended.
Verdict verdict_of(int error) {
    switch (error) {
        case ETIMEDOUT:
        case ECONNRESET:
        case ECONNABORTED:
        case ECONNREFUSED:
        case ENOTCONN:
        case EPIPE:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case ENETRESET: return Verdict::unknown;
        case EBUSY:
        case ETXTBSY: return Verdict::refused;  // somebody has it open and shares it with nobody
        default: return verdict_of_errno(error);
    }
}

std::string seconds_text(std::chrono::milliseconds time) { return std::to_string((time.count() + 999) / 1000) + " s"; }

class Pool {
  public:
    Pool(smb::Session session, const Limits& limits, std::string name)
        : session_(std::move(session)), limits_(limits), name_(std::move(name)) {}
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    ~Pool() {
        for (auto& worker : workers_) end(worker);
    }

    /// Sets the answer of every job.
    void run(std::span<Job> jobs) {
        if (quickest_of_run_ != Steady::duration::max()) quickest_ = quickest_of_run_;
        quickest_of_run_ = Steady::duration::max();
        jobs_ = jobs;
        next_ = 0;
        closed_.reset();
        may_grow_ = true;
        try {
            for (auto& worker : workers_) {
                if (Steady::now() - worker.used > fresh) give(worker, nullptr);
            }
            while (advance()) wait();
        } catch (...) {
            // What they have under way has no reader any more.
            workers_.remove_if([&](Worker& worker) {
                if (worker.busy) end(worker);
                return worker.busy;
            });
            throw;
        }
    }

  private:
    struct Worker {
        smb::Child child;
        smb::Inbox inbox;
        bool busy = false;
        bool connected = false;  ///< has been, at least once
        Job* job = nullptr;      ///< null while busy: the session is checked
        Steady::time_point began;
        Steady::time_point deadline;
        Steady::time_point used;
    };

    static void end(Worker& worker) {
        ::kill(worker.child.pid, SIGKILL);
        worker.child.socket.reset();
        while (::waitpid(worker.child.pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    }

    Job* next_job() {
        while (next_ < jobs_.size() && jobs_[next_].done_before) ++next_;
        return next_ < jobs_.size() ? &jobs_[next_] : nullptr;
    }

    // Hands out what can be; false when nothing is left and nobody at work.
    bool advance() {
        for (auto& worker : workers_) {
            if (!worker.busy && next_job() != nullptr && !closed_) give(worker, &jobs_[next_++]);
        }
        const bool none_connected =
            std::none_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.connected; });
        const auto starting =
            static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(), [](const Worker& worker) {
                return worker.busy && worker.job == nullptr;
            }));
        if (!closed_ && (may_grow_ || workers_.empty()) && next_job() != nullptr) {
            // The first one alone: it finds out for all.
            const auto width = limits_.width(near_width, quickest_, far_step);
            const auto wanted = none_connected ? 1 : std::min(jobs_.size() - next_, width);
            for (auto missing = wanted; missing > starting && workers_.size() < width; --missing) {
                workers_.emplace_back();
                workers_.back().child = smb::start(session_);
                give(workers_.back(), nullptr);
            }
        }
        if (std::any_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.busy; }))
            return true;
        if (next_job() == nullptr) return false;
        if (!closed_) return true;
        while (auto* job = next_job()) {
            job->answer = *closed_;
            ++next_;
        }
        return false;
    }

    void give(Worker& worker, Job* job) {
        worker.began = Steady::now();
        worker.busy = true;
        worker.job = job;
        worker.deadline = Steady::now() + (job == nullptr ? limits_.connect : limits_.answer + grace);
        // If it is gone, wait() sees that too.
        smb::send(worker.child.socket, job == nullptr ? Kind::check : job->kind,
                  job == nullptr ? Fields() : job->fields, job == nullptr ? nullptr : job->file);
    }

    void wait() {
        std::vector<pollfd> polled;
        std::vector<Worker*> busy;
        auto deadline = Steady::time_point::max();
        for (auto& worker : workers_) {
            if (!worker.busy) continue;
            polled.push_back({worker.child.socket.get(), POLLIN, 0});
            busy.push_back(&worker);
            deadline = std::min(deadline, worker.deadline);
        }
        if (busy.empty()) return;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now()).count();
        const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(std::max<long>(left, 0)));
        if (ready < 0 && errno != EINTR) throw system_error(Fault::later, "wait for a worker for SMB", errno);
        for (std::size_t i = 0; i < busy.size(); ++i) {
            bool alive = true;
            if (ready > 0 && polled[i].revents != 0) alive = hear(*busy[i]);
            if (!alive) {
                lost(*busy[i], "its worker ended");
            } else if (busy[i]->busy && Steady::now() >= busy[i]->deadline) {
                silent(*busy[i]);
            }
        }
        workers_.remove_if([](const Worker& worker) { return worker.child.pid < 0; });
    }

    // False if the worker is gone.
    bool hear(Worker& worker) {
        if (!worker.inbox.receive(worker.child.socket)) return false;
        while (auto frame = worker.inbox.next()) {
            if (!worker.busy) return false;
            switch (frame->kind) {
                case Kind::progress:
                case Kind::item:
                case Kind::content:
                case Kind::renamed:
                    worker.deadline = Steady::now() + limits_.stall + grace;
                    if (worker.job != nullptr && worker.job->on_part) worker.job->on_part(frame->kind, frame->fields);
                    break;
                case Kind::done:
                    worker.connected = true;
                    if (worker.job != nullptr) {
                        quickest_of_run_ = std::min(quickest_of_run_, Steady::now() - worker.began);
                        if (worker.job->on_part) worker.job->on_part(frame->kind, frame->fields);
                    }
                    settle(worker);
                    break;
                case Kind::failed: {
                    const auto error = static_cast<int>(frame->fields.number());
                    const std::string text(frame->fields.text());
                    failed(worker, error, text, frame->fields.number() != 0);
                    break;
                }
                case Kind::unusable: {
                    const auto error = static_cast<int>(frame->fields.number());
                    if (worker.job != nullptr && (worker.job->kind == Kind::download || worker.job->kind == Kind::take))
                        throw system_error(Fault::cannot_write, "write the message that comes from " + name_, error);
                    throw system_error(Fault::cannot_read, "read what is sent to " + name_, error);
                }
                default: return false;
            }
        }
        return true;
    }

    static void settle(Worker& worker) {
        worker.busy = false;
        worker.job = nullptr;
        worker.used = Steady::now();
    }

    void failed(Worker& worker, int error, const std::string& text, bool held) {
        const auto verdict = verdict_of(error);
        if (worker.job == nullptr) return cannot_connect(worker, error, text);
        worker.job->answer = {.verdict = held ? Verdict::unknown : verdict, .text = text, .held = held};
        settle(worker);
        if (verdict == Verdict::unknown || verdict == Verdict::broken) discard(worker);
    }

    void lost(Worker& worker, const std::string& why) {
        if (worker.job == nullptr) return cannot_connect(worker, ETIMEDOUT, why);
        worker.job->answer = {.verdict = Verdict::unknown, .text = why};
        discard(worker);
    }

    // The rest of the batch need not wait as long, each.
    void silent(Worker& worker) {
        const bool connecting = worker.job == nullptr;
        const std::string why = "no answer within " + seconds_text(connecting ? limits_.connect : limits_.answer);
        lost(worker, why);
        if (!connecting) closed_ = Answer{.verdict = Verdict::unreachable, .text = name_ + ": not sent: " + why};
    }

    void discard(Worker& worker) {
        end(worker);
        worker.busy = false;
        worker.child.pid = -1;
    }

    // A session that was good may have been dropped; that says nothing about the next. If no other is connected, nobody
    // will be.
    void cannot_connect(Worker& worker, int error, const std::string& text) {
        const bool was_connected = worker.connected;
        discard(worker);
        if (was_connected) return;
        const bool any = std::any_of(workers_.begin(), workers_.end(),
                                     [](const Worker& one) { return one.child.pid >= 0 && one.connected; });
        may_grow_ = false;
        if (any) return;
        auto verdict = verdict_of(error);
        if (verdict != Verdict::denied) verdict = Verdict::unreachable;
        closed_ = Answer{.verdict = verdict, .text = name_ + ": " + text};
    }

    smb::Session session_;
    Limits limits_;
    std::string name_;
    std::list<Worker> workers_;
    std::span<Job> jobs_;
    std::size_t next_ = 0;
    std::optional<Answer> closed_;
    bool may_grow_ = true;
    Steady::duration quickest_{0};  ///< job of the run before: how far away the server is
    Steady::duration quickest_of_run_ = Steady::duration::max();
};

// As a URL: it has the port, and no backslash that would be shown escaped.
std::string name_of(const smb::Session& session) {
    return "smb://" + target::url_host(session.host) + (session.port == 0 ? "" : ":" + std::to_string(session.port)) +
           "/" + session.share;
}

class SmbStore final : public Store {
  public:
    SmbStore(const smb::Session& session, std::string root, const Limits& limits)
        : root_(std::move(root)), pool_(session, limits, name_of(session)) {}

    Answer list(const std::string& directory, const std::function<bool(const Item&)>& each) override {
        if (!is_safe_path(directory, Root::allowed)) return unsafe_path(directory);
        bool wanted = true;
        return one(Kind::list, Fields().add(full(directory)), [&](Kind kind, Fields& fields) {
            if (kind == Kind::item && wanted) wanted = each(item_of(fields));
        });
    }

    std::vector<Answer> look(std::span<const std::string> paths, std::vector<Item>& items) override {
        items.assign(paths.size(), {});
        return run(paths.size(), Root::allowed, [&](std::size_t i) -> Prepared {
            return {
                Kind::look, {paths[i]}, Fields().add(full(paths[i])), nullptr, [&items, i](Kind kind, Fields& fields) {
                    if (kind == Kind::item) items[i] = item_of(fields);
                }};
        });
    }

    std::vector<Answer> upload(std::span<const Upload> uploads) override {
        return run(uploads.size(), Root::forbidden, [&](std::size_t i) -> Prepared {
            const auto& body = uploads[i].body;
            Fields fields;
            fields.add(full(uploads[i].path)).add(body.head).add(body.offset).add(body.length.count);
            return {
                Kind::upload, {uploads[i].path}, std::move(fields), body.length.count > 0 ? body.file : nullptr, {}};
        });
    }

    std::vector<Answer> rename(std::span<const Rename> renames) override {
        return run(renames.size(), Root::forbidden, [&](std::size_t i) -> Prepared {
            const auto& one = renames[i];
            return {Kind::rename, {one.from, one.to}, fields_of(one), nullptr, {}};
        });
    }

    std::vector<Answer> download(std::span<Download> downloads) override {
        auto answers = run(downloads.size(), Root::forbidden, [&](std::size_t i) -> Prepared {
            auto& download = downloads[i];
            download.received = {};
            return {Kind::download,
                    {download.path},
                    Fields().add(full(download.path)).add(download.expected.count).add(std::uint64_t{1}),
                    download.into,
                    [&download](Kind kind, Fields& fields) {
                        if (kind == Kind::done) download.received = Bytes{fields.number()};
                    }};
        });
        for (std::size_t i = 0; i < answers.size(); ++i) check_length(downloads[i], answers[i]);
        return answers;
    }

    void take(std::span<Take> takes) override {
        for (auto& one : takes) {
            one.download.path = one.claim.to;
            one.download.received = {};
        }
        std::vector<char> renamed(takes.size());
        const auto answers = run(takes.size(), Root::forbidden, [&](std::size_t i) -> Prepared {
            auto& one = takes[i];
            auto fields = fields_of(one.claim);
            fields.add(one.download.expected.count);
            return {Kind::take,
                    {one.claim.from, one.claim.to},
                    std::move(fields),
                    one.download.into,
                    [&one, &was_renamed = renamed[i]](Kind kind, Fields& parts) {
                        if (kind == Kind::renamed) was_renamed = 1;
                        if (kind == Kind::done) one.download.received = Bytes{parts.number()};
                    }};
        });
        for (std::size_t i = 0; i < takes.size(); ++i) {
            takes[i].claimed = takes[i].received = {};
            (renamed[i] != 0 ? takes[i].received : takes[i].claimed) = answers[i];
            if (renamed[i] != 0) check_length(takes[i].download, takes[i].received);
        }
    }

    Answer read(const std::string& path, Bytes limit, std::string& content) override {
        if (!is_safe_path(path, Root::forbidden)) return unsafe_path(path);
        std::string got;
        auto answer = one(Kind::download, Fields().add(full(path)).add(limit.count).add(std::uint64_t{0}),
                          [&](Kind kind, Fields& fields) {
                              if (kind == Kind::content) got += fields.text();
                          });
        if (answer.done() && got.size() > limit.count) {
            answer = {.verdict = Verdict::broken,
                      .text = "it is larger than " + std::to_string(limit.count) + " bytes"};
        }
        if (answer.done()) content = std::move(got);
        return answer;
    }

    std::vector<Answer> remove(std::span<const std::string> paths) override {
        return run(paths.size(), Root::forbidden, [&](std::size_t i) -> Prepared {
            return {Kind::remove, {paths[i]}, Fields().add(full(paths[i])), nullptr, {}};
        });
    }

    Answer make_directory(const std::string& path) override {
        if (!is_safe_path(path, Root::forbidden)) return unsafe_path(path);
        return one(Kind::make_directory, Fields().add(full(path)), {});
    }

    DirectoryRemoval directory_removal() const override { return DirectoryRemoval::empty; }

    Answer remove_directory(const std::string& path) override {
        if (!is_safe_path(path, Root::forbidden)) return unsafe_path(path);
        return one(Kind::remove_directory, Fields().add(full(path)), {});
    }

    Answer sync(std::span<const std::string> directories) override {
        for (const auto& directory : directories) {
            if (!is_safe_path(directory, Root::allowed)) return unsafe_path(directory);
        }
        return {};  // what a server does for its disk, it does before it answers
    }

    std::string describe() const override { return "SMB2 or SMB3"; }

  private:
    struct Prepared {
        Kind kind;
        std::vector<std::string_view> paths;
        Fields fields;
        const io::Fd* file;
        std::function<void(Kind, Fields&)> on_part;
    };

    std::string full(const std::string& path) const { return join(root_, path); }

    Fields fields_of(const Rename& one) const {
        Fields fields;
        fields.add(full(one.from)).add(full(one.to));
        fields.add(std::uint64_t{one.contested ? 1U : 0U}).add(std::uint64_t{one.unique ? 1U : 0U});
        return fields;
    }

    static void check_length(const Download& download, Answer& answer) {
        const auto expected = download.expected.count;
        const auto received = download.received.count;
        if (!answer.done() || received == expected) return;
        const bool more = received > expected;
        answer = {.verdict = Verdict::broken,
                  .text = (more ? "more than the " + std::to_string(expected) + " bytes"
                                : std::to_string(received) + " bytes came of the " + std::to_string(expected)) +
                          " of the listing" + (more ? " came" : "")};
    }

    Answer one(Kind kind, Fields fields, std::function<void(Kind, Fields&)> on_part) {
        Job job{kind, std::move(fields), nullptr, std::move(on_part)};
        pool_.run({&job, 1});
        return job.answer;
    }

    template <typename Prepare>
    std::vector<Answer> run(std::size_t count, Root root, Prepare prepare) {
        std::vector<Job> jobs(count);
        for (std::size_t i = 0; i < count; ++i) {
            auto prepared = prepare(i);
            for (const auto path : prepared.paths) {
                if (is_safe_path(path, root)) continue;
                jobs[i].answer = unsafe_path(path);
                jobs[i].done_before = true;
            }
            jobs[i].kind = prepared.kind;
            jobs[i].fields = std::move(prepared.fields);
            jobs[i].file = prepared.file;
            jobs[i].on_part = std::move(prepared.on_part);
        }
        pool_.run(jobs);
        std::vector<Answer> answers;
        answers.reserve(count);
        for (auto& job : jobs) answers.push_back(std::move(job.answer));
        return answers;
    }

    std::string root_;  // below the share, without slashes around it
    Pool pool_;
};

}  // namespace

std::unique_ptr<Store> open_smb_store(const target::Target& target, const Access& access, const Limits& limits) {
    if (access.method == AuthMethod::basic || access.method == AuthMethod::digest) {
        throw Error(Fault::configuration, "SMB logs in by NTLM or Kerberos: 'method' is ntlm, negotiate or none");
    }
    smb::Session session;
    session.host = target.host;
    session.port = target.port.value_or(0);
    const auto path = std::string_view(target.path).substr(1);
    const auto slash = path.find('/');
    session.share = path.substr(0, slash);
    if (session.share.empty()) throw Error(Fault::configuration, "an SMB target needs a share: smb://host/share");
    session.method = access.method;
    // DOMAIN\user as Windows writes it; user@realm stays whole.
    const auto backslash = access.user.find('\\');
    if (backslash != std::string::npos) session.domain = access.user.substr(0, backslash);
    session.user = backslash == std::string::npos ? access.user : access.user.substr(backslash + 1);
    session.password = access.password;
    session.patience = limits.answer;
    session.bytes_per_second = limits.share();
    const std::string root(slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1));
    return std::make_unique<SmbStore>(session, root, limits);
}

}  // namespace ums::transport
