#include "collectives/cpu/check_op.h"

#include "core/base/format.h"

namespace farandole::cpu {
namespace {

Status bad(const CollectiveOp& op, std::string_view what) {
  return error(Code::InvalidArgument, "{} \"{}\": {}", name_of(op.kind), printable(op.name), what);
}

Status check_ragged(const CollectiveOp& op, size_t counts_wanted) {
  if (op.segments.size() != 1)
    return bad(op, fmt::format("{} segments given, 1 is wanted", op.segments.size()));
  if (op.counts.size() != counts_wanted)
    return bad(op, fmt::format("{} counts given, {} are wanted", op.counts.size(), counts_wanted));
  return Status::ok();
}

// Of what is no operation on elements, whose arithmetic check() does not know.
Status check_whole(const CollectiveOp& op) {
  if (is_elementwise(op.reduce))
    return Status::ok();
  if (!takes(op.kind, op.reduce))
    return bad(op, fmt::format("{} belongs to allreduce alone", name_of(op.reduce)));
  if (has_meaning(op.reduce, op.dtype))
    return Status::ok();
  return error(
      Code::Unsupported,
      "{} \"{}\": {} has no meaning for {}",
      name_of(op.kind),
      printable(op.name),
      name_of(op.reduce),
      name_of(op.dtype));
}

}  // namespace

ReduceSpec reduce_spec(const CollectiveOp& op, size_t members) noexcept {
  const size_t contributors = op.contributors == 0 ? members : op.contributors;
  const ReduceOp reduce = is_elementwise(op.reduce) ? op.reduce : ReduceOp::Sum;
  return {op.dtype, reduce, op.prescale, op.postscale, contributors};
}

Status check_op(const CollectiveOp& op, size_t members) {
  if (reduces(op.kind)) {
    FARANDOLE_RETURN_IF_ERROR(check_whole(op));
    const Status valid = check(reduce_spec(op, members));
    if (!valid)
      return error(
          valid.code(), "{} \"{}\": {}", name_of(op.kind), printable(op.name), valid.message());
  }
  if (has_root(op.kind) && (op.root < 0 || static_cast<size_t>(op.root) >= members))
    return bad(op, fmt::format("root {} is not in a group of {}", op.root, members));
  switch (op.kind) {
    case CollectiveKind::Allreduce:
    case CollectiveKind::Barrier:
    case CollectiveKind::Broadcast:
    case CollectiveKind::Reduce:
      return Status::ok();
    case CollectiveKind::Allgather:
    case CollectiveKind::Reducescatter:
    case CollectiveKind::Gather:
    case CollectiveKind::Scatter:
      return check_ragged(op, members);
    case CollectiveKind::Alltoall:
      return check_ragged(op, members * members);
    case CollectiveKind::Message:
    case CollectiveKind::Join:
    case CollectiveKind::AddProcessSet:
    case CollectiveKind::RemoveProcessSet:
      break;
  }
  return bad(op, "unknown kind");
}

}  // namespace farandole::cpu
