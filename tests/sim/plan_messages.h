#pragma once
// Which messages the ranks of a plan exchange.

#include "tests/sim/plan.h"
#include "tests/sim/rng.h"

namespace farandole::sim {

// Within the sets that there are from the start.
void draw_messages(Plan& plan, Rng& random);

}  // namespace farandole::sim
