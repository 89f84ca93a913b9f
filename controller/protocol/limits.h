#pragma once
// Limits: the part of Config that bounds what a peer may send. Equal on all ranks (see
// shared_settings), so a message that breaks them was never made by an honest one.

#include <cstddef>
#include <string>
#include <vector>

#include "core/base/config.h"

namespace farandole::control {

struct Limits {
  size_t size = 1;  // ranks of the job
  size_t max_name_bytes = 512;
  size_t max_dims = 64;
  size_t max_pending = 1 << 20;
  size_t max_frame_bytes = 16 << 20;
  size_t store_bytes = 16 << 20;
  size_t cache_capacity = 16384;
  size_t fusion_bytes = 64 << 20;

  static Limits of(const Config& config);
  bool operator==(const Limits&) const = default;
};

// Keys of the store that one rank may set, and gets that it may have waiting.
inline constexpr size_t kMaxStoreKeys = 1 << 16;
inline constexpr size_t kMaxStoreWaits = 1 << 12;
// Entries of one kind in one message; senders split what is longer.
inline constexpr size_t kMaxEntries = 1 << 16;
// Bytes of a message besides its entries, its key or its value; rounded up.
inline constexpr size_t kMessageBytes = 512;
// Host names, addresses, store keys, texts of errors.
inline constexpr size_t kMaxTextBytes = 4096;
// Why a rank failed or left, which stands in the error of each operation of every rank: senders cut
// what is longer, so that all ranks read the same.
inline constexpr size_t kMaxCauseBytes = 512;
inline constexpr size_t kMaxSettings = 64;
// What a rank says of its threads.
inline constexpr size_t kMaxStackBytes = 16384;

// A configuration key that must have one value on all ranks.
struct Setting {
  std::string name;
  std::string value;
  bool operator==(const Setting&) const = default;
};
std::vector<Setting> shared_settings(const Config& config);

}  // namespace farandole::control
