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
#include "core/group.h"
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
    size_t fusion_bytes = 0;
    int rank = 0;
  };

  Engine(Parts parts, std::map<uint32_t, Group*> groups)
      : parts_(std::move(parts)), groups_(std::move(groups)) {}

  void handle(Message message);

  // Ok while the job can go on; else why not, without naming an operation.
  Status health() const;
  // Waits for the acknowledgement of this rank's goodbye, or for the job's failure. False at the
  // deadline.
  bool wait_left(TimePoint deadline);

 private:
  void on(message::Submit submit);
  void on(message::Agreed agreed);
  void on(message::Failed failed);
  void on(message::Broken broken);
  void on(message::BucketDone done);
  void on(message::Close close);

  void dispatch(std::vector<ReadyTensor> ready);
  void fail(PendingOp op, const PeerFailure& failure);
  void end(PendingOp op);  // by close; requires closed_
  void fail_everything(const PeerFailure& failure);
  void bucket_finished(bool settled) noexcept;  // on a lane
  void tell_done() noexcept;                    // likewise
  void report_backlog();
  void tell_finished();

  const Parts parts_;
  const std::map<uint32_t, Group*> groups_;
  PendingTable pending_;
  std::vector<std::pair<PendingOp, Status>> broken_;  // waiting for the verdict
  std::optional<PeerFailure> failure_;                // the verdict
  std::optional<PeerFailure> departed_;               // the first rank that left
  std::optional<Status> closed_;
  std::atomic<size_t> backlog_{0};  // buckets given to lanes and not finished
  std::atomic<bool> backlog_told_{false};
  std::atomic<bool> last_agreed_{false};    // nothing follows what is agreed upon
  std::atomic<bool> any_unsettled_{false};  // a lane could not finish a bucket
  bool finished_told_ = false;

  mutable Mutex mutex_;
  CondVar changed_;
  Status health_ FARANDOLE_GUARDED_BY(mutex_);
  bool left_ FARANDOLE_GUARDED_BY(mutex_) = false;
};

}  // namespace farandole
