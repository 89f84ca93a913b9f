#include "tests/sim/plan.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "core/base/format.h"
#include "tests/sim/rng.h"
#include "tests/support/way_of_name.h"

namespace farandole::sim {
namespace {

int64_t ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

int64_t us(Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

void make_misfit(Signature& s, int how, int size) {
  if (s.kind == CollectiveKind::AddProcessSet) {
    s.operand = {s.operand == std::vector<int64_t>{0} ? 1 : 0};
    return;
  }
  if (s.kind == CollectiveKind::Message) {
    s.shape.push_back(2);
    return;
  }
  switch (how % 5) {
    case 0:
      s.shape.push_back(2);
      break;
    case 1:
      s.dtype = DType::Float64;
      break;
    case 2:
      s.kind = s.kind == CollectiveKind::Allreduce ? CollectiveKind::Broadcast
                                                   : CollectiveKind::Allreduce;
      s.splits.clear();
      break;
    case 3:
      if (!s.shape.empty() && s.shape.size() > 1)
        s.shape.back() += 1;
      else
        s.dtype = DType::Int32;
      break;
    default:
      if (has_root(s.kind))
        s.root = (s.root + 1) % size;
      else if (s.kind == CollectiveKind::Allreduce)
        s.reduce = ReduceOp::Max;
      else
        s.dtype = DType::Int64;
  }
}

const char* name_of(Isolation how) noexcept {
  switch (how) {
    case Isolation::In:
      return "of what comes in";
    case Isolation::Out:
      return "of what goes out";
    default:
      return "both ways";
  }
}

std::string text_of(const StoreUse& use) {
  return fmt::format(
      "step {}: rank {} {} \"{}\"\n",
      use.step,
      use.rank,
      use.kind == StoreUse::Kind::Set   ? "sets"
      : use.kind == StoreUse::Kind::Get ? "gets"
                                        : "gets and gives up",
      use.key);
}

std::string text_of(const Plan& plan, size_t rank) {
  const Habit& habit = plan.habits[rank];
  std::string text = fmt::format(
      "rank {} starts at {} ms{}{}{}{}",
      rank,
      ms(habit.start),
      habit.never ? " (never)" : "",
      habit.other_settings ? " with other settings" : "",
      habit.other_job ? " for another job" : "",
      habit.other_size ? " for a job of another size" : "");
  if (habit.leave_after >= 0)
    text += fmt::format(", leaves after step {}", habit.leave_after);
  if (plan.joins && habit.join_after >= 0)
    text += fmt::format(", joins after step {}", habit.join_after);
  return text + '\n';
}

}  // namespace

const char* name_of(Fault::Kind kind) noexcept {
  constexpr std::array<const char*, kFaultKinds> kNames = {
      "kill",
      "doom",
      "leave",
      "vanish",
      "late-end",
      "stop",
      "block",
      "cut",
      "reset",
      "jump",
      "stale",
      "respawn",
      "half-reset",
      "data-reset",
      "twin",
      "isolate"};
  return kNames[static_cast<size_t>(kind)];
}

Isolation isolation_of(const Fault& fault) noexcept {
  return static_cast<Isolation>(fault.actions % kIsolations);
}

bool Plan::share_host(int a, int b) const {
  return a == b ||
         (!hosts.empty() && hosts.at(static_cast<size_t>(a)) == hosts.at(static_cast<size_t>(b)));
}

std::vector<int> Plan::members(uint32_t process_set) const {
  if (process_set != 0) {
    const auto found = process_sets.find(process_set);
    return found == process_sets.end() ? std::vector<int>() : found->second;
  }
  std::vector<int> all(static_cast<size_t>(size));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::vector<int> Plan::members(uint32_t process_set, const std::string& name) const {
  const Way way = testing::way_of_name(name);
  return way.any() ? std::vector<int>{way.low(), way.high()} : members(process_set);
}

const Op* Plan::adding(const std::string& name) const {
  const auto found = std::ranges::find_if(ops, [&](const Op& op) {
    return op.name == name && op.signature.kind == CollectiveKind::AddProcessSet;
  });
  return found == ops.end() ? nullptr : &*found;
}

Duration Plan::calm() const {
  Duration last{};
  for (const Fault& fault : faults) last = std::max(last, fault.at + fault.length);
  for (const Habit& habit : habits) last = std::max(last, habit.start);
  return last;
}

Signature signature_of(const Plan& plan, const Op& op, int rank) {
  Signature s = op.signature;
  Rng random(plan.seed, mix(static_cast<uint64_t>(rank) * 1000 + static_cast<uint64_t>(op.step)));
  if (gathers(s.kind) && op.ragged)
    s.shape[0] = random.between(0, 5);
  if (s.kind == CollectiveKind::Alltoall || s.kind == CollectiveKind::Scatter) {
    s.splits.clear();
    for (size_t i = 0; i < plan.members(s.process_set).size(); ++i)
      s.splits.push_back(op.ragged ? random.between(0, 3) : 2);
    s.shape[0] = std::accumulate(s.splits.begin(), s.splits.end(), int64_t{0});
  }
  if (s.kind == CollectiveKind::Scatter && s.root != rank)
    s = of_receiver(s);
  if (s.kind == CollectiveKind::Message && s.root != rank)
    s = of_receiver(s, op.ragged);
  if (op.misfit == rank)
    make_misfit(s, op.misfit_how, plan.size);
  return s;
}

std::string to_string(const Fault& fault) {
  std::string text =
      fmt::format("{:>8} ms  {} rank {}", ms(fault.at), name_of(fault.kind), fault.rank);
  if (fault.kind == Fault::Kind::Block)
    text += fmt::format(" -> rank {}", fault.other);
  if (fault.kind == Fault::Kind::Cut || fault.kind == Fault::Kind::Reset ||
      fault.kind == Fault::Kind::HalfReset || fault.kind == Fault::Kind::DataReset)
    text += fmt::format(" <-> rank {}", fault.other);
  if (fault.kind == Fault::Kind::HalfReset && fault.actions % 2 == 1)
    text += ", the newest connection";
  if (fault.kind == Fault::Kind::Twin)
    text += fmt::format(", manner {}", fault.actions % 3);
  if (fault.kind == Fault::Kind::Isolate)
    text += fmt::format("'s host, {}", name_of(isolation_of(fault)));
  if (fault.kind == Fault::Kind::Doom)
    text += fmt::format(" after {} actions", fault.actions);
  if (fault.length > Duration(0))
    text += fmt::format(" for {} ms", ms(fault.length));
  return text;
}

std::string to_string(const Plan& plan) {
  std::string text = fmt::format(
      "{} ranks on hosts {}; cache {}, fusion {}, frame {}, pending {}, store {}, queue {}, kernel "
      "{}\n"
      "beats {} ms, dead {} ms, start {} ms, shutdown {} ms, data {} ms, handshake {} ms; "
      "delay {}..{} us, retry {} us, slowness {} us, think {} us\n"
      "waits are told after {} ms and end the job after {} ms (0: never), answers take {} ms\n"
      "{} steps, {} at once{}{}{}\n",
      plan.size,
      fmt::join(plan.hosts, ","),
      plan.cache_capacity,
      plan.fusion_bytes,
      plan.max_frame_bytes,
      plan.max_pending,
      plan.store_bytes,
      plan.send_queue_bytes,
      plan.capacity,
      ms(plan.heartbeat_interval),
      ms(plan.heartbeat_timeout),
      ms(plan.start_timeout),
      ms(plan.shutdown_timeout),
      ms(plan.data_timeout),
      ms(plan.handshake_timeout),
      us(plan.delay_least),
      us(plan.delay_most),
      us(plan.retry),
      us(plan.slowness),
      us(plan.think),
      ms(plan.stall_report),
      ms(plan.stall_abort),
      ms(plan.answer),
      plan.steps,
      plan.depth,
      plan.hand_off ? ", engine on its own loop" : "",
      plan.fails_on_leave ? ", all ends when a rank leaves" : "",
      plan.joins ? ", then all join" : "");
  for (const auto& [id, members] : plan.process_sets)
    text += fmt::format("process set {}: {}\n", id, fmt::join(members, ","));
  for (size_t rank = 0; rank < plan.habits.size(); ++rank) text += text_of(plan, rank);
  for (const Op& op : plan.ops) {
    const Signature& s = op.signature;
    text += fmt::format(
        "step {}: {}{} \"{}\" set {}{}",
        op.step,
        s.reduce == ReduceOp::Adasum ? "Adasum " : "",
        name_of(s.kind),
        op.name,
        s.process_set,
        op.ragged ? ", ragged" : "");
    if (!op.of_set.empty())
      text += fmt::format(" that \"{}\" adds", op.of_set);
    if (!s.operand.empty())
      text += fmt::format(" of ranks {}", fmt::join(s.operand, ","));
    if (op.misfit >= 0)
      text += fmt::format(", rank {} does not fit ({})", op.misfit, op.misfit_how % 5);
    if (op.absent >= 0)
      text += fmt::format(", rank {} never submits", op.absent);
    if (!op.by.empty())
      text += fmt::format(", of ranks {} alone", fmt::join(op.by, ","));
    text += '\n';
  }
  for (const StoreUse& use : plan.stores) text += text_of(use);
  for (const Fault& fault : plan.faults) text += to_string(fault) + '\n';
  return text;
}

}  // namespace farandole::sim
