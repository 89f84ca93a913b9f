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

}  // namespace

Network::Network(Scheduler& scheduler, uint64_t seed, size_t size, NetworkOptions options)
    : size_(size), options_(options) {
  for (size_t i = 0; i < size * size; ++i)
    paths_.push_back(std::make_unique<Path>(scheduler, mix(seed + i), options.path));
}

void Network::connect(Process& client, net::Hello hello, std::function<void(Outcome)> done) {
  const int rank = static_cast<int>(hello.rank);
  path(rank, 0).carry([this, &client, hello = std::move(hello), done = std::move(done)] {
    if (!port_ || !port_->open || port_->process->dead())
      client.later(Duration(0), [done] { done({.again = true}); });
    else
      port_->process->ready([this, &client, hello, done] { answer(client, hello, done); });
  });
}

// On the loop of rank 0. The proof comes a little later: meanwhile anything may happen.
void Network::answer(
    Process& client, const net::Hello& hello, const std::function<void(Outcome)>& done) {
  const int rank = static_cast<int>(hello.rank);
  const std::shared_ptr<Port> port = port_;
  const bool open = port && port->open;
  const net::Verdict verdict = open ? port->options.server().admit(hello) : net::Verdict::NotYet;
  path(0, rank).carry([this, &client, hello, done, verdict, rank, port] {
    if (verdict != net::Verdict::Admit || client.dead()) {
      // A rank whose earlier connection has not been given up yet comes again, too.
      client.later(Duration(0), [done] { done({.again = true}); });
      return;
    }
    const Ends ends = join(rank);
    client.later(
        Duration(0),
        [done,
         socket = std::make_shared<net::Established>(establish(hello, ends.of_client, true))] {
          done({true, false, std::move(*socket)});
        });
    path(rank, 0).carry(
        [port,
         ends,
         socket = std::make_shared<net::Established>(establish(hello, ends.of_server, false))] {
          if (port->process->dead() || !port->open)
            return ends.of_server->close();
          port->process->ready([port, ends, socket] {
            if (port->open)
              port->options.accepted(std::move(*socket));
            else
              ends.of_server->close();
          });
        });
  });
}

Network::Ends Network::join(int client) {
  Ends ends{client, std::make_shared<Socket>(), std::make_shared<Socket>()};
  ends.of_client->out = std::make_shared<Pipe>(path(client, 0), options_.capacity);
  ends.of_client->in = std::make_shared<Pipe>(path(0, client), options_.capacity);
  ends.of_server->in = ends.of_client->out;
  ends.of_server->out = ends.of_client->in;
  connections_.push_back(ends);
  return ends;
}

net::Established Network::establish(
    const net::Hello& hello, const std::shared_ptr<Socket>& socket, bool is_client) {
  const uint64_t number = ++last_;
  untaken_[number] = socket;
  net::Established established;
  established.hello = hello;
  established.keys.send = key(connections_.size(), is_client);
  established.keys.receive = key(connections_.size(), !is_client);
  established.server_incarnation = number;
  return established;
}

std::shared_ptr<Socket> Network::take(const net::Established& established) {
  auto node = untaken_.extract(established.server_incarnation);
  return node ? node.mapped() : nullptr;
}

void Network::close_all(int rank) {
  for (Ends& ends : connections_) {
    if (ends.client == rank)
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

}  // namespace farandole::sim
