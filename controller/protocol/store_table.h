#pragma once
// StoreTable: the coordinator's key-value space: keys are set once, gets wait until they are.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controller/protocol/messages.h"

namespace farandole::control {

// One answer to one rank.
struct StoreAnswer {
  int rank = 0;
  uint64_t request = 0;
  Status status;
  Bytes value;
  bool operator==(const StoreAnswer&) const = default;
};
using StoreAnswers = std::vector<StoreAnswer>;

// Fails (all functions): a rank went over its quota of bytes, keys or waits, waits twice for one
// key, or used a request number twice; honest ranks never do, so the caller fails the job.
class StoreTable {
 public:
  explicit StoreTable(const Limits& limits);

  // Answers the setter, and everybody who waited for the key.
  Result<StoreAnswers> set(int rank, StoreSet message);
  Result<StoreAnswers> get(int rank, StoreGet message);
  void cancel(int rank, uint64_t request);
  // Drops the waits of a rank that left; its values stay.
  void forget(int rank);

  // What all ranks have published, and how many gets wait.
  size_t bytes() const noexcept;
  size_t waits() const noexcept;

 private:
  friend struct StateAccess;  // of tests: copies and compares states
  struct Usage {
    size_t bytes = 0;
    size_t keys = 0;
    std::map<uint64_t, std::string> waits;  // request -> key
  };
  struct Waiter {
    int rank = 0;
    uint64_t request = 0;
    bool operator==(const Waiter&) const = default;
  };

  size_t max_bytes_;
  std::vector<Usage> usage_;  // by rank
  std::map<std::string, Bytes> values_;
  std::map<std::string, std::vector<Waiter>> waiting_;
};

}  // namespace farandole::control
