#pragma once
// entered(): the first step of a tensor, of which the observers hear.

#include <utility>

#include "core/emitter.h"
#include "core/pending.h"

namespace farandole {

// Needs no memory.
inline PendingOp entered(
    Request request, TicketPtr ticket, TimePoint when, const Emitter& emitter) noexcept {
  const Signature& s = request.signature;
  const uint64_t mark = emitter.mark(s.process_set, request.name);
  emitter.emit(
      {.kind = EventKind::Submitted,
       .when = when,
       .name = request.name,
       .collective = s.kind,
       .bytes = mark == 0 ? 0 : static_cast<size_t>(element_count(s.shape)) * size_of(s.dtype),
       .dtype = s.dtype,
       .mark = mark});
  return {std::move(request), std::move(ticket), mark};
}

}  // namespace farandole
