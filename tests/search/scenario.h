#pragma once
// Scenario: what happens in a job, but not when: what each rank submits, and which faults strike.
// The search tries every order.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/protocol/limits.h"
#include "core/request.h"

namespace farandole::search {

inline constexpr int kRanks = 3;

// Where what belongs to a rank stands in an array of all.
inline size_t at(int rank) {
  return static_cast<size_t>(rank);
}

// Why a rank or the coordinator is said to be silent.
inline constexpr char kSilent[] = "no heartbeat for 3.0 s";

template <typename T>
using PerRank = std::array<T, kRanks>;

// Process set 1; set 0 has all ranks, and 2 and above those that scenarios add: ranks 0 and 1.
inline const std::vector<int> kPair = {1, 2};
inline constexpr uint32_t kFirstAdded = 2;

// A tensor once submitted. `after`: its name was used by that earlier one, which must have been
// answered before.
struct Op {
  std::string name;
  uint32_t process_set = 0;
  PerRank<Signature> signature;  // of those who take part
  int after = -1;
  uint32_t ends = 0;       // ops whose names it takes up, too: a bit each
  PerRank<bool> unlike{};  // ranks that mean something else by the name of the group
};

enum class FaultKind : uint8_t {
  Kill,      // rank dies: its connections end once what it has sent is read
  CutUp,     // the connection towards rank 0 breaks: what is sent later is lost, then the end
  CutDown,   // the connection from rank 0 likewise
  Silent,    // rank 0 gives `rank` up for silence
  GiveUp,    // `rank` gives rank 0 up for silence
  Leave,     // `rank` says goodbye, and stops once that is acknowledged and it has finished
  Mismatch,  // `rank` submits tensor `other` with another shape than the rest
  Accuse,    // `rank` reports that `other` does not answer
  Busy,      // rank 0 has two rounds to do, for a while
};

struct Fault {
  FaultKind kind;
  int rank = 0;
  int other = 0;
};

// Store requests: rank 1 waits for a key, rank 2 sets it.
struct Scenario {
  std::string name;
  control::Limits limits;
  std::vector<Op> ops;
  std::vector<Fault> faults;
  bool store = false;
  bool probe = false;  // try forged frames and quotas in every state, too

  static constexpr uint64_t kJob = 0x10B;
  static constexpr uint64_t incarnation(int rank) { return 1000 + static_cast<uint64_t>(rank); }

  bool has(FaultKind kind, int rank) const;
};

// Scenarios with no fault, every fault and every pair of faults, of one job each.
std::vector<Scenario> agreement_scenarios();  // three tensors, one of them of two ranks, one ragged
std::vector<Scenario> cache_scenarios();      // names that come again, with room for one id
std::vector<Scenario> store_scenarios();      // a tensor, and a rank that waits for another's value
std::vector<Scenario> set_scenarios();        // a set that is added, used, removed and added again
// The rows of one rank, to whom the others only answer, with room for one id.
std::vector<Scenario> scatter_scenarios();
// With one fault at most: tensors that some join without. Without any: likewise, with room for one
// id.
std::vector<Scenario> join_scenarios();
// With one fault at most: messages of one name both ways, with memory for what was sent before.
// Without any: one whose end may join.
std::vector<Scenario> message_scenarios();

// Ranks that mean a group, another group and one tensor by one name, which all take up again then;
// and such of whom one may join.
std::vector<Scenario> group_scenarios();

inline bool is_member(uint32_t process_set, int rank) {
  return process_set == 0 || rank != (process_set == 1 ? 0 : 2);
}
// Whether a tensor of that name is the rank's, too: a message is that of its ends.
bool takes_part(uint32_t process_set, const std::string& name, int rank);
inline bool submits(const Op& op, int rank) {
  return takes_part(op.process_set, op.name, rank) && !op.unlike[at(rank)];
}
// Of each rank that has submitted it.
using Signatures = PerRank<std::optional<Signature>>;
Signatures all_of(const PerRank<Signature>& signature);
// Whether the members' signatures fit together, and the extents then, 0 for those without one. A
// rule of its own, by which the protocol's validation is judged.
std::optional<std::vector<int64_t>> agreed_extents(
    uint32_t process_set, const Signatures& signature);

}  // namespace farandole::search
