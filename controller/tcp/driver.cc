#include "controller/tcp/driver.h"

#include <utility>

#include "core/base/failpoint.h"

namespace farandole::control {

Driver::Driver(net::IoThread& io, DriverOptions options)
    : io_(io),
      options_(std::move(options)),
      worker_(WorkerOptions{
          .limits = Limits::of(options_.config),
          .rank = static_cast<int>(options_.config.rank),
          .job = job_hash(options_.config.job),
          .incarnation = options_.incarnation}) {}

void Driver::connect(net::Established control) {
  const Config& config = options_.config;
  net::ConnectionEvents events;
  events.frame = [this](std::span<const uint8_t> body) { take(worker_.on_frame(body)); };
  events.drained = [this] { turn(); };
  events.closed = [this](const Status& why) { lose_coordinator(why.message()); };
  uplink_ = std::make_unique<net::Connection>(
      io_,
      std::move(control),
      net::ConnectionLimits{
          static_cast<size_t>(config.max_frame_bytes),
          static_cast<size_t>(config.send_queue_bytes)},
      std::move(events));
}

void Driver::join(Member self) {
  take(worker_.join(std::move(self), shared_settings(options_.config)));
  schedule_turn();
}

// At once where this is the loop, so that an engine that shares it pays no hand-off.
template <typename Task>
void Driver::on_loop(Task task) {
  if (io_.on_loop_thread()) {
    if (!finishing_)
      task();
    return;
  }
  io_.post([self = shared_from_this(), task = std::move(task)]() mutable {
    if (!self->finishing_)
      task();
  });
}

void Driver::announce(std::vector<Announcement> announcements) {
  on_loop([this, items = std::move(announcements)]() mutable {
    take(worker_.announce(std::move(items)));
    schedule_turn();
  });
}

void Driver::report(PeerFailure failure) {
  on_loop([this, failure = std::move(failure)] {
    take(worker_.report(failure));
    schedule_turn();
  });
}

void Driver::leave(std::string cause) {
  on_loop([this, cause = std::move(cause)] {
    take(worker_.leave(cause));
    schedule_turn();
  });
}

void Driver::finished() {
  on_loop([this] {
    take(worker_.finished());
    schedule_turn();
  });
}

void Driver::backlog(size_t rounds) {
  on_loop([this, rounds] {
    if (host_)
      host_->on_backlog(rounds);
  });
}

void Driver::store(StoreRequest request) {
  on_loop([this, request = std::move(request)]() mutable {
    switch (request.kind) {
      case StoreRequest::Kind::Set:
        take(worker_.store_set(request.number, std::move(request.key), std::move(request.value)));
        break;
      case StoreRequest::Kind::Get:
        take(worker_.store_get(request.number, std::move(request.key)));
        break;
      case StoreRequest::Kind::Cancel:
        take(worker_.store_cancel(request.number));
        break;
    }
    schedule_turn();
  });
}

void Driver::answer(uint64_t number, std::string text) {
  on_loop([this, number, text = std::move(text)]() mutable {
    take(worker_.answer(number, std::move(text)));
    schedule_turn();
  });
}

void Driver::on_dead(int rank, const std::string& cause) {
  if (host_)
    host_->on_dead(rank, cause);
  else if (uplink_ && !finishing_)
    give_up_coordinator(cause);
}

void Driver::on_own_message(Bytes bytes) {
  if (!finishing_)
    to_worker_.push_back(std::move(bytes));
}

void Driver::give_up_coordinator(const std::string& cause) {
  FARANDOLE_FAILPOINT("driver.give_up_coordinator");
  take(worker_.on_silent(cause));
  uplink_->flush();
  uplink_.reset();
  schedule_turn();
}

void Driver::lose_coordinator(const std::string& cause) {
  FARANDOLE_FAILPOINT("driver.lose_coordinator");
  uplink_.reset();
  take(worker_.on_lost(cause));
  schedule_turn();
}

void Driver::take(Actions actions) {
  for (Action& action : actions) {
    auto* send = std::get_if<SendTo>(&action);
    if (send == nullptr)
      upcalls_.push_back(std::move(action));
    else if (host_)
      to_coordinator_.push_back(std::move(send->bytes));
    else if (uplink_)
      uplink_->send(send->bytes);
  }
}

void Driver::schedule_turn() {
  if (std::exchange(turn_scheduled_, true))
    return;
  io_.post([self = shared_from_this()] {
    self->turn_scheduled_ = false;
    if (!self->finishing_)
      self->turn();
    else if (self->host_)
      self->host_->turn();
  });
}

void Driver::turn() {
  FARANDOLE_FAILPOINT("driver.turn");
  push();
  // What others wait for has left; now this rank's own part.
  deliver();
}

void Driver::push() {
  if (host_) {
    exchange_own_messages();
    host_->turn();
    exchange_own_messages();
  } else if (uplink_) {
    uplink_->flush();
  }
}

void Driver::exchange_own_messages() {
  while (!to_coordinator_.empty() || !to_worker_.empty()) {
    if (!to_coordinator_.empty()) {
      const Bytes bytes = std::move(to_coordinator_.front());
      to_coordinator_.pop_front();
      host_->on_own_message(bytes);
    } else {
      const Bytes bytes = std::move(to_worker_.front());
      to_worker_.pop_front();
      take(worker_.on_frame(bytes));
    }
  }
}

// The sink may ask for more from within: that waits for the next turn.
void Driver::deliver() {
  if (std::exchange(delivering_, true))
    return;
  while (!upcalls_.empty() && !finishing_) {
    Action action = std::move(upcalls_.front());
    upcalls_.pop_front();
    deliver(action);
  }
  delivering_ = false;
}

void Driver::deliver(Action& action) {
  if (auto* agreed = std::get_if<Deliver>(&action))
    options_.sink->on_agreement(std::move(agreed->agreement));
  else if (auto* failed = std::get_if<Fail>(&action))
    options_.sink->on_failure(std::move(failed->failure));
  else if (auto* reply = std::get_if<StoreReply>(&action))
    options_.reply(std::move(*reply));
  else if (auto* formed = std::get_if<Formed>(&action))
    options_.formed(std::move(*formed));
  else if (auto* not_formed = std::get_if<NotFormed>(&action))
    options_.formed(std::move(not_formed->why));
  else if (auto* testify = std::get_if<Testify>(&action))
    options_.asked(testify->number);
  else if (std::holds_alternative<CloseRank>(action))
    uplink_.reset();
}

void Driver::finish(TimePoint deadline, std::function<void()> done) {
  FARANDOLE_FAILPOINT("driver.finish");
  push();
  finishing_ = true;
  if (host_)
    return host_->finish(deadline, std::move(done));
  if (uplink_)
    return uplink_->finish(deadline, std::move(done));
  done();
}

void Driver::release() {
  FARANDOLE_FAILPOINT("driver.release");
  finishing_ = released_ = true;
  host_.reset();
  uplink_.reset();
}

}  // namespace farandole::control
