#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "controller/protocol/messages.h"
#include "core/base/format.h"
#include "messages_generated.h"

namespace farandole::control {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers travel as they lie in memory");

// Depth of the deepest message (message, body, item, status), with some air.
constexpr flatbuffers::uoffset_t kMaxDepth = 8;
// Tables of a message besides its entries.
constexpr flatbuffers::uoffset_t kOtherTables = 64;

// Turns verified tables into values. The first thing that breaks a limit is remembered, and what
// is read after it comes out empty. An honest message holds all it says; one whose parts share
// bytes could grow without bound when it is read, so the bytes read are counted against its size.
class Decoder {
 public:
  Decoder(const Limits& limits, size_t message_bytes) : limits_(limits), budget_(message_bytes) {}

  const std::string& error_text() const noexcept { return error_; }
  bool good() const noexcept { return error_.empty(); }

  void require(bool condition, std::string_view what) {
    if (!condition && good())
      error_ = what;
  }

  std::string text(const flatbuffers::String* from, size_t max, std::string_view what) {
    if (from == nullptr || !spend(from->size(), max, what))
      return {};
    return from->str();
  }

  // For people: as it will stand in errors and logs, without what could drive a terminal or begin a
  // line of its own.
  std::string message(const flatbuffers::String* from, size_t max, std::string_view what) {
    return printable_within(text(from, max, what), max);
  }
  std::string cause(const flatbuffers::String* from) {
    return message(from, kMaxCauseBytes, "a cause is too long");
  }

  std::string name(const flatbuffers::String* from) {
    std::string out = text(from, limits_.max_name_bytes, "a name is too long");
    require(!out.empty(), "a name is empty");
    return out;
  }

  template <typename T>
  std::vector<T> numbers(const flatbuffers::Vector<T>* from, size_t max, std::string_view what) {
    if (from == nullptr || from->size() > max ||
        !spend(from->size() * sizeof(T), ~size_t{0}, what)) {
      require(from == nullptr || from->size() <= max, what);
      return {};
    }
    // Copied as bytes: the Verifier sees to the alignment of a vector's length, not of its
    // elements.
    std::vector<T> out(from->size());
    if (!out.empty())
      std::memcpy(out.data(), from->Data(), out.size() * sizeof(T));
    return out;
  }

  template <typename Table, typename Make>
  auto list(
      const flatbuffers::Vector<flatbuffers::Offset<Table>>* from,
      size_t max,
      std::string_view what,
      Make make) {
    std::vector<decltype(make(from->Get(0)))> out;
    if (from == nullptr)
      return out;
    require(from->size() <= max, what);
    for (const Table* item : *from) {
      if (!good())
        break;
      out.push_back(make(item));
    }
    return out;
  }

  Member member(const wire::Member* from) {
    if (!there(from))
      return {};
    Member out;
    out.rank = from->rank();
    out.host = text(from->host(), kMaxTextBytes, "a host name is too long");
    out.pid = from->pid();
    out.address = text(from->address(), kMaxTextBytes, "an address is too long");
    require(out.rank >= 0, "a rank is negative");
    return out;
  }

  Status status(const wire::Status* from) {
    if (!there(from))
      return {};
    const Code code = error_code(from->code());
    require(rank_or_none(from->culprit()), "a culprit is no rank");
    Status out(code, message(from->message(), kMaxTextBytes, "a message is too long"));
    return out.blame(from->culprit());
  }

  PeerFailure failure(const wire::PeerFailure* from) {
    if (!there(from))
      return {};
    PeerFailure out;
    out.rank = from->rank();
    out.host = text(from->host(), kMaxTextBytes, "a host name is too long");
    out.cause = cause(from->cause());
    out.code = error_code(from->code());
    out.left = from->left();
    require(rank_or_none(out.rank), "a failure blames no rank of the job");
    return out;
  }

  Announcement announcement(const wire::Announcement* from) {
    Announcement out{name(from->name()), {}};
    Signature& s = out.signature;
    require(from->kind() < kCollectiveKindCount, "an unknown kind of collective");
    require(from->reduce() < kReduceOpCount, "an unknown reduce operation");
    require(from->dtype() < kDTypeCount, "an unknown dtype");
    require(from->device_type() <= static_cast<uint8_t>(DeviceType::Cuda), "an unknown device");
    require(std::isfinite(from->prescale()), "a prescale is not finite");
    require(std::isfinite(from->postscale()), "a postscale is not finite");
    require(
        from->root() >= 0 && static_cast<size_t>(from->root()) < limits_.size,
        "a root is no rank of the job");
    if (!good())
      return out;
    s.kind = static_cast<CollectiveKind>(from->kind());
    s.reduce = static_cast<ReduceOp>(from->reduce());
    s.dtype = static_cast<DType>(from->dtype());
    s.device = {static_cast<DeviceType>(from->device_type()), from->device_index()};
    s.process_set = from->process_set();
    s.root = from->root();
    s.prescale = from->prescale();
    s.postscale = from->postscale();
    s.shape = numbers(from->shape(), limits_.max_dims, "a shape has too many dimensions");
    s.splits = numbers(from->splits(), limits_.size, "there are more splits than ranks");
    require(counts_fit(s.shape, size_of(s.dtype)), "a shape is negative or too large");
    require(sum_fits(s.splits), "splits are negative or too large");
    return out;
  }

  Detail detail(const wire::Detail* from) {
    Detail out;
    out.id = from->id();
    out.named = from->named();
    out.process_set = from->process_set();
    if (out.named)
      out.name = name(from->name());
    require(out.named || out.id != 0, "a tensor has neither id nor name");
    out.extents = numbers(from->extents(), limits_.size * limits_.size, "too many extents");
    require(sum_fits(out.extents), "extents are negative or too large");
    return out;
  }

  Rejection rejection(const wire::Rejection* from) {
    return {name(from->name()), from->process_set(), status(from->why())};
  }

  std::string key(const flatbuffers::String* from) {
    std::string out = text(from, kMaxTextBytes, "a store key is too long");
    require(!out.empty(), "a store key is empty");
    return out;
  }

  Bytes bytes(const flatbuffers::Vector<uint8_t>* from) {
    return numbers(from, limits_.store_bytes, "a store value is too large");
  }

  template <typename T>
  bool there(const T* table) {
    require(table != nullptr, "a part is missing");
    return table != nullptr;
  }

  const Limits& limits() const noexcept { return limits_; }

 private:
  bool spend(size_t bytes, size_t max, std::string_view what) {
    require(bytes <= max, what);
    require(bytes <= budget_, "parts of it share bytes");
    if (good())
      budget_ -= bytes;
    return good();
  }

  Code error_code(int32_t code) {
    require(
        code > static_cast<int32_t>(Code::Ok) && code <= static_cast<int32_t>(Code::Internal),
        "an unknown error code");
    return good() ? static_cast<Code>(code) : Code::Internal;
  }

  bool rank_or_none(int32_t rank) const {
    return rank >= -1 && (rank < 0 || static_cast<size_t>(rank) < limits_.size);
  }

  static bool counts_fit(const std::vector<int64_t>& shape, size_t item_bytes) {
    int64_t total = static_cast<int64_t>(item_bytes);
    bool fits = true;
    // A zero makes the product zero, but the others must be sane on their own.
    for (const int64_t n : shape)
      fits = fits && n >= 0 && (n == 0 || !__builtin_mul_overflow(total, n, &total));
    return fits;
  }

  static bool sum_fits(const std::vector<int64_t>& values) {
    int64_t total = 0;
    for (const int64_t n : values)
      if (n < 0 || __builtin_add_overflow(total, n, &total))
        return false;
    return true;
  }

  const Limits& limits_;
  size_t budget_;
  std::string error_;
};

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
      static_cast<flatbuffers::uoffset_t>(2 * kMaxEntries + kOtherTables));
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
