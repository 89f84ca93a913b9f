#include "bindings/session_factory.h"

#include <unistd.h>

#include <utility>

#include "collectives/cpu/cpu_device.h"
#include "collectives/registry.h"
#include "controller/loopback_control_plane.h"
#include "controller/rendezvous/bootstrap.h"
#include "controller/tcp/tcp_control_plane.h"
#include "core/base/cgroup.h"
#include "core/base/format.h"
#include "core/base/log.h"
#include "core/base/refusal.h"
#include "core/event_log.h"
#include "core/net/io_thread.h"
#include "core/process_set_list.h"

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
    SessionParts& parts, JobSpec job, std::function<bool()> give_up) {
  auto io = std::make_shared<net::IoThread>("fdl-io");
  TcpControlPlaneOptions options;
  options.config = parts.config;
  options.secret = parts.secret;
  options.controller = std::move(job.controller);
  options.give_up = std::move(give_up);
  parts.control = std::make_unique<TcpControlPlane>(io, std::move(options));
  // The engine shares the thread of the sockets: one hand-off less per message.
  parts.loop = io;
  return io;
}

}  // namespace

Duration linger_of(const Topology& topology, const Config& config, double cores) {
  return static_cast<double>(topology.local_size) <= cores ? config.spin_time : Duration::zero();
}

Result<std::unique_ptr<Session>> make_session(
    Config config,
    std::vector<std::shared_ptr<Observer>> observers,
    std::function<bool()> give_up) {
  Result<JobSpec> job = find_job(config);
  if (!job)
    return job.status();
  config.rank = job.value().rank;
  config.size = job.value().size;
  config.job = job.value().job;

  auto process_sets = parse_process_sets(config.process_sets, config.size);
  if (!process_sets)
    return process_sets.status();

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
      io = connect_to_job(parts, std::move(job).value(), std::move(give_up));
  } catch (const Refusal& refused) {
    return refused.status();
  }
  Result<std::unique_ptr<Session>> session = Session::start(std::move(parts));
  if (session && io) {
    io->linger(linger_of(session.value()->topology(), config, usable_cores()));
    FARANDOLE_LOG(Info, "joined job {} of {} ranks", config.job, config.size);
  }
  return session;
}

}  // namespace farandole
