#pragma once
// Interrupt: ends a wait of another thread for descriptors, and says why.

#include <memory>

#include "core/base/mutex.h"
#include "core/base/status.h"

namespace farandole {

// Thread: any.
class Interrupt {
 public:
  // Fails: System.
  static Result<std::shared_ptr<Interrupt>> make();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // First call wins.
  void trigger(Status why);
  // Ok until triggered.
  Status status() const;
  // Readable from then on, for ever.
  int fd() const noexcept { return fd_; }

 private:
  explicit Interrupt(int fd) : fd_(fd) {}

  const int fd_;
  mutable Mutex mutex_;
  Status why_ FARANDOLE_GUARDED_BY(mutex_);
};

}  // namespace farandole
