#pragma once
// A group of members in one process: meshes over real TCP connections on the loopback interface,
// formed as in production.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "collectives/gloo/transport/connect.h"
#include "collectives/gloo/transport/gloo_transport.h"
#include "core/base/config.h"
#include "tests/support/memory_store.h"
#include "tests/support/thread_cluster.h"

namespace farandole::testing {

inline Secret test_secret(uint8_t fill = 7) {
  return Secret(std::vector<uint8_t>(Secret::kMinBytes, fill));
}

inline GroupSpec group_spec(int index, int size, const std::string& tag = "t") {
  GroupSpec spec;
  spec.tag = tag;
  spec.index = index;
  spec.secret = test_secret();
  spec.job = "job";
  for (int i = 0; i < size; ++i)
    spec.members.push_back(
        {.rank = 10 + i, .host = "h" + std::to_string(i), .address = "127.0.0.1"});
  return spec;
}

// Thread: each context from one thread at a time.
class Group {
 public:
  explicit Group(int size, Config config = {}) : threads_(size), contexts_(size) {
    const auto formed = threads_.run([&](int rank) {
      auto mesh = gloo_transport::connect_mesh(group_spec(rank, size), store_, config);
      if (mesh)
        contexts_[rank] = std::make_shared<gloo_transport::GroupContext>(mesh.value());
      return mesh.status();
    });
    for (const Status& status : formed)
      if (!status.is_ok())
        throw std::runtime_error(status.to_string());
  }

  int size() const { return threads_.size(); }
  std::shared_ptr<gloo_transport::GroupContext>& context(int rank) { return contexts_[rank]; }
  gloo_transport::Mesh& mesh(int rank) { return contexts_[rank]->mesh(); }
  std::vector<Status> run(ThreadCluster::Body body) { return threads_.run(std::move(body)); }

 private:
  MemoryStore store_;
  ThreadCluster threads_;
  std::vector<std::shared_ptr<gloo_transport::GroupContext>> contexts_;
};

}  // namespace farandole::testing
