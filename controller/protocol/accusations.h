#pragma once
// Accusations: what ranks report of one another while no better evidence has come.

#include <map>

#include "core/agreement.h"

namespace farandole::control {

class Accusations {
 public:
  // Of each rank the first counts.
  void add(int accuser, PeerFailure failure);
  void clear() noexcept { by_accuser_.clear(); }
  bool empty() const noexcept { return by_accuser_.empty(); }
  const std::map<int, PeerFailure>& all() const noexcept { return by_accuser_; }
  int first() const noexcept { return first_; }  // who was the first to accuse

  // Whose failure it is, when there are any. Ranks wait in a chain for the one that fails,
  // whichever of them reports first: so not the accused who themselves accuse another, but the one
  // at the end. Where there is no end, as between two that lost each other, whom the first report
  // named.
  const PeerFailure& verdict() const;

 private:
  std::map<int, PeerFailure> by_accuser_;
  int first_ = -1;
};

}  // namespace farandole::control
