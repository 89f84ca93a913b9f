#pragma once
// HostileRank: jobs of three ranks, of which the test plays rank 2.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "tests/hostile/rank_client.h"

namespace farandole::hostile {

// By how much one rank may make the memory of another one grow.
inline constexpr size_t kMostGrowth = (kSanitized ? 1024 : 64) * (size_t{1} << 20);

inline void send_raw(RankClient& rank, const Bytes& bytes) {
  rank.wire().send(bytes);
}

class HostileRank : public testing::Test {
 protected:
  static RealJob::Setup setup(std::map<std::string, std::string> settings) {
    settings.emplace("FARANDOLE_HEARTBEAT_TIMEOUT", "60");
    return {.ranks = 3, .arguments = {"played=2"}, .environment = std::move(settings)};
  }
  static void expect_blame(RealJob& job, const std::string& why) {
    for (const int rank : {0, 1}) {
      ASSERT_TRUE(job.wait_for(rank, "error: ")) << job.out() << job.launcher().err();
      const std::string line = job.line(rank, "error: ");
      EXPECT_THAT(
          line, testing::HasSubstr("error: PeerLost culprit 2: allreduce \"t\": rank 2 (host "));
      EXPECT_THAT(line, testing::HasSubstr(") was lost: "));
      EXPECT_THAT(line, testing::HasSubstr(why));
    }
  }
};

}  // namespace farandole::hostile
