#pragma once
// TimelineWriter: the thread that turns a recording's records into its file.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
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
  CondVar wake;                                    // the writer
  CondVar opened;                                  // whoever waits for `outcome`
  bool work FARANDOLE_GUARDED_BY(mutex) = false;   // there is something
  bool hurry FARANDOLE_GUARDED_BY(mutex) = false;  // there is a lot
  bool stopping FARANDOLE_GUARDED_BY(mutex) = false;
  std::optional<Status> outcome FARANDOLE_GUARDED_BY(mutex);  // of opening the file
};

// What is recorded, and where to.
struct Recording {
  std::string path;
  TimelinePlace place;
  bool mark_cycles = false;
  uint32_t number = 0;
  OpenTimelineFile open = TimelineFile::open;
};

// Thread: any. The file is touched by the thread alone, so that nobody else waits for its disk.
class TimelineWriter {
 public:
  // Fails: throws Refusal where there is no thread.
  TimelineWriter(std::shared_ptr<TimelineShared> shared, Recording recording);
  // Goes on by itself where it has not ended.
  ~TimelineWriter();
  TimelineWriter(const TimelineWriter&) = delete;
  TimelineWriter& operator=(const TimelineWriter&) = delete;

  // How opening the file went; nothing at the deadline, or once finish() was called.
  std::optional<Status> opened(TimePoint deadline) const;
  // Everything recorded before is written, and the thread has ended; false after `patience`, where
  // the file still blocks it. Called again, by anyone: waits as long as the first call, and touches
  // nothing of a writer that came after this one.
  bool finish(Duration patience) noexcept FARANDOLE_EXCLUDES(mutex_);
  // Whether it has, as far as can be said without waiting.
  bool ended() noexcept FARANDOLE_EXCLUDES(mutex_);
  const std::string& path() const noexcept { return path_; }

 private:
  const std::string path_;
  const std::shared_ptr<TimelineShared> shared_;
  Mutex mutex_;
  BoundedThread thread_ FARANDOLE_GUARDED_BY(mutex_);
  bool ended_ FARANDOLE_GUARDED_BY(mutex_) = false;
  std::optional<TimePoint> deadline_ FARANDOLE_GUARDED_BY(mutex_);  // of finish(), once called
};

}  // namespace farandole
