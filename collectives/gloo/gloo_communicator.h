#pragma once
// GlooCommunicator: collectives among members of any hosts, with Gloo's algorithms over our own
// connections (transport/).
//
//   allreduce      few bytes: everybody sends everything to everybody and reduces in member order;
//                  more: Gloo's bcube; many: Gloo's ring. Where partial results do not fit in the
//                  dtype (half types, an Average of integers): direct reducescatter, then Gloo's
//                  allgatherv in place. Adasum: alltoall and allgathers (collectives/cpu/adasum.h).
//   reducescatter  direct: each part goes straight to its owner, who reduces in member order.
//                  Gloo's newer interface has none.
//   broadcast      Gloo's tree, in pieces, so that members pass one on while they receive the next.
//   allgather, alltoall, barrier: Gloo's allgatherv, alltoallv, barrier.
//   reduce         few bytes: direct reducescatter of which the root has the only part; more: one
//   of
//                  equal parts, which then go to the root. Every element is reduced by one member.
//   gather, scatter  direct: the root receives from all, or sends to all, at once.
// Reductions use our own kernels, for all dtypes.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "collectives/cpu/adasum.h"
#include "collectives/cpu/reduce.h"
#include "collectives/cpu/staging.h"
#include "collectives/gloo/transport/gloo_transport.h"
#include "core/communicator.h"

namespace farandole::gloo_comm {

// Where one way of doing it ends and another begins. Equal on all members.
struct GlooOptions {
  size_t one_shot_bytes = 4 << 10;  // allreduce of at most so much is sent to all
  size_t bcube_bytes = 64 << 10;    // and up to here goes through the bcube
  size_t piece_bytes = 1 << 20;     // of a broadcast; what is copied or scaled between two looks
                                    // at whether to go on
  size_t staging_bytes = 8 << 20;   // most memory for what has come and waits to be reduced
};

class GlooCommunicator final : public Communicator {
 public:
  GlooCommunicator(std::shared_ptr<gloo_transport::Mesh> mesh, GlooOptions options);

  Traits traits() const noexcept override { return {"gloo", false}; }
  // Invalid operations are refused before anything is touched and leave the communicator usable.
  Status run(const CollectiveOp& op, StreamHandle stream) override;
  void abort(Status why) noexcept override { mesh().abort(std::move(why)); }

 private:
  gloo_transport::Mesh& mesh() noexcept { return context_->mesh(); }
  size_t size() const noexcept { return static_cast<size_t>(context_->size); }
  size_t self() const noexcept { return static_cast<size_t>(context_->rank); }

  // All below throw what the transport throws.
  void dispatch(const CollectiveOp& op);
  void allreduce(const CollectiveOp& op, const Segment& segment);
  void allreduce_one_shot(const CollectiveOp& op, const Segment& segment);
  void allreduce_by_gloo(const CollectiveOp& op, const Segment& segment);
  void allreduce_direct(const CollectiveOp& op, const Segment& segment);
  void adasum(const CollectiveOp& op);
  void reducescatter(
      const CollectiveOp& op, const void* in, void* out, std::span<const size_t> counts);
  void broadcast(const CollectiveOp& op, const Segment& segment);
  // Own part of `out` is in place.
  void allgather(void* out, size_t element_bytes, std::span<const size_t> counts);
  void alltoall(const CollectiveOp& op);
  void reduce(const CollectiveOp& op, const Segment& segment);
  void reduce_slice(const CollectiveOp& op, const void* in, void* out, size_t count);
  // Bytes of each member; `out` is the root's, in whose place there its own part is.
  void gather(int root, const void* in, void* out, std::span<const size_t> bytes);
  void scatter(const CollectiveOp& op);
  void barrier();

  // In pieces, looking in between whether to go on. Overlap is allowed where in == out.
  void copy(const void* in, void* out, size_t bytes);
  void scale(const cpu::ReduceSpec& spec, const void* in, void* out, size_t count);
  void check_going();

  const std::shared_ptr<gloo_transport::GroupContext> context_;
  const GlooOptions options_;
  cpu::Staging staging_;
  cpu::Adasum adasum_;
  cpu::Staging part_;        // of a reduce: what this member has reduced
  uint32_t operations_ = 0;  // numbers the slots, so that no operation takes another one's data
};

}  // namespace farandole::gloo_comm
