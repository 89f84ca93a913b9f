// What callers hold by pointer: found while it is held and no longer, however much there is.

#include "bindings/c/held.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

namespace farandole::capi {
namespace {

TEST(Held, WhileItIsHeld) {
  alignas(8) const std::array<char, 16> memory{};
  const void* const object = memory.data();
  EXPECT_FALSE(is_held(object, Held::Handle));
  EXPECT_FALSE(let_go(object, Held::Handle));
  {
    const Holding holding(object, Held::Handle);
    EXPECT_TRUE(is_held(object, Held::Handle));
    EXPECT_FALSE(is_held(object, Held::Session)) << "another kind";
    EXPECT_FALSE(is_held(memory.data() + 8, Held::Handle)) << "another object";
    EXPECT_FALSE(let_go(object, Held::Session));
    EXPECT_TRUE(let_go(object, Held::Handle));
    EXPECT_FALSE(is_held(object, Held::Handle));
    EXPECT_FALSE(let_go(object, Held::Handle)) << "it is given back once";
  }
  {
    const Holding holding(object, Held::Session);
    EXPECT_TRUE(is_held(object, Held::Session));
    EXPECT_FALSE(is_held(object, Held::EndingSession));
    EXPECT_TRUE(turn(object, Held::Session, Held::EndingSession));
    EXPECT_FALSE(is_held(object, Held::Session));
    EXPECT_TRUE(is_held(object, Held::EndingSession));
    EXPECT_FALSE(turn(object, Held::Session, Held::EndingSession)) << "it is turned once";
    EXPECT_TRUE(let_go(object, Held::EndingSession));
    EXPECT_FALSE(is_held(object, Held::EndingSession));
  }
  {
    const Holding holding(object, Held::Session);
    EXPECT_TRUE(is_held(object, Held::Session));
  }
  EXPECT_FALSE(is_held(object, Held::Session));
}

// Far beyond the first table, whose buckets have 2048 places.
TEST(Held, MoreThanAnyTableHolds) {
  constexpr size_t kMany = 50'000;
  const std::vector<uint64_t> memory(kMany);
  for (int turn = 0; turn < 2; ++turn) {
    std::deque<Holding> all;
    for (const uint64_t& object : memory) all.emplace_back(&object, Held::Handle);
    for (const uint64_t& object : memory) ASSERT_TRUE(is_held(&object, Held::Handle));
    for (size_t i = 0; i < kMany; i += 2) ASSERT_TRUE(let_go(&memory[i], Held::Handle));
    for (size_t i = 0; i < kMany; ++i) ASSERT_EQ(is_held(&memory[i], Held::Handle), i % 2 == 1);
  }
  for (const uint64_t& object : memory) ASSERT_FALSE(is_held(&object, Held::Handle));
}

TEST(Held, FromSeveralThreadsAtOnce) {
  constexpr size_t kEach = 5'000;
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([&wrong] {
      const std::vector<uint64_t> memory(kEach);
      for (int turn = 0; turn < 4; ++turn) {
        std::deque<Holding> all;
        for (const uint64_t& object : memory) all.emplace_back(&object, Held::Session);
        for (const uint64_t& object : memory) wrong += !is_held(&object, Held::Session);
        for (const uint64_t& object : memory) wrong += !let_go(&object, Held::Session);
        for (const uint64_t& object : memory) wrong += is_held(&object, Held::Session);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace farandole::capi
