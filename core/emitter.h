#pragma once
// Emitter: counts every event of a session and hands it to the session's observers, and to its
// timeline where one is recorded.

#include <memory>
#include <utility>
#include <vector>

#include "core/control_plane.h"
#include "core/counters.h"
#include "core/timeline.h"

namespace farandole {

class Emitter {
 public:
  // `timeline`, where there is one, outlives this.
  Emitter(
      Counters& counters,
      std::vector<std::shared_ptr<Observer>> observers,
      Timeline* timeline = nullptr)
      : counters_(counters), observers_(std::move(observers)), timeline_(timeline) {}

  // An event without a time gets that of the call.
  void emit(Event event) const noexcept {
    counters_.on(event);
    const bool shown = Timeline::shows(event.kind) && recorded();
    if (observers_.empty() && !shown)
      return;
    // Counting needs no time: the clock is read only where somebody looks at it.
    if (event.when == TimePoint())
      event.when = steady_now();
    for (const std::shared_ptr<Observer>& observer : observers_) observer->on(event);
    if (shown)
      timeline_->on(event);
  }

  // Of the coordinator. Costs nothing where no timeline is recorded.
  void announced(const Announced& announced, uint64_t& mark) const noexcept {
    if (!recorded())
      return;
    if (!timeline_->records(mark))
      mark = timeline_->mark_heard(announced.process_set, announced.name);
    if (mark != 0)
      emit(
          {.kind = EventKind::RankReady,
           .when = announced.when,
           .name = announced.name,
           .number = static_cast<uint64_t>(announced.rank),
           .mark = mark});
  }

  bool recorded() const noexcept { return timeline_ != nullptr && timeline_->recording(); }
  // The time for events that happen at once; none where nobody looks at it.
  TimePoint now() const noexcept {
    return recorded() || !observers_.empty() ? steady_now() : TimePoint();
  }
  // As Timeline::mark() and label().
  uint64_t mark(uint32_t process_set, std::string_view name) const noexcept {
    return recorded() ? timeline_->mark(process_set, name) : 0;
  }
  uint32_t label(std::string_view name) const noexcept {
    return recorded() ? timeline_->label(name) : TimelineNames::kNone;
  }

 private:
  Counters& counters_;
  const std::vector<std::shared_ptr<Observer>> observers_;
  Timeline* const timeline_;
};

}  // namespace farandole
