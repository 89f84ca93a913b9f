// What a seed decides. Swarm testing: each seed has a random subset of faults and oddities only, so
// that rare combinations get their turn and common ones do not drown them.

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/base/format.h"
#include "tests/sim/plan.h"
#include "tests/sim/plan_messages.h"
#include "tests/sim/plan_more.h"
#include "tests/sim/rng.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;
using std::chrono_literals::operator""s;

int draw_size(Rng& random) {
  const uint64_t roll = random.below(1000);
  if (roll < 700)
    return static_cast<int>(random.between(2, 4));
  if (roll < 970)
    return static_cast<int>(random.between(5, 8));
  return static_cast<int>(roll < 997 ? random.between(9, 16) : random.between(17, 64));
}

void draw_knobs(Plan& plan, Rng& random) {
  plan.cache_capacity = random.pick<int64_t>({0, 1, 2, 3, 5, 16384, 16384, 16384});
  plan.fusion_bytes = random.pick<int64_t>({0, 64, 4096, 64 << 20});
  plan.max_frame_bytes = random.pick<int64_t>({65536, 16 << 20});
  plan.send_queue_bytes = std::max<int64_t>(plan.max_frame_bytes * 2, 1 << 20);
  plan.heartbeat_interval = random.pick<Duration>({50ms, 100ms, 250ms});
  plan.heartbeat_timeout = plan.heartbeat_interval * random.pick<int>({12, 12, 12, 8, 20});
  plan.start_timeout = random.pick<Duration>({3s, 5s, 30s});
  plan.shutdown_timeout = random.pick<Duration>({5s, 5s, 8s});
  // Mostly silence of a process is found before that of its data connections: what the latter says
  // of whom to blame is worth less.
  plan.data_timeout = plan.heartbeat_timeout * random.pick<int>({5, 8});
  plan.delay_least = random.pick<Duration>({0us, 5us, 50us});
  plan.delay_most = plan.delay_least + random.pick<Duration>({1us, 50us, 500us, 5ms, 40ms});
  plan.retry = random.pick<Duration>({0ms, 50ms, 200ms});
  plan.slowness = random.pick<Duration>({1us, 20us, 200us, 2ms});
  plan.think = random.pick<Duration>({0ms, 1ms, 1ms, 20ms});
  plan.capacity = random.pick<size_t>({2048, 16384, 262144});
  plan.hand_off = random.chance(50);
  plan.fails_on_leave = random.chance(30);
}

// Operations that wait are looked at, and some end the job, after times that occur here; answers
// come too late, too.
void draw_stalls(Plan& plan, Rng& random) {
  plan.stall_report = random.pick<Duration>({0ms, 0ms, 5ms, 50ms, 500ms});
  plan.answer = random.pick<Duration>({0ms, 1ms, 100ms, 2900ms, 4s, 20s});
  plan.stall_abort = random.pick<Duration>({0ms, 0ms, 0ms, 0ms, 0ms, 1ms, 20ms, 500ms});
}

void draw_program(Plan& plan, Rng& random) {
  plan.steps = static_cast<int>(random.between(1, 4));
  plan.depth = static_cast<int>(random.between(1, 2));
  const size_t most_tensors = plan.size > 8 ? 4 : 10;
  const int tensors = static_cast<int>(random.between(1, static_cast<int64_t>(most_tensors)));
  if (random.chance(35))
    for (uint32_t id = 1; id <= 1 + random.below(2); ++id) {
      std::vector<int> members;
      for (int rank = 0; rank < plan.size; ++rank)
        if (random.chance(60))
          members.push_back(rank);
      if (!members.empty())
        plan.process_sets[id] = members;
    }
  const bool misfits = random.chance(30);
  const bool changes = random.chance(30);
  for (int t = 0; t < tensors; ++t) {
    Op op;
    op.name = fmt::format("t{}", t);
    Signature& s = op.signature;
    s.kind = random.pick<CollectiveKind>(
        {CollectiveKind::Allreduce,
         CollectiveKind::Allreduce,
         CollectiveKind::Allgather,
         CollectiveKind::Broadcast,
         CollectiveKind::Alltoall});
    if (s.kind == CollectiveKind::Allreduce && t % 4 == 3)
      s.reduce = ReduceOp::Adasum;
    s.shape = {random.between(1, 8), random.between(1, 3)};
    op.ragged = random.chance(50);
    if (!plan.process_sets.empty() && random.chance(40))
      s.process_set = static_cast<uint32_t>(random.between(1, 3));
    const std::vector<int> members = plan.members(s.process_set);
    if (s.kind == CollectiveKind::Broadcast && !members.empty())
      s.root = random.pick(members);
    for (op.step = 0; op.step < plan.steps; ++op.step) {
      if (random.chance(15))
        continue;
      Op one = op;
      if (changes && random.chance(30))
        one.signature.shape[1] += 1;
      if (members.size() > 1 && misfits && random.chance(20)) {
        one.misfit = random.pick(members);
        one.misfit_how = static_cast<int>(random.below(5));
      }
      plan.ops.push_back(one);
    }
  }
}

void draw_habits(Plan& plan, Rng& random) {
  const bool leaves = random.chance(35);
  const bool odd_start = random.chance(5);
  plan.habits.resize(static_cast<size_t>(plan.size));
  const Duration spread = random.pick<Duration>({1ms, 50ms, 500ms});
  for (int rank = 0; rank < plan.size; ++rank) {
    plan.hosts.push_back(static_cast<int>(random.below(3)));
    Habit& habit = plan.habits[static_cast<size_t>(rank)];
    habit.start = random.between(0ms, spread);
    if (leaves && random.chance(30))
      habit.leave_after = static_cast<int>(random.between(0, plan.steps - 1));
    if (odd_start && random.chance(25)) {
      habit.never = random.chance(30);
      habit.other_settings = random.chance(50);
    }
  }
}

// One rank never submits some tensors, and leaves without having waited for them: the others learn
// of it only then.
void draw_absence(Plan& plan, Rng& random) {
  if (!random.chance(12))
    return;
  const int rank = static_cast<int>(random.below(static_cast<uint64_t>(plan.size)));
  int& leaves = plan.habits[static_cast<size_t>(rank)].leave_after;
  for (Op& op : plan.ops) {
    const std::vector<int> members = plan.members(op.signature.process_set);
    if (std::ranges::find(members, rank) == members.end() || !random.chance(20))
      continue;
    op.absent = rank;
    leaves = leaves < 0 ? op.step : std::min(leaves, op.step);
  }
}

void draw_stores(Plan& plan, Rng& random) {
  if (!random.chance(30))
    return;
  for (int64_t n = random.between(1, 8); n > 0; --n) {
    StoreUse use;
    use.kind = random.pick<StoreUse::Kind>(
        {StoreUse::Kind::Set, StoreUse::Kind::Get, StoreUse::Kind::GiveUp});
    use.rank = static_cast<int>(random.below(static_cast<uint64_t>(plan.size)));
    use.step = static_cast<int>(random.between(0, plan.steps - 1));
    use.key = fmt::format("k{}", random.below(3));
    plan.stores.push_back(use);
  }
}

// Ranks whose data ends earlier than that of others.
void draw_joins(Plan& plan, Rng& random) {
  plan.joins = random.chance(35);
  for (Habit& habit : plan.habits)
    if (plan.joins && random.chance(50))
      habit.join_after = static_cast<int>(random.between(-1, plan.steps - 1));
}

std::vector<int64_t> draw_ranks(const Plan& plan, Rng& random) {
  if (!plan.process_sets.empty() && random.chance(15)) {  // those of a set that there is
    const std::vector<int>& taken = plan.process_sets.begin()->second;
    return {taken.begin(), taken.end()};
  }
  std::vector<int64_t> ranks;
  for (int rank = 0; rank < plan.size; ++rank)
    if (random.chance(60))
      ranks.push_back(rank);
  return ranks.empty() ? std::vector<int64_t>{0} : ranks;
}

Op draw_op_of_set(const Plan& plan, const Op& add, Rng& random) {
  Op op;
  op.of_set = add.name;
  op.step = static_cast<int>(random.between(add.step, plan.steps - 1));
  Signature& s = op.signature;
  s.kind = random.pick<CollectiveKind>(
      {CollectiveKind::Allreduce, CollectiveKind::Allgather, CollectiveKind::Broadcast});
  s.shape = {random.between(1, 8), random.between(1, 3)};
  op.ragged = random.chance(50);
  s.root = s.kind == CollectiveKind::Broadcast ? static_cast<int>(add.signature.operand[0]) : 0;
  return op;
}

// Process sets that come and go while tensors are under way.
void draw_changes(Plan& plan, Rng& random) {
  if (!random.chance(35))
    return;
  // The numbers of those that never exist are given to nobody else.
  for (Op& op : plan.ops)
    if (plan.members(op.signature.process_set).empty())
      op.signature.process_set = 1000;
  for (int64_t n = random.between(1, 3); n > 0; --n) {
    Op add;
    add.name = fmt::format("+{}", n);
    add.step = static_cast<int>(random.between(0, plan.steps - 1));
    add.signature = {.kind = CollectiveKind::AddProcessSet, .operand = draw_ranks(plan, random)};
    if (random.chance(10))
      add.misfit = static_cast<int>(random.below(static_cast<uint64_t>(plan.size)));
    plan.ops.push_back(add);
    for (int64_t t = random.between(0, 3); t > 0; --t) {
      Op op = draw_op_of_set(plan, add, random);
      op.name = fmt::format("s{}.{}", n, t);
      plan.ops.push_back(op);
    }
    for (int64_t r = random.chance(70) ? random.between(1, 2) : 0; r > 0; --r) {
      Op gone;
      gone.name = fmt::format("-{}.{}", n, r);
      gone.of_set = add.name;
      gone.step = static_cast<int>(random.between(add.step, plan.steps - 1));
      gone.signature.kind = CollectiveKind::RemoveProcessSet;
      plan.ops.push_back(gone);
    }
  }
}

// What some tensors are, with a root, instead of what is like it without. An Adasum that this makes
// of a reduce is refused: there is none.
CollectiveKind rooted(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::Allreduce:
      return CollectiveKind::Reduce;
    case CollectiveKind::Allgather:
      return CollectiveKind::Gather;
    case CollectiveKind::Alltoall:
      return CollectiveKind::Scatter;
    default:
      return kind;
  }
}

void draw_roots(Plan& plan, Rng& random) {
  if (!random.chance(40))
    return;
  std::map<std::string, uint64_t> chosen;  // by name: whose root is the so manieth member; 0: none
  for (Op& op : plan.ops) {
    const auto [place, fresh] = chosen.try_emplace(op.name, 0);
    if (fresh && random.chance(50))
      place->second = random.between(1, plan.size);
    Signature& s = op.signature;
    std::vector<int> members = plan.members(s.process_set);
    if (const Op* add = plan.adding(op.of_set))
      members.assign(add->signature.operand.begin(), add->signature.operand.end());
    if (place->second == 0 || members.empty() || rooted(s.kind) == s.kind)
      continue;
    s.kind = rooted(s.kind);
    s.root = members[place->second % members.size()];
  }
}

// Joins that `rank` can have in flight at once.
size_t most_joins(const Plan& plan) {
  const auto adds = std::ranges::count_if(
      plan.ops, [](const Op& op) { return op.signature.kind == CollectiveKind::AddProcessSet; });
  return plan.joins ? 1 + plan.process_sets.size() + static_cast<size_t>(adds) : 0;
}

// Tensors that `rank` can have in flight at once, in the steps that are under way together.
size_t most_in_flight(const Plan& plan, int rank) {
  size_t most = 0;
  for (int last = 0; last < plan.steps; ++last) {
    std::set<std::pair<uint32_t, std::string>> keys;
    for (const Op& op : plan.ops) {
      const std::vector<int> members = plan.members(op.signature.process_set);
      if (op.step <= last && op.step > last - plan.depth && op.absent != rank && op.is_by(rank) &&
          (members.empty() || std::ranges::find(members, rank) != members.end()))
        keys.emplace(op.signature.process_set, op.name);
    }
    most = std::max(most, keys.size());
  }
  return most + most_joins(plan);
}

// Bounds that the program just fits: who is within them is never blamed. What a rank may publish is
// sometimes less: then its own worker refuses it.
void draw_quotas(Plan& plan, Rng& random) {
  size_t pending = 1;
  size_t published = 0;
  size_t once = 1;
  for (int rank = 0; rank < plan.size; ++rank) {
    pending = std::max(pending, most_in_flight(plan, rank));
    size_t own = 0;
    for (const StoreUse& use : plan.stores)
      if (use.rank == rank && use.kind == StoreUse::Kind::Set)
        own += once = use.key.size() + kStoreValueBytes;
    published = std::max(published, own);
  }
  if (random.chance(70))
    plan.max_pending = static_cast<int64_t>(pending);
  if (random.chance(70))
    plan.store_bytes = static_cast<int64_t>(random.chance(50) ? std::max(published, once) : once);
}

Fault draw_fault(const Plan& plan, Fault::Kind kind, Rng& random) {
  Fault fault;
  fault.kind = kind;
  fault.at = random.between(0ms, random.pick<Duration>({20ms, 100ms, 1s, 2s}));
  const auto size = static_cast<uint64_t>(plan.size);
  fault.rank = static_cast<int>(random.chance(30) ? 0 : random.below(size));
  fault.other =
      static_cast<int>((static_cast<uint64_t>(fault.rank) + 1 + random.below(size - 1)) % size);
  fault.actions = random.below(random.pick<uint64_t>({4, 20, 100}));
  const Duration dead = plan.heartbeat_timeout;
  switch (kind) {
    case Fault::Kind::Stop:
    case Fault::Kind::Block:
    case Fault::Kind::Cut:
      fault.length = random.pick<Duration>(
          {dead / 20, dead / 3, dead * 2 / 3, dead * 11 / 10, dead * 3, dead * 12});
      break;
    case Fault::Kind::LateEnd:
      fault.length = random.pick<Duration>({dead / 3, dead * 3});
      break;
    case Fault::Kind::Jump:
      fault.length = random.pick<Duration>({dead / 10, dead * 2 / 3, dead * 10});
      break;
    case Fault::Kind::Respawn:
      fault.at = random.between(0ms, 600ms);
      fault.length = random.pick<Duration>({1ms, 50ms, dead});
      break;
    default:
      break;
  }
  return fault;
}

void draw_faults(Plan& plan, Rng& random) {
  if (random.chance(20))
    return;
  std::vector<Fault::Kind> kinds;
  for (size_t kind = 0; kind <= static_cast<size_t>(Fault::Kind::Respawn); ++kind)
    if (random.chance(25))
      kinds.push_back(static_cast<Fault::Kind>(kind));
  if (kinds.empty())
    return;
  for (int64_t n = random.between(1, 3); n > 0; --n)
    plan.faults.push_back(draw_fault(plan, random.pick(kinds), random));
  std::ranges::stable_sort(plan.faults, {}, &Fault::at);
}

}  // namespace

Plan draw_plan(uint64_t seed) {
  Rng random(seed, 1);
  Plan plan;
  plan.seed = seed;
  plan.size = draw_size(random);
  draw_knobs(plan, random);
  Rng patience(seed, 12);
  draw_patience(plan, patience);
  draw_program(plan, random);
  draw_habits(plan, random);
  draw_absence(plan, random);
  draw_stores(plan, random);
  draw_faults(plan, random);
  Rng more(seed, 5);
  draw_more(plan, more);
  Rng isolations(seed, 11);
  draw_isolations(plan, isolations);
  // What nobody reads for long has to fit the kernel's buffers, or the last words to a rank that
  // was given up are lost. Real ones hold far more than these plans say.
  if (std::ranges::any_of(plan.faults, [](const Fault& f) { return f.length > Duration(0); }))
    plan.capacity = std::max<size_t>(plan.capacity, 262144);
  Rng joins(seed, 3);
  draw_joins(plan, joins);
  Rng changes(seed, 4);
  draw_changes(plan, changes);
  Rng repeats(seed, 13);
  draw_repeats(plan, repeats);
  Rng stalls(seed, 7);
  draw_stalls(plan, stalls);
  Rng roots(seed, 6);
  draw_roots(plan, roots);
  Rng messages(seed, 8);
  draw_messages(plan, messages);
  Rng groups(seed, 10);
  draw_groups(plan, groups);
  Rng parts(seed, 9);
  draw_parts(plan, parts);
  draw_handshakes(plan, parts);
  Rng quotas(seed, 2);
  draw_quotas(plan, quotas);
  return plan;
}

}  // namespace farandole::sim
