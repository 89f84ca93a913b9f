#include "controller/launch/signals.h"

#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/uninterrupted.h"

namespace farandole::launch {
namespace {

bool is_ignored(int number) noexcept {
  struct sigaction action {};
  return sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

sigset_t set_of(std::initializer_list<int> numbers) noexcept {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : numbers) sigaddset(&set, number);
  return set;
}

}  // namespace

Result<SignalReader> SignalReader::open(const sigset_t& wanted) {
  sigset_t all;
  sigfillset(&all);
  // What tells of a fault of this process ends it, whoever sends it.
  for (const int number : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP})
    sigdelset(&all, number);
  // What is ignored stays unblocked: a blocked signal is queued even where it is ignored.
  const sigset_t ignored = ignored_signals();
  for (const int number : {SIGHUP, SIGINT, SIGQUIT}) {
    if (sigismember(&ignored, number))
      sigdelset(&all, number);
  }
  // Where whoever started us ignores SIGCHLD, no child could be waited for.
  if (signal(SIGCHLD, SIG_DFL) == SIG_ERR ||
      FARANDOLE_FAIL_CALL("signals.open.sigprocmask", sigprocmask(SIG_SETMASK, &all, nullptr)) != 0)
    return system_error("sigprocmask", errno);
  UniqueFd fd(FARANDOLE_FAIL_CALL(
      "signals.open.signalfd", signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK)));
  if (!fd)
    return system_error("signalfd", errno);
  return SignalReader(std::move(fd));
}

std::optional<SignalEvent> SignalReader::next() {
  signalfd_siginfo info{};
  const ssize_t got = uninterrupted([&] {
    return FARANDOLE_FAIL_CALL("signals.next.read", read(fd_.get(), &info, sizeof info));
  });
  if (got != static_cast<ssize_t>(sizeof info))
    return std::nullopt;
  return SignalEvent{static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL};
}

sigset_t launcher_signals() {
  sigset_t set =
      set_of({SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGUSR1, SIGUSR2});
  const sigset_t ignored = ignored_signals();
  for (const int number : {SIGHUP, SIGINT, SIGQUIT}) {
    if (sigismember(&ignored, number))
      sigdelset(&set, number);
  }
  return set;
}

sigset_t helper_signals() {
  return set_of({SIGCHLD, SIGTERM});
}

sigset_t ignored_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGHUP, SIGINT, SIGQUIT}) {
    if (is_ignored(number))
      sigaddset(&set, number);
  }
  return set;
}

void restore_signals(const sigset_t& kept_ignored) noexcept {
  struct sigaction action {};
  for (int number = 1; number < NSIG; ++number) {
    action.sa_handler = sigismember(&kept_ignored, number) == 1 ? SIG_IGN : SIG_DFL;
    sigaction(
        number, &action, nullptr);  // fails for SIGKILL and SIGSTOP, which are as they should be
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void stop_self(int number) noexcept {
  const sigset_t only = set_of({number});
  sigset_t before;
  raise(number);  // pending, as everything is blocked; acts when unblocked
  sigprocmask(SIG_UNBLOCK, &only, &before);
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

std::string signal_name(int number) {
  const char* const name = sigabbrev_np(number);
  return name ? fmt::format("SIG{}", name) : fmt::format("signal {}", number);
}

}  // namespace farandole::launch
