#include "tests/sim/caller.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::sim {

using control::Key;

namespace {

// As no other request has it.
std::vector<uint8_t> value_of(int rank, uint64_t number) {
  std::vector<uint8_t> value(kStoreValueBytes);
  value[0] = static_cast<uint8_t>(rank);
  value[1] = static_cast<uint8_t>(number);
  return value;
}

}  // namespace

Caller::Caller(Parts parts)
    : parts_(std::move(parts)),
      random_(parts_.plan->seed, 0xCA11 + static_cast<uint64_t>(parts_.rank)),
      sets_(parts_.plan->process_sets) {}

void Caller::begin() {
  think();
}

// The engine shares the loop, or is told through it.
void Caller::hand_over(Task task) {
  if (parts_.plan->hand_off)
    parts_.process->post(std::move(task));
  else
    task();
}

void Caller::on_agreement(Agreement agreement) {
  if (!parts_.process->act())
    return;
  for (const auto& monitor : *parts_.monitors) monitor->on_agreement(parts_.rank, agreement);
  parts_.trace(fmt::format(
      "round {}: {} ready, {} rejected",
      agreement.round,
      agreement.ready.size(),
      agreement.rejected.size()));
  hand_over([this, agreement = std::move(agreement)] { handle(agreement); });
}

void Caller::on_failure(PeerFailure failure) {
  if (!parts_.process->act())
    return;
  for (const auto& monitor : *parts_.monitors)
    monitor->on_failure(parts_.rank, failure, parts_.process->true_now());
  parts_.trace(fmt::format(
      "hears: rank {} {}: {}", failure.rank, failure.left ? "left" : "lost", failure.cause));
  hand_over([this, failure = std::move(failure)] { handle(failure); });
}

void Caller::handle(const Agreement& agreement) {
  for (const Rejection& rejection : agreement.rejected) {
    const Key key{rejection.process_set, rejection.name};
    given_up_.erase(key);
    settle(key);
  }
  for (const ReadyOp& op : agreement.ready) {
    const Key key{op.process_set, op.name};
    if (!takes_part(key))
      continue;
    if (given_up_.erase(key) > 0 || closed_ || verdict_)
      continue;
    if (key.name.starts_with('+') || key.name.starts_with('-')) {
      change_sets(key, op);
      continue;
    }
    lanes_[lane_of(key)].queue.push_back(key);
    run(lane_of(key));
  }
  tell_backlog();
}

// Nothing follows, and everything is carried out.
void Caller::tell_finished() {
  if (!last_agreed_ || accused_ || verdict_ || closed_ || finished_told_)
    return;
  for (const auto& [set, lane] : lanes_)
    if (!lane.queue.empty())
      return;
  finished_told_ = true;
  parts_.trace("has finished");
  for (const auto& monitor : *parts_.monitors) monitor->on_finished(parts_.rank);
  parts_.driver().finished();
}

void Caller::handle(const PeerFailure& failure) {
  if (failure.left && (failure.rank == parts_.rank || failure.rank == 0)) {
    last_agreed_ = true;
    tell_finished();
  }
  if (failure.left && failure.rank == parts_.rank) {
    acknowledged_ = true;
    left_or_late();
    return;
  }
  if (failure.left) {
    if (!parts_.plan->fails_on_leave || verdict_)
      return;
    departed_.insert(failure.rank);
    std::set<Key> queued;
    for (const auto& [set, lane] : lanes_) queued.insert(lane.queue.begin(), lane.queue.end());
    for (auto it = in_flight_.begin(); it != in_flight_.end();) {
      if (queued.contains(it->first) || !needs_departed(it->first.process_set)) {
        ++it;
        continue;
      }
      given_up_.insert(it->first);
      it = in_flight_.erase(it);
    }
    think();
    return;
  }
  if (verdict_)
    return;
  verdict_ = failure;
  for (const auto& monitor : *parts_.monitors) monitor->on_halted(parts_.rank);
  parts_.data->end(parts_.rank, blamed());
  in_flight_.clear();
  lanes_.clear();
  left_or_late();
  drained_or_late();
  think();
}

void Caller::think() {
  if (std::exchange(thinking_, true))
    return;
  parts_.process->later(random_.between(Duration(0), parts_.plan->think), [this] {
    thinking_ = false;
    go_on();
  });
}

// Submits what there is to submit; shuts down where nothing more can be done.
void Caller::go_on() {
  if (stopping_)
    return;
  if (verdict_ || !departed_.empty())
    return shut_down();
  if (submit_some())
    return think();
  // Else something must settle first.
  if (todo_.empty() && enter_step())
    think();
}

bool Caller::enter_step() {
  const Plan& plan = *parts_.plan;
  const Habit& habit = plan.habits[static_cast<size_t>(parts_.rank)];
  const bool leaves = habit.leave_after >= 0 && step_ >= habit.leave_after;
  const bool joins = habit.join_after >= 0 && step_ >= habit.join_after;
  const bool last = step_ + 1 >= plan.steps || leaves || (plan.joins && joins);
  if (last && plan.joins && !leaves && !joined_) {
    joined_ = join_all();
    return joined_;
  }
  const int oldest = last && habit.leave_after < 0 ? step_ : step_ + 1 - plan.depth;
  for (const auto& [key, step] : in_flight_)
    if (step <= oldest)
      return false;
  if (last) {
    shut_down();
    return false;
  }
  ++step_;
  for (const Op& op : plan.ops)
    // Sets that do not exist are asked for by everybody.
    if (op.step == step_ && op.absent != parts_.rank && op.is_by(parts_.rank) &&
        (takes_part({op.signature.process_set, op.name}) ||
         members(op.signature.process_set).empty()))
      todo_.push_back(&op);
  random_.shuffle(todo_);
  use_store();
  return true;
}

// False: nothing could be submitted.
bool Caller::submit_some() {
  std::vector<Announcement> batch;
  for (uint64_t n = 1 + random_.below(8); n > 0; --n) {
    uint32_t set = 0;
    const Op* const found = next(set);
    if (found == nullptr)
      break;
    const Op& op = *found;
    Signature signature = signature_of(*parts_.plan, op, parts_.rank);
    if (signature.kind == CollectiveKind::RemoveProcessSet)
      signature.operand = {set};
    else
      signature.process_set = set;
    const Key key{signature.process_set, op.name};
    in_flight_[key] = op.step;
    for (const auto& monitor : *parts_.monitors)
      monitor->on_submitted(parts_.rank, key, signature, parts_.process->true_now());
    parts_.trace(fmt::format("submits \"{}\" of set {}", op.name, key.process_set));
    batch.push_back({op.name, signature});
  }
  if (batch.empty())
    return false;
  announce(std::move(batch));
  return true;
}

void Caller::announce(std::vector<Announcement> batch) {
  parts_.process->post([this, batch = std::move(batch)]() mutable {
    // Where nothing comes back any more, the engine answers itself.
    std::erase_if(batch, [this](const Announcement& item) {
      const bool ends = verdict_ || closed_ || needs_departed(item.signature.process_set);
      if (ends)
        settle({item.signature.process_set, item.name});
      return ends;
    });
    if (!batch.empty())
      parts_.driver().announce(std::move(batch));
  });
}

void Caller::use_store() {
  using Kind = control::StoreRequest::Kind;
  for (const StoreUse& use : parts_.plan->stores) {
    if (use.rank != parts_.rank || use.step != step_)
      continue;
    const uint64_t number = ++store_requests_;
    store_waiting_[number] = use.key;
    control::StoreRequest request{Kind::Get, number, use.key, {}};
    if (use.kind == StoreUse::Kind::Set) {
      request.kind = Kind::Set;
      request.value = value_of(parts_.rank, number);
    }
    for (const auto& monitor : *parts_.monitors) monitor->on_store_request(parts_.rank, request);
    parts_.driver().store(std::move(request));
    if (use.kind == StoreUse::Kind::GiveUp || use.kind == StoreUse::Kind::Get)
      parts_.process->later(
          use.kind == StoreUse::Kind::Get ? parts_.plan->shutdown_timeout : parts_.plan->think,
          [this, number] {
            if (store_waiting_.erase(number) == 0 || closed_)
              return;
            for (const auto& monitor : *parts_.monitors)
              monitor->on_store_given_up(parts_.rank, number);
            parts_.driver().store({Kind::Cancel, number, {}, {}});
          });
  }
}

void Caller::on_reply(const control::StoreReply& reply) {
  if (parts_.process->dead())
    return;
  store_waiting_.erase(reply.request);
  for (const auto& monitor : *parts_.monitors) monitor->on_store_reply(parts_.rank, reply);
}

void Caller::end() {
  if (closed_ && !late_)
    for (const auto& monitor : *parts_.monitors) monitor->on_end(parts_.rank);
}

void Caller::settle(const Key& key) {
  if (in_flight_.erase(key) > 0)
    think();
}

void Caller::run(uint32_t number) {
  Lane& lane = lanes_[number];
  while (!lane.busy && !lane.queue.empty() && ends_alone(lane.queue.front())) {
    settle(lane.queue.front());
    lane.queue.pop_front();
  }
  if (lane.busy || lane.queue.empty())
    return;
  lane.busy = true;
  const uint64_t index = lane.next++;
  const Key key = lane.queue.front();
  const Key on_lane{number, key.name};
  for (const auto& monitor : *parts_.monitors) monitor->on_execution(parts_.rank, on_lane, index);
  parts_.data->begin(
      parts_.rank, on_lane, index, members(key), [this, number](std::optional<PeerFailure> found) {
        executed(number, std::move(found));
      });
}

void Caller::executed(uint32_t number, std::optional<PeerFailure> found) {
  if (verdict_ || closed_)
    return;
  if (found) {  // its operation waits for the verdict
    accused_ = true;
    parts_.trace(fmt::format("accuses rank {}: {}", found->rank, found->cause));
    for (const auto& monitor : *parts_.monitors) monitor->on_accusation(parts_.rank, *found);
    parts_.driver().report(*std::move(found));
    return;
  }
  Lane& lane = lanes_[number];
  lane.busy = false;
  for (const auto& monitor : *parts_.monitors)
    monitor->on_executed(parts_.rank, {number, lane.queue.front().name}, lane.next - 1);
  settle(lane.queue.front());
  lane.queue.pop_front();
  tell_backlog();
  run(number);
  tell_finished();
  drained_or_late();
}

void Caller::tell_backlog() {
  if (parts_.rank != 0 || closed_)
    return;
  const size_t backlog = lanes_[0].queue.size();
  const bool much = backlog >= 2;
  if (much || std::exchange(backlog_told_, much))
    parts_.driver().backlog(backlog);
  backlog_told_ = much;
}

void Caller::shut_down() {
  if (std::exchange(stopping_, true))
    return;
  parts_.trace("says goodbye");
  for (const auto& monitor : *parts_.monitors) monitor->on_goodbye(parts_.rank);
  parts_.driver().leave();
  waiting_left_ = true;
  parts_.process->later(parts_.plan->shutdown_timeout, [this] {
    late_ = !closed_;
    if (late_)
      close();
  });
  left_or_late();
}

// Whom others may take it for who find its connections closed; a wait can end with nobody's blame.
int Caller::blamed() const {
  return verdict_ && verdict_->rank >= 0 ? verdict_->rank : parts_.rank;
}

// The goodbye has been acknowledged, or cannot be any more.
void Caller::left_or_late() {
  if (!waiting_left_ || !(acknowledged_ || verdict_))
    return;
  waiting_left_ = false;
  // Behind what came with it.
  parts_.process->post([this] {
    draining_ = true;
    drained_or_late();
  });
}

void Caller::drained_or_late() {
  if (!draining_ || closed_)
    return;
  for (const auto& [set, lane] : lanes_)
    if (!lane.queue.empty())
      return;
  close();
}

void Caller::close() {
  closed_ = true;
  parts_.trace(late_ ? "closes, too late for a goodbye" : "closes");
  for (const auto& monitor : *parts_.monitors)
    if (late_)
      monitor->on_overdue(parts_.rank);
  if (!late_ && !in_flight_.empty())
    parts_.violated("I5: not answered, though the goodbye was:" + unsettled());
  parts_.data->end(parts_.rank, blamed());
  in_flight_.clear();
  lanes_.clear();
  parts_.stop();
}

std::string Caller::unsettled() const {
  std::string text;
  for (const auto& [key, step] : in_flight_)
    text += fmt::format(" \"{}\" of step {}", key.name, step);
  for (const auto& [number, key] : store_waiting_) text += fmt::format(" store key {}", key);
  return text;
}

}  // namespace farandole::sim
