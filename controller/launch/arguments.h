#pragma once
// The launcher's flags as they were given, on the command line or in a file. Pure.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace farandole::launch {

struct GivenFlag {
  std::string written;               // "-np", or "job.yaml:3: cache_capacity"
  std::optional<std::string> value;  // of a flag that takes none: nothing
  bool from_file = false;
};

struct Arguments {
  std::map<std::string, GivenFlag> flags;  // by the flag's own name: "--num-proc"
  std::vector<std::string> program;        // with its arguments

  bool has(const std::string& name) const { return flags.contains(name); }
  std::string value(const std::string& name) const;
  // Adds one, which is known. Fails: InvalidArgument where it is there already, what it asks for is
  // not there, or it has a value and takes none or the other way round.
  Status add(const std::string& name, GivenFlag given);
};

// The launcher's flags, and behind them the program, whose own arguments are not looked at.
// Fails: InvalidArgument, in one line.
Result<Arguments> split_arguments(const std::vector<std::string>& words);

}  // namespace farandole::launch
