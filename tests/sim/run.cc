#include "tests/sim/run.h"

#include <exception>
#include <string>

#include "tests/sim/world.h"

namespace farandole::sim {

RunResult run_plan(const Plan& plan, const RunOptions& options) {
  RunResult result;
  World world(plan, options);
  try {
    world.run();
  } catch (const std::exception& thrown) {
    result.violation = std::string("an exception came out of the control plane: ") + thrown.what();
  }
  if (!world.findings().empty())
    result.violation = world.findings().first();
  result.events = world.events();
  result.digest = world.digest();
  result.faults = world.injected();
  result.trace = world.trace();
  return result;
}

RunResult run_seed(uint64_t seed, const RunOptions& options) {
  return run_plan(draw_plan(seed), options);
}

}  // namespace farandole::sim
