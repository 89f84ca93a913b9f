#pragma once
// Timeline: records what becomes of each tensor, and writes it to a file that chrome://tracing and
// Perfetto open. Whoever has something to record leaves it in a ring and goes on; a thread of the
// timeline's own writes. So a slow disk delays nobody, and one that is full costs a warning.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/mutex.h"
#include "core/base/patience.h"
#include "core/base/status.h"
#include "core/observer.h"
#include "core/timeline_file.h"
#include "core/timeline_text.h"

namespace farandole {

struct Recording;
struct TimelineShared;
class TimelineWriter;

// How files are had. Tests have others.
struct TimelineFiles {
  OpenTimelineFile open = TimelineFile::open;
  Duration patience = patience::kLoop;  // for a file system to answer
};

// Thread: any. What was submitted before a recording began, or before the one that runs, is not in
// it.
class Timeline {
 public:
  // Records that wait to be written at most.
  static constexpr size_t kRecords = 1 << 16;

  explicit Timeline(TimelineFiles files = {});
  // stop().
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  // Waits until the file is open, for TimelineFiles::patience at most; called by several at once,
  // one after the other, so that each hears of its own file. Fails: InvalidArgument where one is
  // recorded, or the path names no ordinary file; System where the file cannot be written or does
  // not open in time, the one before still waits for its own, or there is no thread; Aborted where
  // stop() was called meanwhile.
  Status start(const std::string& path, bool mark_cycles, TimelinePlace place);
  // Writes what was recorded before, and ends; nothing where none is recorded. Waits for the file,
  // for TimelineFiles::patience at most: from then on the writer's thread waits alone, and until it
  // has ended nothing else can be recorded. Called by several: each waits.
  void stop() noexcept;

  bool recording() const noexcept { return recording_.load(std::memory_order_acquire) != 0; }
  // By which events are told of a tensor that is submitted now; 0 where it is not recorded.
  uint64_t mark(uint32_t process_set, std::string_view name) noexcept;
  // The same of what the coordinator hears of: who submits it counts it where there is no room.
  uint64_t mark_heard(uint32_t process_set, std::string_view name) noexcept;
  // Whether the mark is of the recording that runs.
  bool records(uint64_t mark) const noexcept;
  // Event::number of Phase::Moving, for the communicator of this name.
  uint32_t label(std::string_view name) noexcept;
  // Which events say something that is written.
  static constexpr bool shows(EventKind kind) noexcept {
    return kind != EventKind::Announced && kind != EventKind::Rejected &&
           kind != EventKind::BucketStart && kind != EventKind::BucketEnd;
  }
  // Requires: recording() was seen. Neither blocks nor fails.
  void on(const Event& event) noexcept;

 private:
  Result<std::shared_ptr<TimelineWriter>> begin(Recording recording);
  void push(const TimelineRecord& record) noexcept;
  uint32_t number(uint32_t process_set, std::string_view name) noexcept;

  const TimelineFiles files_;
  std::atomic<uint32_t> recording_{0};          // its number; 0: none
  std::atomic<TimelineShared*> seen_{nullptr};  // what shared_ holds, by those who record
  Mutex starting_;                              // by start() alone, which waits under it
  Mutex mutex_;
  std::shared_ptr<TimelineShared> shared_ FARANDOLE_GUARDED_BY(mutex_);  // from the first on
  std::shared_ptr<TimelineWriter> writer_ FARANDOLE_GUARDED_BY(mutex_);
  std::shared_ptr<TimelineWriter> last_ FARANDOLE_GUARDED_BY(mutex_);  // that was told to end
  uint32_t recordings_ FARANDOLE_GUARDED_BY(mutex_) = 0;
};

}  // namespace farandole
