#include "tests/sim/twin.h"

#include <array>
#include <utility>

namespace farandole::sim {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;

Twin::Twin(Parts parts) : parts_(std::move(parts)), process_(*parts_.scheduler, parts_.seed, 1us) {}

void Twin::start() {
  parts_.trace("a twin starts");
  connect(net::Role::Control);
  process_.later(parts_.length, [this] { end("goes"); });
}

void Twin::connect(net::Role role) {
  net::Hello hello;
  hello.job = parts_.job;
  hello.role = role;
  hello.rank = static_cast<uint32_t>(parts_.rank);
  hello.incarnation = parts_.seed | 1;
  attempt_ =
      parts_.network->connect(process_, std::move(hello), [this, role](Network::Outcome outcome) {
        attempt_.reset();
        if (outcome.connected)
          connected(role, std::move(outcome.socket));
        else if (outcome.verdict == net::Verdict::NotYet)
          process_.later(50ms, [this, role] { connect(role); });
        else
          end("is turned away");
      });
}

void Twin::connected(net::Role role, net::Established socket) {
  parts_.trace(role == net::Role::Control ? "the twin is connected" : "with heartbeats");
  if (role == net::Role::Heartbeat) {
    beats_ = parts_.network->take(socket);
    return beat();
  }
  control_ = parts_.network->take(socket);
  control_->in->readable = [this] { process_.later(Duration(0), [this] { hear(); }); };
  if (parts_.manner == Manner::Untimely)
    say_what_nobody_says_first(socket);
  if (parts_.manner != Manner::Half)
    connect(net::Role::Heartbeat);
  hear();
}

void Twin::say_what_nobody_says_first(const net::Established& control) {
  control::Link link(control::job_hash(parts_.job), parts_.seed | 1);
  net::FrameSealer sealer(control.keys.send);
  net::Bytes bytes;
  net::append_frame(bytes, sealer, control::encode(link.next(), control::Leave{}));
  control_->out->write(bytes);
}

void Twin::beat() {
  if (process_.dead())
    return;
  beats_->out->write(std::array<uint8_t, 1>{});
  process_.later(parts_.beats, [this] { beat(); });
}

void Twin::hear() {
  if (process_.dead() || !control_)
    return;
  std::array<uint8_t, 256> bytes;
  while (control_->in->read(bytes) > 0) heard_ = true;
  if (!control_->in->ended())
    return;
  in_the_dark_ = !heard_ && beats_ && !control_->in->broken();
  end(heard_ ? "has been told" : "is closed");
}

void Twin::end(const std::string& why) {
  if (process_.dead())
    return;
  parts_.trace("the twin " + why);
  if (attempt_)
    Network::give_up(*std::exchange(attempt_, nullptr));
  for (const auto& socket : {control_, beats_})
    if (socket)
      socket->close();
  process_.kill();
}

void Twin::dismantle() {
  attempt_.reset();
  process_.kill();
  process_.dismantle();
}

}  // namespace farandole::sim
