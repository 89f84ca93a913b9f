#include "controller/protocol/store_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole::control {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Limits limits() {
  Limits limits;
  limits.size = 3;
  limits.store_bytes = 10;
  return limits;
}

class StoreTableTest : public testing::Test {
 protected:
  StoreAnswers set(int rank, uint64_t request, const std::string& key, Bytes value) {
    return table_.set(rank, {request, key, std::move(value)}).value();
  }
  StoreAnswers get(int rank, uint64_t request, const std::string& key) {
    return table_.get(rank, {request, key}).value();
  }

  StoreTable table_{limits()};
};

TEST_F(StoreTableTest, AnswersAtOnceWhatIsSet) {
  EXPECT_THAT(set(0, 1, "k", {1}), ElementsAre(StoreAnswer{0, 1, Status::ok(), {}}));
  EXPECT_THAT(get(2, 5, "k"), ElementsAre(StoreAnswer{2, 5, Status::ok(), {1}}));
}

TEST_F(StoreTableTest, AnswersWhoWaits) {
  EXPECT_THAT(get(1, 1, "k"), IsEmpty());
  EXPECT_THAT(get(2, 1, "k"), IsEmpty());
  EXPECT_THAT(get(2, 2, "other"), IsEmpty());
  EXPECT_THAT(
      set(0, 9, "k", {7}),
      ElementsAre(
          StoreAnswer{0, 9, Status::ok(), {}},
          StoreAnswer{1, 1, Status::ok(), {7}},
          StoreAnswer{2, 1, Status::ok(), {7}}));
}

TEST_F(StoreTableTest, AKeyIsSetOnce) {
  set(0, 1, "k", {1});
  const StoreAnswers again = set(1, 2, "k", {2});
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].status, Status(Code::InvalidArgument, "store key \"k\" is set already"));
  EXPECT_EQ(get(1, 3, "k")[0].value, Bytes{1});
}

TEST_F(StoreTableTest, WhoGaveUpOrLeftIsNotAnswered) {
  get(1, 1, "k");
  get(2, 1, "k");
  get(2, 2, "j");
  table_.cancel(1, 1);
  table_.cancel(1, 77);  // never asked
  table_.forget(2);
  EXPECT_EQ(set(0, 1, "k", {}).size(), 1U);
  EXPECT_EQ(set(0, 2, "j", {}).size(), 1U);
}

TEST_F(StoreTableTest, EachRankHasItsShareOfBytes) {
  set(0, 1, "k", Bytes(9));  // 10 with its key
  EXPECT_EQ(
      table_.set(0, {2, "j", {}}).status().message(),
      "put more than 10 bytes into the store (FARANDOLE_STORE_BYTES)");
  EXPECT_EQ(set(1, 1, "i", Bytes(9)).size(), 1U);
}

TEST_F(StoreTableTest, KeysAreBounded) {
  Limits roomy = limits();
  roomy.store_bytes = 64 << 20;
  StoreTable table(roomy);
  for (size_t i = 0; i < kMaxStoreKeys; ++i) ASSERT_TRUE(table.set(0, {i, std::to_string(i), {}}));
  EXPECT_EQ(
      table.set(0, {0, "one more", {}}).status().message(),
      "put more than 65536 keys into the store");
}

TEST_F(StoreTableTest, WaitsAreBounded) {
  for (uint64_t i = 0; i < kMaxStoreWaits; ++i)
    ASSERT_TRUE(table_.get(0, {i, "k" + std::to_string(i)}));
  EXPECT_EQ(table_.get(0, {9999, "k"}).status().message(), "waits for more than 4096 store keys");
  // A wait that ended makes room, one by one or by an answer.
  table_.cancel(0, 5);
  EXPECT_TRUE(table_.get(0, {9999, "k"}));
  EXPECT_FALSE(table_.get(0, {10000, "j"}));
  EXPECT_EQ(set(1, 1, "k", {}).size(), 2U);
  EXPECT_TRUE(table_.get(0, {10000, "j"}));
}

// Each wait is answered with a copy: 4096 of them would turn a value of megabytes into gigabytes.
TEST_F(StoreTableTest, ARankWaitsForAKeyOnce) {
  get(0, 1, "k");
  get(1, 1, "k");
  EXPECT_EQ(table_.get(0, {2, "k"}).status().message(), "waits twice for the store key \"k\"");
  table_.cancel(0, 1);
  EXPECT_TRUE(table_.get(0, {3, "k"}));
  EXPECT_EQ(set(2, 1, "k", {}).size(), 3U);
}

TEST_F(StoreTableTest, ARequestIsUsedOnce) {
  get(0, 1, "k");
  EXPECT_EQ(table_.get(0, {1, "j"}).status().message(), "used store request 1 twice");
}

}  // namespace
}  // namespace farandole::control
