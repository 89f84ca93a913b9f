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
  readiness_.look_at(now);
  std::optional<TimePoint> again;
  if (const std::optional<Duration> late = overdue()) {
    if (!doubted_ || *late < now - *doubted_)
      doubted_ = now;  // it was not late when another one was
    again = *doubted_ + kReadOn;
    if (now >= *again)
      return give_up_waiting(readiness_.oldest());
  } else {
    doubted_.reset();
  }
  Actions actions;
  Stalls stalls;
  if (policy.report > Duration(0))
    stalls = readiness_.stalled(policy.report);
  if (!stalls.oldest.empty()) {
    const Inquiries::Question question = inquiries_.report(std::move(stalls), now);
    for (const int rank : question.ranks) actions.push_back(send(rank, Inquiry{question.number}));
  }
  look_ = again ? again : readiness_.next_stall(policy);
  return actions;
}

// For how long the job should have ended, where the policy ends it.
std::optional<Duration> Coordinator::overdue() const {
  const Duration limit = options_.stalls.abort;
  if (limit == Duration(0))
    return std::nullopt;
  const std::optional<Duration> age = readiness_.oldest_age();
  return age && *age >= limit ? std::optional(*age - limit) : std::nullopt;
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
       .cause = text_of(stall) +
                " (FARANDOLE_STALL_SHUTDOWN_TIME; raise it, or set 0, where ranks may be as late)",
       .code = Code::Timeout});
}

}  // namespace farandole::control
