#pragma once
// Completion: the one place where tensors end. Tells the observers, frees the name, settles the
// ticket, in this order, so that a caller woken by its ticket may use the name again, and whoever
// submits that name next is heard of later.

#include <new>
#include <utility>

#include "core/emitter.h"
#include "core/name_registry.h"
#include "core/pending.h"

namespace farandole {

// Thread: any. Needs no memory, so that whatever has failed, this does not.
class Completion {
 public:
  Completion(NameRegistry& names, const Emitter& emitter) : names_(names), emitter_(emitter) {}

  // Where there is no memory for a better text.
  static Status no_memory() noexcept { return {Code::System, "no memory"}; }

  static Status copy_of(const Status& status) noexcept {
    try {
      return status;
    } catch (const std::bad_alloc&) {
      return no_memory();
    }
  }

  // `when`: if known.
  void settle(
      PendingOp op, Status status, Outcome outcome = {}, TimePoint when = TimePoint()) noexcept {
    if (op.stands_in())
      return;
    const Signature& signature = op.request.signature;
    emitter_.emit(
        {.kind = EventKind::Settled,
         .when = when,
         .name = op.request.name,
         .collective = signature.kind,
         .code = status.code(),
         .mark = op.mark});
    names_.release(signature.process_set, op.request.name);
    op.ticket->settle(std::move(status), std::move(outcome));
  }

 private:
  NameRegistry& names_;
  const Emitter& emitter_;
};

}  // namespace farandole
