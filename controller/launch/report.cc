#include "controller/launch/report.h"

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include "controller/launch/signals.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr int kSignalBase = 128;
constexpr size_t kShownLine = 300;

std::string seconds(Duration time) {
  return fmt::format("{:.2f} s", static_cast<double>(time.count()) * 1e-9);
}

std::string error_text(int number) {
  return strerror(number);  // NOLINT(concurrency-mt-unsafe): one thread
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status))
    return fmt::format(
        "was ended by {}{}",
        signal_name(WTERMSIG(status)),
        WCOREDUMP(status) ? " (core dumped)" : "");
  const int code = WEXITSTATUS(status);
  if (code > kSignalBase && code < kSignalBase + NSIG)
    return fmt::format(
        "failed with exit code {} ({} ended a process in it)",
        code,
        signal_name(code - kSignalBase));
  return fmt::format("failed with exit code {}", code);
}

std::string memory_text(const Outcome& outcome) {
  if (!outcome.out_of_memory)
    return "";
  return fmt::format(
      ", out of memory: the kernel ended a process for it (the rank's peak was {} MiB)",
      outcome.peak_kib / 1024);
}

// What the launcher can do about it.
std::string_view remedy_of(const std::string& last_output) {
  return last_output == "ModuleNotFoundError: No module named 'horovod'"
             ? " (farandolerun --horovod answers for it)"
             : "";
}

std::string rank_failed(const Outcome& outcome, const ReportContext& context, const Tail& tail) {
  std::string text = fmt::format(
      "rank {} (host {}, pid {}) {} after {}{}",
      outcome.rank,
      context.host,
      outcome.pid,
      how_it_ended(outcome.value),
      seconds(outcome.runtime),
      memory_text(outcome));
  if (!tail.lines().empty())
    text += fmt::format(
        "; its last output: {}{}",
        printable(tail.lines().back(), kShownLine),
        remedy_of(tail.lines().back()));
  return text;
}

std::string list_of(const std::vector<int>& ranks) {
  constexpr size_t kShown = 16;
  std::string text;
  for (size_t i = 0; i < std::min(ranks.size(), kShown); ++i)
    text += fmt::format("{}{}", i ? ", " : "", ranks[i]);
  if (ranks.size() > kShown)
    text += fmt::format(" and {} more", ranks.size() - kShown);
  return text.empty() ? "none" : text;
}

std::string last_line(const Outcome& outcome, const ReportContext& context, const Tail& tail) {
  switch (outcome.cause) {
    case Cause::None:
      return "";
    case Cause::RankFailed:
      return rank_failed(outcome, context, tail);
    case Cause::StartFailed:
      return fmt::format(
          "rank {} (host {}) could not be started: {}: {}",
          outcome.rank,
          context.host,
          printable(context.program, 256),
          error_text(outcome.value));
    case Cause::KeeperLost:
      return fmt::format(
          "the keeper of rank {} (host {}, pid {}) {}; the rank was ended with it",
          outcome.rank,
          context.host,
          outcome.pid,
          how_it_ended(outcome.value));
    case Cause::AgentLost:
      return fmt::format(
          "the agent on host {} {}; its ranks were ended with it",
          context.host,
          how_it_ended(outcome.value));
    case Cause::HostLost:
      return fmt::format(
          "the connection to host {} was lost ({}); its ranks end there by themselves",
          context.host,
          context.connection.empty() ? "ssh " + how_it_ended(outcome.value) : context.connection);
    case Cause::Signal:
      return fmt::format(
          "the job was ended by {}; ranks that were running: {}",
          signal_name(outcome.value),
          list_of(context.running));
    case Cause::Timeout:
      return fmt::format(
          "the job was ended after {} (--timeout); ranks that were running: {}",
          seconds(context.timeout),
          list_of(context.running));
    case Cause::OutputClosed:
      return "the job was ended because nobody reads its output any more";
    case Cause::OutputUnreadable:
      return fmt::format(
          "the job was ended because the output of rank {} (host {}) could not be read: {}",
          outcome.rank,
          context.host,
          error_text(outcome.value));
  }
  return "";
}

}  // namespace

bool tells_of_a_lost_peer(const std::string& line) {
  if (line.find("PeerLost") != std::string::npos)
    return true;
  const size_t host = line.find(" (host ");
  return host != std::string::npos && (line.find(") was lost: ", host) != std::string::npos ||
                                       line.find(") left the job: ", host) != std::string::npos);
}

int exit_code_of_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? kSignalBase + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int exit_code_of(const Outcome& outcome) {
  switch (outcome.cause) {
    case Cause::None:
      return outcome.gave_up ? 1 : 0;
    case Cause::RankFailed:
      return exit_code_of_status(outcome.value);
    case Cause::StartFailed:
      return outcome.value == ENOENT ? 127 : 126;
    case Cause::KeeperLost:
    case Cause::AgentLost:
    case Cause::HostLost:
      return std::max(1, exit_code_of_status(outcome.value));
    case Cause::Signal:
      return kSignalBase + outcome.value;
    case Cause::Timeout:
      return kTimeoutExit;
    case Cause::OutputClosed:
      return kSignalBase + SIGPIPE;
    case Cause::OutputUnreadable:
      return 1;
  }
  return 1;
}

std::string final_report(const Outcome& outcome, const ReportContext& context, const Tail& tail) {
  std::string text;
  if (outcome.gave_up)
    text += "farandolerun: some processes of the job did not end on SIGKILL and were left behind\n";
  if (outcome.cause == Cause::RankFailed && tail.lines().size() > 1) {
    text += fmt::format("farandolerun: last output of rank {}:\n", outcome.rank);
    for (const std::string& line : tail.lines()) text += fmt::format("    {}\n", printable(line));
  }
  const std::string last = last_line(outcome, context, tail);
  return last.empty() ? text : text + "farandolerun: " + last + "\n";
}

}  // namespace farandole::launch
