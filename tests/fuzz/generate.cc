#include "tests/fuzz/generate.h"

#include <limits>

namespace farandole::fuzz {
namespace {

using namespace control;

constexpr int64_t kNumbers[] = {
    0,
    1,
    2,
    3,
    4,
    7,
    64,
    4096,
    -1,
    std::numeric_limits<int32_t>::max(),
    std::numeric_limits<int64_t>::max(),
    std::numeric_limits<int64_t>::min()};

int64_t any_number(Input& in) {
  return in.byte() < 250 ? in.one_of(kNumbers) : in.number<int64_t>();
}

std::vector<int64_t> numbers(Input& in, size_t most) {
  std::vector<int64_t> out(in.below(most + 1));
  for (int64_t& n : out) n = in.byte() < 224 ? static_cast<int64_t>(in.below(5)) : any_number(in);
  return out;
}

std::vector<uint32_t> ids(Input& in) {
  std::vector<uint32_t> out(in.below(5));
  for (uint32_t& id : out)
    id = in.byte() < 240 ? static_cast<uint32_t>(in.below(6)) : in.number<uint32_t>();
  return out;
}

// -1 to kRanks, mostly ranks that exist.
int any_rank(Input& in) {
  return static_cast<int>(in.between(-1, kRanks));
}

std::string any_text(Input& in) {
  return in.text(12);
}

Code any_code(Input& in) {
  return static_cast<Code>(in.between(0, static_cast<int>(Code::Internal) + 1));
}

Member any_member(Input& in) {
  return {any_rank(in), any_text(in), any_number(in), any_text(in)};
}

Status any_status(Input& in) {
  return Status(any_code(in), any_text(in)).blame(any_rank(in));
}

PeerFailure any_failure(Input& in) {
  PeerFailure out;
  out.rank = any_rank(in);
  out.code = in.flag() ? Code::PeerLost : any_code(in);
  out.left = in.flag();
  out.host = any_text(in);
  out.cause = any_text(in);
  return out;
}

std::string key(Input& in) {
  const char* const keys[] = {"a", "b", "shm/0/offer", ""};
  return in.one_of(keys);
}

Announce any_announce(Input& in) {
  Announce out;
  for (size_t n = in.below(4); n > 0; --n) out.full.push_back(any_announcement(in));
  out.cached = ids(in);
  out.resends = in.byte() < 224 ? 0 : static_cast<uint32_t>(in.below(3));
  return out;
}

Welcome any_welcome(Input& in) {
  Welcome out{static_cast<uint32_t>(in.below(3)), {}};
  const size_t count = in.flag() ? kRanks : in.below(5);
  for (size_t rank = 0; rank < count; ++rank) {
    out.members.push_back(any_member(in));
    if (in.byte() < 240)
      out.members.back().rank = static_cast<int>(rank);
  }
  return out;
}

Detail any_detail(Input& in, uint32_t id) {
  Detail out{.id = in.byte() < 250 ? id : 99, .named = in.flag(), .process_set = 0, .name = {}};
  if (out.named) {
    out.process_set = static_cast<uint32_t>(in.below(4));
    if (in.below(8) != 0)  // else a join
      out.name = tensor_name(in);
  }
  if (in.below(out.id == 0 ? 2 : 8) == 0)  // what is stood in for has no id
    out.stand_in = StandIn{lawful_signature(in), static_cast<uint32_t>(in.below(kRanks + 1))};
  out.extents = numbers(in, kRanks * kRanks + 1);
  return out;
}

Round any_round(Input& in) {
  Round out{.number = in.below(6), .ready = ids(in)};
  for (const uint32_t id : out.ready)
    if (in.flag())
      out.details.push_back(any_detail(in, id));
  for (size_t n = in.below(3); n > 0; --n)
    out.rejected.push_back({tensor_name(in), static_cast<uint32_t>(in.below(4)), any_status(in)});
  out.evicted = ids(in);
  return out;
}

// Such as ranks agree upon, because there are so few of them.
Signature usual_signature(Input& in) {
  Signature s;
  s.kind = static_cast<CollectiveKind>(in.below(kCollectiveKindCount));
  s.dtype = DType::Float32;
  if (gathers(s.kind))
    s.shape = {in.between(0, 2), 2};
  else if (s.kind == CollectiveKind::Alltoall || s.kind == CollectiveKind::Scatter)
    s.shape = {in.flag() ? 3 : 6, 2};
  else if (s.kind != CollectiveKind::Barrier)
    s.shape = {4};
  s.process_set = in.below(4) == 0 ? 1 : 0;
  if (reduces(s.kind) && in.byte() < 24) {
    s.reduce = ReduceOp::Product;
    s.prescale = 0.5;
  }
  if (s.kind == CollectiveKind::Alltoall && s.shape[0] == 3 && in.flag())
    s.splits = {0, 1, 2};
  if (s.kind == CollectiveKind::Scatter && in.flag())
    s.operand = {in.between(0, 300)};
  return s;
}

}  // namespace

Limits tight_limits() {
  return {
      .size = kRanks,
      .max_name_bytes = 32,
      .max_dims = 4,
      .max_pending = 4,
      .max_frame_bytes = 4096,
      .store_bytes = 64,
      .cache_capacity = 2,
      .fusion_bytes = 64};
}

Signature lawful_signature(Input& in) {
  if (in.byte() < 160)
    return usual_signature(in);
  Signature s;
  s.kind = static_cast<CollectiveKind>(in.below(kCollectiveKindCount));
  s.reduce = static_cast<ReduceOp>(in.below(kReduceOpCount));
  const DType dtypes[] = {DType::Float32, DType::Uint8, DType::Bool, DType::Complex128};
  s.dtype = in.one_of(dtypes);
  s.device = {static_cast<DeviceType>(in.below(2)), static_cast<int32_t>(in.below(2))};
  s.process_set = static_cast<uint32_t>(in.below(4));
  s.root = static_cast<int32_t>(in.below(kRanks));
  s.prescale = in.flag() ? 1.0 : 0.5;
  s.postscale = in.flag() ? 1.0 : -2.0;
  for (size_t n = in.below(4); n > 0; --n) s.shape.push_back(in.between(0, 4));
  if (in.flag())
    for (size_t n = in.below(kRanks + 1); n > 0; --n) s.splits.push_back(in.between(0, 2));
  return s;
}

Announcement message_of(Input& in, int rank) {
  const int other = (rank + 1 + static_cast<int>(in.below(kRanks - 1))) % static_cast<int>(kRanks);
  const Way way = in.flag() ? Way{rank, other} : Way{other, rank};
  const uint8_t which = in.byte();
  Announcement out{with_way((which & 1) != 0 ? "a" : "m", way), {}};
  if (which >= 224)
    out.name = member_of(in, out.name);
  Signature& s = out.signature;
  s.kind = CollectiveKind::Message;
  s.root = way.from;
  s.operand = {way.to};
  if (in.flag())
    s.operand.push_back(in.between(0, 300));
  s.shape.assign(in.below(3), 2);
  return out;
}

std::optional<Announcement> part_of(const Announcement& item, int rank) {
  const Way way = way_of(item.signature);
  if (!way.any() || rank == way.from)
    return item;
  if (rank != way.to)
    return std::nullopt;
  // With memory for it where what is sent has a dimension.
  return Announcement{item.name, of_receiver(item.signature, item.signature.shape.size() == 1)};
}

Announcement change_of_sets(Input& in) {
  Announcement out;
  Signature& s = out.signature;
  s.kind = static_cast<CollectiveKind>(in.between(kCarriedKindCount, kKindCount - 1));
  if (s.kind == CollectiveKind::Join) {
    s.process_set = static_cast<uint32_t>(in.below(4));
    return out;
  }
  out.name = tensor_name(in);
  // What a session would not let pass is for whoever agrees upon it to refuse.
  if (in.byte() < 40)
    for (size_t n = in.below(kRanks + 1); n > 0; --n) s.operand.push_back(in.between(0, 4));
  else if (s.kind == CollectiveKind::RemoveProcessSet)
    s.operand = {in.between(0, 5)};
  else
    for (int rank = 0; rank < static_cast<int>(kRanks); ++rank)
      if (in.flag())
        s.operand.push_back(rank);
  return out;
}

void exaggerate(Input& in, Signature& s) {
  auto bytes = static_cast<int64_t>(size_of(s.dtype));
  for (size_t d = 1; d < s.shape.size(); ++d) bytes *= s.shape[d];
  if (s.shape.empty() || bytes == 0)
    return;
  s.shape[0] = std::numeric_limits<int64_t>::max() / bytes;
  if (s.kind != CollectiveKind::Alltoall)
    return;
  s.splits.assign(kRanks, 0);
  s.splits[in.below(kRanks)] = s.shape[0];
}

Announcement any_announcement(Input& in) {
  if (in.below(8) == 0)
    return change_of_sets(in);
  Announcement out{tensor_name(in), lawful_signature(in)};
  Signature& s = out.signature;
  switch (in.below(24)) {
    case 0:
      s.kind = static_cast<CollectiveKind>(in.byte());
      break;
    case 1:
      s.reduce = static_cast<ReduceOp>(in.byte());
      break;
    case 2:
      s.dtype = static_cast<DType>(in.byte());
      break;
    case 3:
      s.device = {static_cast<DeviceType>(in.byte()), in.number<int32_t>()};
      break;
    case 4:
      s.root = in.number<int32_t>();
      break;
    case 5:
      s.prescale = in.number<double>();
      s.postscale = in.number<double>();
      break;
    case 6:
      s.shape = numbers(in, 5);
      break;
    case 7:
      s.splits = numbers(in, 5);
      break;
    case 8:
      out.name = in.text(40);
      break;
    case 9:
      s.process_set = in.number<uint32_t>();
      break;
    case 10:
      s.operand = numbers(in, 5);
      break;
    case 11:  // of others, at times
      return message_of(in, static_cast<int>(in.below(kRanks)));
    default:
      break;
  }
  return out;
}

Join any_join(Input& in) {
  Join out{any_member(in), static_cast<uint32_t>(in.flag() ? kRanks : in.byte()), {}};
  for (size_t n = in.below(3); n > 0; --n) out.settings.push_back({any_text(in), any_text(in)});
  return out;
}

Message message_up(Input& in) {
  switch (in.below(10)) {
    case 0:
      return any_join(in);
    case 1:
      return Report{any_failure(in)};
    case 2:
      return Leave{any_text(in)};
    case 3:
      return StoreSet{in.below(8), key(in), in.bytes(70)};
    case 4:
      return StoreGet{in.below(8), key(in)};
    case 5:
      return StoreCancel{in.below(8)};
    case 6:
      return Finished{};
    case 7:
      if (in.below(4) == 0)
        return Answer{in.below(4), any_text(in)};
      return any_announce(in);
    default:
      return any_announce(in);
  }
}

Message message_down(Input& in) {
  switch (in.below(10)) {
    case 0:
      return any_welcome(in);
    case 1:
      return Refuse{any_status(in)};
    case 2:
      return Resend{ids(in)};
    case 3:
      return Failure{any_failure(in)};
    case 4:
      return StoreValue{in.below(8), in.bytes(70)};
    case 5:
      return StoreError{in.below(8), any_status(in)};
    case 6:
      if (in.below(4) == 0)
        return Inquiry{in.below(4)};
      return any_round(in);
    default:
      return any_round(in);
  }
}

Message any_message(Input& in) {
  return in.flag() ? message_up(in) : message_down(in);
}

void spoil(Input& in, Bytes& bytes) {
  for (size_t n = 1 + in.below(4); n > 0 && !bytes.empty(); --n) {
    const size_t at = in.below(bytes.size());
    if (in.below(8) == 0)
      bytes.resize(at);
    else
      bytes[at] = in.flag() ? in.byte() : static_cast<uint8_t>(in.below(4) * 85);
  }
}

}  // namespace farandole::fuzz
