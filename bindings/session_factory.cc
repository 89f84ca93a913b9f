#include "bindings/session_factory.h"

#include <unistd.h>

#include <cerrno>
#include <exception>
#include <utility>

#include "collectives/cpu/cpu_device.h"
#include "collectives/registry.h"
#include "controller/loopback_control_plane.h"
#include "controller/rendezvous/bootstrap.h"
#include "controller/tcp/tcp_control_plane.h"
#include "core/base/affinity.h"
#include "core/base/cgroup.h"
#include "core/base/format.h"
#include "core/base/log.h"
#include "core/base/rank_cores.h"
#include "core/base/refusal.h"
#include "core/base/thread.h"
#include "core/event_log.h"
#include "core/net/io_thread.h"
#include "core/process_set_list.h"
#include "core/session_timeline.h"

namespace farandole {
namespace {

void connect_alone(SessionParts& parts, LoopbackHub::ProcessSets process_sets) {
  auto loop = std::make_shared<ThreadLoop>("fdl-engine");
  const Member self{
      .rank = 0,
      .host = parts.config.host.empty() ? "localhost" : parts.config.host,
      .pid = getpid()};
  parts.control = std::make_unique<LoopbackControlPlane>(
      std::make_shared<LoopbackHub>(1, std::move(process_sets)), parts.config, self, loop);
  parts.loop = std::move(loop);
}

std::shared_ptr<net::IoThread> connect_to_job(
    SessionParts& parts,
    JobSpec job,
    std::function<bool()> give_up,
    std::function<std::string()> stacks) {
  auto io = std::make_shared<net::IoThread>("fdl-io");
  TcpControlPlaneOptions options;
  options.config = parts.config;
  options.secret = parts.secret;
  options.controller = std::move(job.controller);
  options.give_up = std::move(give_up);
  options.stacks = std::move(stacks);
  parts.control = std::make_unique<TcpControlPlane>(io, std::move(options));
  // The engine shares the thread of the sockets: one hand-off less per message.
  parts.loop = io;
  return io;
}

// Binds what the session has started to the core of its local rank, where the settings name one.
// Lanes of further process sets are started by the engine, and so bound like it.
Status bind_threads(StartedThreads& threads, const Config& config, const Topology& topology) {
  if (config.thread_affinity.empty())
    return Status::ok();
  const auto core = thread_core(config.thread_affinity, topology.local_rank, topology.local_size);
  if (!core)
    return core.status();
  const int why = threads.bind({core.value()});
  if (const auto own = own_affinity(); why == EINVAL)
    return error(
        Code::InvalidArgument,
        "{}: core {} of local rank {} does not exist, or not for this process, which runs on CPUs "
        "{}; name one of these",
        kThreadAffinity,
        core.value(),
        topology.local_rank,
        own ? cpu_list(own.value()) : "unknown");
  if (why != 0)
    return system_error(
        fmt::format(
            "binding the threads of local rank {} to core {}", topology.local_rank, core.value()),
        why);
  FARANDOLE_LOG(Info, "threads are bound to core {}", core.value());
  return Status::ok();
}

Status start_recording(Session& session, const Config& config) {
  // "DYNAMIC" is Horovod's word for: whoever wants to starts it later.
  if (config.timeline.empty() || config.timeline == "DYNAMIC")
    return Status::ok();
  try {
    return start_timeline(session, config.timeline, config.timeline_mark_cycles);
  } catch (const std::exception& defect) {
    return error(Code::Internal, "timeline {}: {}", config.timeline, defect.what());
  }
}

// What cannot be recorded costs no job.
void record(Session& session, const Config& config) {
  const Status status = start_recording(session, config);
  if (!status)
    FARANDOLE_LOG(Warning, "{}; the job goes on without it", status.message());
}

}  // namespace

Duration linger_of(const Topology& topology, const Config& config, double cores) {
  return static_cast<double>(topology.local_size) <= cores ? config.spin_time : Duration::zero();
}

Result<std::unique_ptr<Session>> make_session(
    Config config,
    std::vector<std::shared_ptr<Observer>> observers,
    std::function<bool()> give_up,
    std::function<std::string()> stacks) {
  Result<JobSpec> job = find_job(config);
  if (!job)
    return job.status();
  config.rank = job.value().rank;
  config.size = job.value().size;
  config.job = job.value().job;

  auto process_sets = parse_process_sets(config.process_sets, config.size);
  if (!process_sets)
    return process_sets.status();

  // Here, because a thread that is bound would count its own core alone.
  if (config.host_cores == 0)
    config.host_cores = static_cast<int64_t>(usable_cores());
  StartedThreads threads;

  SessionParts parts;
  parts.log = std::make_shared<LogMember>(
      config.log_level, config.size > 1 ? fmt::format("rank {}", config.rank) : "");
  const LogScope scope(parts.log->label());
  parts.config = config;
  parts.secret = job.value().secret;
  parts.observers = std::move(observers);
  if (config.log_level <= LogLevel::Debug)
    parts.observers.push_back(std::make_shared<EventLog>());
  parts.devices.push_back(std::make_shared<cpu::CpuDevice>());
  parts.connect = [config](const GroupSpec& group, Store& store) {
    return make_communicator(group, store, config);
  };
  std::shared_ptr<net::IoThread> io;
  try {
    if (config.size == 1)
      connect_alone(parts, std::move(process_sets).value());
    else
      io = connect_to_job(parts, std::move(job).value(), std::move(give_up), std::move(stacks));
  } catch (const Refusal& refused) {
    return refused.status();
  }
  Result<std::unique_ptr<Session>> session = Session::start(std::move(parts));
  if (!session)
    return session;
  const Topology& topology = session.value()->topology();
  if (const Status bound = bind_threads(threads, config, topology); !bound) {
    static_cast<void>(session.value()->shutdown(bound.message()));
    return bound;
  }
  if (io) {
    io->linger(linger_of(topology, config, cores_for_ranks(config, topology.local_size)));
    FARANDOLE_LOG(Info, "joined job {} of {} ranks", config.job, config.size);
  }
  record(*session.value(), config);
  return session;
}

}  // namespace farandole
