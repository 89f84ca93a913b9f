#pragma once
// What plans have beside what draw_plan() draws itself, from streams of their own.

#include "tests/sim/plan.h"
#include "tests/sim/rng.h"

namespace farandole::sim {

// Ranks of another job or size, twins, connections that are reset on one end or between the lanes,
// and faults of every kind in the short time in which the group forms.
void draw_more(Plan& plan, Rng& random);
// The least patience that there may be, of heartbeats, and data that is given up before silence
// tells who is lost. Before faults are drawn, whose lengths depend on it.
void draw_patience(Plan& plan, Rng& random);
// Hosts that are cut off from all others.
void draw_isolations(Plan& plan, Rng& random);
// Groups of tensors, which some ranks mean to be larger, smaller or one tensor. Within the sets
// that there are from the start.
void draw_groups(Plan& plan, Rng& random);
// Some tensors of sets that come and go are used again, and so announced by an id, evicted or not.
void draw_repeats(Plan& plan, Rng& random);
// How long both sides of a new connection wait for the other's next word.
void draw_handshakes(Plan& plan, Rng& random);
// Of some sums each rank gets its rows alone. Of Adasum there is none, and it is refused.
void draw_parts(Plan& plan, Rng& random);

}  // namespace farandole::sim
