#pragma once
// The agent of one host: starts a keeper for every rank of the host, passes orders down and reports
// up, and ends what a killed keeper left behind. It holds the job's secret and the controller's
// port. Its lease is the launcher's channel: when that closes, everything here ends.

#include <sys/resource.h>

#include <string>
#include <vector>

#include "controller/launch/binding.h"
#include "controller/launch/channel.h"
#include "controller/launch/environment.h"
#include "controller/launch/hosts.h"
#include "controller/launch/job_resources.h"
#include "core/base/clock.h"

namespace farandole::launch {

// What is to be started on one host.
struct JobPlan {
  std::string path;
  std::vector<std::string> argv;
  Environment environment;
  std::vector<Placement> places;  // of this host, in the order of their local ranks
  Duration grace{};
  double cores = 1;
  BindPolicy binding;
  std::vector<CpuSet> cpus;     // of each place; none: ranks are not bound
  bool share_terminal = false;  // rank 0 reads the terminal and stays in the launcher's group
};

struct RankOutputs {
  UniqueFd output;
  UniqueFd error;
};

struct AgentJob {
  const JobPlan* plan = nullptr;
  Channel launcher;
  JobResources resources;
  std::vector<RankOutputs> outputs;  // one entry per place
  rlimit open_files{};               // to be restored in the ranks
  sigset_t kept_ignored{};
};

// The life of the agent, in a process just forked. Never returns.
[[noreturn]] void run_agent(AgentJob job);

}  // namespace farandole::launch
