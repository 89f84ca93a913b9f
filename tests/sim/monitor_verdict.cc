#include "tests/sim/monitor_verdict.h"

#include <algorithm>

#include "core/base/format.h"
#include "tests/sim/monitor_stalls.h"

namespace farandole::sim {

using std::chrono_literals::operator""ms;

VerdictMonitor::VerdictMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings),
      data_first_(plan.gives_up_data_first()),
      // Last words; then what travels and is handled.
      noticed_bound_(150ms + 20 * plan.delay_most + (100 + 50 * plan.size) * plan.slowness),
      // Besides, silence and two beats.
      silent_bound_(noticed_bound_ + plan.heartbeat_timeout + 2 * plan.heartbeat_interval),
      unwatched_bound_(silent_bound_ + plan.data_timeout),
      touched_(plan),
      noticed_(static_cast<size_t>(plan.size)),
      told_(static_cast<size_t>(plan.size)),
      finished_(static_cast<size_t>(plan.size)),
      deaths_(static_cast<size_t>(plan.size)) {}

void VerdictMonitor::on_fault(const Fault& fault) {
  touched_.on_fault(fault);
  noticed_[static_cast<size_t>(fault.rank)] = fault.kind == Fault::Kind::Kill ||
                                              fault.kind == Fault::Kind::Doom ||
                                              fault.kind == Fault::Kind::Respawn;
}

void VerdictMonitor::on_accusation(int, const PeerFailure& failure) {
  if (data_first_ && failure.code == Code::Timeout)
    late_.insert(failure.rank);
}

void VerdictMonitor::on_death(int rank, TimePoint now) {
  std::optional<TimePoint>& death = deaths_[static_cast<size_t>(rank)];
  if (!death)
    death = now;
}

void VerdictMonitor::on_failure(int rank, const PeerFailure& failure, TimePoint now) {
  if (failure.left) {
    if (!left_.emplace(failure.rank, rank).second)
      violated(fmt::format("I14: rank {} was told twice that rank {} left", rank, failure.rank));
    return;
  }
  if (told_[static_cast<size_t>(rank)])
    violated(fmt::format("I14: rank {} was given a second verdict: {}", rank, failure.cause));
  told_[static_cast<size_t>(rank)] = true;
  lost_.emplace(failure.rank, rank);
  judge_cause(rank, failure);
  judge_time(rank, failure, now);
  if (failure.rank >= -1 && failure.rank < touched_.size())
    judge_unity(rank, failure);
}

void VerdictMonitor::on_formed(int, uint32_t, const std::vector<Member>&, TimePoint now) {
  formed_ = now;
}

// Where nothing but a death happened, it is known in time: from the formation on, before which the
// missing only hold it up.
void VerdictMonitor::judge_time(int rank, const PeerFailure& failure, TimePoint now) {
  const auto alone = [&](int other) {
    return !touched_.any(other) || (other == failure.rank && !touched_.far(other));
  };
  for (int other = 0; other < touched_.size(); ++other)
    if (!alone(other))
      return;
  const std::optional<TimePoint> death =
      failure.rank < 0 ? std::nullopt : deaths_.at(static_cast<size_t>(failure.rank));
  if (!death)
    return;
  const Duration silent =
      finished_[static_cast<size_t>(failure.rank)] ? unwatched_bound_ : silent_bound_;
  const Duration bound = noticed_[static_cast<size_t>(failure.rank)] ? noticed_bound_ : silent;
  if (now - std::max(*death, formed_) > bound)
    violated(fmt::format(
        "I5: rank {} hears {} ms after it that rank {} died or the group formed; {} ms are allowed",
        rank,
        (now - std::max(*death, formed_)) / 1ms,
        failure.rank,
        bound / 1ms));
}

void VerdictMonitor::judge_cause(int rank, const PeerFailure& failure) {
  if (ends_a_wait(failure))
    return;  // whom that may name StallMonitor judges
  if (failure.rank < 0 || failure.rank >= touched_.size())
    violated(fmt::format("I14: rank {} blames rank {}", rank, failure.rank));
  else if (
      !touched_.any(failure.rank) && !late_.contains(failure.rank) &&
      !lost_.contains({rank, failure.rank}) && !(failure.rank == 0 && touched_.any_far()))
    violated(fmt::format(
        "I14: rank {} blames rank {}, which nothing had happened to: {}",
        rank,
        failure.rank,
        failure.cause));
}

// Who cannot hear rank 0 blames it; all others have its word.
void VerdictMonitor::judge_unity(int rank, const PeerFailure& failure) {
  if (touched_.any(0) || touched_.any(rank))
    return;
  if (!culprit_)
    culprit_ = failure.rank;
  else if (*culprit_ != failure.rank)
    violated(fmt::format(
        "I14: rank {} blames rank {}, others blame rank {}: {}",
        rank,
        failure.rank,
        *culprit_,
        failure.cause));
}

}  // namespace farandole::sim
