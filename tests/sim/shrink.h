#pragma once
// shrink: makes a failing plan smaller while it still fails in the same way.

#include <string>

#include "tests/sim/plan.h"
#include "tests/sim/run.h"

namespace farandole::sim {

struct Shrunk {
  Plan plan;
  RunResult result;  // traced
  int runs = 0;
};

// Requires: run_plan(plan, options) has a violation. At most `most_runs` runs.
Shrunk shrink(Plan plan, const RunOptions& options = {}, int most_runs = 3000);

// What two violations of one kind have in common: the text without its numbers.
std::string kind_of(const std::string& violation);

}  // namespace farandole::sim
