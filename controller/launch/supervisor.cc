#include "controller/launch/supervisor.h"

#include <algorithm>
#include <utility>

namespace farandole::launch {
namespace {

// Keepers and agent have deadlines of their own; this much later they count as stuck.
constexpr Duration kSlack = std::chrono::seconds(3);
// After the agent's end the launcher kills by itself, this long after the grace.
constexpr Duration kOrphanSlack = std::chrono::milliseconds(500);
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

void Supervisor::blame(Cause cause, const Message& message, TimePoint now) {
  if (outcome_.cause != Cause::None)
    return;
  outcome_.cause = cause;
  outcome_.rank = message.rank;
  outcome_.value = message.value;
  outcome_.pid = message.pid;
  outcome_.peak_kib = message.detail;
  outcome_.out_of_memory = message.flag;
  if (message.rank >= 0)
    outcome_.runtime = now - ranks_[static_cast<size_t>(message.rank)].started;
}

void Supervisor::on_agent_end(int status, TimePoint now) {
  if (ended_ == ranks_.size())
    return;
  blame(Cause::AgentLost, {.value = status}, now);
  // The keepers see that their lease has run out and end their ranks by themselves; where a keeper
  // was killed as well, its rank's tree is the launcher's now, and has the same grace.
  if (phase_ < Phase::Ending)
    end(settings_.grace, now);
  if (phase_ == Phase::Ending)
    deadline_ = now + settings_.grace + kOrphanSlack;
}

void Supervisor::on_end_signal(int number, bool from_terminal, TimePoint now) {
  if (phase_ >= Phase::Ending && ended_ < ranks_.size()) {
    kill(now);
    return;
  }
  blame(Cause::Signal, {.value = number}, now);
  orders_.push_back({.kind = MessageKind::Signal, .value = number, .flag = from_terminal});
  phase_ = Phase::Ending;
  deadline_ = now + settings_.grace;
}

void Supervisor::on_output_closed(TimePoint now) {
  blame(Cause::OutputClosed, {}, now);
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
