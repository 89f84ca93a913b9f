#include "collectives/gloo/gloo_communicator.h"

#include <gloo/allgatherv.h>
#include <gloo/alltoallv.h>
#include <gloo/barrier.h>
#include <gloo/broadcast.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <numeric>
#include <utility>

#include "collectives/cpu/check_op.h"
#include "collectives/gloo/transport/mesh_failed.h"
#include "core/base/format.h"

namespace farandole::gloo_comm {

using gloo_transport::MeshFailed;

GlooCommunicator::GlooCommunicator(std::shared_ptr<gloo_transport::Mesh> mesh, GlooOptions options)
    : context_(std::make_shared<gloo_transport::GroupContext>(std::move(mesh))),
      options_(options) {}

Status GlooCommunicator::run(const CollectiveOp& op, StreamHandle) {
  if (mesh().failed())
    return mesh().status();
  FARANDOLE_RETURN_IF_ERROR(cpu::check_op(op, size()));
  mesh().set_activity(name_of(op.kind), op.name);
  try {
    dispatch(op);
    // Whoever has returned owes nobody anything, so that no peer waits for this rank's next call.
    mesh().flush();
  } catch (const MeshFailed&) {
    // The mesh knows why.
  } catch (const cpu::NoStaging& none) {
    mesh().abort(none.about(op));
  } catch (const std::bad_alloc&) {
    mesh().abort(
        error(Code::System, "{} \"{}\": out of memory", name_of(op.kind), printable(op.name)));
  } catch (const std::exception& defect) {
    mesh().abort(error(
        Code::Internal, "{} \"{}\": {}", name_of(op.kind), printable(op.name), defect.what()));
  }
  mesh().clear_activity();
  return mesh().status();
}

void GlooCommunicator::dispatch(const CollectiveOp& op) {
  ++operations_;
  const size_t bytes = size_of(op.dtype);
  switch (op.kind) {
    case CollectiveKind::Allreduce:
      if (op.reduce == ReduceOp::Adasum)
        return adasum(op);
      for (const Segment& segment : op.segments) allreduce(op, segment);
      return;
    case CollectiveKind::Broadcast:
      for (const Segment& segment : op.segments) broadcast(op, segment);
      return;
    case CollectiveKind::Allgather: {
      const size_t before =
          std::accumulate(op.counts.begin(), op.counts.begin() + self(), size_t{0});
      uint8_t* out = static_cast<uint8_t*>(op.segments[0].out);
      copy(op.segments[0].in, out + before * bytes, op.counts[self()] * bytes);
      return allgather(out, bytes, op.counts);
    }
    case CollectiveKind::Reducescatter:
      return reducescatter(op, op.segments[0].in, op.segments[0].out, op.counts);
    case CollectiveKind::Alltoall:
      return alltoall(op);
    case CollectiveKind::Barrier:
      return barrier();
    case CollectiveKind::Reduce:
      for (const Segment& segment : op.segments) reduce(op, segment);
      return;
    case CollectiveKind::Gather: {
      std::vector<size_t> sizes(op.counts.begin(), op.counts.end());
      for (size_t& each : sizes) each *= bytes;
      if (op.root == context_->rank)
        copy(
            op.segments[0].in,
            static_cast<uint8_t*>(op.segments[0].out) +
                std::accumulate(sizes.begin(), sizes.begin() + self(), size_t{0}),
            sizes[self()]);
      return gather(op.root, op.segments[0].in, op.segments[0].out, sizes);
    }
    case CollectiveKind::Scatter:
      return scatter(op);
    case CollectiveKind::Message:
    case CollectiveKind::Join:
    case CollectiveKind::AddProcessSet:
    case CollectiveKind::RemoveProcessSet:
      return;  // check_op() has refused them
  }
}

void GlooCommunicator::broadcast(const CollectiveOp& op, const Segment& segment) {
  const size_t bytes = segment.count * size_of(op.dtype);
  const bool is_root = op.root == context_->rank;
  uint8_t* out = static_cast<uint8_t*>(segment.out);
  for (size_t done = 0; done < bytes; done += options_.piece_bytes) {
    const size_t piece = std::min(options_.piece_bytes, bytes - done);
    ::gloo::BroadcastOptions options(context_);
    options.setRoot(op.root);
    options.setTag(operations_);
    if (is_root && segment.in != segment.out)
      options.setInput(const_cast<uint8_t*>(static_cast<const uint8_t*>(segment.in)) + done, piece);
    options.setOutput(out + done, piece);
    ::gloo::broadcast(options);
  }
}

void GlooCommunicator::allgather(void* out, size_t element_bytes, std::span<const size_t> counts) {
  std::vector<size_t> bytes(counts.begin(), counts.end());
  for (size_t& each : bytes) each *= element_bytes;
  if (std::all_of(bytes.begin(), bytes.end(), [](size_t each) { return each == 0; }))
    return;
  ::gloo::AllgathervOptions options(context_);
  options.setTag(operations_);
  options.setOutput(static_cast<uint8_t*>(out), std::move(bytes));
  ::gloo::allgatherv(options);
}

void GlooCommunicator::alltoall(const CollectiveOp& op) {
  const auto bytes = static_cast<int64_t>(size_of(op.dtype));
  std::vector<int64_t> sent(size()), received(size());
  for (size_t other = 0; other < size(); ++other) {
    sent[other] = static_cast<int64_t>(op.counts[self() * size() + other]) * bytes;
    received[other] = static_cast<int64_t>(op.counts[other * size() + self()]) * bytes;
  }
  const Segment& segment = op.segments[0];
  ::gloo::AlltoallvOptions options(context_);
  options.setTag(operations_);
  options.setInput(const_cast<uint8_t*>(static_cast<const uint8_t*>(segment.in)), std::move(sent));
  options.setOutput(static_cast<uint8_t*>(segment.out), std::move(received));
  ::gloo::alltoallv(options);
}

void GlooCommunicator::barrier() {
  ::gloo::BarrierOptions options(context_);
  options.setTag(operations_);
  ::gloo::barrier(options);
}

void GlooCommunicator::copy(const void* in, void* out, size_t bytes) {
  if (in == out)
    return;
  for (size_t done = 0; done < bytes; done += options_.piece_bytes) {
    check_going();
    std::memcpy(
        static_cast<uint8_t*>(out) + done,
        static_cast<const uint8_t*>(in) + done,
        std::min(options_.piece_bytes, bytes - done));
  }
}

void GlooCommunicator::scale(const cpu::ReduceSpec& spec, const void* in, void* out, size_t count) {
  const size_t element = size_of(spec.dtype);
  if (cpu::is_identity(spec))
    return copy(in, out, count * element);
  const cpu::Reducer reducer(spec);
  const size_t piece = std::max<size_t>(1, options_.piece_bytes / element);
  for (size_t done = 0; done < count; done += piece) {
    check_going();
    const void* source = static_cast<const uint8_t*>(in) + done * element;
    reducer.to(
        static_cast<uint8_t*>(out) + done * element, {&source, 1}, std::min(piece, count - done));
  }
}

void GlooCommunicator::check_going() {
  if (mesh().failed())
    throw MeshFailed(mesh().status().to_string());
}

}  // namespace farandole::gloo_comm
