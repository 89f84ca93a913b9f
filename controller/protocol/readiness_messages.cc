// Readiness: messages, in which two members take part.

#include <algorithm>

#include "controller/protocol/mutation.h"
#include "controller/protocol/readiness.h"
#include "core/base/format.h"
#include "core/way.h"

namespace farandole::control {

const std::vector<int>& Readiness::members_of(const Slot& slot) const {
  if (!slot.ends.empty())
    return slot.ends;
  return sets_.at(FARANDOLE_MUTATE(IgnoreProcessSets) ? 0 : slot.key->process_set);
}

Result<std::vector<int>> Readiness::ends_of(int rank, const Signature& signature) const {
  const Way way = way_of(signature);
  if (!way.any())
    return std::vector<int>{};
  const std::vector<int>& members = sets_.at(signature.process_set);
  std::vector<int> ends{way.low(), way.high()};
  if (std::ranges::includes(members, ends) && std::ranges::count(ends, rank) > 0)
    return FARANDOLE_MUTATE(WaitForAllOfAMessage) ? members : ends;
  return error(
      Code::PeerLost,
      "announced a message from rank {} to rank {} in process set {}, which are not itself and "
      "another member",
      way.from,
      way.to,
      signature.process_set);
}

bool Readiness::has_memory(std::span<const int> ranks, std::span<const Signature> signatures) {
  for (size_t i = 0; i < ranks.size(); ++i)
    if (signatures[i].kind == CollectiveKind::Message && ranks[i] != signatures[i].root)
      return signatures[i].operand.size() > 1;
  return false;
}

}  // namespace farandole::control
