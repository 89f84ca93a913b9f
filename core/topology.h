#pragma once
// Topology: a rank's place among the job's hosts. Pure.

#include <vector>

#include "core/control_plane.h"

namespace farandole {

struct Topology {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  // among the ranks of the same host, by rank
  int local_size = 1;
  int cross_rank = 0;  // place of the own host among the hosts that have this local rank
  int cross_size = 1;
  bool homogeneous = true;  // every host has as many ranks

  bool operator==(const Topology&) const = default;
};

// Hosts are taken in the order of their lowest rank.
Topology topology_of(int rank, const std::vector<Member>& members);

}  // namespace farandole
