#pragma once
// HierarchicalCommunicator: collectives of several hosts, made of communicators inside each host
// and across hosts, so that what many ranks of a host have in common crosses the network once.
//
//   allreduce      local reducescatter, allreduce of each stream's part across, local allgather
//   broadcast      local on the root's host; each stream's part across; local allgather elsewhere
//   reducescatter  local, then across; where hosts differ in size, the one stream's member hands
//                  out the parts
//   barrier        local, across, local
//   reduce         local reducescatter, reduce of each stream's part across to the root's host,
//                  local gather there
//   allgather, alltoall, gather, scatter  flat: every byte is wanted by other hosts as it is, so
//   that a ring in
//                  member order, or direct sends, cross the network no more often; and no copy to
//                  another order is needed
//   allreduce by Adasum  flat, because it consists of these
// (See Layout for streams.) Half types are widened to float32 before the first step and rounded
// after the last. An Average of integers goes flat: the sum of a host may not fit in the dtype.

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "collectives/cpu/reduce.h"
#include "collectives/cpu/staging.h"
#include "collectives/hierarchical/layout.h"
#include "core/base/mutex.h"
#include "core/communicator.h"

namespace farandole::hierarchical {

struct Parts {
  Layout layout;
  std::unique_ptr<Communicator> local;   // members of the host, in layout order
  std::unique_ptr<Communicator> across;  // of the stream, in host order; null where in none
  std::unique_ptr<Communicator> flat;    // all members
  size_t staging_bytes = 0;              // bound of the memory for widening and reordering
};

class HierarchicalCommunicator final : public Communicator {
 public:
  HierarchicalCommunicator(Parts parts, size_t members);

  Traits traits() const noexcept override { return {"hierarchical", false}; }
  Status run(const CollectiveOp& op, StreamHandle stream) override;
  void abort(Status why) noexcept override;

 private:
  // How an operation's arithmetic is spread over the steps.
  struct Arithmetic {
    explicit Arithmetic(const CollectiveOp& op, size_t members);
    bool widened;
    DType dtype;        // in which it is computed
    ReduceOp pairwise;  // Sum for Average
    double prescale;    // in the first step
    cpu::ReduceSpec last;
  };
  struct Round;

  Status dispatch(const CollectiveOp& op);
  Status allreduce(const CollectiveOp& op, const Segment& segment);
  Status allreduce_widened(const CollectiveOp& op, const Segment& segment);
  // Leaves the result of the own part in `own`; in place where `in` holds it. `root_host`: the host
  // that gets it, unless all do.
  Status reduce_own_part(
      const CollectiveOp& op,
      const Arithmetic& how,
      const void* in,
      void* own,
      std::span<const size_t> parts,
      std::optional<size_t> root_host = {});
  Status reduce(const CollectiveOp& op, const Segment& segment);
  Status reduce_round(const CollectiveOp& op, const Arithmetic& how, uint8_t* data, size_t count);
  Status broadcast(const CollectiveOp& op, const Segment& segment);
  Status reducescatter(const CollectiveOp& op);
  void pack(const CollectiveOp& op, const Arithmetic& how, const Round& round);
  Status reduce_round(const CollectiveOp& op, const Arithmetic& how, const Round& round);
  Status hand_out(const CollectiveOp& op, const Arithmetic& how, const Round& round);
  Status barrier(const CollectiveOp& op);

  Status gather_locally(const CollectiveOp& op, void* out, DType dtype, size_t count);
  Status run_local(CollectiveOp op, const Segment& segment, std::span<const size_t> counts);
  Status run_across(CollectiveOp op, const Segment& segment, std::span<const size_t> counts);
  Status apply(const cpu::ReduceSpec& spec, void* data, size_t count);

  Status failure();
  void fail(const Status& why) noexcept;

  const Parts parts_;
  const size_t members_;
  cpu::Staging staging_;
  Mutex mutex_;
  Status failure_ FARANDOLE_GUARDED_BY(mutex_);
};

}  // namespace farandole::hierarchical
