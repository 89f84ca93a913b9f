#include "core/base/format.h"
#include "tests/sim/monitor_agreement.h"
#include "tests/sim/monitor_bounds.h"
#include "tests/sim/monitor_sequence.h"
#include "tests/sim/monitor_verdict.h"

namespace farandole::sim {

void BoundsMonitor::on_tables(int rank, const Tables& tables) {
  if (tables.cached > static_cast<size_t>(plan_.cache_capacity))
    violated(fmt::format("I12: rank {} has cached {} ids", rank, tables.cached));
  // A tensor that is pending has been announced by somebody.
  const size_t most = static_cast<size_t>(plan_.max_pending) * static_cast<size_t>(plan_.size);
  if (tables.pending > most)
    violated(fmt::format("I12: {} tensors are pending at the coordinator", tables.pending));
}

Monitors make_monitors(const Plan& plan, Findings& findings) {
  Monitors monitors;
  monitors.push_back(std::make_unique<SequenceMonitor>(plan, findings));
  monitors.push_back(std::make_unique<AgreementMonitor>(plan, findings));
  monitors.push_back(std::make_unique<VerdictMonitor>(plan, findings));
  monitors.push_back(std::make_unique<BoundsMonitor>(plan, findings));
  return monitors;
}

}  // namespace farandole::sim
