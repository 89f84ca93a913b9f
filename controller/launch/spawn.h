#pragma once
// Starts the program of one rank.

#include <sys/resource.h>
#include <sys/types.h>

#include <csignal>
#include <string>
#include <vector>

#include "controller/launch/fd.h"
#include "core/base/affinity.h"

namespace farandole::launch {

struct RankProgram {
  std::string path;               // what to execute
  std::vector<std::string> argv;  // as the user wrote it
  std::vector<std::string> environment;
  int input = -1;
  int output = -1;
  int error = -1;
  bool own_group = true;    // a process group of its own; else that of the launcher
  rlimit open_files{};      // the limit that the launcher itself was started with
  sigset_t kept_ignored{};  // signals that stay ignored
  CpuSet cpus;              // to be bound to; none: as the calling process
};

struct SpawnedRank {
  pid_t pid = 0;
  UniqueFd exec_result;  // readable once exec is decided; see read_exec_result
  int error = 0;         // errno where no process could be made; then the rest is empty
};

// Forks and executes. The program dies with the calling process, has no descriptor but 0, 1 and 2,
// default signal dispositions and an empty signal mask.
SpawnedRank spawn_rank(const RankProgram& program);

// 0: the program runs. Otherwise the errno of exec. Requires: exec_result is readable.
int read_exec_result(const UniqueFd& exec_result);

}  // namespace farandole::launch
