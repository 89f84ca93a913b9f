#pragma once
// TimelineWriter: the thread that turns a recording's records into its file.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/bounded_thread.h"
#include "core/base/mutex.h"
#include "core/timeline_file.h"
#include "core/timeline_names.h"
#include "core/timeline_ring.h"
#include "core/timeline_text.h"

namespace farandole {

// What those who record share with the thread that writes. Stays while either is there.
struct TimelineShared {
  explicit TimelineShared(size_t records) : ring(records), urgent_at(records / 4) {}

  // A recording begins, or the next one. Requires: no thread writes.
  void begin() FARANDOLE_EXCLUDES(mutex);
  // There is something to write, or so much that it is urgent.
  void call_writer(bool much) noexcept FARANDOLE_EXCLUDES(mutex);

  TimelineRing ring;
  TimelineNames names;
  std::atomic<uint64_t> lost{0};     // records for which the ring had no room
  std::atomic<uint64_t> unnamed{0};  // tensors that were not recorded for want of room for names
  // The writer has found nothing and sleeps, or is about to look once more and then sleep.
  std::atomic<bool> idle{false};
  const uint64_t urgent_at;  // records after each so many the writer is hurried

  Mutex mutex;
  CondVar wake;
  bool work FARANDOLE_GUARDED_BY(mutex) = false;   // there is something
  bool hurry FARANDOLE_GUARDED_BY(mutex) = false;  // there is a lot
  bool stopping FARANDOLE_GUARDED_BY(mutex) = false;
};

// Thread: one at a time.
class TimelineWriter {
 public:
  // Fails: throws Refusal where there is no thread.
  TimelineWriter(
      std::shared_ptr<TimelineShared> shared,
      TimelineFile file,
      TimelineText text,
      uint32_t recording);
  // Everything recorded before is written, and the thread has ended; false at the deadline, where
  // the file still blocks it and it goes on by itself.
  bool finish(TimePoint deadline) noexcept;

 private:
  const std::shared_ptr<TimelineShared> shared_;
  BoundedThread thread_;
};

}  // namespace farandole
