#pragma once
// Rank: all states of one rank that a search meets: its worker, what its engine has submitted and
// been told. Each is made once, and what it does with each input is worked out once. Checks what
// one rank can see for itself: invariants I1, I3, I4, I5 and I14.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/search/flat_set.h"
#include "tests/search/frames.h"
#include "tests/search/scenario.h"
#include "tests/search/state_access.h"

namespace farandole::search {

struct RankStep {
  Id next = 0;
  std::vector<Id> sends;  // kEnd: closes the connection
  bool deaf = false;      // reads nothing any more
  std::string wrong;
};

// What a rank does by itself.
struct OwnAct {
  // Finish: what was agreed upon is carried out, and nothing follows.
  enum class Kind : uint8_t { Submit, Fault, Finish, Stop, StoreGet, StoreSet };
  Kind kind;
  uint32_t number = 0;  // of the op or the fault
};

class Rank {
 public:
  enum class Life : uint8_t { Up, Killed, Stopped };
  struct State {
    std::unique_ptr<control::Worker> worker;
    Life life = Life::Up;
    bool connected = true;   // has not closed its connection
    uint32_t done = 0;       // own acts
    uint32_t answered = 0;   // ops
    uint32_t told_left = 0;  // ranks that left, as it was told
    bool store_answered = false;
    std::optional<PeerFailure> verdict;
    std::vector<std::string> history;          // what was to run, in order
    std::map<uint32_t, std::string> rejected;  // by op: why, as a round told it
    uint64_t number = 0;                       // of the last frame sent, before a step
    State copy() const;
  };

  Rank(int rank, const Scenario& scenario, Frames& frames);

  Id start(const control::Worker& formed);
  const RankStep& frame(Id state, Id frame);
  const RankStep& act(Id state, size_t act);

  const std::vector<OwnAct>& acts() const noexcept { return acts_; }
  // The acts that it can do, a bit each.
  uint32_t enabled(Id state) const { return enabled_[state]; }
  // Whether it makes no difference when the rank reads `frame`: now, or after any of its own acts.
  bool commutes(Id state, Id frame);
  const State& state(Id id) const { return states_[id]; }
  bool did(Id id, FaultKind kind) const { return did(states_[id], kind); }
  bool submitted(Id id, size_t op) const;
  bool store_waits(Id id) const {
    return store_pending(states_[id]) && !states_[id].store_answered;
  }
  std::string describe(size_t act) const;
  size_t states() const noexcept { return states_.size(); }

 private:
  template <typename Make>
  const RankStep& once(Id state, uint32_t input, Make make);
  void take(State& state, control::Actions actions, RankStep& step, const control::Message* cause);
  void deliver(
      State& state, const Agreement& agreement, RankStep& step, const control::Message* cause);
  void answer_ready(State& state, const ReadyOp& op, RankStep& step);
  void check_orphan(const State& state, RankStep& step) const;
  void hear(State& state, const PeerFailure& failure, RankStep& step);
  void on_fault(State& state, const Fault& fault, RankStep& step);
  void go(State& state, Life to, RankStep& step);
  void close(State& state, RankStep& step);
  std::string probe_farewell(const State& state) const;
  std::string probe_end(const State& state) const;
  std::string probe_frame(const State& state, Id frame) const;
  std::optional<size_t> in_flight(
      const State& state, uint32_t process_set, const std::string& name) const;
  static bool told_of_a_leaver(const State& state, uint32_t process_set);
  bool knows(const State& state, uint32_t process_set) const;
  std::optional<size_t> joined(const State& state, uint32_t process_set) const;
  bool store_pending(const State& state) const;
  bool can(const State& state, FaultKind kind) const;
  bool can_act(const State& state, size_t act) const;
  bool did(const State& state, FaultKind kind) const;
  Id add(State state);
  std::string text(const State& state) const;

  const int rank_;
  const Scenario& scenario_;
  Frames& frames_;
  std::vector<OwnAct> acts_;
  uint32_t submits_ = 0;  // which of them are
  std::deque<State> states_;
  std::vector<uint32_t> enabled_;  // by state
  std::unordered_map<std::string, Id> known_;
  std::deque<RankStep> steps_;
  FlatMap step_numbers_;  // by state and input, from 1 on
  FlatMap commutes_;      // by state and frame: kYes or kNo
};

}  // namespace farandole::search
