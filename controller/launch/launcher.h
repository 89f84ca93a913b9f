#pragma once
// Runs one job from its start to its end: the process that the user started.

#include "controller/launch/environment.h"
#include "controller/launch/options.h"

namespace farandole::launch {

// Checks everything that can be checked before anything is started, runs the job, and returns the
// launcher's exit code. Requires: one thread, 0 to 2 open.
int run_job(const Options& options, const Environment& environment);

}  // namespace farandole::launch
