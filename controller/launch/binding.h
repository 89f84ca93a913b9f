#pragma once
// Which processors each rank of a host gets (--bind-to, --map-by). Pure.

#include <optional>
#include <string_view>
#include <vector>

#include "core/base/affinity.h"

namespace farandole::launch {

// Parts of a machine, the smaller first. Their numbers travel to other hosts.
enum class MachinePart : uint8_t { None, Hwthread, Core, Numa, Socket };

struct BindPolicy {
  MachinePart bind = MachinePart::None;  // what a rank is bound to
  MachinePart map = MachinePart::None;   // over which parts ranks go in turn; None: as `bind`
  bool operator==(const BindPolicy&) const = default;
};

// "core"; nothing for other words. "slot" is no part: ranks go one after the other.
std::optional<MachinePart> parse_machine_part(std::string_view word);
const char* name_of(MachinePart part);

// What of a machine may be used, in its order. The sets of one kind are disjoint and hold the same
// processors as those of any other kind.
struct MachineParts {
  std::vector<CpuSet> hwthreads;
  std::vector<CpuSet> cores;
  std::vector<CpuSet> numas;
  std::vector<CpuSet> sockets;
};

// The processors of each rank. Every rank has a core (or hardware thread) that no other has, whose
// part of kind `bind` it gets; so ranks share a socket, and never more of them than it has cores.
// Fails: InvalidArgument where there are more ranks than cores. Requires: bind is not None.
Result<std::vector<CpuSet>> bind_ranks(
    const MachineParts& parts, const BindPolicy& policy, int ranks);

// Whether the list gives a core to the threads of each of these ranks that may be used: of `usable`
// where ranks are not bound, else of those that the rank is bound to. Fails: InvalidArgument.
Status check_thread_cores(
    const std::vector<int>& cores,
    int ranks,
    const CpuSet& usable,
    const BindPolicy& policy,
    const std::vector<CpuSet>& bound);

// How many threads of its own rank `index` can keep busy: its processors, shared out among those
// who are bound to the same ones.
double share_of(const std::vector<CpuSet>& bound, size_t index);

}  // namespace farandole::launch
