#pragma once
// Starts a job on all of its hosts: the ranks of this one below an agent, those of the others below
// outposts.

#include <memory>
#include <string>
#include <vector>

#include "controller/launch/host_connector.h"
#include "controller/launch/job_start.h"

namespace farandole::launch {

// The hosts of `plan`, which has the places of all, each with its own; `here` is this one's name.
std::vector<JobHost> split_by_host(const JobPlan& plan, const std::string& here);

struct JobHosts {
  StartedJob here;                                  // agent -1 where no rank runs here
  std::vector<std::unique_ptr<RemoteHost>> remote;  // to be told to start
  std::vector<int> host_of_rank;
  std::vector<std::string> bound;  // the processors of each rank; "": not bound, or not told
  bool input_is_remote = false;    // rank 0 runs on remote.front()
  int exit_code = 0;               // not 0: nothing was started, and `text` says why
  std::string text;
};

// Fails: System; then nothing was started. Requires: all signals are blocked and read by `signals`.
Result<JobHosts> start_on_hosts(
    const JobPlan& plan,
    const std::string& here,
    const ConnectorSettings& settings,
    const StartConditions& before,
    SignalReader& signals);

}  // namespace farandole::launch
