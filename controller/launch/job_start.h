#pragma once
// Makes what a job needs and starts its agent.

#include <sys/resource.h>
#include <sys/types.h>

#include <csignal>
#include <vector>

#include "controller/launch/agent.h"
#include "controller/launch/output.h"

namespace farandole::launch {

// One stream of one rank, as the launcher reads it.
struct RankInput {
  int rank = 0;
  Stream stream = Stream::Out;
  UniqueFd fd;
  // It could not be read. The descriptor stays: a writer without any reader is killed by SIGPIPE.
  bool broken = false;
};

struct StartedJob {
  pid_t agent = -1;
  std::vector<pid_t>
      foreign;  // children from before: the launcher may have replaced a shell by exec
  Channel channel;
  std::vector<RankInput> inputs;
};

// How the launcher itself was started; its ranks are to start alike.
struct StartConditions {
  rlimit open_files{};
  sigset_t kept_ignored{};
};
Result<StartConditions> start_conditions();

// How many files the launcher has open while the job runs.
size_t open_files_of(const JobPlan& plan);

// Fails: System; then nothing was started. Requires: signals are blocked, so that the agent is born
// with none unblocked.
Result<StartedJob> start_job(
    const JobPlan& plan, JobResources resources, const StartConditions& before);

}  // namespace farandole::launch
