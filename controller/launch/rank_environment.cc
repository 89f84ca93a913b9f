#include "controller/launch/rank_environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/base/config.h"

namespace farandole::launch {
namespace {

// Set by the launcher whatever was there before: a job may be started from within another.
constexpr std::array<const char*, 6> kOwnNames{
    "FARANDOLE_HOST_CORES",
    "FARANDOLE_RANK",
    "FARANDOLE_SIZE",
    "FARANDOLE_CONTROLLER",
    "FARANDOLE_JOB",
    "FARANDOLE_SECRET_FILE"};

int threads_per_rank(const CoreShare& cores, int local_size) {
  const double share = cores.host / local_size;
  return std::max(1, static_cast<int>(std::min(share, cores.own.value_or(share))));
}

Result<Config> settings_of(const Environment& environment) {
  return Config::from([&](const std::string& name) -> std::optional<std::string> {
    const bool own = std::find(kOwnNames.begin(), kOwnNames.end(), name) != kOwnNames.end();
    return own ? std::nullopt : environment.find(name);
  });
}

}  // namespace

Status check_settings(const Environment& environment) {
  return settings_of(environment).status();
}

Duration start_limit(const Environment& environment) {
  const auto config = settings_of(environment);
  return config ? config.value().start_timeout : Config().start_timeout;
}

std::vector<int> thread_cores(const Environment& environment) {
  const auto config = settings_of(environment);
  return config ? config.value().thread_affinity : std::vector<int>();
}

Environment rank_environment(
    const Environment& base,
    const Placement& place,
    const JobIdentity& job,
    const CoreShare& cores) {
  Environment env = base;
  const std::array<std::pair<const char*, int>, 6> numbers{
      {{"RANK", place.rank},
       {"SIZE", place.size},
       {"LOCAL_RANK", place.local_rank},
       {"LOCAL_SIZE", place.local_size},
       {"CROSS_RANK", place.cross_rank},
       {"CROSS_SIZE", place.cross_size}}};
  for (const auto& [name, value] : numbers) {
    env.set(std::string("FARANDOLE_") + name, fmt::format("{}", value));
    env.set(std::string("HOROVOD_") + name, fmt::format("{}", value));
  }
  env.set("FARANDOLE_CONTROLLER", job.controller);
  env.set("FARANDOLE_JOB", job.job);
  env.set("FARANDOLE_SECRET_FILE", job.secret_file);
  env.set("HOROVOD_HOSTNAME", place.host);
  // A rank that is bound sees its own cores alone, and would take the host for crowded.
  if (cores.own)
    env.set("FARANDOLE_HOST_CORES", fmt::format("{}", static_cast<int64_t>(cores.host)));
  else
    env.erase("FARANDOLE_HOST_CORES");
  env.set_default("OMP_NUM_THREADS", fmt::format("{}", threads_per_rank(cores, place.local_size)));
  // Python holds output to a pipe back by kilobytes; its lines are wanted as they come.
  env.set_default("PYTHONUNBUFFERED", "1");
  return env;
}

}  // namespace farandole::launch
