// What must hold when nothing can happen any more: everything is settled.

#include <array>
#include <optional>

#include "core/base/format.h"
#include "tests/search/explorer.h"

namespace farandole::search {

using control::StateAccess;

std::string Explorer::check_end(const World& world) const {
  const CoordinatorSpec& spec = hub_.spec(world.hub);
  std::array<std::optional<size_t>, kRanks> told;
  for (int rank = 0; rank < kRanks; ++rank)
    told[static_cast<size_t>(rank)] = told_until(world, rank);
  for (size_t rank = 1; rank < kRanks; ++rank)
    for (size_t other = 0; other < rank; ++other)
      if (told[rank] && told[other] && *told[rank] != *told[other])
        return fmt::format(
            "I14: the job fails after {} operations on rank {}, and after {} on rank {}",
            *told[rank],
            rank,
            *told[other],
            other);
  if (spec.gone(0) && !spec.verdict() && !hub_.ended(world.hub))
    return "I5: rank 0 has left, and its coordinator waits for ever";
  for (int rank = 0; rank < kRanks; ++rank) {
    const auto& own =
        ranks_[static_cast<size_t>(rank)]->state(world.rank[static_cast<size_t>(rank)]);
    for (int other = 0; other < rank; ++other) {
      const size_t place = static_cast<size_t>(other);
      const auto& theirs = ranks_[place]->state(world.rank[place]);
      for (size_t i = 0; i < std::min(own.history.size(), theirs.history.size()); ++i)
        if (own.history[i] != theirs.history[i])
          return fmt::format(
              "I3: rank {} is told \"{}\", rank {} \"{}\"",
              rank,
              own.history[i],
              other,
              theirs.history[i]);
      for (const auto& [op, why] : own.rejected)
        if (const auto same = theirs.rejected.find(op);
            same != theirs.rejected.end() && same->second != why)
          return fmt::format(
              "I4: rank {} is told \"{}\", rank {} \"{}\"", rank, why, other, same->second);
    }
    if (own.life == Rank::Life::Up)
      if (std::string wrong = check_rank_at_end(world, rank); !wrong.empty())
        return wrong;
  }
  return "";
}

// How many operations it had been told to run when the coordinator told it of the verdict. None
// where it is not so, or where it had gone its own way before.
std::optional<size_t> Explorer::told_until(const World& world, int rank) const {
  const Rank& who = *ranks_[static_cast<size_t>(rank)];
  const Id id = world.rank[static_cast<size_t>(rank)];
  const Rank::State& state = who.state(id);
  const std::optional<int>& verdict = hub_.spec(world.hub).verdict();
  const bool own_way = (state.told_left & (1U | 1U << rank)) != 0 ||
                       who.did(id, FaultKind::GiveUp) || who.did(id, FaultKind::CutUp) ||
                       scenario_.has(FaultKind::CutDown, rank) || hub_.ended(world.hub);
  if (!verdict || own_way || !state.verdict || state.verdict->rank != *verdict)
    return std::nullopt;
  return state.history.size();
}

// A rank that is up: all that it submitted is answered, or the job has failed for it, and then
// everybody says the same.
std::string Explorer::check_rank_at_end(const World& world, int rank) const {
  const Rank& who = *ranks_[static_cast<size_t>(rank)];
  const Id id = world.rank[static_cast<size_t>(rank)];
  const Rank::State& state = who.state(id);
  const bool finished = StateAccess::finished(*state.worker);
  const bool over = StateAccess::ended(*state.worker) || finished;
  if (StateAccess::ended(*state.worker) && !state.verdict)
    return fmt::format("I5: rank {} has ended without a verdict", rank);
  if (hub_.ended(world.hub) && !over)
    return fmt::format("I5: rank {} does not notice that rank 0 is gone", rank);
  for (size_t op = 0; op < scenario_.ops.size(); ++op)
    if (!state.verdict && who.submitted(id, op) && (state.answered >> op & 1U) == 0)
      return fmt::format("I5: rank {} waits for \"{}\" for ever", rank, scenario_.ops[op].name);
  if (who.did(id, FaultKind::Accuse) && !state.verdict && !finished)
    return fmt::format("I5: rank {} has accused another and waits for ever", rank);
  const bool other_set =
      rank != 1 || (!hub_.ended(world.hub) && ranks_[2]->state(world.rank[2]).store_answered);
  if (who.store_waits(id) && (over || (other_set && !state.verdict)))
    return fmt::format("I5: a store request of rank {} waits for ever", rank);
  const bool hub_gone = hub_.ended(world.hub);
  const std::optional<int>& verdict = hub_.spec(world.hub).verdict();
  const bool cut_off = hub_gone || who.did(id, FaultKind::GiveUp) ||
                       who.did(id, FaultKind::CutUp) || scenario_.has(FaultKind::CutDown, rank) ||
                       scenario_.has(FaultKind::Silent, rank);
  if (verdict && !state.verdict && !hub_gone && !finished && !(cut_off && over))
    return fmt::format("I14: rank {} is not told that rank {} is lost", rank, *verdict);
  if (!state.verdict || (verdict && state.verdict->rank == *verdict))
    return "";
  const int blamed = state.verdict->rank;
  if ((cut_off && blamed == 0) || who.did(id, FaultKind::Accuse))
    return "";
  return fmt::format("I14: rank {} blames rank {}, and nobody else does", rank, blamed);
}

}  // namespace farandole::search
