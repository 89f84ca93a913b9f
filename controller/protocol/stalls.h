#pragma once
// Stalls: operations that some ranks wait for and others have not submitted; what the latter say of
// where they are; and how all of it is told.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/config.h"
#include "core/base/status.h"
#include "core/base/types.h"

namespace farandole::control {

struct StallPolicy {
  Duration report{0};  // after how long a wait is reported; 0: never
  Duration abort{0};   // after how long it ends the job; 0: never
  static constexpr Duration kMostPatience = std::chrono::seconds(3);

  static StallPolicy of(const Config& config);
  bool any() const noexcept { return report > Duration(0) || abort > Duration(0); }
  // How long a report waits for what the missing ranks say.
  Duration patience() const noexcept { return std::min(report, kMostPatience); }
  // What a wait may last before somebody has to look at it for the first time.
  Duration first() const noexcept;
};

// All of one instant. Ranks ascending.
struct Stall {
  std::string name;  // empty: a join
  uint32_t process_set = 0;
  CollectiveKind kind = CollectiveKind::Allreduce;
  // Since the first of them submitted it; of a join, which may come long before those of others:
  // and since each missing rank has announced anything, in whatever set.
  Duration age{0};
  std::vector<int> submitted;
  std::vector<int> joined;  // have not, and need not
  std::vector<int> missing;

  bool operator==(const Stall&) const = default;
};

// What is to be told of at one look: the oldest, the oldest first, and how many there are besides.
struct Stalls {
  std::vector<Stall> oldest;
  size_t more = 0;
};

// What a rank that is waited for says of its threads, or why it does not.
struct Testimony {
  int rank = 0;
  std::string text;  // as it came: several lines

  bool operator==(const Testimony&) const = default;
};

struct StallReport {
  // Stalls of one report at most, the oldest; what a log can show.
  static constexpr size_t kMost = 16;

  std::vector<Stall> stalls;
  size_t more = 0;  // that there are besides
  std::vector<Testimony> testimonies;

  bool operator==(const StallReport&) const = default;
};

// `allreduce "x" (process set 2) has waited for 10 s: ranks 0-2 have submitted it, rank 3 has not`.
std::string text_of(const Stall& stall);
// Lines for the log; what came of other ranks is made harmless.
std::vector<std::string> lines_of(const StallReport& report);

// Whom the coordinator has asked for testimonies, and the report that they belong to. A rank is
// asked one question at a time and answers each once, so it cannot say more than it is asked.
class Inquiries {
 public:
  // Ranks asked for one report at most, the lowest: a log shows no more, and they mostly are where
  // the others are.
  static constexpr size_t kMostAsked = 8;

  Inquiries(size_t size, Duration patience) : patience_(patience), owed_(size) {}

  // Puts these into the report that is being made, or begins one. Gives the ranks to be asked, and
  // the number of the question.
  struct Question {
    uint64_t number = 0;
    std::vector<int> ranks;
  };
  Question report(Stalls stalls, TimePoint now);
  // Fails: the rank was not asked this.
  Status answer(int rank, uint64_t number, std::string text);
  // The report, once every rank has answered or its time is up.
  std::optional<StallReport> take(TimePoint now);
  // The report as far as it has come.
  std::optional<StallReport> take();
  std::optional<TimePoint> deadline() const noexcept;

 private:
  friend struct StateAccess;  // of tests: copies and compares states
  struct Open {
    StallReport report;
    std::map<int, std::optional<std::string>> told;  // by rank: nothing yet
    uint64_t number = 0;
    TimePoint due;
  };

  Duration patience_;
  std::vector<uint64_t> owed_;  // by rank: the question that it has not answered; 0: none
  uint64_t asked_ = 0;
  std::optional<Open> open_;
};

}  // namespace farandole::control
