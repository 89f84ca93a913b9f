#include <bit>
#include <utility>

#include "controller/protocol/decoder.h"
#include "controller/protocol/messages.h"
#include "core/base/format.h"
#include "messages_generated.h"

namespace farandole::control {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers travel as they lie in memory");

// Depth of the deepest message (message, body, item, status), with some air.
constexpr flatbuffers::uoffset_t kMaxDepth = 8;
// Tables of one entry: a detail with a stand-in, and a rejection with its status.
constexpr size_t kTablesOfEntry = 5;
// Tables of a message besides its entries.
constexpr flatbuffers::uoffset_t kOtherTables = 64;

// One overload per message.
Join read(Decoder& in, const wire::Join& m) {
  return {
      in.member(m.member()),
      m.size(),
      in.list(m.settings(), kMaxSettings, "too many settings", [&](const wire::Setting* item) {
        return Setting{
            in.text(item->name(), kMaxTextBytes, "a setting is too long"),
            in.text(item->value(), kMaxTextBytes, "a setting is too long")};
      })};
}

Announce read(Decoder& in, const wire::Announce& m) {
  const auto item = [&](const wire::Announcement* from) { return in.announcement(from); };
  Announce out;
  out.full = in.list(m.full(), kMaxEntries, "too many tensors", item);
  out.cached = in.numbers(m.cached(), kMaxEntries, "too many ids");
  out.resends = m.resends();
  return out;
}

Report read(Decoder& in, const wire::Report& m) {
  return {in.failure(m.failure())};
}

Leave read(Decoder& in, const wire::Leave& m) {
  return {in.cause(m.cause())};
}

StoreSet read(Decoder& in, const wire::StoreSet& m) {
  return {m.request(), in.key(m.key()), in.bytes(m.value())};
}

StoreGet read(Decoder& in, const wire::StoreGet& m) {
  return {m.request(), in.key(m.key())};
}

StoreCancel read(Decoder&, const wire::StoreCancel& m) {
  return {m.request()};
}

Welcome read(Decoder& in, const wire::Welcome& m) {
  const auto item = [&](const wire::Member* from) { return in.member(from); };
  Welcome out{m.epoch(), in.list(m.members(), in.limits().size, "too many members", item)};
  in.require(out.epoch != 0, "there is no epoch 0");
  in.require(out.members.size() == in.limits().size, "members are missing");
  for (size_t rank = 0; rank < out.members.size(); ++rank)
    in.require(out.members[rank].rank == static_cast<int>(rank), "members are out of order");
  return out;
}

Refuse read(Decoder& in, const wire::Refuse& m) {
  return {in.status(m.why())};
}

Round read(Decoder& in, const wire::Round& m) {
  Round out;
  out.number = m.number();
  out.ready = in.numbers(m.ready(), kMaxEntries, "too many ids");
  out.details = in.list(m.details(), kMaxEntries, "too many details", [&](const wire::Detail* d) {
    return in.detail(d);
  });
  out.rejected =
      in.list(m.rejected(), kMaxEntries, "too many rejections", [&](const wire::Rejection* r) {
        return in.rejection(r);
      });
  out.evicted = in.numbers(m.evicted(), kMaxEntries, "too many ids");
  return out;
}

Resend read(Decoder& in, const wire::Resend& m) {
  return {in.numbers(m.ids(), kMaxEntries, "too many ids")};
}

Failure read(Decoder& in, const wire::Failure& m) {
  return {in.failure(m.failure())};
}

StoreValue read(Decoder& in, const wire::StoreValue& m) {
  return {m.request(), in.bytes(m.value())};
}

StoreError read(Decoder& in, const wire::StoreError& m) {
  return {m.request(), in.status(m.why())};
}

Finished read(Decoder&, const wire::Finished&) {
  return {};
}

Answer read(Decoder& in, const wire::Answer& m) {
  return {m.number(), in.text(m.text(), kMaxStackBytes, "an answer is too long")};
}

Inquiry read(Decoder&, const wire::Inquiry& m) {
  return {m.number()};
}

Message read(Decoder& in, const wire::Message& m) {
  switch (m.body_type()) {
    case wire::Body::Join:
      return read(in, *m.body_as_Join());
    case wire::Body::Announce:
      return read(in, *m.body_as_Announce());
    case wire::Body::Report:
      return read(in, *m.body_as_Report());
    case wire::Body::Leave:
      return read(in, *m.body_as_Leave());
    case wire::Body::StoreSet:
      return read(in, *m.body_as_StoreSet());
    case wire::Body::StoreGet:
      return read(in, *m.body_as_StoreGet());
    case wire::Body::StoreCancel:
      return read(in, *m.body_as_StoreCancel());
    case wire::Body::Welcome:
      return read(in, *m.body_as_Welcome());
    case wire::Body::Refuse:
      return read(in, *m.body_as_Refuse());
    case wire::Body::Round:
      return read(in, *m.body_as_Round());
    case wire::Body::Resend:
      return read(in, *m.body_as_Resend());
    case wire::Body::Failure:
      return read(in, *m.body_as_Failure());
    case wire::Body::StoreValue:
      return read(in, *m.body_as_StoreValue());
    case wire::Body::StoreError:
      return read(in, *m.body_as_StoreError());
    case wire::Body::Finished:
      return read(in, *m.body_as_Finished());
    case wire::Body::Answer:
      return read(in, *m.body_as_Answer());
    case wire::Body::Inquiry:
      return read(in, *m.body_as_Inquiry());
    case wire::Body::NONE:
      break;
  }
  in.require(false, "an unknown kind of message");
  return Leave{};
}

bool verify(std::span<const uint8_t> bytes) {
  flatbuffers::Verifier verifier(
      bytes.data(),
      bytes.size(),
      kMaxDepth,
      static_cast<flatbuffers::uoffset_t>(kTablesOfEntry * kMaxEntries + kOtherTables));
  return wire::VerifyMessageBuffer(verifier);
}

}  // namespace

Result<Frame> decode(std::span<const uint8_t> bytes, const Limits& limits) {
  if (bytes.size() > limits.max_frame_bytes)
    return error(Code::InvalidArgument, "{} bytes are more than a message may have", bytes.size());
  Bytes aligned;
  if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(uint64_t) != 0) {
    aligned.assign(bytes.begin(), bytes.end());
    bytes = aligned;
  }
  if (!verify(bytes))
    return error(Code::InvalidArgument, "{} bytes that are no message", bytes.size());
  const wire::Message& message = *wire::GetMessage(bytes.data());
  const wire::Envelope* head = message.envelope();
  if (head == nullptr || message.body() == nullptr)
    return error(Code::InvalidArgument, "a part is missing");
  if (head->version() != kProtocolVersion)
    return error(
        Code::InvalidArgument,
        "it speaks version {} of the protocol, this rank version {}",
        head->version(),
        kProtocolVersion);
  Decoder in(limits, bytes.size());
  Frame frame;
  frame.envelope = {head->version(), head->epoch(), head->job(), head->incarnation(), head->seq()};
  frame.body = read(in, message);
  if (!in.good())
    return Status(Code::InvalidArgument, in.error_text());
  return frame;
}

}  // namespace farandole::control
