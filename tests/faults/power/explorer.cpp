// SPDX-License-Identifier: GPL-3.0-or-later
#include "explorer.hpp"

#include <sys/random.h>

#include <exception>

namespace {

ums::test::Dice& names() {
    static ums::test::Dice dice(0);
    return dice;
}

}  // namespace

// In place of the system's: the same names in the same history, however often it is run.
extern "C" ssize_t getrandom(void* buffer, size_t length, unsigned) {
    auto* bytes = static_cast<unsigned char*>(buffer);
    for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<unsigned char>(names().next() >> 32);
    return static_cast<ssize_t>(length);
}

namespace ums::test {

namespace {

constexpr int most_passes = 8;
constexpr std::size_t first_survivors = 200;  // of each cut, with no other one

std::uint64_t mix(std::uint64_t a, std::uint64_t b) { return Dice(a * 0x9e3779b97f4a7c15U + b).next(); }

}  // namespace

void seed_names(std::uint64_t seed) { names() = Dice(seed); }

Explorer::Explorer(const Scenario& scenario, PowerDisk::Model model, std::uint64_t seed, std::size_t part,
                   std::size_t parts, Tell tell)
    : scenario_(scenario),
      model_(model),
      seed_(seed),
      part_(part),
      parts_(parts),
      tell_(std::move(tell)),
      dice_(mix(seed, part)),
      world_(std::make_unique<World>()) {
    world_->power.set_model(model);
}

void Explorer::prepare() {
    seed_names(seed_);
    scenario_.prepare(*world_);
    world_->power.settle();
    world_->disk.sites.clear();
    world_->power.before_change = [this](std::string_view what, const std::string& path) { at_cut(what, path); };
    world_->store.meanwhile = [this](std::size_t) {
        world_->disk.request();
        at_cut("request", "");
    };
    world_->mail.before_step = [this] { at_cut("mail", ""); };
}

void Explorer::at_cut(std::string_view what, const std::string& path) {
    if (record_ == Record::nothing || cuts_ == nullptr) return;
    if (record_ == Record::some && dice_.below(4) != 0) return;
    if (what == "request" && !cuts_->empty()) {
        // A request that only looked has changed nothing.
        const auto& last = cuts_->back().snapshot;
        if (last.disk.version == world_->power.state().version && last.store.files == world_->store.files &&
            last.store.directories == world_->store.directories && last.store.arrivals == world_->store.arrivals)
            return;
    }
    cuts_->push_back({world_->snapshot(), std::string(what) + " " + path});
}

std::vector<Explorer::Cut> Explorer::recorded(Record record, const std::function<void()>& work) {
    std::vector<Cut> cuts;
    record_ = record;
    cuts_ = &cuts;
    try {
        work();
    } catch (...) {
        cuts_ = nullptr;
        throw;
    }
    if (record != Record::nothing) cuts.push_back({world_->snapshot(), "end"});
    cuts_ = nullptr;
    record_ = Record::nothing;
    return cuts;
}

std::string Explorer::recover() {
    try {
        std::uint64_t before = 0;
        for (int pass = 0; pass < most_passes; ++pass) {
            world_->clock.sleep(std::chrono::hours(1));
            scenario_.recover(*world_);
            const auto now = world_->digest();
            if (now == before) return scenario_.check(*world_);
            before = now;
        }
        return "each run changes something more";
    } catch (const std::exception& error) {
        return std::string("thrown: ") + error.what();
    }
}

std::string Explorer::undisturbed() {
    prepare();
    try {
        scenario_.run(*world_);
    } catch (const std::exception& error) {
        return std::string("thrown: ") + error.what();
    }
    return recover();
}

void Explorer::violation(const std::string& what) {
    ++figures_.violations;
    std::string said = scenario_.name() + ", model " + std::to_string(static_cast<int>(model_)) + ", seed " +
                       std::to_string(seed_) + ": " + what + "\n";
    for (const auto& step : path_) {
        said += step.seen == step.left ? "    killed before: " : "    power lost before: ";
        said += step.cut->where + "\n";
    }
    for (const auto& [path, content] : world_->power.files()) {
        if (!path.ends_with("/lock")) said += "    " + path + " " + text::quote(content.substr(0, 60)) + "\n";
    }
    for (const auto& [path, content] : world_->store.files) said += "    there: " + path + "\n";
    for (const auto& [content, count] : world_->store.arrivals)
        said += "    arrived " + std::to_string(count) + ": " + text::quote(content.substr(0, 60)) + "\n";
    tell_(said);
}

void Explorer::branch(const Cut& cut, const PowerDisk::State& survivor, bool go_on) {
    const auto depth = path_.size() + 1;
    const auto seen = PowerDisk::digest(cut.snapshot.disk);
    const auto left = PowerDisk::digest(survivor);
    const bool lost = seen != left;
    if (!lost && depth > 1 && survivor.pending.empty()) return;
    path_.push_back({&cut, seen, left});
    std::uint64_t key = 0;
    for (const auto& step : path_) key = mix(mix(key, text::hash(step.cut->where) ^ step.seen), step.left);
    if (!survivor.pending.empty()) key = mix(key, 1);
    const bool is_new = known_.insert(key).second;
    if (!is_new && !go_on) {
        path_.pop_back();
        return;
    }
    seed_names(mix(seed_, key));
    world_->restore(cut.snapshot, survivor);
    std::string wrong;
    const auto record = !go_on || depth > 2 ? Record::nothing : Record::some;
    auto cuts = recorded(record, [&] { wrong = recover(); });
    if (is_new) {
        ++(lost ? figures_.histories : figures_.kills);
        if (lost && depth == 2) ++figures_.twice;
        if (lost && depth == 3) ++figures_.thrice;
    }
    if (!wrong.empty()) violation(wrong);
    for (std::size_t i = 0; i < cuts.size() && !is_over(); ++i) {
        if (depth == 1 && dice_.below(16) == 0) branch(cuts[i], cuts[i].snapshot.disk, true);
        PowerDisk::survivors(cuts[i].snapshot.disk, model_, depth == 1 ? 3 : 1, dice_, [&](PowerDisk::State&& next) {
            if (!is_over()) branch(cuts[i], next, depth == 1 && dice_.below(4) == 0);
        });
    }
    path_.pop_back();
}

Figures Explorer::explore(std::uint64_t wanted, std::uint64_t most) {
    wanted_ = wanted;
    most_ = most;
    figures_ = {};
    prepare();
    auto cuts = recorded(Record::all, [&] { scenario_.run(*world_); });
    figures_.cuts = cuts.size();
    // Each cut alone.
    for (std::size_t i = part_; i < cuts.size() && !is_over(); i += parts_) {
        PowerDisk::survivors(cuts[i].snapshot.disk, model_, first_survivors, dice_, [&](PowerDisk::State&& survivor) {
            if (!is_over()) branch(cuts[i], survivor, false);
        });
    }
    // Two and three, as long as there are any that are not known.
    for (int idle = 0; !is_over() && idle < 3;) {
        const auto before = figures_.histories;
        for (std::size_t n = part_; n < cuts.size() && !is_over(); n += parts_) {
            const auto& cut = cuts[part_ + parts_ * dice_.below((cuts.size() - part_ + parts_ - 1) / parts_)];
            // The process alone dies first: what it has not synced, the next one sees, and a loss of power takes.
            if (dice_.below(3) == 0) {
                branch(cut, cut.snapshot.disk, true);
                continue;
            }
            PowerDisk::survivors(cut.snapshot.disk, model_, 2, dice_, [&](PowerDisk::State&& survivor) {
                if (!is_over()) branch(cut, survivor, true);
            });
        }
        idle = figures_.histories == before ? idle + 1 : 0;
    }
    figures_.mutations = world_->disk.fired;
    return figures_;
}

}  // namespace ums::test
