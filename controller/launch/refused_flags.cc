#include "controller/launch/refused_flags.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/base/config.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr const char* kNoCycle =
    "there is no cycle to set: tensors are agreed upon as they come; leave it out";
constexpr const char* kHierarchy =
    "the way is chosen by the hosts' ranks for all collectives; to choose it, set "
    "FARANDOLE_COMMUNICATOR to hierarchical or gloo";
constexpr const char* kNoTorus =
    "there is no torus; leave it out, and collectives go through shared memory inside hosts and "
    "Gloo across them";
constexpr const char* kNoTuner =
    "nothing is tuned by itself yet; leave it out, or set --fusion-threshold-mb and "
    "--cache-capacity by hand";
constexpr const char* kNotElastic =
    "jobs of changing size are not there yet; leave it out, and give the number of ranks with -np";
constexpr const char* kNoMpi =
    "there is no MPI here; leave it out: the launcher starts the ranks by itself";
constexpr const char* kNoBinder =
    "there is no MPI or jsrun to give it to; use --bind-to and --map-by";
constexpr const char* kNoGpu = "there are no GPUs yet, and so no streams to number; leave it out";
constexpr const char* kLogHasTime = "messages of the log always have the time; leave it out";
constexpr const char* kByFlag =
    "the launcher has to know it before ranks are started; use --network-interfaces";

struct Group {
  const char* why;
  std::vector<std::pair<const char*, const char*>> flags;  // names, value
};

const std::vector<Group>& groups() {
  static const std::vector<Group> all{
      {kNoCycle, {{"--cycle-time-ms", "MS"}}},
      {kHierarchy,
       {{"--hierarchical-allreduce", ""},
        {"--no-hierarchical-allreduce", ""},
        {"--hierarchical-allgather", ""},
        {"--no-hierarchical-allgather", ""}}},
      {kNoTorus, {{"--torus-allreduce", ""}}},
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
      {kNoMpi,
       {{"--mpi", ""},
        {"--jsrun", ""},
        {"--tcp", ""},
        {"--mpi-args", "TEXT"},
        {"--mpi-threads-disable", ""},
        {"--no-mpi-threads-disable", ""}}},
      {kNoBinder, {{"--binding-args", "TEXT"}}},
      {kNoGpu, {{"--num-nccl-streams", "N"}}},
      {kLogHasTime, {{"--log-without-timestamp", ""}, {"--log-hide-timestamp", ""}}},
  };
  return all;
}

// A variable, the value that asks for nothing ("" where none does), and why it has no effect.
struct Variable {
  const char* name;
  const char* off;
  const char* why;
};

constexpr std::array<Variable, 24> kVariables{{
    {"HOROVOD_CYCLE_TIME", "", kNoCycle},
    {"HOROVOD_HIERARCHICAL_ALLREDUCE", "0", kHierarchy},
    {"HOROVOD_HIERARCHICAL_ALLGATHER", "0", kHierarchy},
    {"HOROVOD_TORUS_ALLREDUCE", "0", kNoTorus},
    {"HOROVOD_AUTOTUNE", "0", kNoTuner},
    {"HOROVOD_AUTOTUNE_LOG", "", kNoTuner},
    {"HOROVOD_AUTOTUNE_WARMUP_SAMPLES", "", kNoTuner},
    {"HOROVOD_AUTOTUNE_STEPS_PER_SAMPLE", "", kNoTuner},
    {"HOROVOD_AUTOTUNE_BAYES_OPT_MAX_SAMPLES", "", kNoTuner},
    {"HOROVOD_AUTOTUNE_GAUSSIAN_PROCESS_NOISE", "", kNoTuner},
    {"HOROVOD_ELASTIC", "0", kNotElastic},
    {"HOROVOD_ELASTIC_TIMEOUT", "", kNotElastic},
    {"HOROVOD_MPI_THREADS_DISABLE", "", kNoMpi},
    {"HOROVOD_CONTROLLER", "gloo", kNoMpi},
    {"HOROVOD_CPU_OPERATIONS", "gloo", kNoMpi},
    {"HOROVOD_ADASUM_MPI_CHUNK_SIZE", "", kNoMpi},
    {"HOROVOD_CCL_CACHE", "", kNoMpi},
    {"HOROVOD_CCL_BGT_AFFINITY", "", kNoMpi},
    {"HOROVOD_NUM_NCCL_STREAMS", "1", kNoGpu},
    {"HOROVOD_BATCH_D2D_MEMCOPIES", "", kNoGpu},
    {"HOROVOD_ENABLE_ASYNC_COMPLETION", "0", kNoGpu},
    {"HOROVOD_DISABLE_NVTX_RANGES", "1", kNoGpu},
    {"HOROVOD_LOG_HIDE_TIME", "0", kLogHasTime},
    {"HOROVOD_GLOO_IFACE", "", kByFlag},
}};

// Written by a launcher for ranks: found in the environment of one that was started by a rank.
constexpr std::array kPlaces{
    "HOROVOD_RANK",
    "HOROVOD_SIZE",
    "HOROVOD_LOCAL_RANK",
    "HOROVOD_LOCAL_SIZE",
    "HOROVOD_CROSS_RANK",
    "HOROVOD_CROSS_SIZE",
    "HOROVOD_HOSTNAME"};

bool is_honoured(const std::string& name) {
  const auto rows = config_rows();
  return std::find(kPlaces.begin(), kPlaces.end(), name) != kPlaces.end() ||
         std::any_of(
             rows.begin(), rows.end(), [&](const ConfigRow& row) { return row.horovod == name; });
}

std::string lower(std::string text) {
  for (char& ch : text) ch = static_cast<char>(std::tolower(static_cast<unsigned char>(ch)));
  return text;
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

std::vector<std::string> horovod_warnings(const Environment& environment) {
  std::vector<std::string> warnings;
  for (const std::string& name : environment.names()) {
    if (!name.starts_with("HOROVOD_") || is_honoured(name))
      continue;
    const auto known = std::find_if(kVariables.begin(), kVariables.end(), [&](const Variable& row) {
      return name == row.name;
    });
    if (known == kVariables.end()) {
      warnings.push_back(fmt::format("variable {} means nothing here", printable(name, 128)));
      continue;
    }
    const std::string value = lower(environment.find(name).value_or(""));
    if (!value.empty() && value != known->off)
      warnings.push_back(fmt::format("variable {} has no effect: {}", name, known->why));
  }
  return warnings;
}

}  // namespace farandole::launch
