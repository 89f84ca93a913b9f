#pragma once
// Reaches the other hosts of a job: one ssh for each, an outpost behind it, and an address of rank
// 0's host that all of them reach. Nothing is started anywhere until everybody is prepared.

#include <memory>
#include <string>
#include <vector>

#include "controller/launch/addresses.h"
#include "controller/launch/job_start.h"
#include "controller/launch/remote_host.h"
#include "controller/launch/signals.h"
#include "controller/launch/ssh.h"
#include "core/base/clock.h"

namespace farandole::launch {

// One host of a job, in the order of its ranks.
struct JobHost {
  std::string name;
  bool is_here = false;
  JobPlan plan;  // of this host's ranks
};

struct ConnectorSettings {
  SshOptions ssh;
  std::string ssh_program;              // its path
  std::string own_program;              // this one's
  std::vector<std::string> interfaces;  // of --network-interfaces
  std::string interfaces_flag;          // as it was written
  Environment own_environment;          // of the launcher, for ssh
  std::string folder;                   // where ranks are to start
  Duration limit = std::chrono::seconds(30);
};

// The hosts, prepared; or why not.
struct Connected {
  std::vector<std::unique_ptr<RemoteHost>> remote;
  HeldPort controller;  // on rank 0's host only its endpoint and holder
  int exit_code = 0;    // not 0: nothing was started
  std::string text;     // then: lines, one for each host at fault
};

// Requires: all signals are blocked and read by `signals`.
Connected connect_hosts(
    std::vector<JobHost>& hosts,
    const JobKeys& keys,
    const ConnectorSettings& settings,
    const StartConditions& before,
    SignalReader& signals);

}  // namespace farandole::launch
