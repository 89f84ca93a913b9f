#include "controller/tcp/tcp_control_plane.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <future>
#include <optional>
#include <utility>

#include "controller/tcp/driver.h"
#include "controller/tcp/last_words.h"
#include "controller/tcp/liveness_judge.h"
#include "controller/tcp/stack_teller.h"
#include "controller/tcp/store_client.h"
#include "controller/tcp/watches.h"
#include "core/base/abandon.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/host_name.h"
#include "core/base/log.h"
#include "core/base/patience.h"
#include "core/net/heartbeat.h"
#include "core/process_set_list.h"

namespace farandole {

using control::CoordinatorHost;
using control::CoordinatorHostEvents;
using control::CoordinatorHostOptions;
using control::Driver;
using control::DriverOptions;
using control::Formed;
using control::LastWords;
using control::LivenessJudge;
using control::StackTeller;
using control::StallReport;
using control::StoreClient;
using control::StoreReply;
using control::StoreRequest;
using control::Watches;

namespace {

// One warning, and its details below it.
void log_stalls(const StallReport& report) {
  for (const std::string& line : control::lines_of(report)) FARANDOLE_LOG(Warning, "{}", line);
}

Result<uint64_t> random_incarnation() {
  std::array<uint8_t, sizeof(uint64_t)> bytes{};
  FARANDOLE_RETURN_IF_ERROR(fill_random(bytes));
  return std::bit_cast<uint64_t>(bytes);
}

}  // namespace

struct TcpControlPlane::Impl {
  Impl(std::shared_ptr<net::IoThread> loop, TcpControlPlaneOptions with);

  Status start(ControlSink& sink);
  Status begin(ControlSink& sink);
  Status begin_heartbeat();
  Result<std::string> open_coordinator(ControlSink& sink);
  Result<std::string> reach_coordinator();
  Result<net::Established> connect(net::Role role) const;
  Status await_group();
  void watch(int rank, net::Established heartbeats);
  void forget(int rank);
  void on_silent(int watch, Duration silence);
  void on_ended(int watch);
  void on_dead(int watch, const std::string& cause);
  bool stop(TimePoint deadline);
  bool stop_driver(TimePoint deadline);
  // Gives the loop's answer to callers who go on only after it. `task` owns what it uses.
  Status on_loop(std::function<void()> task) const;
  TimePoint loop_deadline() const { return steady_now() + options.loop_limit; }
  bool hosts() const { return options.config.rank == 0; }

  const std::shared_ptr<net::IoThread> io;
  const TcpControlPlaneOptions options;
  StoreClient store;
  TimePoint start_time;
  TimePoint deadline;
  uint64_t incarnation = 0;
  std::promise<Result<Formed>> outcome;
  Formed group;
  std::unique_ptr<net::Heartbeat> heartbeat;
  LastWords last_words{*io};  // loop only; of processes that have ended, by watch
  Watches watches;            // loop only
  std::shared_ptr<Driver> driver;
  std::unique_ptr<StackTeller> teller;
  bool stopped = false;
  bool answered = true;
};

TcpControlPlane::Impl::Impl(std::shared_ptr<net::IoThread> loop, TcpControlPlaneOptions with)
    : io(std::move(loop)),
      options(std::move(with)),
      store(StoreClient::Parts{
          [this](StoreRequest request) { driver->store(std::move(request)); },
          [this] { return io->on_loop_thread(); },
          options.config.start_timeout}) {}

Status TcpControlPlane::Impl::start(ControlSink& sink) {
  start_time = steady_now();
  deadline = start_time + options.config.start_timeout;
  Status status = begin(sink);
  if (status.is_ok())
    status = await_group();
  // Who gives up does not wait for the others to close, too.
  const Duration patience =
      status.code() == Code::Aborted ? Duration::zero() : options.config.shutdown_timeout;
  if (!status.is_ok())
    stop(steady_now() + patience);
  return status;
}

Status TcpControlPlane::Impl::begin(ControlSink& sink) {
  const Result<uint64_t> drawn = random_incarnation();
  if (!drawn)
    return drawn.status();
  incarnation = drawn.value();
  DriverOptions parts;
  parts.config = options.config;
  parts.incarnation = incarnation;
  parts.sink = &sink;
  parts.formed = [this](Result<Formed> formed) { outcome.set_value(std::move(formed)); };
  parts.reply = [this](StoreReply reply) {
    store.on_reply(reply.request, std::move(reply.status), std::move(reply.value));
  };
  teller =
      std::make_unique<StackTeller>(io, options.stacks, [this](uint64_t number, std::string text) {
        driver->answer(number, std::move(text));
      });
  // Not held by the driver: tasks of the loop hold that, and the last of them would let go of the
  // loop on its own thread.
  parts.asked = [raw = teller.get()](uint64_t number) { raw->ask(number); };
  driver = std::make_shared<Driver>(*io, std::move(parts));
  FARANDOLE_RETURN_IF_ERROR(begin_heartbeat());
  Result<std::string> address = hosts() ? open_coordinator(sink) : reach_coordinator();
  if (!address)
    return address.status();
  const Config& config = options.config;
  Member self{
      static_cast<int>(config.rank),
      config.host.empty() ? host_name() : config.host,
      getpid(),
      config.bind.empty() ? std::move(address).value() : config.bind};
  return on_loop([driver = driver, self = std::move(self)] { driver->join(self); });
}

Status TcpControlPlane::Impl::begin_heartbeat() {
  net::HeartbeatOptions parts;
  parts.interval = options.config.heartbeat_interval;
  parts.judge = std::make_unique<LivenessJudge>(options.config.heartbeat_timeout);
  parts.silent = [this](int watch, Duration silence) { on_silent(watch, silence); };
  parts.ended = [this](int watch) { on_ended(watch); };
  Result<std::unique_ptr<net::Heartbeat>> started = net::Heartbeat::start(std::move(parts));
  if (!started)
    return started.status();
  heartbeat = std::move(started).value();
  return Status::ok();
}

// Rank 0. Gives the address at which this rank can be reached.
Result<std::string> TcpControlPlane::Impl::open_coordinator(ControlSink& sink) {
  CoordinatorHostOptions with;
  with.config = options.config;
  with.secret = options.secret;
  with.at = options.controller;
  if (!options.config.bind.empty())
    with.at.host = options.config.bind;
  with.generation = options.generation;
  with.incarnation = incarnation;
  with.start = start_time;
  with.deadline = deadline;
  with.give_up = options.give_up;
  auto process_sets = parse_process_sets(options.config.process_sets, options.config.size);
  if (!process_sets)
    return process_sets.status();
  with.process_sets = std::move(process_sets).value();
  // The host belongs to the driver, and neither calls after the control plane has stopped.
  CoordinatorHostEvents events;
  events.to_own_worker = [raw = driver.get()](control::Bytes bytes) {
    raw->on_own_message(std::move(bytes));
  };
  events.something_to_do = [raw = driver.get()] { raw->schedule_turn(); };
  events.watch = [this](int rank, net::Established socket) { watch(rank, std::move(socket)); };
  events.forget = [this](int rank) { forget(rank); };
  events.stalls = log_stalls;
  events.hear = [&sink](const Announced& announced, uint64_t& mark) {
    sink.on_announced(announced, mark);
  };
  auto host = std::make_shared<std::unique_ptr<CoordinatorHost>>(
      std::make_unique<CoordinatorHost>(*io, std::move(with), std::move(events)));
  CoordinatorHost* const raw = host->get();
  FARANDOLE_RETURN_IF_ERROR(
      on_loop([driver = driver, host = std::move(host)] { driver->host(std::move(*host)); }));
  Result<net::Endpoint> at = raw->open();
  if (!at)
    return at.status();
  return at.value().host;
}

// The other ranks. Gives the address from which this rank reaches rank 0.
Result<std::string> TcpControlPlane::Impl::reach_coordinator() {
  Result<net::Established> control = connect(net::Role::Control);
  if (!control)
    return control.status();
  Result<net::Established> beats = connect(net::Role::Heartbeat);
  if (!beats)
    return beats.status();
  const Result<net::SocketAddress> local = net::local_end(control.value().fd.get());
  if (!local)
    return local.status();
  const auto sockets = std::make_shared<std::pair<net::Established, net::Established>>(
      std::move(control).value(), std::move(beats).value());
  FARANDOLE_RETURN_IF_ERROR(on_loop([this, driver = driver, sockets] {
    watch(0, std::move(sockets->second));
    driver->connect(std::move(sockets->first));
  }));
  return local.value().endpoint().host;
}

Result<net::Established> TcpControlPlane::Impl::connect(net::Role role) const {
  net::ConnectSpec spec;
  spec.to = options.controller;
  spec.handshake_timeout = options.config.handshake_timeout;
  spec.client.secret = options.secret;
  spec.client.hello.job = options.config.job;
  spec.client.hello.role = role;
  spec.client.hello.rank = static_cast<uint32_t>(options.config.rank);
  spec.client.hello.generation = options.generation;
  spec.client.hello.incarnation = incarnation;
  spec.give_up = options.give_up;
  return net::connect_to(spec, deadline);
}

Status TcpControlPlane::Impl::await_group() {
  std::future<Result<Formed>> formed = outcome.get_future();
  // Rank 0 decides at the deadline, and says who is missing.
  const TimePoint last = deadline + patience::kVerdict;
  const auto until = [&] {
    return options.give_up ? std::min(last, steady_now() + kGiveUpPeriod) : last;
  };
  while (formed.wait_until(until()) != std::future_status::ready) {
    if (options.give_up && options.give_up())
      return {Code::Aborted, "given up while the group formed"};
    if (steady_now() < last)
      continue;
    return error(
        Code::Timeout,
        "rank {} reached rank 0 at {}, but the group of {} ranks did not form within {:g} s "
        "(FARANDOLE_START_TIMEOUT); "
        "rank 0 knows who is missing",
        options.config.rank,
        options.controller.to_string(),
        options.config.size,
        std::chrono::duration<double>(options.config.start_timeout).count());
  }
  Result<Formed> result = formed.get();
  if (!result)
    return result.status();
  FARANDOLE_FAILPOINT("tcp_control_plane.formed");
  group = std::move(result).value();
  return Status::ok();
}

void TcpControlPlane::Impl::watch(int rank, net::Established heartbeats) {
  forget(rank);
  heartbeat->watch(watches.begin(rank), std::move(heartbeats));
}

void TcpControlPlane::Impl::forget(int rank) {
  if (const std::optional<int> watch = watches.end(rank))
    heartbeat->forget(*watch);
}

void TcpControlPlane::Impl::on_silent(int watch, Duration silence) {
  const double seconds = std::chrono::duration<double>(silence).count();
  io->post(
      [this, driver = driver, watch, cause = fmt::format("no heartbeat for {:.1f} s", seconds)] {
        if (!driver->released())
          on_dead(watch, cause);
      });
}

void TcpControlPlane::Impl::on_ended(int watch) {
  io->post([this, driver = driver, watch] {
    if (driver->released())
      return;
    last_words.await(watch, steady_now() + patience::kLastWords, [this, driver, watch] {
      if (!driver->released())
        on_dead(watch, "its process ended");
    });
  });
}

// On the loop, before the driver is released.
void TcpControlPlane::Impl::on_dead(int watch, const std::string& cause) {
  if (const std::optional<int> rank = watches.rank_of(watch))
    driver->on_dead(*rank, cause);
}

Status TcpControlPlane::Impl::on_loop(std::function<void()> task) const {
  if (io->run_and_wait(std::move(task), loop_deadline()))
    return Status::ok();
  return error(
      Code::Internal,
      "rank {}: its io thread is blocked, and did not answer within {:g} s",
      options.config.rank,
      std::chrono::duration<double>(options.loop_limit).count());
}

// Whether the loop has let go of everything.
bool TcpControlPlane::Impl::stop_driver(TimePoint until) {
  const auto done = std::make_shared<std::promise<void>>();
  std::future<void> finished = done->get_future();
  const TimePoint last = std::max(until, steady_now()) + options.loop_limit;
  const auto finish = [driver = driver, until, done] {
    driver->finish(until, [done] { done->set_value(); });
  };
  if (!io->run_and_wait(finish, last))
    return false;
  if (finished.wait_until(last) != std::future_status::ready)
    FARANDOLE_LOG(Error, "the control connections could not be closed in time");
  return io->run_and_wait(
      [this] {
        last_words.clear();
        teller->close();
        driver->release();
      },
      loop_deadline());
}

bool TcpControlPlane::Impl::stop(TimePoint until) {
  if (std::exchange(stopped, true))
    return answered;
  FARANDOLE_FAILPOINT("tcp_control_plane.stop");
  if (driver)
    answered = stop_driver(until);
  store.close({Code::Aborted, "the session is shut down"});
  // Its thread owns what it uses, and nobody listens to it any more.
  if (driver && answered && !teller->stop(loop_deadline()))
    FARANDOLE_LOG(Warning, "the program still has not said where it is (fdl_options.stacks)");
  if (heartbeat && !heartbeat->stop(loop_deadline()))
    answered = false;
  // A loop that is only late still hands it what has come.
  if (answered)
    heartbeat.reset();
  return answered;
}

TcpControlPlane::TcpControlPlane(std::shared_ptr<net::IoThread> io, TcpControlPlaneOptions options)
    : impl_(std::make_unique<Impl>(std::move(io), std::move(options))) {}

TcpControlPlane::~TcpControlPlane() {
  if (fork_.in_child())
    abandon(impl_);  // its connections and threads are the parent's
  else if (!impl_->stop(steady_now()))
    abandon(impl_);  // its threads use it
}

Status TcpControlPlane::start(ControlSink& sink) {
  return impl_->start(sink);
}
const std::vector<Member>& TcpControlPlane::members() const {
  return impl_->group.members;
}
uint32_t TcpControlPlane::epoch() const {
  return impl_->group.epoch;
}
void TcpControlPlane::announce(std::vector<Announcement> announcements) {
  impl_->driver->announce(std::move(announcements));
}
void TcpControlPlane::report(PeerFailure failure) {
  impl_->driver->report(std::move(failure));
}
void TcpControlPlane::backlog(size_t rounds) {
  impl_->driver->backlog(rounds);
}
Store& TcpControlPlane::store() {
  return impl_->store;
}
void TcpControlPlane::leave(const std::string& cause) {
  impl_->driver->leave(cause);
}
void TcpControlPlane::finished() {
  impl_->driver->finished();
}
bool TcpControlPlane::stop(TimePoint deadline) {
  return impl_->stop(deadline);
}

}  // namespace farandole
