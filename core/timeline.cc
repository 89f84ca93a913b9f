#include "core/timeline.h"

#include <limits>
#include <new>
#include <optional>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/log.h"
#include "core/base/refusal.h"
#include "core/timeline_writer.h"

namespace farandole {
namespace {

// In place of a process set: names of communicators and causes of failures.
constexpr uint32_t kLabels = std::numeric_limits<uint32_t>::max();
constexpr int kRecordingShift = 32;

}  // namespace

Timeline::Timeline(TimelineFiles files) : files_(std::move(files)) {}

Timeline::~Timeline() {
  stop();
}

// Nothing is waited for under the lock: a file that hangs shall not keep others from stop().
Result<std::shared_ptr<TimelineWriter>> Timeline::begin(Recording recording) {
  MutexLock lock(mutex_);
  if (writer_)
    return error(
        Code::InvalidArgument,
        "a timeline is recorded already, to {}; stop it first",
        printable(writer_->path(), 256));
  if (last_ && !last_->ended())
    return error(
        Code::System,
        "timeline {}: an earlier one still waits for its file, {}; start this one once that file "
        "system answers",
        printable(recording.path, 256),
        printable(last_->path(), 256));
  last_.reset();
  FARANDOLE_FAILPOINT("timeline.start");
  if (!shared_)
    shared_ = std::make_shared<TimelineShared>(kRecords);
  shared_->begin();
  recording.number = ++recordings_;
  try {
    writer_ = std::make_shared<TimelineWriter>(shared_, std::move(recording));
  } catch (const Refusal& refused) {
    return refused.status();
  }
  return writer_;
}

Status Timeline::start(const std::string& path, bool mark_cycles, TimelinePlace place) {
  MutexLock one_at_a_time(starting_);
  const auto begun = begin({path, std::move(place), mark_cycles, 0, files_.open});
  if (!begun)
    return begun.status();
  const std::shared_ptr<TimelineWriter>& writer = begun.value();
  const std::optional<Status> opened = writer->opened(steady_now() + files_.patience);
  {
    MutexLock lock(mutex_);
    if (writer_ != writer)
      return error(
          Code::Aborted,
          "timeline {}: it was stopped before its file was open",
          printable(path, 256));
    if (opened && opened->is_ok()) {
      seen_.store(shared_.get(), std::memory_order_release);
      recording_.store(recordings_, std::memory_order_release);
      return Status::ok();
    }
    last_ = std::move(writer_);
  }
  // One that could not be opened ends by itself.
  writer->finish(opened ? files_.patience : Duration(0));
  if (opened)
    return *opened;
  return error(
      Code::System,
      "timeline {}: its file system did not open it within {:g} s; name a file elsewhere",
      printable(path, 256),
      std::chrono::duration<double>(files_.patience).count());
}

void Timeline::stop() noexcept {
  std::shared_ptr<TimelineWriter> writer;
  bool runs = false;
  {
    MutexLock lock(mutex_);
    runs = writer_ != nullptr;
    recording_.store(0, std::memory_order_release);
    if (runs)
      last_ = std::move(writer_);
    writer = last_;
  }
  // Where another call waits for it, with that one.
  if (!writer || writer->finish(files_.patience) || !runs)
    return;
  FARANDOLE_LOG(
      Warning,
      "timeline {}: its file took longer than {:g} s for what was to be written; the end of it "
      "may be missing",
      printable(writer->path(), 256),
      std::chrono::duration<double>(files_.patience).count());
}

uint32_t Timeline::number(uint32_t process_set, std::string_view name) noexcept {
  TimelineShared& shared = *seen_.load(std::memory_order_acquire);
  try {
    return shared.names.number(process_set, name);
  } catch (const std::bad_alloc&) {
    return TimelineNames::kNone;  // the job can do without
  }
}

uint64_t Timeline::mark(uint32_t process_set, std::string_view name) noexcept {
  const uint64_t mark = mark_heard(process_set, name);
  if (mark == 0 && recording())
    seen_.load(std::memory_order_acquire)->unnamed.fetch_add(1, std::memory_order_relaxed);
  return mark;
}

uint64_t Timeline::mark_heard(uint32_t process_set, std::string_view name) noexcept {
  const uint32_t recording = recording_.load(std::memory_order_acquire);
  if (recording == 0)
    return 0;
  const uint32_t track = number(process_set, name);
  return track == TimelineNames::kNone ? 0 : uint64_t{recording} << kRecordingShift | track;
}

bool Timeline::records(uint64_t mark) const noexcept {
  return mark != 0 && mark >> kRecordingShift == recording_.load(std::memory_order_acquire);
}

uint32_t Timeline::label(std::string_view name) noexcept {
  return recording() ? number(kLabels, name) : TimelineNames::kNone;
}

void Timeline::on(const Event& event) noexcept {
  TimelineRecord record{
      .when = event.when.time_since_epoch().count(),
      .recording = static_cast<uint32_t>(event.mark >> kRecordingShift),
      .track = static_cast<uint32_t>(event.mark),
      .kind = event.kind,
      .collective = static_cast<uint8_t>(event.collective)};
  switch (event.kind) {
    case EventKind::Submitted:
      record.value = event.bytes;
      record.detail = static_cast<uint8_t>(event.dtype);
      break;
    case EventKind::Phase:
      record.label = static_cast<uint32_t>(event.number);
      record.detail = static_cast<uint8_t>(event.phase);
      break;
    case EventKind::Settled:
      record.detail = static_cast<uint8_t>(event.code);
      break;
    case EventKind::Agreed:
    case EventKind::RankReady:
      record.value = event.number;
      break;
    case EventKind::Round:
      record.recording = recording_.load(std::memory_order_acquire);
      record.value = event.number;
      break;
    case EventKind::PeerFailed:
      record.recording = recording_.load(std::memory_order_acquire);
      record.detail = static_cast<uint8_t>(event.code);
      record.label = label(event.name);
      record.value = event.number;
      break;
    case EventKind::Announced:
    case EventKind::Rejected:
    case EventKind::BucketStart:
    case EventKind::BucketEnd:
      return;
  }
  if (record.recording != 0)
    push(record);
}

void Timeline::push(const TimelineRecord& record) noexcept {
  TimelineShared& shared = *seen_.load(std::memory_order_acquire);
  const uint64_t before = shared.ring.push(record);
  if (before == TimelineRing::kFull) {
    shared.lost.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const bool idle = shared.idle.load(std::memory_order_seq_cst) && shared.idle.exchange(false);
  const bool much = before % shared.urgent_at == shared.urgent_at - 1;
  if (idle || much)
    shared.call_writer(much);
}

}  // namespace farandole
