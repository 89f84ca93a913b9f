#include "core/session_timeline.h"

#include <string_view>

#include "core/base/format.h"

namespace farandole {
namespace {

constexpr std::string_view kRank = "{rank}";

}  // namespace

Status start_timeline(Session& session, const std::string& path, bool mark_cycles) {
  if (path.empty())
    return {Code::InvalidArgument, "timeline: the path is empty; name a file"};
  if (const Status health = session.health(); health.code() == Code::Aborted)
    return error(Code::Aborted, "timeline: {}", health.message());
  const Topology& topology = session.topology();
  std::string own = path;
  size_t at = own.find(kRank);
  if (at == std::string::npos && topology.rank != 0)
    return Status::ok();
  for (; at != std::string::npos; at = own.find(kRank, at))
    own.replace(at, kRank.size(), std::to_string(topology.rank));
  const std::vector<Member>& members = session.members();
  const auto place = static_cast<size_t>(topology.rank);
  return session.timeline().start(
      own, mark_cycles, {topology.rank, topology.size, members.at(place).host});
}

}  // namespace farandole
