#pragma once
// Coordinator: decides, for one epoch, which tensors are ready everywhere and in which order all
// execute them. Runs in rank 0. Pure: the same inputs in the same order give the same actions.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "controller/protocol/accusations.h"
#include "controller/protocol/actions.h"
#include "controller/protocol/limits.h"
#include "controller/protocol/membership.h"
#include "controller/protocol/readiness.h"
#include "controller/protocol/store_table.h"
#include "core/base/clock.h"

namespace farandole::control {

struct CoordinatorOptions {
  Limits limits;
  // Those that exist from the start. 0, all ranks, need not be given.
  ProcessSets::Map process_sets;
  StallPolicy stalls;
  Readiness::Hear hear;  // may be empty
};

// A rank that leaves is told so like all others (Failure{left}): after that it is part of no
// agreement, but may go on to use the store while it finishes what was agreed upon before. Once
// rank 0 has left, nothing is agreed upon any more; the workers reject what they still have.
// Until a rank has said Finished, which is its last word, it can still be lost.
// Every announcement is answered once: ready, rejected or asked for in full; unless the job fails,
// after which nothing is answered any more. Thread: one at a time. No I/O, no clock.
class Coordinator {
 public:
  static constexpr Duration kReadOn = patience::kLastWords;  // for what has come to be read

  Coordinator(CoordinatorOptions options, Group group);

  // A message from `rank`. One that is malformed, or that an honest rank would not send, ends in a
  // Failure blaming it, told to all.
  Actions on_frame(int rank, std::span<const uint8_t> frame, TimePoint now);
  // `rank` cannot be reached any more. Nothing if it had finished before. One that went because it
  // had given up the coordinator's rank is not to blame: that rank is.
  Actions on_lost(int rank, const std::string& cause);
  // `rank` says nothing any more, but may only have been stopped: it is told the verdict like all
  // others before its connection closes, so that it accuses nobody when it wakes.
  Actions on_silent(int rank, const std::string& cause);
  // Rounds of process set 0 that rank 0 has agreed to but not finished; see flush().
  void on_backlog(size_t rounds) noexcept { backlog_ = rounds; }
  // To be called at deadline(): accusations by peers that nothing better has replaced for
  // ControlPlane::kConfirm become the verdict; operations that wait for some ranks for longer than
  // the policy says are told (TellStalls) once these have said where they are, or end the job, if
  // they still wait kReadOn later: a coordinator that comes late, because it was stopped or
  // starved, has not read yet what ended their wait.
  Actions tick(TimePoint now);
  std::optional<TimePoint> deadline() const noexcept;
  // To be called when the driver has no more input at hand, and after on_backlog(). Tells what has
  // become ready since. Holds it back while rank 0 has two rounds or more of process set 0 to do
  // anyway, nothing of another set is ready, and what is ready does not fill a fusion buffer; a
  // falling backlog ends that, never a timer.
  Actions flush();

  bool failed() const noexcept { return failed_; }
  bool left(int rank) const { return gone_.at(static_cast<size_t>(rank)); }
  bool finished(int rank) const { return finished_.at(static_cast<size_t>(rank)); }
  // Nobody relies on this coordinator any more: after rank 0 has left, its driver goes on, and
  // closes no connection, until this holds.
  bool concluded() const;
  Dropped dropped() const;  // sum over all ranks
  size_t cached() const noexcept { return readiness_.cached(); }
  size_t pending() const noexcept { return readiness_.pending(); }
  size_t stored_bytes() const noexcept { return store_.bytes(); }
  size_t store_waits() const noexcept { return store_.waits(); }

 private:
  friend struct StateAccess;  // of tests: copies and compares states
  Action send(int rank, const Message& message);
  void broadcast(const Message& message, const std::vector<bool>& skip, Actions& to);
  Actions fail(PeerFailure failure, int unreachable = -1);
  Actions lose(int rank, const std::string& cause, int unreachable);
  Actions blame(int rank, const std::string& cause);

  Actions accuse(int accuser, PeerFailure failure, TimePoint now);
  Actions answer(int rank, Result<StoreAnswers> answers);
  void watch(TimePoint now);
  Actions look(TimePoint now);
  std::optional<Duration> overdue() const;
  Actions tell_stalls(TimePoint now);
  Actions testify(int rank, Answer message, TimePoint now);
  Actions give_up_waiting(const Stall& stall);
  Actions tell();

  Actions on(int rank, Announce& message);
  Status announce(int rank, Announcement item);
  Status resent(int rank, uint32_t resends);
  Actions on(int rank, Leave& message);
  Actions on(int rank, StoreSet& message);
  Actions on(int rank, StoreGet& message);
  Actions on(int rank, StoreCancel& message);
  Actions on(int rank, Finished& message);
  template <typename Other>
  Actions on(int rank, Other&) {
    return blame(rank, "sent a message that only a coordinator sends, or joined again");
  }

  CoordinatorOptions options_;
  std::vector<Member> members_;
  std::vector<Link> links_;
  std::vector<bool> gone_;      // left in order
  std::vector<bool> finished_;  // and carried out all that was agreed upon
  Readiness readiness_;
  // Of each rank: Resend that it has not answered, and the joins and removals of sets that wait for
  // that, in its order. What is on its way to be announced in full was announced before them.
  std::vector<uint32_t> resends_;
  std::vector<std::vector<Announcement>> deferred_;
  StoreTable store_;
  size_t backlog_ = 0;
  Accusations accusations_;
  std::optional<TimePoint> confirmed_;  // when they, where there are any, become the verdict
  std::optional<TimePoint> look_;       // when to look at what waits, while anything does
  std::optional<TimePoint> doubted_;    // when something was seen to wait for too long
  Inquiries inquiries_;
  std::map<int, std::string> gave_up_zero_;  // who holds rank 0 for lost, and why
  uint64_t round_ = 0;
  bool failed_ = false;
};

}  // namespace farandole::control
