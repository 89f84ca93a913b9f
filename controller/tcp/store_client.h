#pragma once
// StoreClient: the job's Store as this rank sees it. Callers block here; requests and answers
// travel on the loop.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/store.h"

namespace farandole::control {

// What a caller wants of the coordinator; sent by the driver on the loop.
struct StoreRequest {
  enum class Kind : uint8_t { Set, Get, Cancel };
  Kind kind = Kind::Get;
  uint64_t number = 0;
  std::string key;
  std::vector<uint8_t> value;
};

class StoreClient final : public Store {
 public:
  struct Parts {
    std::function<void(StoreRequest)> submit;  // never blocks
    std::function<bool()> on_loop_thread;
    Duration set_timeout{};  // for the coordinator's answer
  };
  explicit StoreClient(Parts parts) : parts_(std::move(parts)) {}

  Status set(const std::string& key, std::vector<uint8_t> value) override;
  Result<std::vector<uint8_t>> get(const std::string& key, TimePoint deadline) override;

  // The answer to a request. Thread: any.
  void on_reply(uint64_t number, Status status, std::vector<uint8_t> value);
  // Ends every waiting and every later call with `why`. The first call wins. Thread: any.
  void close(Status why);

 private:
  struct Call {
    bool done = false;
    Status status;
    std::vector<uint8_t> value;
  };
  Result<std::vector<uint8_t>> call(StoreRequest request, TimePoint deadline);

  const Parts parts_;
  Mutex mutex_;
  CondVar answered_;
  uint64_t last_number_ FARANDOLE_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, Call> calls_ FARANDOLE_GUARDED_BY(mutex_);
  Status closed_ FARANDOLE_GUARDED_BY(mutex_);
};

}  // namespace farandole::control
