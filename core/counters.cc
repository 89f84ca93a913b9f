#include "core/counters.h"

namespace farandole {

void Counters::on(const Event& event) noexcept {
  constexpr auto relaxed = std::memory_order_relaxed;
  switch (event.kind) {
    case EventKind::Submitted:
      submitted_.fetch_add(1, relaxed);
      break;
    case EventKind::Agreed:
      agreed_.fetch_add(1, relaxed);
      break;
    case EventKind::Rejected:
      rejected_.fetch_add(1, relaxed);
      break;
    case EventKind::BucketEnd:
      buckets_.fetch_add(1, relaxed);
      bytes_.fetch_add(event.code == Code::Ok ? event.bytes : 0, relaxed);
      busy_nanoseconds_.fetch_add(static_cast<uint64_t>(event.duration.count()), relaxed);
      break;
    case EventKind::Settled:
      (event.code == Code::Ok ? settled_ok_ : settled_failed_).fetch_add(1, relaxed);
      break;
    case EventKind::Announced:
    case EventKind::BucketStart:
    case EventKind::PeerFailed:
      break;
  }
}

Counters::Values Counters::read() const noexcept {
  return {
      submitted_,
      agreed_,
      rejected_,
      settled_ok_,
      settled_failed_,
      buckets_,
      bytes_,
      busy_nanoseconds_};
}

}  // namespace farandole
