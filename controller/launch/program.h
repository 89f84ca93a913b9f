#pragma once
// Finds the program to start the way a shell would, before anything is started.

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace farandole::launch {

struct ProgramSearch {
  std::string path;   // what to execute; empty where `exit_code` is not 0
  int exit_code = 0;  // 127: not found, 126: found, but not executable
  std::string message;
};

// `search_path` as $PATH.
ProgramSearch find_program(std::string_view name, std::string_view search_path);

}  // namespace farandole::launch
