#include "collectives/cpu/staging.h"

#include <stdexcept>

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
  if (memory_.size() >= bytes)
    return memory_.data();
  try {
    memory_.resize(bytes);
  } catch (const std::bad_alloc&) {
    throw NoStaging(bytes);
  } catch (const std::length_error&) {
    throw NoStaging(bytes);
  }
  return memory_.data();
}

}  // namespace farandole::cpu
