#include "tests/sim/monitor_operation.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::sim {

OperationMonitor::OperationMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings), plan_(plan), touched_(plan), seen_(static_cast<size_t>(plan.size)) {}

void OperationMonitor::on_agreement(int rank, const Agreement& agreement) {
  Seen& own = seen_[static_cast<size_t>(rank)];
  if (!own.alone)
    own.round = agreement.round;
}

void OperationMonitor::on_executed(int rank, const control::Key& key, uint64_t index) {
  seen_[static_cast<size_t>(rank)].carried_out[key.process_set] = index + 1;
}

void OperationMonitor::on_failure(int rank, const PeerFailure& failure, TimePoint) {
  Seen& own = seen_[static_cast<size_t>(rank)];
  if (failure.left) {
    own.alone = own.alone || failure.rank == rank || failure.rank == 0;
    return;
  }
  // Who cannot hear rank 0 does not have its word.
  if (!own.alone && !touched_.any(0) && !touched_.any(rank))
    judge_rounds(rank);
}

void OperationMonitor::judge_rounds(int rank) {
  const uint64_t round = seen_[static_cast<size_t>(rank)].round;
  if (!last_round_)
    last_round_ = round;
  else if (*last_round_ != round)
    violated(fmt::format(
        "I14: the job fails after round {} on rank {}, and after round {} on others",
        round,
        rank,
        *last_round_));
}

void OperationMonitor::on_halted(int rank) {
  std::vector<uint32_t> sets{0};
  for (const auto& [id, members] : plan_.process_sets)
    if (std::ranges::find(members, rank) != members.end())
      sets.push_back(id);
  for (const uint32_t set : sets) {
    const uint64_t done = seen_[static_cast<size_t>(rank)].carried_out[set];
    Range& range = carried_out_.try_emplace(set, Range{done, done}).first->second;
    range.least = std::min(range.least, done);
    range.most = std::max(range.most, done);
    if (range.most - range.least > 1)
      violated(fmt::format(
          "I14: operation {} of process set {} fails on rank {}, far from that of others",
          done,
          set,
          rank));
  }
}

}  // namespace farandole::sim
