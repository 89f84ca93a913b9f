#include "core/timeline.h"

#include <limits>
#include <new>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/log.h"
#include "core/base/patience.h"
#include "core/base/refusal.h"
#include "core/timeline_writer.h"

namespace farandole {
namespace {

// In place of a process set: names of communicators and causes of failures.
constexpr uint32_t kLabels = std::numeric_limits<uint32_t>::max();
constexpr int kRecordingShift = 32;

}  // namespace

Timeline::Timeline() = default;

Timeline::~Timeline() {
  stop();
}

Status Timeline::start(const std::string& path, bool mark_cycles, TimelinePlace place) {
  MutexLock lock(mutex_);
  if (writer_)
    return error(
        Code::InvalidArgument,
        "a timeline is recorded already, to {}; stop it first",
        printable(path_, 256));
  if (stuck_)
    return error(
        Code::System,
        "timeline {}: an earlier one still waits for its file, {}",
        printable(path, 256),
        printable(path_, 256));
  Result<TimelineFile> file = TimelineFile::open(path);
  if (!file)
    return file.status();
  FARANDOLE_FAILPOINT("timeline.start");
  if (!shared_)
    shared_ = std::make_shared<TimelineShared>(kRecords);
  shared_->begin();
  TimelineText text(std::move(place), mark_cycles, shared_->names);
  text.begin(steady_now().time_since_epoch().count());
  FARANDOLE_RETURN_IF_ERROR(file.value().append(text.text()));
  text.text().clear();
  try {
    writer_ = std::make_unique<TimelineWriter>(
        shared_, std::move(file).value(), std::move(text), ++recordings_);
  } catch (const Refusal& refused) {
    return refused.status();
  }
  path_ = path;
  seen_.store(shared_.get(), std::memory_order_release);
  recording_.store(recordings_, std::memory_order_release);
  return Status::ok();
}

void Timeline::stop() noexcept {
  MutexLock lock(mutex_);
  if (!writer_)
    return;
  recording_.store(0, std::memory_order_release);
  stuck_ = !writer_->finish(steady_now() + patience::kLoop);
  writer_.reset();
  if (stuck_)
    FARANDOLE_LOG(
        Warning,
        "timeline {}: its file took longer than {:g} s for what was to be written; the end of it "
        "may be missing",
        printable(path_, 256),
        std::chrono::duration<double>(patience::kLoop).count());
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
  const uint32_t recording = recording_.load(std::memory_order_acquire);
  if (recording == 0)
    return 0;
  const uint32_t track = number(process_set, name);
  if (track != TimelineNames::kNone)
    return uint64_t{recording} << kRecordingShift | track;
  seen_.load(std::memory_order_acquire)->unnamed.fetch_add(1, std::memory_order_relaxed);
  return 0;
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
