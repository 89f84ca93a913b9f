#pragma once
// Campaign: many seeds over all cores, in processes, so that a seed that crashes is found, too.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/plan.h"
#include "tests/sim/trial.h"

namespace farandole::sim {

struct CampaignOptions {
  uint64_t first = 1;
  uint64_t seeds = 1;
  unsigned jobs = 1;
  RunOptions run;
  Patience patience;  // with each seed
};

struct Totals {
  uint64_t seeds = 0;
  uint64_t events = 0;
  std::array<uint64_t, kFaultKinds> faults{};
  uint64_t faultless = 0;  // seeds without any fault
};

struct Campaign {
  Totals totals;
  std::vector<uint64_t> failed;   // some of the seeds that violate an invariant
  std::vector<uint64_t> crashed;  // seeds whose process died, or had to be ended
  double seconds = 0;
};

// Prints progress every 10 s. A job that has found a failing seed stops.
Campaign run_campaign(const CampaignOptions& options);
std::string to_string(const Campaign& campaign);

}  // namespace farandole::sim
