#pragma once
// The launcher's reach on another host: what ssh starts there. It speaks frames over its standard
// streams, starts the host's agent, and passes orders down and reports and output up. Its lease is
// that connection: when it closes, or is silent for kLease, everything here ends.

#include "controller/launch/environment.h"
#include "core/base/clock.h"

namespace farandole::launch {

// The launcher says every kBeat that it is there, unless it is stopped and has said so.
inline constexpr Duration kBeat = std::chrono::seconds(5);
inline constexpr Duration kLease = std::chrono::seconds(30);

// The life of an outpost. Returns its exit code, which says nothing to anybody but people.
int run_outpost(const Environment& environment);

}  // namespace farandole::launch
