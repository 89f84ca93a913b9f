#include "core/base/config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "core/base/format.h"

namespace farandole {
namespace {

// A key: how it is called, what it accepts, how it is written and where it lands.
struct Row {
  const char* key;
  const char* horovod;
  std::string accepts;
  const char* text;
  std::function<bool(Config&, std::string_view)> parse;
  std::function<std::string(const Config&)> print;
};

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

Row integer(
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
Row seconds(
    const char* key,
    const char* horovod,
    Duration Config::*member,
    double low,
    double high,
    const char* text) {
  return {
      key,
      horovod,
      fmt::format("seconds from {} to {}", low, high),
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

Row text_row(
    const char* key,
    std::string Config::*member,
    const char* accepts,
    bool (*valid)(std::string_view),
    const char* text) {
  return {
      key,
      "",
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

template <typename T>
using Choices = std::vector<std::pair<const char*, T>>;

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

template <typename T>
Row choice(
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

const std::vector<Row>& table() {
  static const std::vector<Row> rows{
      integer(
          "rank", "", &Config::rank, 0, kMaxRanks - 1, "This process's rank; set by the launcher."),
      integer(
          "size",
          "",
          &Config::size,
          1,
          kMaxRanks,
          "Number of ranks in the job; set by the launcher."),
      integer(
          "local_rank",
          "",
          &Config::local_rank,
          0,
          kMaxRanks - 1,
          "Rank among those of this host."),
      integer("local_size", "", &Config::local_size, 1, kMaxRanks, "Number of ranks on this host."),
      integer(
          "cross_rank",
          "",
          &Config::cross_rank,
          0,
          kMaxRanks - 1,
          "Place of this host among the hosts that have this local rank."),
      integer(
          "cross_size",
          "",
          &Config::cross_size,
          1,
          kMaxRanks,
          "Number of hosts that have this local rank."),
      text_row(
          "controller",
          &Config::controller,
          "host:port",
          is_endpoint,
          "Where rank 0 listens; set by the launcher."),
      text_row(
          "job",
          &Config::job,
          "1 to 64 letters, digits, '_' and '-'",
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
          "an address",
          is_host,
          "Address that this rank's listeners bind to. Default: the one that reaches the "
          "controller."),
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
          2,
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

std::string variable_name(std::string_view key) {
  std::string name = "FARANDOLE_";
  for (const char ch : key) name += static_cast<char>(std::toupper(static_cast<unsigned char>(ch)));
  return name;
}

Status bad_value(std::string_view name, std::string_view value, const Row& row) {
  return error(
      Code::InvalidArgument,
      "{}=\"{}\" is not valid: {} is wanted",
      name,
      printable(value, 128),
      row.accepts);
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

// Variables of the project that other programs than the library read; known, not of the table.
constexpr std::array<const char*, 1> kForeignNames{"FARANDOLE_LAUNCHER"};

}  // namespace

Result<Config> Config::from_env() {
  return from([](const std::string& name) -> std::optional<std::string> {
    const char* value =
        std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): read once, at start
    return value ? std::optional<std::string>(value) : std::nullopt;
  });
}

Result<Config> Config::from(const Lookup& lookup) {
  Config config;
  for (const Row& row : table()) {
    std::string name = variable_name(row.key);
    std::optional<std::string> value = lookup(name);
    if (!value && *row.horovod) {
      name = row.horovod;
      value = lookup(name);
    }
    if (value && !row.parse(config, *value))
      return bad_value(name, *value, row);
  }
  FARANDOLE_RETURN_IF_ERROR(config.check());
  return config;
}

Status Config::set(std::string_view key, std::string_view text) {
  for (const Row& row : table()) {
    if (key == row.key)
      return row.parse(*this, text) ? Status::ok() : bad_value(key, text, row);
  }
  return error(Code::InvalidArgument, "there is no setting \"{}\"", printable(key, 64));
}

Status Config::check() const {
  if (rank >= size)
    return error(
        Code::InvalidArgument, "FARANDOLE_RANK={} is not below FARANDOLE_SIZE={}", rank, size);
  if (local_rank >= local_size)
    return error(
        Code::InvalidArgument,
        "FARANDOLE_LOCAL_RANK={} is not below FARANDOLE_LOCAL_SIZE={}",
        local_rank,
        local_size);
  if (cross_rank >= cross_size)
    return error(
        Code::InvalidArgument,
        "FARANDOLE_CROSS_RANK={} is not below FARANDOLE_CROSS_SIZE={}",
        cross_rank,
        cross_size);
  if (heartbeat_timeout < 4 * heartbeat_interval)
    return error(
        Code::InvalidArgument,
        "FARANDOLE_HEARTBEAT_TIMEOUT={:g} is less than four times "
        "FARANDOLE_HEARTBEAT_INTERVAL={:g}",
        static_cast<double>(heartbeat_timeout.count()) * 1e-9,
        static_cast<double>(heartbeat_interval.count()) * 1e-9);
  return Status::ok();
}

std::vector<std::string> Config::unknown_names(const std::vector<std::string>& names) {
  std::vector<std::string> known(kForeignNames.begin(), kForeignNames.end());
  for (const Row& row : table()) known.push_back(variable_name(row.key));
  std::vector<std::string> warnings;
  for (const std::string& name : names) {
    if (!name.starts_with("FARANDOLE_") ||
        std::find(known.begin(), known.end(), name) != known.end())
      continue;
    const auto nearest =
        std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
          return edit_distance(name, a) < edit_distance(name, b);
        });
    warnings.push_back(fmt::format(
        "unknown variable {} is ignored; did you mean {}?", printable(name, 128), *nearest));
  }
  return warnings;
}

std::vector<std::string> environment_names() {
  std::vector<std::string> names;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text(*entry);
    names.emplace_back(text.substr(0, text.find('=')));
  }
  return names;
}

std::vector<ConfigRow> config_rows() {
  const Config defaults;
  std::vector<ConfigRow> rows;
  for (const Row& row : table())
    rows.push_back(
        {variable_name(row.key), row.horovod, row.print(defaults), row.accepts, row.text});
  return rows;
}

std::string config_markdown() {
  std::string out =
      "# Configuration\n\n"
      "Every setting is an environment variable, read once when a session starts. A wrong value is "
      "an error, an "
      "unknown `FARANDOLE_*` name a warning.\nThis page is generated from the table in "
      "`core/base/config.cc` "
      "(`farandolerun --help-env=markdown`).\n\n"
      "| variable | default | accepts | meaning |\n|---|---|---|---|\n";
  for (const ConfigRow& row : config_rows()) {
    const std::string alias = row.horovod.empty() ? "" : fmt::format(" (also `{}`)", row.horovod);
    const std::string fallback = row.fallback.empty() ? "" : fmt::format("`{}`", row.fallback);
    out += fmt::format(
        "| `{}`{} | {} | {} | {} |\n", row.name, alias, fallback, row.accepts, row.text);
  }
  return out;
}

}  // namespace farandole
