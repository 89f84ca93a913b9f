#pragma once
// What a rank finds in its environment, and the check of what the user put into it.

#include <optional>
#include <string>
#include <vector>

#include "controller/launch/environment.h"
#include "controller/launch/hosts.h"
#include "core/base/clock.h"
#include "core/base/status.h"

namespace farandole::launch {

// What all ranks of a job share. The secret itself is not here: only where it can be read.
struct JobIdentity {
  std::string job;
  std::string controller;   // "127.0.0.1:port" or "[::1]:port"
  std::string secret_file;  // "/proc/<agent>/fd/<n>"
};

// Fails: InvalidArgument where a FARANDOLE_* (or HOROVOD_*) setting that the ranks will read is
// wrong. What the launcher sets itself is not looked at.
Status check_settings(const Environment& environment);
// How long the ranks may take to find each other. Requires: check_settings had no objection.
Duration start_limit(const Environment& environment);
// To which cores the ranks' threads will be bound; none where they are not. Requires: likewise.
std::vector<int> thread_cores(const Environment& environment);

struct CoreShare {
  double host = 1;            // that all ranks of this host may use
  std::optional<double> own;  // of a rank that is bound: its own, others' part taken off
};

// Whole environment of one rank.
Environment rank_environment(
    const Environment& base,
    const Placement& place,
    const JobIdentity& job,
    const CoreShare& cores);

}  // namespace farandole::launch
