#pragma once
// What --verbose tells of a job, and by which names it speaks of hosts. Pure.

#include <sys/types.h>

#include <string>

#include "controller/launch/agent.h"
#include "controller/launch/supervisor.h"

namespace farandole::launch {

// `plan` has the places of all hosts; `here` is this host's name in it ("" where it has no rank),
// `own` the one it gives itself, by which it is shown.
std::string plan_text(
    const JobPlan& plan, const std::string& here, const std::string& own, pid_t agent);
std::string host_of(
    const JobPlan& plan, const Outcome& outcome, const std::string& here, const std::string& own);
// Its number in the order of the plan; 0 where it is not in it.
int host_index(const JobPlan& plan, const std::string& host);

// Where a rank runs that is bound to `cpus`.
std::string binding_text(const Placement& place, const std::string& cpus, const BindPolicy& policy);

// "" for what is not worth a word.
std::string message_text(const Message& message);

// Why nothing was started: `lines`, or where there is none the signal of `exit_code`.
std::string failure_text(const std::string& lines, int exit_code);

}  // namespace farandole::launch
