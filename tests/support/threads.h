#pragma once
// How many threads this process has.

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace farandole::testing {

// Without those that are ending: one that was joined stays listed until the kernel has swept it up.
// It is marked before the join returns.
inline size_t live_threads() {
  constexpr unsigned kExiting = 0x4;  // PF_EXITING
  size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string stat;
    std::getline(std::ifstream(task.path() / "stat"), stat);
    const size_t name = stat.rfind(')');
    if (name == std::string::npos)
      continue;  // swept up meanwhile
    std::istringstream fields(stat.substr(name + 1));
    std::string state, parent, group, session, terminal, foreground;
    unsigned flags = 0;
    fields >> state >> parent >> group >> session >> terminal >> foreground >> flags;
    count += (flags & kExiting) == 0 ? 1 : 0;
  }
  return count;
}

}  // namespace farandole::testing
