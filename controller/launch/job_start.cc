#include "controller/launch/job_start.h"

#include <unistd.h>

#include <cerrno>

#include "controller/launch/process_tree.h"
#include "controller/launch/signals.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr size_t kFdsBesideRanks = 64;

Status make_outputs(const JobPlan& plan, AgentJob& agent, StartedJob& job) {
  for (const Placement& place : plan.places) {
    auto output = make_pipe();
    auto error_output = make_pipe();
    if (!output || !error_output)
      return output ? error_output.status() : output.status();
    agent.outputs.push_back(
        {std::move(output.value().write), std::move(error_output.value().write)});
    job.inputs.push_back({place.rank, Stream::Out, std::move(output.value().read)});
    job.inputs.push_back({place.rank, Stream::Err, std::move(error_output.value().read)});
  }
  return Status::ok();
}

}  // namespace

Result<StartConditions> start_conditions() {
  StartConditions before;
  if (FARANDOLE_FAIL_CALL(
          "job_start.start_conditions.getrlimit", getrlimit(RLIMIT_NOFILE, &before.open_files)) !=
      0)
    return system_error("getrlimit(RLIMIT_NOFILE)", errno);
  before.kept_ignored = ignored_signals();
  return before;
}

size_t open_files_of(const JobPlan& plan) {
  return 4 * plan.places.size() + kFdsBesideRanks;
}

// Everything is inherited by fork: the agent starts with the plan, its end of the channel and the
// write ends of the ranks' pipes.
Result<StartedJob> start_job(
    const JobPlan& plan, JobResources resources, const StartConditions& before) {
  FARANDOLE_RETURN_IF_ERROR(
      ensure_open_files(open_files_of(plan), static_cast<int>(plan.places.size())));
  auto channel = Channel::make_pair();
  if (!channel)
    return channel.status();
  AgentJob agent;
  StartedJob job;
  FARANDOLE_RETURN_IF_ERROR(make_outputs(plan, agent, job));
  agent.plan = &plan;
  agent.launcher = std::move(channel.value().second);
  agent.resources = std::move(resources);
  agent.open_files = before.open_files;
  agent.kept_ignored = before.kept_ignored;
  job.channel = std::move(channel.value().first);
  const auto all = all_processes();
  if (!all)
    return all.status();
  for (const ProcessInfo& info : descendants(all.value(), getpid()))
    job.foreign.push_back(info.pid);
  job.agent = FARANDOLE_FAIL_CALL("job_start.start_job.fork", fork());
  if (job.agent < 0)
    return system_error("fork", errno);
  if (job.agent == 0)
    run_agent(std::move(agent));
  FARANDOLE_FAILPOINT("job_start.started");
  if (plan.places.front().rank == 0 && !plan.share_terminal)
    point_at_null(STDIN_FILENO);  // rank 0 has it: whoever writes to it must see that one's end
  return job;
}

}  // namespace farandole::launch
