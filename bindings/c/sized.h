#pragma once
// Structs whose first member is their size in the caller's eyes, so that they can grow.
// A new member is added behind sizeof of the last release, never inside its padding.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "core/base/format.h"

namespace farandole::capi {

// More than any struct will have: bounds what is read of a struct_size that is garbage.
inline constexpr size_t kMaxStructBytes = 4096;

inline Status check_size(size_t size, const char* what) {
  if (size > sizeof(size_t) && size <= kMaxStructBytes)
    return Status::ok();
  return error(
      Code::InvalidArgument,
      "struct_size of {} is {}; start from its FDL_..._INIT or sizeof",
      what,
      size);
}

// Reads a caller's struct over the defaults that `into` holds.
// Fails: InvalidArgument where `from` is null, has no sensible size, or a newer caller's struct
// asks for something that is not known here.
template <typename T>
Status read_sized(const T* from, T& into, const char* what) {
  if (!from)
    return error(Code::InvalidArgument, "{} is NULL", what);
  const size_t size = from->struct_size;
  FARANDOLE_RETURN_IF_ERROR(check_size(size, what));
  std::memcpy(&into, from, std::min(size, sizeof(T)));
  into.struct_size = sizeof(T);
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  const bool known =
      std::all_of(bytes + std::min(size, sizeof(T)), bytes + size, [](unsigned char byte) {
        return byte == 0;
      });
  if (known)
    return Status::ok();
  return error(
      Code::InvalidArgument,
      "{} is from a newer release ({} bytes, {} are known) and uses what this one lacks",
      what,
      size,
      sizeof(T));
}

// Fills a caller's struct as far as it reaches; what it has beyond is zeroed.
template <typename T>
Status write_sized(T value, T* to, const char* what) {
  if (!to)
    return error(Code::InvalidArgument, "{} is NULL", what);
  const size_t size = to->struct_size;
  FARANDOLE_RETURN_IF_ERROR(check_size(size, what));
  value.struct_size = size;
  std::memset(static_cast<void*>(to), 0, size);
  std::memcpy(static_cast<void*>(to), &value, std::min(size, sizeof(T)));
  return Status::ok();
}

// Writes as much of `text` as there is room for, and a terminating 0. Requires: capacity > 0.
inline void copy_text(std::string_view text, char* to, size_t capacity) {
  const size_t length = std::min(text.size(), capacity - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

}  // namespace farandole::capi
