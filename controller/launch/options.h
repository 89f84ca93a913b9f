#pragma once
// The command line of farandolerun.

#include <optional>
#include <string>
#include <vector>

#include "controller/launch/hosts.h"
#include "controller/launch/output.h"
#include "core/base/clock.h"

namespace farandole::launch {

struct Options {
  int ranks = 0;
  std::vector<Host> hosts;  // this host with as many slots as ranks where -H was not given
  std::optional<Duration> timeout;
  std::optional<std::string> start_timeout;  // as FARANDOLE_START_TIMEOUT takes it
  Duration grace = std::chrono::seconds(3);
  bool verbose = false;
  ColourChoice colour = ColourChoice::Auto;
  std::vector<std::string> program;  // with its arguments
};

// What a command line asks for: to run something, or to print something and exit.
struct CommandLine {
  std::optional<Options> run;
  std::string text;  // otherwise: for stdout where exit_code is 0, else for stderr
  int exit_code = 0;
};

// `arguments` without the name of the program.
CommandLine parse_command_line(const std::vector<std::string>& arguments);

}  // namespace farandole::launch
