#pragma once
// Observer: how timeline, metrics and tests watch the engine without it knowing them.

#include <cstdint>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/base/types.h"

namespace farandole {

enum class EventKind : uint8_t {
  Submitted,    // a tensor entered the engine
  Announced,    // handed to the control plane
  Agreed,       // ready on every rank, in the round `number`
  Rejected,     // ranks disagree
  BucketStart,  // a bucket begins to move; `bytes` and `tensors` are the bucket's
  BucketEnd,    // and has moved; `code` says how it ended
  Settled,      // a tensor's ticket settled; `code` says how
  PeerFailed,   // `name` is the cause; `number` the rank, or what -1 is as one
  Round,        // a round of agreement has come; `number` is its own
  Phase,        // a tensor of a bucket begins with `phase`
  RankReady,    // in rank 0: rank `number` has announced a tensor
};

// What becomes of a tensor while its bucket moves.
enum class Phase : uint8_t {
  Forming,    // the communicator is made, with the first bucket
  Packing,    // into one piece, for a communicator that wants one
  Moving,     // `name` is the communicator's
  Unpacking,  // the reverse of Packing
  Ended,      // none
};

struct Event {
  EventKind kind = EventKind::Submitted;
  TimePoint when;
  std::string_view name;  // valid during the call only
  CollectiveKind collective = CollectiveKind::Allreduce;
  size_t bytes = 0;
  size_t tensors = 1;
  Duration duration{0};  // of BucketEnd
  Code code = Code::Ok;
  Phase phase = Phase::Ended;
  DType dtype = DType::Float32;  // of Submitted
  uint64_t number = 0;
  uint64_t mark = 0;  // what Timeline::mark() gave for the tensor
};

// Called from engine and lane threads: be quick, never block, never call back into the session.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on(const Event& event) noexcept = 0;
};

}  // namespace farandole
