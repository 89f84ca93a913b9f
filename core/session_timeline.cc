#include "core/session_timeline.h"

#include <cerrno>
#include <fstream>
#include <string_view>

#include "core/base/format.h"
#include "core/base/log.h"
#include "core/base/rank_cores.h"
#include "core/base/thread.h"
#include "core/base/timeline_path.h"

namespace farandole {
namespace {

// The steady clock begins with the machine: each start of one has a name. Where it cannot be read,
// the host and its own name serve nobody else.
std::string clock_name(const Topology& topology, const Member& self) {
  std::string name;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), name);
  return name.empty() ? fmt::format("{}/{}", self.host, topology.rank) : name;
}

// The writer, as the session's other threads are bound already. Where it cannot be, it writes all
// the same.
void bind_writer(StartedThreads& started, const Config& config, const Topology& topology) {
  if (config.thread_affinity.empty())
    return;
  const auto core = thread_core(config.thread_affinity, topology.local_rank, topology.local_size);
  const int why = core ? started.bind({core.value()}) : EINVAL;
  if (why != 0)
    FARANDOLE_LOG(
        Warning,
        "{}",
        system_error("binding the thread of the timeline to its core", why).message());
}

}  // namespace

Status start_timeline(Session& session, const std::string& path, bool mark_cycles) {
  if (path.empty())
    return {Code::InvalidArgument, "timeline: the path is empty; name a file"};
  if (!has_only_known_places(path))
    return error(
        Code::InvalidArgument,
        "timeline: the path \"{}\" has a place that is not known; only {{rank}} is",
        printable(path, 256));
  if (const Status health = session.health(); health.code() == Code::Aborted)
    return error(Code::Aborted, "timeline: {}", health.message());
  const Topology& topology = session.topology();
  std::string own = path;
  size_t at = own.find(kRankPlace);
  if (at == std::string::npos && topology.rank != 0)
    return Status::ok();
  for (; at != std::string::npos; at = own.find(kRankPlace, at))
    own.replace(at, kRankPlace.size(), std::to_string(topology.rank));
  const Member& self = session.members().at(static_cast<size_t>(topology.rank));
  StartedThreads started;
  FARANDOLE_RETURN_IF_ERROR(session.timeline().start(
      own, mark_cycles, {topology.rank, topology.size, self.host, clock_name(topology, self)}));
  bind_writer(started, session.config(), topology);
  return Status::ok();
}

}  // namespace farandole
