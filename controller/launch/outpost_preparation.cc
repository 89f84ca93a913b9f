#include "controller/launch/outpost_preparation.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "controller/launch/machine.h"
#include "controller/launch/program.h"
#include "controller/launch/rank_environment.h"
#include "core/base/cgroup.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/host_name.h"

namespace farandole::launch {
namespace {

constexpr int kSystemExit = 1;
constexpr int kUsageExit = 2;

// Of a session on one host; a name that ends in '*' stands for all that begin so.
constexpr std::array<std::string_view, 22> kStaying{
    "BASH_FUNC_*",
    "CUDA_VISIBLE_DEVICES",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "GPG_*",
    "HIP_VISIBLE_DEVICES",
    "HOSTNAME",
    "MAIL",
    "OLDPWD",
    "PWD",
    "ROCR_VISIBLE_DEVICES",
    "SHLVL",
    "SSH_*",
    "STY",
    "TERM*",
    "TMUX*",
    "WAYLAND_DISPLAY",
    "WINDOWID",
    "XAUTHORITY",
    "XDG_*",
    "_",
    "LS_COLORS"};

bool stays(std::string_view name) {
  return std::any_of(kStaying.begin(), kStaying.end(), [&](std::string_view entry) {
    const bool prefix = entry.ends_with('*');
    return prefix ? name.starts_with(entry.substr(0, entry.size() - 1)) : name == entry;
  });
}

// The words of "client_ip client_port server_ip server_port".
std::string word_of(const std::string& text, int index) {
  size_t begin = 0;
  for (; index > 0 && begin != std::string::npos; --index) {
    begin = text.find(' ', begin);
    begin = begin == std::string::npos ? begin : begin + 1;
  }
  return begin == std::string::npos ? "" : text.substr(begin, text.find(' ', begin) - begin);
}

}  // namespace

HostFacts own_facts(const Environment& environment) {
  HostFacts facts;
  facts.name = host_name();
  const std::string connection = environment.find("SSH_CONNECTION").value_or("");
  facts.seen_from = word_of(connection, 0);
  facts.seen_at = word_of(connection, 2);
  if (auto addresses = own_addresses())
    facts.addresses = std::move(addresses).value();
  return facts;
}

std::vector<HeldPort> hold_ports(const std::vector<std::string>& addresses) {
  std::vector<HeldPort> ports;
  for (const std::string& address : addresses) {
    auto port = hold_port(address);
    ports.push_back(port ? std::move(port).value() : HeldPort{{}, {}, {}, port.status().message()});
  }
  return ports;
}

std::vector<std::string> what_is_held(const std::vector<HeldPort>& ports) {
  std::vector<std::string> texts;
  for (const HeldPort& port : ports) {
    texts.push_back(port.endpoint);
    texts.push_back(port.refused);
  }
  return texts;
}

Refusal prepare(const HostOrder& order, const Environment& own, JobPlan& plan) {
  if (FARANDOLE_FAIL_CALL("outpost_preparation.prepare.chdir", chdir(order.folder.c_str())) != 0)
    return {
        kSystemExit,
        fmt::format(
            "host {} has no folder {} to start in, as here ({}); make it there, or start the job "
            "in a folder that all hosts have",
            order.host,
            printable(order.folder, 256),
            strerror(errno))};  // NOLINT(concurrency-mt-unsafe): one thread
  plan.environment = own;
  for (const std::string& entry : order.environment) {
    const size_t equals = entry.find('=');
    if (equals != std::string::npos && equals > 0)
      plan.environment.set(entry.substr(0, equals), entry.substr(equals + 1));
  }
  plan.environment.set("PWD", order.folder);
  const ProgramSearch program =
      find_program(order.argv.front(), plan.environment.find("PATH").value_or("/usr/bin:/bin"));
  if (program.exit_code != 0)
    return {program.exit_code, fmt::format("host {}: {}", order.host, program.message)};
  plan.path = program.path;
  plan.argv = order.argv;
  plan.places = order.places;
  plan.grace = order.grace;
  plan.cores = usable_cores();
  auto bound = bind_here(
      order.binding, thread_cores(plan.environment), static_cast<int>(order.places.size()));
  if (!bound)
    return {kUsageExit, fmt::format("host {}: {}", order.host, bound.status().message())};
  plan.cpus = std::move(bound).value();
  return {};
}

std::vector<std::string> travelling_environment(const Environment& environment) {
  std::vector<std::string> entries;
  for (const std::string& name : environment.names()) {
    if (!stays(name))
      entries.push_back(name + "=" + environment.find(name).value_or(""));
  }
  return entries;
}

}  // namespace farandole::launch
