#include "tests/fuzz/stall_reports.h"

#include <algorithm>
#include <set>

#include "core/base/format.h"
#include "tests/fuzz/names.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

using namespace control;

// More than are asked for one report.
constexpr size_t kMembers = Inquiries::kMostAsked + 2;
constexpr Duration kPatience = std::chrono::seconds(1);
constexpr size_t kMostLineBytes = 2048;

// Ascending.
std::vector<int> some_ranks(Input& in) {
  std::set<int> ranks;
  for (size_t n = in.below(4); n > 0; --n) ranks.insert(static_cast<int>(in.below(kMembers)));
  return {ranks.begin(), ranks.end()};
}

Stall any_stall(Input& in) {
  return {
      .name = tensor_name(in),
      .process_set = static_cast<uint32_t>(in.below(3)),
      .kind = static_cast<CollectiveKind>(in.below(kKindCount)),
      .age = std::chrono::milliseconds(in.number<uint16_t>()),
      .submitted = some_ranks(in),
      .joined = some_ranks(in),
      .missing = some_ranks(in)};
}

Stalls any_stalls(Input& in) {
  Stalls stalls;
  for (size_t n = in.below(StallReport::kMost + 1); n > 0; --n)
    stalls.oldest.push_back(any_stall(in));
  stalls.more = in.below(4);
  return stalls;
}

class Play {
 public:
  explicit Play(Input& in) : in_(in) {}

  void run() {
    while (!in_.empty()) {
      switch (in_.below(4)) {
        case 0:
          report();
          break;
        case 1:
          answer();
          break;
        case 2:
          now_ += std::chrono::milliseconds(400) * in_.below(4);
          break;
        default:
          look();
      }
    }
    check(inquiries_.take());
    require(!inquiries_.take() && !inquiries_.deadline(), "a report is told once");
  }

 private:
  void report() {
    const Inquiries::Question question = inquiries_.report(any_stalls(in_), now_);
    require(question.ranks.size() <= Inquiries::kMostAsked, "few are asked");
    for (const int rank : question.ranks)
      require(owed_.emplace(rank, question.number).second, "one question at a time");
    require(
        question.ranks.empty() || inquiries_.deadline() == now_ + kPatience,
        "who is asked has time to answer");
  }

  // What it was asked, mostly.
  void answer() {
    const auto rank = static_cast<int>(in_.below(kMembers));
    const auto owed = owed_.find(rank);
    const bool due = owed != owed_.end() && in_.byte() < 224;
    const uint64_t number = due ? owed->second : in_.below(8);
    const bool asked = owed != owed_.end() && owed->second == number;
    const bool taken = inquiries_.answer(rank, number, in_.text(200)).is_ok();
    require(taken == asked, "who is asked may answer, once, and nobody else");
    if (taken)
      owed_.erase(owed);
  }

  void look() {
    const bool late = inquiries_.deadline() && now_ >= *inquiries_.deadline();
    std::optional<StallReport> report = inquiries_.take(now_);
    require(report || !late, "a report does not wait for ever");
    check(report);
  }

  static void check(const std::optional<StallReport>& report) {
    if (!report)
      return;
    require(report->stalls.size() <= StallReport::kMost, "a report is bounded");
    require(report->testimonies.size() <= Inquiries::kMostAsked, "few are heard");
    check_lines(*report);
  }

  Input& in_;
  Inquiries inquiries_{kMembers, kPatience};
  TimePoint now_{std::chrono::seconds(1000)};
  std::map<int, uint64_t> owed_;  // by rank: the question that it has not answered
};

}  // namespace

void check_lines(const StallReport& report) {
  const std::vector<std::string> lines = lines_of(report);
  require(lines.size() >= report.stalls.size() + report.testimonies.size(), "all is told");
  for (const std::string& line : lines) {
    require(line.size() <= kMostLineBytes, "a line is bounded");
    require(printable(line, kMostLineBytes) == line, "a line does nothing to a terminal");
  }
}

void play_inquiries(Input& in) {
  Play(in).run();
}

}  // namespace farandole::fuzz
