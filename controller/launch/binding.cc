#include "controller/launch/binding.h"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include "core/base/format.h"
#include "core/base/rank_cores.h"

namespace farandole::launch {
namespace {

constexpr std::array<std::pair<const char*, MachinePart>, 5> kNames{{
    {"none", MachinePart::None},
    {"hwthread", MachinePart::Hwthread},
    {"core", MachinePart::Core},
    {"numa", MachinePart::Numa},
    {"socket", MachinePart::Socket},
}};

const std::vector<CpuSet>& parts_of(const MachineParts& parts, MachinePart kind) {
  switch (kind) {
    case MachinePart::Socket:
      return parts.sockets;
    case MachinePart::Numa:
      return parts.numas;
    case MachinePart::Core:
      return parts.cores;
    default:
      return parts.hwthreads;
  }
}

// Where the first processor of `unit` lies.
size_t place_of(const CpuSet& unit, const std::vector<CpuSet>& kind) {
  const auto found = std::find_if(
      kind.begin(), kind.end(), [&](const CpuSet& part) { return part.contains(*unit.begin()); });
  return static_cast<size_t>(found - kind.begin());
}

}  // namespace

std::optional<MachinePart> parse_machine_part(std::string_view word) {
  for (const auto& [name, part] : kNames) {
    if (word == name)
      return part;
  }
  return std::nullopt;
}

const char* name_of(MachinePart part) {
  return kNames[static_cast<size_t>(part)].first;
}

Result<std::vector<CpuSet>> bind_ranks(
    const MachineParts& parts, const BindPolicy& policy, int ranks) {
  const bool threads = policy.bind == MachinePart::Hwthread;
  const std::vector<CpuSet>& units = threads ? parts.hwthreads : parts.cores;
  if (static_cast<size_t>(ranks) > units.size())
    return error(
        Code::InvalidArgument,
        "--bind-to {}: {} ranks are more than the {} {} that may be used here (CPUs {}); start "
        "fewer, {}or leave --bind-to out",
        name_of(policy.bind),
        ranks,
        units.size(),
        threads ? "hardware threads" : "cores",
        cpu_list([&] {
          CpuSet all;
          for (const CpuSet& unit : units) all.insert(unit.begin(), unit.end());
          return all;
        }()),
        !threads && static_cast<size_t>(ranks) <= parts.hwthreads.size() ? "use --bind-to hwthread "
                                                                         : "");
  const std::vector<CpuSet>& turns =
      parts_of(parts, policy.map == MachinePart::None ? policy.bind : policy.map);
  std::vector<std::deque<const CpuSet*>> waiting(turns.size());
  for (const CpuSet& unit : units) waiting[place_of(unit, turns)].push_back(&unit);
  const std::vector<CpuSet>& targets = parts_of(parts, policy.bind);
  std::vector<CpuSet> bound;
  for (size_t turn = 0; bound.size() < static_cast<size_t>(ranks); ++turn) {
    std::deque<const CpuSet*>& next = waiting[turn % waiting.size()];
    if (next.empty())
      continue;
    bound.push_back(targets[place_of(*next.front(), targets)]);
    next.pop_front();
  }
  return bound;
}

Status check_thread_cores(
    const std::vector<int>& cores,
    int ranks,
    const CpuSet& usable,
    const BindPolicy& policy,
    const std::vector<CpuSet>& bound) {
  for (int rank = 0; rank < ranks && !cores.empty(); ++rank) {
    const auto core = thread_core(cores, rank, ranks);
    if (!core)
      return core.status();
    const CpuSet& own = bound.empty() ? usable : bound[static_cast<size_t>(rank)];
    if (!own.contains(core.value()))
      return error(
          Code::InvalidArgument,
          "{}: core {} of local rank {} is not among CPUs {}, {}",
          kThreadAffinity,
          core.value(),
          rank,
          cpu_list(own),
          bound.empty()
              ? "which may be used here; name one of these"
              : fmt::format(
                    "to which --bind-to {} binds it; name one of these, or leave --bind-to out",
                    name_of(policy.bind)));
  }
  return Status::ok();
}

double share_of(const std::vector<CpuSet>& bound, size_t index) {
  const auto sharing = std::count(bound.begin(), bound.end(), bound[index]);
  return static_cast<double>(bound[index].size()) / static_cast<double>(sharing);
}

}  // namespace farandole::launch
