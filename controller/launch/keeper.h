#pragma once
// The keeper of one rank: a process of its own, parent of the rank's program and subreaper of all
// that the program starts. It ends that whole tree when told to, when the program has ended, and
// when its lease runs out (the agent is gone, however it went).

#include "controller/launch/channel.h"
#include "controller/launch/spawn.h"
#include "core/base/clock.h"

namespace farandole::launch {

struct KeeperJob {
  int rank = 0;
  Channel agent;
  RankProgram program;
  Duration grace{};
};

// The life of a keeper, in a process just forked. Never returns; the exit status says nothing.
[[noreturn]] void run_keeper(KeeperJob job);

}  // namespace farandole::launch
