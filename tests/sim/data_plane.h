#pragma once
// DataPlane: what executing an operation means to the control protocol, and no more: a rank that
// begins it waits for all other members; it finds broken connections, and silence after a while.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "controller/protocol/key.h"
#include "core/agreement.h"
#include "tests/sim/network.h"
#include "tests/sim/process.h"

namespace farandole::sim {

class DataPlane {
 public:
  // nullopt: done. Else whom this rank finds at fault.
  using Done = std::function<void(std::optional<PeerFailure>)>;

  DataPlane(Network& network, std::vector<Process*> processes, Duration timeout)
      : network_(network),
        processes_(std::move(processes)),
        timeout_(timeout),
        over_(processes_.size()) {}

  // The index-th operation of the process set on this rank.
  void begin(
      int rank,
      const control::Key& key,
      uint64_t index,
      const std::vector<int>& members,
      Done done);
  // Another process is the rank, which had not begun anything.
  void replace(int rank, Process* process);
  // The connections between the two find themselves reset, and stay so: what both take part in
  // fails on both, which blame each other; the other members wait.
  void reset_between(int a, int b);
  // The rank's part in everything is over; whoever waits for it finds `culprit` at fault.
  void end(int rank, int culprit);

 private:
  struct Waiting {
    bool begun = false;
    bool done = false;
    Done tell;
  };
  struct Operation {
    std::vector<int> members;
    std::map<int, Waiting> parts;  // by rank
    size_t begun = 0;
  };
  using Id = std::pair<uint32_t, uint64_t>;  // process set, index

  void complete(const Id& id);
  void finish(const Id& id, int rank, std::optional<PeerFailure> found);
  // It finds `culprit` at fault, when `from` or what lies between has told.
  void break_off(const Id& id, int rank, int from, int culprit);
  bool break_what_is_reset(const Id& id);
  void watch_silence(const Id& id, int rank);

  Network& network_;
  std::vector<Process*> processes_;
  Duration timeout_;
  std::map<Id, Operation> operations_;
  std::vector<std::optional<int>> over_;  // by rank: whom to blame
  std::set<std::pair<int, int>> reset_;
};

}  // namespace farandole::sim
