#include "controller/tcp/coordinator_host.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/patience.h"

namespace farandole::control {
namespace {

net::ConnectionLimits limits_of(const Config& config) {
  return {
      static_cast<size_t>(config.max_frame_bytes), static_cast<size_t>(config.send_queue_bytes)};
}

// Calls `done` at the last of `count` calls of its copies.
std::function<void()> after(size_t count, std::function<void()> done) {
  return [left = std::make_shared<size_t>(count), done = std::move(done)] {
    if (--*left == 0)
      done();
  };
}

}  // namespace

CoordinatorHost::CoordinatorHost(
    net::IoThread& io, CoordinatorHostOptions options, CoordinatorHostEvents events)
    : io_(io),
      options_(std::move(options)),
      events_(std::move(events)),
      peers_(static_cast<size_t>(options_.config.size)),
      timer_(io) {
  membership_.emplace(MembershipOptions{
      .limits = Limits::of(options_.config),
      .settings = shared_settings(options_.config),
      .job = job_hash(options_.config.job),
      .incarnation = options_.incarnation,
      .start = options_.start,
      .deadline = options_.deadline});
}

CoordinatorHost::~CoordinatorHost() = default;

Result<net::Endpoint> CoordinatorHost::open() {
  net::ListenerOptions options;
  options.at = options_.at;
  options.lookup.deadline = options_.deadline;
  options.lookup.give_up = options_.give_up;
  options.reuse_port = true;
  options.max_half_open = 2 * peers_.size() + 64;
  options.handshake_timeout = options_.config.handshake_timeout;
  options.server = [this] { return server_params(); };
  options.accepted = [this](net::Established socket) { on_accepted(std::move(socket)); };
  options.starved = [this](const Status& why) { on_starved(why); };
  Result<std::unique_ptr<net::Listener>> listener = net::Listener::open(io_, std::move(options));
  if (!listener)
    return listener.status();
  const net::Endpoint at = listener.value()->endpoint();
  const auto opened = std::make_shared<std::unique_ptr<net::Listener>>(std::move(listener).value());
  const bool answered = io_.run_and_wait([this, opened] {
    listener_ = std::move(*opened);
    set_timer();
  });
  if (!answered)
    return error(
        Code::Internal, "the io thread is blocked; rank 0 cannot listen at {}", at.to_string());
  return at;
}

net::ServerParams CoordinatorHost::server_params() const {
  net::ServerParams params;
  params.secret = options_.secret;
  params.job = options_.config.job;
  params.generation = options_.generation;
  params.incarnation = options_.incarnation;
  params.admit = [this](const net::Hello& hello) { return admit(hello); };
  return params;
}

net::Verdict CoordinatorHost::admit(const net::Hello& hello) const {
  if (hello.job != options_.config.job)
    return net::Verdict::Job;
  if (hello.role == net::Role::Data)
    return net::Verdict::Role;
  if (hello.rank == 0 || hello.rank >= peers_.size() || hello.to_rank != 0)
    return net::Verdict::Rank;
  if (hello.generation != options_.generation)
    return hello.generation > options_.generation ? net::Verdict::NotYet : net::Verdict::Generation;
  const Peer& of = peers_[hello.rank];
  return of.connection && !renews_heartbeat(of, hello) ? net::Verdict::Duplicate
                                                       : net::Verdict::Admit;
}

// A rank connects its heartbeats until it has heard that it was admitted. Where that answer was
// lost, its connection here is a dead one.
bool CoordinatorHost::renews_heartbeat(const Peer& peer, const net::Hello& hello) const noexcept {
  return hello.role == net::Role::Heartbeat && hello.incarnation == peer.incarnation;
}

void CoordinatorHost::on_accepted(net::Established socket) {
  const int rank = static_cast<int>(socket.hello.rank);
  Peer& from = peer(rank);
  // The rank has given this one up since: its proof was on its way for longer than what came later.
  if (socket.order < from.newest)
    return;
  if (from.connection) {
    if (!renews_heartbeat(from, socket.hello))
      return;  // came while another one proved itself
    from.newest = socket.order;
    return events_.watch(rank, std::move(socket));
  }
  from.newest = socket.order;
  const bool is_control = socket.hello.role == net::Role::Control;
  std::optional<net::Established>& own = is_control ? from.control : from.heartbeat;
  std::optional<net::Established>& other = is_control ? from.heartbeat : from.control;
  // Left over from an earlier attempt of the rank: heartbeats follow the control connection.
  if (is_control || (other && other->hello.incarnation != socket.hello.incarnation))
    other.reset();
  own.emplace(std::move(socket));
  if (own && other)
    attach(rank, from);
}

// Said at once: to wait until the deadline, and name a rank as missing, would help nobody.
void CoordinatorHost::on_starved(const Status& why) {
  apply(membership_->on_obstacle(error(
      why.code(), "rank 0 cannot take the connections of the other ranks: {}", why.message())));
  events_.something_to_do();
}

void CoordinatorHost::attach(int rank, Peer& peer) {
  net::ConnectionEvents events;
  events.frame = [this, rank](std::span<const uint8_t> body) { on_message(rank, body); };
  events.drained = events_.something_to_do;
  events.closed = [this, rank](const Status& why) { on_closed(rank, why.message()); };
  peer.incarnation = peer.control->hello.incarnation;
  net::Established control = std::move(*peer.control);
  net::Established heartbeat = std::move(*peer.heartbeat);
  peer.control.reset();
  peer.heartbeat.reset();
  // Watched before anything is heard of it. Where this throws, the rank has neither connection.
  events_.watch(rank, std::move(heartbeat));
  try {
    peer.connection = std::make_unique<net::Connection>(
        io_, std::move(control), limits_of(options_.config), std::move(events));
  } catch (...) {
    events_.forget(rank);
    throw;
  }
  apply(membership_->on_connected(rank));
  events_.something_to_do();
}

void CoordinatorHost::on_message(int rank, std::span<const uint8_t> bytes) {
  FARANDOLE_FAILPOINT("coordinator_host.on_message");
  Actions actions = coordinator_ ? coordinator_->on_frame(rank, bytes, now())
                                 : membership_->on_frame(rank, bytes);
  // Not left to the end of the batch: the connection may not live to see it.
  if (!actions.empty() || ending_)
    events_.something_to_do();
  apply(std::move(actions));
}

void CoordinatorHost::on_own_message(const Bytes& bytes) {
  on_message(0, bytes);
}

void CoordinatorHost::on_backlog(size_t rounds) {
  if (!coordinator_)
    return;
  coordinator_->on_backlog(rounds);
  events_.something_to_do();
}

void CoordinatorHost::on_closed(int rank, const std::string& cause) {
  events_.forget(rank);
  lose(rank, cause);
}

void CoordinatorHost::on_dead(int rank, const std::string& cause) {
  if (!peer(rank).connection)
    return;
  if (!coordinator_)
    return lose(rank, cause);
  apply(coordinator_->on_silent(rank, cause));
  events_.something_to_do();
}

void CoordinatorHost::lose(int rank, const std::string& cause) {
  FARANDOLE_FAILPOINT("coordinator_host.lose");
  peer(rank).connection.reset();
  if (coordinator_)
    apply(coordinator_->on_lost(rank, cause));
  else
    membership_->on_lost(rank);
  events_.something_to_do();
}

void CoordinatorHost::apply(Actions actions) {
  for (Action& action : actions) {
    if (auto* send = std::get_if<SendTo>(&action)) {
      if (send->rank == 0)
        events_.to_own_worker(std::move(send->bytes));
      else if (net::Connection* to = peer(send->rank).connection.get())
        to->send(send->bytes);
    } else if (auto* close = std::get_if<CloseRank>(&action)) {
      close_after_flush(close->rank, now() + patience::kRefusal, [this] { end_if_concluded(); });
    } else if (auto* told = std::get_if<TellStalls>(&action)) {
      events_.stalls(told->report);
    } else if (std::holds_alternative<Formed>(action)) {
      form();
    }
  }
  set_timer();
}

// Nobody else may join: there is no need to listen any longer.
void CoordinatorHost::form() {
  FARANDOLE_FAILPOINT("coordinator_host.form");
  listener_.reset();
  coordinator_.emplace(
      CoordinatorOptions{
          .limits = Limits::of(options_.config),
          .process_sets = options_.process_sets,
          .stalls = StallPolicy::of(options_.config),
          .hear = events_.hear},
      membership_->take_group());
}

void CoordinatorHost::turn() {
  FARANDOLE_FAILPOINT("coordinator_host.turn");
  if (coordinator_)
    apply(coordinator_->flush());
  for (const Peer& peer : peers_) {
    if (peer.connection)
      peer.connection->flush();
  }
  end_if_concluded();
}

std::optional<TimePoint> CoordinatorHost::next_deadline() const {
  std::optional<TimePoint> next;
  if (coordinator_)
    next = coordinator_->deadline();
  else if (!membership_->ended())
    next = membership_->deadline();
  if (ending_ && (!next || ending_->until < *next))
    next = ending_->until;
  return next;
}

void CoordinatorHost::set_timer() {
  const std::optional<TimePoint> when = next_deadline();
  if (when == timer_set_)
    return;
  timer_set_ = when;
  if (when)
    timer_.set(*when, [this] { on_timer(); });
  else
    timer_.cancel();
}

void CoordinatorHost::on_timer() {
  timer_set_.reset();
  apply(coordinator_ ? coordinator_->tick(now()) : membership_->tick(now()));
  events_.something_to_do();
}

// The heartbeats go on until all is said: on a slow link the rank would give up rank 0 before it
// has read why.
void CoordinatorHost::close_after_flush(int rank, TimePoint deadline, std::function<void()> done) {
  Peer& of = peer(rank);
  if (!of.connection)
    return done();
  FARANDOLE_FAILPOINT("coordinator_host.close_after_flush");
  closing_.push_back({rank, std::move(of.connection)});
  const auto place = std::prev(closing_.end());
  place->connection->finish(deadline, [this, rank, place, done = std::move(done)] {
    FARANDOLE_FAILPOINT("coordinator_host.closed");
    closing_.erase(place);
    if (!peer(rank).connection && !closes(rank))  // else its next process is watched
      events_.forget(rank);
    done();
  });
}

bool CoordinatorHost::closes(int rank) const noexcept {
  return std::ranges::find(closing_, rank, &Closing::rank) != closing_.end();
}

void CoordinatorHost::finish(TimePoint deadline, std::function<void()> done) {
  FARANDOLE_FAILPOINT("coordinator_host.finish");
  const TimePoint until = coordinator_ ? deadline : std::min(deadline, now() + patience::kRefusal);
  ending_ = Ending{deadline, until, std::move(done)};
  set_timer();
  end_if_concluded();
}

// Rank 0 that goes without a goodbye keeps nobody waiting. Of a group that was refused those are
// waited for that have yet to read why, or are about to connect the other one of their sockets.
bool CoordinatorHost::still_needed() const {
  if (coordinator_)
    return coordinator_->left(0) && !coordinator_->concluded();
  return membership_->refused() &&
         (!closing_.empty() || std::ranges::any_of(peers_, &Peer::half_connected));
}

void CoordinatorHost::end_if_concluded() {
  if (!ending_ || (still_needed() && now() < ending_->until))
    return;
  FARANDOLE_FAILPOINT("coordinator_host.end_if_concluded");
  const auto [deadline, until, done] = *std::exchange(ending_, std::nullopt);
  listener_.reset();
  timer_.cancel();
  for (Peer& peer : peers_) {
    peer.control.reset();
    peer.heartbeat.reset();
  }
  // Those that were being turned away get no more time than the others.
  const std::function<void()> one_done = after(peers_.size(), done);
  for (size_t rank = 0; rank < peers_.size(); ++rank)
    close_after_flush(static_cast<int>(rank), deadline, one_done);
}

}  // namespace farandole::control
