#pragma once
// Decoder: turns the tables of one message into values, within the limits. For messages_decode.cc
// alone.

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/protocol/messages.h"
#include "core/base/format.h"
#include "core/way.h"
#include "messages_generated.h"

namespace farandole::control {

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
    std::string out = name_or_none(from);
    require(!out.empty(), "a name is empty");
    return out;
  }
  std::string name_or_none(const flatbuffers::String* from) {
    return text(from, limits_.max_name_bytes, "a name is too long");
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
    Announcement out{{}, signature(from)};
    if (out.signature.kind == CollectiveKind::Join)
      require(from->name() == nullptr, "a join has a name");
    else
      out.name = name(from->name());
    if (good())
      require_way(out.name, way_of(out.signature));
    return out;
  }

  Signature signature(const wire::Announcement* from) {
    Signature s;
    require(from->kind() < kKindCount, "an unknown kind of operation");
    require(from->reduce() < kReduceOpCount, "an unknown reduce operation");
    require(from->dtype() < kDTypeCount, "an unknown dtype");
    require(from->device_type() <= static_cast<uint8_t>(DeviceType::Cuda), "an unknown device");
    require(std::isfinite(from->prescale()), "a prescale is not finite");
    require(std::isfinite(from->postscale()), "a postscale is not finite");
    require(
        from->root() >= 0 && static_cast<size_t>(from->root()) < limits_.size,
        "a root is no rank of the job");
    if (!good())
      return s;
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
    s.operand = numbers(from->operand(), limits_.size, "there are more operands than ranks");
    for (const int64_t n : s.operand)
      require(n >= 0 && n <= std::numeric_limits<uint32_t>::max(), "an operand is out of range");
    const bool of_all =
        s.kind == CollectiveKind::AddProcessSet || s.kind == CollectiveKind::RemoveProcessSet;
    const bool message = s.kind == CollectiveKind::Message;
    const size_t most = of_all ? limits_.size : message ? 2 : one_tells(s.kind) ? 1 : 0;
    require(
        s.operand.size() <= most, "an operand belongs to process sets, to scatter and to messages");
    if (message)
      require_ends(s);
    require(!of_all || s.process_set == 0, "process sets are agreed upon by all ranks");
    return s;
  }

  std::optional<StandIn> stand_in(const wire::StandIn* from) {
    if (from == nullptr || !there(from->signature()))
      return std::nullopt;
    StandIn out{signature(from->signature()), from->contributors()};
    require(is_collective(out.signature.kind), "nobody can stand in for that");
    require(
        out.contributors > 0 && out.contributors < limits_.size,
        "nobody or everybody takes part in an operation");
    return out;
  }

  Detail detail(const wire::Detail* from) {
    Detail out;
    out.id = from->id();
    out.named = from->named();
    out.process_set = from->process_set();
    if (out.named)
      out.name = name_or_none(from->name());
    require(out.named || out.id != 0, "a tensor has neither id nor name");
    out.stand_in = stand_in(from->stand_in());
    require(out.id == 0 || !out.stand_in, "a tensor that somebody stands in for is cached");
    const size_t most = limits_.size * limits_.size + limits_.max_dims + 2;
    out.extents = numbers(from->extents(), most, "too many extents");
    require(sum_fits(out.extents), "extents are negative or too large");
    return out;
  }

  Rejection rejection(const wire::Rejection* from) {
    return {name_or_none(from->name()), from->process_set(), status(from->why())};
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
  // The name tells the way, so that what goes another way is another tensor, and so are all kinds
  // that others take part in.
  void require_way(const std::string& name, Way way) {
    require(
        way.any() ? tells_way(name, way) : !tells_way(name),
        "a name tells another way than its message goes");
  }

  void require_ends(const Signature& s) {
    require(
        !s.operand.empty() && static_cast<size_t>(s.operand[0]) < limits_.size &&
            s.operand[0] != s.root,
        "a message goes to no other rank of the job");
  }

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

}  // namespace farandole::control
