#include "core/base/cgroup.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <vector>

#include "core/base/affinity.h"

namespace farandole {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<int64_t> leading_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() ? std::optional(value) : std::nullopt;
}

// Value of the line "key value" of a flat-keyed file.
int64_t keyed_number(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (line.starts_with(key) && line.substr(key.size()).starts_with(' '))
      return leading_number(line.substr(key.size() + 1)).value_or(0);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return 0;
}

// The group's folder and those above it, the root included; the root alone where the path leads
// nowhere (a container that sees another part of the hierarchy).
std::vector<std::string> group_folders(const std::string& root, std::string path) {
  std::vector<std::string> folders;
  while (path.size() > 1) {
    folders.push_back(root + path);
    path.resize(path.rfind('/'));
  }
  folders.push_back(root);
  return folders;
}

std::vector<std::string> folders_of(
    const SystemFiles& files, const std::string& membership, std::string_view controller) {
  const auto path = cgroup_path(membership, controller);
  if (!path)
    return {};
  const std::string root =
      controller.empty() ? files.cgroup : files.cgroup + "/" + std::string(controller);
  return group_folders(root, *path);
}

int affinity_cores() {
  const auto own = own_affinity();
  if (own && !own.value().empty())
    return static_cast<int>(own.value().size());
  return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

std::optional<double> parse_cpu_max(std::string_view text) {
  const auto quota = leading_number(text);
  const size_t space = text.find(' ');
  if (!quota || *quota <= 0 || space == std::string_view::npos)
    return std::nullopt;
  const auto period = leading_number(text.substr(space + 1));
  if (!period || *period <= 0)
    return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<std::string> cgroup_path(
    std::string_view proc_self_cgroup, std::string_view controller) {
  while (!proc_self_cgroup.empty()) {
    const size_t end = std::min(proc_self_cgroup.find('\n'), proc_self_cgroup.size());
    const std::string_view line = proc_self_cgroup.substr(0, end);
    proc_self_cgroup.remove_prefix(std::min(end + 1, proc_self_cgroup.size()));
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos)
      continue;
    // "4:cpu,cpuacct:/path"; v2 is "0::/path".
    const std::string names = "," + std::string(line.substr(first + 1, second - first - 1)) + ",";
    if (names.find("," + std::string(controller) + ",") != std::string::npos)
      return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

double usable_cores(const SystemFiles& files) {
  double cores = affinity_cores();
  const std::string membership = read_file(files.proc + "/self/cgroup");
  for (const std::string& folder : folders_of(files, membership, "")) {
    if (const auto quota = parse_cpu_max(read_file(folder + "/cpu.max")))
      cores = std::min(cores, *quota);
  }
  for (const std::string& folder : folders_of(files, membership, "cpu")) {
    const std::string limit =
        read_file(folder + "/cpu.cfs_quota_us") + " " + read_file(folder + "/cpu.cfs_period_us");
    if (const auto quota = parse_cpu_max(limit))
      cores = std::min(cores, *quota);
  }
  return cores;
}

uint64_t memory_kills(const SystemFiles& files) {
  int64_t kills = keyed_number(read_file(files.proc + "/vmstat"), "oom_kill");
  const std::string membership = read_file(files.proc + "/self/cgroup");
  if (const auto folders = folders_of(files, membership, ""); !folders.empty())
    kills += keyed_number(read_file(folders.front() + "/memory.events"), "oom_kill");
  if (const auto folders = folders_of(files, membership, "memory"); !folders.empty())
    kills += keyed_number(read_file(folders.front() + "/memory.oom_control"), "oom_kill");
  return static_cast<uint64_t>(kills);
}

}  // namespace farandole
