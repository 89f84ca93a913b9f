// What members of a shared-memory group read of each other: the header of the memory, the meeting
// point, and what is published while the group forms.

#include "collectives/shm/segment.h"

#include <memory>

#include "collectives/shm/handover.h"
#include "collectives/shm/published.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

using namespace shm;

constexpr uint64_t kGroup = 0x1234;

void check_memory(Input& in) {
  auto header = std::make_unique<Header>();
  header->magic = in.byte() < 224 ? kMagic : in.number<uint64_t>();
  header->version = in.byte() < 224 ? kVersion : in.number<uint32_t>();
  header->group = in.byte() < 224 ? kGroup : in.number<uint64_t>();
  header->members = in.flag() ? static_cast<uint32_t>(in.below(6)) : in.number<uint32_t>();
  header->slots = in.flag() ? static_cast<uint32_t>(in.below(80)) : in.number<uint32_t>();
  header->slot_bytes = in.flag() ? in.below(8) * kPageBytes : in.number<uint64_t>();
  header->store_policy = in.number<uint32_t>();
  const uint32_t members = in.flag() ? header->members : in.number<uint32_t>();
  const Geometry told{header->members, header->slots, header->slot_bytes};
  const size_t bytes = in.byte() < 224 && told.is_sane() ? told.total_bytes() : in.number<size_t>();
  const Result<Geometry> geometry = check_header(*header, bytes, members, kGroup);
  if (!geometry) {
    require(geometry.status().code() == Code::Mismatch, "foreign memory is a mismatch");
    return;
  }
  const Geometry& g = geometry.value();
  require(header->magic == kMagic && header->group == kGroup, "only the group's own is taken");
  require(g == told && g.members == members, "as it is told");
  require(
      sizeof(Header) + size_t{g.members} * sizeof(RankLines) <= g.control_bytes(),
      "lines lie before the slots");
  const __uint128_t last = (__uint128_t{g.members} * g.slots - 1) * g.slot_bytes;
  require(g.control_bytes() + last + g.slot_bytes == bytes, "the last slot ends with the memory");
}

void check_meeting(Input& in) {
  std::string text = in.rest();
  if (text.empty()) {
    const Result<Meeting> random = Meeting::random();
    require(random.has_value(), "a meeting point can be made");
    text = random.value().to_text();
  }
  const Result<Meeting> meeting = Meeting::from_text(text);
  if (!meeting)
    return;
  require(meeting.value().to_text() == text, "a meeting point is written as it is read");
  require(meeting.value().name.size() == 32 && meeting.value().token.size() == 64, "and complete");
}

void check_published(Input& in) {
  const std::string raw = in.rest();
  const auto published =
      Published::from_bytes({reinterpret_cast<const uint8_t*>(raw.data()), raw.size()});
  if (!published)
    return;
  const Published& p = published.value();
  require(p.status.is_ok() || p.text.empty(), "a text comes with a good status only");
  const auto again = Published::from_bytes(p.to_bytes());
  require(again && again.value() == p, "what is published is read as it was written");
}

}  // namespace

void segment(Input in) {
  switch (in.below(4)) {
    case 0:
      return check_meeting(in);
    case 1:
      return check_published(in);
    default:
      return check_memory(in);
  }
}

}  // namespace farandole::fuzz
