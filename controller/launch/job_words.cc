#include "controller/launch/job_words.h"

#include <sys/wait.h>

#include <string_view>

#include "controller/launch/signals.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr int kSignalExits = 128;

}  // namespace

std::string plan_text(
    const JobPlan& plan, const std::string& here, const std::string& own, pid_t agent) {
  std::string hosts;
  for (const Placement& place : plan.places) {
    if (place.local_rank == 0)
      hosts += (hosts.empty() ? "" : ", ") + (place.host == here ? own : place.host);
  }
  return fmt::format(
      "{} x {} on {}{}, {:g} usable cores here, grace {:g} s",
      plan.places.size(),
      printable(plan.path, 256),
      printable(hosts, 400),
      agent < 0 ? "" : fmt::format(", agent {}", agent),
      plan.cores,
      static_cast<double>(plan.grace.count()) * 1e-9);
}

std::string host_of(
    const JobPlan& plan, const Outcome& outcome, const std::string& here, const std::string& own) {
  int index = -1;
  for (const Placement& place : plan.places) {
    index += place.local_rank == 0 ? 1 : 0;
    if (outcome.rank >= 0 ? place.rank == outcome.rank : index == outcome.host)
      return place.host == here ? own : place.host;
  }
  return own;
}

int host_index(const JobPlan& plan, const std::string& host) {
  int index = -1;
  for (const Placement& place : plan.places) {
    index += place.local_rank == 0 ? 1 : 0;
    if (place.host == host)
      return index;
  }
  return 0;
}

std::string binding_text(
    const Placement& place, const std::string& cpus, const BindPolicy& policy) {
  return fmt::format(
      "rank {} on {} is bound to {} with CPUs {}",
      place.rank,
      printable(place.host, 256),
      name_of(policy.bind),
      printable(cpus, 1024));
}

std::string message_text(const Message& message) {
  if (message.kind == MessageKind::Started)
    return fmt::format("rank {} started, pid {}", message.rank, message.pid);
  if (message.kind != MessageKind::Exited)
    return "";
  return fmt::format(
      "rank {} ended with {}, peak memory {} MiB",
      message.rank,
      WIFSIGNALED(message.value) ? signal_name(WTERMSIG(message.value))
                                 : fmt::format("exit code {}", WEXITSTATUS(message.value)),
      message.detail / 1024);
}

std::string failure_text(const std::string& lines, int exit_code) {
  if (lines.empty())
    return fmt::format(
        "farandolerun: the job was ended by {} before any rank was started\n",
        signal_name(exit_code - kSignalExits));
  std::string text;
  for (std::string_view left = lines; !left.empty();) {
    const size_t end = left.find('\n');
    text += fmt::format("farandolerun: {}\n", left.substr(0, end));
    left.remove_prefix(end == std::string_view::npos ? left.size() : end + 1);
  }
  return text;
}

}  // namespace farandole::launch
