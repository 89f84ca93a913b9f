#include "controller/launch/host_connector.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <optional>

#include "controller/launch/help.h"
#include "controller/launch/host_reach.h"
#include "controller/launch/outpost_preparation.h"
#include "controller/launch/poll_wait.h"
#include "controller/launch/process_tree.h"
#include "controller/launch/spawn.h"
#include "controller/launch/ssh_start.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr int kSystemExit = 1;
constexpr int kSignalBase = 128;
// When one host has failed, others may still say that they do, too.
constexpr Duration kOthers = std::chrono::seconds(2);
constexpr size_t kShownHosts = 16;
constexpr size_t kShownReason = 300;

std::string ssh_did_not_start(const std::string& host, const std::string& why) {
  return fmt::format("ssh to host {} could not be started: {}", host, why);
}

class HostConnector {
 public:
  HostConnector(
      std::vector<JobHost>& hosts,
      const JobKeys& keys,
      const ConnectorSettings& settings,
      const StartConditions& before,
      SignalReader& signals)
      : hosts_(hosts), keys_(keys), settings_(settings), before_(before), signals_(signals) {}
  Connected run();

 private:
  using Answer = std::function<bool(RemoteHost&, const Frame&)>;  // true: it has answered

  void start_ssh();
  bool gather(FrameKind wanted, const Answer& answer, const RemoteHost* only = nullptr);
  void wait_for_events(TimePoint deadline);
  void read_from(RemoteHost& host, FrameKind wanted, const Answer& answer);
  void on_signals();
  void on_ssh_end(RemoteHost& host, int status);
  bool greet();
  bool choose_controller();
  std::vector<std::string> hold_candidates();
  bool probe(const std::vector<std::string>& endpoints);
  bool prepare_all();
  void fail(const std::string& host, int exit_code, const std::string& text);
  bool failed() const { return result_.exit_code != 0; }
  RemoteHost* remote(const std::string& name);
  const JobHost& first() const { return hosts_.front(); }

  std::vector<JobHost>& hosts_;
  const JobKeys& keys_;
  const ConnectorSettings& settings_;
  const StartConditions& before_;
  SignalReader& signals_;
  Connected result_;
  std::map<std::string, std::string> problems_;  // by host
  std::map<std::string, bool> answered_;
  std::optional<TimePoint> first_failure_;
  std::vector<HostAddress> own_;
  std::vector<HeldPort> held_;                    // where rank 0's host is this one
  std::map<std::string, std::string> greetings_;  // versions
};

Connected HostConnector::run() {
  start_ssh();
  if (!failed() && greet() && choose_controller())
    prepare_all();
  if (!failed())
    return std::move(result_);
  size_t shown = 0;
  for (const JobHost& host : hosts_) {
    if (problems_.contains(host.name) && shown++ < kShownHosts)
      result_.text += problems_[host.name] + "\n";
  }
  if (shown > kShownHosts)
    result_.text += fmt::format("and {} more hosts\n", shown - kShownHosts);
  for (const auto& host : result_.remote) {
    host->link.close();
    if (host->ssh > 0)
      kill(host->ssh, SIGKILL);
  }
  return std::move(result_);
}

void HostConnector::fail(const std::string& host, int exit_code, const std::string& text) {
  if (!problems_.try_emplace(host, text).second)
    return;
  if (!failed())
    result_.exit_code = exit_code;
  if (!first_failure_)
    first_failure_ = steady_now();
}

RemoteHost* HostConnector::remote(const std::string& name) {
  for (const auto& host : result_.remote) {
    if (host->name == name)
      return host.get();
  }
  return nullptr;
}

void HostConnector::start_ssh() {
  for (const JobHost& host : hosts_) {
    if (host.is_here)
      continue;
    auto next = std::make_unique<RemoteHost>();
    next->name = host.name;
    if (const Status started = start_ssh_to(*next, settings_, before_); !started)
      fail(host.name, kSystemExit, ssh_did_not_start(host.name, started.message()));
    result_.remote.push_back(std::move(next));
  }
}

// Until every host (or `only` that one) has answered, or one has failed, or the time is over. False
// where a host failed.
bool HostConnector::gather(FrameKind wanted, const Answer& answer, const RemoteHost* only) {
  answered_.clear();
  const TimePoint end = steady_now() + settings_.limit;
  const auto waiting = [&](const auto& host) {
    return (!only || host.get() == only) && !answered_[host->name] &&
           !problems_.contains(host->name);
  };
  while (std::any_of(result_.remote.begin(), result_.remote.end(), waiting)) {
    const TimePoint deadline = first_failure_ ? std::min(end, *first_failure_ + kOthers) : end;
    if (steady_now() >= deadline || result_.exit_code > kSignalBase)
      break;
    wait_for_events(deadline);
    for (const auto& host : result_.remote) read_from(*host, wanted, answer);
    on_signals();
  }
  if (failed())
    return false;
  for (const auto& host : result_.remote) {
    if (waiting(host))
      fail(
          host->name,
          kSystemExit,
          fmt::format(
              "host {} did not answer within {:g} s (--start-timeout); is it overloaded?",
              host->name,
              static_cast<double>(settings_.limit.count()) * 1e-9));
  }
  return !failed();
}

void HostConnector::wait_for_events(TimePoint deadline) {
  std::vector<pollfd> fds{{signals_.fd(), POLLIN, 0}};
  for (const auto& host : result_.remote) {
    fds.push_back({host->link.in_fd(), POLLIN, 0});
    fds.push_back({host->link.wants_write() ? host->link.out_fd() : -1, POLLOUT, 0});
    fds.push_back({host->errors.get(), POLLIN, 0});
  }
  await_strangers(held_, fds);
  poll_until(fds, deadline);
  turn_away_strangers(held_);
}

void HostConnector::read_from(RemoteHost& host, FrameKind wanted, const Answer& answer) {
  host.link.flush();
  host.read_errors();
  if (host.link.read_some() == OutpostLink::Read::End)
    host.link.close();  // how ssh ended says why
  Frame frame;
  FrameReader::Next next = host.link.next(frame);
  for (; next == FrameReader::Next::Got; next = host.link.next(frame)) {
    const auto number = decode_number(frame.body);
    if (frame.kind == FrameKind::Greeting)
      greetings_[host.name] = {frame.body.begin(), frame.body.end()};
    else if (frame.kind == FrameKind::Refused && number)
      fail(
          host.name,
          std::clamp(static_cast<int>(number->number), 1, 127),
          printable(number->rest, 1024));
    else if (frame.kind == wanted && answer(host, frame))
      answered_[host.name] = true;
  }
  if (next == FrameReader::Next::Wrong)
    fail(
        host.name,
        kSystemExit,
        fmt::format(
            "host {} answers with something else than an outpost of Farandole: {}; what its login "
            "shell prints must be little",
            host.name,
            last_line_of(host.link.noise())));
}

void HostConnector::on_signals() {
  while (const auto event = signals_.next()) {
    if (event->number == SIGINT || event->number == SIGTERM || event->number == SIGHUP ||
        event->number == SIGQUIT)
      result_.exit_code = kSignalBase + event->number;
  }
  for (const Reaped& ended : reap_children().ended) {
    for (const auto& host : result_.remote) {
      if (host->ssh == ended.pid)
        on_ssh_end(*host, ended.status);
    }
  }
}

void HostConnector::on_ssh_end(RemoteHost& host, int status) {
  host.ssh = -1;
  host.read_errors();
  const int why = host.exec_result ? read_exec_result(host.exec_result) : 0;
  fail(
      host.name,
      kSystemExit,
      why != 0 ? ssh_did_not_start(host.name, system_error(settings_.ssh_program, why).message())
               : ssh_failure(host.name, status, host.error_text(), settings_.own_program));
}

bool HostConnector::greet() {
  const auto facts_of = [&](RemoteHost& host, const Frame& frame) {
    if (greetings_[host.name] != version_number()) {
      fail(
          host.name,
          kSystemExit,
          fmt::format(
              "host {} has Farandole {}, but this one has {}; install the same on both",
              host.name,
              printable(greetings_[host.name], 80),
              version_number()));
      return true;
    }
    auto facts = decode_facts(frame.body);
    if (facts)
      host.facts = std::move(*facts);
    return facts.has_value();
  };
  return gather(FrameKind::Facts, facts_of);
}

// Endpoints at which rank 0's host could be reached, held there. None where it has failed.
std::vector<std::string> HostConnector::hold_candidates() {
  std::vector<std::string> preferred;
  RemoteHost* const far = remote(first().name);
  if (far) {
    preferred.push_back(far->facts.seen_at);
  } else {
    for (const auto& host : result_.remote) preferred.push_back(host->facts.seen_from);
  }
  const auto addresses =
      candidate_addresses(far ? far->facts.addresses : own_, preferred, settings_.interfaces);
  std::vector<std::string> endpoints;
  std::string refused;
  const auto add = [&](const std::string& endpoint, const std::string& why) {
    if (!endpoint.empty())
      endpoints.push_back(endpoint);
    else if (refused.empty())
      refused = printable(why, kShownReason);
  };
  if (!far) {
    held_ = hold_ports(addresses);
    for (const HeldPort& port : held_) add(port.endpoint, port.refused);
  } else {
    far->link.send(FrameKind::Listen, encode_texts(addresses));
    const auto heard = [&](RemoteHost& host, const Frame& frame) {
      const auto texts = decode_texts(frame.body);
      if (&host == far && texts && texts->size() == 2 * addresses.size()) {
        for (size_t i = 0; i < texts->size(); i += 2) add((*texts)[i], (*texts)[i + 1]);
      }
      return &host == far;
    };
    gather(FrameKind::Listening, heard, far);
  }
  if (endpoints.empty() && !failed())
    fail(
        first().name,
        kSystemExit,
        fmt::format(
            "host {}, where rank 0 is to run, has no port at which others could reach it: {}",
            first().name,
            refused.empty() ? "it has no address but loopback ones" : refused));
  return endpoints;
}

// Every other host tries them all; the first that all reach is the controller's.
bool HostConnector::probe(const std::vector<std::string>& endpoints) {
  HostReach reached(endpoints);
  const auto count = [&](RemoteHost& host, const Frame& frame) {
    const auto texts = decode_texts(frame.body);
    if (!texts || texts->size() != endpoints.size())
      return false;
    reached.add(host.name == first().name ? "" : host.name, *texts);
    return true;
  };
  for (const auto& host : result_.remote)
    host->link.send(FrameKind::Probe, encode_texts(endpoints));
  for (auto host = hosts_.begin() + 1; host != hosts_.end(); ++host) {
    if (host->is_here)
      reached.add(host->name, try_endpoints(endpoints, held_, steady_now() + kProbeTime));
  }
  if (!gather(FrameKind::Probed, count))
    return false;
  result_.controller.endpoint = reached.reached_by_all();
  if (result_.controller.endpoint.empty())
    fail(first().name, kSystemExit, reached.complaint(first().name));
  return !failed();
}

bool HostConnector::choose_controller() {
  if (auto own = own_addresses())
    own_ = std::move(own).value();
  if (!settings_.interfaces.empty()) {
    for (JobHost& host : hosts_) {
      RemoteHost* const far = remote(host.name);
      const auto bind = address_on(
          far ? far->facts.addresses : own_,
          settings_.interfaces,
          host.name,
          settings_.interfaces_flag);
      if (bind)
        host.plan.environment.set("FARANDOLE_BIND", bind.value());
      else
        fail(host.name, 2, bind.status().message());
    }
    if (failed())
      return false;
  }
  if (hosts_.size() == 1)
    return true;  // loopback serves
  const auto candidates = hold_candidates();
  if (failed() || !probe(candidates))
    return false;
  if (!settings_.interfaces.empty()) {
    const std::string& endpoint = result_.controller.endpoint;
    const std::string host = endpoint.substr(0, endpoint.rfind(':'));
    hosts_.front().plan.environment.set(
        "FARANDOLE_BIND", host.starts_with('[') ? host.substr(1, host.size() - 2) : host);
  }
  for (HeldPort& port : held_) {
    if (port.endpoint == result_.controller.endpoint)
      result_.controller.holder = std::move(port.holder);
  }
  held_.clear();
  return true;
}

bool HostConnector::prepare_all() {
  for (const JobHost& host : hosts_) {
    RemoteHost* const far = remote(host.name);
    if (!far)
      continue;
    HostOrder order;
    order.job = keys_.job;
    order.controller = result_.controller.endpoint;
    order.folder = settings_.folder;
    order.host = host.name;
    order.argv = host.plan.argv;
    order.environment = travelling_environment(host.plan.environment);
    order.places = host.plan.places;
    order.grace = host.plan.grace;
    order.binding = host.plan.binding;
    far->link.send(FrameKind::Secret, keys_.secret.bytes());
    far->link.send(FrameKind::Prepare, encode_order(order));
  }
  return gather(FrameKind::Prepared, [](RemoteHost& host, const Frame& frame) {
    auto bound = decode_texts(frame.body);
    if (!bound || bound->size() > kMostBindingsTold)
      return false;
    host.bound = std::move(*bound);
    return true;
  });
}

}  // namespace

Connected connect_hosts(
    std::vector<JobHost>& hosts,
    const JobKeys& keys,
    const ConnectorSettings& settings,
    const StartConditions& before,
    SignalReader& signals) {
  return HostConnector(hosts, keys, settings, before, signals).run();
}

}  // namespace farandole::launch
