#pragma once
// Handshake: proves to both ends of a connection that the other holds the job's secret, before
// anything else is read or believed. Bytes in, bytes out: no socket, no clock.
//
//   client -> server  HELLO      magic, length, version range, role, ranks, generation,
//                                incarnation, nonce, job, group
//   server -> client  CHALLENGE  magic, length, version, verdict, version range, generation,
//                                incarnation, nonce, MAC("server", HELLO, CHALLENGE so far)
//   client -> server  PROOF      MAC("client", HELLO, CHALLENGE)
//   server -> client  ADMITTED   one byte
//
// The MACs are HMAC-SHA256 under a key derived from the secret. Each covers every byte said before
// by both, so that nothing can be altered, taken from another connection (nonces), reflected
// (tags) or downgraded (version ranges). Either end then has one key per direction, derived from
// secret, nonces and transcript. ADMITTED proves nothing: it tells a client that the server has not
// given up on it meanwhile, so that one that was dropped among many tries again at once instead of
// waiting on a connection that nobody serves. Frames follow it in both directions.
// The first ten bytes of HELLO keep their meaning in every version.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/secret.h"
#include "core/base/status.h"
#include "core/net/bytes.h"
#include "core/net/mac.h"

namespace farandole::net {

// What a connection is for. Values are part of the wire protocol.
enum class Role : uint8_t { Control = 1, Heartbeat = 2, Data = 3 };

struct VersionRange {
  uint16_t min = 1;
  uint16_t max = 1;
  bool operator==(const VersionRange&) const = default;
};

// Protocol versions that this build speaks.
inline constexpr VersionRange kVersions{1, 1};
// Nothing more is accepted from a client that has not proved the secret.
inline constexpr size_t kMaxUnauthenticatedBytes = 512;
inline constexpr uint8_t kAdmitted = 0x06;
inline constexpr size_t kMaxJobBytes = 64;
inline constexpr size_t kMaxGroupBytes = 255;
inline constexpr size_t kNonceBytes = 32;
using Nonce = std::array<uint8_t, kNonceBytes>;

// What the client says of itself and of whom it wants to reach.
struct Hello {
  std::string job;
  std::string group;  // Data: tag of the group; else empty
  Role role = Role::Control;
  uint32_t rank = 0;     // of the client
  uint32_t to_rank = 0;  // of the server
  // How often the job has formed anew. Data: 0.
  uint32_t generation = 0;
  uint64_t incarnation = 0;  // random, one per start: a respawned rank is another one

  bool operator==(const Hello&) const = default;
};

// The server's answer to a hello. Values are part of the wire protocol.
enum class Verdict : uint8_t {
  Admit = 0,
  NotYet = 1,  // try again: the server still lives in an earlier generation
  Version = 2,
  Job = 3,
  Role = 4,
  Rank = 5,
  Generation = 6,
  Group = 7,
  Duplicate = 8,  // the rank is connected already
};
inline constexpr int kVerdictCount = 9;

struct ClientParams {
  Secret secret;
  Hello hello;
  VersionRange versions = kVersions;
  std::optional<Nonce> nonce;  // drawn at random unless a test gives it
};

struct ServerParams {
  Secret secret;
  std::string job;  // named, beside the client's, where that is another one
  uint32_t generation = 0;
  uint64_t incarnation = 0;
  // Judges a well-formed hello whose sender has proved nothing yet: must have no effect.
  std::function<Verdict(const Hello&)> admit;
  VersionRange versions = kVersions;
  std::optional<Nonce> nonce;
};

struct SessionKeys {
  Secret send;
  Secret receive;
};

// Thread: one at a time. Movable.
class Handshake {
 public:
  static Handshake client(ClientParams params);
  static Handshake server(ServerParams params);

  // Takes bytes as they come, in any pieces. Returns how many belonged to the handshake; the rest
  // is what follows it.
  size_t feed(ByteSpan bytes);
  // Bytes that feed() can take without taking too many. 0 once done.
  size_t wants() const noexcept;
  // Bytes to be sent now; also after a failure, so that the peer learns of the verdict.
  Bytes output();

  // Of a server: the hello would be admitted, and what lacks is the client's proof.
  bool awaits_proof() const noexcept { return step_ == Step::Proof; }
  // Of a client: the server has proved the secret, and what lacks is its word that it has taken the
  // proof.
  bool awaits_admission() const noexcept { return step_ == Step::Admission; }
  // Ended, well or badly.
  bool done() const noexcept { return step_ == Step::Done; }
  // Ok while it goes on and when it has succeeded. Fails: Mismatch (secret, version, job, role,
  // rank, generation, group), InvalidArgument (own parameters, bytes that are no handshake).
  const Status& status() const noexcept { return status_; }
  bool succeeded() const noexcept { return done() && status_.is_ok(); }
  // The answer was to try again later. The client believes it only where it is authenticated.
  bool not_yet() const noexcept { return not_yet_; }

  // Requires: succeeded() for the four below.
  const Hello& hello() const noexcept { return hello_; }  // the client's, on both ends
  uint16_t version() const noexcept { return version_; }
  uint64_t server_incarnation() const noexcept { return server_incarnation_; }
  SessionKeys keys() const;

 private:
  enum class Step : uint8_t { Hello, Challenge, Proof, Admission, Done };

  Handshake(bool is_client, Secret secret, VersionRange versions);
  size_t target() const noexcept;
  void step();
  void fail(Code code, std::string why);
  void begin_client(const std::optional<Nonce>& nonce);
  void on_hello();
  bool begins_with(uint32_t magic) const noexcept;
  bool check_prefix();
  void answer(Verdict verdict, VersionRange theirs);
  void on_challenge();
  void on_verdict(Verdict verdict, bool proved, VersionRange theirs);
  void on_proof();
  void on_admission();

  bool is_client_;
  Step step_;
  Status status_;
  bool not_yet_ = false;
  Secret secret_;
  VersionRange versions_;
  Hello hello_;
  uint16_t version_ = 0;
  std::string server_job_;
  uint32_t server_generation_ = 0;
  uint64_t server_incarnation_ = 0;
  Nonce nonce_{};
  std::function<Verdict(const Hello&)> admit_;
  std::optional<Mac> mac_;  // there unless the secret is missing
  Bytes in_;                // the message being read
  Bytes out_;               // not yet fetched by output()
  Bytes transcript_;        // HELLO, then CHALLENGE
};

const char* name_of(Role role) noexcept;  // "control"

}  // namespace farandole::net
