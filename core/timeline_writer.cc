#include "core/timeline_writer.h"

#include <pthread.h>

#include <csignal>
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

// A file that may not grow is an error of write, and not the end of the program: the signal stays
// with this thread, which ends with it pending.
void keep_file_size_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

// The thread's own, from when the file is open.
class Writing {
 public:
  Writing(TimelineShared& shared, TimelineFile file, const Recording& recording)
      : shared_(&shared),
        file_(std::move(file)),
        text_(recording.place, recording.mark_cycles, shared.names),
        recording_(recording.number) {}

  Status begin() {
    text_.begin(ticks(steady_now()));
    Status status = file_.append(text_.text());
    text_.text().clear();
    return status;
  }

  void run() {
    FARANDOLE_FAILPOINT("timeline_writer.run");
    while (wait_for_records()) drain();
    // Whoever was interrupted while it left a record has not left it yet.
    shared_->lost += drain_ring();
    tell_lost();
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
    drain_ring();
    tell_lost();
    write();
  }

  // How many are there that cannot be had yet.
  uint64_t drain_ring() {
    TimelineRecord record;
    while (shared_->ring.pop(record)) {
      if (record.recording == recording_)
        text_.add(record);
      if (text_.text().size() >= kChunkBytes)
        write();
    }
    return shared_->ring.left();
  }

  void tell_lost() {
    if (const uint64_t lost = shared_->lost.exchange(0))
      text_.lost(lost, ticks(steady_now()));
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

  TimelineShared* const shared_;
  TimelineFile file_;
  TimelineText text_;
  const uint32_t recording_;
  bool failed_ = false;
};

// Gives the outcome to whoever waits for it.
void tell(TimelineShared& shared, Status outcome) {
  MutexLock lock(shared.mutex);
  shared.outcome = std::move(outcome);
  shared.opened.notify_all();
}

void record(TimelineShared& shared, const Recording& recording) {
  keep_file_size_signal();
  Result<TimelineFile> file = recording.open(recording.path);
  if (!file)
    return tell(shared, file.status());
  Writing writing(shared, std::move(file).value(), recording);
  const Status begun = writing.begin();
  tell(shared, begun);
  if (begun)
    writing.run();
}

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
  outcome.reset();
}

void TimelineShared::call_writer(bool much) noexcept {
  MutexLock lock(mutex);
  work = true;
  hurry = hurry || much;
  wake.notify_one();
}

TimelineWriter::TimelineWriter(std::shared_ptr<TimelineShared> shared, Recording recording)
    : path_(recording.path),
      shared_(shared),
      thread_(
          "fdl-timeline",
          [shared = std::move(shared), recording = std::move(recording), label = log_label()] {
            const LogScope scope(label);
            try {
              record(*shared, recording);
            } catch (const std::exception& defect) {
              FARANDOLE_LOG(Warning, "the timeline ends here: {}", defect.what());
              tell(*shared, {Code::System, defect.what()});
            }
          }) {}

TimelineWriter::~TimelineWriter() {
  MutexLock lock(mutex_);
  if (!ended_)
    thread_.abandon();
}

std::optional<Status> TimelineWriter::opened(TimePoint deadline) const {
  MutexLock lock(shared_->mutex);
  while (!shared_->outcome && !shared_->stopping)
    if (!shared_->opened.wait_until(shared_->mutex, deadline))
      break;
  return shared_->outcome;
}

// What is shared belongs to the next writer once this one has ended.
bool TimelineWriter::finish(Duration patience) noexcept {
  MutexLock lock(mutex_);
  if (ended_)
    return true;
  if (!deadline_) {
    deadline_ = steady_now() + patience;
    MutexLock shared(shared_->mutex);
    shared_->stopping = true;
    shared_->wake.notify_one();
    shared_->opened.notify_all();
  }
  ended_ = thread_.join_until(*deadline_);
  return ended_;
}

bool TimelineWriter::ended() noexcept {
  if (!mutex_.try_lock())
    return false;  // somebody waits for it
  const bool ended = ended_ = ended_ || thread_.join_until(steady_now());
  mutex_.unlock();
  return ended;
}

}  // namespace farandole
