#include "controller/launch/launcher.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

#include "controller/launch/job_loop.h"
#include "controller/launch/program.h"
#include "controller/launch/rank_environment.h"
#include "controller/launch/refused_flags.h"
#include "controller/launch/report.h"
#include "core/base/cgroup.h"
#include "core/base/format.h"
#include "core/base/host_name.h"

namespace farandole::launch {
namespace {

int complain(int exit_code, const std::string& text) {
  write_all(STDERR_FILENO, "farandolerun: " + text + "\n");
  return exit_code;
}

// Of the controlling terminal of this session, so that reading it is a matter of process groups.
bool input_is_our_terminal() {
  return isatty(STDIN_FILENO) == 1 && tcgetpgrp(STDIN_FILENO) >= 0;
}

bool colour_welcome(const Environment& environment) {
  return environment.find("NO_COLOR").value_or("").empty() &&
         environment.find("TERM").value_or("dumb") != "dumb";
}

Result<JobPlan> make_plan(const Options& options, const Environment& environment) {
  FARANDOLE_RETURN_IF_ERROR(check_reachable(options.hosts, host_name()));
  auto places = place_ranks(options.hosts, options.ranks);
  if (!places)
    return places.status();
  JobPlan plan;
  plan.environment = environment;
  for (const auto& [name, value] : options.settings) plan.environment.set(name, value);
  FARANDOLE_RETURN_IF_ERROR(check_settings(plan.environment));
  plan.argv = options.program;
  plan.places = std::move(places).value();
  plan.grace = options.grace;
  plan.cores = usable_cores();
  plan.share_terminal = input_is_our_terminal();
  return plan;
}

}  // namespace

int run_job(const Options& options, const Environment& environment) {
  auto plan = make_plan(options, environment);
  if (!plan)
    return complain(kUsageExit, plan.status().message());
  const ProgramSearch program =
      find_program(options.program.front(), environment.find("PATH").value_or("/usr/bin:/bin"));
  if (program.exit_code != 0)
    return complain(program.exit_code, program.message);
  plan.value().path = program.path;
  for (const std::string& warning : setting_warnings(environment))
    complain(0, "warning: " + warning);
  for (const std::string& warning : horovod_warnings(environment))
    complain(0, "warning: " + warning);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  JobSettings settings{
      host_name(),
      options.timeout,
      options.verbose,
      standard_targets(options.colour, colour_welcome(environment)),
      options.output_folder};
  if (options.timestamps)
    settings.targets.stamp = time_stamp;
  auto exit_code = run_job_loop(plan.value(), settings);
  return exit_code ? exit_code.value() : complain(1, exit_code.status().message());
}

}  // namespace farandole::launch
