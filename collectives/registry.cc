#include "collectives/registry.h"

#include <algorithm>

#include "collectives/gloo/connect.h"
#include "collectives/shm/connect.h"
#include "collectives/single/single_communicator.h"
#include "core/base/format.h"
#include "core/base/log.h"

namespace farandole {
namespace {

bool on_one_host(const GroupSpec& group) {
  return std::all_of(group.members.begin(), group.members.end(), [&](const Member& member) {
    return member.host == group.members.front().host;
  });
}

Result<std::unique_ptr<Communicator>> over_gloo(
    const GroupSpec& group, Store& store, const Config& config) {
  return gloo_comm::connect(group, store, config);
}

// Shared memory, or Gloo where it cannot be had: all members learn the same verdict.
Result<std::unique_ptr<Communicator>> inside_host(
    const GroupSpec& group, Store& store, const Config& config) {
  Result<std::unique_ptr<Communicator>> shared = shm::connect(group, store, config);
  if (shared || shared.status().code() != Code::Unsupported)
    return shared;
  if (group.index == 0)
    FARANDOLE_LOG(
        Warning,
        "group {} of {} ranks on host {}: no shared memory, so that Gloo is used: {}",
        group.tag,
        group.members.size(),
        printable(group.members.front().host, 128),
        shared.status().message());
  return over_gloo(group, store, config);
}

Result<std::unique_ptr<Communicator>> forced_shared_memory(
    const GroupSpec& group, Store& store, const Config& config) {
  const Member& first = group.members.front();
  for (const Member& member : group.members)
    if (member.host != first.host)
      return error(
          Code::InvalidArgument,
          "communicator shm was asked for, but rank {} is on host {} and rank {} on host {}: "
          "auto, hierarchical or gloo would do",
          first.rank,
          printable(first.host, 128),
          member.rank,
          printable(member.host, 128));
  return shm::connect(group, store, config);
}

}  // namespace

Result<std::unique_ptr<Communicator>> make_communicator(
    const GroupSpec& group, Store& store, const Config& config) {
  if (group.members.size() == 1)
    return std::unique_ptr<Communicator>(std::make_unique<single::SingleCommunicator>());
  switch (config.communicator) {
    case CommunicatorChoice::Shm:
      return forced_shared_memory(group, store, config);
    case CommunicatorChoice::Gloo:
      return over_gloo(group, store, config);
    case CommunicatorChoice::Hierarchical:
    case CommunicatorChoice::Auto:
      break;
  }
  return on_one_host(group) ? inside_host(group, store, config) : over_gloo(group, store, config);
}

}  // namespace farandole
