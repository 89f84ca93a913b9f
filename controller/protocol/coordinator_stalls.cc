// Coordinator: operations that some ranks wait for and others have not submitted.

#include <algorithm>
#include <utility>

#include "controller/protocol/coordinator.h"

namespace farandole::control {

// Waits are looked at when the first of them may have lasted long enough, and not at each
// announcement: one timer for as long as anything waits.
void Coordinator::watch(TimePoint now) {
  if (!options_.stalls.any() || failed_ || readiness_.pending() == 0)
    return;
  const TimePoint first = now + options_.stalls.first();
  look_ = std::min(look_.value_or(first), first);
}

Actions Coordinator::look(TimePoint now) {
  if (!look_ || now < *look_)
    return {};
  look_.reset();
  if (left(0))
    return {};
  const StallPolicy& policy = options_.stalls;
  readiness_.at(now);
  if (policy.abort > Duration(0))
    if (const auto oldest = readiness_.oldest(); oldest && oldest->age >= policy.abort)
      return give_up_waiting(*oldest);
  Actions actions;
  std::vector<Stall> stalls;
  if (policy.report > Duration(0))
    stalls = readiness_.stalled(policy.report);
  if (!stalls.empty()) {
    const Inquiries::Question question = inquiries_.report(std::move(stalls), now);
    for (const int rank : question.ranks) actions.push_back(send(rank, Inquiry{question.number}));
  }
  look_ = readiness_.next_stall(policy);
  return actions;
}

Actions Coordinator::testify(int rank, Answer message, TimePoint now) {
  const Status status = inquiries_.answer(rank, message.number, std::move(message.text));
  return status ? tell_stalls(now) : blame(rank, status.message());
}

Actions Coordinator::tell_stalls(TimePoint now) {
  Actions actions;
  if (std::optional<StallReport> report = inquiries_.take(now))
    actions.push_back(TellStalls{std::move(*report)});
  return actions;
}

Actions Coordinator::give_up_waiting(const Stall& stall) {
  return fail(
      {.rank = stall.missing.size() == 1 ? stall.missing.front() : -1,
       .cause = text_of(stall) + " (FARANDOLE_STALL_SHUTDOWN_TIME)",
       .code = Code::Timeout});
}

}  // namespace farandole::control
