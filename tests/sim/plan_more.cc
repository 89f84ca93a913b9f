#include "tests/sim/plan_more.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/base/format.h"
#include "core/member_name.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using FaultKind = Fault::Kind;

void draw_strangers(Plan& plan, Rng& random) {
  if (!random.chance(4))
    return;
  Habit& habit = plan.habits[random.below(plan.habits.size())];
  (random.chance(50) ? habit.other_job : habit.other_size) = true;
}

// Of two ranks; where it matters that one of them is rank 0, it mostly is.
void draw_pair(Fault& fault, const Plan& plan, bool with_zero, Rng& random) {
  const auto size = static_cast<uint64_t>(plan.size);
  fault.rank = static_cast<int>(random.below(size));
  fault.other =
      static_cast<int>((static_cast<uint64_t>(fault.rank) + 1 + random.below(size - 1)) % size);
  if (with_zero && fault.rank != 0)
    fault.other = 0;
}

Fault draw_reset(const Plan& plan, FaultKind kind, Rng& random) {
  Fault fault;
  fault.kind = kind;
  fault.at = random.between(0ms, random.pick<Duration>({20ms, 100ms, 1s, 2s}));
  fault.actions = random.below(2);
  draw_pair(fault, plan, kind == FaultKind::HalfReset, random);
  return fault;
}

Fault draw_twin(Plan& plan, Rng& random) {
  Fault fault;
  fault.kind = FaultKind::Twin;
  fault.rank = static_cast<int>(1 + random.below(static_cast<uint64_t>(plan.size) - 1));
  fault.actions = random.below(3);
  fault.at = random.between(0ms, random.pick<Duration>({5ms, 100ms, 1s}));
  fault.length = random.pick<Duration>({100ms, 2s, 2 * plan.start_timeout});
  plan.habits[static_cast<size_t>(fault.rank)].never = random.chance(50);
  return fault;
}

Fault draw_while_forming(const Plan& plan, Rng& random) {
  Fault fault;
  fault.kind = random.pick<FaultKind>(
      {FaultKind::Kill,
       FaultKind::Doom,
       FaultKind::Stop,
       FaultKind::Block,
       FaultKind::Cut,
       FaultKind::Reset,
       FaultKind::HalfReset,
       FaultKind::Respawn,
       FaultKind::LateEnd});
  draw_pair(fault, plan, true, random);
  const Duration start = plan.habits[static_cast<size_t>(fault.rank)].start;
  fault.at = start + random.between(0ms, 10 * plan.delay_most + 5ms);
  fault.actions = random.below(6);
  const bool lasts = fault.kind == FaultKind::Stop || fault.kind == FaultKind::Block ||
                     fault.kind == FaultKind::Cut || fault.kind == FaultKind::Respawn ||
                     fault.kind == FaultKind::LateEnd;
  if (lasts)
    fault.length = random.pick<Duration>({20ms, 500ms, 2s, 3s, plan.start_timeout + 1s});
  return fault;
}

}  // namespace

void draw_patience(Plan& plan, Rng& random) {
  if (random.chance(8)) {
    const int64_t times = plan.data_timeout / plan.heartbeat_timeout;
    plan.heartbeat_interval = random.pick<Duration>({125ms, 250ms});
    plan.heartbeat_timeout = 4 * plan.heartbeat_interval;
    plan.data_timeout = plan.heartbeat_timeout * times;
  }
  if (random.chance(8))
    plan.data_timeout = plan.heartbeat_timeout / random.pick<int>({1, 2});
}

void draw_isolations(Plan& plan, Rng& random) {
  const bool is_one_host = std::ranges::count(plan.hosts, plan.hosts.front()) == plan.size;
  if (is_one_host || !random.chance(15))
    return;
  const Duration dead = plan.heartbeat_timeout;
  for (int64_t n = random.chance(20) ? 2 : 1; n > 0; --n) {
    Fault fault;
    fault.kind = FaultKind::Isolate;
    fault.rank = fault.other = static_cast<int>(random.below(static_cast<uint64_t>(plan.size)));
    fault.actions = random.below(kIsolations);
    fault.at = random.between(0ms, random.pick<Duration>({5ms, 20ms, 100ms, 1s, 2s}));
    fault.length = random.pick<Duration>(
        {dead / 20, dead / 3, dead * 2 / 3, dead * 11 / 10, dead * 3, dead * 12});
    plan.faults.push_back(fault);
  }
  std::ranges::stable_sort(plan.faults, {}, &Fault::at);
}

void draw_groups(Plan& plan, Rng& random) {
  if (!random.chance(25))
    return;
  for (int64_t n = random.between(1, 2); n > 0; --n) {
    Signature signature{.kind = CollectiveKind::Allreduce, .shape = {random.between(1, 4)}};
    if (!plan.process_sets.empty() && random.chance(30))
      signature.process_set = plan.process_sets.begin()->first;
    const std::vector<int> members = plan.members(signature.process_set);
    const auto count = static_cast<uint32_t>(random.between(1, 3));
    const bool unlike = random.chance(60);
    for (int step = 0; step < plan.steps; ++step) {
      std::map<uint32_t, std::vector<int>> uses;  // by size, 0 of one tensor
      for (const int rank : members)
        uses[unlike && random.chance(25) ? static_cast<uint32_t>(random.below(4)) : count]
            .push_back(rank);
      for (const auto& [size, ranks] : uses)
        for (uint32_t place = 1; place <= std::max(size, 1U); ++place) {
          Op op{.step = step, .name = fmt::format("g{}", n), .signature = signature, .by = ranks};
          if (size > 0)
            op.name = name_of_member(op.name, place, size);
          plan.ops.push_back(op);
        }
    }
  }
}

void draw_repeats(Plan& plan, Rng& random) {
  std::vector<Op> again;
  for (const Op& op : plan.ops) {
    if (op.of_set.empty() || !is_carried(op.signature.kind) || !random.chance(60))
      continue;
    for (int step = op.step + 1; step < plan.steps; ++step) {
      if (!random.chance(60))
        continue;
      again.push_back(op);
      again.back().step = step;
    }
  }
  plan.ops.insert(plan.ops.end(), again.begin(), again.end());
}

void draw_handshakes(Plan& plan, Rng& random) {
  plan.handshake_timeout = random.pick<Duration>({2s, 2s, 100ms, 250ms, 1s, 10s});
}

void draw_parts(Plan& plan, Rng& random) {
  if (!random.chance(40))
    return;
  std::map<std::string, bool> chosen;  // by name: alike in all steps
  for (Op& op : plan.ops) {
    const auto [place, fresh] = chosen.try_emplace(op.name, false);
    if (fresh)
      place->second = random.chance(40);
    if (place->second && op.signature.kind == CollectiveKind::Allreduce)
      op.signature.kind = CollectiveKind::Reducescatter;
  }
}

void draw_more(Plan& plan, Rng& random) {
  draw_strangers(plan, random);
  if (!random.chance(30))
    return;
  for (int64_t n = random.between(1, 2); n > 0; --n) switch (random.below(5)) {
      case 0:
        plan.faults.push_back(draw_reset(plan, FaultKind::HalfReset, random));
        break;
      case 1:
        plan.faults.push_back(draw_reset(plan, FaultKind::DataReset, random));
        break;
      case 2:
        plan.faults.push_back(draw_twin(plan, random));
        break;
      default:
        plan.faults.push_back(draw_while_forming(plan, random));
    }
  std::ranges::stable_sort(plan.faults, {}, &Fault::at);
}

}  // namespace farandole::sim
