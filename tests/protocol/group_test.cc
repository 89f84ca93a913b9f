// Ranks that mean unlike groups by one name.

#include <algorithm>
#include <random>
#include <set>

#include "core/member_name.h"
#include "tests/protocol/cluster_test.h"

namespace farandole::control {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

// What one rank means by a name: 0: one tensor; else a group of so many.
using Sizes = std::vector<uint32_t>;

std::vector<Announcement> use(uint32_t count, Signature signature = allreduce({1})) {
  std::vector<Announcement> items;
  if (count == 0)
    items.push_back(tensor("g", signature));
  for (uint32_t i = 1; i <= count; ++i)
    items.push_back(tensor(name_of_member("g", i, count), signature));
  return items;
}

class GroupTest : public ClusterTest {
 protected:
  void use_all(const Sizes& sizes) {
    for (size_t rank = 0; rank < sizes.size(); ++rank)
      cluster_->announce(static_cast<int>(rank), use(sizes[rank]));
    cluster_->settle();
  }
  // Everything that was rejected, in order, and how; of ready tensors there must be none.
  std::vector<Rejection> rejected(int rank) {
    std::vector<Rejection> all;
    for (const Agreement& agreement : told(rank)) {
      EXPECT_THAT(agreement.ready, IsEmpty());
      all.insert(all.end(), agreement.rejected.begin(), agreement.rejected.end());
    }
    return all;
  }
  // Every tensor of every rank has got the same answer, once, and nothing is left.
  void expect_all_rejected(const Sizes& sizes, const std::string& who) {
    std::set<std::string> names;
    for (const uint32_t count : sizes)
      for (const Announcement& item : use(count)) names.insert(item.name);
    for (size_t rank = 0; rank < sizes.size(); ++rank) {
      std::vector<std::string> got;
      for (const Rejection& rejection : rejected(static_cast<int>(rank))) {
        got.push_back(rejection.name);
        EXPECT_EQ(rejection.why.code(), Code::Mismatch);
        EXPECT_EQ(
            rejection.why.message(),
            "group \"g\": ranks disagree on what it is: " + who +
                "; give a group of one size, or one tensor, on every rank (a sparse tensor is a "
                "group of 3)");
      }
      EXPECT_THAT(got, UnorderedElementsAreArray(names));
      EXPECT_THAT(failures(static_cast<int>(rank)), IsEmpty());
    }
    EXPECT_EQ(cluster_->coordinator().pending(), 0U);
  }
  void expect_next_works(uint32_t count) {
    const size_t before = told().size();
    use_all(Sizes(cluster_->size(), count));
    ASSERT_GT(told().size(), before);
    EXPECT_EQ(told().back().ready.size(), std::max(count, 1U));
    EXPECT_EQ(cluster_->coordinator().pending(), 0U);
    EXPECT_THAT(failures(0), IsEmpty());
  }
};

TEST_F(GroupTest, OfUnlikeSizesAreRejectedWhole) {
  make(2);
  use_all({2, 3});
  expect_all_rejected({2, 3}, "rank 0 has a group of 2, rank 1 has a group of 3");
  expect_next_works(3);
  expect_next_works(2);
}

TEST_F(GroupTest, BesideOneTensorIsRejectedWhole) {
  make(3);
  use_all({3, 0, 3});
  expect_all_rejected({3, 0, 3}, "ranks 0 and 2 have a group of 3, rank 1 has one tensor");
  expect_next_works(0);
  expect_next_works(3);
}

TEST_F(GroupTest, OfOneIsAnotherThanATensor) {
  make(2);
  use_all({1, 0});
  expect_all_rejected({1, 0}, "rank 0 has a group of 1, rank 1 has one tensor");
}

TEST_F(GroupTest, WhatIsCachedIsRejectedAndForgottenLikewise) {
  make(2);
  use_all({3, 3});
  use_all({3, 3});
  use_all({2, 2});
  for (int rank : {0, 1}) cluster_->seen(rank).agreements.clear();
  use_all({3, 2});
  expect_all_rejected({3, 2}, "rank 0 has a group of 3, rank 1 has a group of 2");
  expect_next_works(3);
  expect_next_works(2);
}

TEST_F(GroupTest, NothingIsAnsweredBeforeAllHaveComeWhole) {
  make(3);
  cluster_->announce(0, use(2));
  std::vector<Announcement> parts = use(3);
  const Announcement last = parts.back();
  parts.pop_back();
  cluster_->announce(1, std::move(parts));
  cluster_->settle();
  cluster_->announce(2, use(2));
  cluster_->settle();
  EXPECT_THAT(told(), IsEmpty());
  cluster_->announce(1, {last});
  cluster_->settle();
  expect_all_rejected({2, 3, 2}, "ranks 0 and 2 have a group of 2, rank 1 has a group of 3");
}

TEST_F(GroupTest, AMemberThatComesLaterIsWaitedFor) {
  make(3);
  cluster_->announce(0, use(2));
  cluster_->announce(1, use(3));
  cluster_->settle();
  EXPECT_THAT(told(), IsEmpty());
  cluster_->announce(2, use(0));
  cluster_->settle();
  expect_all_rejected(
      {2, 3, 0}, "rank 0 has a group of 2, rank 1 has a group of 3, rank 2 has one tensor");
}

TEST_F(GroupTest, WhoHasJoinedIsNotWaitedFor) {
  make(3);
  cluster_->announce(0, use(2));
  cluster_->announce(1, use(0));
  cluster_->settle();
  EXPECT_THAT(told(), IsEmpty());
  cluster_->announce(2, {{"", {.kind = CollectiveKind::Join}}});
  cluster_->settle();
  EXPECT_EQ(rejected(0).size(), 3U);
  EXPECT_EQ(cluster_->coordinator().pending(), 1U);  // the join
}

TEST_F(GroupTest, OfAProcessSetConcernItsMembersAlone) {
  make(3);
  Signature s = allreduce({1});
  s.process_set = 1;  // ranks 0 and 2
  cluster_->announce(0, use(2, s));
  cluster_->announce(1, use(4));
  cluster_->announce(2, use(0, s));
  cluster_->settle();
  EXPECT_EQ(rejected(0).size(), 3U);
  EXPECT_EQ(cluster_->coordinator().pending(), 4U);
}

TEST_F(GroupTest, OfMessagesConcernsTheirEndsAlone) {
  make(3);
  const auto announce_some = [&](int rank, uint32_t count, Signature s) {
    s.kind = CollectiveKind::Message;
    s.root = 2;
    s.operand = {0};
    for (uint32_t i = 1; i <= count; ++i) announce(rank, name_of_member("g 2->0", i, count), s);
    if (count == 0)
      announce(rank, "g 2->0", s);
  };
  cluster_->announce(1, use(2));
  announce_some(2, 3, allreduce({4}));
  cluster_->settle();
  EXPECT_THAT(told(), IsEmpty());
  announce_some(0, 2, {});
  cluster_->settle();
  ASSERT_EQ(rejected(1).size(), 5U);
  EXPECT_THAT(
      rejected(1)[0].why.message(),
      testing::HasSubstr(
          "group \"g 2->0\": ranks disagree on what it is: rank 0 has a group of 2, rank 2 has a "
          "group of 3; "));
  announce_some(2, 0, allreduce({4}));
  announce_some(0, 2, {});
  cluster_->settle();
  EXPECT_EQ(rejected(1).size(), 8U);
  EXPECT_EQ(cluster_->coordinator().pending(), 2U);
}

TEST_F(GroupTest, WhoLeavesEndsThemInstead) {
  make(2);
  cluster_->announce(0, use(2));
  cluster_->announce(1, {use(3).front()});
  cluster_->settle();
  cluster_->act(1, cluster_->worker(1).leave());
  cluster_->settle();
  ASSERT_EQ(rejected(0).size(), 3U);
  for (const Rejection& rejection : rejected(0)) EXPECT_EQ(rejection.why.code(), Code::PeerLost);
}

TEST_F(GroupTest, OfManySizesAreNotAllListed) {
  make(6);
  use_all({1, 2, 3, 4, 5, 6});
  ASSERT_EQ(rejected(5).size(), 21U);
  EXPECT_THAT(
      rejected(5)[0].why.message(), testing::HasSubstr("rank 3 has a group of 4, and 2 more; "));
}

// The tensors of a rank's last use, in one round with or behind all others: before, the rank could
// use the name again and be given an answer that belongs to another's.
TEST_F(GroupTest, TheFirstOnesAreAnsweredTogetherAndLast) {
  Limits limits;
  limits.max_frame_bytes = 65536;
  make(3, 16384, limits);
  use_all({0, 90, 200});
  const std::set<std::string> firsts{"g", "g [1/90]", "g [1/200]"};
  ASSERT_GT(told().size(), 1U);
  std::vector<std::string> order;
  for (const Rejection& rejection : rejected(0)) order.push_back(rejection.name);
  ASSERT_EQ(order.size(), 291U);
  EXPECT_EQ(std::set<std::string>(order.end() - 3, order.end()), firsts);
  EXPECT_GE(told().back().rejected.size(), 3U);
}

// Steps of unlike uses, whose messages come in any order of the ranks; some are cached, of some the
// id was forgotten. A rank uses the name again as soon as its own tensors are answered.
TEST_F(GroupTest, InAnyOrderEachRankIsAnsweredOnceAndGoesOn) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    const size_t ranks = 2 + below(2);
    make(ranks, below(4));
    constexpr size_t kSteps = 6;
    std::vector<Sizes> plan(kSteps, Sizes(ranks));
    for (Sizes& sizes : plan) {
      std::ranges::fill(sizes, below(4));
      if (below(2) == 0)
        sizes[below(static_cast<uint32_t>(ranks))] = below(4);
    }
    std::vector<size_t> steps(ranks);
    std::vector<size_t> read(ranks);
    std::vector<std::set<std::string>> open(ranks);
    const auto go_on = [&](size_t rank) {
      if (!open[rank].empty() || steps[rank] == kSteps)
        return;
      std::vector<Announcement> items = use(plan[steps[rank]++][rank]);
      for (const Announcement& item : items) open[rank].insert(item.name);
      std::ranges::shuffle(items, random);
      const auto half = items.begin() + static_cast<ptrdiff_t>(items.size() / 2);
      cluster_->announce(static_cast<int>(rank), {items.begin(), half});
      cluster_->announce(static_cast<int>(rank), {half, items.end()});
    };
    const auto hear = [&](size_t rank) {
      const std::vector<Agreement>& all = told(static_cast<int>(rank));
      for (; read[rank] < all.size(); ++read[rank]) {
        const Sizes& sizes = plan[steps[rank] - 1];
        const bool alike = std::ranges::count(sizes, sizes[0]) == std::ssize(sizes);
        for (const ReadyOp& op : all[read[rank]].ready)
          ASSERT_TRUE(alike && open[rank].erase(op.name) == 1) << op.name << ", seed " << seed;
        for (const Rejection& one : all[read[rank]].rejected) {
          open[rank].erase(one.name);
          ASSERT_EQ(one.why.code(), Code::Mismatch) << one.why.message() << ", seed " << seed;
        }
      }
      go_on(rank);
    };
    for (size_t rank = 0; rank < ranks; ++rank) go_on(rank);
    for (bool moved = true; moved;) {
      moved = false;
      std::vector<size_t> order(2 * ranks);
      for (size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::ranges::shuffle(order, random);
      for (const size_t way : order) {
        const int rank = static_cast<int>(way / 2);
        if (way % 2 == 0 ? !cluster_->up_waiting(rank) : !cluster_->down_waiting(rank))
          continue;
        moved = true;
        way % 2 == 0 ? cluster_->step_up(rank) : cluster_->step_down(rank);
        hear(way / 2);
      }
      if (below(2) == 0 || !moved) {
        cluster_->flush();
        for (size_t rank = 0; rank < ranks; ++rank)
          moved = moved || cluster_->down_waiting(static_cast<int>(rank));
      }
    }
    for (size_t rank = 0; rank < ranks; ++rank) {
      EXPECT_EQ(steps[rank], kSteps) << "seed " << seed;
      EXPECT_THAT(open[rank], IsEmpty()) << "seed " << seed;
      EXPECT_THAT(failures(static_cast<int>(rank)), IsEmpty()) << "seed " << seed;
    }
    EXPECT_EQ(cluster_->coordinator().pending(), 0U) << "seed " << seed;
  }
}

}  // namespace
}  // namespace farandole::control
