#pragma once
// What an outpost does before ranks are started: it tells of its host, tries addresses, and checks
// what it was told to start.

#include <string>
#include <vector>

#include "controller/launch/addresses.h"
#include "controller/launch/agent.h"
#include "controller/launch/environment.h"
#include "controller/launch/job_resources.h"
#include "controller/launch/outpost_frames.h"

namespace farandole::launch {

// How long the hosts try to reach that of rank 0.
inline constexpr Duration kProbeTime = std::chrono::seconds(3);

// What this host is, to a process that sshd started with `environment`.
HostFacts own_facts(const Environment& environment);

// A port at each address; the endpoint is "" where there is none.
std::vector<HeldPort> hold_ports(const std::vector<std::string>& addresses);

// The answer to FrameKind::Listen: of each port its endpoint, and why there is none.
std::vector<std::string> what_is_held(const std::vector<HeldPort>& ports);

// Why an order cannot be carried out here, or nothing.
struct Refusal {
  int exit_code = 0;  // 0: none
  std::string text;
};

// Enters the folder of the order and finds its program. `own`: the environment that ranks have
// beside the order's.
Refusal prepare(const HostOrder& order, const Environment& own, JobPlan& plan);

// Those of the launcher's variables that mean something on another host: none of its session,
// display and terminal, and not which of its devices are visible.
std::vector<std::string> travelling_environment(const Environment& environment);

}  // namespace farandole::launch
