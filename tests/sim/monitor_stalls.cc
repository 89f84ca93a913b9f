#include "tests/sim/monitor_stalls.h"

#include <algorithm>
#include <charconv>

#include "controller/protocol/coordinator.h"
#include "core/base/format.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""ms;

constexpr std::string_view kEnd =
    " (FARANDOLE_STALL_SHUTDOWN_TIME; raise it, or set 0, where ranks may be as late)";
constexpr std::string_view kWaited = " has waited for ";
constexpr Duration kReadOn = control::Coordinator::kReadOn;

bool skip(std::string_view& text, std::string_view what) {
  const bool there = text.starts_with(what);
  text.remove_prefix(there ? what.size() : 0);
  return there;
}

int number(std::string_view& text) {
  int value = -1;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

// "rank 3", "ranks 0-2, 4 and 7"; of "ranks 0-2, 4 and 7 more" those that are named.
std::vector<int> ranks_in(std::string_view text) {
  if (text.ends_with(" more"))
    text = text.substr(0, text.rfind(" and "));
  std::vector<int> ranks;
  while (!text.empty()) {
    if (text.front() < '0' || text.front() > '9') {
      text.remove_prefix(1);
      continue;
    }
    const int first = number(text);
    const int last = skip(text, "-") ? number(text) : first;
    for (int rank = first; rank <= last; ++rank) ranks.push_back(rank);
  }
  return ranks;
}

}  // namespace

bool ends_a_wait(const PeerFailure& failure) {
  return !failure.left && failure.code == Code::Timeout && failure.cause.ends_with(kEnd);
}

Duration on_its_way(const Plan& plan) {
  return 40 * plan.delay_most + 4 * plan.retry + (200 + 100 * plan.size) * plan.slowness +
         2 * kReadOn;
}

StallMonitor::StallMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings), plan_(plan), on_its_way_(on_its_way(plan)) {}

void StallMonitor::on_submitted(
    int rank, const control::Key& key, const Signature&, TimePoint now) {
  submitted_[{key.process_set, key.name}][rank] = now;
}

bool StallMonitor::waits(int rank, const Name& name) const {
  const auto known = submitted_.find(name);
  return known != submitted_.end() && known->second.contains(rank);
}

void StallMonitor::on_fault(const Fault& fault) {
  disturbed_ = disturbed_ || (fault.kind != Fault::Kind::Leave && fault.kind != Fault::Kind::Stale);
  jumped_ = jumped_ || fault.kind == Fault::Kind::Jump;
}

void StallMonitor::finish(int rank, uint32_t process_set, const std::string& name) {
  const auto known = submitted_.find({process_set, name});
  if (known == submitted_.end() || known->second.erase(rank) == 0)
    return;
  finished_[known->first].insert(rank);
  if (known->second.empty())
    submitted_.erase(known);
}

void StallMonitor::on_agreement(int rank, const Agreement& agreement) {
  for (const ReadyOp& op : agreement.ready) finish(rank, op.process_set, op.name);
  for (const Rejection& item : agreement.rejected) finish(rank, item.process_set, item.name);
}

void StallMonitor::judge(const control::Stall& stall) {
  const Name name{stall.process_set, stall.name};
  const auto finished = [&](int rank) {
    const auto known = finished_.find(name);
    return known != finished_.end() && known->second.contains(rank);
  };
  for (const int rank : stall.submitted)
    if (!waits(rank, name) && !finished(rank))
      violated(fmt::format("rank {} is said to wait, and has not submitted it", rank));
  if (stall.submitted.empty() || stall.missing.empty())
    violated("an operation is said to wait that has nobody to wait for");
  if (stall.age < plan_.stall_report)
    violated("a wait is told of before it has lasted");
  std::set<int> named(stall.submitted.begin(), stall.submitted.end());
  named.insert(stall.joined.begin(), stall.joined.end());
  named.insert(stall.missing.begin(), stall.missing.end());
  if (named.size() != stall.submitted.size() + stall.joined.size() + stall.missing.size())
    violated("a rank is said to wait and to be waited for");
}

void StallMonitor::on_stalls(const control::StallReport& report) {
  for (const control::Stall& stall : report.stalls) judge(stall);
  finished_.clear();
  for (const control::Testimony& told : report.testimonies)
    if (told.text.starts_with("rank ") && told.text != fmt::format("rank {} is here", told.rank))
      violated(fmt::format("rank {} is said to have said: {}", told.rank, told.text));
}

// `allreduce "x" (process set 2) has waited for 10 s: ranks 0-2 have submitted it, rank 3 has not`.
std::optional<StallMonitor::Told> StallMonitor::read(std::string_view cause) {
  cause.remove_suffix(kEnd.size());
  const size_t waited = cause.rfind(kWaited);
  const size_t colon = cause.rfind(": ");
  if (waited == std::string_view::npos || colon == std::string_view::npos || colon < waited)
    return std::nullopt;
  Told told;
  told.what = cause.substr(0, waited);
  if (const size_t set = told.what.rfind(" (process set "); set != std::string::npos) {
    std::string_view digits = std::string_view(told.what).substr(set + 14);
    told.process_set = static_cast<uint32_t>(number(digits));
    told.what.resize(set);
  }
  std::string_view rest = cause.substr(colon + 2);
  told.shortened = rest.find(" more ") != std::string_view::npos;
  for (bool first = true; !rest.empty(); first = false) {
    const size_t verb = std::min(rest.find(" has "), rest.find(" have "));
    if (verb == std::string_view::npos)
      return std::nullopt;
    std::vector<int> ranks = ranks_in(rest.substr(0, verb));
    rest.remove_prefix(verb);
    if (!skip(rest, " has "))
      skip(rest, " have ");
    if (skip(rest, "not"))
      told.missing = std::move(ranks);
    else if (first && (skip(rest, "submitted it") || skip(rest, "joined")))
      told.submitted = std::move(ranks);
    else if (!first && skip(rest, "joined"))
      told.joined = std::move(ranks);
    else
      return std::nullopt;
    skip(rest, ", ");
  }
  return told;
}

std::string StallMonitor::wrong(int rank, const Told& told, const Name& name, TimePoint now) const {
  TimePoint first = now;
  for (const int other : told.submitted) {
    if (!waits(other, name))
      return fmt::format("rank {} is said to wait, and has not submitted it", other);
    first = std::min(first, submitted_.at(name).at(other));
  }
  for (const int other : told.joined)
    if (!waits(other, {told.process_set, {}}))
      return fmt::format("rank {} is said to have joined, and has not", other);
  if (!jumped_ && now - first < plan_.stall_abort + kReadOn)
    return fmt::format("it has waited for {} ms", (now - first) / 1ms);
  const bool is_missing = std::ranges::find(told.missing, rank) != told.missing.end();
  if (is_missing && waits(rank, name) && !disturbed_ &&
      now - submitted_.at(name).at(rank) > on_its_way_)
    return fmt::format("rank {} had submitted it long before", rank);
  const std::vector<int> members = plan_.members(name.first, name.second);
  std::vector<int> all = told.submitted;
  for (const auto* more : {&told.joined, &told.missing})
    all.insert(all.end(), more->begin(), more->end());
  std::ranges::sort(all);
  return members.empty() || told.shortened || all == members ? "" : "other ranks take part";
}

void StallMonitor::on_failure(int rank, const PeerFailure& failure, TimePoint now) {
  if (!ends_a_wait(failure))
    return;
  if (end_.value_or(failure.cause) != failure.cause)
    violated(fmt::format("I14: rank {} hears of another wait that ends the job", rank));
  end_ = failure.cause;
  const std::optional<Told> told = read(failure.cause);
  if (plan_.stall_abort == Duration(0) || !told || told->submitted.empty() || told->missing.empty())
    return violated("I14: no wait ends the job: " + failure.cause);
  if (failure.rank != (told->missing.size() == 1 ? told->missing.front() : -1))
    violated(fmt::format("I14: rank {} is blamed: {}", failure.rank, failure.cause));
  std::string first_wrong = "nobody has submitted it";
  for (const auto& [name, since] : submitted_) {
    const bool quoted = told->what.ends_with(fmt::format(" \"{}\"", name.second));
    const bool unnamed =
        !told->what.ends_with('"') &&
        (name.second.empty() || name.second.starts_with('+') || name.second.starts_with('-'));
    if (name.first != told->process_set || !(quoted || unnamed))
      continue;
    first_wrong = wrong(rank, *told, name, now);
    if (first_wrong.empty())
      return;
  }
  violated(fmt::format("I14: a wait ends the job, but {}: {}", first_wrong, failure.cause));
}

}  // namespace farandole::sim
