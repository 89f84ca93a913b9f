#include "collectives/shm/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "gtest/gtest.h"

#include "collectives/shm/segment_list.h"

namespace farandole::shm {
namespace {

constexpr Geometry kSmall{2, 3, 4096};
constexpr uint64_t kGroup = 77;

TEST(SharedSegment, IsSeenByWhoAttaches) {
  auto created = SharedSegment::create(kSmall, kGroup);
  ASSERT_TRUE(created) << created.status().to_string();
  auto& [segment, fd] = created.value();
  auto attached = SharedSegment::attach(fd, 2, kGroup);
  ASSERT_TRUE(attached) << attached.status().to_string();
  EXPECT_EQ(attached.value().geometry(), kSmall);
  std::memcpy(segment.slot(1, 5), "data", 4);
  EXPECT_EQ(std::memcmp(attached.value().slot(1, 5), "data", 4), 0);
  segment.lines()[1].flag.step = 9;
  EXPECT_EQ(attached.value().lines()[1].flag.step, 9u);
}

TEST(SharedSegment, OutlivesItsCreator) {
  auto created = SharedSegment::create(kSmall, kGroup);
  ASSERT_TRUE(created);
  auto attached = SharedSegment::attach(created.value().second, 2, kGroup);
  ASSERT_TRUE(attached);
  std::memcpy(created.value().first.slot(0, 0), "left", 4);
  { const auto gone = std::move(created).value(); }
  EXPECT_EQ(std::memcmp(attached.value().slot(0, 0), "left", 4), 0);
}

TEST(SharedSegment, SlotsLieApartAndInside) {
  auto created = SharedSegment::create({3, 4, 8192}, kGroup);
  ASSERT_TRUE(created);
  const SharedSegment& segment = created.value().first;
  std::vector<std::byte*> slots;
  for (uint32_t member = 0; member < 3; ++member) {
    for (uint64_t step = 0; step < 4; ++step) slots.push_back(segment.slot(member, step));
  }
  for (size_t i = 1; i < slots.size(); ++i) EXPECT_EQ(slots[i] - slots[i - 1], 8192);
  const auto* base = reinterpret_cast<std::byte*>(&segment.header());
  EXPECT_EQ(slots.back() + 8192 - base, static_cast<ptrdiff_t>(segment.geometry().total_bytes()));
  EXPECT_GE(reinterpret_cast<std::byte*>(&segment.lines()[2] + 1) - base, 0);
  EXPECT_LE(reinterpret_cast<std::byte*>(&segment.lines()[2] + 1), slots.front());
  EXPECT_EQ(segment.slot(2, 7), segment.slot(2, 3));
}

TEST(SharedSegment, CannotBeShrunkOrGrown) {
  auto created = SharedSegment::create(kSmall, kGroup);
  ASSERT_TRUE(created);
  const int fd = created.value().second.get();
  EXPECT_EQ(::ftruncate(fd, 1), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(fd, 1 << 30), -1);
  EXPECT_EQ(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

TEST(SharedSegment, RefusesWhatIsNotThisGroups) {
  auto created = SharedSegment::create(kSmall, kGroup);
  ASSERT_TRUE(created);
  auto& [segment, fd] = created.value();
  const auto code = [&fd = fd](uint32_t members, uint64_t group) {
    return SharedSegment::attach(fd, members, group).status().code();
  };
  EXPECT_EQ(code(2, kGroup), Code::Ok);
  EXPECT_EQ(code(2, kGroup + 1), Code::Mismatch);
  EXPECT_EQ(code(3, kGroup), Code::Mismatch);
  Header& header = segment.header();
  for (const uint32_t slots : {0u, 2u, 4u, 1u << 31}) {
    header.slots = slots;
    EXPECT_EQ(code(2, kGroup), Code::Mismatch) << slots << " slots";
  }
  header.slots = kSmall.slots;
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{4095}, uint64_t{8192}, ~uint64_t{0}}) {
    header.slot_bytes = bytes;
    EXPECT_EQ(code(2, kGroup), Code::Mismatch) << bytes << " bytes in a slot";
  }
  header.slot_bytes = kSmall.slot_bytes;
  header.version = kVersion + 1;
  EXPECT_EQ(code(2, kGroup), Code::Mismatch);
  header.version = kVersion;
  header.magic = 0;
  EXPECT_EQ(code(2, kGroup), Code::Mismatch);
}

TEST(SharedSegment, RefusesUnsealedOrShortMemory) {
  const UniqueFd unsealed(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_TRUE(unsealed);
  ASSERT_EQ(::ftruncate(unsealed.get(), 1 << 20), 0);
  EXPECT_EQ(SharedSegment::attach(unsealed, 2, kGroup).status().code(), Code::Mismatch);
  const UniqueFd empty(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::fcntl(empty.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
  EXPECT_EQ(SharedSegment::attach(empty, 2, kGroup).status().code(), Code::Mismatch);
  EXPECT_EQ(SharedSegment::attach(UniqueFd(), 2, kGroup).status().code(), Code::System);
}

TEST(SharedSegment, SaysWhereThereIsNoRoom) {
  // 64 slots of 1 GiB for each of 1024 members: more than any machine has.
  const auto huge = SharedSegment::create({1024, 64, 1 << 30}, kGroup);
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.status().code(), Code::Unsupported);
  EXPECT_NE(huge.status().message().find("70368744"), std::string::npos)
      << huge.status().to_string();
}

TEST(SharedSegment, RespectsTheLimitOfFileSizes) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto refused = SharedSegment::create(kSmall, kGroup);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(refused.status().code(), Code::Unsupported) << refused.status().to_string();
}

TEST(GroupHash, TellsJobsAndTagsApart) {
  EXPECT_EQ(group_hash("a", "b"), group_hash("a", "b"));
  EXPECT_NE(group_hash("a", "b"), group_hash("b", "a"));
  EXPECT_NE(group_hash("ab", "c"), group_hash("a", "bc"));
}

TEST(SegmentList, WalksAnyRange) {
  std::vector<char> in(10), out(10);
  // Sizes 0, 3, 0, 0, 5, 2, 0.
  std::vector<Segment> segments;
  size_t begin = 0;
  for (const size_t count : {0, 3, 0, 0, 5, 2, 0}) {
    segments.push_back({in.data() + begin, out.data() + begin, count});
    begin += count;
  }
  SegmentList list;
  list.assign(segments, 1);
  ASSERT_EQ(list.bytes(), 10u);
  for (size_t first = 0; first <= 10; ++first) {
    for (size_t bytes = 0; first + bytes <= 10; ++bytes) {
      size_t at = first;
      list.for_range(first, bytes, [&](const std::byte* from, std::byte* to, size_t part) {
        EXPECT_GT(part, 0u);
        EXPECT_EQ(reinterpret_cast<const char*>(from), in.data() + at);
        EXPECT_EQ(reinterpret_cast<char*>(to), out.data() + at);
        at += part;
      });
      EXPECT_EQ(at, first + bytes);
    }
  }
}

}  // namespace
}  // namespace farandole::shm
