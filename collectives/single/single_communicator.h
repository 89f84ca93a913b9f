#pragma once
// SingleCommunicator: a group of one. Copies, scales, never waits.

#include "core/base/mutex.h"
#include "core/communicator.h"

namespace farandole::single {

class SingleCommunicator final : public Communicator {
 public:
  Traits traits() const noexcept override { return {"single", true}; }
  Status run(const CollectiveOp& op, StreamHandle stream) override;
  void abort(Status why) noexcept override;

 private:
  Status failure();

  Mutex mutex_;
  Status failure_ FARANDOLE_GUARDED_BY(mutex_);
};

}  // namespace farandole::single
