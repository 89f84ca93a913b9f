#include "controller/launch/host_reach.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr size_t kShown = 300;

}  // namespace

void HostReach::add(const std::string& host, const std::vector<std::string>& refused) {
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    if (!refused[i].empty())
      missed_.insert(endpoints_[i]);
  }
  const auto is_reason = [](const std::string& text) { return !text.empty(); };
  const auto why = std::find_if(refused.begin(), refused.end(), is_reason);
  if (why == refused.end())
    return;
  const bool none = !host.empty() && std::all_of(refused.begin(), refused.end(), is_reason);
  if (why_.empty() || (none && reaching_none_.empty()))
    why_ = printable(*why, kShown);
  if (none)
    reaching_none_ += (reaching_none_.empty() ? "" : ", ") + host;
}

std::string HostReach::reached_by_all() const {
  for (const std::string& endpoint : endpoints_) {
    if (!missed_.contains(endpoint))
      return endpoint;
  }
  return "";
}

std::string HostReach::complaint(const std::string& host) const {
  return fmt::format(
      "host {}, where rank 0 is to run, is not reached by {} at {} ({}); open its firewall for "
      "ports of the job, or choose the network with --network-interfaces",
      host,
      reaching_none_.empty() ? "all hosts" : reaching_none_,
      fmt::join(endpoints_, ", "),
      why_);
}

}  // namespace farandole::launch
