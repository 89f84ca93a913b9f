#include "tests/sim/network.h"

#include <array>
#include <utility>

namespace farandole::sim {
namespace {

// Both directions of a connection have a key of their own; which is no secret here.
Secret key(uint64_t connection, bool to_server) {
  std::array<uint8_t, 32> bytes{};
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(connection >> (8 * i));
  bytes[8] = to_server ? 1 : 2;
  return Secret(bytes);
}

// Proof and admission are a byte each: whether they arrive is all that matters.
void say(Socket& socket) {
  socket.out->write(std::array<uint8_t, 1>{});
}

bool hear(Socket& socket) {
  std::array<uint8_t, 1> byte;
  return socket.in->read(byte) > 0;
}

}  // namespace

Network::Network(Scheduler& scheduler, uint64_t seed, size_t size, NetworkOptions options)
    : size_(size),
      options_(options),
      watch_([this](std::span<const uint8_t> key) { dropped(key.data()); }) {
  for (size_t i = 0; i < size * size; ++i)
    paths_.push_back(std::make_unique<Path>(scheduler, mix(seed + i), options.path));
}

void Network::end(const Shared& attempt, Outcome outcome) {
  if (std::exchange(attempt->over, true))
    return;
  if (attempt->ends.of_client)
    attempt->ends.of_client->in->readable = nullptr;
  std::exchange(attempt->done, nullptr)(std::move(outcome));
}

void Network::give_up(Attempt& attempt) {
  attempt.over = true;
  attempt.done = nullptr;
  if (attempt.ends.of_client)
    attempt.ends.of_client->close();
}

Network::Shared Network::connect(
    Process& client, net::Hello hello, std::function<void(Outcome)> done) {
  const auto attempt = std::make_shared<Attempt>();
  attempt->client = &client;
  attempt->hello = std::move(hello);
  attempt->done = std::move(done);
  path(static_cast<int>(attempt->hello.rank), 0).carry([this, attempt] {
    attempt->port = port_;
    if (!port_ || !port_->open || port_->process->dead())
      attempt->client->later(Duration(0), [attempt] { end(attempt, {}); });
    else
      port_->process->ready([this, attempt] { answer(attempt); });
  });
  return attempt;
}

// On the loop of rank 0. The proof comes a little later: meanwhile anything may happen.
void Network::answer(const Shared& attempt) {
  Port& port = *attempt->port;
  const net::Verdict verdict =
      port.open ? port.options.server().admit(attempt->hello) : net::Verdict::NotYet;
  if (verdict == net::Verdict::Admit) {
    attempt->order = ++port.answered;
    port.process->set_timer(port.process->now() + port.options.handshake_timeout, [attempt] {
      attempt->late = !attempt->taken;
      if (attempt->late && attempt->ends.of_server)
        attempt->ends.of_server->close();
    });
  }
  path(0, static_cast<int>(attempt->hello.rank)).carry([this, attempt, verdict] {
    attempt->client->later(Duration(0), [this, attempt, verdict] { challenge(attempt, verdict); });
  });
}

// In the client's process.
void Network::challenge(const Shared& attempt, net::Verdict verdict) {
  if (attempt->over)
    return;
  if (verdict != net::Verdict::Admit)
    return end(attempt, {.verdict = verdict});
  attempt->ends = join(static_cast<int>(attempt->hello.rank), *attempt->client);
  attempt->proved = true;
  const Ends& ends = attempt->ends;
  const std::weak_ptr<Attempt> weak = attempt;
  ends.of_client->in->readable = [this, weak] {
    if (const Shared self = weak.lock())
      self->client->later(Duration(0), [this, self] { take_admission(self); });
  };
  if (attempt->late || !attempt->port->open || attempt->port->process->dead())
    ends.of_server->close();
  else
    ends.of_server->in->readable = [this, weak] {
      if (const Shared self = weak.lock())
        self->port->process->ready([this, self] { take_proof(self); });
    };
  say(*ends.of_client);
}

// On the loop of rank 0.
void Network::take_proof(const Shared& attempt) {
  Port& port = *attempt->port;
  Socket& own = *attempt->ends.of_server;
  if (attempt->taken || own.closed)
    return;
  if (!port.open || !hear(own))
    return own.close();
  attempt->taken = true;
  own.in->readable = nullptr;
  say(own);
  port.options.accepted(establish(*attempt, false));
}

// In the client's process: the server's word, or the end of the connection.
void Network::take_admission(const Shared& attempt) {
  if (attempt->over)
    return;
  Socket& own = *attempt->ends.of_client;
  if (hear(own))
    return end(attempt, {true, net::Verdict::Admit, establish(*attempt, true)});
  if (!own.in->ended())
    return;
  own.close();
  end(attempt, {});
}

Network::Ends Network::join(int client, const Process& process) {
  Ends ends{client, &process, std::make_shared<Socket>(), std::make_shared<Socket>()};
  ends.of_client->out = std::make_shared<Pipe>(path(client, 0), options_.capacity);
  ends.of_client->in = std::make_shared<Pipe>(path(0, client), options_.capacity);
  ends.of_server->in = ends.of_client->out;
  ends.of_server->out = ends.of_client->in;
  connections_.push_back(ends);
  return ends;
}

net::Established Network::establish(const Attempt& attempt, bool is_client) {
  const uint64_t number = ++last_;
  net::Established established;
  established.hello = attempt.hello;
  established.keys.send = key(attempt.order, is_client);
  established.keys.receive = key(attempt.order, !is_client);
  established.server_incarnation = number;
  established.order = is_client ? 0 : attempt.order;
  const uint8_t* const held = established.keys.send.bytes().data();
  untaken_[number] = {is_client ? attempt.ends.of_client : attempt.ends.of_server, held};
  by_key_[held] = number;
  return established;
}

void Network::dropped(const uint8_t* key) {
  const auto node = by_key_.extract(key);
  if (!node)
    return;
  untaken_.extract(node.mapped()).mapped().socket->close();
}

std::shared_ptr<Socket> Network::take(const net::Established& established) {
  auto node = untaken_.extract(established.server_incarnation);
  if (!node)
    return nullptr;
  by_key_.erase(node.mapped().key);
  return node.mapped().socket;
}

void Network::close_all(int rank, const Process& process) {
  for (Ends& ends : connections_) {
    if (ends.process == &process)
      ends.of_client->close();
    if (rank == 0)
      ends.of_server->close();
  }
}

void Network::reset_between(int a, int b) {
  const int client = a == 0 ? b : a;
  for (Ends& ends : connections_) {
    if (ends.client != client || (a != 0 && b != 0))
      continue;
    if (!ends.of_server->closed)
      ends.of_client->out->reset();
    if (!ends.of_client->closed)
      ends.of_server->out->reset();
  }
}

void Network::reset_end(int rank, int other, bool newest) {
  for (auto it = connections_.rbegin(); it != connections_.rend(); ++it) {
    const Ends& ends = *it;
    Socket& end = rank == 0 ? *ends.of_server : *ends.of_client;
    if (ends.client != (rank == 0 ? other : rank) || (rank != 0 && other != 0) || end.closed)
      continue;
    end.reset = true;
    end.in->cut_off();
    if (newest)
      return;
  }
}

}  // namespace farandole::sim
