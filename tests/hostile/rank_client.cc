#include "tests/hostile/rank_client.h"

#include <fmt/format.h>

#include <stdexcept>

namespace farandole::hostile {
namespace {

constexpr uint64_t kIncarnation = 0x4645494E44;

net::Established connection(const JobFacts& facts, int rank, net::Role role) {
  net::ConnectSpec spec{facts.controller, client_params(facts, rank, role), kPatience};
  auto connected = net::connect_to(spec, steady_now() + kPatience);
  if (!connected)
    throw std::runtime_error(connected.status().message());
  return std::move(connected).value();
}

}  // namespace

net::ClientParams client_params(const JobFacts& facts, int rank, net::Role role) {
  net::ClientParams params{.secret = facts.secret, .hello = {}};
  params.hello.job = facts.config.job;
  params.hello.role = role;
  params.hello.rank = static_cast<uint32_t>(rank);
  params.hello.incarnation = kIncarnation;
  return params;
}

Announcement tensor_of_worker() {
  Announcement tensor{"t", {}};
  tensor.signature.shape = {4096};
  return tensor;
}

// Braces: as with all ranks, heartbeats are connected after the control connection.
RankClient::RankClient(const JobFacts& facts, int rank)
    : RankClient{
          facts,
          rank,
          connection(facts, rank, net::Role::Control),
          connection(facts, rank, net::Role::Heartbeat)} {}

RankClient::RankClient(
    const JobFacts& facts, int rank, net::Established control, net::Established beats)
    : facts_(facts),
      rank_(rank),
      incarnation_(kIncarnation),
      link_(control::job_hash(facts.config.job), incarnation_),
      keys_(control.keys),
      sealer_(keys_.send),
      reader_(keys_.receive, static_cast<size_t>(facts.config.max_frame_bytes)),
      control_(std::move(control.fd)),
      beat_sealer_(beats.keys.send),
      heartbeat_(std::move(beats.fd)) {
  // The tests want plain blocking sockets.
  control_.make_blocking();
  heartbeat_.make_blocking();
}

control::Join RankClient::join_message() const {
  return {
      {rank_, facts_.config.host.empty() ? "played" : facts_.config.host, 1, "127.0.0.1"},
      static_cast<uint32_t>(facts_.config.size),
      control::shared_settings(facts_.config)};
}

Bytes RankClient::frame_of(ByteSpan body) {
  Bytes frame;
  net::append_frame(frame, sealer_, body);
  return frame;
}

bool RankClient::send_beat(ByteSpan body) {
  Bytes frame;
  net::append_frame(frame, beat_sealer_, body);
  return heartbeat_.send(frame);
}

std::optional<control::Message> RankClient::receive() {
  while (true) {
    const auto next = reader_.next();
    if (!next)
      return std::nullopt;
    if (next.value()) {
      auto frame = control::decode(*next.value(), control::Limits::of(facts_.config));
      if (!frame)
        return std::nullopt;
      return std::move(frame.value().body);
    }
    const Bytes more = control_.receive_some();
    if (more.empty())
      return std::nullopt;
    reader_.append(more);
  }
}

bool RankClient::join(const control::Join& message) {
  send(message);
  const auto answer = receive();
  if (!answer || !std::holds_alternative<control::Welcome>(*answer))
    return false;
  link_.enter(std::get<control::Welcome>(*answer).epoch);
  return true;
}

std::optional<PeerFailure> RankClient::failure() {
  while (const auto message = receive())
    if (const auto* failure = std::get_if<control::Failure>(&*message))
      return failure->failure;
  return std::nullopt;
}

std::optional<std::string> RankClient::store_get(const std::string& key) {
  send(control::StoreGet{++requests_, key});
  while (const auto message = receive()) {
    const auto* value = std::get_if<control::StoreValue>(&*message);
    if (value && value->request == requests_)
      return std::string(value->value.begin(), value->value.end());
    if (std::holds_alternative<control::StoreError>(*message))
      break;
  }
  return std::nullopt;
}

}  // namespace farandole::hostile
