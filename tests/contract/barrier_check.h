#pragma once
// Whether a barrier holds everybody until all have come.

#include <optional>
#include <string>

#include "tests/contract/group.h"

namespace farandole::testing {

// In each round one rank, every one in its turn, comes only when all others are about to enter: who
// has left by the time when it comes has left too early. Says who, or nothing. What does not hold
// anybody passes a round only where its callers take longer to return than the late rank takes to
// be woken, so that many rounds find it.
std::optional<std::string> left_early(Group& group, int rounds);

}  // namespace farandole::testing
