#include "tests/sim/monitor_verdict.h"

#include "core/base/format.h"

namespace farandole::sim {

VerdictMonitor::VerdictMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings),
      touched_(static_cast<size_t>(plan.size)),
      told_(static_cast<size_t>(plan.size)) {}

void VerdictMonitor::on_fault(const Fault& fault, TimePoint) {
  switch (fault.kind) {
    case Fault::Kind::Block:
    case Fault::Kind::Cut:
    case Fault::Kind::Reset:
      touched(fault.rank).link = true;
      touched(fault.other).link = true;
      break;
    case Fault::Kind::Stale:
      break;  // must not matter
    default:
      touched(fault.rank).self = true;
  }
}

void VerdictMonitor::on_failure(int rank, const PeerFailure& failure) {
  if (failure.left) {
    if (!left_.emplace(failure.rank, rank).second)
      violated(fmt::format("I14: rank {} was told twice that rank {} left", rank, failure.rank));
    return;
  }
  if (told_[static_cast<size_t>(rank)])
    violated(fmt::format("I14: rank {} was given a second verdict: {}", rank, failure.cause));
  told_[static_cast<size_t>(rank)] = true;
  judge_cause(rank, failure);
  judge_unity(rank, failure);
}

void VerdictMonitor::judge_cause(int rank, const PeerFailure& failure) {
  if (failure.rank < 0 || failure.rank >= static_cast<int>(touched_.size()))
    violated(fmt::format("I14: rank {} blames rank {}", rank, failure.rank));
  else if (!touched(failure.rank).any())
    violated(fmt::format(
        "I14: rank {} blames rank {}, which nothing had happened to: {}",
        rank,
        failure.rank,
        failure.cause));
}

// Who cannot hear rank 0 blames it; all others have its word.
void VerdictMonitor::judge_unity(int rank, const PeerFailure& failure) {
  if (touched(0).any() || touched(rank).any())
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
