#include "tests/sim/rank.h"

#include <algorithm>
#include <utility>

#include "core/base/format.h"
#include "core/base/patience.h"
#include "core/net/pauses.h"
#include "tests/sim/io_thread.h"

namespace farandole::sim {
namespace {

constexpr char kOtherJob[] = "another";

class ProcessClock final : public Clock {
 public:
  explicit ProcessClock(const Process& process) : process_(process) {}
  TimePoint now() const noexcept override { return process_.now(); }

 private:
  const Process& process_;
};

}  // namespace

Rank::Rank(Parts parts)
    : parts_(std::move(parts)),
      io_("sim"),
      caller_(Caller::Parts{
          .plan = parts_.plan,
          .rank = parts_.rank,
          .process = parts_.process,
          .data = parts_.data,
          .monitors = parts_.monitors,
          .driver = [this]() -> control::Driver& { return *driver_; },
          .trace = [this](std::string text) { say(std::move(text)); },
          .violated = parts_.violated,
          .stop = [this] { stop(); }}),
      incarnation_(
          mix(parts_.plan->seed + static_cast<uint64_t>(parts_.rank) + (parts_.life << 32)) | 1) {
  io_.impl().process = parts_.process;
  io_.impl().network = parts_.network;
}

Rank::~Rank() = default;

Config Rank::config() const {
  const Plan& plan = *parts_.plan;
  Config config;
  config.rank = parts_.rank;
  config.size = plan.size;
  config.job = kJob;
  config.cache_capacity = plan.cache_capacity;
  config.fusion_bytes = plan.fusion_bytes;
  config.max_frame_bytes = plan.max_frame_bytes;
  config.max_pending = plan.max_pending;
  config.send_queue_bytes = plan.send_queue_bytes;
  config.store_bytes = plan.store_bytes;
  config.stall_check_disable = std::max(plan.stall_report, plan.stall_abort) == Duration(0);
  config.stall_check_time = plan.stall_report;
  config.stall_shutdown_time = plan.stall_abort;
  config.handshake_timeout = plan.handshake_timeout;
  const Habit& habit = plan.habits[static_cast<size_t>(parts_.rank)];
  config.fusion_bytes += habit.other_settings ? 1 : 0;
  config.size += habit.other_size ? 1 : 0;
  if (habit.other_job)
    config.job = kOtherJob;
  return config;
}

void Rank::start() {
  Process& process = *parts_.process;
  say("starts");
  for (const auto& monitor : *parts_.monitors) monitor->on_start(parts_.rank);
  started_ = process.true_now();
  start_ = process.now();
  deadline_ = start_ + parts_.plan->start_timeout;
  control::DriverOptions options;
  options.config = config();
  options.incarnation = incarnation_;
  options.sink = &caller_;
  options.formed = [this](Result<control::Formed> formed) { on_formed(std::move(formed)); };
  options.reply = [this](const control::StoreReply& reply) { caller_.on_reply(reply); };
  options.asked = [this](uint64_t number) {
    parts_.process->later(parts_.plan->answer, [this, number] {
      if (!driver_->released())
        driver_->answer(number, fmt::format("rank {} is here", parts_.rank));
    });
  };
  driver_ = std::make_shared<control::Driver>(io_, std::move(options));
  beats_ = std::make_shared<Beats>(
      process,
      *parts_.network,
      Beats::Options{
          parts_.plan->heartbeat_interval,
          parts_.plan->heartbeat_timeout,
          [this](int watch, Duration silence) { on_silent(watch, silence); },
          [this](int watch) { on_ended(watch); }});
  beats_->start();
  process.later(parts_.plan->start_timeout + patience::kVerdict, [this] {
    if (!decided_)
      give_up("the group did not form in time");
  });
  if (parts_.rank == 0) {
    open_coordinator();
    join();
  } else {
    connect(net::Role::Control, net::kFirstPause, parts_.plan->handshake_timeout);
    process.later(parts_.plan->start_timeout, [this] {
      if (!decided_ && !joined_)
        give_up("rank 0 could not be reached");
    });
  }
}

void Rank::open_coordinator() {
  control::CoordinatorHostOptions options;
  options.config = config();
  options.incarnation = incarnation_;
  options.start = start_;
  options.deadline = deadline_;
  options.process_sets = parts_.plan->process_sets;
  options.clock = std::make_shared<ProcessClock>(*parts_.process);
  control::CoordinatorHostEvents events;
  events.to_own_worker = [this](control::Bytes bytes) {
    driver_->on_own_message(std::move(bytes));
  };
  events.something_to_do = [this] { driver_->schedule_turn(); };
  events.watch = [this](int rank, net::Established socket) { watch(rank, std::move(socket)); };
  events.forget = [this](int rank) { forget(rank); };
  events.stalls = [this](const control::StallReport& report) {
    say(fmt::format("tells of {} operations that wait", report.stalls.size() + report.more));
    for (const auto& monitor : *parts_.monitors) monitor->on_stalls(report);
  };
  auto host =
      std::make_unique<control::CoordinatorHost>(io_, std::move(options), std::move(events));
  control::CoordinatorHost* const raw = host.get();
  io_.run_and_wait([&] { driver_->host(std::move(host)); });
  if (!raw->open())
    parts_.violated("the virtual port could not be opened");
}

// As connect_to() of core/net: until `patience` for the challenge, and then until the deadline.
void Rank::connect(net::Role role, Duration pause, Duration patience) {
  if (decided_)
    return;
  Process& process = *parts_.process;
  if (process.now() >= deadline_)
    return give_up("rank 0 could not be reached");
  net::Hello hello;
  hello.job = config().job;
  hello.role = role;
  hello.rank = static_cast<uint32_t>(parts_.rank);
  hello.incarnation = incarnation_;
  attempt_ = parts_.network->connect(
      process, std::move(hello), [this, role, pause, patience](Network::Outcome outcome) {
        attempt_.reset();
        if (decided_)
          return;
        if (outcome.connected)
          connected(role, std::move(outcome.socket));
        else if (outcome.verdict == net::Verdict::NotYet)
          connect_again(role, pause, patience);
        else
          give_up(fmt::format("rank 0 refuses it: {}", static_cast<int>(outcome.verdict)));
      });
  process.later(patience, [this, role, pause, patience, attempt = attempt_] {
    if (attempt != attempt_ || attempt->proved)
      return;
    Network::give_up(*std::exchange(attempt_, nullptr));
    connect_again(role, pause, 2 * patience);
  });
}

void Rank::connect_again(net::Role role, Duration pause, Duration patience) {
  parts_.process->later(
      pause, [this, role, pause, patience] { connect(role, net::longer(pause), patience); });
}

void Rank::connected(net::Role role, net::Established socket) {
  if (role == net::Role::Control) {
    control_.emplace(std::move(socket));
    return connect(net::Role::Heartbeat, net::kFirstPause, parts_.plan->handshake_timeout);
  }
  watch(0, std::move(socket));
  io_.run_and_wait([&] { driver_->connect(std::move(*control_)); });
  control_.reset();
  join();
}

void Rank::join() {
  joined_ = parts_.process->true_now();
  const int host = parts_.plan->hosts[static_cast<size_t>(parts_.rank)];
  io_.run_and_wait([&] {
    driver_->join({parts_.rank, fmt::format("host{}", host), 100 + parts_.rank, "10.0.0.1"});
  });
}

void Rank::on_formed(Result<control::Formed> formed) {
  if (!parts_.process->act())
    return;
  const bool given_up = std::exchange(decided_, true);
  if (given_up && !formed)
    return;
  if (!formed) {
    say("not formed: " + formed.status().message());
    for (const auto& monitor : *parts_.monitors)
      monitor->on_not_formed(parts_.rank, formed.status());
    tell_start_end(false, true);
    parts_.process->later(Duration(0), [this] { stop(); });
    return;
  }
  formed_ = !given_up;
  say("formed");
  for (const auto& monitor : *parts_.monitors)
    monitor->on_formed(
        parts_.rank, formed.value().epoch, formed.value().members, parts_.process->true_now());
  if (!given_up)
    tell_start_end(true, true);
  // It was stopped for so long that its caller has given up; the loop has not heard of that yet.
  if (!given_up)
    parts_.process->later(Duration(0), [this] { caller_.begin(); });
}

void Rank::give_up(const std::string& why) {
  decided_ = true;
  say("gives up: " + why);
  tell_start_end(false, false);
  control_.reset();
  if (attempt_)
    Network::give_up(*std::exchange(attempt_, nullptr));
  stop();
}

void Rank::tell_start_end(bool formed, bool told) {
  for (const auto& monitor : *parts_.monitors)
    monitor->on_start_end(
        parts_.rank, {formed, told, joined_, started_, parts_.process->true_now()});
}

void Rank::watch(int rank, net::Established heartbeats) {
  forget(rank);
  beats_->watch(watches_.begin(rank), std::move(heartbeats));
}

void Rank::forget(int rank) {
  if (const std::optional<int> watch = watches_.end(rank))
    beats_->forget(*watch);
}

void Rank::on_silent(int watch, Duration silence) {
  say(fmt::format(
      "finds somebody silent for {} ms",
      std::chrono::duration_cast<std::chrono::milliseconds>(silence).count()));
  parts_.process->post([this, watch] { on_dead(watch, "no heartbeat"); });
}

void Rank::on_ended(int watch) {
  parts_.process->post([this, watch] {
    if (driver_->released())
      return;
    last_words_.await(watch, parts_.process->now() + patience::kLastWords, [this, watch] {
      on_dead(watch, "its process ended");
    });
  });
}

void Rank::on_dead(int watch, const std::string& cause) {
  const std::optional<int> rank = watches_.rank_of(watch);
  if (rank && !driver_->released())
    driver_->on_dead(*rank, cause);
}

// The hello of a connection is its client's.
void Rank::on_process_end(const Rank& ended) {
  const bool watched = parts_.rank == 0 || ended.parts_.rank == 0;
  if (beats_ && watched)
    beats_->on_process_end(parts_.rank == 0 ? ended.incarnation_ : incarnation_);
}

void Rank::stop() {
  if (std::exchange(stopped_, true))
    return;
  const TimePoint until = parts_.process->now() + parts_.plan->shutdown_timeout;
  parts_.process->post([this, until] {
    parts_.process->set_timer(until, [this] { note_overdue(); });
    caller_.end();
    driver_->finish(until, [this] { parts_.process->post([this] { exit(); }); });
  });
}

void Rank::exit() {
  last_words_.clear();
  driver_->release();
  beats_->stop();
  say("exits");
  parts_.exit(parts_.rank);
}

// Rank 0, whose control plane is to close: whether it leaves before the others have finished.
void Rank::note_overdue() {
  const control::CoordinatorHost* host = driver_->hosted();
  const control::Coordinator* coordinator = host == nullptr ? nullptr : host->coordinator();
  if (coordinator == nullptr || !coordinator->left(0) || coordinator->concluded())
    return;
  overdue_ = true;
  for (const auto& monitor : *parts_.monitors) monitor->on_overdue(parts_.rank);
}

void Rank::leave() {
  parts_.process->later(Duration(0), [this] {
    if (formed_ && !stopped_)
      caller_.shut_down();
  });
}

void Rank::dismantle() {
  last_words_.clear();
  if (driver_)
    driver_->release();
}

void Rank::look_at_tables() {
  if (!driver_ || parts_.process->dead() || stopped_)
    return;
  Monitor::Tables tables;
  tables.queued_bytes = parts_.process->take_most_queued();
  tables.cached = driver_->worker().cached();
  if (driver_->hosted() != nullptr && driver_->hosted()->coordinator() != nullptr) {
    tables.cached = std::max(tables.cached, driver_->hosted()->coordinator()->cached());
    tables.pending = driver_->hosted()->coordinator()->pending();
    tables.stored_bytes = driver_->hosted()->coordinator()->stored_bytes();
    tables.store_waits = driver_->hosted()->coordinator()->store_waits();
  }
  for (const auto& monitor : *parts_.monitors) monitor->on_tables(parts_.rank, tables);
}

}  // namespace farandole::sim
