// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is being done when the power goes, what is done when it is back, and what must be so then.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "world.hpp"

namespace ums::test {

class Scenario {
  public:
    explicit Scenario(std::string name) : name_(std::move(name)) {}
    Scenario(const Scenario&) = delete;
    Scenario& operator=(const Scenario&) = delete;
    virtual ~Scenario() = default;
    const std::string& name() const { return name_; }

    /// What was there before, and is durable.
    virtual void prepare(World& world) const = 0;
    /// The power goes somewhere in here.
    virtual void run(World& world) const = 0;
    /// What the tools do when they run again: once, and as often as one likes.
    virtual void recover(World& world) const = 0;
    /// What is wrong when recover() changes nothing any more; empty if nothing is.
    virtual std::string check(World& world) const = 0;

  private:
    std::string name_;
};

std::vector<std::unique_ptr<Scenario>> all_scenarios();

}  // namespace ums::test
