#pragma once
// What the ranks agreed upon: which tensors are ready everywhere, in the one order all execute.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/request.h"

namespace farandole {

// What members that have joined need to take part in an operation that they did not submit: they
// put in what changes nothing, and throw away what comes out.
struct StandIn {
  Signature signature;        // of the first member that submitted it
  uint32_t contributors = 0;  // members that did; what an average divides by
  bool operator==(const StandIn&) const = default;
};

// An operation that every member of its process set has announced with compatible signatures, or
// has joined; a message: that both its ends have announced so.
struct ReadyOp {
  std::string name;
  uint32_t process_set = 0;
  // What differs between ranks, in member order. allgather, gather: rows of each member (n values);
  // alltoall: rows from each member to each (n*n values, [source][destination]); scatter: the
  // dtype, the root's number (0 where it has none), the rows for each member and what follows the
  // first dimension (2 + n + d-1 values); message: dtype, number and shape (2 + d values); join:
  // the rank that joined last; add_process_set: the id of the new set; else empty.
  std::vector<int64_t> extents;
  std::optional<StandIn> stand_in;  // where a member has joined and submitted nothing

  bool operator==(const ReadyOp&) const = default;
};

// A tensor that ends with the same error on every member; touches no other tensor.
struct Rejection {
  std::string name;
  uint32_t process_set = 0;
  Status why;

  bool operator==(const Rejection&) const = default;
};

// One round. Rounds arrive on every rank in the same order, with the same content; fusion never
// reaches across rounds.
struct Agreement {
  uint32_t epoch = 0;
  uint64_t round = 0;
  std::vector<ReadyOp> ready;
  std::vector<Rejection> rejected;

  bool operator==(const Agreement&) const = default;
};

// Why a rank can take part no longer. `left`: it shut down in order; what was agreed before still
// completes, what was not fails. Otherwise it is lost: everything fails at once.
struct PeerFailure {
  int rank = -1;  // -1: the group as a whole
  std::string host;
  std::string cause;
  Code code = Code::PeerLost;
  bool left = false;

  bool operator==(const PeerFailure&) const = default;
};

}  // namespace farandole
