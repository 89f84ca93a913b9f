#include "controller/loopback_hub.h"

#include <utility>

#include "controller/protocol/ranks.h"
#include "core/base/format.h"
#include "core/base/thread.h"

namespace farandole {

using control::Action;
using control::Actions;

namespace {

constexpr uint32_t kEpoch = 1;
constexpr char kClosed[] = "its control connection closed without a goodbye";

}  // namespace

template <typename Call>
void LoopbackOutlet::post(Call call) {
  loop_->post([target = target_, call = std::move(call)]() mutable {
    MutexLock lock(target->mutex);
    if (target->sink == nullptr)
      return;
    ControlSink& sink = *target->sink;
    target->calling = true;
    target->mutex.unlock();
    call(sink);
    target->mutex.lock();
    target->calling = false;
    target->returned.notify_all();
  });
}

void LoopbackOutlet::agreement(Agreement agreement) {
  post([agreement = std::move(agreement)](ControlSink& sink) mutable {
    sink.on_agreement(std::move(agreement));
  });
}

void LoopbackOutlet::failure(PeerFailure failure) {
  post([failure = std::move(failure)](ControlSink& sink) mutable {
    sink.on_failure(std::move(failure));
  });
}

bool LoopbackOutlet::close(TimePoint deadline) {
  MutexLock lock(target_->mutex);
  target_->sink = nullptr;
  while (target_->calling) {
    if (!target_->returned.wait_until(target_->mutex, deadline))
      return !target_->calling;
  }
  return true;
}

LoopbackHub::Impl::Impl(int size, ProcessSets process_sets)
    : process_sets_(std::move(process_sets)),
      ports_(static_cast<size_t>(size)),
      confirmer_(start_thread("fdl-loopback", [this] { confirm_accusations(); })) {}

LoopbackHub::Impl::~Impl() {
  {
    MutexLock lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  confirmer_.join();
}

// Plays the clock for the coordinator.
void LoopbackHub::Impl::confirm_accusations() {
  MutexLock lock(mutex_);
  while (!closing_) {
    const auto due = coordinator_ ? coordinator_->deadline() : std::nullopt;
    if (!due) {
      changed_.wait(mutex_);
    } else if (steady_now() < *due) {
      changed_.wait_until(mutex_, *due);
    } else {
      by_coordinator(coordinator_->tick(steady_now()));
      pump();
    }
  }
}

Status LoopbackHub::Impl::start(
    const Config& config, const Member& self, std::unique_ptr<LoopbackOutlet> outlet) {
  const TimePoint deadline = steady_now() + config.start_timeout;
  const int rank = self.rank;
  MutexLock lock(mutex_);
  if (rank < 0 || static_cast<size_t>(rank) >= ports_.size())
    return error(Code::InvalidArgument, "rank {} in a job of {} ranks", rank, ports_.size());
  Port& own = port(rank);
  if (own.worker)
    return error(Code::InvalidArgument, "rank {} has started before", rank);
  const control::WorkerOptions options{
      control::Limits::of(config),
      rank,
      control::job_hash(config.job),
      static_cast<uint64_t>(rank) + 1};
  own.worker = std::make_unique<control::Worker>(options);
  own.outlet = std::move(outlet);
  own.open = true;
  if (rank == 0)
    open_coordinator(config);
  else if (membership_)
    by_coordinator(membership_->on_connected(rank));
  by_worker(rank, own.worker->join(self, control::shared_settings(config)));
  pump();
  while (!own.started && !own.stopped && steady_now() < deadline)
    changed_.wait_until(mutex_, deadline);
  if (own.started)
    return *own.started;
  return own.stopped ? Status(Code::Aborted, "stopped while the group formed")
                     : give_up(rank, config);
}

void LoopbackHub::Impl::open_coordinator(const Config& config) {
  limits_ = control::Limits::of(config);
  limits_->size = ports_.size();
  control::MembershipOptions options;
  options.limits = *limits_;
  options.settings = control::shared_settings(config);
  options.job = control::job_hash(config.job);
  options.incarnation = 1;
  options.epoch = kEpoch;
  options.start = steady_now();
  options.deadline = options.start + config.start_timeout;
  membership_ = std::make_unique<control::Membership>(std::move(options));
  for (size_t rank = 1; rank < ports_.size(); ++rank)
    if (ports_[rank].worker)
      by_coordinator(membership_->on_connected(static_cast<int>(rank)));
}

// The start deadline of `rank` has passed.
Status LoopbackHub::Impl::give_up(int rank, const Config& config) {
  if (membership_) {
    by_coordinator(membership_->tick(steady_now()));
    pump();
  }
  if (port(rank).started)
    return *port(rank).started;
  const std::string absent = membership_ ? control::rank_list(membership_->missing()) : "rank 0";
  cut(rank, "gave up waiting for the group to form");
  const std::chrono::duration<double> waited = config.start_timeout;
  return error(
      Code::Timeout,
      "the group of {} ranks did not form within {:g} s (FARANDOLE_START_TIMEOUT): {} missing",
      ports_.size(),
      waited.count(),
      absent);
}

void LoopbackHub::Impl::by_worker(int rank, Actions actions) {
  Port& own = port(rank);
  for (Action& action : actions) {
    if (auto* send = std::get_if<control::SendTo>(&action)) {
      queue_.push_back({true, rank, std::move(send->bytes)});
    } else if (auto* deliver = std::get_if<control::Deliver>(&action)) {
      own.outlet->agreement(std::move(deliver->agreement));
    } else if (auto* fail = std::get_if<control::Fail>(&action)) {
      own.outlet->failure(std::move(fail->failure));
    } else if (auto* reply = std::get_if<control::StoreReply>(&action)) {
      own.replies[reply->request] = std::move(*reply);
      changed_.notify_all();
    } else if (auto* not_formed = std::get_if<control::NotFormed>(&action)) {
      own.started = std::move(not_formed->why);
      changed_.notify_all();
    } else if (std::holds_alternative<control::Formed>(action)) {
      own.started = Status::ok();
      changed_.notify_all();
    } else {
      cut(rank, std::get<control::CloseRank>(action).cause);
    }
  }
}

void LoopbackHub::Impl::by_coordinator(Actions actions) {
  for (Action& action : actions) {
    if (auto* send = std::get_if<control::SendTo>(&action)) {
      queue_.push_back({false, send->rank, std::move(send->bytes)});
    } else if (std::holds_alternative<control::Formed>(action)) {
      coordinator_ = std::make_unique<control::Coordinator>(
          control::CoordinatorOptions{*limits_, process_sets_}, membership_->take_group());
    }
    // CloseRank needs nothing here: the message before it ends the worker. NotFormed reaches
    // rank 0 through its own worker, as it does the others.
  }
}

void LoopbackHub::Impl::deliver(Message message) {
  if (!port(message.rank).open)
    return;
  if (!message.up)
    by_worker(message.rank, port(message.rank).worker->on_frame(message.bytes));
  else if (coordinator_)
    by_coordinator(coordinator_->on_frame(message.rank, message.bytes, steady_now()));
  else
    by_coordinator(membership_->on_frame(message.rank, message.bytes));
}

void LoopbackHub::Impl::pump() {
  // Whoever comes before rank 0 waits for it.
  if (!membership_)
    return;
  do {
    while (!queue_.empty()) {
      Message message = std::move(queue_.front());
      queue_.pop_front();
      deliver(std::move(message));
    }
    if (coordinator_)
      by_coordinator(coordinator_->flush());
  } while (!queue_.empty());
  if (coordinator_ && (coordinator_->deadline() || coordinator_->concluded()))
    changed_.notify_all();
}

void LoopbackHub::Impl::cut(int rank, const std::string& cause) {
  if (!std::exchange(port(rank).open, false))
    return;
  if (rank == 0)
    cut_coordinator(cause);
  else if (coordinator_)
    by_coordinator(coordinator_->on_lost(rank, cause));
  else if (membership_)
    membership_->on_lost(rank);
}

void LoopbackHub::Impl::cut_coordinator(const std::string& cause) {
  coordinator_.reset();
  for (size_t rank = 1; rank < ports_.size(); ++rank)
    if (std::exchange(ports_[rank].open, false))
      by_worker(static_cast<int>(rank), ports_[rank].worker->on_lost(cause));
}

void LoopbackHub::Impl::announce(int rank, std::vector<Announcement> announcements) {
  MutexLock lock(mutex_);
  if (!usable(rank))
    return;
  by_worker(rank, port(rank).worker->announce(std::move(announcements)));
  pump();
}

void LoopbackHub::Impl::report(int rank, PeerFailure failure) {
  MutexLock lock(mutex_);
  if (!usable(rank))
    return;
  by_worker(rank, port(rank).worker->report(std::move(failure)));
  pump();
}

void LoopbackHub::Impl::backlog(int rank, size_t rounds) {
  MutexLock lock(mutex_);
  if (rank != 0 || !coordinator_)
    return;
  coordinator_->on_backlog(rounds);
  pump();
}

void LoopbackHub::Impl::leave(int rank, const std::string& cause) {
  MutexLock lock(mutex_);
  if (!usable(rank))
    return;
  by_worker(rank, port(rank).worker->leave(cause));
  pump();
}

void LoopbackHub::Impl::finished(int rank) {
  MutexLock lock(mutex_);
  if (!usable(rank))
    return;
  by_worker(rank, port(rank).worker->finished());
  pump();
}

void LoopbackHub::Impl::kill(int rank) {
  MutexLock lock(mutex_);
  if (!port(rank).open)
    return;
  cut(rank, kClosed);
  by_worker(rank, port(rank).worker->on_lost(kClosed));
  pump();
  changed_.notify_all();
}

std::unique_ptr<LoopbackOutlet> LoopbackHub::Impl::stop(int rank, TimePoint deadline) {
  MutexLock lock(mutex_);
  if (rank < 0 || static_cast<size_t>(rank) >= ports_.size() || !port(rank).worker)
    return nullptr;  // it never started
  Port& own = port(rank);
  const auto needed = [&]() FARANDOLE_REQUIRES(mutex_) {
    return rank == 0 && coordinator_ && coordinator_->left(0) && !coordinator_->concluded();
  };
  while (needed() && changed_.wait_until(mutex_, deadline)) {
  }
  own.stopped = true;
  cut(rank, kClosed);
  pump();
  changed_.notify_all();
  return std::move(own.outlet);
}

bool LoopbackHub::Impl::usable(int rank) {
  return port(rank).worker && !port(rank).stopped;
}

Status LoopbackHub::Impl::refusal(int rank) {
  return port(rank).worker ? Status(Code::Aborted, "the control plane has stopped")
                           : Status(Code::InvalidArgument, "the control plane has not started");
}

Status LoopbackHub::Impl::store_set(int rank, const std::string& key, std::vector<uint8_t> value) {
  MutexLock lock(mutex_);
  if (!usable(rank))
    return refusal(rank);
  Port& own = port(rank);
  const uint64_t request = ++own.requests;
  by_worker(rank, own.worker->store_set(request, key, std::move(value)));
  pump();
  // The coordinator answers at once, and who has no coordinator any more is answered by itself.
  auto node = own.replies.extract(request);
  return node ? node.mapped().status
              : Status(Code::Internal, "a value was put into the store without an answer");
}

Result<std::vector<uint8_t>> LoopbackHub::Impl::store_get(
    int rank, const std::string& key, TimePoint deadline) {
  MutexLock lock(mutex_);
  if (!usable(rank))
    return refusal(rank);
  Port& own = port(rank);
  const uint64_t request = ++own.requests;
  by_worker(rank, own.worker->store_get(request, key));
  pump();
  while (!own.replies.contains(request) && !own.stopped && steady_now() < deadline)
    changed_.wait_until(mutex_, deadline);
  if (auto node = own.replies.extract(request)) {
    control::StoreReply& reply = node.mapped();
    if (reply.status.is_ok())
      return std::move(reply.value);
    return std::move(reply.status);
  }
  if (own.stopped)
    return refusal(rank);
  by_worker(rank, own.worker->store_cancel(request));
  pump();
  return error(Code::Timeout, "nobody has set the store key \"{}\"", printable(key));
}

const control::Worker& LoopbackHub::Impl::worker(int rank) {
  MutexLock lock(mutex_);
  return *port(rank).worker;
}

}  // namespace farandole
