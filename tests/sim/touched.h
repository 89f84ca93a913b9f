#pragma once
// Touched: whom faults have struck so far: only these may be blamed, or be in the dark.

#include <algorithm>
#include <vector>

#include "tests/sim/plan.h"

namespace farandole::sim {

class Touched {
 public:
  explicit Touched(const Plan& plan)
      : plan_(plan), ranks_(static_cast<size_t>(plan.size)), far_(static_cast<size_t>(plan.size)) {}

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
      case Fault::Kind::Isolate:
        isolate(fault.rank);
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
  // Whether a host was cut off, so that it and rank 0 were on different sides: it may be blamed,
  // and what it says of rank 0 be believed, which may be blamed then, too; but those on the side of
  // rank 0 have its word as ever.
  bool far(int rank) const { return far_[static_cast<size_t>(rank)]; }
  bool any_far() const { return std::ranges::find(far_, true) != far_.end(); }
  int size() const noexcept { return static_cast<int>(ranks_.size()); }

 private:
  void mark(int rank) { ranks_[static_cast<size_t>(rank)] = true; }
  void isolate(int at) {
    for (int rank = 0; rank < plan_.size; ++rank)
      if (plan_.share_host(rank, at) != plan_.share_host(0, at)) {
        mark(rank);
        far_[static_cast<size_t>(rank)] = true;
      }
  }

  const Plan& plan_;
  std::vector<bool> ranks_;
  std::vector<bool> far_;
};

}  // namespace farandole::sim
