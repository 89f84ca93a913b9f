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

}  // namespace

ReduceSpec reduce_spec(const CollectiveOp& op, size_t members) noexcept {
  const size_t contributors = op.contributors == 0 ? members : op.contributors;
  return {op.dtype, op.reduce, op.prescale, op.postscale, contributors};
}

Status check_op(const CollectiveOp& op, size_t members) {
  if (reduces(op.kind)) {
    const Status valid = check(reduce_spec(op, members));
    if (!valid)
      return error(
          valid.code(), "{} \"{}\": {}", name_of(op.kind), printable(op.name), valid.message());
  }
  switch (op.kind) {
    case CollectiveKind::Allreduce:
    case CollectiveKind::Barrier:
      return Status::ok();
    case CollectiveKind::Broadcast:
      if (op.root < 0 || static_cast<size_t>(op.root) >= members)
        return bad(op, fmt::format("root {} is not in a group of {}", op.root, members));
      return Status::ok();
    case CollectiveKind::Allgather:
    case CollectiveKind::Reducescatter:
      return check_ragged(op, members);
    case CollectiveKind::Alltoall:
      return check_ragged(op, members * members);
    case CollectiveKind::Join:
    case CollectiveKind::AddProcessSet:
    case CollectiveKind::RemoveProcessSet:
      break;
  }
  return bad(op, "unknown kind");
}

}  // namespace farandole::cpu
