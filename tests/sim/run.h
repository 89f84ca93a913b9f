#pragma once
// run_seed: one seed from its plan to its result.

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/monitor.h"
#include "tests/sim/plan.h"

namespace farandole::sim {

struct RunOptions {
  bool traced = false;
  MonitorFactory monitors = make_monitors;
  // Where the trace goes as it comes; empty: into the result.
  std::function<void(const std::string&)> line;
};

struct RunResult {
  std::optional<std::string> violation;
  uint64_t events = 0;
  uint64_t digest = 0;                         // of everything that ranks were told
  std::array<uint64_t, kFaultKinds> faults{};  // injected, by kind
  std::vector<std::string> trace;
};

// The same plan gives the same result, always.
RunResult run_plan(const Plan& plan, const RunOptions& options = {});
RunResult run_seed(uint64_t seed, const RunOptions& options = {});

}  // namespace farandole::sim
