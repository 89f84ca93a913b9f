#pragma once
// Group: connected communicators, one per thread of a cluster, as a job would make them.

#include <memory>
#include <vector>

#include "tests/contract/contract_suite.h"
#include "tests/support/memory_store.h"
#include "tests/support/thread_cluster.h"

namespace farandole::testing {

// The global rank of a member differs from its place, so that messages must name the right one.
inline int rank_of_member(int index) {
  return 100 + 7 * index;
}

std::vector<Member> make_members(const Backend& backend, int size);

// Thread: one; run() spreads to the ranks' threads.
class Group {
 public:
  Group(const Backend& backend, int size, const Config& config);

  // What went wrong while connecting, on any rank.
  Status connected() const;
  int size() const noexcept { return cluster_.size(); }
  Communicator& at(int index) { return *communicators_[static_cast<size_t>(index)]; }
  // Runs `body` on all ranks, or says on which rank it failed first.
  Status run(const ThreadCluster::Body& body);
  std::vector<Status> run_each(const ThreadCluster::Body& body) { return cluster_.run(body); }

 private:
  MemoryStore store_;
  std::vector<Status> outcome_;
  std::vector<std::unique_ptr<Communicator>> communicators_;
  ThreadCluster cluster_;
};

}  // namespace farandole::testing
