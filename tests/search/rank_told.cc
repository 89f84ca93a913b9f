// What a rank is told, and what may be told to it.

#include <utility>

#include "core/base/format.h"
#include "tests/search/rank.h"

namespace farandole::search {

using control::Actions;
using control::Round;
using control::StateAccess;

void Rank::take(State& state, Actions actions, RankStep& step, const control::Message* cause) {
  for (const control::Action& action : actions) {
    if (const auto* send = std::get_if<control::SendTo>(&action)) {
      const Frames::Added added = frames_.add(send->bytes);
      if (added.seq != ++state.number)
        step.wrong = fmt::format("I3: frame {} where {} is next", added.seq, state.number);
      step.sends.push_back(added.frame);
    } else if (const auto* agreed = std::get_if<control::Deliver>(&action)) {
      deliver(state, agreed->agreement, step, cause);
    } else if (const auto* failed = std::get_if<control::Fail>(&action)) {
      hear(state, failed->failure, step);
    } else if (std::holds_alternative<control::StoreReply>(action)) {
      if (std::exchange(state.store_answered, true))
        step.wrong = "I5: a store request is answered twice";
    } else {
      step.wrong = "it takes an honest coordinator for a broken one";
    }
  }
}

// The op that an answer for this name is for.
std::optional<size_t> Rank::in_flight(
    const State& state, uint32_t process_set, const std::string& name) const {
  for (size_t a = 0; a < acts_.size(); ++a) {
    if (acts_[a].kind != OwnAct::Kind::Submit || (state.done >> a & 1U) == 0)
      continue;
    const size_t op = acts_[a].number;
    if (scenario_.ops[op].name == name && scenario_.ops[op].process_set == process_set &&
        (state.answered >> op & 1U) == 0)
      return op;
  }
  return std::nullopt;
}

void Rank::deliver(
    State& state, const Agreement& agreement, RankStep& step, const control::Message* cause) {
  if (state.verdict)
    step.wrong = "I14: an agreement after the verdict";
  if (agreement.epoch != 1)
    step.wrong = fmt::format("I1: an agreement of epoch {}", agreement.epoch);
  const bool by_round = cause != nullptr && std::holds_alternative<Round>(*cause);
  for (const ReadyOp& op : agreement.ready) {
    if (!by_round)
      step.wrong = "I4: a rank agrees with itself";
    answer_ready(state, op, step);
    state.history.push_back(fmt::format(
        "{}/{} ready {} of {}",
        op.process_set,
        op.name,
        fmt::join(op.extents, ","),
        op.stand_in ? op.stand_in->contributors : 0));
  }
  for (const Rejection& rejection : agreement.rejected) {
    const auto op = in_flight(state, rejection.process_set, rejection.name);
    if (!op)
      continue;
    state.answered |= 1U << *op;
    if (by_round)
      state.rejected[static_cast<uint32_t>(*op)] = rejection.why.to_string();
  }
}

void Rank::answer_ready(State& state, const ReadyOp& ready, RankStep& step) {
  if (!takes_part(ready.process_set, ready.name, rank_))
    return;
  const auto number = in_flight(state, ready.process_set, ready.name);
  if (!number) {
    const auto join = joined(state, ready.process_set);
    const bool stands_in = join && (state.answered >> *join & 1U) == 0;
    if (!stands_in)
      step.wrong = fmt::format("I4: \"{}\" is to run and was not submitted", ready.name);
    else if (!ready.stand_in)
      step.wrong = fmt::format("I4: \"{}\" is to run, and nobody knows what it is", ready.name);
    return;
  }
  state.answered |= 1U << *number;
  const Op& op = scenario_.ops[*number];
  // What the others have submitted the coordinator's specification knows.
  if (ready.stand_in || !is_carried(op.signature[at(rank_)].kind))
    return;
  const auto extents = agreed_extents(op.process_set, all_of(op.signature));
  if (!extents)
    step.wrong = fmt::format("I4: \"{}\" is to run although ranks disagree", ready.name);
  else if (*extents != ready.extents)
    step.wrong = fmt::format("I4: \"{}\" is to run with other extents", ready.name);
}

void Rank::hear(State& state, const PeerFailure& failure, RankStep& step) {
  if (state.verdict) {
    step.wrong = "I14: a second verdict";
    return;
  }
  if (failure.cause.find("broke the protocol") != std::string::npos)
    step.wrong = "an honest process is blamed: " + failure.cause;
  if (!failure.left) {
    state.verdict = failure;
    return;
  }
  const uint32_t bit = 1U << failure.rank;
  if ((state.told_left & bit) != 0)
    step.wrong = fmt::format("I14: rank {} leaves twice", failure.rank);
  state.told_left |= bit;
  if (!scenario_.has(FaultKind::Leave, failure.rank))
    step.wrong = fmt::format("I14: rank {} has not left", failure.rank);
  if (failure.rank == rank_ || failure.rank == 0)
    check_orphan(state, step);
}

// Whatever it still submits is rejected at once.
void Rank::check_orphan(const State& state, RankStep& step) const {
  const auto copy = StateAccess::copy(*state.worker);
  const Actions actions = copy->announce({{"late", {}}});
  const auto* answer = actions.empty() ? nullptr : std::get_if<control::Deliver>(&actions[0]);
  if (answer == nullptr || answer->agreement.rejected.size() != 1)
    step.wrong = "I5: what is submitted after a goodbye is not answered";
}

// Who gives rank 0 up says so first: else it would be taken for lost itself.
std::string Rank::probe_farewell(const State& state) const {
  const auto copy = StateAccess::copy(*state.worker);
  if (!StateAccess::active(*copy) || scenario_.has(FaultKind::Leave, rank_))
    return "";
  for (const control::Action& action : copy->on_silent("silent"))
    if (const auto* send = std::get_if<control::SendTo>(&action))
      if (std::holds_alternative<control::Report>(
              decode(send->bytes, scenario_.limits).value().body))
        return "";
  return "I14: a rank goes without saying that it gives rank 0 up";
}

// After a verdict the worker says nothing, listens to nothing, and answers the store's requests.
std::string Rank::probe_end(const State& state) const {
  const auto copy = StateAccess::copy(*state.worker);
  const control::Envelope envelope{
      .epoch = 1,
      .job = Scenario::kJob,
      .incarnation = Scenario::incarnation(0),
      .seq = StateAccess::next_in(*copy)};
  const control::Failure again{{.rank = 0, .cause = "again"}};
  if (!copy->on_frame(encode(envelope, again)).empty() || !copy->on_lost("again").empty() ||
      !copy->announce({{"late", {}}}).empty())
    return "I14: a worker goes on after the verdict";
  if (store_pending(state) && !state.store_answered)
    return "I5: a store request is not answered when the job fails";
  const Actions actions = copy->store_get(99, "key");
  if (actions.size() != 1 || !std::holds_alternative<control::StoreReply>(actions[0]))
    return "I5: a store request is not answered after the job has failed";
  return "";
}

// Frames that must change nothing (invariant I8), and a round too many, which must not be taken.
std::string Rank::probe_frame(const State& state, Id frame) const {
  control::Envelope own = frames_.envelope(frame);
  own.seq = StateAccess::next_in(*state.worker);
  const uint64_t number = StateAccess::round(*state.worker) + 1;
  control::Envelope job = own, epoch = own, incarnation = own, replay = own;
  ++job.job;
  ++epoch.epoch;
  ++incarnation.incarnation;
  --replay.seq;
  const std::string before = text(state);
  for (const control::Envelope& forged : {job, epoch, incarnation, replay}) {
    const State copy = state.copy();
    const Bytes bytes = frames_.stamped(frame, forged, number);
    if (!copy.worker->on_frame(bytes).empty() || text(copy) != before)
      return fmt::format("I8: a forged or repeated frame counts: {}", frames_.text(frame));
  }
  const auto* round = std::get_if<Round>(&frames_.body(frame));
  if (round == nullptr || !StateAccess::active(*state.worker))
    return "";
  const State copy = state.copy();
  for (const control::Action& action :
       copy.worker->on_frame(frames_.stamped(frame, own, number + 1)))
    if (std::holds_alternative<control::Deliver>(action))
      return "I3: a round is carried out although one is missing before it";
  return "";
}

}  // namespace farandole::search
