#include "tests/sim/monitor_agreement.h"
#include "tests/sim/monitor_alarm.h"
#include "tests/sim/monitor_bounds.h"
#include "tests/sim/monitor_formation.h"
#include "tests/sim/monitor_operation.h"
#include "tests/sim/monitor_sequence.h"
#include "tests/sim/monitor_stalls.h"
#include "tests/sim/monitor_store.h"
#include "tests/sim/monitor_verdict.h"
#include "tests/sim/monitor_waits.h"

namespace farandole::sim {

Monitors make_monitors(const Plan& plan, Findings& findings) {
  Monitors monitors;
  monitors.push_back(std::make_unique<SequenceMonitor>(plan, findings));
  monitors.push_back(std::make_unique<AgreementMonitor>(plan, findings));
  monitors.push_back(std::make_unique<VerdictMonitor>(plan, findings));
  monitors.push_back(std::make_unique<AlarmMonitor>(plan, findings));
  monitors.push_back(std::make_unique<FormationMonitor>(plan, findings));
  monitors.push_back(std::make_unique<OperationMonitor>(plan, findings));
  monitors.push_back(std::make_unique<StoreMonitor>(plan, findings));
  monitors.push_back(std::make_unique<BoundsMonitor>(plan, findings));
  monitors.push_back(std::make_unique<StallMonitor>(plan, findings));
  monitors.push_back(std::make_unique<WaitMonitor>(plan, findings));
  return monitors;
}

}  // namespace farandole::sim
