#pragma once
// ClusterTest: fixture of the tests that try a rule of agreement on a whole cluster.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "tests/protocol/cluster.h"

namespace farandole::control {

class ClusterTest : public testing::Test {
 protected:
  void make(size_t size, size_t cache = 16384, Limits limits = {}) {
    limits.size = size;
    limits.cache_capacity = cache;
    cluster_ = std::make_unique<Cluster>(Cluster::Options{limits, {{1, {0, 2}}}});
    cluster_->form();
  }

  void announce(int rank, const std::string& name, const Signature& signature) {
    cluster_->announce(rank, {tensor(name, signature)});
  }
  void announce_all(const std::string& name, const Signature& signature) {
    for (size_t rank = 0; rank < cluster_->size(); ++rank)
      announce(static_cast<int>(rank), name, signature);
  }
  // An announcement of one tensor by all, carried through; gives the bytes that it cost.
  size_t step(const std::string& name, const Signature& signature) {
    const size_t before = cluster_->bytes_up() + cluster_->bytes_down();
    announce_all(name, signature);
    cluster_->settle();
    return cluster_->bytes_up() + cluster_->bytes_down() - before;
  }

  // Rank `rank` leaves, and has carried out all that was agreed upon.
  void finish(int rank) {
    cluster_->act(rank, cluster_->worker(rank).leave());
    cluster_->settle();
    cluster_->act(rank, cluster_->worker(rank).finished());
    cluster_->settle();
  }

  const std::vector<Agreement>& told(int rank = 0) { return cluster_->seen(rank).agreements; }
  const std::vector<PeerFailure>& failures(int rank) { return cluster_->seen(rank).failures; }

  // What ranks say on the wire.
  template <typename T>
  static std::vector<T> messages(const std::deque<Bytes>& queue) {
    std::vector<T> out;
    for (const Bytes& bytes : queue)
      if (Frame frame = decode(bytes, small_limits(8)).value();
          std::holds_alternative<T>(frame.body))
        out.push_back(std::get<T>(frame.body));
    return out;
  }

  // A frame that rank 1 forges, past its worker. Requires: rank 1 has sent nothing but Join.
  void forge_unanswered(const Message& message, uint64_t seq = 2) {
    const Envelope envelope{.epoch = 1, .job = kJob, .incarnation = 1001, .seq = seq};
    cluster_->act(cluster_->coordinator().on_frame(1, encode(envelope, message), kStart));
  }
  void forge(const Message& message, uint64_t seq = 2) {
    forge_unanswered(message, seq);
    cluster_->settle();
  }
  void expect_blame(const std::string& cause) {
    for (size_t rank = 0; rank < cluster_->size(); ++rank) {
      ASSERT_EQ(failures(static_cast<int>(rank)).size(), 1U);
      const PeerFailure& failure = failures(static_cast<int>(rank))[0];
      EXPECT_EQ(failure.rank, 1);
      EXPECT_EQ(failure.host, "host1");
      EXPECT_EQ(failure.code, Code::PeerLost);
      EXPECT_FALSE(failure.left);
      EXPECT_THAT(failure.cause, testing::HasSubstr(cause));
    }
    ASSERT_EQ(cluster_->closed.size(), 1U);
    EXPECT_EQ(cluster_->closed[0].rank, 1);
  }

  std::unique_ptr<Cluster> cluster_;
};

}  // namespace farandole::control
