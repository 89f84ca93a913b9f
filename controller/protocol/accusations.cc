#include "controller/protocol/accusations.h"

#include <utility>

#include "controller/protocol/mutation.h"

namespace farandole::control {

void Accusations::add(int accuser, PeerFailure failure) {
  if (by_accuser_.empty() || FARANDOLE_MUTATE(TakeTheLastAccusation))
    first_ = accuser;
  by_accuser_.try_emplace(accuser, std::move(failure));
}

const PeerFailure& Accusations::verdict() const {
  const PeerFailure* end = &by_accuser_.at(first_);
  if (FARANDOLE_MUTATE(BlameWhoWaits))
    return *end;
  // A chain of more steps than there are accusers comes back to itself.
  for (size_t steps = 0; steps <= by_accuser_.size(); ++steps) {
    const auto next = by_accuser_.find(end->rank);
    if (next == by_accuser_.end())
      return *end;
    end = &next->second;
  }
  return by_accuser_.at(first_);
}

}  // namespace farandole::control
