#include "core/base/config_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "core/base/format.h"
#include "core/base/rank_cores.h"

namespace farandole {
namespace {

bool parse_number(std::string_view text, int64_t& out) {
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, out);
  return code == std::errc() && stop == end;
}

bool parse_decimal(std::string_view text, double& out) {
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, out);
  return code == std::errc() && stop == end && std::isfinite(out);
}

ConfigKey integer(
    const char* key,
    const char* horovod,
    int64_t Config::*member,
    int64_t low,
    int64_t high,
    const char* text) {
  return {
      key,
      horovod,
      fmt::format("a whole number from {} to {}", low, high),
      text,
      [=](Config& c, std::string_view value) {
        int64_t number = 0;
        if (!parse_number(value, number) || number < low || number > high)
          return false;
        c.*member = number;
        return true;
      },
      [=](const Config& c) { return fmt::format("{}", c.*member); }};
}

// Durations are written in seconds, as a decimal.
ConfigKey seconds(
    const char* key,
    const char* horovod,
    Duration Config::*member,
    double low,
    double high,
    const char* text) {
  return {
      key,
      horovod,
      fmt::format("a number of seconds from {} to {}", low, high),
      text,
      [=](Config& c, std::string_view value) {
        double number = 0;
        if (!parse_decimal(value, number) || number < low || number > high)
          return false;
        c.*member = Duration(static_cast<int64_t>(number * 1e9));
        return true;
      },
      [=](const Config& c) {
        return fmt::format("{:g}", static_cast<double>((c.*member).count()) * 1e-9);
      }};
}

ConfigKey text_row(
    const char* key,
    std::string Config::*member,
    const char* accepts,
    bool (*valid)(std::string_view),
    const char* text,
    const char* horovod = "") {
  return {
      key,
      horovod,
      accepts,
      text,
      [=](Config& c, std::string_view value) {
        if (!valid(value))
          return false;
        c.*member = std::string(value);
        return true;
      },
      [=](const Config& c) { return c.*member; }};
}

// Whether they are ranks of the job is judged when that is known.
bool is_list_of_sets(std::string_view text) {
  return text.find_first_not_of("0123456789,-;") == std::string_view::npos;
}

ConfigKey core_list(
    const char* key, const char* horovod, std::vector<int> Config::*member, const char* text) {
  return {
      key,
      horovod,
      "cores, one for each rank of a host, such as 0,2",
      text,
      [=](Config& c, std::string_view value) {
        auto cores = parse_core_list(value);
        if (cores)
          c.*member = std::move(*cores);
        return cores.has_value();
      },
      [=](const Config& c) { return core_list_text(c.*member); }};
}

template <typename T>
using Choices = std::vector<std::pair<const char*, T>>;

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

template <typename T>
ConfigKey choice(
    const char* key, const char* horovod, T Config::*member, Choices<T> choices, const char* text) {
  std::string accepts = "one of";
  for (const auto& [word, value] : choices) accepts += std::string(" ") + word;
  return {
      key,
      horovod,
      accepts,
      text,
      [=](Config& c, std::string_view value) {
        for (const auto& [word, meaning] : choices) {
          if (same_word(word, value)) {
            c.*member = meaning;
            return true;
          }
        }
        return false;
      },
      [=](const Config& c) {
        for (const auto& [word, meaning] : choices) {
          if (meaning == c.*member)
            return std::string(word);
        }
        return std::string();
      }};
}

bool is_word(std::string_view v) {
  return !v.empty() && v.size() <= 64 && std::all_of(v.begin(), v.end(), [](unsigned char ch) {
    return std::isalnum(ch) || ch == '_' || ch == '-';
  });
}
bool is_host(std::string_view v) {
  return !v.empty() && v.size() <= 253 && v[0] != '-' &&
         std::all_of(v.begin(), v.end(), [](unsigned char ch) {
           return std::isalnum(ch) || ch == '.' || ch == '_' || ch == '-' || ch == ':' ||
                  ch == '[' || ch == ']';
         });
}
// Not those that stand for every interface; where another spelling does, listening fails.
bool is_bindable(std::string_view v) {
  return is_host(v) && v != "0.0.0.0" && v != "0" && v != "::" && v != "[::]";
}
bool is_endpoint(std::string_view v) {
  const size_t colon = v.rfind(':');
  int64_t port = 0;
  return colon != std::string_view::npos && is_host(v.substr(0, colon)) &&
         parse_number(v.substr(colon + 1), port) && port > 0 && port < 65536;
}
bool is_path(std::string_view v) {
  return !v.empty() && v.size() < 4096 && v.find('\0') == std::string_view::npos;
}

constexpr int64_t kMaxRanks = 65536;
constexpr int64_t kGiB = int64_t{1} << 30;

}  // namespace

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
           {"hierarchical", CommunicatorChoice::Hierarchical}},
          "What moves the bytes on the CPU. auto: shared memory inside a host, hierarchical "
          "across hosts that hold several ranks, else Gloo."),
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
          "a path",
          is_path,
          "File to which rank 0 records its timeline; with {rank} in it each rank has its own. "
          "DYNAMIC: none.",
          "HOROVOD_TIMELINE"),
      choice<bool>(
          "timeline_mark_cycles",
          "HOROVOD_TIMELINE_MARK_CYCLES",
          &Config::timeline_mark_cycles,
          {{"0", false}, {"1", true}},
          "Whether the timeline shows each round of agreement."),
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
