#include "core/base/config_table.h"

#include "core/base/config_rows.h"

namespace farandole {
namespace {

constexpr int64_t kMaxRanks = 65536;
constexpr int64_t kGiB = int64_t{1} << 30;

}  // namespace

using namespace rows;

const std::vector<ConfigKey>& config_table() {
  static const std::vector<ConfigKey> rows{
      integer(
          "rank", "", &Config::rank, 0, kMaxRanks - 1, "This process's rank; set by the launcher."),
      integer(
          "size",
          "",
          &Config::size,
          1,
          kMaxRanks,
          "Number of ranks in the job; set by the launcher."),
      text_row(
          "controller",
          &Config::controller,
          "host:port",
          is_endpoint,
          "Where rank 0 listens; set by the launcher."),
      text_row(
          "job",
          &Config::job,
          "a word of 1 to 64 letters, digits, '_' and '-'",
          is_word,
          "Name of the job; ranks of another job are refused."),
      text_row(
          "secret_file",
          &Config::secret_file,
          "a path",
          is_path,
          "File with the job's secret (at least 32 bytes, readable by its owner alone). The "
          "launcher hands over "
          "one that vanishes with it."),
      text_row(
          "host",
          &Config::host,
          "a host name",
          is_host,
          "Name of this host, by which ranks are grouped. Default: the machine's own."),
      text_row(
          "bind",
          &Config::bind,
          "one address of this host (not 0.0.0.0 or ::)",
          is_bindable,
          "Address that this rank's listeners bind to. Default: the one that reaches the "
          "controller."),
      text_row(
          "process_sets",
          &Config::process_sets,
          "ranks of sets, such as 0-3;4,6",
          is_list_of_sets,
          "Process sets that exist from the start, with ids from 1 on; equal on all ranks."),
      integer(
          "fusion_bytes",
          "HOROVOD_FUSION_THRESHOLD",
          &Config::fusion_bytes,
          0,
          64 * kGiB,
          "Most bytes of one fused bucket; 0 runs every tensor by itself."),
      integer(
          "cache_capacity",
          "HOROVOD_CACHE_CAPACITY",
          &Config::cache_capacity,
          0,
          1 << 24,
          "Signatures remembered, so that a repeated tensor costs a few bytes; 0 turns the cache "
          "off."),
      integer(
          "max_pending",
          "",
          &Config::max_pending,
          1,
          1 << 26,
          "Most tensors in flight on one rank."),
      integer(
          "max_name_bytes",
          "",
          &Config::max_name_bytes,
          16,
          4096,
          "Longest name of a tensor, in bytes."),
      integer("max_dims", "", &Config::max_dims, 1, 64, "Most dimensions of a tensor."),
      choice<CommunicatorChoice>(
          "communicator",
          "",
          &Config::communicator,
          {{"auto", CommunicatorChoice::Auto},
           {"shm", CommunicatorChoice::Shm},
           {"gloo", CommunicatorChoice::Gloo},
           {"hierarchical", CommunicatorChoice::Hierarchical},
           {"flat", CommunicatorChoice::Flat}},
          "What moves the bytes on the CPU. auto: shared memory inside a host, hierarchical "
          "across hosts that hold several ranks, else Gloo. flat: auto without hierarchical. Where "
          "it is not set, `HOROVOD_HIERARCHICAL_ALLREDUCE` or `HOROVOD_HIERARCHICAL_ALLGATHER` "
          "above 0 means hierarchical, for all collectives."),
      seconds(
          "start_timeout",
          "HOROVOD_START_TIMEOUT",
          &Config::start_timeout,
          0.1,
          86400,
          "How long group formation may take before it fails and names who is missing."),
      seconds(
          "shutdown_timeout",
          "",
          &Config::shutdown_timeout,
          0.1,
          3600,
          "How long shutdown() waits for what it still has to send."),
      seconds(
          "data_timeout",
          "HOROVOD_GLOO_TIMEOUT_SECONDS",
          &Config::data_timeout,
          0.1,
          86400,
          "A collective that every rank submitted and that makes no progress for so long fails."),
      seconds(
          "handshake_timeout",
          "",
          &Config::handshake_timeout,
          0.1,
          60,
          "How long a new connection has to prove that it knows the secret."),
      seconds(
          "heartbeat_interval",
          "",
          &Config::heartbeat_interval,
          0.05,
          10,
          "Time between heartbeats."),
      seconds(
          "heartbeat_timeout",
          "",
          &Config::heartbeat_timeout,
          0.5,
          3600,
          "A rank unheard for so long is lost. At least four times the interval."),
      integer(
          "max_frame_bytes", "", &Config::max_frame_bytes, 65536, kGiB, "Largest control message."),
      integer(
          "send_queue_bytes",
          "",
          &Config::send_queue_bytes,
          65536,
          4 * kGiB,
          "Most bytes queued for one peer on the control connection; beyond that the peer counts "
          "as lost."),
      integer(
          "store_bytes",
          "",
          &Config::store_bytes,
          65536,
          kGiB,
          "Most bytes that ranks may publish while communicators are formed."),
      integer(
          "shm_slot_bytes",
          "",
          &Config::shm_slot_bytes,
          4096,
          kGiB,
          "Size of one slot of shared memory; each rank has shm_slots of them per communicator."),
      integer(
          "shm_slots",
          "",
          &Config::shm_slots,
          3,
          64,
          "Slots per rank of a shared-memory communicator."),
      seconds(
          "spin_time",
          "",
          &Config::spin_time,
          0,
          1,
          "How long a thread spins for a peer on its host before it blocks, when there are cores "
          "enough."),
      integer(
          "host_cores",
          "",
          &Config::host_cores,
          0,
          1 << 20,
          "Cores that the ranks of this host share, by which they judge whether there are enough; "
          "set by the launcher where it binds ranks. 0: as many as this process may use."),
      core_list(
          "thread_affinity",
          "HOROVOD_THREAD_AFFINITY",
          &Config::thread_affinity,
          "The core to which the threads that a session starts are bound: the first for local "
          "rank 0, and so on. Default: none."),
      text_row(
          "timeline",
          &Config::timeline,
          "a path, in braces only {rank}",
          is_timeline_path,
          "File to which rank 0 records its timeline; with {rank} in it each rank has its own. "
          "DYNAMIC: none.",
          "HOROVOD_TIMELINE"),
      choice<bool>(
          "timeline_mark_cycles",
          "HOROVOD_TIMELINE_MARK_CYCLES",
          &Config::timeline_mark_cycles,
          {{"0", false}, {"1", true}},
          "Whether the timeline shows each round of agreement."),
      choice<bool>(
          "stall_check_disable",
          "HOROVOD_STALL_CHECK_DISABLE",
          &Config::stall_check_disable,
          {{"0", false}, {"1", true}},
          "Whether nobody looks for operations that wait for some ranks; rank 0's counts."),
      seconds(
          "stall_check_time",
          "HOROVOD_STALL_CHECK_TIME_SECONDS",
          &Config::stall_check_time,
          0.1,
          86400,
          "After how long such a wait is reported in rank 0's log, with the stacks of those "
          "ranks."),
      seconds(
          "stall_shutdown_time",
          "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS",
          &Config::stall_shutdown_time,
          0,
          86400,
          "After how long such a wait ends the job; 0: never."),
      choice<LogLevel>(
          "log_level",
          "HOROVOD_LOG_LEVEL",
          &Config::log_level,
          {{"trace", LogLevel::Trace},
           {"debug", LogLevel::Debug},
           {"info", LogLevel::Info},
           {"warning", LogLevel::Warning},
           {"error", LogLevel::Error},
           {"fatal", LogLevel::Fatal},
           {"off", LogLevel::Off}},
          "Least severe message that is written to stderr."),
  };
  return rows;
}

}  // namespace farandole
