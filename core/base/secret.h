#pragma once
// The job's secret. Has no operator<<, no formatter and no conversion to string, so that it cannot
// slip into a log; wiped when destroyed.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace farandole {

class Secret {
 public:
  static constexpr size_t kMinBytes = 32;

  Secret() = default;
  explicit Secret(std::span<const uint8_t> bytes) : bytes_(bytes.begin(), bytes.end()) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  Secret(Secret&&) noexcept = default;
  Secret& operator=(Secret&&) noexcept = default;
  ~Secret();

  // 32 bytes of getrandom(2). Fails: System.
  static Result<Secret> random();
  // Whole content of `path`. Fails: System where it cannot be read, InvalidArgument where it is
  // shorter than kMinBytes, longer than 4 KiB, or readable by others than its owner.
  static Result<Secret> from_file(const std::string& path);

  std::span<const uint8_t> bytes() const noexcept { return bytes_; }
  bool empty() const noexcept { return bytes_.empty(); }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace farandole
