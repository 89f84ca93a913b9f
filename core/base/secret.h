#pragma once
// The job's secret, and keys made of it. Has no operator<<, no formatter and no conversion to
// string, so that it cannot slip into a log. Its bytes lie on pages that no core dump holds and are
// wiped when the last copy goes: copies share them.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "core/base/secret_memory.h"
#include "core/base/status.h"

namespace farandole {

class Secret {
 public:
  static constexpr size_t kMinBytes = 32;

  Secret() = default;
  explicit Secret(std::span<const uint8_t> bytes);

  // 32 bytes of getrandom(2). Fails: System.
  static Result<Secret> random();
  // Whole content of `path`. Fails: System where it cannot be read, InvalidArgument where it is
  // shorter than kMinBytes, longer than 4 KiB, or readable by others than its owner.
  static Result<Secret> from_file(const std::string& path);

  std::span<const uint8_t> bytes() const noexcept {
    return memory_ ? std::as_const(*memory_).bytes() : std::span<const uint8_t>();
  }
  bool empty() const noexcept { return bytes().empty(); }

 private:
  explicit Secret(SecretMemory memory);
  std::shared_ptr<SecretMemory> memory_;  // never written once a Secret holds it
};

// getrandom(2), for what is random and no secret. Fails: System.
Status fill_random(std::span<uint8_t> bytes);

}  // namespace farandole
