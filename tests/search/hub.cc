#include "tests/search/hub.h"

#include "core/base/format.h"

namespace farandole::search {

using control::Actions;
using control::Coordinator;
using control::StateAccess;
using control::StateText;

namespace {

constexpr TimePoint kNow{std::chrono::seconds(1000)};
constexpr char kRankGone[] = "its control connection closed without a goodbye";
constexpr uint32_t kEventInput = 0xF0000000;

// Faults that have two halves: the second one is another number.
constexpr uint32_t kSecondHalf = 16;

}  // namespace

Hub::State Hub::State::copy() const {
  State to{StateAccess::copy(*coordinator), spec, open, ended, done};
  for (int rank = 0; rank < kRanks; ++rank)
    to.numbers[static_cast<size_t>(rank)] = StateAccess::last_out(*coordinator, rank);
  to.round = StateAccess::round(*coordinator);
  return to;
}

std::string Hub::text(const State& state) const {
  StateText out;
  state.spec.write(out);
  out << state.ended << state.coordinator->failed();
  // One that has given its verdict does nothing any more (check_inert).
  if (state.coordinator->failed() || state.ended)
    return out.bytes();
  StateAccess::write(out, *state.coordinator);
  for (const bool open : state.open) out << open;
  return (out << state.done).bytes();
}

Id Hub::add(State state) {
  const auto [it, fresh] = known_.try_emplace(text(state), states_.size());
  if (fresh)
    states_.push_back(std::move(state));
  return it->second;
}

Id Hub::start(const Coordinator& formed) {
  State state;
  state.coordinator = StateAccess::copy(formed);
  return add(std::move(state));
}

template <typename Make>
const HubStep& Hub::once(Id id, uint32_t input, Make make) {
  uint32_t& number = step_numbers_[uint64_t{id} << 32 | input];
  if (number != 0)
    return steps_[number - 1];
  HubStep& step = steps_.emplace_back();
  number = static_cast<uint32_t>(steps_.size());
  State next = states_[id].copy();
  make(next, step);
  if (next.coordinator->failed()) {
    step.deaf = {true, true, true};
    if (step.wrong.empty())
      step.wrong = check_inert(next);
  }
  step.next = add(std::move(next));
  step.nothing = step.next == id && step.sends.empty();
  return step;
}

const HubStep& Hub::frame(Id id, int from, Id frame) {
  return once(id, static_cast<uint32_t>(from) << 24 | frame, [&](State& state, HubStep& step) {
    if (scenario_.probe && frame != kEnd)
      step.wrong = probe_frames(state, from, frame);
    if (step.wrong.empty() && scenario_.probe)
      step.wrong = probe_quotas(state, from);
    if (step.wrong.empty())
      on_frame(state, from, frame, step);
  });
}

void Hub::on_frame(State& state, int from, Id frame, HubStep& step) {
  Coordinator& coordinator = *state.coordinator;
  if (frame == kEnd && from == 0)
    return end(state, step);
  if (frame == kEnd) {
    state.open[static_cast<size_t>(from)] = false;
    step.deaf[static_cast<size_t>(from)] = true;
    step.sends.emplace_back(from, kEnd);
    state.spec.loses(from);
    take(state, coordinator.on_lost(from, kRankGone), step);
    return;
  }
  state.spec.hears(from, frames_.body(frame));
  const uint64_t seq = StateAccess::next_in(coordinator, from);
  take(state, coordinator.on_frame(from, frames_.stamped(frame, seq), kNow), step);
}

// All its connections end.
void Hub::end(State& state, HubStep& step) const {
  state.ended = true;
  step.deaf = {true, true, true};
  for (int rank = 1; rank < kRanks; ++rank) step.sends.emplace_back(rank, kEnd);
}

bool Hub::concludes(const State& state) {
  return !state.ended && state.spec.gone(0) && !state.spec.verdict() &&
         state.coordinator->concluded();
}

const HubStep& Hub::event(Id id, HubEvent event, size_t fault) {
  const State& now = states_[id];
  if ((event == HubEvent::ConfirmTime && !now.coordinator->deadline()) ||
      (event == HubEvent::Conclude && !concludes(now)))
    return nothing_;
  const auto input = static_cast<uint32_t>(event) << 8 | static_cast<uint32_t>(fault);
  return once(id, kEventInput | input, [&](State& state, HubStep& step) {
    if (event == HubEvent::Flush)
      return take(state, state.coordinator->flush(), step);
    if (event == HubEvent::ConfirmTime) {
      state.spec.confirm_time_passes();
      return take(state, state.coordinator->tick(*state.coordinator->deadline()), step);
    }
    if (event == HubEvent::Conclude)
      return end(state, step);
    on_fault(state, scenario_.faults[fault], step);
    state.done |= (state.done >> fault & 1U) != 0 ? 1U << (fault + kSecondHalf) : 1U << fault;
  });
}

bool Hub::fault_enabled(Id id, size_t fault) const {
  const State& state = states_[id];
  const Fault& what = scenario_.faults[fault];
  if (state.spec.verdict())
    return false;
  if (what.kind == FaultKind::Busy)
    return (state.done >> (fault + kSecondHalf) & 1U) == 0;
  return (what.kind == FaultKind::Silent || what.kind == FaultKind::CutDown) &&
         (state.done >> fault & 1U) == 0 && state.open[static_cast<size_t>(what.rank)];
}

void Hub::on_fault(State& state, const Fault& fault, HubStep& step) {
  const size_t number = static_cast<size_t>(&fault - scenario_.faults.data());
  switch (fault.kind) {
    case FaultKind::Busy:
      state.coordinator->on_backlog((state.done >> number & 1U) != 0 ? 0 : 2);
      break;
    case FaultKind::CutDown:
      step.sends.emplace_back(fault.rank, kEnd);
      break;
    case FaultKind::Silent:
      state.spec.hears_nothing_of(fault.rank);
      take(state, state.coordinator->on_silent(fault.rank, kSilent), step);
      break;
    default:
      break;
  }
}

void Hub::take(State& state, Actions actions, HubStep& step) {
  std::vector<CoordinatorSpec::Said> said;
  PerRank<uint64_t> numbers = state.numbers, rounds;
  rounds.fill(state.round);
  for (const control::Action& action : actions) {
    if (const auto* close = std::get_if<control::CloseRank>(&action)) {
      const auto rank = static_cast<size_t>(close->rank);
      state.open[rank] = false;
      step.deaf[rank] = true;
      step.sends.emplace_back(close->rank, kEnd);
    } else if (const auto* send = std::get_if<control::SendTo>(&action)) {
      const Frames::Added added = frames_.add(send->bytes);
      const auto rank = static_cast<size_t>(send->rank);
      if (added.seq != ++numbers[rank] && step.wrong.empty())
        step.wrong = fmt::format("I3: frame {} where {} is next", added.seq, numbers[rank]);
      if (added.round != 0 && added.round != ++rounds[rank] && step.wrong.empty())
        step.wrong = fmt::format("I3: round {} where {} is next", added.round, rounds[rank]);
      step.sends.emplace_back(send->rank, added.frame);
    }
  }
  for (const auto& [rank, frame] : step.sends)
    if (frame != kEnd)
      said.push_back({rank, &frames_.body(frame)});
  if (step.wrong.empty())
    step.wrong = state.spec.said(said);
}

// Whatever comes after a verdict changes nothing.
std::string Hub::check_inert(const State& state) const {
  const auto quiet = [](const Actions& actions) { return actions.empty(); };
  bool inert = quiet(StateAccess::copy(*state.coordinator)->flush()) &&
               !state.coordinator->deadline().has_value();
  for (int rank = 0; rank < kRanks; ++rank) {
    const auto copy = StateAccess::copy(*state.coordinator);
    const control::Envelope envelope{
        .epoch = 1,
        .job = Scenario::kJob,
        .incarnation = Scenario::incarnation(rank),
        .seq = StateAccess::next_in(*copy, rank)};
    inert = inert && quiet(copy->on_frame(rank, encode(envelope, control::Leave{}), kNow)) &&
            quiet(copy->on_lost(rank, kRankGone));
  }
  return inert ? "" : "I14: a coordinator that has given its verdict goes on";
}

// Frames that must change nothing: sent twice, of another job, epoch or process. Invariant I8.
std::string Hub::probe_frames(const State& state, int from, Id frame) const {
  const uint64_t seq = StateAccess::next_in(*state.coordinator, from);
  control::Envelope own = frames_.envelope(frame);
  own.seq = seq;
  control::Envelope job = own, epoch = own, incarnation = own, replay = own;
  ++job.job;
  ++epoch.epoch;
  ++incarnation.incarnation;
  --replay.seq;
  const auto before = text(state);
  for (const control::Envelope& forged : {job, epoch, incarnation, replay}) {
    State copy = state.copy();
    const Bytes bytes = frames_.stamped(frame, forged);
    if (!copy.coordinator->on_frame(from, bytes, kNow).empty() || text(copy) != before)
      return fmt::format("I8: a forged or repeated frame counts: {}", frames_.text(frame));
  }
  return "";
}

// A rank that announces or publishes more than it may is blamed, and not before. Invariant I12.
std::string Hub::probe_quotas(const State& state, int from) const {
  if (state.coordinator->failed() || state.spec.gone(from) || state.spec.gone(0) ||
      state.spec.joined(from))
    return "";
  control::Envelope envelope{
      .epoch = 1,
      .job = Scenario::kJob,
      .incarnation = scenario_.incarnation(from),
      .seq = StateAccess::next_in(*state.coordinator, from)};
  State copy = state.copy();
  size_t accepted = 0;
  for (; accepted <= scenario_.limits.max_pending; ++accepted, ++envelope.seq) {
    control::Announce greedy;
    greedy.full.push_back({fmt::format("greedy{}", accepted), {}});
    copy.coordinator->on_frame(from, encode(envelope, greedy), kNow);
    if (copy.coordinator->failed())
      break;
  }
  const size_t most = scenario_.limits.max_pending;
  if (accepted > most || accepted < most - state.spec.waiting(from))
    return fmt::format("I12: a rank may announce {} more tensors at once", accepted);
  copy = state.copy();
  const control::StoreSet large{99, "large", Bytes(scenario_.limits.store_bytes)};
  copy.coordinator->on_frame(from, encode(envelope, large), kNow);
  return copy.coordinator->failed() ? "" : "I12: a rank may publish more than its quota";
}

}  // namespace farandole::search
