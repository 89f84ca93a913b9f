#include "core/base/horovod_variables.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/base/config_table.h"
#include "core/base/format.h"

namespace farandole {
namespace {

constexpr const char* kNoTuner =
    "nothing is tuned by itself yet; leave it out, or set FARANDOLE_FUSION_BYTES and "
    "FARANDOLE_CACHE_CAPACITY by hand";
constexpr const char* kNotElastic =
    "jobs of changing size are not there yet; leave it out, and give farandolerun the number of "
    "ranks";
constexpr const char* kNoCcl = "oneCCL is not used here; leave it out";
constexpr const char* kNoCopies = "there are no GPUs yet, whose memory it is about; leave it out";
constexpr const char* kSameBits = "what is fused does not change a sum's bits; leave it out";
constexpr const char* kRoute =
    "ranks listen where they reach rank 0; to choose another address, set FARANDOLE_BIND, or give "
    "farandolerun --network-interfaces";
constexpr const char* kMeeting =
    "ranks meet at FARANDOLE_CONTROLLER, which farandolerun sets; leave it out";
constexpr const char* kSecret =
    "the secret stands in the file that FARANDOLE_SECRET_FILE names; leave it out";
constexpr const char* kNoTensorFlow = "it is about TensorFlow, which is not here; leave it out";

// A variable, the value that asks for nothing ("" where none does), and why it has no effect.
struct Variable {
  const char* name;
  const char* off;
  const char* why;
};

constexpr std::array<Variable, 27> kVariables{{
    {"HOROVOD_CYCLE_TIME", "", absent::kCycle},
    {"HOROVOD_TORUS_ALLREDUCE", "0", absent::kTorus},
    {"HOROVOD_DISABLE_GROUP_FUSION", "0", kSameBits},
    {"HOROVOD_AUTOTUNE", "0", kNoTuner},
    {"HOROVOD_AUTOTUNE_LOG", "", kNoTuner},
    {"HOROVOD_AUTOTUNE_WARMUP_SAMPLES", "", kNoTuner},
    {"HOROVOD_AUTOTUNE_STEPS_PER_SAMPLE", "", kNoTuner},
    {"HOROVOD_AUTOTUNE_BAYES_OPT_MAX_SAMPLES", "", kNoTuner},
    {"HOROVOD_AUTOTUNE_GAUSSIAN_PROCESS_NOISE", "", kNoTuner},
    {"HOROVOD_ELASTIC", "0", kNotElastic},
    {"HOROVOD_ELASTIC_TIMEOUT", "", kNotElastic},
    {"HOROVOD_MPI_THREADS_DISABLE", "", absent::kMpi},
    {"HOROVOD_CONTROLLER", "gloo", absent::kMpi},
    {"HOROVOD_CPU_OPERATIONS", "gloo", absent::kMpi},
    {"HOROVOD_ADASUM_MPI_CHUNK_SIZE", "", absent::kMpi},
    {"HOROVOD_CCL_CACHE", "", kNoCcl},
    {"HOROVOD_CCL_BGT_AFFINITY", "", kNoCcl},
    {"HOROVOD_NUM_NCCL_STREAMS", "1", absent::kGpu},
    {"HOROVOD_BATCH_D2D_MEMCOPIES", "", kNoCopies},
    {"HOROVOD_ENABLE_ASYNC_COMPLETION", "0", kNoCopies},
    {"HOROVOD_DISABLE_NVTX_RANGES", "1", kNoCopies},
    {"HOROVOD_ENABLE_XLA_OPS", "0", kNoTensorFlow},
    {"HOROVOD_LOG_HIDE_TIME", "0", absent::kLogWithoutTime},
    {"HOROVOD_GLOO_IFACE", "", kRoute},
    {"HOROVOD_GLOO_RENDEZVOUS_ADDR", "", kMeeting},
    {"HOROVOD_GLOO_RENDEZVOUS_PORT", "", kMeeting},
    {"HOROVOD_SECRET_KEY", "", kSecret},
}};

// Written by a launcher for ranks to read.
constexpr std::array kPlaces{
    "HOROVOD_RANK",
    "HOROVOD_SIZE",
    "HOROVOD_LOCAL_RANK",
    "HOROVOD_LOCAL_SIZE",
    "HOROVOD_CROSS_RANK",
    "HOROVOD_CROSS_SIZE",
    "HOROVOD_HOSTNAME"};

// Whether process sets may be added and removed, which they always may: whoever asks gets what is
// so, and whoever does not, with 0, asks for nothing.
constexpr std::string_view kAllowed = "HOROVOD_DYNAMIC_PROCESS_SETS";

bool is_honoured(const std::string& name) {
  const auto rows = config_rows();
  return name == kAllowed || std::find(kPlaces.begin(), kPlaces.end(), name) != kPlaces.end() ||
         std::any_of(
             kHorovodSwitches.begin(),
             kHorovodSwitches.end(),
             [&](const HorovodSwitch& one) { return one.name == name; }) ||
         std::any_of(
             rows.begin(), rows.end(), [&](const ConfigRow& row) { return row.horovod == name; });
}

std::string lower(std::string text) {
  for (char& ch : text) ch = static_cast<char>(std::tolower(static_cast<unsigned char>(ch)));
  return text;
}

}  // namespace

std::vector<std::string> horovod_warnings(
    std::vector<std::string> names, const Config::Lookup& lookup) {
  std::vector<std::string> warnings;
  if (lookup("HOROVOD_RANK").value_or("0") != "0")
    return warnings;
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (!name.starts_with("HOROVOD_") || is_honoured(name))
      continue;
    const auto known = std::find_if(kVariables.begin(), kVariables.end(), [&](const Variable& row) {
      return name == row.name;
    });
    if (known == kVariables.end()) {
      warnings.push_back(fmt::format("variable {} means nothing here", printable(name, 128)));
      continue;
    }
    const std::string value = lower(lookup(name).value_or(""));
    if (!value.empty() && value != known->off)
      warnings.push_back(fmt::format("variable {} has no effect: {}", name, known->why));
  }
  return warnings;
}

}  // namespace farandole
