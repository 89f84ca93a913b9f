#include "core/name_registry.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/request_check.h"

namespace farandole {

std::string NameRegistry::key(uint32_t process_set, const std::string& name) {
  return process_set == 0 ? name : fmt::format("{}\x1f{}", name, process_set);
}

void NameRegistry::name(std::vector<Request>& requests) {
  MutexLock lock(mutex_);
  for (Request& request : requests) {
    if (request.name.empty())
      request.name = next_name(request.signature.kind);
  }
}

std::string NameRegistry::next(CollectiveKind kind) {
  MutexLock lock(mutex_);
  return next_name(kind);
}

std::string NameRegistry::next_name(CollectiveKind kind) {
  return fmt::format("{}.noname.{}", name_of(kind), ++next_.at(static_cast<size_t>(kind)));
}

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
  for (size_t i = 0; i < requests.size(); ++i) {
    const Request& request = requests[i];
    if (in_flight_.emplace(key(request.signature.process_set, request.name), request.signature.kind)
            .second)
      continue;
    for (size_t j = 0; j < i; ++j)
      in_flight_.erase(key(requests[j].signature.process_set, requests[j].name));
    return error(
        Code::InvalidArgument,
        "{} \"{}\": a tensor of that name is in flight already; wait for it or give another name",
        name_of(request.signature.kind),
        printable(request.name));
  }
  return Status::ok();
}

void NameRegistry::release(uint32_t process_set, const std::string& name) {
  MutexLock lock(mutex_);
  in_flight_.erase(key(process_set, name));
}

std::string NameRegistry::in_flight() {
  MutexLock lock(mutex_);
  const auto first = std::min_element(in_flight_.begin(), in_flight_.end());
  if (first == in_flight_.end())
    return {};
  const std::string name = first->first.substr(0, first->first.find('\x1f'));
  const size_t others = in_flight_.size() - 1;
  return describe(first->second, name) + (others == 0 ? "" : fmt::format(" and {} more", others));
}

}  // namespace farandole
