#pragma once
// ControlPlane: the seam to "agree". It carries announcements to the coordinator and brings back
// agreements, the same ones in the same order on every rank.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/agreement.h"
#include "core/base/clock.h"
#include "core/base/patience.h"
#include "core/request.h"
#include "core/store.h"

namespace farandole {

// A rank as all others know it, fixed when the group has formed.
struct Member {
  int rank = 0;
  std::string host;  // name by which ranks are grouped into hosts
  int64_t pid = 0;
  // Address at which this rank's data listeners can be reached from other hosts.
  std::string address;

  bool operator==(const Member&) const = default;
};

// A tensor of which the coordinator, which runs in rank 0, hears that a rank has it.
struct Announced {
  int rank = 0;
  uint32_t process_set = 0;
  std::string_view name;  // valid during the call only
  TimePoint when;
};

// Receives what the control plane brings. Called on one thread, never concurrently.
class ControlSink {
 public:
  virtual ~ControlSink() = default;
  virtual void on_agreement(Agreement agreement) = 0;
  // At most one failure that is not `left`; any number that are. After one of this rank or of rank
  // 0 that is `left`, nothing is agreed upon any more: what is left to do ends in finished().
  virtual void on_failure(PeerFailure failure) = 0;
  // In rank 0. `mark` is the sink's own: 0 at first, and kept for as long as the coordinator knows
  // the tensor. To be quick, and to call nothing of the control plane.
  virtual void on_announced(const Announced& /*announced*/, uint64_t& /*mark*/) noexcept {}
};

class ControlPlane {
 public:
  // How long an accusation by a peer waits for certain evidence before it becomes the verdict.
  static constexpr Duration kConfirm = patience::kConfirm;

  virtual ~ControlPlane() = default;
  // Forms the group; blocks until all ranks are there. Requires: called once. `sink` outlives
  // stop(). Fails: Timeout naming the ranks that are missing, InvalidArgument, System, Mismatch.
  virtual Status start(ControlSink& sink) = 0;
  // All ranks of the job in rank order, once started.
  virtual const std::vector<Member>& members() const = 0;
  virtual uint32_t epoch() const = 0;
  // Thread: any. Never blocks, never calls back from within.
  virtual void announce(std::vector<Announcement> announcements) = 0;
  // This rank found that the job cannot go on (a collective made no progress, a data connection
  // broke); all ranks, this one too, get the coordinator's verdict through on_failure, always and
  // with the same culprit: an accusation is held for kConfirm, and a control connection that breaks
  // meanwhile is the better evidence. Thread: any. Never blocks.
  virtual void report(PeerFailure failure) = 0;
  // Rounds that this rank has agreed to but not finished. A hint for batching: while the
  // coordinator's own rank has work queued, small rounds may be held back and merged.
  virtual void backlog(size_t rounds) = 0;
  virtual Store& store() = 0;
  // Says goodbye. The coordinator tells every rank by on_failure{this rank, left, `cause`}; when
  // this rank's own sink gets it, no agreement that includes this rank follows. Until then
  // agreements do arrive and must be carried out. Thread: any. Never blocks.
  virtual void leave(const std::string& cause) = 0;
  // This rank has carried out all that was agreed upon, with success: its last word. Requires: the
  // sink has heard that this rank or rank 0 has left. Thread: any. Never blocks.
  virtual void finished() = 0;
  // Sends what is queued, closes, joins; in rank 0, which keeps watch for the others, after all of
  // them have finished. Waits until `deadline` at most. No callback afterwards. Without leave() and
  // finished() the other ranks take this one for lost. Not from the loop's thread. False where a
  // callback blocks the loop or another thread of the control plane: then that may go on using the
  // sink and everything behind it, which must never be destroyed. Called again: gives the same.
  virtual bool stop(TimePoint deadline) = 0;
};

}  // namespace farandole
