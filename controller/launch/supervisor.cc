#include "controller/launch/supervisor.h"

#include <sys/wait.h>

#include <algorithm>
#include <utility>

namespace farandole::launch {
namespace {

// Keepers and agent have deadlines of their own; this much later they count as stuck.
constexpr Duration kSlack = std::chrono::seconds(3);
// After the agent's end the launcher kills by itself, this long after the grace.
constexpr Duration kOrphanSlack = std::chrono::milliseconds(500);
// A rank that sees a peer die may be reported before the peer itself.
constexpr Duration kAlmostTogether = std::chrono::milliseconds(250);
constexpr Duration kSweepTime = std::chrono::seconds(10);

}  // namespace

Supervisor::Supervisor(const Settings& settings, TimePoint now)
    : settings_(settings), ranks_(static_cast<size_t>(settings.ranks)) {
  for (Rank& rank : ranks_) rank.started = now;
  if (settings.timeout)
    deadline_ = now + *settings.timeout;
}

void Supervisor::on_message(const Message& message, TimePoint now) {
  if (message.kind == MessageKind::Stuck) {
    kill(now);
    return;
  }
  if (message.rank < 0 || static_cast<size_t>(message.rank) >= ranks_.size())
    return;
  Rank& rank = ranks_[static_cast<size_t>(message.rank)];
  if (message.kind == MessageKind::Started) {
    rank.pid = message.pid;
    rank.started = now;
  } else if (message.kind == MessageKind::Exited) {
    on_rank_end(message, message.value == 0 ? Cause::None : Cause::RankFailed, now);
  } else if (message.kind == MessageKind::StartFailed) {
    on_rank_end(message, Cause::StartFailed, now);
  } else if (message.kind == MessageKind::KeeperLost) {
    on_rank_end(message, Cause::KeeperLost, now);
    if (phase_ < Phase::Ending)  // no rank has done wrong: there is nothing to report
      end(std::min(settings_.grace, kLeaseGrace), now);
  } else if (message.kind == MessageKind::OutputUnreadable) {
    on_output_unreadable(message.rank, message.value, now);
  }
}

void Supervisor::on_rank_end(const Message& message, Cause cause, TimePoint now) {
  Rank& rank = ranks_[static_cast<size_t>(message.rank)];
  if (rank.ended)
    return;
  rank.ended = true;
  ++ended_;
  if (cause != Cause::None)
    blame(cause, message, now);
  const bool failed = outcome_.cause != Cause::None;
  if (ended_ == ranks_.size() && (phase_ == Phase::Running || phase_ == Phase::Reporting)) {
    // Only what the ranks left behind is to end now, and the keepers see to that.
    phase_ = Phase::Ending;
    deadline_ = now + settings_.report_time + settings_.grace + kSlack;
  } else if (failed && phase_ == Phase::Running) {
    phase_ = Phase::Reporting;
    deadline_ = now + settings_.report_time;
  }
}

Outcome Supervisor::describe(Cause cause, const Message& message, TimePoint now) const {
  Outcome outcome;
  outcome.cause = cause;
  outcome.rank = message.rank;
  outcome.value = message.value;
  outcome.pid = message.pid;
  outcome.when = now;
  outcome.peak_kib = message.detail;
  outcome.out_of_memory = message.flag;
  if (message.rank >= 0)
    outcome.runtime = now - ranks_[static_cast<size_t>(message.rank)].started;
  return outcome;
}

void Supervisor::blame(Cause cause, const Message& message, TimePoint now) {
  if (cause == Cause::RankFailed && phase_ < Phase::Ending)
    failures_.push_back(describe(cause, message, now));
  if (outcome_.cause == Cause::None)
    outcome_ = describe(cause, message, now);
}

Outcome Supervisor::outcome(const std::function<bool(int rank)>& is_victim) const {
  if (outcome_.cause != Cause::RankFailed || failures_.empty())
    return outcome_;
  const auto distance = [&](const Outcome& failure) {
    const bool victim = is_victim && is_victim(failure.rank);
    const bool by_signal =
        WIFSIGNALED(failure.value) && failure.when - outcome_.when <= kAlmostTogether;
    return std::pair(victim, !by_signal);
  };
  Outcome culprit = *std::min_element(
      failures_.begin(), failures_.end(), [&](const Outcome& a, const Outcome& b) {
        return distance(a) < distance(b);
      });
  culprit.gave_up = outcome_.gave_up;
  return culprit;
}

bool Supervisor::all_ended_on(int host) const {
  for (size_t i = 0; i < ranks_.size(); ++i) {
    const bool there = settings_.hosts.empty() || settings_.hosts[i] == host;
    if (there && !ranks_[i].ended)
      return false;
  }
  return true;
}

void Supervisor::on_agent_end(int status, TimePoint now, int host, Cause cause) {
  if (all_ended_on(host))
    return;
  const bool first = outcome_.cause == Cause::None;
  blame(cause, {.value = status}, now);
  if (first)
    outcome_.host = host;
  // The keepers see that their lease has run out and end their ranks by themselves; where a keeper
  // was killed as well, its rank's tree is the launcher's now, and has the same grace.
  const Duration grace = std::min(settings_.grace, kLeaseGrace);
  if (phase_ < Phase::Ending)
    end(grace, now);
  if (phase_ == Phase::Ending)
    deadline_ = now + grace + kOrphanSlack;
}

void Supervisor::on_end_signal(int number, bool from_terminal, TimePoint now) {
  if (phase_ >= Phase::Killing)
    return;  // no signal takes the job back to a gentler phase
  if (phase_ == Phase::Ending && ended_ < ranks_.size())
    return kill(now);
  blame(Cause::Signal, {.value = number}, now);
  orders_.push_back({.kind = MessageKind::Signal, .value = number, .flag = from_terminal});
  const TimePoint latest = now + settings_.grace;
  deadline_ = phase_ == Phase::Ending ? std::min(*deadline_, latest) : latest;
  phase_ = Phase::Ending;
}

void Supervisor::on_output_closed(TimePoint now) {
  blame(Cause::OutputClosed, {}, now);
  if (phase_ < Phase::Ending)
    end(settings_.grace, now);
}

void Supervisor::on_output_unreadable(int rank, int number, TimePoint now) {
  blame(Cause::OutputUnreadable, {.rank = rank, .value = number}, now);
  if (phase_ < Phase::Ending)
    end(settings_.grace, now);
}

void Supervisor::end(Duration grace, TimePoint now) {
  phase_ = Phase::Ending;
  deadline_ = now + grace + kSlack;
  orders_.push_back({.kind = MessageKind::End, .time = grace.count()});
}

void Supervisor::kill(TimePoint now) {
  if (phase_ >= Phase::Killing)
    return;
  phase_ = Phase::Killing;
  deadline_ = now + kSlack;
  orders_.push_back({.kind = MessageKind::End, .time = 0});
}

void Supervisor::on_time(TimePoint now) {
  if (!deadline_ || now < *deadline_)
    return;
  switch (phase_) {
    case Phase::Running:
      blame(Cause::Timeout, {}, now);
      return end(settings_.grace, now);
    case Phase::Reporting:
      return end(settings_.grace, now);
    case Phase::Ending:
      return kill(now);
    case Phase::Killing:
      phase_ = Phase::Sweeping;
      deadline_ = now + kSweepTime;
      return;
    case Phase::Sweeping:
    case Phase::GivenUp:
      phase_ = Phase::GivenUp;
      outcome_.gave_up = true;
      deadline_.reset();
  }
}

std::vector<Message> Supervisor::take_orders() {
  return std::exchange(orders_, {});
}

std::vector<int> Supervisor::running() const {
  std::vector<int> running;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    if (!ranks_[i].ended)
      running.push_back(static_cast<int>(i));
  }
  return running;
}

}  // namespace farandole::launch
