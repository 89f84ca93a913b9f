#pragma once
// BucketPhases: tells what the tensors of a bucket go through while it moves.

#include "core/emitter.h"
#include "core/pending.h"

namespace farandole {

// Thread: one. Costs nothing where no timeline is recorded.
class BucketPhases {
 public:
  // `bucket` outlives this.
  BucketPhases(const Emitter& emitter, const Bucket& bucket) : emitter_(emitter), bucket_(bucket) {}

  // `by`: the communicator, of Phase::Moving.
  void enter(Phase phase, std::string_view by = {}) const noexcept {
    if (!emitter_.recorded())
      return;
    Event event{.kind = EventKind::Phase, .when = steady_now(), .name = by, .phase = phase};
    event.number = by.empty() ? TimelineNames::kNone : emitter_.label(by);
    for (const ReadyTensor& tensor : bucket_) {
      event.mark = tensor.op.mark;
      if (event.mark != 0)
        emitter_.emit(event);
    }
  }

 private:
  const Emitter& emitter_;
  const Bucket& bucket_;
};

}  // namespace farandole
