#include "collectives/shm/published.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "core/base/format.h"

namespace farandole::shm {

std::vector<uint8_t> Published::to_bytes() const {
  const std::string line =
      fmt::format("{} {}", static_cast<int>(status.code()), status ? text : status.message());
  return {line.begin(), line.end()};
}

Result<Published> Published::from_bytes(std::span<const uint8_t> bytes) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  int code = 0;
  const auto [end, failed] = std::from_chars(all.data(), all.data() + all.size(), code);
  const auto used = static_cast<size_t>(end - all.data());
  if (failed != std::errc() || used >= all.size() || all[used] != ' ' || code < 0 ||
      code > static_cast<int>(Code::Internal))
    return error(Code::Mismatch, "\"{}\" is nothing that a member publishes", printable(all, 64));
  std::string text(all.substr(used + 1));
  if (code == 0)
    return Published{Status::ok(), std::move(text)};
  return Published{Status(static_cast<Code>(code), std::move(text)), {}};
}

}  // namespace farandole::shm
