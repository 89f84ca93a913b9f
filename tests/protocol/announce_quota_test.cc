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

// What is refused at once is in flight until all have been told, and no longer.
TEST_F(AnnounceQuotaTest, BlamesWhoAnnouncesTooMuchInAProcessSetThatIsNot) {
  Limits limits;
  limits.max_pending = 2;
  make(3, 16384, limits);
  for (uint64_t seq = 2; seq < 5; ++seq) forge(Announce{{in_set(9, "a"), in_set(9, "b")}, {}}, seq);
  EXPECT_THAT(failures(0), IsEmpty());
  EXPECT_EQ(told().size(), 3U);
  forge(Announce{{in_set(9, "a"), in_set(9, "a"), in_set(9, "a")}, {}}, 5);
  expect_blame("it announced more than 2 tensors at once (FARANDOLE_MAX_PENDING)");
}

TEST_F(AnnounceQuotaTest, BlamesWhoAnnouncesTooMuchAfterSomebodyLeft) {
  Limits limits;
  limits.max_pending = 2;
  make(3, 16384, limits);
  cluster_->act(2, cluster_->worker(2).leave());
  cluster_->settle();
  forge(Announce{{in_set(0, "a"), in_set(0, "b")}, {}});
  forge(Announce{{in_set(0, "a"), in_set(0, "b"), in_set(0, "c")}, {}}, 3);
  ASSERT_FALSE(failures(0).empty());
  EXPECT_EQ(
      failures(0).back().cause,
      "broke the protocol: it announced more than 2 tensors at once (FARANDOLE_MAX_PENDING)");
  EXPECT_EQ(failures(0).back().rank, 1);
}

// Agreed upon by a process set of one, and held back because rank 0 has enough to do.
TEST_F(AnnounceQuotaTest, BlamesWhoHasTooManyAnswersWaiting) {
  Limits limits = small_limits(2);
  limits.max_pending = 2;
  cluster_ = std::make_unique<Cluster>(Cluster::Options{limits, {{1, {1}}}});
  cluster_->form();
  cluster_->coordinator().on_backlog(5);
  forge(Announce{{in_set(1, "a"), in_set(1, "b")}, {}});
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_THAT(failures(0), IsEmpty());
  forge(Announce{{in_set(1, "c")}, {}}, 3);
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
