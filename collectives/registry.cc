#include "collectives/registry.h"

#include <set>
#include <string_view>

#include "collectives/gloo/connect.h"
#include "collectives/hierarchical/connect.h"
#include "collectives/shm/connect.h"
#include "collectives/single/single_communicator.h"
#include "core/base/format.h"
#include "core/base/log.h"

namespace farandole {
namespace {

size_t count_hosts(const GroupSpec& group) {
  std::set<std::string_view> hosts;
  for (const Member& member : group.members) hosts.insert(member.host);
  return hosts.size();
}

void tell_choice(const GroupSpec& group, const char* choice) {
  if (group.index == 0)
    FARANDOLE_LOG(
        Info, "group {} of {} ranks communicates over {}", group.tag, group.members.size(), choice);
}

Result<std::unique_ptr<Communicator>> over_shared_memory(
    const GroupSpec& group, Store& store, const Config& config) {
  Result<std::unique_ptr<Communicator>> shared = shm::connect(group, store, config);
  if (shared)
    tell_choice(group, "shared memory");
  return shared;
}

Result<std::unique_ptr<Communicator>> over_gloo(
    const GroupSpec& group, Store& store, const Config& config) {
  tell_choice(group, "Gloo");
  return gloo_comm::connect(group, store, config);
}

// Shared memory, or Gloo where it cannot be had: all members learn the same verdict.
Result<std::unique_ptr<Communicator>> inside_host(
    const GroupSpec& group, Store& store, const Config& config) {
  Result<std::unique_ptr<Communicator>> shared = over_shared_memory(group, store, config);
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
  return over_shared_memory(group, store, config);
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
    case CommunicatorChoice::Flat:
    case CommunicatorChoice::Auto:
      break;
  }
  // A group on one host has only the inner half of a hierarchy.
  const size_t hosts = count_hosts(group);
  if (hosts == 1)
    return inside_host(group, store, config);
  const bool one_each = hosts == group.members.size();
  if (config.communicator == CommunicatorChoice::Flat ||
      (one_each && config.communicator == CommunicatorChoice::Auto))
    return over_gloo(group, store, config);
  tell_choice(group, "shared memory inside hosts and Gloo between them");
  return hierarchical::connect(group, store, config, inside_host, over_gloo);
}

}  // namespace farandole
