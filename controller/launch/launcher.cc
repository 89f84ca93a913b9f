#include "controller/launch/launcher.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "controller/launch/addresses.h"
#include "controller/launch/job_loop.h"
#include "controller/launch/machine.h"
#include "controller/launch/program.h"
#include "controller/launch/rank_environment.h"
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

// Also where no other host is to be reached: a wrong file is a mistake whatever the hosts are.
Status check_identity(const std::string& identity) {
  if (identity.empty() || access(identity.c_str(), R_OK) == 0)
    return Status::ok();
  return error(
      Code::InvalidArgument,
      "--ssh-identity-file: {} cannot be read: {}",
      printable(identity, 256),
      strerror(errno));  // NOLINT(concurrency-mt-unsafe): one thread
}

Result<JobPlan> make_plan(const Options& options, const Environment& environment) {
  auto places = place_ranks(options.hosts, options.ranks);
  if (!places)
    return places.status();
  JobPlan plan;
  plan.environment = environment;
  for (const auto& [name, value] : options.settings) plan.environment.set(name, value);
  FARANDOLE_RETURN_IF_ERROR(check_settings(plan.environment));
  FARANDOLE_RETURN_IF_ERROR(check_identity(options.ssh.identity));
  plan.argv = options.program;
  plan.places = std::move(places).value();
  plan.grace = options.grace;
  plan.binding = options.binding;
  plan.cores = usable_cores();
  plan.share_terminal = input_is_our_terminal();
  return plan;
}

// Where the ranks of this host are to run.
Status bind_own_ranks(const std::string& here, JobPlan& plan) {
  const auto ranks = std::count_if(plan.places.begin(), plan.places.end(), [&](const auto& place) {
    return place.host == here;
  });
  if (ranks == 0)
    return Status::ok();
  auto bound = bind_here(plan.binding, thread_cores(plan.environment), static_cast<int>(ranks));
  if (!bound)
    return bound.status();
  plan.cpus = std::move(bound).value();
  return Status::ok();
}

// Which of the hosts this one is; "" for none.
Result<std::string> find_here(const std::vector<Host>& hosts) {
  std::vector<std::string> addresses;
  if (const auto own = own_addresses()) {
    for (const HostAddress& address : own.value()) addresses.push_back(address.address);
  }
  return this_host_among(hosts, host_name(), addresses);
}

// Where this program lies, for other hosts that have it at the same place.
std::string own_program() {
  std::error_code failed;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", failed);
  return failed ? "farandolerun" : path.string();
}

// The folder that this is started in, by the name by which the user came here: others may have it
// by no other.
std::string own_folder(const Environment& environment) {
  std::error_code failed;
  const std::string named = environment.find("PWD").value_or("");
  if (named.starts_with('/') && std::filesystem::equivalent(named, ".", failed) && !failed)
    return named;
  const auto path = std::filesystem::current_path(failed);
  return failed ? "/" : path.string();
}

// What it takes to reach other hosts, where there are any.
ProgramSearch prepare_ssh(
    const Options& options, const Environment& environment, ConnectorSettings& settings) {
  settings.ssh = options.ssh;
  settings.own_program = own_program();
  settings.own_environment = environment;
  settings.folder = own_folder(environment);
  ProgramSearch ssh = find_program("ssh", environment.find("PATH").value_or("/usr/bin:/bin"));
  settings.ssh_program = ssh.path;
  if (ssh.exit_code != 0)
    ssh.message = "other hosts are reached by ssh, but " + ssh.message;
  return ssh;
}

// Finds the program here, or what it takes to have it found on other hosts.
ProgramSearch prepare_start(
    const Options& options,
    const Environment& environment,
    const std::string& here,
    JobPlan& plan,
    ConnectorSettings& settings) {
  const auto is_here = [&](const Placement& place) { return place.host == here; };
  settings.interfaces = options.interfaces;
  settings.interfaces_flag = options.interfaces_flag;
  plan.path = options.program.front();
  if (std::any_of(plan.places.begin(), plan.places.end(), is_here)) {
    ProgramSearch program =
        find_program(options.program.front(), environment.find("PATH").value_or("/usr/bin:/bin"));
    if (program.exit_code != 0)
      return program;
    plan.path = program.path;
  }
  if (std::all_of(plan.places.begin(), plan.places.end(), is_here))
    return {};
  return prepare_ssh(options, environment, settings);
}

}  // namespace

int run_job(const Options& options, const Environment& environment) {
  auto plan = make_plan(options, environment);
  const auto here = plan ? find_here(options.hosts) : Result<std::string>(plan.status());
  if (!here)
    return complain(kUsageExit, here.status().message());
  ConnectorSettings connector;
  const ProgramSearch found =
      prepare_start(options, environment, here.value(), plan.value(), connector);
  if (found.exit_code != 0)
    return complain(found.exit_code, found.message);
  if (const Status bound = bind_own_ranks(here.value(), plan.value()); !bound)
    return complain(kUsageExit, bound.message());
  connector.limit = start_limit(plan.value().environment);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  JobSettings settings{
      host_name(),
      options.timeout,
      options.verbose,
      standard_targets(options.colour, colour_welcome(environment)),
      options.output_folder,
      here.value(),
      std::move(connector)};
  if (options.timestamps)
    settings.targets.stamp = time_stamp;
  auto exit_code = run_job_loop(plan.value(), settings);
  if (exit_code)
    return exit_code.value();
  const Status& failed = exit_code.status();
  return complain(failed.code() == Code::InvalidArgument ? kUsageExit : 1, failed.message());
}

}  // namespace farandole::launch
