#include "controller/launch/refused_flags.h"

#include <utility>

#include "core/base/horovod_variables.h"

namespace farandole::launch {
namespace {

constexpr const char* kNoTuner =
    "nothing is tuned by itself yet; leave it out, or set --fusion-threshold-mb and "
    "--cache-capacity by hand";
constexpr const char* kNotElastic =
    "jobs of changing size are not there yet; leave it out, and give the number of ranks with -np";
constexpr const char* kNoBinder =
    "there is no MPI or jsrun to give it to; use --bind-to and --map-by";

struct Group {
  const char* why;
  std::vector<std::pair<const char*, const char*>> flags;  // names, value
};

const std::vector<Group>& groups() {
  static const std::vector<Group> all{
      {absent::kCycle, {{"--cycle-time-ms", "MS"}}},
      {absent::kTorus, {{"--torus-allreduce", ""}}},
      {kNoTuner,
       {{"--autotune", ""},
        {"--autotune-log-file", "FILE"},
        {"--autotune-warmup-samples", "N"},
        {"--autotune-steps-per-sample", "N"},
        {"--autotune-bayes-opt-max-samples", "N"},
        {"--autotune-gaussian-process-noise", "X"}}},
      {kNotElastic,
       {{"--min-num-proc,--min-np", "N"},
        {"--max-num-proc,--max-np", "N"},
        {"--slots-per-host", "N"},
        {"--elastic-timeout", "SECONDS"},
        {"--reset-limit", "N"},
        {"--blacklist-cooldown-range", "MIN MAX"},
        {"--host-discovery-script", "FILE"}}},
      {absent::kMpi,
       {{"--mpi", ""},
        {"--jsrun", ""},
        {"--tcp", ""},
        {"--mpi-args", "TEXT"},
        {"--mpi-threads-disable", ""},
        {"--no-mpi-threads-disable", ""}}},
      {kNoBinder, {{"--binding-args", "TEXT"}}},
      {absent::kGpu, {{"--num-nccl-streams", "N"}}},
      {absent::kLogWithoutTime, {{"--log-without-timestamp", ""}, {"--log-hide-timestamp", ""}}},
  };
  return all;
}

}  // namespace

std::vector<FlagRow> refused_flags() {
  std::vector<FlagRow> rows;
  for (const Group& group : groups()) {
    for (const auto& [names, value] : group.flags)
      rows.push_back({names, value, FlagUse::Refused, "", group.why});
  }
  return rows;
}

}  // namespace farandole::launch
