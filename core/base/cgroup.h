#pragma once
// What the kernel's control groups (v1 and v2) say about this process: how many cores it may use,
// and whether processes were killed for lack of memory.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace farandole {

// Where the files are; other roots are for tests.
struct SystemFiles {
  std::string proc = "/proc";
  std::string cgroup = "/sys/fs/cgroup";
};

// "200000 100000" -> 2.0; "max 100000" -> nothing.
std::optional<double> parse_cpu_max(std::string_view text);

// Path of this process in the hierarchy of `controller` ("" for v2), from /proc/self/cgroup.
std::optional<std::string> cgroup_path(
    std::string_view proc_self_cgroup, std::string_view controller);

// Cores that this process and its children may use: affinity, bounded by the quotas of its groups.
double usable_cores(const SystemFiles& files = {});

// Processes killed for lack of memory in this process's group and on the whole machine. A rise
// while a rank ran tells why it was killed.
uint64_t memory_kills(const SystemFiles& files = {});

}  // namespace farandole
