#include "bindings/python/module/operation.h"

#include <algorithm>
#include <iterator>

namespace farandole::python {

SessionState::~SessionState() {
  fdl_destroy(session_);
  for (Loan& loan : orphans_)
    if (!loan.operation->settled())
      static_cast<void>(new Loan(std::move(loan)));  // used until the process ends
}

void SessionState::release_settled() {
  if (orphans_.empty())
    return;
  const auto settled =
      std::stable_partition(orphans_.begin(), orphans_.end(), [](const Loan& loan) {
        return !loan.operation->settled();
      });
  // Dropping a reference can run any Python code, this function included: take them out first.
  const std::vector<Loan> released(
      std::make_move_iterator(settled), std::make_move_iterator(orphans_.end()));
  orphans_.erase(settled, orphans_.end());
}

}  // namespace farandole::python
