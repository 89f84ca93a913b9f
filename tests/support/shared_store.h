#pragma once
// SharedStore: a Store for ranks that are forked processes. To be made before the fork.

#include <memory>

#include "core/store.h"

namespace farandole::testing {

// Survives the death of any process, also of one that holds its lock. Holds some dozens of small
// values.
class SharedStore final : public Store {
 public:
  SharedStore();
  ~SharedStore() override;
  SharedStore(const SharedStore&) = delete;
  SharedStore& operator=(const SharedStore&) = delete;

  Status set(const std::string& key, std::vector<uint8_t> value) override;
  Result<std::vector<uint8_t>> get(const std::string& key, TimePoint deadline) override;

 private:
  struct Shared;
  class Lock;
  Shared* shared_;
};

}  // namespace farandole::testing
