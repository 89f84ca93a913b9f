#include "controller/protocol/messages.h"

#include <algorithm>
#include <utility>

#include "core/base/format.h"
#include "messages_generated.h"

namespace farandole::control {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

template <typename T>
Offset<flatbuffers::Vector<T>> vector_of(FlatBufferBuilder& out, const std::vector<T>& values) {
  return values.empty() ? 0 : out.CreateVector(values);
}

Offset<flatbuffers::String> text_of(FlatBufferBuilder& out, const std::string& text) {
  return text.empty() ? 0 : out.CreateString(text);
}

// Text for people: what is too long for a message loses its end.
Offset<flatbuffers::String> clipped(FlatBufferBuilder& out, const std::string& text) {
  return text_of(out, text.size() <= kMaxTextBytes ? text : text.substr(0, kMaxTextBytes));
}

Offset<flatbuffers::String> cause_of(FlatBufferBuilder& out, const std::string& cause) {
  return text_of(out, printable_within(cause, kMaxCauseBytes));
}

template <typename Item, typename Make>
auto tables_of(FlatBufferBuilder& out, const std::vector<Item>& items, Make make) {
  using Table = decltype(make(items.front()));
  std::vector<Table> offsets;
  offsets.reserve(items.size());
  for (const Item& item : items) offsets.push_back(make(item));
  return offsets.empty() ? Offset<flatbuffers::Vector<Table>>(0) : out.CreateVector(offsets);
}

// Whatever the compiler, the bytes are the same: what a table refers to is written line by line,
// never as arguments of one call, whose order is nobody's.

Offset<wire::Member> pack(FlatBufferBuilder& out, const Member& member) {
  const auto address = text_of(out, member.address);
  const auto host = text_of(out, member.host);
  return wire::CreateMember(out, member.rank, host, member.pid, address);
}

Offset<wire::Announcement> pack(
    FlatBufferBuilder& out, const std::string& name, const Signature& s) {
  const auto operand = vector_of(out, s.operand);
  const auto splits = vector_of(out, s.splits);
  const auto shape = vector_of(out, s.shape);
  const auto text = text_of(out, name);
  return wire::CreateAnnouncement(
      out,
      text,
      static_cast<uint8_t>(s.kind),
      static_cast<uint8_t>(s.reduce),
      static_cast<uint8_t>(s.dtype),
      static_cast<uint8_t>(s.device.type),
      s.device.index,
      s.process_set,
      s.root,
      s.prescale,
      s.postscale,
      shape,
      splits,
      operand);
}

Offset<wire::StandIn> pack(FlatBufferBuilder& out, const std::optional<StandIn>& stand_in) {
  return stand_in
             ? wire::CreateStandIn(out, pack(out, "", stand_in->signature), stand_in->contributors)
             : Offset<wire::StandIn>(0);
}

Offset<wire::Status> pack(FlatBufferBuilder& out, const Status& status) {
  return wire::CreateStatus(
      out, static_cast<int32_t>(status.code()), status.culprit(), clipped(out, status.message()));
}

Offset<wire::PeerFailure> pack(FlatBufferBuilder& out, const PeerFailure& failure) {
  const auto cause = cause_of(out, failure.cause);
  const auto host = clipped(out, failure.host);
  return wire::CreatePeerFailure(
      out, failure.rank, host, cause, static_cast<int32_t>(failure.code), failure.left);
}

Offset<wire::Detail> pack(FlatBufferBuilder& out, const Detail& detail) {
  const auto stand_in = pack(out, detail.stand_in);
  const auto extents = vector_of(out, detail.extents);
  const auto name = text_of(out, detail.name);
  return wire::CreateDetail(
      out, detail.id, detail.named, detail.process_set, name, extents, stand_in);
}

Offset<wire::Rejection> pack(FlatBufferBuilder& out, const Rejection& rejection) {
  const auto why = pack(out, rejection.why);
  const auto name = text_of(out, rejection.name);
  return wire::CreateRejection(out, name, rejection.process_set, why);
}

// One overload per message; gives the table that Body::Type names.
Offset<void> body(FlatBufferBuilder& out, const Join& m) {
  const auto settings = tables_of(out, m.settings, [&](const Setting& item) {
    const auto value = text_of(out, item.value);
    const auto name = text_of(out, item.name);
    return wire::CreateSetting(out, name, value);
  });
  return wire::CreateJoin(out, pack(out, m.member), m.size, settings).Union();
}

Offset<void> body(FlatBufferBuilder& out, const Announce& m) {
  const auto full = tables_of(
      out, m.full, [&](const Announcement& item) { return pack(out, item.name, item.signature); });
  return wire::CreateAnnounce(out, full, vector_of(out, m.cached), m.resends).Union();
}

Offset<void> body(FlatBufferBuilder& out, const Report& m) {
  return wire::CreateReport(out, pack(out, m.failure)).Union();
}

Offset<void> body(FlatBufferBuilder& out, const Leave& m) {
  return wire::CreateLeave(out, cause_of(out, m.cause)).Union();
}

Offset<void> body(FlatBufferBuilder& out, const StoreSet& m) {
  const auto value = vector_of(out, m.value);
  const auto key = text_of(out, m.key);
  return wire::CreateStoreSet(out, m.request, key, value).Union();
}

Offset<void> body(FlatBufferBuilder& out, const StoreGet& m) {
  return wire::CreateStoreGet(out, m.request, text_of(out, m.key)).Union();
}

Offset<void> body(FlatBufferBuilder& out, const StoreCancel& m) {
  return wire::CreateStoreCancel(out, m.request).Union();
}

Offset<void> body(FlatBufferBuilder& out, const Welcome& m) {
  const auto members =
      tables_of(out, m.members, [&](const Member& item) { return pack(out, item); });
  return wire::CreateWelcome(out, m.epoch, members).Union();
}

Offset<void> body(FlatBufferBuilder& out, const Refuse& m) {
  return wire::CreateRefuse(out, pack(out, m.why)).Union();
}

Offset<void> body(FlatBufferBuilder& out, const Round& m) {
  const auto ready = vector_of(out, m.ready);
  const auto details =
      tables_of(out, m.details, [&](const Detail& item) { return pack(out, item); });
  const auto rejected =
      tables_of(out, m.rejected, [&](const Rejection& item) { return pack(out, item); });
  const auto evicted = vector_of(out, m.evicted);
  return wire::CreateRound(out, m.number, ready, details, rejected, evicted).Union();
}

Offset<void> body(FlatBufferBuilder& out, const Resend& m) {
  return wire::CreateResend(out, vector_of(out, m.ids)).Union();
}

Offset<void> body(FlatBufferBuilder& out, const Failure& m) {
  return wire::CreateFailure(out, pack(out, m.failure)).Union();
}

Offset<void> body(FlatBufferBuilder& out, const StoreValue& m) {
  return wire::CreateStoreValue(out, m.request, vector_of(out, m.value)).Union();
}

Offset<void> body(FlatBufferBuilder& out, const StoreError& m) {
  return wire::CreateStoreError(out, m.request, pack(out, m.why)).Union();
}

Offset<void> body(FlatBufferBuilder& out, const Finished&) {
  return wire::CreateFinished(out).Union();
}

Offset<void> body(FlatBufferBuilder& out, const Answer& m) {
  return wire::CreateAnswer(out, m.number, text_of(out, m.text)).Union();
}

Offset<void> body(FlatBufferBuilder& out, const Inquiry& m) {
  return wire::CreateInquiry(out, m.number).Union();
}

wire::Envelope pack(const Envelope& e) {
  return {e.job, e.incarnation, e.seq, e.version, e.epoch};
}

}  // namespace

uint64_t job_hash(std::string_view job) noexcept {
  uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a
  for (const char c : job) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3ULL;
  return hash;
}

std::string printable_within(std::string_view text, size_t bytes) {
  std::string whole = printable(text, ~size_t{0});
  return whole.size() <= bytes ? whole : printable(text, bytes - std::string_view("…").size());
}

bool Announce::operator==(const Announce& other) const {
  const auto same = [](const Announcement& a, const Announcement& b) {
    return a.name == b.name && a.signature == b.signature;
  };
  return cached == other.cached && resends == other.resends &&
         std::ranges::equal(full, other.full, same);
}

Bytes encode(const Envelope& envelope, const Message& message) {
  FlatBufferBuilder out;
  const wire::Envelope head = pack(envelope);
  // The variant lists the messages in the order of the union, which starts with NONE.
  static_assert(std::variant_size_v<Message> == static_cast<size_t>(wire::Body::MAX));
  const auto type = static_cast<wire::Body>(message.index() + 1);
  const Offset<void> payload = std::visit([&](const auto& m) { return body(out, m); }, message);
  out.Finish(wire::CreateMessage(out, &head, type, payload), wire::MessageIdentifier());
  return {out.GetBufferPointer(), out.GetBufferPointer() + out.GetSize()};
}

void restamp(Bytes& bytes, const Envelope& envelope) {
  wire::Envelope* head = wire::GetMutableMessage(bytes.data())->mutable_envelope();
  *head = pack(envelope);
}

}  // namespace farandole::control
