#include "core/event_log.h"

#include <string>

#include "core/base/log.h"

namespace farandole {
namespace {

std::string outcome(const Event& event) {
  return event.code == Code::Ok ? "" : fmt::format(": {}", code_name(event.code));
}

void write(const Event& event) {
  const std::string name = printable(event.name);
  switch (event.kind) {
    case EventKind::Submitted:
      FARANDOLE_LOG(Trace, "{} \"{}\" submitted", name_of(event.collective), name);
      return;
    case EventKind::Announced:
      FARANDOLE_LOG(Trace, "\"{}\" announced", name);
      return;
    case EventKind::Agreed:
      FARANDOLE_LOG(Trace, "\"{}\" agreed upon", name);
      return;
    case EventKind::Settled:
      FARANDOLE_LOG(Trace, "\"{}\" settled{}", name, outcome(event));
      return;
    case EventKind::BucketStart:
      FARANDOLE_LOG(Trace, "a bucket of {} tensors, {} bytes begins", event.tensors, event.bytes);
      return;
    case EventKind::BucketEnd:
      FARANDOLE_LOG(
          Debug,
          "a bucket of {} tensors, {} bytes took {} us{}",
          event.tensors,
          event.bytes,
          std::chrono::duration_cast<std::chrono::microseconds>(event.duration).count(),
          outcome(event));
      return;
    case EventKind::Rejected:
      FARANDOLE_LOG(Debug, "\"{}\" rejected{}", name, outcome(event));
      return;
    case EventKind::PeerFailed:
      FARANDOLE_LOG(Debug, "a rank failed or left{}: {}", outcome(event), name);
      return;
    case EventKind::Round:
    case EventKind::Phase:
    case EventKind::RankReady:
      return;  // what its tensors say is enough
  }
}

}  // namespace

void EventLog::on(const Event& event) noexcept {
  try {
    write(event);
  } catch (...) {
    // There is no memory for a line of the log: the job can do without it.
  }
}

}  // namespace farandole
