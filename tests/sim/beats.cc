#include "tests/sim/beats.h"

#include <array>
#include <utility>

namespace farandole::sim {

Beats::Beats(Process& process, Network& network, Options options)
    : process_(process),
      network_(network),
      options_(std::move(options)),
      liveness_(options_.timeout, process.now()) {}

void Beats::start() {
  process_.later(Duration(0), [self = shared_from_this()] { self->tick(); });
}

void Beats::watch(int watch, net::Established connection) {
  incarnations_[watch] = connection.hello.incarnation;
  changes_.push_back({watch, network_.take(connection)});
  process_.later(Duration(0), [self = shared_from_this()] { self->apply_changes(); });
}

void Beats::forget(int watch) {
  changes_.push_back({watch, nullptr});
  process_.later(Duration(0), [self = shared_from_this()] { self->apply_changes(); });
}

void Beats::apply_changes() {
  for (Change& change : std::exchange(changes_, {})) {
    liveness_.forget(change.rank);
    drop(change.rank);
    if (stopped_ || !change.watch)
      continue;
    liveness_.watch(change.rank, process_.now());
    peers_[change.rank] = change.watch;
    look(change.rank, change.watch);
  }
}

void Beats::look(int watch, const std::shared_ptr<Socket>& socket) {
  const auto wake = [weak = weak_from_this(), watch] {
    const auto self = weak.lock();
    if (self && !self->stopped_)
      self->process_.later(Duration(0), [self, watch] { self->read(watch); });
  };
  socket->in->readable = wake;
  wake();
}

void Beats::read(int watch) {
  const auto found = peers_.find(watch);
  if (stopped_ || found == peers_.end() || !found->second)
    return;
  Socket& socket = *found->second;
  std::array<uint8_t, 256> beats;
  while (socket.in->read(beats) > 0) liveness_.on_beat(watch, process_.now());
  if (socket.in->ended()) {
    socket.close();  // the control connection says why; here only silence counts from now on
    found->second.reset();
  }
}

void Beats::tick() {
  if (stopped_)
    return;
  for (const control::Silence& silence : liveness_.tick(process_.now())) {
    drop(silence.rank);
    options_.silent(silence.rank, silence.length);
  }
  const std::array<uint8_t, 1> beat{};
  for (auto& [watch, socket] : peers_) {
    if (socket && !socket->in->broken() && process_.act())
      socket->out->write(beat);
  }
  process_.later(options_.interval, [self = shared_from_this()] { self->tick(); });
}

void Beats::drop(int watch) {
  const auto found = peers_.find(watch);
  if (found == peers_.end())
    return;
  if (found->second && !process_.dead())
    found->second->close();
  peers_.erase(found);
}

void Beats::on_process_end(uint64_t incarnation) {
  process_.later(Duration(0), [self = shared_from_this(), incarnation] {
    for (const auto& [watch, of] : self->incarnations_) {
      if (self->stopped_ || of != incarnation || !self->peers_.contains(watch))
        continue;
      self->liveness_.forget(watch);
      self->drop(watch);
      self->options_.ended(watch);
    }
  });
}

void Beats::stop() {
  stopped_ = true;
  while (!peers_.empty()) drop(peers_.begin()->first);
}

}  // namespace farandole::sim
