#include "collectives/cpu/staging.h"

#include "core/base/format.h"

namespace farandole::cpu {

Status NoStaging::about(const CollectiveOp& op) const {
  return error(
      Code::System,
      "{} \"{}\": no memory for {} bytes of staging; free some, or let fewer ranks share the host",
      name_of(op.kind),
      printable(op.name),
      bytes_);
}

uint8_t* Staging::take(size_t bytes) {
  if (bytes_ >= bytes)
    return memory_.get();
  try {
    memory_ = std::make_unique_for_overwrite<uint8_t[]>(bytes);
  } catch (const std::bad_alloc&) {
    throw NoStaging(bytes);
  }
  bytes_ = bytes;
  return memory_.get();
}

}  // namespace farandole::cpu
