#pragma once
// What plans have beside what draw_plan() draws itself, from a stream of its own.

#include "tests/sim/plan.h"
#include "tests/sim/rng.h"

namespace farandole::sim {

// Ranks of another job or size, twins, connections that are reset on one end or between the lanes,
// and faults of every kind in the short time in which the group forms.
void draw_more(Plan& plan, Rng& random);

}  // namespace farandole::sim
