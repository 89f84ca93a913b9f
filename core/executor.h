#pragma once
// Executor: carries out the agreed buckets of one group. Forms the communicator with the first
// bucket, allocates results, packs for a communicator that wants one piece, settles the tickets.

#include <functional>
#include <memory>
#include <vector>

#include "core/base/mutex.h"
#include "core/communicator.h"
#include "core/completion.h"
#include "core/device.h"
#include "core/layout.h"
#include "core/pending.h"

namespace farandole {

class BucketPhases;

// Thread: execute() from one thread at a time (the group's lane); abort() from any.
class Executor {
 public:
  // Called on the lane; the interrupt is triggered by abort().
  using Connect =
      std::function<Result<std::unique_ptr<Communicator>>(std::shared_ptr<const Interrupt>)>;
  // Called on the lane with tensors that a collective failed to finish; the engine settles them
  // once the job's verdict is known. Must not throw.
  using Broken = std::function<void(Bucket, Status)>;

  struct Parts {
    Connect connect;
    Broken broken;
    Device* device = nullptr;  // outlives the executor
    Completion* completion = nullptr;
    const Emitter* emitter = nullptr;
    int index = 0;
    std::vector<int> members;  // global ranks, in group order
  };

  explicit Executor(Parts parts) : parts_(std::move(parts)) {}

  // True when every tensor has been settled, false when they went to `broken`. Needs no memory to
  // do either.
  bool execute(Bucket bucket) noexcept;
  // Nothing follows: gives the communicator back. On the lane.
  void retire();
  // A running and every later execute() fails with `why`, within 100 ms. First call wins.
  void abort(Status why);

 private:
  struct Plan;
  Status connected(const BucketPhases& phases);
  Result<Plan> plan(const Bucket& bucket);
  Status stand_in(const Request& request, Segment& segment, size_t result_bytes, Plan& plan);
  Status run(Plan& plan, const CollectiveOp& op, StreamHandle stream, const BucketPhases& phases);
  Result<void*> staging(size_t bytes);
  int index_of(int rank) const;

  const Parts parts_;
  Mutex mutex_;
  std::unique_ptr<Communicator> communicator_ FARANDOLE_GUARDED_BY(mutex_);
  std::shared_ptr<Interrupt> forming_ FARANDOLE_GUARDED_BY(mutex_);  // while connect runs
  Status aborted_ FARANDOLE_GUARDED_BY(mutex_);
  Communicator* lane_communicator_ = nullptr;  // the lane's own view: no lock on the data path
  Buffer staging_;
};

}  // namespace farandole
