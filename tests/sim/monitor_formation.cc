#include "tests/sim/monitor_formation.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::sim {

using std::chrono_literals::operator""ms;

FormationMonitor::FormationMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings),
      plan_(plan),
      bound_(50ms + 20 * plan.delay_most + (100 + 50 * plan.size) * plan.slowness),
      touched_(plan) {}

void FormationMonitor::on_fault(const Fault& fault) {
  touched_.on_fault(fault);
  any_fault_ = any_fault_ || (fault.kind != Fault::Kind::Stale && fault.kind != Fault::Kind::Leave);
}

void FormationMonitor::on_not_formed(int rank, const Status& why) {
  if (!undisturbed(rank))
    return;
  if (!refusal_)
    judge_reason(*(refusal_ = why));
  else if (*refusal_ != why)
    violated(fmt::format(
        "I2: the group does not form; rank {} is told: {}; others: {}",
        rank,
        why.message(),
        refusal_->message()));
}

// That somebody is lost is judged by who looks for false alarms.
void FormationMonitor::judge_reason(const Status& why) {
  const auto any = [&](auto member) { return std::ranges::any_of(plan_.habits, member); };
  const bool away = any(&Habit::never) || any(&Habit::other_job) || any(&Habit::other_size);
  if (why.code() == Code::Timeout && !away && !any_fault_)
    violated("I10: somebody is missing though all have come: " + why.message());
  if (why.code() == Code::Mismatch && !any(&Habit::other_settings) && !any(&Habit::other_size))
    violated("I10: all are of one mind, and the group does not form: " + why.message());
}

void FormationMonitor::on_start_end(int rank, const StartEnd& end) {
  if (rank == 0 && end.told && !end.formed)
    refused_ = end.now;
  if (undisturbed(rank))
    judge_time(rank, end);
}

void FormationMonitor::judge_time(int rank, const StartEnd& end) {
  if (end.joined && !end.told)
    return violated(fmt::format(
        "I5: rank {} has joined, and is told nothing until it gives up after {} ms",
        rank,
        (end.now - *end.joined) / 1ms));
  if (!end.told && end.now - end.started > plan_.start_timeout + bound_)
    violated(fmt::format(
        "I5: rank {} cannot join, and finds it out after {} ms; it has {} ms",
        rank,
        (end.now - end.started) / 1ms,
        plan_.start_timeout / 1ms));
  if (!end.told || end.formed || !refused_ || !end.joined)
    return;
  const TimePoint from = std::max(*refused_, *end.joined);
  if (end.now - from > bound_)
    violated(fmt::format(
        "I5: rank {} is told {} ms after rank 0 that the group does not form; {} ms are allowed",
        rank,
        (end.now - from) / 1ms,
        bound_ / 1ms));
}

}  // namespace farandole::sim
