#pragma once
// Engine: the actor between callers, control plane and lanes. Handles one message at a time, on
// its loop; owns the pending table, therefore needs no lock for it.

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/completion.h"
#include "core/control_plane.h"
#include "core/emitter.h"
#include "core/group_table.h"
#include "core/inbox.h"
#include "core/pending.h"

namespace farandole {

// Thread: the loop's, for handle(). health() and abort_groups() from any.
class Engine {
 public:
  struct Parts {
    ControlPlane* control = nullptr;
    Completion* completion = nullptr;
    const Emitter* emitter = nullptr;
    std::function<void(Message)> post;  // into this engine's inbox
    GroupTable* groups = nullptr;
    // Of a set that all ranks have agreed to add.
    std::function<GroupTable::GroupPtr(uint32_t id, std::vector<int> members)> make_group;
    size_t fusion_bytes = 0;
    int rank = 0;
  };

  explicit Engine(Parts parts) : parts_(std::move(parts)) {}

  void handle(Message message);

  // Ok while the process set can go on; else why not, without naming an operation.
  Status health(uint32_t process_set = 0) const;
  // Waits for the acknowledgement of this rank's goodbye, or for the job's failure. False at the
  // deadline.
  bool wait_left(TimePoint deadline);

 private:
  void on(message::Submit submit);
  void on(message::Agreed agreed);
  void on(message::Failed failed);
  void on(message::Broken broken);
  void on(message::BucketDone done);
  void on(message::Retired retired);
  void on(message::Close close);

  // Why it cannot be submitted.
  Status refusal(const PendingOp& op, const GroupTable::GroupPtr& group) const;
  std::optional<ReadyTensor> take(ReadyOp& item, TimePoint when, uint64_t round);
  // Joins, and process sets that come and go; behind what is ready before them.
  void carry_out(ReadyTensor changed);
  void add_set(PendingOp op, int64_t id);
  void remove_set(PendingOp op);
  void settle_behind(const GroupTable::GroupPtr& group, PendingOp op, Outcome outcome, bool retire);
  void depart(Group& group, const PeerFailure& failure);
  void dispatch(std::vector<ReadyTensor> ready);
  void give(Group& group, Bucket bucket);
  void fail(PendingOp op, const PeerFailure& failure);
  void end(PendingOp op);  // by close; requires closed_
  void fail_everything(const PeerFailure& failure);
  void bucket_finished(bool awaited, bool settled) noexcept;  // on a lane
  void tell_done() noexcept;                                  // likewise
  void report_backlog();
  void tell_finished();

  const Parts parts_;
  PendingTable pending_;
  std::vector<std::pair<PendingOp, Status>> broken_;  // waiting for the verdict
  std::optional<PeerFailure> failure_;                // the verdict
  std::optional<Status> closed_;
  std::atomic<size_t> given_{0};    // buckets given to lanes and not finished
  std::atomic<size_t> backlog_{0};  // of these: of the collectives of process set 0
  std::atomic<bool> backlog_told_{false};
  std::atomic<bool> last_agreed_{false};    // nothing follows what is agreed upon
  std::atomic<bool> any_unsettled_{false};  // a lane could not finish a bucket
  bool finished_told_ = false;

  mutable Mutex mutex_;
  CondVar changed_;
  Status health_ FARANDOLE_GUARDED_BY(mutex_);
  std::map<uint32_t, Status> departed_ FARANDOLE_GUARDED_BY(mutex_);  // by process set
  bool left_ FARANDOLE_GUARDED_BY(mutex_) = false;
};

}  // namespace farandole
