// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/probe.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "text/text.hpp"
#include "transport/paths.hpp"

namespace ums::transport {

namespace {

constexpr int latency_tries = 5;
constexpr std::chrono::seconds largest_skew{5};

// One probe of one store: what it makes it takes away again.
class Prober {
  public:
    Prober(Store& store, std::string scratch, clock::Clock& clock, const Tell& tell)
        : store_(store),
          scratch_(std::move(scratch)),
          clock_(clock),
          tell_(tell),
          mark_("ums-probe-" + io::random_token()) {}

    void run() {
        if (connect() && list() && make_scratch() && write()) {
            clock_skew();
            create_protection();
            rename();
            odd_names();
            hidden_names();
            latency();
        }
        clean_up();
    }

  private:
    void say(std::string name, Finding finding, std::string detail) {
        tell_({std::move(name), finding, std::move(detail)});
    }

    bool fail(std::string name, const Answer& answer, std::string_view advice = {}) {
        std::string detail = answer.text.empty() ? std::string(to_string(answer.verdict)) : answer.text;
        if (!advice.empty()) detail.append("; ").append(advice);
        say(std::move(name), Finding::bad, std::move(detail));
        return false;
    }

    std::string name(std::string_view part) const { return join(scratch_, mark_ + std::string(part)); }

    Answer put(const std::string& path, std::string content) {
        used_.push_back(path);
        const Upload upload{.path = path,
                            .body = {.head = std::move(content), .file = nullptr, .offset = 0, .length = {}}};
        return store_.upload({&upload, 1}).front();
    }

    Answer move(const std::string& from, const std::string& to) {
        used_.push_back(to);
        const Rename rename{.from = from, .to = to};
        return store_.rename({&rename, 1}).front();
    }

    Answer look(const std::string& path, Item& item) {
        std::vector<Item> items;
        auto answer = store_.look({&path, 1}, items).front();
        item = std::move(items.front());
        return answer;
    }

    bool holds(const std::string& path, std::string_view content) {
        std::string got;
        return store_.read(path, Bytes{content.size() + 100}, got).done() && got == content;
    }

    bool connect() {
        Item root;
        const auto answer = look("", root);
        if (answer.verdict == Verdict::unreachable || answer.verdict == Verdict::unknown)
            return fail("connect", answer);
        say("connect", Finding::good, store_.describe());
        if (answer.verdict == Verdict::denied) {
            const bool proxy = answer.status == 407;
            return fail(
                "login", answer,
                proxy ? "see 'proxy:' of this target" : "see 'auth:' of this target, and its rights on the server");
        }
        say("login", Finding::good, "accepted");
        if (answer.verdict == Verdict::absent) return fail("directory", answer, "the target's directory must be there");
        return true;
    }

    bool list() {
        std::size_t entries = 0;
        const auto answer = store_.list("", [&](const Item&) { return ++entries < 1000; });
        if (!answer.done())
            return fail("list", answer, "the target must be a directory that can be listed (WebDAV PROPFIND)");
        say("list", Finding::good, (entries < 1000 ? std::to_string(entries) : "1000 or more") + " entries");
        return true;
    }

    bool make_scratch() {
        for (std::size_t end = 0; end != std::string::npos && !scratch_.empty();) {
            end = scratch_.find('/', end + 1);
            const auto answer = store_.make_directory(scratch_.substr(0, end));
            if (!answer.done()) return fail("make directory", answer, "the user needs the right to create directories");
        }
        return true;
    }

    bool write() {
        const std::string content = "written by a probe of ums\r\n";
        write_begin_ = clock_.now();
        const auto answer = put(name(".a"), content);
        write_end_ = clock_.now();
        if (!answer.done()) return fail("write", answer, "the user needs the right to create files");
        if (!holds(name(".a"), content)) {
            say("write", Finding::bad, "what was written reads back as something else");
            return false;
        }
        say("write", Finding::good, "written, and read back the same");
        return true;
    }

    // By the time that the server gives the file that was just written, which is told in whole seconds.
    void clock_skew() {
        Item item;
        if (!look(name(".a"), item).done() || !item.modified) {
            say("clock", Finding::good, "the server tells no time");
            return;
        }
        const auto earliest = std::chrono::floor<std::chrono::seconds>(write_begin_);
        const auto latest = std::chrono::floor<std::chrono::seconds>(write_end_);
        const auto seconds = *item.modified < earliest ? *item.modified - earliest
                             : *item.modified > latest ? *item.modified - latest
                                                       : std::chrono::seconds(0);
        const auto by = text::rough_duration(seconds < seconds.zero() ? -seconds : seconds);
        const std::string_view side = seconds < seconds.zero() ? " behind" : " ahead of";
        if (std::chrono::abs(seconds) <= largest_skew) {
            say("clock", Finding::good, seconds == seconds.zero() ? "as ours" : by + std::string(side) + " ours");
        } else {
            say("clock", Finding::warning,
                "the server's clock is " + by + std::string(side) +
                    " ours; nothing is lost by that, but times in logs and the order of its files mislead: set both by "
                    "NTP");
        }
    }

    void create_protection() {
        const auto answer = put(name(".a"), "a second time");
        if (answer.verdict == Verdict::exists) {
            say("create protection", Finding::good, "a name that is taken is refused");
        } else if (answer.done()) {
            say("create protection", Finding::warning,
                "the server overwrites in spite of 'If-None-Match: *'; staged deliveries are safe, those in place are "
                "not");
        } else {
            say("create protection", Finding::warning, answer.text);
        }
    }

    void rename() {
        const std::string content = "to be renamed\r\n";
        if (const auto answer = put(name(".b"), content); !answer.done()) {
            fail("rename", answer);
            return;
        }
        Item item;
        if (const auto answer = move(name(".b"), name(".c")); !answer.done()) {
            fail("rename", answer, "messages can only be delivered in place (in-place: yes)");
            return;
        }
        if (!holds(name(".c"), content) || look(name(".b"), item).verdict != Verdict::absent) {
            say("rename", Finding::bad, "the server says that it renamed, but the files tell otherwise");
            return;
        }
        say("rename", Finding::good, "renamed");

        const auto answer = move(name(".a"), name(".c"));
        if (!holds(name(".c"), content) || answer.done()) {
            say("overwrite protection", Finding::bad,
                "a rename replaces what is there (WebDAV 'Overwrite: F' is ignored); messages can only be delivered in "
                "place (in-place: yes)");
        } else if (answer.verdict == Verdict::exists) {
            say("overwrite protection", Finding::good, "a rename does not replace what is there");
        } else {
            say("overwrite protection", Finding::warning,
                "nothing was replaced, but the answer is odd: " + answer.text);
        }
    }

    bool is_listed(const std::string& wanted) {
        bool listed = false;
        store_.list(scratch_, [&](const Item& item) {
            listed = item.name == wanted;
            return !listed;
        });
        return listed;
    }

    // What a fetch claims and a delivery stages has a leading dot.
    void hidden_names() {
        if (const auto answer = put(join(scratch_, "." + mark_), "hidden"); !answer.done()) {
            fail("hidden names", answer, "a delivery is staged below a name with a leading dot");
        } else if (is_listed("." + mark_)) {
            say("hidden names", Finding::good, "listed");
        } else {
            say("hidden names", Finding::warning,
                "names with a leading dot are not listed; what a killed run left at the server is found by its name "
                "alone");
        }
    }

    void odd_names() {
        static constexpr std::array<std::string_view, 5> parts{" with space", "-\xc3\xbc\xc3\x9f", "-50%41",
                                                               "-#?&+;=", "-'()[]{}"};
        std::string wrong;
        for (const auto part : parts) {
            const std::string path = name(part);
            const std::string content = "odd" + std::string(part);
            const auto answer = put(path, content);
            if (answer.verdict == Verdict::refused) used_.pop_back();  // which some servers would not even remove
            if (answer.done() && is_listed(mark_ + std::string(part)) && holds(path, content)) continue;
            wrong += wrong.empty() ? "" : ", ";
            wrong += text::quote(part);
        }
        if (wrong.empty()) {
            say("odd names", Finding::good, "kept as they are");
        } else {
            say("odd names", Finding::warning,
                "not kept as they are: " + wrong + "; files with such names are not fetched");
        }
    }

    void latency() {
        std::vector<std::chrono::microseconds> times;
        Item item;
        for (int i = 0; i < latency_tries; ++i) {
            const auto start = clock_.steady();
            if (!look(name(".c"), item).done()) break;
            times.push_back(std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady() - start));
        }
        if (times.empty()) return;
        std::sort(times.begin(), times.end());
        const auto tenths = times[times.size() / 2].count() / 100;
        say("latency", Finding::good,
            std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " ms for a look");
    }

    void clean_up() {
        if (used_.empty()) return;
        std::sort(used_.begin(), used_.end());
        used_.erase(std::unique(used_.begin(), used_.end()), used_.end());
        std::string left;
        const auto answers = store_.remove(used_);
        for (std::size_t i = 0; i < used_.size(); ++i) {
            if (answers[i].done() || answers[i].verdict == Verdict::absent) continue;
            left = text::quote(used_[i]) + ": " + answers[i].text;
        }
        Item item;
        if (left.empty() && look(used_.front(), item).done()) left = text::quote(used_.front()) + ": it is still there";
        if (left.empty()) {
            say("remove", Finding::good, "removed");
        } else {
            say("remove", Finding::bad, left + "; the user needs the right to delete files");
        }
    }

    Store& store_;
    std::string scratch_;
    clock::Clock& clock_;
    const Tell& tell_;
    std::string mark_;
    std::vector<std::string> used_;
    clock::Instant write_begin_;
    clock::Instant write_end_;
};

}  // namespace

void probe(Store& store, const std::string& scratch, clock::Clock& clock, const Tell& tell) {
    Prober(store, scratch, clock, tell).run();
}

void probe_source(Store& store, const std::string& directory, const Tell& tell) {
    const auto say = [&](Finding finding, std::string detail) { tell({"fetch", finding, directory + ": " + detail}); };
    std::size_t files = 0;
    auto answer = store.list(directory, [&](const Item& item) {
        files += item.kind == ItemKind::file ? 1 : 0;
        return true;
    });
    if (answer.verdict == Verdict::absent)
        return say(Finding::warning, "it is not there, so nothing can be fetched yet");
    if (!answer.done()) return say(Finding::bad, answer.text + "; the user needs the right to list it");
    const std::string before = join(directory, ".ums-probe-" + io::random_token());
    const std::string after = before + ".renamed";
    const Upload upload{.path = before, .body = {.head = "probe\r\n", .file = nullptr, .offset = 0, .length = {}}};
    answer = store.upload({&upload, 1}).front();
    if (!answer.done()) return say(Finding::bad, answer.text + "; the user needs the right to create files there");
    const Rename rename{.from = before, .to = after};
    answer = store.rename({&rename, 1}).front();
    const std::array<std::string, 1> name{answer.done() ? after : before};
    const auto removed = store.remove(name).front();
    if (!answer.done()) return say(Finding::bad, answer.text + "; what is fetched is renamed there first");
    if (!removed.done()) return say(Finding::bad, removed.text + "; what was fetched is removed there");
    say(Finding::good, std::to_string(files) + (files == 1 ? " file lies" : " files lie") + " there, and may be taken");
}

}  // namespace ums::transport
