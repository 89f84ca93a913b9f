// Which communicator serves which group.
#include "collectives/registry.h"

#include <gtest/gtest.h>

#include <mutex>

#include "core/base/log.h"
#include "tests/gloo/group.h"

namespace farandole::testing {
namespace {

// What all members of a group on these hosts get: the communicator's name, or an error.
std::vector<std::string> choose(const std::vector<std::string>& hosts, const Config& config) {
  MemoryStore store;
  const int size = static_cast<int>(hosts.size());
  std::vector<std::string> names(hosts.size());
  ThreadCluster threads(size);
  threads.run([&](int rank) {
    GroupSpec spec = group_spec(rank, size);
    for (size_t i = 0; i < hosts.size(); ++i) spec.members[i].host = hosts[i];
    auto made = make_communicator(spec, store, config);
    std::string& name = names[static_cast<size_t>(rank)];
    if (!made) {
      name = made.status().to_string();
      return Status::ok();
    }
    const Status met = made.value()->run(CollectiveOp{.kind = CollectiveKind::Barrier}, 0);
    name = met.is_ok() ? made.value()->traits().name : met.to_string();
    return Status::ok();
  });
  return names;
}

std::vector<std::string> all(size_t count, const std::string& name) {
  return std::vector<std::string>(count, name);
}

Config forced(CommunicatorChoice choice) {
  Config config;
  config.communicator = choice;
  return config;
}

TEST(Registry, ChoosesByHosts) {
  const Config any;
  EXPECT_EQ(choose({"a"}, any), all(1, "single"));
  EXPECT_EQ(choose({"a", "a", "a"}, any), all(3, "shm"));
  EXPECT_EQ(choose({"a", "b", "c"}, any), all(3, "gloo"));
  EXPECT_EQ(choose({"a", "a", "b", "b"}, any), all(4, "hierarchical"));
  EXPECT_EQ(choose({"a", "b", "a"}, any), all(3, "hierarchical"));
}

TEST(Registry, TakesWhatIsForced) {
  EXPECT_EQ(choose({"a", "a"}, forced(CommunicatorChoice::Gloo)), all(2, "gloo"));
  EXPECT_EQ(choose({"a", "a"}, forced(CommunicatorChoice::Shm)), all(2, "shm"));
  EXPECT_EQ(choose({"a", "b"}, forced(CommunicatorChoice::Hierarchical)), all(2, "hierarchical"));
  EXPECT_EQ(choose({"a"}, forced(CommunicatorChoice::Gloo)), all(1, "single"));
}

TEST(Registry, FlatIsAutoWithoutHierarchies) {
  const Config flat = forced(CommunicatorChoice::Flat);
  EXPECT_EQ(choose({"a"}, flat), all(1, "single"));
  EXPECT_EQ(choose({"a", "a"}, flat), all(2, "shm"));
  EXPECT_EQ(choose({"a", "b"}, flat), all(2, "gloo"));
  EXPECT_EQ(choose({"a", "a", "b", "b"}, flat), all(4, "gloo"));
}

TEST(Registry, RefusesSharedMemoryAcrossHosts) {
  EXPECT_EQ(
      choose({"a", "b"}, forced(CommunicatorChoice::Shm)),
      all(2,
          "InvalidArgument: communicator shm was asked for, but rank 10 is on host a and rank 11 "
          "on host b: auto, hierarchical or gloo would do"));
}

// More shared memory than any machine has: Gloo serves, and one member says why.
TEST(Registry, FallsBackToGlooWithOneWarning) {
  Config config;
  config.shm_slot_bytes = int64_t{1} << 40;
  config.shm_slots = 64;
  std::mutex mutex;
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel, std::string_view line) {
    const std::lock_guard lock(mutex);
    lines.emplace_back(line);
  });
  const auto chosen = choose({"a", "a"}, config);
  set_log_sink({});
  EXPECT_EQ(chosen, all(2, "gloo"));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("group t of 2 ranks on host a: no shared memory"), std::string::npos)
      << lines[0];
}

}  // namespace
}  // namespace farandole::testing
