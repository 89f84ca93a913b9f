#pragma once
// Staging: memory that an operation needs besides its caller's. It grows, and is kept for the next
// operation.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

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
  // At least so many bytes; what they hold is anything: filling them would delay an abort. Fails:
  // throws NoStaging.
  uint8_t* take(size_t bytes);

 private:
  std::unique_ptr<uint8_t[]> memory_;
  size_t bytes_ = 0;
};

}  // namespace farandole::cpu
