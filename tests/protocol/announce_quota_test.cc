// Who announces more at once than a rank may is blamed, whatever becomes of what it announces.

#include "tests/protocol/cluster_test.h"

namespace farandole::control {
namespace {

using testing::IsEmpty;

class AnnounceQuotaTest : public ClusterTest {};

Announcement in_set(uint32_t process_set, const char* name) {
  Announcement item = tensor(name, allreduce({1}));
  item.signature.process_set = process_set;
  return item;
}

TEST_F(AnnounceQuotaTest, BlamesWhoAnnouncesTooMuch) {
  Limits limits;
  limits.max_pending = 2;
  make(3, 16384, limits);
  const auto item = [](const char* name) { return tensor(name, allreduce({1})); };
  forge(Announce{{item("a"), item("b")}, {}});
  EXPECT_THAT(failures(0), IsEmpty());
  forge(Announce{{item("c")}, {}}, 3);
  expect_blame("it announced more than 2 tensors at once (FARANDOLE_MAX_PENDING)");
}

// What is refused at once is told before much of it has come together.
TEST_F(AnnounceQuotaTest, RefusalsDoNotPileUp) {
  Limits limits;
  limits.max_pending = 2;
  make(3, 16384, limits);
  Announce many;
  for (size_t i = 0; i < 3 * Readiness::kMostRefusals; ++i) many.full.push_back(in_set(9, "a"));
  forge(many);
  ASSERT_EQ(told().size(), 3U);
  for (const Agreement& round : told()) EXPECT_EQ(round.rejected.size(), Readiness::kMostRefusals);
  EXPECT_FALSE(cluster_->coordinator().failed());
}

// Rank 1 is told of others' refusals while its own announcements are on their way, and comes with
// further ones: it has never had more than two in flight.
TEST_F(AnnounceQuotaTest, WhoHearsOfARefusalBeforeItsAnnouncementCameIsNotBlamed) {
  Limits limits;
  limits.max_pending = 2;
  make(3, 16384, limits);
  cluster_->act(2, cluster_->worker(2).leave());
  cluster_->settle();
  forge(Announce{{in_set(0, "a"), in_set(0, "b"), in_set(0, "c"), in_set(0, "d")}, {}});
  EXPECT_FALSE(cluster_->coordinator().failed());
}

// Agreed upon by a process set of one; the answers are told when the message has been read.
TEST_F(AnnounceQuotaTest, BlamesWhoHasTooManyAnswersWaiting) {
  Limits limits = small_limits(2);
  limits.max_pending = 2;
  cluster_ = std::make_unique<Cluster>(Cluster::Options{limits, {{1, {1}}}});
  cluster_->form();
  forge(Announce{{in_set(1, "a"), in_set(1, "b")}, {}});
  EXPECT_THAT(failures(0), IsEmpty());
  forge(Announce{{in_set(1, "c"), in_set(1, "d"), in_set(1, "e")}, {}}, 3);
  expect_blame("it announced more than 2 tensors at once (FARANDOLE_MAX_PENDING)");
}

TEST_F(AnnounceQuotaTest, SettledTensorsCountNoMore) {
  Limits limits;
  limits.max_pending = 1;
  make(2, 1, limits);
  for (int i = 0; i < 5; ++i)
    for (const char* name : {"a", "b"}) step(name, allreduce({1 + i / 2}));
  EXPECT_EQ(told().size(), 10U);
  EXPECT_FALSE(cluster_->coordinator().failed());
}

}  // namespace
}  // namespace farandole::control
