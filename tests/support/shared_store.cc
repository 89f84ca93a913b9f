#include "tests/support/shared_store.h"

#include <pthread.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <new>
#include <stdexcept>

#include "core/base/format.h"

namespace farandole::testing {
namespace {

constexpr size_t kEntries = 256, kKeyBytes = 128, kValueBytes = 1024;

}  // namespace

struct SharedStore::Shared {
  struct Entry {
    std::array<char, kKeyBytes> key{};
    std::array<uint8_t, kValueBytes> value{};
    size_t bytes = 0;
  };
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  size_t used = 0;
  std::array<Entry, kEntries> entries;

  const Entry* find(const std::string& name) const {
    for (size_t i = 0; i < used; ++i) {
      if (name == entries[i].key.data())
        return &entries[i];
    }
    return nullptr;
  }
};

class SharedStore::Lock {
 public:
  explicit Lock(Shared& shared) : shared_(shared) {
    if (::pthread_mutex_lock(&shared.mutex) == EOWNERDEAD)
      ::pthread_mutex_consistent(&shared.mutex);
  }
  ~Lock() { ::pthread_mutex_unlock(&shared_.mutex); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Shared& shared_;
};

SharedStore::SharedStore() {
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    throw std::runtime_error("no memory for a SharedStore");
  shared_ = new (memory) Shared;
  pthread_mutexattr_t mutex;
  ::pthread_mutexattr_init(&mutex);
  ::pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
  ::pthread_mutex_init(&shared_->mutex, &mutex);
  ::pthread_mutexattr_destroy(&mutex);
  pthread_condattr_t cond;
  ::pthread_condattr_init(&cond);
  ::pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
  ::pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
  ::pthread_cond_init(&shared_->changed, &cond);
  ::pthread_condattr_destroy(&cond);
}

SharedStore::~SharedStore() {
  ::munmap(shared_, sizeof(Shared));
}

Status SharedStore::set(const std::string& key, std::vector<uint8_t> value) {
  const Lock lock(*shared_);
  if (shared_->find(key) != nullptr)
    return error(Code::InvalidArgument, "store key {} is set already", key);
  if (shared_->used == kEntries || key.size() >= kKeyBytes || value.size() > kValueBytes)
    return error(Code::System, "no room for store key {}", key);
  Shared::Entry& entry = shared_->entries[shared_->used++];
  std::memcpy(entry.key.data(), key.c_str(), key.size() + 1);
  std::memcpy(entry.value.data(), value.data(), value.size());
  entry.bytes = value.size();
  ::pthread_cond_broadcast(&shared_->changed);
  return Status::ok();
}

Result<std::vector<uint8_t>> SharedStore::get(const std::string& key, TimePoint deadline) {
  const auto nanoseconds = deadline.time_since_epoch().count();
  const timespec until{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
  const Lock lock(*shared_);
  for (;;) {
    if (const Shared::Entry* entry = shared_->find(key))
      return std::vector<uint8_t>(
          entry->value.begin(), entry->value.begin() + static_cast<ptrdiff_t>(entry->bytes));
    const int woken = ::pthread_cond_timedwait(&shared_->changed, &shared_->mutex, &until);
    if (woken == EOWNERDEAD)
      ::pthread_mutex_consistent(&shared_->mutex);
    if (woken == ETIMEDOUT && shared_->find(key) == nullptr)
      return error(Code::Timeout, "nobody set store key {}", key);
  }
}

}  // namespace farandole::testing
