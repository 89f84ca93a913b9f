#include "core/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/log.h"

namespace farandole {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EventLogTest : public ::testing::Test {
 protected:
  ~EventLogTest() override { set_log_sink({}); }

  std::vector<std::string> lines_of_a_tensor(LogLevel level) {
    std::vector<std::string> lines;
    const LogMember member(level, "");
    set_log_sink([&](LogLevel, std::string_view line) { lines.emplace_back(line); });
    EventLog log;
    log.on({.kind = EventKind::Submitted, .name = "x"});
    log.on({.kind = EventKind::Announced, .name = "x"});
    log.on({.kind = EventKind::Agreed, .name = "x"});
    log.on({.kind = EventKind::BucketStart, .bytes = 8, .tensors = 2});
    log.on(
        {.kind = EventKind::BucketEnd,
         .bytes = 8,
         .tensors = 2,
         .duration = std::chrono::microseconds(7),
         .code = Code::PeerLost});
    log.on({.kind = EventKind::Settled, .name = "x", .code = Code::PeerLost});
    log.on({.kind = EventKind::Rejected, .name = "line\nbreak", .code = Code::Mismatch});
    log.on({.kind = EventKind::PeerFailed, .name = "killed", .code = Code::PeerLost});
    set_log_sink({});
    return lines;
  }
};

TEST_F(EventLogTest, TraceTellsEveryStep) {
  EXPECT_THAT(
      lines_of_a_tensor(LogLevel::Trace),
      ElementsAre(
          "allreduce \"x\" submitted",
          "\"x\" announced",
          "\"x\" agreed upon",
          "a bucket of 2 tensors, 8 bytes begins",
          "a bucket of 2 tensors, 8 bytes took 7 us: PeerLost",
          "\"x\" settled: PeerLost",
          "\"line\\x0abreak\" rejected: Mismatch",
          "a rank failed or left: PeerLost: killed"));
}

TEST_F(EventLogTest, DebugTellsBucketsAndFailures) {
  EXPECT_EQ(lines_of_a_tensor(LogLevel::Debug).size(), 3U);
}

TEST_F(EventLogTest, InfoTellsNothing) {
  EXPECT_THAT(lines_of_a_tensor(LogLevel::Info), IsEmpty());
}

}  // namespace
}  // namespace farandole
