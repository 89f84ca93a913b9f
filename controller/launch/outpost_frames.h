#pragma once
// What the launcher and its outpost on another host say to each other over ssh's standard streams:
// a line of greeting, then frames of a length, a kind and a body. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/launch/binding.h"
#include "controller/launch/channel.h"
#include "controller/launch/hosts.h"
#include "core/base/clock.h"
#include "core/net/bytes.h"

namespace farandole::launch {

// Most bytes of a frame, by where it goes: a whole environment, or a piece of output.
inline constexpr size_t kMaxOrderBytes = 16 << 20;
inline constexpr size_t kMaxReportBytes = 256 << 10;
// Bytes of output, and of standard input, that may be on their way before the other end says that
// it has passed them on: so neither end keeps more, and what is no output is never held up.
inline constexpr size_t kOutputWindow = 1 << 20;
inline constexpr size_t kInputWindow = 64 << 10;
inline constexpr size_t kPieceBytes = 32 << 10;
inline constexpr size_t kMostBindingsTold = 512;

enum class FrameKind : uint8_t {
  Greeting,  // the outpost's first line; its body is the version
  // to the outpost
  Listen,       // texts: addresses to hold a port at
  Probe,        // texts: endpoints to try
  Secret,       // the job's
  Prepare,      // HostOrder
  Start,        // nothing: everybody is prepared
  Relay,        // Message for the agent
  Input,        // bytes of rank 0's standard input
  InputEnd,     // nothing
  OutputTaken,  // number of bytes that were passed on
  Beat,         // nothing: the launcher is there
  // from the outpost
  Facts,       // HostFacts
  Listening,   // texts: for each address an endpoint and "", or "" and why there is none
  Probed,      // texts: for each endpoint "", or why it was not reached
  Prepared,    // texts: the processors that each rank is bound to, of the first some
  Refused,     // number: exit code; then a text
  Report,      // Message of the agent
  Output,      // number: rank; one byte: stream; then bytes
  OutputEnd,   // number: rank; one byte: stream
  InputTaken,  // number of bytes that were passed on
  AgentEnd,    // number: wait status
};

struct Frame {
  FrameKind kind = FrameKind::Beat;
  net::Bytes body;
};

// What stands before a body of `size` bytes: its length and its kind.
std::string encode_head(FrameKind kind, size_t size);
// "farandole-outpost VERSION\n"
std::string greeting_line(std::string_view version);

// Makes frames of bytes however they are cut. Memory follows the bytes, not the lengths.
class FrameReader {
 public:
  enum class Next { Got, More, Wrong };

  // `most`: bytes of a frame. `greeted`: false where the line of greeting comes first; what a login
  // shell writes before it is passed over.
  FrameReader(size_t most, bool greeted) : most_(most), greeted_(greeted) {}

  void feed(std::string_view bytes) { buffer_ += bytes; }
  // Wrong: what came is no frame; so it stays.
  Next next(Frame& frame);
  // What came before the greeting, for people.
  std::string_view noise() const { return greeted_ ? std::string_view() : buffer_; }

 private:
  Next next_greeting(Frame& frame);

  size_t most_;
  bool greeted_;
  bool wrong_ = false;
  std::string buffer_;
};

struct HostAddress {
  std::string interface;
  std::string address;  // a number
  bool operator==(const HostAddress&) const = default;
};

// What an outpost tells of its host.
struct HostFacts {
  std::string name;                    // as it calls itself
  std::vector<HostAddress> addresses;  // but for loopback ones
  std::string seen_from;               // the launcher's address, and its own, as this host's end of
  std::string seen_at;                 // the ssh connection sees them; "" where it does not know
  bool operator==(const HostFacts&) const = default;
};

// What an outpost is to start.
struct HostOrder {
  std::string job;
  std::string controller;  // "host:port"; "" where all ranks are here
  std::string folder;      // to start in
  std::string host;        // as the user calls it
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // "NAME=value"
  std::vector<Placement> places;         // all of `host`
  Duration grace{};
  BindPolicy binding;
  bool operator==(const HostOrder&) const = default;
};

struct NumberAndRest {
  uint32_t number = 0;
  uint8_t stream = 0;  // of Output and OutputEnd
  std::string rest;
  bool operator==(const NumberAndRest&) const = default;
};

net::Bytes encode_texts(const std::vector<std::string>& texts);
net::Bytes encode_facts(const HostFacts& facts);
net::Bytes encode_order(const HostOrder& order);
net::Bytes encode_message(const Message& message);
net::Bytes encode_number(uint32_t number, std::string_view rest = {});
net::Bytes encode_output(int rank, uint8_t stream, std::string_view bytes = {});

// Nothing where the bytes are no such thing, whole and with nothing behind it.
std::optional<std::vector<std::string>> decode_texts(net::ByteSpan body);
std::optional<HostFacts> decode_facts(net::ByteSpan body);
std::optional<HostOrder> decode_order(net::ByteSpan body);
std::optional<Message> decode_relayed(net::ByteSpan body);
std::optional<NumberAndRest> decode_number(net::ByteSpan body);
std::optional<NumberAndRest> decode_output(net::ByteSpan body);

}  // namespace farandole::launch
