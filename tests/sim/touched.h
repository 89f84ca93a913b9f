#pragma once
// Touched: whom faults have struck so far: only these may be blamed, or be in the dark.

#include <vector>

#include "tests/sim/plan.h"

namespace farandole::sim {

class Touched {
 public:
  explicit Touched(int size) : ranks_(static_cast<size_t>(size)) {}

  void on_fault(const Fault& fault) {
    switch (fault.kind) {
      case Fault::Kind::Block:
      case Fault::Kind::Cut:
      case Fault::Kind::Reset:
      case Fault::Kind::HalfReset:
      case Fault::Kind::DataReset:
        mark(fault.rank);
        mark(fault.other);
        break;
      case Fault::Kind::Stale:  // must not matter
      case Fault::Kind::Leave:  // is in order
        break;
      default:  // killed, stopped, its clock moved
        mark(fault.rank);
    }
  }
  void on_overdue(int rank) { mark(rank); }
  bool any(int rank) const { return ranks_[static_cast<size_t>(rank)]; }
  int size() const noexcept { return static_cast<int>(ranks_.size()); }

 private:
  void mark(int rank) { ranks_[static_cast<size_t>(rank)] = true; }

  std::vector<bool> ranks_;
};

}  // namespace farandole::sim
