#pragma once
// WireClient: a TCP connection whose every byte the test decides.

#include <optional>
#include <string_view>

#include "core/base/clock.h"
#include "core/net/bytes.h"
#include "core/net/endpoint.h"
#include "core/net/fd_io.h"

namespace farandole::hostile {

using net::Bytes;
using net::ByteSpan;

inline constexpr Duration kPatience = std::chrono::seconds(30);

class WireClient {
 public:
  // nullopt where nobody listens.
  static std::optional<WireClient> connect(const net::Endpoint& to);
  explicit WireClient(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  // False where the other side takes no more.
  bool send(ByteSpan bytes) const;
  bool send(std::string_view text) const { return send(net::as_bytes(text)); }
  // Exactly `count` bytes; fewer where the connection ended or `patience` passed.
  Bytes receive(size_t count, Duration patience = kPatience) const;
  // Everything until the other side closes. nullopt: it did not within `patience`.
  std::optional<Bytes> receive_to_end(Duration patience = kPatience) const;
  // What has come, at least one byte; nothing where the connection ended or `patience` passed.
  Bytes receive_some(Duration patience = kPatience) const;
  void make_blocking() const;
  void finish_sending() const;
  // Goes as port scanners go: with a reset instead of a goodbye.
  void reset();

 private:
  UniqueFd fd_;
};

}  // namespace farandole::hostile
