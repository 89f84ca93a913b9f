#pragma once
// The command line of farandolerun.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/launch/binding.h"
#include "controller/launch/hosts.h"
#include "controller/launch/output.h"
#include "controller/launch/ssh.h"
#include "controller/launch/text_file.h"
#include "core/base/clock.h"

namespace farandole::launch {

struct Options {
  int ranks = 0;
  std::vector<Host> hosts;  // this host with as many slots as ranks where none were given
  SshOptions ssh;
  std::vector<std::string> interfaces;  // none: whichever serve
  std::string interfaces_flag;          // that named them, as it was written
  std::optional<Duration> timeout;
  Duration grace = std::chrono::seconds(3);
  BindPolicy binding;
  // Variables of the ranks that flags set: {"FARANDOLE_START_TIMEOUT", "7"}.
  std::vector<std::pair<std::string, std::string>> settings;
  std::string output_folder;  // "" for none
  bool timestamps = false;
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

// `arguments` without the name of the program; files that they name are read by `read`.
CommandLine parse_command_line(
    const std::vector<std::string>& arguments, const TextReader& read = read_text_file);

}  // namespace farandole::launch
