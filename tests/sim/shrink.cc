#include "tests/sim/shrink.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <utility>

#include "tests/support/group_of_name.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""us;
using std::chrono_literals::operator""ms;

// No rank submits a part of a group.
void drop_parts(Plan& plan) {
  const std::vector<Op> all = plan.ops;
  std::erase_if(plan.ops, [&](const Op& op) {
    const testing::GroupOfName own = testing::group_of_name(op.name);
    const auto there = std::ranges::count_if(all, [&](const Op& other) {
      const testing::GroupOfName its = testing::group_of_name(other.name);
      return other.step == op.step && its.group == own.group && its.count == own.count &&
             other.signature.process_set == op.signature.process_set;
    });
    return there < int64_t{own.count};
  });
}

class Shrinker {
 public:
  Shrinker(Plan plan, const Runner& runner, const ShrinkLimits& limits)
      : best_(std::move(plan)), runner_(runner), limits_(limits) {
    kind_ = kind_of(runner_(best_, false).violation.value_or(""));
  }

  Shrunk run() {
    for (bool smaller = true; smaller && !over();) {
      smaller = false;
      smaller |= thin(&Plan::faults);
      for (int rank = best_.size - 1; rank >= 0; --rank) smaller |= drop_rank(rank);
      smaller |= thin(&Plan::ops);
      smaller |= thin(&Plan::stores);
      smaller |= calm_habits();
      smaller |= plain_ops();
      smaller |= plain_knobs();
    }
    return {best_, runner_(best_, true), runs_};
  }

 private:
  bool over() const {
    return runs_ >= limits_.runs || std::chrono::steady_clock::now() - started_ > limits_.wall;
  }

  bool accept(Plan candidate) {
    if (over())
      return false;
    ++runs_;
    drop_parts(candidate);
    const auto violation = runner_(candidate, false).violation;
    if (!violation || kind_of(*violation) != kind_)
      return false;
    best_ = std::move(candidate);
    return true;
  }

  // Without halves, quarters … single items.
  template <typename T>
  bool thin(std::vector<T> Plan::*list) {
    bool smaller = false;
    for (size_t chunk = (best_.*list).size(); chunk > 0; chunk /= 2)
      for (size_t at = 0; at < (best_.*list).size();) {
        Plan candidate = best_;
        auto& items = candidate.*list;
        const auto from = items.begin() + static_cast<ptrdiff_t>(at);
        items.erase(from, from + static_cast<ptrdiff_t>(std::min(chunk, items.size() - at)));
        if (accept(std::move(candidate)))
          smaller = true;
        else
          at += chunk;
      }
    return smaller;
  }

  bool drop_rank(int gone);
  bool calm_habits();
  bool plain_ops();
  bool plain_knobs();

  template <typename T>
  bool set(T Plan::*knob, T value) {
    if (best_.*knob == value)
      return false;
    Plan candidate = best_;
    candidate.*knob = std::move(value);
    return accept(std::move(candidate));
  }

  Plan best_;
  const Runner& runner_;
  const ShrinkLimits limits_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::string kind_;
  int runs_ = 0;
};

// Of ranks, of which there is one less.
template <typename T>
void drop(int gone, std::vector<T>& ranks) {
  std::erase(ranks, gone);
  for (T& rank : ranks) rank -= rank > gone ? 1 : 0;
}

// Whose operand are ranks: those of a set, or the other end of a message.
bool names_ranks(const Op& op) {
  return op.signature.kind == CollectiveKind::AddProcessSet ||
         op.signature.kind == CollectiveKind::Message;
}

bool Shrinker::drop_rank(int gone) {
  if (best_.size <= 2)
    return false;
  Plan plan = best_;
  const auto place = static_cast<ptrdiff_t>(gone);
  const auto renumber = [&](int& rank) { rank -= rank > gone ? 1 : 0; };
  --plan.size;
  plan.hosts.erase(plan.hosts.begin() + place);
  plan.habits.erase(plan.habits.begin() + place);
  std::erase_if(plan.faults, [&](const Fault& f) { return f.rank == gone || f.other == gone; });
  for (Fault& fault : plan.faults) {
    renumber(fault.rank);
    renumber(fault.other);
  }
  std::erase_if(plan.stores, [&](const StoreUse& use) { return use.rank == gone; });
  for (StoreUse& use : plan.stores) renumber(use.rank);
  std::erase_if(plan.ops, [&](const Op& op) {
    const Signature& s = op.signature;
    return op.by == std::vector<int>{gone} ||
           (s.root == gone && (has_root(s.kind) || s.kind == CollectiveKind::Message));
  });
  for (Op& op : plan.ops) {
    for (int* rank : {&op.misfit, &op.absent}) {
      if (*rank == gone)
        *rank = -1;
      renumber(*rank);
    }
    renumber(op.signature.root);
    drop(gone, op.by);
    if (names_ranks(op))
      drop(gone, op.signature.operand);
  }
  std::erase_if(
      plan.ops, [](const Op& op) { return names_ranks(op) && op.signature.operand.empty(); });
  for (auto& [id, members] : plan.process_sets) {
    drop(gone, members);
    if (members.empty())
      return false;
  }
  return accept(std::move(plan));
}

bool Shrinker::calm_habits() {
  bool smaller = false;
  for (size_t rank = 0; rank < best_.habits.size(); ++rank) {
    const Habit habit = best_.habits[rank];  // accept() replaces the plan
    const auto without = [&](auto change) {
      Plan candidate = best_;
      change(candidate.habits[rank]);
      return accept(std::move(candidate));
    };
    if (habit.start != Duration(0))
      smaller |= without([](Habit& h) { h.start = Duration(0); });
    if (habit.never || habit.other_settings || habit.other_job || habit.other_size)
      smaller |= without(
          [](Habit& h) { h.never = h.other_settings = h.other_job = h.other_size = false; });
    if (habit.leave_after >= 0)
      smaller |= without([](Habit& h) { h.leave_after = -1; });
    if (habit.join_after >= 0)
      smaller |= without([](Habit& h) { h.join_after = -1; });
  }
  return smaller;
}

bool Shrinker::plain_ops() {
  bool smaller = false;
  for (size_t i = 0; i < best_.ops.size(); ++i) {
    const Op& op = best_.ops[i];
    Plan candidate = best_;
    Op& plain = candidate.ops[i];
    plain.ragged = false;
    plain.misfit = plain.absent = -1;
    if (is_collective(op.signature.kind)) {  // a message is plain
      plain.signature = Signature{};
      plain.signature.shape = {1};
    }
    if (op.ragged || op.misfit >= 0 || op.absent >= 0 || op.signature != plain.signature)
      smaller |= accept(std::move(candidate));
  }
  return smaller;
}

bool Shrinker::plain_knobs() {
  const Plan plain;
  bool smaller = false;
  smaller |= set(&Plan::process_sets, {});
  smaller |= set(&Plan::joins, false);
  smaller |= set(&Plan::depth, plain.depth);
  smaller |= set(&Plan::hand_off, false);
  smaller |= set(&Plan::fails_on_leave, false);
  smaller |= set(&Plan::cache_capacity, plain.cache_capacity);
  smaller |= set(&Plan::fusion_bytes, plain.fusion_bytes);
  smaller |= set(&Plan::max_pending, plain.max_pending);
  smaller |= set(&Plan::store_bytes, plain.store_bytes);
  smaller |= set(&Plan::slowness, Duration(1us));
  smaller |= set(&Plan::delay_least, Duration(0));
  smaller |= set(&Plan::delay_most, best_.delay_least + Duration(1us));
  smaller |= set(&Plan::retry, Duration(0));
  smaller |= set(&Plan::think, Duration(0));
  smaller |= set(&Plan::handshake_timeout, plain.handshake_timeout);
  smaller |= set(&Plan::capacity, size_t{262144});
  return smaller;
}

}  // namespace

std::string kind_of(const std::string& violation) {
  const size_t colon = violation.find(':');
  std::string kind = violation.substr(0, colon) + ": ";
  for (const char c : violation.substr(std::min(violation.size(), colon)))
    if (std::isdigit(static_cast<unsigned char>(c)) == 0)
      kind += c;
  return kind;
}

Shrunk shrink(Plan plan, const Runner& runner, const ShrinkLimits& limits) {
  return Shrinker(std::move(plan), runner, limits).run();
}

}  // namespace farandole::sim
