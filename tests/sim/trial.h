#pragma once
// try_plan: one plan in a process of its own, so that one that crashes or never comes back has a
// result like all others, with the trace until then.

#include <string>

#include "tests/sim/plan.h"
#include "tests/sim/run.h"

namespace farandole::sim {

// How long one run may take: far more than any needs, on a loaded machine, too.
struct Patience {
  Duration processor = std::chrono::seconds(60);
  Duration wall = std::chrono::seconds(240);  // of one that waits for something
};

// From now on this process is ended by SIGPROF or SIGALRM when its patience is over, and leaves no
// core file; each call begins anew.
void limit_this_process(const Patience& patience);
// "crash: ..." or "hang: ...", for what waitpid() says of a process with such limits.
std::string describe_end(int status, const Patience& patience);

struct TrialOptions {
  RunOptions run;
  Patience patience;
  bool silent = false;  // what the process says on its standard error is dropped
};

// As run_plan(); where the process did not come to the end of the run, that is the violation.
RunResult try_plan(const Plan& plan, const TrialOptions& options);

}  // namespace farandole::sim
