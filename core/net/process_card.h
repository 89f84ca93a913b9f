#pragma once
// ProcessCard: says which process of which running machine this is, so that another process there
// can watch it end.

#include <cstdint>
#include <optional>
#include <string>

#include "core/net/bytes.h"
#include "core/net/fd_io.h"

namespace farandole::net {

struct ProcessCard {
  std::string boot;        // id of the machine's current boot
  uint64_t pid_space = 0;  // pid namespace: where `pid` has a meaning
  int64_t pid = 0;

  // Of this process. Fields that cannot be found out are empty.
  static ProcessCard own();
  void encode(Bytes& to) const;
  // nullopt where the bytes are no card.
  static std::optional<ProcessCard> decode(ByteReader& from);
  bool operator==(const ProcessCard&) const = default;
};

// A descriptor that is readable once the process has ended; none where it runs on another machine
// or in another pid namespace, is this very process, or the kernel cannot watch it.
UniqueFd watch_process(const ProcessCard& own, const ProcessCard& other);

}  // namespace farandole::net
