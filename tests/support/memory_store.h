#pragma once
// MemoryStore: a Store in memory, for ranks that are threads of one process.

#include <map>

#include "core/base/format.h"
#include "core/base/mutex.h"
#include "core/store.h"

namespace farandole::testing {

class MemoryStore final : public Store {
 public:
  Status set(const std::string& key, std::vector<uint8_t> value) override {
    const MutexLock lock(mutex_);
    if (!values_.emplace(key, std::move(value)).second)
      return error(Code::InvalidArgument, "store key {} is set already", key);
    changed_.notify_all();
    return Status::ok();
  }

  Result<std::vector<uint8_t>> get(const std::string& key, TimePoint deadline) override {
    const MutexLock lock(mutex_);
    for (;;) {
      if (!failure_)
        return failure_;
      if (const auto found = values_.find(key); found != values_.end())
        return found->second;
      if (steady_now() >= deadline)
        return error(Code::Timeout, "nobody set store key {}", key);
      changed_.wait_until(mutex_, deadline);
    }
  }

  // Every waiting and later get() returns `why`: the job failed.
  void fail(Status why) {
    const MutexLock lock(mutex_);
    failure_ = std::move(why);
    changed_.notify_all();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, std::vector<uint8_t>> values_ FARANDOLE_GUARDED_BY(mutex_);
  Status failure_ FARANDOLE_GUARDED_BY(mutex_);
};

}  // namespace farandole::testing
