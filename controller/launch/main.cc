// farandolerun: see docs/launcher.md.

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string_view>

#include "controller/launch/fd.h"
#include "controller/launch/launcher.h"
#include "controller/launch/outpost.h"
#include "controller/launch/ssh.h"
#include "core/base/hardened.h"

int main(int argc, char** argv, char** environment) try {
  using namespace farandole::launch;
  if (const farandole::Status status = open_missing_standard_fds(); !status) {
    std::fprintf(stderr, "farandolerun: %s\n", status.message().c_str());
    return 1;
  }
  if (argc == 2 && std::string_view(argv[1]) == kOutpostFlag)
    return run_outpost(Environment(environment));
  const CommandLine command = parse_command_line({argv + 1, argv + argc});
  if (command.run)
    return run_job(*command.run, Environment(environment));
  write_all(command.exit_code == 0 ? STDOUT_FILENO : STDERR_FILENO, command.text);
  return command.exit_code;
} catch (const std::exception& problem) {
  std::fprintf(stderr, "farandolerun: %s\n", problem.what());
  return 1;
}
