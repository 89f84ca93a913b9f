#include "tests/sim/monitor_sequence.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::sim {

SequenceMonitor::SequenceMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings), seen_(static_cast<size_t>(plan.size)) {
  const auto same = [&](const Habit& habit) {
    const Habit& first = plan.habits.front();
    return habit.other_settings == first.other_settings && habit.other_job == first.other_job &&
           habit.other_size == first.other_size;
  };
  mixed_ = !std::ranges::all_of(plan.habits, same);
}

void SequenceMonitor::on_start(int rank) {
  seen_[static_cast<size_t>(rank)].refused = false;
}

void SequenceMonitor::on_formed(
    int rank, uint32_t epoch, const std::vector<Member>& members, TimePoint) {
  Seen& seen = seen_[static_cast<size_t>(rank)];
  if (seen.formed || seen.refused)
    violated(fmt::format("I1: rank {} was told twice what became of the group", rank));
  seen.formed = true;
  if (mixed_)
    violated("I2: a group of ranks with different settings has formed");
  if (members.size() != seen_.size())
    violated(fmt::format("I2: rank {} was told of {} members", rank, members.size()));
  if (!group_)
    group_ = {epoch, members};
  else if (*group_ != std::pair(epoch, members))
    violated(fmt::format("I2: rank {} was told of other members or another epoch", rank));
}

void SequenceMonitor::on_not_formed(int rank, const Status& why) {
  Seen& seen = seen_[static_cast<size_t>(rank)];
  if (seen.formed || seen.refused)
    violated(fmt::format(
        "I1: rank {} was told twice what became of the group: {}", rank, why.message()));
  seen.refused = true;
}

void SequenceMonitor::on_failure(int rank, const PeerFailure& failure, TimePoint) {
  Seen& seen = seen_[static_cast<size_t>(rank)];
  if (!failure.left || failure.rank == 0 || failure.rank == rank)
    seen.alone = true;
}

void SequenceMonitor::on_agreement(int rank, const Agreement& agreement) {
  Seen& seen = seen_[static_cast<size_t>(rank)];
  if (!seen.formed)
    violated(fmt::format("I1: rank {} was given an agreement before its group had formed", rank));
  if (seen.alone) {
    if (!agreement.ready.empty())
      violated(fmt::format("I9: rank {} was given operations after its part had ended", rank));
    return;
  }
  if (agreement.round != ++seen.rounds)
    violated(
        fmt::format("I3: rank {} got round {} as its {}.", rank, agreement.round, seen.rounds));
  if (group_ && agreement.epoch != group_->first)
    violated(fmt::format("I1: rank {} got a round of epoch {}", rank, agreement.epoch));
  if (rounds_.size() < seen.rounds)
    rounds_.push_back(agreement);
  else if (rounds_[seen.rounds - 1] != agreement)
    violated(fmt::format("I3: round {} of rank {} is not that of others", seen.rounds, rank));
}

void SequenceMonitor::on_execution(int rank, const control::Key& key, uint64_t index) {
  const auto [it, first] = executed_.try_emplace({key.process_set, index}, key.name);
  if (!first && it->second != key.name)
    violated(fmt::format(
        "I3: operation {} of process set {} is \"{}\" on rank {} and \"{}\" elsewhere",
        index,
        key.process_set,
        key.name,
        rank,
        it->second));
}

}  // namespace farandole::sim
