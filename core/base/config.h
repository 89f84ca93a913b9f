#pragma once
// Config: every limit, deadline and switch of Farandole, read once, immutable afterwards.
// ONE table (config_table.cc) gives reading, checking, printing, `farandolerun --help-env` and
// docs/config.md. Adding a key: a member here and a row there.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/status.h"

namespace farandole {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;

enum class CommunicatorChoice : uint8_t { Auto, Shm, Gloo, Hierarchical, Flat };

struct Config {
  // Place in the job. Set by the launcher; alone (size 1) without one.
  int64_t rank = 0;
  int64_t size = 1;
  std::string controller;   // "host:port" of rank 0
  std::string job;          // 1..64 of [A-Za-z0-9_-]
  std::string secret_file;  // file that holds the job's secret, 32 bytes or more
  std::string host;         // name of this host for grouping; empty: the machine's own
  std::string bind;         // address that listeners bind to; empty: that of the controller's route

  std::string process_sets;  // that exist from the start: "0-3;4,6"

  // Engine.
  int64_t fusion_bytes = 64 << 20;
  int64_t cache_capacity = 16384;
  int64_t max_pending = 1 << 20;
  int64_t max_name_bytes = 512;
  int64_t max_dims = 64;
  CommunicatorChoice communicator = CommunicatorChoice::Auto;

  // Deadlines.
  Duration start_timeout = 30s;
  Duration shutdown_timeout = 5s;
  Duration data_timeout = 10s;
  Duration handshake_timeout = 2s;
  Duration heartbeat_interval = 250ms;
  Duration heartbeat_timeout = 3s;

  // Network.
  int64_t max_frame_bytes = 16 << 20;
  int64_t send_queue_bytes = 64 << 20;
  int64_t store_bytes = 16 << 20;

  // Shared memory.
  int64_t shm_slot_bytes = 512 << 10;
  int64_t shm_slots = 4;
  Duration spin_time = 50us;

  // Cores.
  int64_t host_cores = 0;            // that the ranks of this host share; 0: those it may use
  std::vector<int> thread_affinity;  // of each local rank's threads; none: wherever there is room

  // Observing.
  std::string timeline;  // file; empty: none
  bool timeline_mark_cycles = false;
  bool stall_check_disable = false;
  Duration stall_check_time = 10s;
  Duration stall_shutdown_time = 0s;  // zero: never
  LogLevel log_level = LogLevel::Warning;

  // Looks a variable up: nullopt where it is not set.
  using Lookup = std::function<std::optional<std::string>(const std::string& name)>;

  // Reads the process's environment: the only getenv of the project is behind this.
  // Fails: InvalidArgument naming variable, value and what would be right.
  static Result<Config> from_env();
  static Result<Config> from(const Lookup& lookup);
  // Sets one key by its table name ("fusion_bytes"). Fails as from_env.
  Status set(std::string_view key, std::string_view text);
  // What cannot be judged key by key: rank < size, heartbeats that leave time for four.
  Status check() const;
  // Warnings for FARANDOLE_* names in `names` that no row knows, each with the nearest known one.
  static std::vector<std::string> unknown_names(const std::vector<std::string>& names);
};

// One row of the table, for documentation and the launcher.
struct ConfigRow {
  std::string name;      // "FARANDOLE_FUSION_BYTES"
  std::string horovod;   // "HOROVOD_FUSION_THRESHOLD" or empty
  std::string fallback;  // default, as it would be written
  std::string accepts;   // "bytes 0 … 2^40"
  std::string text;
};
std::vector<ConfigRow> config_rows();
// docs/config.md, whole.
std::string config_markdown();

// All names of the environment, for unknown_names.
std::vector<std::string> environment_names();
std::optional<std::string> environment_value(const std::string& name);

// For a job of one rank: a warning where torchrun, horovodrun, mpirun (Open MPI, MPICH) or srun has
// started several, who know nothing of each other. In the first of these alone: one for each start.
std::optional<std::string> foreign_launcher(const Config::Lookup& lookup);

}  // namespace farandole
