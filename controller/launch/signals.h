#pragma once
// Signals as readable events: everything is blocked and read from a descriptor, so that no handler
// runs and no state is global.

#include <csignal>
#include <optional>
#include <string>

#include "controller/launch/fd.h"

namespace farandole::launch {

struct SignalEvent {
  int number = 0;
  bool from_terminal = false;  // sent by the kernel to the whole foreground group
};

class SignalReader {
 public:
  // Blocks every signal of this process, makes those of `wanted` readable and children waitable.
  static Result<SignalReader> open(const sigset_t& wanted);

  int fd() const noexcept { return fd_.get(); }
  // The next one that arrived. Does not block.
  std::optional<SignalEvent> next();

 private:
  explicit SignalReader(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// What the launcher acts upon: ends, stops and what is passed on. Signals that whoever started it
// chose to ignore (nohup; a script's background job) stay ignored.
sigset_t launcher_signals();
// What agent and keepers act upon.
sigset_t helper_signals();

// Every disposition to its default but for those in `kept_ignored`, and no signal blocked. For a
// new process just before exec.
void restore_signals(const sigset_t& kept_ignored) noexcept;
// Of SIGHUP, SIGINT and SIGQUIT those that this process ignores.
sigset_t ignored_signals();

// Stops this process as `number` (SIGTSTP, SIGTTIN) does by default; returns when it is continued.
void stop_self(int number) noexcept;

// "SIGTERM", or "signal 77".
std::string signal_name(int number);

}  // namespace farandole::launch
