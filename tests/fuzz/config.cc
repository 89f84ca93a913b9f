// Environment and settings: what is accepted is within what the table says and is printed as it
// would be read; what is refused is said in clean text. And the small readers of foreign text.

#include "core/base/config.h"

#include "controller/launch/environment.h"
#include "controller/launch/rank_environment.h"
#include "core/base/cgroup.h"
#include "core/base/config_table.h"
#include "core/base/format.h"
#include "core/base/nearest.h"
#include "core/base/rank_cores.h"
#include "core/net/endpoint.h"
#include "core/process_set_list.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

constexpr const char* kValues[] = {
    "0",
    "1",
    "2",
    "-1",
    "64",
    "1e9",
    "0.5",
    "",
    "auto",
    "shm",
    "debug",
    "job",
    "127.0.0.1:80",
    "[::1]:1",
    "9223372036854775807",
    "4096",
    "3600",
    "0.005",
    "nan",
    "0,2",
    "1,1",
    " 1",
    "1 "};

bool is_clean(std::string_view text) {
  return std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
}

std::string any_name(Input& in) {
  const auto& table = config_table();
  if (in.byte() < 16)
    return in.flag() ? "FARANDOLE_" + in.text(16) : in.text(16);
  const ConfigKey& row = in.one_of(table);
  for (const HorovodSwitch& one : kHorovodSwitches) {
    if (one.key == std::string_view(row.key) && in.flag())
      return one.name;
  }
  if (*row.horovod && in.flag())
    return row.horovod;
  std::string name = "FARANDOLE_";
  for (const char c : std::string_view(row.key))
    name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

void check_printing(const Config& config) {
  Config again;
  for (const ConfigKey& row : config_table()) {
    const std::string text = row.print(config);
    if (text.empty())
      continue;  // not set
    require(again.set(row.key, text).is_ok(), "a setting is read as it is printed");
    require(row.print(again) == text, "and means the same");
  }
}

void check_environment(Input& in) {
  std::vector<std::string> entries;
  for (size_t n = in.below(12); n > 0; --n) {
    std::string entry = any_name(in);
    if (in.byte() < 250)
      entry += "=";
    entry += in.byte() < 160 ? std::string(in.one_of(kValues)) : in.text(40);
    entries.push_back(entry.substr(0, entry.find('\0')));
  }
  std::vector<const char*> block;
  for (const std::string& entry : entries) block.push_back(entry.c_str());
  block.push_back(nullptr);
  const launch::Environment environment(block.data());

  const Status settings = launch::check_settings(environment);
  require(launch::start_limit(environment) > Duration::zero(), "waiting has its limit");
  require(is_clean(settings.message()), "a wrong setting is named in clean text");
  for (const std::string& warning : Config::unknown_names(environment.names()))
    require(is_clean(warning), "so is an unknown one");
  const Result<Config> config =
      Config::from([&](const std::string& name) { return environment.find(name); });
  require(config || is_clean(config.status().message()), "so is one of a rank");
  if (config)
    check_printing(config.value());

  for (const int core : launch::thread_cores(environment)) require(core >= 0, "a core exists");
  const bool bound = in.flag();
  const launch::CoreShare cores{2.0, bound ? std::optional(1.0) : std::nullopt};
  const launch::Placement place{.rank = 1, .size = 2, .host = "a"};
  const launch::Environment rank =
      launch::rank_environment(environment, place, {"job", "127.0.0.1:1", "/proc/1/fd/3"}, cores);
  require(rank.find("FARANDOLE_HOST_CORES").has_value() == bound, "who is bound knows of the host");
  require(rank.find("FARANDOLE_RANK") == "1", "a rank's place is the launcher's to say");
  require(rank.find("FARANDOLE_JOB") == "job", "and so is the job");
  require(rank.entries().size() >= environment.entries().size(), "what the user set stays");
}

void check_endpoint(const std::string& text) {
  const Result<net::Endpoint> endpoint = net::Endpoint::parse(text);
  if (!endpoint) {
    require(is_clean(endpoint.status().message()), "a wrong endpoint is shown in clean text");
    return;
  }
  const Result<net::Endpoint> again = net::Endpoint::parse(endpoint.value().to_string());
  require(
      again && again.value().host == endpoint.value().host &&
          again.value().port == endpoint.value().port,
      "an endpoint is read as it is written");
}

void check_process_sets(const std::string& text) {
  constexpr int kRanks = 8;
  const auto sets = parse_process_sets(text, kRanks);
  if (!sets) {
    require(is_clean(sets.status().message()), "wrong process sets are shown in clean text");
    return;
  }
  for (const auto& [id, ranks] : sets.value()) {
    require(id > 0 && !ranks.empty(), "a set has a number and a rank");
    require(ranks.front() >= 0 && ranks.back() < kRanks, "its ranks exist");
    require(std::ranges::is_sorted(ranks), "and ascend");
  }
}

void check_core_list(const std::string& text) {
  const auto cores = parse_core_list(text);
  if (!cores)
    return;
  require(!cores->empty(), "a list names somebody's core");
  require(parse_core_list(core_list_text(*cores)) == cores, "cores are read as they are written");
  const int ranks = static_cast<int>(cores->size());
  require(thread_core(*cores, ranks - 1, ranks).value() == cores->back(), "each rank has its own");
  require(!thread_core(*cores, 0, ranks + 1), "and no more ranks have one");
}

// What lists of ranks and cores are made of.
std::string any_list(Input& in) {
  const char* const parts[] = {
      "0", "1", "3", "7", "8", "0-7", "2-4", "4-2", "x", "", "99999999999"};
  std::string text;
  for (size_t n = 1 + in.below(6); n > 0; --n) {
    text += in.one_of(parts);
    if (n > 1)
      text += in.flag() ? "," : ";";
  }
  return text;
}

void check_lists(const std::string& text) {
  check_process_sets(text);
  check_core_list(text);
}

void check_text(Input& in) {
  const size_t limit = in.byte();
  const std::string text = in.rest();
  const std::string shown = printable(text, limit);
  require(is_clean(shown), "text of others is shown in clean text");
  require(shown.size() <= limit + std::string_view("…").size(), "and cut");
  require(printable(shown, 1024) == shown, "and clean text stays as it is");
  Config settings;
  require(is_clean(settings.set(text, "1").message()), "a name that is none is shown so, too");
  check_lists(text);
}

void check_groups(Input& in) {
  const bool v2 = in.flag();
  const std::string text = in.rest();
  if (const auto quota = parse_cpu_max(text))
    require(*quota > 0, "a quota is of something");
  if (const auto path = cgroup_path(text, v2 ? "" : "cpu"))
    require(text.find(*path) != std::string::npos, "a path stands in the text");
}

}  // namespace

void config(Input in) {
  switch (in.below(6)) {
    case 0:
      return check_text(in);
    case 1:
      return check_endpoint(in.rest());
    case 2:
      return check_groups(in);
    case 3:
      return check_lists(any_list(in));
    default:
      return check_environment(in);
  }
}

}  // namespace farandole::fuzz
