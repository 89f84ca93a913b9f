#include "core/base/config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>

#include "core/base/config_rows.h"
#include "core/base/config_table.h"
#include "core/base/format.h"
#include "core/base/nearest.h"

namespace farandole {
namespace {

// Written by the launcher for programs to read. A session needs none of them: it sees who is on
// which host when the group has formed.
constexpr std::array kForPrograms = {
    "FARANDOLE_LOCAL_RANK", "FARANDOLE_LOCAL_SIZE", "FARANDOLE_CROSS_RANK", "FARANDOLE_CROSS_SIZE"};

std::string variable_name(std::string_view key) {
  std::string name = "FARANDOLE_";
  for (const char ch : key) name += static_cast<char>(std::toupper(static_cast<unsigned char>(ch)));
  return name;
}

// What would be the key where a variable's name was given for it.
std::string as_key(std::string_view name) {
  std::string key;
  for (const char ch : name) key += static_cast<char>(std::tolower(static_cast<unsigned char>(ch)));
  constexpr std::string_view kPrefix = "farandole_";
  return key.starts_with(kPrefix) ? key.substr(kPrefix.size()) : key;
}

Status bad_value(std::string_view name, std::string_view value, const ConfigKey& row) {
  return error(
      Code::InvalidArgument,
      "{}=\"{}\" is not valid: {} is wanted",
      name,
      printable(value, 128),
      row.accepts);
}

// What Horovod's switches ask of this key.
Status throw_switches(Config& config, const ConfigKey& row, const Config::Lookup& lookup) {
  for (const HorovodSwitch& one : kHorovodSwitches) {
    const auto value = one.key == std::string_view(row.key) ? lookup(one.name) : std::nullopt;
    if (!value)
      continue;
    int64_t number = 0;
    if (!rows::parse_number(*value, number))
      return error(
          Code::InvalidArgument,
          "{}=\"{}\" is not valid: a whole number is wanted; above 0 it means {}={}",
          one.name,
          printable(*value, 128),
          variable_name(row.key),
          one.value);
    if (number > 0)
      row.parse(config, one.value);
  }
  return Status::ok();
}

std::string proposal(const std::string& near) {
  return near.empty() ? "" : fmt::format("; did you mean {}?", near);
}

}  // namespace

std::optional<std::string> environment_value(const std::string& name) {
  const char* value =
      std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): read once, at start
  return value ? std::optional<std::string>(value) : std::nullopt;
}

Result<Config> Config::from_env() {
  return from(environment_value);
}

Result<Config> Config::from(const Lookup& lookup) {
  Config config;
  for (const ConfigKey& row : config_table()) {
    std::string name = variable_name(row.key);
    std::optional<std::string> value = lookup(name);
    if (!value && *row.horovod) {
      name = row.horovod;
      value = lookup(name);
    }
    if (value && !row.parse(config, *value))
      return bad_value(name, *value, row);
    if (!value)
      FARANDOLE_RETURN_IF_ERROR(throw_switches(config, row, lookup));
  }
  FARANDOLE_RETURN_IF_ERROR(config.check());
  return config;
}

Status Config::set(std::string_view key, std::string_view text) {
  std::vector<std::string> known;
  for (const ConfigKey& row : config_table()) {
    if (key == row.key)
      return row.parse(*this, text) ? Status::ok() : bad_value(key, text, row);
    known.emplace_back(row.key);
  }
  return error(
      Code::InvalidArgument,
      "there is no setting \"{}\"{}",
      printable(key, 64),
      proposal(nearest(as_key(key), known)));
}

Status Config::check() const {
  if (rank >= size)
    return error(
        Code::InvalidArgument, "FARANDOLE_RANK={} is not below FARANDOLE_SIZE={}", rank, size);
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
  std::vector<std::string> known(kForPrograms.begin(), kForPrograms.end());
  for (const ConfigKey& row : config_table()) known.push_back(variable_name(row.key));
  std::vector<std::string> warnings;
  for (const std::string& name : names) {
    if (!name.starts_with("FARANDOLE_") ||
        std::find(known.begin(), known.end(), name) != known.end())
      continue;
    warnings.push_back(fmt::format(
        "unknown variable {} is ignored{}", printable(name, 128), proposal(nearest(name, known))));
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

std::optional<std::string> foreign_launcher(const Config::Lookup& lookup) {
  struct Launcher {
    const char *size, *rank;
  };
  // torchrun; horovodrun; Open MPI; MPICH and its kin; srun. Its batch scripts have SLURM_NTASKS
  // and SLURM_PROCID, too, though they start one process. Those come first that others start: of
  // torchrun under srun, the processes of one node have one SLURM_PROCID.
  static constexpr std::array<Launcher, 5> kLaunchers{{
      {"WORLD_SIZE", "RANK"},
      {"HOROVOD_SIZE", "HOROVOD_RANK"},
      {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
      {"PMI_SIZE", "PMI_RANK"},
      {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},
  }};
  if (lookup("FARANDOLE_SIZE"))
    return std::nullopt;
  for (const Launcher& launcher : kLaunchers) {
    uint32_t size = 0;
    const std::string text = lookup(launcher.size).value_or("");
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (failure != std::errc() || end != text.data() + text.size() || size < 2)
      continue;
    const auto rank = lookup(launcher.rank);
    if (!rank)
      continue;
    if (rank != "0")
      return std::nullopt;
    return fmt::format(
        "{}={}, but FARANDOLE_SIZE is not set: each of these processes is a job of one rank; start "
        "them with farandolerun -np {}, or set FARANDOLE_RANK, _SIZE, _CONTROLLER, _JOB and "
        "_SECRET_FILE in each",
        launcher.size,
        size,
        size);
  }
  return std::nullopt;
}

std::vector<ConfigRow> config_rows() {
  const Config defaults;
  std::vector<ConfigRow> rows;
  for (const ConfigKey& row : config_table())
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
      "`core/base/config_table.cc` "
      "(`farandolerun --help-env=markdown`).\n"
      "`FARANDOLE_LOCAL_RANK`, `_LOCAL_SIZE`, `_CROSS_RANK` and `_CROSS_SIZE` are no settings: the "
      "launcher writes them for programs that look "
      "before they start a session, which finds the hosts by itself.\n\n"
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
