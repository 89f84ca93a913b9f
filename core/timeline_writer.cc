#include "core/timeline_writer.h"

#include <exception>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/log.h"

namespace farandole {
namespace {

// How long what has come waits for more, so that one write serves many records.
constexpr Duration kGather = std::chrono::milliseconds(100);
constexpr size_t kChunkBytes = 1 << 18;  // of text that is written at once

int64_t ticks(TimePoint when) {
  return when.time_since_epoch().count();
}

// The thread's own.
class Writing {
 public:
  Writing(
      std::shared_ptr<TimelineShared> shared,
      TimelineFile file,
      TimelineText text,
      uint32_t recording)
      : shared_(std::move(shared)),
        file_(std::move(file)),
        text_(std::move(text)),
        recording_(recording) {}

  void run() {
    FARANDOLE_FAILPOINT("timeline_writer.run");
    while (wait_for_records()) drain();
    drain();
    text_.end(ticks(steady_now()), shared_->unnamed.exchange(0));
    write();
  }

 private:
  // Sleeps until there is something, and then for a moment more; false where it was the last.
  bool wait_for_records() {
    shared_->idle.store(true, std::memory_order_seq_cst);
    const bool more = shared_->ring.has_more();
    MutexLock lock(shared_->mutex);
    if (more)
      shared_->idle = false;
    while (!more && !shared_->work && !shared_->stopping) shared_->wake.wait(shared_->mutex);
    const TimePoint until = steady_now() + kGather;
    while (!shared_->hurry && !shared_->stopping)
      if (!shared_->wake.wait_until(shared_->mutex, until))
        break;
    shared_->work = shared_->hurry = false;
    return !shared_->stopping;
  }

  void drain() {
    TimelineRecord record;
    while (shared_->ring.pop(record)) {
      if (record.recording == recording_)
        text_.add(record);
      if (text_.text().size() >= kChunkBytes)
        write();
    }
    if (const uint64_t lost = shared_->lost.exchange(0))
      text_.lost(lost, ticks(steady_now()));
    write();
  }

  // After a failure nothing is written any more.
  void write() {
    const Status status = failed_ ? Status::ok() : file_.append(text_.text());
    text_.text().clear();
    if (status.is_ok())
      return;
    failed_ = true;
    FARANDOLE_LOG(Warning, "{}; it ends here, and the job goes on without it", status.message());
  }

  const std::shared_ptr<TimelineShared> shared_;
  TimelineFile file_;
  TimelineText text_;
  const uint32_t recording_;
  bool failed_ = false;
};

}  // namespace

// What came too late for the recording before is of no use to this one.
void TimelineShared::begin() {
  TimelineRecord late;
  while (ring.pop(late)) continue;
  names.clear();
  lost = 0;
  unnamed = 0;
  idle = false;
  MutexLock lock(mutex);
  work = hurry = stopping = false;
}

void TimelineShared::call_writer(bool much) noexcept {
  MutexLock lock(mutex);
  work = true;
  hurry = hurry || much;
  wake.notify_one();
}

TimelineWriter::TimelineWriter(
    std::shared_ptr<TimelineShared> shared,
    TimelineFile file,
    TimelineText text,
    uint32_t recording)
    : shared_(shared),
      thread_(
          "fdl-timeline",
          [writing = std::make_shared<Writing>(
               std::move(shared), std::move(file), std::move(text), recording),
           label = log_label()] {
            const LogScope scope(label);
            try {
              writing->run();
            } catch (const std::exception& defect) {
              FARANDOLE_LOG(Warning, "the timeline ends here: {}", defect.what());
            }
          }) {}

bool TimelineWriter::finish(TimePoint deadline) noexcept {
  {
    MutexLock lock(shared_->mutex);
    shared_->stopping = true;
    shared_->wake.notify_one();
  }
  const bool ended = thread_.join_until(deadline);
  if (!ended)
    thread_.abandon();
  return ended;
}

}  // namespace farandole
