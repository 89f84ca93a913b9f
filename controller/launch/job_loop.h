#pragma once
// The launcher's event loop: signals, the agent's reports and the ranks' output come in, what the
// supervisor decides goes out.

#include <optional>
#include <string>

#include "controller/launch/agent.h"
#include "controller/launch/host_connector.h"
#include "controller/launch/output.h"

namespace farandole::launch {

struct JobSettings {
  std::string host;
  std::optional<Duration> timeout;
  bool verbose = false;
  Output::Targets targets;
  std::string output_folder;    // of OutputFiles; "" for none
  std::string here;             // name of this host in the plan; "" where no rank runs here
  ConnectorSettings connector;  // to other hosts
};

// Runs the job to its end, the last word on stderr included, and returns the exit code.
// Fails: System where it cannot be started.
Result<int> run_job_loop(const JobPlan& plan, const JobSettings& settings);

}  // namespace farandole::launch
