#pragma once
// The processes below one, found in /proc, and how to end all of them.
//
// A child subreaper inherits whatever its descendants leave behind, so "it has no child" and "it
// has no descendant" are the same statement, and every wait for a tree is a wait for SIGCHLD.

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace farandole::launch {

struct ProcessInfo {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  char state = '?';  // Z: a zombie
  bool operator==(const ProcessInfo&) const = default;
};

// Content of /proc/PID/stat; nothing where it is malformed. The program's name in it may hold
// anything, parentheses and line breaks included.
std::optional<ProcessInfo> parse_stat(std::string_view text);

// Every process of the machine that can be seen. Fails: System.
Result<std::vector<ProcessInfo>> all_processes();

// Those of `all` below `root`, itself excluded, zombies excluded; whole branches that start at a
// process for which `skip` holds are left out.
std::vector<ProcessInfo> descendants(
    const std::vector<ProcessInfo>& all, pid_t root, const std::function<bool(pid_t)>& skip = {});

// Those of this process; none where /proc cannot be read.
std::vector<ProcessInfo> own_descendants(const std::function<bool(pid_t)>& skip = {});

// Sends `number` to every live descendant of this process. Returns how many were found.
size_t signal_descendants(int number, const std::function<bool(pid_t)>& skip = {});
// The same, only for those in process group `group`.
size_t signal_group_below(int number, pid_t group);

struct Reaped {
  pid_t pid = 0;
  int status = 0;
  long peak_kib = 0;
};
struct ReapResult {
  std::vector<Reaped> ended;
  bool childless = false;  // nothing is left below this process
};
// Collects every child that has ended. Does not block.
ReapResult reap_children();

}  // namespace farandole::launch
