#pragma once
// Staging: memory that an operation needs besides its caller's. It grows, and is kept for the next
// operation.

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "core/communicator.h"

namespace farandole::cpu {

// What Staging throws.
class NoStaging final : public std::bad_alloc {
 public:
  explicit NoStaging(size_t bytes) noexcept : bytes_(bytes) {}
  const char* what() const noexcept override { return "no memory for staging"; }
  // Why the operation failed.
  Status about(const CollectiveOp& op) const;

 private:
  size_t bytes_;
};

class Staging {
 public:
  // At least so many bytes; what they held is lost. Fails: throws NoStaging.
  uint8_t* take(size_t bytes);

 private:
  std::vector<uint8_t> memory_;
};

}  // namespace farandole::cpu
