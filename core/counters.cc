#include "core/counters.h"

namespace farandole {
namespace {

// Each step of a tensor follows the one before it, often on another thread. What counts a step
// releases what was counted before, and read() takes the last step first.
void add(std::atomic<uint64_t>& counter, uint64_t value = 1) noexcept {
  counter.fetch_add(value, std::memory_order_release);
}

uint64_t get(const std::atomic<uint64_t>& counter) noexcept {
  return counter.load(std::memory_order_acquire);
}

}  // namespace

void Counters::on(const Event& event) noexcept {
  switch (event.kind) {
    case EventKind::Submitted:
      add(callers_.submitted);
      break;
    case EventKind::Agreed:
      add(engine_.agreed);
      break;
    case EventKind::Rejected:
      if (event.code != Code::PeerLost)
        add(engine_.rejected);
      break;
    case EventKind::BucketEnd:
      count_bucket(event);
      break;
    case EventKind::Settled:
      add(event.code == Code::Ok ? lanes_.settled_ok : lanes_.settled_failed);
      break;
    case EventKind::Announced:
    case EventKind::BucketStart:
    case EventKind::PeerFailed:
    case EventKind::Round:
    case EventKind::Phase:
    case EventKind::RankReady:
      break;
  }
}

void Counters::count_bucket(const Event& event) noexcept {
  add(lanes_.buckets);
  add(lanes_.busy_nanoseconds, static_cast<uint64_t>(event.duration.count()));
  if (event.code == Code::Ok)
    add(lanes_.bytes, event.bytes);
}

Counters::Values Counters::read() const noexcept {
  Values values;
  values.settled_ok = get(lanes_.settled_ok);
  values.settled_failed = get(lanes_.settled_failed);
  values.bytes = get(lanes_.bytes);
  values.busy_nanoseconds = get(lanes_.busy_nanoseconds);
  values.buckets = get(lanes_.buckets);
  values.rejected = get(engine_.rejected);
  values.agreed = get(engine_.agreed);
  values.submitted = get(callers_.submitted);
  return values;
}

}  // namespace farandole
