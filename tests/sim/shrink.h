#pragma once
// shrink: makes a failing plan smaller while it still fails in the same way.

#include <functional>
#include <string>

#include "tests/sim/plan.h"
#include "tests/sim/run.h"

namespace farandole::sim {

struct Shrunk {
  Plan plan;
  RunResult result;  // traced
  int runs = 0;
};

// Runs a plan, with or without its trace.
using Runner = std::function<RunResult(const Plan& plan, bool traced)>;

struct ShrinkLimits {
  int runs = 3000;
  // Of this process's clock. Runs that hang take their time.
  Duration wall = std::chrono::minutes(5);
};

// Requires: the plan has a violation, the same whenever it runs.
Shrunk shrink(Plan plan, const Runner& runner, const ShrinkLimits& limits = {});

// What two violations of one kind have in common: the text without its numbers.
std::string kind_of(const std::string& violation);

}  // namespace farandole::sim
