#pragma once
// For how long the threads of this process stood ready while the machine ran others.

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

// Seconds by thread, its first one and those of the library, as an object of JSON; chaos_waits.py
// says the same of another process.
inline std::string delays() {
  std::error_code ignored;  // a thread may end meanwhile
  const std::string first = std::filesystem::read_symlink("/proc/self", ignored).filename();
  std::string out;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
    const std::string number = task.path().filename();
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    long long ran = 0, waited = 0;
    std::ifstream(task.path() / "schedstat") >> ran >> waited;
    if (number != first && name.rfind("fdl-", 0) != 0)
      continue;
    out += (out.empty() ? "\"" : ", \"") + number + ' ' + name +
           "\": " + std::to_string(static_cast<double>(waited) * 1e-9);
  }
  return '{' + out + '}';
}
