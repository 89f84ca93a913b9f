#include "collectives/cpu/staging.h"

#include <new>
#include <utility>

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
  std::unique_ptr<uint8_t[]> memory(new (std::nothrow) uint8_t[bytes]);
  if (!memory)
    throw NoStaging(bytes);
  memory_ = std::move(memory);
  bytes_ = bytes;
  return memory_.get();
}

}  // namespace farandole::cpu
