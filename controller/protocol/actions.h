#pragma once
// Actions: what a state machine asks its driver to do, in order.

#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controller/protocol/messages.h"
#include "controller/protocol/stalls.h"
#include "core/agreement.h"

namespace farandole::control {

// Queue `bytes` on the control connection with `rank` (a worker's is always 0). On rank 0 its own
// worker and coordinator talk to each other by the same bytes.
struct SendTo {
  int rank = 0;
  Bytes bytes;
  bool operator==(const SendTo&) const = default;
};

// To the sink's on_agreement.
struct Deliver {
  Agreement agreement;
  bool operator==(const Deliver&) const = default;
};

// To the sink's on_failure.
struct Fail {
  PeerFailure failure;
  bool operator==(const Fail&) const = default;
};

// Answer of a store request that this rank made.
struct StoreReply {
  uint64_t request = 0;
  Status status;
  Bytes value;
  bool operator==(const StoreReply&) const = default;
};

// Close the connection with `rank` once what is queued on it has been sent.
struct CloseRank {
  int rank = 0;
  std::string cause;
  bool operator==(const CloseRank&) const = default;
};

// The group is complete.
struct Formed {
  uint32_t epoch = 0;
  std::vector<Member> members;
  bool operator==(const Formed&) const = default;
};

// The group will not form.
struct NotFormed {
  Status why;
  bool operator==(const NotFormed&) const = default;
};

// Of the coordinator: to be told to whoever reads the log of rank 0.
struct TellStalls {
  StallReport report;
  bool operator==(const TellStalls&) const = default;
};
// Of a worker: say where this rank's threads are, to Worker::answer().
struct Testify {
  uint64_t number = 0;
  bool operator==(const Testify&) const = default;
};

using Action = std::
    variant<SendTo, Deliver, Fail, StoreReply, CloseRank, Formed, NotFormed, TellStalls, Testify>;
using Actions = std::vector<Action>;

}  // namespace farandole::control
