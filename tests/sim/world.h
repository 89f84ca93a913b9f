#pragma once
// World: runs one plan: virtual time, network and ranks, the faults at their times, the monitors.

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/data_plane.h"
#include "tests/sim/monitor.h"
#include "tests/sim/network.h"
#include "tests/sim/plan.h"
#include "tests/sim/process.h"
#include "tests/sim/rank.h"
#include "tests/sim/run.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/twin.h"

namespace farandole::sim {

class World {
 public:
  World(const Plan& plan, const RunOptions& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Until every process has ended, a monitor objects, or the bound has passed.
  void run();
  const Findings& findings() const noexcept { return findings_; }
  uint64_t events() const noexcept { return scheduler_.events(); }
  // Of everything that ranks were told: equal for equal plans.
  uint64_t digest() const noexcept { return digest_; }
  const std::vector<std::string>& trace() const noexcept { return trace_; }
  const std::array<uint64_t, kFaultKinds>& injected() const noexcept { return injected_; }

 private:
  Process& process(int rank) { return *processes_[static_cast<size_t>(rank)]; }
  std::unique_ptr<Rank> make_rank(int rank, uint64_t life);
  void respawn(int rank);
  void start_twin(const Fault& fault);
  void say(int rank, const std::string& text);
  void inject(const Fault& fault);
  void apply(const Fault& fault);
  void block(int from, int to, Duration length);
  void isolate(const Fault& fault);
  void strike_dead(int rank, bool quiet);
  void end_process(int rank, bool quiet);
  void check_end();
  bool all_ended() const;

  const Plan& plan_;
  bool traced_;
  std::function<void(const std::string&)> line_;
  Scheduler scheduler_;
  TimePoint start_ = scheduler_.now();
  Findings findings_;
  Monitors monitors_;
  std::unique_ptr<Network> network_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::unique_ptr<DataPlane> data_;
  std::vector<std::unique_ptr<Rank>> ranks_;
  std::vector<std::pair<std::unique_ptr<Process>, std::unique_ptr<Rank>>> graveyard_;
  std::vector<std::unique_ptr<Twin>> twins_;
  uint64_t lives_ = 0;  // processes started again
  std::vector<std::string> trace_;
  std::array<uint64_t, kFaultKinds> injected_{};
  uint64_t digest_ = 0;
};

}  // namespace farandole::sim
