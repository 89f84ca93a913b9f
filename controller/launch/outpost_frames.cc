#include "controller/launch/outpost_frames.h"

#include <string.h>

#include <algorithm>
#include <utility>

namespace farandole::launch {
namespace {

using net::ByteReader;
using net::Bytes;
using net::ByteSpan;
using net::ByteWriter;

constexpr std::string_view kGreeting = "farandole-outpost ";
constexpr size_t kMaxNoise = 64 << 10;
constexpr size_t kMaxVersion = 64;
constexpr size_t kHead = 5;  // length and kind
constexpr size_t kMaxPlaces = kMaxRanks;

void put_long_text(ByteWriter& to, std::string_view text) {
  to.put(static_cast<uint32_t>(text.size()));
  to.put_bytes(net::as_bytes(text));
}

std::string text_of(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string get_long_text(ByteReader& from) {
  return text_of(from.take(from.get<uint32_t>()));
}

void put_texts(ByteWriter& to, const std::vector<std::string>& texts) {
  to.put(static_cast<uint32_t>(texts.size()));
  for (const std::string& text : texts) put_long_text(to, text);
}

// Memory follows the texts: a count that is too large ends with them.
std::vector<std::string> get_texts(ByteReader& from) {
  std::vector<std::string> texts;
  for (auto count = from.get<uint32_t>(); count > 0 && !from.failed(); --count)
    texts.push_back(get_long_text(from));
  return texts;
}

void put_place(ByteWriter& to, const Placement& place) {
  for (const int number :
       {place.rank,
        place.size,
        place.local_rank,
        place.local_size,
        place.cross_rank,
        place.cross_size})
    to.put(static_cast<uint32_t>(number));
}

bool is_place(const Placement& place) {
  const auto fits = [](int number, int size) { return number >= 0 && number < size; };
  return place.size <= kMaxRanks && fits(place.rank, place.size) &&
         place.local_size <= place.size && fits(place.local_rank, place.local_size) &&
         place.cross_size <= place.size && fits(place.cross_rank, place.cross_size);
}

Placement get_place(ByteReader& from, const std::string& host) {
  Placement place;
  for (int* number :
       {&place.rank,
        &place.size,
        &place.local_rank,
        &place.local_size,
        &place.cross_rank,
        &place.cross_size})
    *number = static_cast<int>(from.get<uint32_t>());
  place.host = host;
  return place;
}

// All ranks of the host, in their order.
bool are_places(const std::vector<Placement>& places) {
  for (size_t i = 0; i < places.size(); ++i) {
    if (!is_place(places[i]) || places[i].local_rank != static_cast<int>(i) ||
        places[i].local_size != static_cast<int>(places.size()))
      return false;
  }
  return !places.empty();
}

}  // namespace

std::string encode_head(FrameKind kind, size_t size) {
  Bytes bytes;
  ByteWriter to(bytes);
  to.put(static_cast<uint32_t>(size));
  to.put(static_cast<uint8_t>(kind));
  return text_of(bytes);
}

std::string greeting_line(std::string_view version) {
  return std::string(kGreeting) + std::string(version) + "\n";
}

FrameReader::Next FrameReader::next_greeting(Frame& frame) {
  size_t begin = 0;
  while (!std::string_view(buffer_).substr(begin).starts_with(kGreeting)) {
    const size_t end = buffer_.find('\n', begin);
    if (end == std::string::npos)
      return buffer_.size() > kMaxNoise ? Next::Wrong : Next::More;
    begin = end + 1;
  }
  const size_t end = buffer_.find('\n', begin);
  const size_t version = begin + kGreeting.size();
  if (end == std::string::npos)
    return buffer_.size() - version > kMaxVersion ? Next::Wrong : Next::More;
  const ByteSpan text = net::as_bytes(std::string_view(buffer_).substr(version, end - version));
  frame = {FrameKind::Greeting, Bytes(text.begin(), text.end())};
  buffer_.erase(0, end + 1);
  greeted_ = true;
  return Next::Got;
}

FrameReader::Next FrameReader::next(Frame& frame) {
  if (wrong_)
    return Next::Wrong;
  if (!greeted_) {
    const Next greeting = next_greeting(frame);
    wrong_ = greeting == Next::Wrong;
    return greeting;
  }
  if (buffer_.size() < kHead)
    return Next::More;
  ByteReader head(net::as_bytes(std::string_view(buffer_).substr(0, kHead)));
  const size_t size = head.get<uint32_t>();
  const auto kind = head.get<uint8_t>();
  wrong_ = size > most_ || kind == 0 || kind > static_cast<uint8_t>(FrameKind::AgentEnd);
  if (wrong_)
    return Next::Wrong;
  if (buffer_.size() - kHead < size)
    return Next::More;
  const ByteSpan body = net::as_bytes(std::string_view(buffer_).substr(kHead, size));
  frame = {static_cast<FrameKind>(kind), Bytes(body.begin(), body.end())};
  if (frame.kind == FrameKind::Secret)
    explicit_bzero(buffer_.data() + kHead, size);
  buffer_.erase(0, kHead + size);
  return Next::Got;
}

Bytes encode_texts(const std::vector<std::string>& texts) {
  Bytes bytes;
  ByteWriter to(bytes);
  put_texts(to, texts);
  return bytes;
}

Bytes encode_facts(const HostFacts& facts) {
  std::vector<std::string> texts{facts.name, facts.seen_from, facts.seen_at};
  for (const HostAddress& address : facts.addresses) {
    texts.push_back(address.interface);
    texts.push_back(address.address);
  }
  return encode_texts(texts);
}

Bytes encode_order(const HostOrder& order) {
  Bytes bytes;
  ByteWriter to(bytes);
  put_texts(to, {order.job, order.controller, order.folder, order.host});
  put_texts(to, order.argv);
  put_texts(to, order.environment);
  to.put(static_cast<int64_t>(order.grace.count()));
  to.put(static_cast<uint8_t>(order.binding.bind));
  to.put(static_cast<uint8_t>(order.binding.map));
  to.put(static_cast<uint32_t>(order.places.size()));
  for (const Placement& place : order.places) put_place(to, place);
  return bytes;
}

Bytes encode_message(const Message& message) {
  Bytes bytes;
  ByteWriter to(bytes);
  to.put(static_cast<int32_t>(message.kind));
  to.put(message.rank);
  to.put(message.pid);
  to.put(message.value);
  to.put(message.detail);
  to.put(message.time);
  to.put(static_cast<uint8_t>(message.flag));
  return bytes;
}

Bytes encode_number(uint32_t number, std::string_view rest) {
  Bytes bytes;
  bytes.reserve(sizeof(number) + rest.size());
  ByteWriter to(bytes);
  to.put(number);
  to.put_bytes(net::as_bytes(rest));
  return bytes;
}

Bytes encode_output(int rank, uint8_t stream, std::string_view out) {
  Bytes bytes;
  ByteWriter to(bytes);
  to.put(static_cast<uint32_t>(rank));
  to.put(stream);
  to.put_bytes(net::as_bytes(out));
  return bytes;
}

std::optional<std::vector<std::string>> decode_texts(ByteSpan body) {
  ByteReader from(body);
  auto texts = get_texts(from);
  return from.finished() ? std::optional(std::move(texts)) : std::nullopt;
}

std::optional<HostFacts> decode_facts(ByteSpan body) {
  const auto texts = decode_texts(body);
  if (!texts || texts->size() < 3 || texts->size() % 2 == 0)
    return std::nullopt;
  HostFacts facts{(*texts)[0], {}, (*texts)[1], (*texts)[2]};
  for (size_t i = 3; i < texts->size(); i += 2)
    facts.addresses.push_back({(*texts)[i], (*texts)[i + 1]});
  return facts;
}

std::optional<HostOrder> decode_order(ByteSpan body) {
  ByteReader from(body);
  HostOrder order;
  const auto texts = get_texts(from);
  if (texts.size() != 4)
    return std::nullopt;
  order.job = texts[0];
  order.controller = texts[1];
  order.folder = texts[2];
  order.host = texts[3];
  order.argv = get_texts(from);
  order.environment = get_texts(from);
  order.grace = Duration(from.get<int64_t>());
  const auto bind = from.get<uint8_t>();
  const auto map = from.get<uint8_t>();
  const auto count = from.get<uint32_t>();
  for (size_t i = 0; i < count && i < kMaxPlaces && !from.failed(); ++i)
    order.places.push_back(get_place(from, order.host));
  constexpr auto kLast = static_cast<uint8_t>(MachinePart::Socket);
  const bool right = from.finished() && are_places(order.places) && !order.argv.empty() &&
                     order.grace >= Duration::zero() && bind <= kLast && map <= kLast;
  order.binding = {static_cast<MachinePart>(bind), static_cast<MachinePart>(map)};
  return right ? std::optional(std::move(order)) : std::nullopt;
}

std::optional<Message> decode_relayed(ByteSpan body) {
  ByteReader from(body);
  Message message;
  const auto kind = from.get<int32_t>();
  message.rank = from.get<int32_t>();
  message.pid = from.get<int32_t>();
  message.value = from.get<int32_t>();
  message.detail = from.get<int64_t>();
  message.time = from.get<int64_t>();
  const auto flag = from.get<uint8_t>();
  const bool known = kind >= static_cast<int32_t>(MessageKind::Signal) &&
                     kind <= static_cast<int32_t>(MessageKind::OutputUnreadable);
  if (!from.finished() || !known || flag > 1 || message.time < 0)
    return std::nullopt;
  message.kind = static_cast<MessageKind>(kind);
  message.flag = flag == 1;
  return message;
}

std::optional<NumberAndRest> decode_number(ByteSpan body) {
  ByteReader from(body);
  NumberAndRest found;
  found.number = from.get<uint32_t>();
  if (from.failed())
    return std::nullopt;
  found.rest = text_of(body.subspan(sizeof(uint32_t)));
  return found;
}

std::optional<NumberAndRest> decode_output(ByteSpan body) {
  ByteReader from(body);
  NumberAndRest found;
  found.number = from.get<uint32_t>();
  found.stream = from.get<uint8_t>();
  if (from.failed() || found.stream > 1)
    return std::nullopt;
  found.rest = text_of(body.subspan(sizeof(uint32_t) + 1));
  return found;
}

}  // namespace farandole::launch
