#pragma once
// ShmCommunicator: collectives among ranks of one host through one piece of shared memory.
//
// Every member has a few slots there. An operation is a row of steps with one flag barrier between
// two of them; in a step each member writes to its slot of that step, and reads what others wrote
// in earlier ones. The one rule that keeps operations apart, within one and from one to the next:
// what is written in step t is read in steps t+1 and t+2 at the latest, and a slot is written again
// in step t+slots, which is t+3 or later.

#include <memory>

#include "collectives/cpu/adasum.h"
#include "collectives/cpu/reduce.h"
#include "collectives/shm/segment.h"
#include "collectives/shm/segment_list.h"
#include "collectives/shm/store_policy.h"
#include "collectives/shm/sync.h"
#include "core/base/mutex.h"
#include "core/communicator.h"

namespace farandole::shm {

struct ShmOptions {
  std::vector<Member> members;
  uint32_t index = 0;
  WaitPolicy wait;
  Duration data_timeout{};
  bool oversubscribed = false;  // more ranks than cores
};

// Invalid operations are refused before anything is touched and leave the communicator usable.
class ShmCommunicator final : public Communicator {
 public:
  ShmCommunicator(SharedSegment segment, ShmOptions options);

  Traits traits() const noexcept override { return {"shm", true}; }
  Status run(const CollectiveOp& op, StreamHandle stream) override;
  void abort(Status why) noexcept override;

 private:
  // A part of a chunk: bytes [begin, end).
  struct Part {
    size_t begin = 0, end = 0;
    size_t bytes() const noexcept { return end - begin; }
  };

  Status dispatch(const CollectiveOp& op);
  Status allreduce(const CollectiveOp& op);
  bool goes_in_one_shot() const noexcept;             // what is in list_
  Status allreduce_one_shot(const CollectiveOp& op);  // or a reduce
  Status allreduce_pipelined(const CollectiveOp& op);
  void copy_in(Part chunk, uint64_t step);
  void reduce_own(const CollectiveOp& op, const cpu::Reducer& reducer, Part chunk, uint64_t step);
  void copy_out(Part chunk, uint64_t step);
  Status adasum(const CollectiveOp& op);
  Status broadcast(const CollectiveOp& op);
  Status allgather(const CollectiveOp& op);
  Status reducescatter(const CollectiveOp& op);
  Status alltoall(const CollectiveOp& op);
  Status barrier(const CollectiveOp& op);
  Status reduce(const CollectiveOp& op);
  void reduce_for_root(
      const CollectiveOp& op, const cpu::Reducer& reducer, Part chunk, uint64_t step);
  Status gather(const CollectiveOp& op);
  Status scatter(const CollectiveOp& op);

  // Ends a step; a failure is kept for every later run().
  Status next_step(const CollectiveOp& op);
  Status measure_handoff(const CollectiveOp& op);
  Status failure();
  Status timed_out(const CollectiveOp& op);

  // Bytes of a chunk of `total`, and the part of a chunk that `member` reduces.
  Part part_of(size_t chunk_bytes, uint32_t member) const noexcept;
  size_t region_bytes() const noexcept;
  cpu::StorePolicy policy() const noexcept;
  std::byte* slot(uint32_t member, uint64_t step) const noexcept {
    return segment_.slot(member, step);
  }
  uint32_t size() const noexcept { return segment_.geometry().members; }

  SharedSegment segment_;
  ShmOptions options_;
  FlagBarrier barrier_;
  StoreTuner tuner_;
  Duration waited_{};  // of member 0, for the others to come to the last pipelined allreduce
  uint64_t pipelined_ops_ = 0;
  SegmentList list_;
  cpu::Adasum adasum_;
  std::vector<const void*> sources_;
  Mutex mutex_;
  Status failure_ FARANDOLE_GUARDED_BY(mutex_);
};

}  // namespace farandole::shm
