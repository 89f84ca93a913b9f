#include "controller/protocol/stalls.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "controller/protocol/limits.h"
#include "controller/protocol/mutation.h"
#include "controller/protocol/ranks.h"
#include "core/base/format.h"
#include "core/request_check.h"

namespace farandole::control {
namespace {

constexpr size_t kLineBytes = 512;
constexpr size_t kMostLines = 200;  // of one rank

std::string has(const std::vector<int>& ranks, std::string_view what) {
  return fmt::format("{} {} {}", rank_list(ranks), ranks.size() == 1 ? "has" : "have", what);
}

// Whole ones, and tenths where they matter.
double seconds(Duration age) {
  using std::chrono::milliseconds;
  if (age < std::chrono::seconds(10))
    return static_cast<double>((age + milliseconds(50)) / milliseconds(100)) / 10;
  return static_cast<double>((age + milliseconds(500)) / milliseconds(1000));
}

void append_lines(std::string_view text, std::vector<std::string>& to) {
  for (size_t count = 0; !text.empty() && count < kMostLines; ++count) {
    const size_t end = std::min(text.find('\n'), text.size());
    to.push_back("    " + printable(text.substr(0, end), kLineBytes));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

StallPolicy StallPolicy::of(const Config& config) {
  if (config.stall_check_disable)
    return {};
  if (FARANDOLE_MUTATE(ForgetTheStall))
    return {config.stall_check_time};
  return {config.stall_check_time, config.stall_shutdown_time};
}

Duration StallPolicy::first() const noexcept {
  if (report == Duration(0) || abort == Duration(0))
    return std::max(report, abort);
  return std::min(report, abort);
}

std::string text_of(const Stall& stall) {
  std::string text = describe(stall.kind, stall.name);
  if (stall.process_set != 0)
    text += fmt::format(" (process set {})", stall.process_set);
  text += fmt::format(
      " has waited for {} s: {}",
      seconds(stall.age),
      has(stall.submitted, stall.kind == CollectiveKind::Join ? "joined" : "submitted it"));
  if (!stall.joined.empty())
    text += ", " + has(stall.joined, "joined");
  return text + ", " + has(stall.missing, "not");
}

std::vector<std::string> lines_of(const StallReport& report) {
  std::vector<std::string> lines;
  for (const Stall& stall : report.stalls) lines.push_back(text_of(stall));
  if (report.more > 0)
    lines.push_back(fmt::format("and {} more wait so", report.more));
  for (const Testimony& testimony : report.testimonies) {
    lines.push_back(fmt::format("  rank {}, which is waited for:", testimony.rank));
    append_lines(testimony.text, lines);
  }
  return lines;
}

Inquiries::Question Inquiries::report(Stalls stalls, TimePoint now) {
  Question question;
  const bool begins = !open_;
  if (begins) {
    open_ = Open();  // emplace() does not compile with clang 14
    open_->due = now + patience_;
    open_->number = ++asked_;
  }
  open_->report.more += stalls.more;
  std::set<int> missing;
  for (Stall& stall : stalls.oldest) {
    missing.insert(stall.missing.begin(), stall.missing.end());
    const auto same = std::ranges::find_if(open_->report.stalls, [&](const Stall& told) {
      return told.process_set == stall.process_set && told.name == stall.name;
    });
    if (same != open_->report.stalls.end())
      *same = std::move(stall);
    else if (open_->report.stalls.size() < StallReport::kMost)
      open_->report.stalls.push_back(std::move(stall));
    else
      ++open_->report.more;
  }
  question.number = open_->number;
  for (const int rank : missing) {
    const bool is_enough = FARANDOLE_MUTATE(AskOnlyTheFirstMissing) && !open_->told.empty();
    if (open_->told.size() >= kMostAsked || is_enough)
      break;
    const auto [told, is_new] = open_->told.try_emplace(rank);
    if (!is_new)
      continue;
    uint64_t& owed = owed_.at(static_cast<size_t>(rank));
    if (owed != 0 && !FARANDOLE_MUTATE(AskAgain)) {
      told->second = "has not answered since it was asked before";
      continue;
    }
    owed = question.number;
    question.ranks.push_back(rank);
  }
  if (!question.ranks.empty())
    open_->due = now + patience_;  // as long for who is asked later
  return question;
}

Status Inquiries::answer(int rank, uint64_t number, std::string text) {
  uint64_t& owed = owed_.at(static_cast<size_t>(rank));
  if (number == 0 || owed != number)
    return error(Code::PeerLost, "answered question {}, which it was not asked", number);
  owed = 0;
  if (open_ && open_->number == number)
    open_->told.at(rank) = std::move(text);
  else if (FARANDOLE_MUTATE(BlameLateAnswers))
    return {Code::PeerLost, "answered too late"};
  return Status::ok();
}

std::optional<StallReport> Inquiries::take(TimePoint now) {
  const auto all_told = [](const auto& told) {
    return std::ranges::all_of(told, [](const auto& one) { return one.second.has_value(); });
  };
  if (!open_ || (now < open_->due && !all_told(open_->told)))
    return std::nullopt;
  return take();
}

std::optional<StallReport> Inquiries::take() {
  if (!open_)
    return std::nullopt;
  for (auto& [rank, told] : open_->told)
    open_->report.testimonies.push_back({rank, told.value_or("does not answer")});
  return std::exchange(open_, std::nullopt)->report;
}

std::optional<TimePoint> Inquiries::deadline() const noexcept {
  return open_ ? std::optional(open_->due) : std::nullopt;
}

}  // namespace farandole::control
