#include "tests/search/rank.h"

#include <algorithm>
#include <utility>

#include "core/base/format.h"

namespace farandole::search {

using control::Actions;
using control::StateAccess;
using control::StateText;
using control::Worker;

namespace {

constexpr char kCoordinatorGone[] = "its control connection closed";
constexpr char kKey[] = "address";
constexpr uint32_t kActInput = 0xF0000000;
// What is known of whether a frame commutes; all have the first bit.
constexpr uint32_t kAsked = 1, kYes = 3, kNo = 5;

bool is_of_worker(FaultKind kind) {
  return kind == FaultKind::Kill || kind == FaultKind::CutUp || kind == FaultKind::GiveUp ||
         kind == FaultKind::Leave || kind == FaultKind::Accuse;
}

}  // namespace

Rank::State Rank::State::copy() const {
  return {
      worker ? StateAccess::copy(*worker) : nullptr,
      life,
      connected,
      done,
      answered,
      told_left,
      store_answered,
      verdict,
      history,
      rejected,
      worker ? StateAccess::last_out(*worker) : 0};
}

Rank::Rank(int rank, const Scenario& scenario, Frames& frames)
    : rank_(rank), scenario_(scenario), frames_(frames) {
  for (uint32_t op = 0; op < scenario.ops.size(); ++op)
    if (submits(scenario.ops[op], rank))
      acts_.push_back({OwnAct::Kind::Submit, op});
  submits_ = (1U << acts_.size()) - 1;
  for (uint32_t fault = 0; fault < scenario.faults.size(); ++fault)
    if (scenario.faults[fault].rank == rank && is_of_worker(scenario.faults[fault].kind))
      acts_.push_back({OwnAct::Kind::Fault, fault});
  if (scenario.has(FaultKind::Leave, rank) || scenario.has(FaultKind::Leave, 0))
    acts_.push_back({OwnAct::Kind::Finish});
  // Rank 0's process goes on as coordinator (HubEvent::Conclude).
  if (scenario.has(FaultKind::Leave, rank) && rank != 0)
    acts_.push_back({OwnAct::Kind::Stop});
  if (scenario.store && rank == 1)
    acts_.push_back({OwnAct::Kind::StoreGet});
  if (scenario.store && rank == 2)
    acts_.push_back({OwnAct::Kind::StoreSet});
}

std::string Rank::text(const State& state) const {
  StateText out;
  out << state.life;
  for (const std::string& line : state.history) out << std::string_view(line);
  for (const auto& [op, why] : state.rejected) out << op << std::string_view(why);
  if (!state.worker)
    return out.bytes();
  out << state.verdict.has_value() << (state.done & ~submits_);
  if (state.verdict)  // nothing more comes of it (probe_end)
    return (out << state.told_left).message(control::Report{*state.verdict}).bytes();
  out << state.done << state.connected << state.answered << state.told_left << state.store_answered;
  StateAccess::write(out, *state.worker);
  return out.bytes();
}

Id Rank::add(State state) {
  const auto [it, fresh] = known_.try_emplace(text(state), states_.size());
  if (!fresh)
    return it->second;
  uint32_t enabled = 0;
  for (size_t act = 0; act < acts_.size(); ++act) enabled |= can_act(state, act) ? 1U << act : 0;
  enabled_.push_back(enabled);
  states_.push_back(std::move(state));
  return it->second;
}

Id Rank::start(const Worker& formed) {
  State state;
  state.worker = StateAccess::copy(formed);
  return add(std::move(state));
}

template <typename Make>
const RankStep& Rank::once(Id id, uint32_t input, Make make) {
  uint32_t& number = step_numbers_[uint64_t{id} << 32 | input];
  if (number != 0)
    return steps_[number - 1];
  RankStep& step = steps_.emplace_back();
  number = static_cast<uint32_t>(steps_.size());
  State next = states_[id].copy();
  make(next, step);
  if (next.verdict && next.worker) {
    step.deaf = true;
    if (step.wrong.empty())
      step.wrong = probe_end(next);
  }
  step.next = add(std::move(next));
  return step;
}

const RankStep& Rank::frame(Id id, Id frame) {
  return once(id, frame, [&](State& state, RankStep& step) {
    if (frame == kEnd) {
      step.deaf = true;
      close(state, step);
      return take(state, state.worker->on_lost(kCoordinatorGone), step, nullptr);
    }
    if (scenario_.probe)
      step.wrong = probe_frame(state, frame);
    const Bytes bytes = frames_.stamped(
        frame, StateAccess::next_in(*state.worker), StateAccess::round(*state.worker) + 1);
    if (step.wrong.empty())
      take(state, state.worker->on_frame(bytes), step, &frames_.body(frame));
  });
}

// Rank 0 has no connection to close: its own coordinator goes on reading, as long as it is up.
void Rank::close(State& state, RankStep& step) {
  if (rank_ == 0 || !std::exchange(state.connected, false))
    return;
  step.sends.push_back(kEnd);
  step.deaf = true;
}

void Rank::go(State& state, Life to, RankStep& step) {
  if (std::exchange(state.connected, false))
    step.sends.push_back(kEnd);
  step.deaf = true;
  state.life = to;
  state.worker.reset();
}

bool Rank::can(const State& state, FaultKind kind) const {
  switch (kind) {
    case FaultKind::GiveUp:
    case FaultKind::CutUp:
      return state.connected;
    default:
      return true;
  }
}

bool Rank::can_act(const State& state, size_t act) const {
  if (state.life != Life::Up || state.verdict || (state.done >> act & 1U) != 0)
    return false;
  switch (acts_[act].kind) {
    case OwnAct::Kind::Submit: {
      // As an engine: none after its own goodbye, nor when it knows that a rank has left.
      const int after = scenario_.ops[acts_[act].number].after;
      if (const auto join = joined(state, scenario_.ops[acts_[act].number].process_set);
          join && after != static_cast<int>(*join))
        return false;
      if (!knows(state, scenario_.ops[acts_[act].number].process_set))
        return false;
      for (const OwnAct& earlier : acts_)
        if (earlier.kind == OwnAct::Kind::Submit &&
            (scenario_.ops[acts_[act].number].ends >> earlier.number & 1U) != 0 &&
            (state.answered >> earlier.number & 1U) == 0)
          return false;
      return !told_of_a_leaver(state, scenario_.ops[acts_[act].number].process_set) &&
             !did(state, FaultKind::Leave) && (after < 0 || (state.answered >> after & 1) != 0);
    }
    case OwnAct::Kind::Fault:
      return can(state, scenario_.faults[acts_[act].number].kind);
    case OwnAct::Kind::Finish:
      return StateAccess::orphaned(*state.worker);
    case OwnAct::Kind::Stop:
      return (state.told_left >> rank_ & 1U) != 0 && StateAccess::finished(*state.worker);
    case OwnAct::Kind::StoreGet:
    case OwnAct::Kind::StoreSet:
      return !StateAccess::finished(*state.worker);
    default:
      return true;
  }
}

const RankStep& Rank::act(Id id, size_t act) {
  return once(id, kActInput | static_cast<uint32_t>(act), [&](State& state, RankStep& step) {
    state.done |= 1U << act;
    const uint32_t number = acts_[act].number;
    switch (acts_[act].kind) {
      case OwnAct::Kind::Submit: {
        const Op& op = scenario_.ops[number];
        const Signature& own = op.signature[static_cast<size_t>(rank_)];
        return take(state, state.worker->announce({{op.name, own}}), step, nullptr);
      }
      case OwnAct::Kind::Fault:
        return on_fault(state, scenario_.faults[number], step);
      case OwnAct::Kind::Finish:
        return take(state, state.worker->finished(), step, nullptr);
      case OwnAct::Kind::Stop:
        return go(state, Life::Stopped, step);
      case OwnAct::Kind::StoreGet:
        return take(state, state.worker->store_get(1, kKey), step, nullptr);
      case OwnAct::Kind::StoreSet:
        return take(state, state.worker->store_set(1, kKey, {1, 2, 3}), step, nullptr);
    }
  });
}

void Rank::on_fault(State& state, const Fault& fault, RankStep& step) {
  switch (fault.kind) {
    case FaultKind::Kill:
      go(state, Life::Killed, step);
      break;
    case FaultKind::CutUp:  // it does not know
      step.sends.push_back(kEnd);
      break;
    case FaultKind::GiveUp:
      step.wrong = probe_farewell(state);
      take(state, state.worker->on_silent(kSilent), step, nullptr);
      close(state, step);
      break;
    case FaultKind::Leave:
      take(state, state.worker->leave(), step, nullptr);
      break;
    default:
      take(
          state,
          state.worker->report({.rank = fault.other, .cause = "no byte in 10 s"}),
          step,
          nullptr);
  }
}

bool Rank::commutes(Id id, Id frame) {
  const uint64_t key = uint64_t{id} << 32 | frame;
  if (const uint32_t known = commutes_[key] |= kAsked; known != kAsked)
    return known == kYes;
  const RankStep& read = this->frame(id, frame);
  bool yes = read.sends.empty() && !read.deaf && read.wrong.empty();
  for (size_t a = 0; enabled(id) >> a != 0 && yes; ++a) {
    if ((enabled(id) >> a & 1U) == 0)
      continue;
    const RankStep& first = act(id, a);
    if (first.deaf || (enabled(read.next) >> a & 1U) == 0 || !first.wrong.empty()) {
      yes = false;
      break;
    }
    const RankStep& then = act(read.next, a);
    const RankStep& other = this->frame(first.next, frame);
    yes = then.next == other.next && then.sends == first.sends && then.deaf == first.deaf &&
          commutes(first.next, frame);
  }
  commutes_[key] = yes ? kYes : kNo;
  return yes;
}

bool Rank::did(const State& state, FaultKind kind) const {
  for (size_t a = 0; a < acts_.size(); ++a)
    if (acts_[a].kind == OwnAct::Kind::Fault && scenario_.faults[acts_[a].number].kind == kind &&
        (state.done >> a & 1U) != 0)
      return true;
  return false;
}

// Whether a rank of the set, or the coordinator's, has left, as it was told.
bool Rank::told_of_a_leaver(const State& state, uint32_t process_set) {
  for (int rank = 0; rank < kRanks; ++rank)
    if ((state.told_left >> rank & 1U) != 0 && (rank == 0 || is_member(process_set, rank)))
      return true;
  return false;
}

// Whether it has been told of the set, or had it from the start.
bool Rank::knows(const State& state, uint32_t process_set) const {
  const std::string told = fmt::format(" ready {} of ", process_set);
  return process_set < kFirstAdded ||
         std::ranges::any_of(state.history, [&](const std::string& line) {
           return line.starts_with("0/+") && line.find(told) != std::string::npos;
         });
}

// Its join of this set, where it has submitted that: nothing but what comes after it follows.
std::optional<size_t> Rank::joined(const State& state, uint32_t process_set) const {
  for (size_t a = 0; a < acts_.size(); ++a)
    if (const size_t op = acts_[a].number;
        acts_[a].kind == OwnAct::Kind::Submit && scenario_.ops[op].name.empty() &&
        scenario_.ops[op].process_set == process_set && (state.done >> a & 1U) != 0)
      return op;
  return std::nullopt;
}

bool Rank::submitted(Id id, size_t op) const {
  for (size_t a = 0; a < acts_.size(); ++a)
    if (acts_[a].kind == OwnAct::Kind::Submit && acts_[a].number == op)
      return (states_[id].done >> a & 1U) != 0;
  return false;
}

bool Rank::store_pending(const State& state) const {
  for (size_t a = 0; a < acts_.size(); ++a)
    if (acts_[a].kind == OwnAct::Kind::StoreGet || acts_[a].kind == OwnAct::Kind::StoreSet)
      return (state.done >> a & 1U) != 0;
  return false;
}

std::string Rank::describe(size_t act) const {
  const uint32_t number = acts_[act].number;
  switch (acts_[act].kind) {
    case OwnAct::Kind::Submit:
      return fmt::format("rank {} submits {}", rank_, scenario_.ops[number].name);
    case OwnAct::Kind::Fault:
      return fmt::format("rank {}: fault {}", rank_, number + 1);
    case OwnAct::Kind::Finish:
      return fmt::format("rank {} has carried out everything", rank_);
    case OwnAct::Kind::Stop:
      return fmt::format("rank {} stops", rank_);
    case OwnAct::Kind::StoreGet:
      return fmt::format("rank {} waits for a store key", rank_);
    case OwnAct::Kind::StoreSet:
      return fmt::format("rank {} sets a store key", rank_);
  }
  return "";
}

}  // namespace farandole::search
