#include "bindings/c/held.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <type_traits>

namespace farandole::capi {
namespace {

// Places that a lookup scans; a cache line. 0 is a free one.
struct alignas(64) Bucket {
  std::array<std::atomic<uintptr_t>, 8> places{};
};

// A table of buckets, and a larger one for what finds no free place in this one. Tables are never
// taken away, so that a reader needs no lock; together they are bounded by the most objects that
// were held at once.
class Table {
 public:
  constexpr Table(Bucket* buckets, unsigned bits) : buckets_(buckets), bits_(bits) {}

  Bucket& bucket_of(uintptr_t key) const noexcept {
    constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;  // Fibonacci hashing
    return buckets_[(key >> 4) * kGolden >> (64 - bits_)];
  }

  Table* next() const noexcept { return next_.load(std::memory_order_acquire); }

  Table& larger() {
    if (Table* const known = next())
      return *known;
    auto buckets = std::make_unique<Bucket[]>(size_t{1} << (bits_ + 3));
    auto made = std::make_unique<Table>(buckets.get(), bits_ + 3);
    Table* other = nullptr;
    if (!next_.compare_exchange_strong(other, made.get()))
      return *other;  // another thread's
    static_cast<void>(buckets.release());
    return *made.release();
  }

 private:
  Bucket* buckets_;
  unsigned bits_;
  std::atomic<Table*> next_{nullptr};
};

constexpr unsigned kBits = 8;

// Pointers mean the same in all of a process, whatever sessions there are. Without constructor and
// destructor, since exit handlers and forked children may call.
constinit std::array<Bucket, size_t{1} << kBits> first_buckets{};
constinit Table first_table{first_buckets.data(), kBits};
static_assert(std::is_trivially_destructible_v<Bucket> && std::is_trivially_destructible_v<Table>);

uintptr_t key_of(const void* object, Held kind) noexcept {
  return reinterpret_cast<uintptr_t>(object) | static_cast<uintptr_t>(kind);
}

// Whether `use` said yes to a place that has the key.
template <typename Use>
bool find(uintptr_t key, const Use& use) noexcept {
  for (const Table* table = &first_table; table; table = table->next())
    for (std::atomic<uintptr_t>& place : table->bucket_of(key).places)
      if (place.load(std::memory_order_acquire) == key && use(place))
        return true;
  return false;
}

bool replace(uintptr_t key, uintptr_t next) noexcept {
  return find(key, [key, next](std::atomic<uintptr_t>& place) {
    uintptr_t expected = key;
    return place.compare_exchange_strong(expected, next);
  });
}

}  // namespace

bool is_held(const void* object, Held kind) noexcept {
  return find(key_of(object, kind), [](const auto&) { return true; });
}

bool let_go(const void* object, Held kind) noexcept {
  return replace(key_of(object, kind), 0);
}

bool turn(const void* object, Held from, Held to) noexcept {
  return replace(key_of(object, from), key_of(object, to));
}

Holding::Holding(const void* object, Held kind) : object_(object), kind_(kind) {
  const uintptr_t key = key_of(object, kind);
  for (Table* table = &first_table;; table = &table->larger())
    for (std::atomic<uintptr_t>& place : table->bucket_of(key).places)
      if (uintptr_t free = 0; place.compare_exchange_strong(free, key))
        return;
}

}  // namespace farandole::capi
