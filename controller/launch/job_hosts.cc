#include "controller/launch/job_hosts.h"

#include <algorithm>

namespace farandole::launch {
namespace {

constexpr size_t kFilesOfSsh = 8;  // of one of them, while it is started

// A job of this host alone. Loopback serves it, unless an interface was asked for.
Result<HeldPort> own_port(JobPlan& plan, const ConnectorSettings& settings) {
  if (settings.interfaces.empty())
    return hold_port("");
  const auto own = own_addresses();
  if (!own)
    return own.status();
  const auto address = address_on(
      own.value(), settings.interfaces, plan.places.front().host, settings.interfaces_flag);
  if (!address)
    return address.status();
  auto port = hold_port(address.value());
  if (port)
    port.value().listener.reset();
  plan.environment.set("FARANDOLE_BIND", address.value());
  return port;
}

Result<StartedJob> start_here(
    const JobPlan& plan, const JobKeys& keys, HeldPort port, const StartConditions& before) {
  auto resources = make_job_resources(keys, std::move(port));
  if (!resources)
    return resources.status();
  return start_job(plan, std::move(resources).value(), before);
}

// Where a host is, among those of the job.
void describe(JobHosts& started, const std::vector<JobHost>& hosts) {
  for (size_t i = 0; i < hosts.size(); ++i) {
    const auto& places = hosts[i].plan.places;
    started.host_of_rank.insert(started.host_of_rank.end(), places.size(), static_cast<int>(i));
    const size_t first = started.bound.size();
    started.bound.resize(first + places.size());
    if (hosts[i].is_here)
      std::transform(
          hosts[i].plan.cpus.begin(),
          hosts[i].plan.cpus.end(),
          started.bound.begin() + static_cast<std::ptrdiff_t>(first),
          cpu_list);
    for (const auto& remote : started.remote) {
      if (remote->name != hosts[i].name)
        continue;
      std::copy_n(
          remote->bound.begin(),
          std::min(remote->bound.size(), places.size()),
          started.bound.begin() + static_cast<std::ptrdiff_t>(first));
      remote->index = static_cast<int>(i);
      remote->first_rank = places.front().rank;
      remote->ranks = static_cast<int>(places.size());
    }
  }
  started.input_is_remote = !hosts.front().is_here;
}

}  // namespace

std::vector<JobHost> split_by_host(const JobPlan& plan, const std::string& here) {
  std::vector<JobHost> hosts;
  for (const Placement& place : plan.places) {
    if (hosts.empty() || hosts.back().name != place.host) {
      hosts.push_back({place.host, place.host == here, plan});
      hosts.back().plan.places.clear();
    }
    hosts.back().plan.places.push_back(place);
  }
  for (JobHost& host : hosts) {
    // Ranks share memory with those of the same host; names in -H are unique.
    if (hosts.size() > 1)
      host.plan.environment.set("FARANDOLE_HOST", host.name);
    host.plan.share_terminal = plan.share_terminal && host.plan.places.front().rank == 0;
  }
  return hosts;
}

Result<JobHosts> start_on_hosts(
    const JobPlan& plan,
    const std::string& here,
    const ConnectorSettings& settings,
    const StartConditions& before,
    SignalReader& signals) {
  std::vector<JobHost> hosts = split_by_host(plan, here);
  const auto keys = make_job_keys();
  if (!keys)
    return keys.status();
  JobHosts started;
  HeldPort port;
  if (hosts.size() == 1 && hosts.front().is_here) {
    auto own = own_port(hosts.front().plan, settings);
    if (!own)
      return own.status();
    port = std::move(own).value();
  } else {
    FARANDOLE_RETURN_IF_ERROR(ensure_open_files(
        open_files_of(plan) + kFilesOfSsh * hosts.size(), static_cast<int>(plan.places.size())));
    Connected connected = connect_hosts(hosts, keys.value(), settings, before, signals);
    started.remote = std::move(connected.remote);
    started.exit_code = connected.exit_code;
    started.text = std::move(connected.text);
    port = std::move(connected.controller);
  }
  if (started.exit_code != 0)
    return started;
  describe(started, hosts);
  for (const JobHost& host : hosts) {
    if (!host.is_here)
      continue;
    auto job = start_here(host.plan, keys.value(), std::move(port), before);
    if (!job)
      return job.status();
    started.here = std::move(job).value();
  }
  return started;
}

}  // namespace farandole::launch
