#include "core/name_registry.h"

#include <algorithm>

#include "core/base/format.h"
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
      const Signature& s = request.signature;
      if (!in_flight_.emplace(Key(s.process_set, request.name), s.kind).second)
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

void NameRegistry::erase(const View& key) noexcept {
  if (const auto place = in_flight_.find(key); place != in_flight_.end())
    in_flight_.erase(place);
}

void NameRegistry::release(uint32_t process_set, const std::string& name) noexcept {
  MutexLock lock(mutex_);
  erase({process_set, name});
}

std::string NameRegistry::in_flight() {
  MutexLock lock(mutex_);
  const auto first = std::min_element(in_flight_.begin(), in_flight_.end());
  if (first == in_flight_.end())
    return {};
  const size_t others = in_flight_.size() - 1;
  return describe(first->second, first->first.second) +
         (others == 0 ? "" : fmt::format(" and {} more", others));
}

}  // namespace farandole
