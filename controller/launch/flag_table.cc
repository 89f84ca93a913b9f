#include "controller/launch/flag_table.h"

#include <algorithm>
#include <array>

#include "controller/launch/refused_flags.h"
#include "core/base/nearest.h"

namespace farandole::launch {
namespace {

constexpr FlagUse kActs = FlagUse::Acts;
constexpr FlagUse kAlwaysSo = FlagUse::AlwaysSo;
constexpr const char* kJob = "Options";
constexpr const char* kTuning = "Settings of the ranks, instead of their variables";
constexpr const char* kHorovod = "Of horovodrun, and always so here";

std::vector<FlagRow> own_flags() {
  return {
      {"-np,-n,--np,--num-proc", "N", kActs, kJob, "Number of ranks; default: all slots"},
      {"-H,--hosts",
       "HOST:SLOTS,...",
       kActs,
       kJob,
       "Hosts with their slots, as in node1:4,node2:4; others than this one are reached by ssh"},
      {"-hostfile,--hostfile",
       "FILE",
       kActs,
       kJob,
       "The same from a file of lines \"host slots=4\""},
      {"--config-file",
       "FILE",
       kActs,
       kJob,
       "Flags from a YAML file with the sections of horovodrun; those given here go before it"},
      {"-p,--ssh-port", "PORT", kActs, kJob, "Port of sshd on the other hosts"},
      {"-i,--ssh-identity-file", "FILE", kActs, kJob, "Private key for the other hosts"},
      {"--network-interface,--network-interfaces",
       "NAMES",
       kActs,
       kJob,
       "Interfaces that ranks use, the first that a host has; default: where ssh reaches it"},
      {"--timeout",
       "SECONDS",
       kActs,
       kJob,
       "End the whole job after so many seconds, with exit code 124"},
      {"--grace",
       "SECONDS",
       kActs,
       kJob,
       "Time between SIGTERM and SIGKILL when ranks are ended; default: 3"},
      {"--bind-to",
       "PART",
       kActs,
       kJob,
       "Bind each rank to a hwthread, core, numa or socket of its own host; default: none"},
      {"--map-by",
       "ORDER",
       kActs,
       kJob,
       "Take slot, hwthread, core, numa or socket in turn for the ranks; default: as --bind-to"},
      {"--verbose", "", kActs, kJob, "Tell on stderr what is started and how it ends"},
      {"--output-filename",
       "DIR",
       kActs,
       kJob,
       "Write the output of each rank to DIR/rank.N/stdout and stderr, too"},
      {"-prefix-timestamp,--prefix-output-with-timestamp",
       "",
       kActs,
       kJob,
       "Show the time before each line of the ranks"},
      {"--color", "", kActs, kJob, "Colour the rank prefixes even when the output is no terminal"},
      {"--no-color", "", kActs, kJob, "No colours (so does the variable NO_COLOR)"},
      {"--horovod",
       "",
       kActs,
       kJob,
       "Have Farandole answer for the modules named horovod in a program of Python"},
      {"-cb,--check-build", "", kActs, kJob, "Print what this build can do"},
      {"--help-env",
       "[=markdown]",
       kActs,
       kJob,
       "List the settings that ranks read from the environment; --help-env=markdown as a page",
       true},
      {"--completion",
       "SHELL",
       kActs,
       kJob,
       "Print what makes bash or zsh complete this command line"},
      {"-v,--version", "", kActs, kJob, "Print the version"},
      {"-h,--help", "", kActs, kJob, "Print this help"},
      {"--start-timeout",
       "SECONDS",
       kActs,
       kTuning,
       "How long the ranks may take to find each other (FARANDOLE_START_TIMEOUT)",
       false,
       "start_timeout"},
      {"--gloo-timeout-seconds",
       "SECONDS",
       kActs,
       kTuning,
       "How long a collective may make no progress (FARANDOLE_DATA_TIMEOUT)",
       false,
       "data_timeout"},
      {"--fusion-threshold-mb",
       "MIB",
       kActs,
       kTuning,
       "Most of one fused bucket, in MiB (FARANDOLE_FUSION_BYTES)"},
      {"--cache-capacity",
       "N",
       kActs,
       kTuning,
       "Signatures that are remembered (FARANDOLE_CACHE_CAPACITY)",
       false,
       "cache_capacity"},
      {"--thread-affinity",
       "CORE,...",
       kActs,
       kTuning,
       "Core for the background threads of each local rank (FARANDOLE_THREAD_AFFINITY)",
       false,
       "thread_affinity"},
      {"--log-level",
       "LEVEL",
       kActs,
       kTuning,
       "trace, debug, info, warning, error, fatal or off (FARANDOLE_LOG_LEVEL)",
       false,
       "log_level"},
      {"--timeline-filename",
       "FILE",
       kActs,
       kTuning,
       "Record what becomes of each tensor of rank 0, or of each rank where FILE has {rank} in it "
       "(FARANDOLE_TIMELINE)",
       false,
       "timeline"},
      {"--timeline-mark-cycles",
       "",
       kActs,
       kTuning,
       "Show each round of agreement there (FARANDOLE_TIMELINE_MARK_CYCLES)",
       false,
       "timeline_mark_cycles",
       "1"},
      {"--no-timeline-mark-cycles",
       "",
       kActs,
       kTuning,
       "Do not",
       false,
       "timeline_mark_cycles",
       "0"},
      {"--stall-check",
       "",
       kActs,
       kTuning,
       "Look for operations that some ranks wait for (FARANDOLE_STALL_CHECK_DISABLE)",
       false,
       "stall_check_disable",
       "0"},
      {"--no-stall-check",
       "",
       kActs,
       kTuning,
       "Do not look for them",
       false,
       "stall_check_disable",
       "1"},
      {"--stall-check-warning-time-seconds",
       "SECONDS",
       kActs,
       kTuning,
       "After how long such a wait is reported (FARANDOLE_STALL_CHECK_TIME)",
       false,
       "stall_check_time"},
      {"--stall-check-shutdown-time-seconds",
       "SECONDS",
       kActs,
       kTuning,
       "After how long it ends the job; 0: never (FARANDOLE_STALL_SHUTDOWN_TIME)",
       false,
       "stall_shutdown_time"},
      {"--hierarchical-allreduce",
       "",
       kActs,
       kTuning,
       "Shared memory in hosts, Gloo between them (FARANDOLE_COMMUNICATOR=hierarchical)",
       false,
       "communicator",
       "hierarchical"},
      {"--no-hierarchical-allreduce",
       "",
       kActs,
       kTuning,
       "Gloo between all ranks of several hosts (FARANDOLE_COMMUNICATOR=flat)",
       false,
       "communicator",
       "flat"},
      {"--hierarchical-allgather",
       "",
       kActs,
       kTuning,
       "As --hierarchical-allreduce: one way for all collectives",
       false,
       "communicator",
       "hierarchical"},
      {"--no-hierarchical-allgather",
       "",
       kActs,
       kTuning,
       "As --no-hierarchical-allreduce",
       false,
       "communicator",
       "flat"},
      {"--gloo", "", kAlwaysSo, kHorovod, "Ranks find each other without MPI"},
      {"--disable-cache", "", kAlwaysSo, kHorovod, "What is checked is checked at every start"},
      {"--log-with-timestamp", "", kAlwaysSo, kHorovod, "Messages of the log have the time"},
      {"--no-log-hide-timestamp", "", kAlwaysSo, kHorovod, "Likewise"},
      {"--no-torus-allreduce", "", kAlwaysSo, kHorovod, "There is no torus"},
      {"--no-autotune", "", kAlwaysSo, kHorovod, "Nothing is tuned by itself"},
  };
}

}  // namespace

std::string FlagRow::name() const {
  const std::string_view all(names);
  return std::string(all.substr(all.rfind(',') + 1));
}

const std::vector<FlagRow>& flag_table() {
  static const std::vector<FlagRow> rows = [] {
    std::vector<FlagRow> all = own_flags();
    const std::vector<FlagRow> refused = refused_flags();
    all.insert(all.end(), refused.begin(), refused.end());
    return all;
  }();
  return rows;
}

const FlagRow* find_flag(std::string_view name) {
  for (const FlagRow& row : flag_table()) {
    for (std::string_view names = row.names; !names.empty();) {
      const size_t end = std::min(names.find(','), names.size());
      if (names.substr(0, end) == name)
        return &row;
      names.remove_prefix(std::min(end + 1, names.size()));
    }
  }
  return nullptr;
}

std::string nearest_flag(std::string_view name) {
  std::vector<std::string> known;
  for (const FlagRow& row : flag_table()) {
    if (row.use == FlagUse::Refused)
      continue;
    for (std::string_view names = row.names; !names.empty();) {
      const size_t end = std::min(names.find(','), names.size());
      if (names.starts_with("--"))
        known.emplace_back(names.substr(0, end));
      names.remove_prefix(std::min(end + 1, names.size()));
    }
  }
  return nearest(std::string(name), known);
}

std::string opposite_flag(std::string_view name) {
  static constexpr std::array<std::array<std::string_view, 2>, 3> kPairs{{
      {"--hosts", "--hostfile"},
      {"--log-with-timestamp", "--log-without-timestamp"},
      {"--gloo", "--mpi"},
  }};
  for (const auto& [one, other] : kPairs) {
    if (name == one || name == other)
      return std::string(name == one ? other : one);
  }
  std::string opposite = name.starts_with("--no-") ? "--" + std::string(name.substr(5))
                                                   : "--no-" + std::string(name.substr(2));
  return find_flag(opposite) ? opposite : "";
}

}  // namespace farandole::launch
