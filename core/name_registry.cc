#include "core/name_registry.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/member_name.h"
#include "core/request_check.h"

namespace farandole {

Status NameRegistry::claim(const std::vector<Request>& requests) {
  MutexLock lock(mutex_);
  if (requests.size() > max_in_flight_ - std::min(max_in_flight_, in_flight_.size()))
    return error(
        Code::InvalidArgument,
        "{} tensors are in flight and {} more were submitted; the limit is {} "
        "(FARANDOLE_MAX_PENDING)",
        in_flight_.size(),
        requests.size(),
        max_in_flight_);
  size_t claimed = 0;
  const auto give_back = [&]() FARANDOLE_REQUIRES(mutex_) {
    while (claimed > 0) {
      const Request& request = requests[--claimed];
      erase({request.signature.process_set, request.name});
    }
  };
  try {
    for (const Request& request : requests) {
      if (!claim_one(request))
        break;
      ++claimed;
    }
  } catch (...) {
    give_back();
    throw;
  }
  if (claimed == requests.size())
    return Status::ok();
  const Request& refused = requests[claimed];
  give_back();
  if (refused.signature.kind == CollectiveKind::Join)
    return error(
        Code::InvalidArgument,
        "join: this rank has joined process set {} already and waits for the others",
        refused.signature.process_set);
  return error(
      Code::InvalidArgument,
      "{} \"{}\": a tensor of that name is in flight already; wait for it or give another name",
      name_of(refused.signature.kind),
      printable(refused.name));
}

// Changes nothing where it throws.
bool NameRegistry::claim_one(const Request& request) {
  const CollectiveKind kind = request.signature.kind;
  const uint32_t set = request.signature.process_set;
  if (!groups_.empty() && groups_.contains(View(set, request.name)))
    return false;
  const std::optional<MemberName> member = member_name(request.name);
  if (!member)
    return in_flight_.emplace(Key(set, request.name), InFlight{kind}).second;
  Key name(set, member->group());
  if (in_flight_.contains(View(name)))
    return false;
  const auto [group, fresh] = groups_.try_emplace(std::move(name), GroupInFlight{member->count});
  try {
    const bool claimed = group->second.count == member->count &&
                         in_flight_.emplace(Key(set, request.name), InFlight{kind, &*group}).second;
    group->second.members += claimed ? 1 : 0;
    return claimed;  // of a fresh group nothing is in flight, so that this is claimed
  } catch (...) {
    if (fresh)
      groups_.erase(group);
    throw;
  }
}

void NameRegistry::erase(const View& key) noexcept {
  const auto place = in_flight_.find(key);
  if (place == in_flight_.end())
    return;
  if (auto* const group = place->second.group; group != nullptr && --group->second.members == 0)
    groups_.erase(groups_.find(View(group->first)));
  in_flight_.erase(place);
}

void NameRegistry::release(uint32_t process_set, const std::string& name) noexcept {
  MutexLock lock(mutex_);
  erase({process_set, name});
}

std::string NameRegistry::in_flight() {
  MutexLock lock(mutex_);
  const auto first = std::ranges::min_element(
      in_flight_, {}, [](const auto& item) -> const Key& { return item.first; });
  if (first == in_flight_.end())
    return {};
  const size_t others = in_flight_.size() - 1;
  return describe(first->second.kind, first->first.second) +
         (others == 0 ? "" : fmt::format(" and {} more", others));
}

}  // namespace farandole
