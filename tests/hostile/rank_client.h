#pragma once
// RankClient: a rank that the test plays: it holds the secret, and says what it likes.

#include <memory>
#include <optional>
#include <string>

#include "controller/protocol/link.h"
#include "controller/protocol/messages.h"
#include "core/net/connector.h"
#include "core/net/framing.h"
#include "tests/hostile/real_job.h"
#include "tests/hostile/wire_client.h"

namespace farandole::hostile {

// What a server says first in a handshake, and the end of it that proves that it holds the secret.
constexpr size_t kChallengeBytes = 90;
constexpr size_t kProofBytes = 32;

// What a rank of the job says first on a connection of `role`.
net::ClientParams client_params(
    const JobFacts& facts, int rank, net::Role role = net::Role::Control);

// The signature of the tensor "t" that the worker reduces.
Announcement tensor_of_worker();

class RankClient {
 public:
  // Connects control and heartbeat connection as rank `rank`. Throws where it is refused.
  RankClient(const JobFacts& facts, int rank);

  const net::SessionKeys& keys() const { return keys_; }
  const WireClient& wire() const { return control_; }
  control::Join join_message() const;

  // The bytes of one message in this rank's name, and of its frame.
  Bytes encode(const control::Message& message) { return control::encode(link_.next(), message); }
  Bytes frame_of(ByteSpan body);
  bool send(const control::Message& message) { return control_.send(frame_of(encode(message))); }
  // What stands in one frame of the heartbeat connection. False where the other side takes no more.
  bool send_beat(ByteSpan body);
  // The next message; nullopt where the connection ended.
  std::optional<control::Message> receive();
  // Joins and hears the welcome.
  bool join() { return join(join_message()); }
  bool join(const control::Join& message);
  control::Envelope next_envelope() { return link_.next(); }
  // The failure that the coordinator tells; what comes before it is passed over.
  std::optional<PeerFailure> failure();
  // Publishes and asks; nullopt where the answer is an error, or the connection ended.
  std::optional<std::string> store_get(const std::string& key);

 private:
  const JobFacts& facts_;
  int rank_;
  uint64_t incarnation_;
  control::Link link_;
  net::SessionKeys keys_;
  net::FrameSealer sealer_;
  net::FrameReader reader_;
  WireClient control_;
  net::FrameSealer beat_sealer_;
  WireClient heartbeat_;
  uint64_t requests_ = 0;

  RankClient(const JobFacts& facts, int rank, net::Established control, net::Established beats);
};

}  // namespace farandole::hostile
