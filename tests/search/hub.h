#pragma once
// Hub: all states of the coordinator that a search meets, each made once, and what each does with
// each input, worked out once.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/search/coordinator_spec.h"
#include "tests/search/flat_set.h"
#include "tests/search/frames.h"
#include "tests/search/scenario.h"
#include "tests/search/state_access.h"

namespace farandole::search {

// What rank 0's process lives through besides its connections.
// Conclude: rank 0 has left, nobody needs its coordinator any more, and its process ends.
enum class HubEvent : uint8_t { Flush, ConfirmTime, Conclude, Fault };

struct HubStep {
  Id next = 0;
  std::vector<std::pair<int, Id>> sends;  // kEnd: closes the connection
  PerRank<bool> deaf{};                   // reads nothing from that rank any more
  std::string wrong;                      // what no coordinator may do
  bool nothing = false;                   // neither state nor output; `next` means nothing, too
};

class Hub {
 public:
  Hub(const Scenario& scenario, Frames& frames) : scenario_(scenario), frames_(frames) {}

  Id start(const control::Coordinator& formed);
  const HubStep& frame(Id state, int from, Id frame);
  const HubStep& event(Id state, HubEvent event, size_t fault = 0);

  bool fault_enabled(Id state, size_t fault) const;
  const CoordinatorSpec& spec(Id state) const { return states_[state].spec; }
  bool ended(Id state) const { return states_[state].ended; }
  size_t states() const noexcept { return states_.size(); }

 private:
  struct State {
    std::unique_ptr<control::Coordinator> coordinator;
    CoordinatorSpec spec;
    PerRank<bool> open{true, true, true};
    bool ended = false;           // with rank 0's process
    uint32_t done = 0;            // faults
    PerRank<uint64_t> numbers{};  // of the last frame to each, and of the last round, before a step
    uint64_t round = 0;
    State copy() const;
  };

  template <typename Make>
  const HubStep& once(Id state, uint32_t input, Make make);
  void take(State& state, control::Actions actions, HubStep& step);
  void on_frame(State& state, int from, Id frame, HubStep& step);
  void on_fault(State& state, const Fault& fault, HubStep& step);
  static bool concludes(const State& state);
  Id add(State state);
  std::string text(const State& state) const;
  void end(State& state, HubStep& step) const;
  std::string check_inert(const State& state) const;
  std::string probe_frames(const State& state, int from, Id frame) const;
  std::string probe_quotas(const State& state, int from) const;

  const Scenario& scenario_;
  Frames& frames_;
  std::deque<State> states_;
  std::unordered_map<std::string, Id> known_;
  std::deque<HubStep> steps_;
  FlatMap step_numbers_;  // by state and input, from 1 on
  const HubStep nothing_{.nothing = true};
};

}  // namespace farandole::search
