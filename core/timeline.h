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
#include "core/base/status.h"
#include "core/observer.h"
#include "core/timeline_text.h"

namespace farandole {

struct TimelineShared;
class TimelineWriter;

// Thread: any. What was submitted before a recording began, or before the one that runs, is not in
// it.
class Timeline {
 public:
  // Records that wait to be written at most.
  static constexpr size_t kRecords = 1 << 16;

  Timeline();
  // stop().
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  // Fails: InvalidArgument where one is recorded, or the path names no ordinary file; System where
  // the file cannot be written, or there is no thread.
  Status start(const std::string& path, bool mark_cycles, TimelinePlace place);
  // Writes what was recorded before, and ends; nothing where none is recorded. Waits for the file,
  // but no longer than patience::kLoop.
  void stop() noexcept;

  bool recording() const noexcept { return recording_.load(std::memory_order_acquire) != 0; }
  // By which events are told of a tensor that is submitted now; 0 where it is not recorded.
  uint64_t mark(uint32_t process_set, std::string_view name) noexcept;
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
  void push(const TimelineRecord& record) noexcept;
  uint32_t number(uint32_t process_set, std::string_view name) noexcept;

  std::atomic<uint32_t> recording_{0};          // its number; 0: none
  std::atomic<TimelineShared*> seen_{nullptr};  // what shared_ holds, by those who record
  Mutex mutex_;
  std::shared_ptr<TimelineShared> shared_ FARANDOLE_GUARDED_BY(mutex_);  // from the first on
  std::unique_ptr<TimelineWriter> writer_ FARANDOLE_GUARDED_BY(mutex_);
  std::string path_ FARANDOLE_GUARDED_BY(mutex_);  // of the last one
  uint32_t recordings_ FARANDOLE_GUARDED_BY(mutex_) = 0;
  bool stuck_ FARANDOLE_GUARDED_BY(mutex_) = false;  // a writer did not end
};

}  // namespace farandole
