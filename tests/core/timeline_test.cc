#include "core/timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/timeline_file.h"
#include "core/timeline_names.h"
#include "core/timeline_ring.h"
#include "core/timeline_text.h"
#include "core/timeline_writer.h"

namespace farandole {
namespace {

using std::chrono_literals::operator""s;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(TimelineRing, GivesWhatItTookInOrderAndRefusesWhatHasNoRoom) {
  TimelineRing ring(4);
  TimelineRecord record;
  EXPECT_FALSE(ring.pop(record));
  for (uint64_t turn = 0; turn < 3; ++turn) {
    for (uint64_t i = 0; i < 4; ++i) EXPECT_EQ(ring.push({.value = i}), 4 * turn + i);
    EXPECT_EQ(ring.push({}), TimelineRing::kFull);
    for (uint64_t i = 0; i < 4; ++i) {
      EXPECT_TRUE(ring.has_more());
      ASSERT_TRUE(ring.pop(record));
      EXPECT_EQ(record.value, i);
    }
    EXPECT_FALSE(ring.has_more());
  }
}

// Whoever is interrupted holds up what comes behind, which is there all the same.
TEST(TimelineRing, KnowsWhatItHoldsThatCannotBeHadYet) {
  TimelineRing ring(4);
  TimelineRecord record;
  const uint64_t place = ring.claim();
  EXPECT_EQ(ring.push({.value = 2}), 1U);
  EXPECT_FALSE(ring.pop(record));
  EXPECT_EQ(ring.left(), 2U);
  ring.put(place, {.value = 1});
  EXPECT_TRUE(ring.pop(record));
  EXPECT_EQ(record.value, 1U);
  EXPECT_EQ(ring.left(), 1U);
}

TEST(TimelineRing, SeveralThreadsFillItAndNothingIsLostOrDoubled) {
  constexpr uint64_t kEach = 20000;
  constexpr uint32_t kThreads = 3;
  // Who finds it full gives way, on a busy machine for long: so it is not full all the time.
  TimelineRing ring(1024);
  std::vector<std::thread> threads;
  for (uint32_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&ring, thread] {
      for (uint64_t i = 0; i < kEach; ++i)
        while (ring.push({.value = i, .track = thread}) == TimelineRing::kFull)
          std::this_thread::yield();
    });
  std::vector<uint64_t> next(kThreads);
  TimelineRecord record;
  for (uint64_t seen = 0; seen < kEach * kThreads;) {
    if (!ring.pop(record)) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(record.value, next[record.track]++);
    ++seen;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(ring.pop(record));
}

TEST(TimelineNames, HaveOneNumberInEachSetUntilThereIsNoRoom) {
  TimelineNames names;
  EXPECT_EQ(names.number(0, "a"), 0U);
  EXPECT_EQ(names.number(1, "a"), 1U);
  EXPECT_EQ(names.number(0, "a"), 0U);
  EXPECT_EQ(names.at(1), std::pair(1U, std::string("a")));
  const std::string long_name(TimelineNames::kMostBytes, 'x');
  EXPECT_EQ(names.number(0, long_name), TimelineNames::kNone);
  for (uint32_t i = 2; i < TimelineNames::kMost; ++i)
    ASSERT_EQ(names.number(0, std::to_string(i)), i);
  EXPECT_EQ(names.number(0, "one more"), TimelineNames::kNone);
  EXPECT_EQ(names.number(0, "a"), 0U);
  names.clear();
  EXPECT_EQ(names.number(0, "one more"), 0U);
}

class TimelineTextTest : public ::testing::Test {
 protected:
  // Lines without what is alike in all of them.
  std::vector<std::string> lines() {
    std::vector<std::string> found;
    std::istringstream text(text_.text());
    for (std::string line; std::getline(text, line);) {
      if (line.size() < 3 || line.find("\"M\"") != std::string::npos)
        continue;
      for (const char* common : {",\"pid\":3,\"tid\":1", ",\"pid\":3,\"tid\":0"})
        if (const size_t at = line.find(common); at != std::string::npos)
          line.erase(at, std::string_view(common).size());
      if (line.back() == ',')
        line.pop_back();
      found.push_back(line);
    }
    text_.text().clear();
    return found;
  }
  void add(EventKind kind, int64_t when, uint8_t detail = 0, uint32_t label = 0) {
    text_.add(
        {.when = when,
         .value = 8,
         .track = track_,
         .label = label,
         .kind = kind,
         .collective = static_cast<uint8_t>(CollectiveKind::Allgather),
         .detail = detail});
  }

  TimelineNames names_;
  const uint32_t track_ = names_.number(0, "layer \"1\"\n");
  const uint32_t gloo_ = names_.number(~0U, "gloo");
  TimelineText text_{{.rank = 3, .size = 4, .host = "a"}, true, names_};
};

TEST_F(TimelineTextTest, TheLifeOfATensorIsToldInHorovodsWords) {
  add(EventKind::Submitted, 1000, static_cast<uint8_t>(DType::Int32));
  add(EventKind::Round, 1500);
  add(EventKind::Agreed, 2001);
  add(EventKind::Phase, 3010, static_cast<uint8_t>(Phase::Packing));
  add(EventKind::Phase, 4100, static_cast<uint8_t>(Phase::Moving), gloo_);
  add(EventKind::Phase, 5000, static_cast<uint8_t>(Phase::Unpacking));
  add(EventKind::Settled, 6000);
  EXPECT_THAT(text_.text(), HasSubstr(R"("args":{"name":"layer \"1\"\\x0a"})"));
  EXPECT_THAT(
      lines(),
      ElementsAre(
          R"({"ph":"B","ts":1.000,"name":"NEGOTIATE_ALLGATHER"})",
          R"({"ph":"i","ts":1.500,"s":"p","name":"CYCLE_START","args":{"round":8}})",
          R"({"ph":"E","ts":2.001,"args":{"round":8}})",
          R"({"ph":"B","ts":2.001,"name":"ALLGATHER","args":{"dtype":"int32","bytes":8}})",
          R"({"ph":"B","ts":2.001,"name":"QUEUE"})",
          R"({"ph":"E","ts":3.010})",
          R"({"ph":"B","ts":3.010,"name":"MEMCPY_IN_FUSION_BUFFER"})",
          R"({"ph":"E","ts":4.100})",
          R"({"ph":"B","ts":4.100,"name":"GLOO_ALLGATHER"})",
          R"({"ph":"E","ts":5.000})",
          R"({"ph":"B","ts":5.000,"name":"MEMCPY_OUT_FUSION_BUFFER"})",
          R"({"ph":"E","ts":6.000})",
          R"({"ph":"E","ts":6.000})"));
}

TEST_F(TimelineTextTest, WhoIsReadyIsToldOnTheTrackOfTheTensor) {
  add(EventKind::RankReady, 500);
  add(EventKind::Submitted, 1000);
  EXPECT_THAT(
      lines(),
      ElementsAre(
          R"({"ph":"i","ts":0.500,"s":"t","name":"RANK_READY","args":{"rank":8}})",
          R"({"ph":"B","ts":1.000,"name":"NEGOTIATE_ALLGATHER"})"));
}

TEST_F(TimelineTextTest, WhatFailsSaysSo) {
  add(EventKind::Submitted, 1000);
  add(EventKind::Settled, 2000, static_cast<uint8_t>(Code::Mismatch));
  EXPECT_THAT(
      lines(),
      ElementsAre(
          HasSubstr("NEGOTIATE_ALLGATHER"),
          R"({"ph":"E","ts":2.000,"args":{"outcome":"Mismatch"}})"));
}

// Records that the ring had no room for.
TEST_F(TimelineTextTest, WhateverIsMissingEachBeginHasItsEnd) {
  constexpr EventKind kSteps[] = {
      EventKind::Submitted, EventKind::Agreed, EventKind::Phase, EventKind::Settled};
  for (unsigned left_out = 0; left_out < 256; ++left_out) {
    for (unsigned step = 0; step < 8; ++step)
      if ((left_out >> step & 1) == 0)
        add(kSteps[step % 4], 1000 * (step + 1), static_cast<uint8_t>(Phase::Forming));
    text_.end(9000, 0);
    int depth = 0;
    for (const std::string& line : lines()) {
      depth += line.find("\"B\"") != std::string::npos ? 1 : -1;
      ASSERT_GE(depth, 0) << left_out;
    }
    ASSERT_EQ(depth, 0) << left_out;
  }
}

TEST_F(TimelineTextTest, TheEndSumsUp) {
  text_.lost(7, 1000);
  add(EventKind::Submitted, 2000);
  text_.end(3000, 5);
  EXPECT_THAT(text_.text(), HasSubstr(R"("name":"7 RECORDS LOST")"));
  EXPECT_THAT(
      text_.text(),
      HasSubstr(R"({"ph":"E","ts":3.000,"pid":3,"tid":1,"args":{"outcome":"unfinished"}})"));
  EXPECT_THAT(text_.text(), EndsWith(R"("args":{"events":3,"lost":7,"unnamed":5}})"));
}

class TimelineTest : public ::testing::Test {
 protected:
  TimelineTest() { std::filesystem::create_directories(folder_); }
  ~TimelineTest() override { std::filesystem::remove_all(folder_); }

  std::string read() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::string folder_ =
      std::filesystem::temp_directory_path() / ("timeline_test." + std::to_string(getpid()));
  const std::string path_ = folder_ + "/trace.json";
};

TEST_F(TimelineTest, AFileIsWholeAfterEveryWriteAndReplacesWhatWasThere) {
  std::ofstream(path_) << std::string(1000, 'x');
  Result<TimelineFile> file = TimelineFile::open(path_);
  ASSERT_TRUE(file) << file.status().message();
  const std::string empty = read();
  EXPECT_THAT(empty, StartsWith("[\n{"));
  EXPECT_THAT(empty, EndsWith("}\n]\n"));
  ASSERT_TRUE(file.value().append(",\n{\"a\":1}"));
  ASSERT_TRUE(file.value().append(""));
  ASSERT_TRUE(file.value().append(",\n{\"b\":2}"));
  EXPECT_EQ(read(), empty.substr(0, empty.size() - 3) + ",\n{\"a\":1},\n{\"b\":2}\n]\n");
}

TEST_F(TimelineTest, RecordsWhatWasSubmittedWhileItRan) {
  Timeline timeline;
  EXPECT_FALSE(timeline.recording());
  EXPECT_EQ(timeline.mark(0, "x"), 0U);
  const auto tell = [&](uint64_t mark, EventKind kind) {
    timeline.on({.kind = kind, .when = steady_now(), .mark = mark});
  };
  uint64_t late = 0;
  for (const char* name : {"first", "second"}) {
    ASSERT_TRUE(timeline.start(path_, false, {.host = "h"}));
    EXPECT_TRUE(timeline.recording());
    tell(late, EventKind::Agreed);  // of a recording that is over
    tell(late, EventKind::Settled);
    const uint64_t mark = timeline.mark(0, name);
    ASSERT_NE(mark, 0U);
    tell(mark, EventKind::Submitted);
    tell(mark, EventKind::Agreed);
    EXPECT_EQ(timeline.start(path_, false, {}).code(), Code::InvalidArgument);
    timeline.stop();
    timeline.stop();
    EXPECT_FALSE(timeline.recording());
    EXPECT_THAT(read(), HasSubstr(name));
    EXPECT_THAT(read(), HasSubstr("\"events\":6,"));
    late = mark;
  }
  EXPECT_THAT(read(), Not(HasSubstr("first")));
}

TEST_F(TimelineTest, WhereTheWriterIsSlowerItSaysHowManyRecordsAreLost) {
  constexpr size_t kRounds = 8 * Timeline::kRecords;
  Timeline timeline;
  ASSERT_TRUE(timeline.start(path_, true, {}));
  for (size_t i = 0; i < kRounds; ++i) timeline.on({.kind = EventKind::Round, .number = i});
  timeline.stop();
  const std::string text = read();
  size_t known = std::stoul(text.substr(text.rfind("\"lost\":") + 7));
  for (size_t at = 0; (at = text.find("CYCLE_START", at)) != text.npos; ++at) ++known;
  EXPECT_EQ(known, kRounds);
}

TEST_F(TimelineTest, WhatCannotBeHadAtTheEndIsCountedAsLost) {
  const auto shared = std::make_shared<TimelineShared>(16);
  shared->begin();
  TimelineWriter writer(shared, {.path = path_, .place = {}, .mark_cycles = true, .number = 1});
  ASSERT_TRUE(writer.opened(steady_now() + 20s).value());
  const TimelineRecord round{.recording = 1, .kind = EventKind::Round};
  shared->ring.push(round);
  shared->ring.claim();  // and is interrupted
  shared->ring.push(round);
  ASSERT_TRUE(writer.finish(20s));
  EXPECT_THAT(read(), HasSubstr("\"events\":2,\"lost\":2,"));
}

TEST_F(TimelineTest, EndingAWriterAgainLeavesTheNextAlone) {
  const auto shared = std::make_shared<TimelineShared>(16);
  shared->begin();
  TimelineWriter writer(shared, {.path = path_, .place = {}, .number = 1});
  ASSERT_TRUE(writer.finish(20s));
  shared->begin();  // for the next
  EXPECT_TRUE(writer.finish(20s));
  MutexLock lock(shared->mutex);
  EXPECT_FALSE(shared->stopping);
}

TEST_F(TimelineTest, WhatHasNoRoomForItsNameIsCountedWhereItIsSubmitted) {
  Timeline timeline;
  ASSERT_TRUE(timeline.start(path_, false, {}));
  for (uint32_t i = 0; i < TimelineNames::kMost; ++i) timeline.mark(0, std::to_string(i));
  EXPECT_EQ(timeline.mark(0, "x"), 0U);
  EXPECT_EQ(timeline.mark_heard(0, "x"), 0U);
  timeline.stop();
  EXPECT_THAT(read(), HasSubstr("\"unnamed\":1}"));
}

// A file system that hangs until it is let go.
struct HungFiles {
  std::promise<void> reached, go;
  TimelineFiles files(Duration patience) {
    const auto open = [this, held = go.get_future().share()](const std::string& path) {
      if (!std::exchange(once, true)) {
        reached.set_value();
        held.wait();
      }
      return TimelineFile::open(path);
    };
    return {open, patience};
  }
  bool once = false;  // of the threads that open, which follow one another
};

TEST_F(TimelineTest, AFileThatDoesNotOpenIsAnErrorInTimeAndOthersWaitForItAtMostOnce) {
  HungFiles hung;
  Timeline timeline(hung.files(std::chrono::milliseconds(200)));
  const Status late = timeline.start(path_, false, {});
  EXPECT_EQ(late.code(), Code::System);
  EXPECT_THAT(late.message(), HasSubstr("did not open it within 0.2 s"));
  EXPECT_FALSE(timeline.recording());
  timeline.stop();
  const Status next = timeline.start(folder_ + "/other", false, {});
  EXPECT_EQ(next.code(), Code::System);
  EXPECT_THAT(next.message(), HasSubstr("an earlier one still waits for its file, " + path_));
  hung.go.set_value();
  const TimePoint deadline = steady_now() + 20s;
  while (!timeline.start(path_, false, {}) && steady_now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(timeline.recording());
}

TEST_F(TimelineTest, StoppingEndsAStartThatStillWaits) {
  HungFiles hung;
  Timeline timeline(hung.files(600s));
  Status status;
  std::thread starter([&] { status = timeline.start(path_, false, {}); });
  hung.reached.get_future().wait();
  std::thread stopper([&] { timeline.stop(); });
  starter.join();
  EXPECT_EQ(status.code(), Code::Aborted);
  hung.go.set_value();
  stopper.join();
  EXPECT_FALSE(timeline.recording());
}

// A program in C gets the signal, and is not ended by it.
TEST_F(TimelineTest, AFileThatMayNotGrowIsAWarning) {
  const auto program = [this] {
    std::signal(SIGXFSZ, SIG_DFL);
    Timeline timeline;
    if (!timeline.start(path_, false, {}))
      std::_Exit(1);
    const rlimit limit{1000, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 1000; ++i)
      timeline.on(
          {.kind = EventKind::Submitted, .when = steady_now(), .mark = timeline.mark(0, "x")});
    timeline.stop();
    std::_Exit(0);
  };
  EXPECT_EXIT(program(), ::testing::ExitedWithCode(0), "write: File too large");
  EXPECT_THAT(read(), EndsWith("\n]\n"));
}

TEST_F(TimelineTest, WhatIsNoFileIsRefusedByName) {
  Timeline timeline;
  const Status folder = timeline.start(folder_, false, {});
  EXPECT_EQ(folder.code(), Code::System);
  EXPECT_THAT(folder.message(), StartsWith("timeline " + folder_ + ": open: "));
  EXPECT_EQ(timeline.start("/dev/null", false, {}).code(), Code::InvalidArgument);
  EXPECT_FALSE(timeline.recording());
  EXPECT_TRUE(timeline.start(path_, false, {}));
}

}  // namespace
}  // namespace farandole
