#include "tests/sim/monitor_alarm.h"

#include "core/base/format.h"
#include "tests/sim/monitor_stalls.h"

namespace farandole::sim {

using std::chrono_literals::operator""ms;

AlarmMonitor::AlarmMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings),
      data_first_(plan.gives_up_data_first()),
      patience_(plan.heartbeat_timeout),
      // A beat that has just been sent, and the next one, each later than it could be.
      slack_(
          2 * plan.heartbeat_interval + 4 * plan.delay_most + plan.retry + 20 * plan.slowness +
          5ms),
      gone_(static_cast<size_t>(plan.size)),
      displaced_(static_cast<size_t>(plan.size)),
      died_(static_cast<size_t>(plan.size)) {}

void AlarmMonitor::on_fault(const Fault& fault) {
  switch (fault.kind) {
    case Fault::Kind::Reset:
    case Fault::Kind::HalfReset:
    case Fault::Kind::DataReset:
      mark(fault.rank);
      mark(fault.other);
      break;
    case Fault::Kind::Twin:
      mark(fault.rank);
      displaced_[static_cast<size_t>(fault.rank)] = true;
      break;
    case Fault::Kind::Stop:
    case Fault::Kind::Block:
    case Fault::Kind::Cut:
    case Fault::Kind::Isolate:
    case Fault::Kind::Jump:
      disturbed_ += fault.length;
      break;
    default:  // deaths are told when they happen; all else is no reason
      break;
  }
}

void AlarmMonitor::on_death(int rank, TimePoint) {
  mark(rank);
  died_[static_cast<size_t>(rank)] = true;
}

void AlarmMonitor::on_overdue(int rank) {
  mark(rank);
}

// That nothing was heard on data connections is a reason of its own.
void AlarmMonitor::on_accusation(int, const PeerFailure& failure) {
  if (data_first_ && failure.code == Code::Timeout)
    mark(failure.rank);
}

void AlarmMonitor::on_failure(int rank, const PeerFailure& failure, TimePoint) {
  if (!failure.left && !ends_a_wait(failure))
    judge(rank, failure.rank, failure.cause);
}

// That somebody is missing or disagrees is another matter. Who comes again may connect while the
// last words of its earlier process reach rank 0, which has its place then: the new connection is
// closed.
void AlarmMonitor::on_not_formed(int rank, const Status& why) {
  const bool crossed = why.culprit() == 0 && died_[static_cast<size_t>(rank)] &&
                       why.message().ends_with("connection closed");
  if (why.culprit() >= 0 && !crossed)
    judge(rank, why.culprit(), why.message());
  mark(rank);  // it ends, and who still hopes for the group hears that
}

void AlarmMonitor::judge(int rank, int culprit, const std::string& cause) {
  const auto place = static_cast<size_t>(culprit);
  if (culprit == 0 && displaced_[static_cast<size_t>(rank)])
    return;
  if (culprit < 0 || place >= gone_.size() || gone_[place] || disturbed_ + slack_ > patience_)
    return;
  violated(fmt::format(
      "I14: rank {} hears that rank {} is lost, which was silent for {} ms at most, of {} ms: {}",
      rank,
      culprit,
      disturbed_ / 1ms,
      patience_ / 1ms,
      cause));
}

}  // namespace farandole::sim
