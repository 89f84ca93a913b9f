// Engine: joins, and process sets that come and go.

#include <atomic>
#include <memory>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/engine.h"
#include "core/request_check.h"

namespace farandole {

Status Engine::refusal(const PendingOp& op, const GroupTable::GroupPtr& group) const {
  const Signature& s = op.request.signature;
  const std::string what = describe(s.kind, op.request.name);
  if (!group) {
    const Status why = parts_.groups->missing(s.process_set);
    return error(why.code(), "{}: {}", what, why.message());
  }
  if (!group->joined)
    return Status::ok();
  return error(
      Code::InvalidArgument,
      "{}: this rank has joined process set {} and waits for the others; wait for the join first",
      what,
      s.process_set);
}

// What this rank has submitted, or stands in for; nothing where it has no part in it.
std::optional<ReadyTensor> Engine::take(ReadyOp& item, TimePoint when, uint64_t round) {
  std::optional<PendingOp> op = pending_.take(item.process_set, item.name);
  const uint32_t contributors = item.stand_in ? item.stand_in->contributors : 0;
  if (op) {
    parts_.emitter->emit(
        {.kind = EventKind::Agreed,
         .when = when,
         .name = item.name,
         .number = round,
         .mark = op->mark});
    return ReadyTensor{std::move(*op), std::move(item.extents), contributors};
  }
  const GroupTable::GroupPtr group = parts_.groups->find(item.process_set);
  if (!item.stand_in || !group || !group->joined)
    return std::nullopt;
  Request request{.name = std::move(item.name), .signature = std::move(item.stand_in->signature)};
  Signature& s = request.signature;
  s.process_set = item.process_set;
  if (s.kind == CollectiveKind::Scatter)
    s = of_receiver(s);
  const bool ragged = gathers(s.kind) || s.kind == CollectiveKind::Alltoall;
  if (ragged && !s.shape.empty())  // else it fits no extents, as the executor finds
    s.shape.front() = 0;
  if (s.kind == CollectiveKind::Alltoall)
    s.splits.assign(group->members.size(), 0);
  return ReadyTensor{{std::move(request), nullptr}, std::move(item.extents), contributors};
}

void Engine::carry_out(ReadyTensor changed) {
  const Signature& s = changed.op.request.signature;
  const int64_t value = changed.extents.empty() ? -1 : changed.extents.front();
  if (s.kind == CollectiveKind::AddProcessSet)
    return add_set(std::move(changed.op), value);
  if (s.kind == CollectiveKind::RemoveProcessSet)
    return remove_set(std::move(changed.op));
  FARANDOLE_FAILPOINT("engine_sets.join");
  const GroupTable::GroupPtr group = parts_.groups->find(s.process_set);
  group->joined = false;
  group->names.restart();
  Outcome outcome;
  outcome.value = value;
  settle_behind(group, std::move(changed.op), std::move(outcome), false);
}

void Engine::add_set(PendingOp op, int64_t id) {
  FARANDOLE_FAILPOINT("engine_sets.add");
  if (!parts_.groups->is_new(id))
    return parts_.completion->settle(
        std::move(op),
        error(
            Code::PeerLost,
            "rank 0 broke the protocol: it gave a new process set the number {}",
            id)
            .blame(0));
  const std::vector<int64_t>& ranks = op.request.signature.operand;
  parts_.groups->add(
      parts_.make_group(static_cast<uint32_t>(id), std::vector<int>(ranks.begin(), ranks.end())));
  Outcome outcome;
  outcome.value = id;
  parts_.completion->settle(std::move(op), Status::ok(), std::move(outcome));
}

void Engine::remove_set(PendingOp op) {
  FARANDOLE_FAILPOINT("engine_sets.remove");
  const auto id = static_cast<uint32_t>(op.request.signature.operand.at(0));
  const GroupTable::GroupPtr group = parts_.groups->retire(id);
  // The coordinator refuses what it gets later; nobody needs to wait for that.
  for (PendingOp& late : pending_.take_all_of(id)) {
    Status why = refusal(late, nullptr);
    parts_.completion->settle(std::move(late), std::move(why));
  }
  if (group && group->included())
    return settle_behind(group, std::move(op), {}, true);
  parts_.groups->forget(id);
  parts_.completion->settle(std::move(op), Status::ok());
}

namespace {

// What waits for several lanes.
struct Behind {
  PendingOp op;
  Outcome outcome;
  std::atomic<size_t> lanes;
};

}  // namespace

// Once the set's lanes have carried out what they have; where one could not, with the job's
// verdict. `retire`: and have given back their communicators, after which the set is forgotten.
void Engine::settle_behind(
    const GroupTable::GroupPtr& group, PendingOp op, Outcome outcome, bool retire) {
  std::vector<Group*> used;
  for (const GroupTable::GroupPtr& one : parts_.groups->all_of(group))
    if (one->lane->used())
      used.push_back(one.get());
  if (used.empty()) {
    if (retire)
      parts_.groups->forget(group->id);
    return parts_.completion->settle(std::move(op), Status::ok(), std::move(outcome));
  }
  const std::shared_ptr<Behind> behind(
      new Behind{std::move(op), std::move(outcome), {used.size()}});
  for (Group* one : used)
    one->lane->post([this, one, behind, retire] {
      if (retire)
        one->executor->retire();
      if (--behind->lanes > 0)
        return;
      if (retire)
        parts_.post(message::Retired{one->id});
      if (!any_unsettled_)
        return parts_.completion->settle(
            std::move(behind->op), Status::ok(), std::move(behind->outcome));
      Bucket bucket;
      bucket.push_back({std::move(behind->op), {}});
      parts_.post(message::Broken{
          std::move(bucket), {Code::PeerLost, "a collective before it did not finish"}});
    });
}

void Engine::on(message::Retired retired) {
  parts_.groups->forget(retired.process_set);
}

}  // namespace farandole
