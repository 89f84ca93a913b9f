#include "core/engine.h"

#include <new>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/log.h"
#include "core/base/refusal.h"
#include "core/fusion.h"
#include "core/request_check.h"

namespace farandole {
namespace {

// The coordinator merges small rounds while its own rank has this many buckets under way.
constexpr size_t kBacklogWorthTelling = 2;

// Who failed and how, as the rank `own` hears it.
std::string subject(const PeerFailure& failure, int own) {
  if (failure.rank < 0)
    return failure.cause;
  const std::string who =
      failure.host.empty()
          ? fmt::format("rank {}", failure.rank)
          : fmt::format("rank {} (host {})", failure.rank, printable(failure.host, 256));
  if (failure.rank == own && failure.code != Code::PeerLost)
    return failure.cause;
  if (failure.rank == own)
    return fmt::format("{} is this process and was given up by the others: {}", who, failure.cause);
  if (failure.code != Code::PeerLost)
    return fmt::format("{}: {}", who, failure.cause);
  return fmt::format("{} {}: {}", who, failure.left ? "left the job" : "was lost", failure.cause);
}

Status verdict_on(const PendingOp& op, const PeerFailure& failure, int own) {
  const std::string what = describe(op.request.signature.kind, op.request.name);
  // A cause that is about this very operation names it, and the ranks.
  std::string text =
      failure.cause.starts_with(what + " ") ? failure.cause : what + ": " + subject(failure, own);
  return Status(failure.code, std::move(text)).blame(failure.rank);
}

}  // namespace

void Engine::handle(Message message) {
  FARANDOLE_FAILPOINT("engine.handle");
  std::visit(
      [this](auto&& content) { on(std::forward<decltype(content)>(content)); }, std::move(message));
}

Status Engine::health(uint32_t process_set) const {
  MutexLock lock(mutex_);
  const auto departed = departed_.find(process_set);
  return health_.is_ok() && departed != departed_.end() ? departed->second : health_;
}

bool Engine::wait_left(TimePoint deadline) {
  MutexLock lock(mutex_);
  while (!left_) {
    if (!changed_.wait_until(mutex_, deadline))
      return left_;
  }
  return true;
}

void Engine::on(message::Submit submit) {
  std::vector<Announcement> announcements;
  GroupTable::GroupPtr group;
  for (PendingOp& op : submit.ops) {
    if (const uint32_t set = op.request.signature.process_set; !group || group->id != set)
      group = parts_.groups->find(set);
    Status refused;
    if (closed_) {
      end(std::move(op));
    } else if (failure_ || (group && group->departed)) {
      fail(std::move(op), failure_ ? *failure_ : *group->departed);
    } else if (refused = refusal(op, group); !refused) {
      parts_.completion->settle(std::move(op), std::move(refused));
    } else {
      group->joined = group->joined || op.request.signature.kind == CollectiveKind::Join;
      announcements.push_back({op.request.name, op.request.signature});
      parts_.emitter->emit({.kind = EventKind::Announced, .name = op.request.name});
      pending_.add(std::move(op));
    }
  }
  if (!announcements.empty())
    parts_.control->announce(std::move(announcements));
}

void Engine::on(message::Agreed agreed) {
  const TimePoint when = parts_.emitter->now();
  parts_.emitter->emit({.kind = EventKind::Round, .when = when, .number = agreed.agreement.round});
  for (Rejection& rejection : agreed.agreement.rejected) {
    std::optional<PendingOp> op = pending_.take(rejection.process_set, rejection.name);
    if (!op)
      continue;
    if (op->request.signature.kind == CollectiveKind::Join)
      if (const GroupTable::GroupPtr group = parts_.groups->find(rejection.process_set))
        group->joined = false;
    parts_.emitter->emit(
        {.kind = EventKind::Rejected, .name = rejection.name, .code = rejection.why.code()});
    parts_.completion->settle(std::move(*op), std::move(rejection.why));
  }
  std::vector<ReadyTensor> ready;
  std::vector<ReadyTensor> changes;
  for (ReadyOp& item : agreed.agreement.ready) {
    std::optional<ReadyTensor> tensor = take(item, when, agreed.agreement.round);
    if (!tensor)
      continue;
    const bool carried = is_carried(tensor->op.request.signature.kind);
    (carried ? ready : changes).push_back(std::move(*tensor));
  }
  dispatch(std::move(ready));
  // No tensor of a set is agreed upon in the round that adds it, nor after its removal.
  for (ReadyTensor& changed : changes) carry_out(std::move(changed));
}

void Engine::dispatch(std::vector<ReadyTensor> ready) {
  std::vector<FusionItem> items;
  for (const ReadyTensor& tensor : ready)
    items.push_back({&tensor.op.request.signature, tensor.contributors});
  for (const BucketPlan& plan : fuse(items, parts_.fusion_bytes)) {
    const Signature& first = ready[plan.front()].op.request.signature;
    const GroupTable::GroupPtr group = parts_.groups->serving(first.process_set, way_of(first));
    Bucket bucket;
    for (const size_t index : plan) bucket.push_back(std::move(ready[index]));
    give(*group, std::move(bucket));
  }
  report_backlog();
}

void Engine::give(Group& group, Bucket bucket) {
  // Lanes take copyable work; the bucket is moved in behind a shared pointer.
  const auto shared = std::make_shared<Bucket>(std::move(bucket));
  const bool awaited = group.id == 0 && !group.pair;
  ++given_;
  if (awaited)
    ++backlog_;
  try {
    group.lane->post([this, &group, awaited, shared] {
      bucket_finished(awaited, group.executor->execute(std::move(*shared)));
    });
  } catch (const Refusal& refused) {
    bucket_finished(awaited, false);
    on(message::Broken{std::move(*shared), refused.status()});
  }
}

// `awaited`: it counts as backlog.
void Engine::bucket_finished(bool awaited, bool settled) noexcept {
  if (!settled)
    any_unsettled_ = true;
  const size_t backlog = awaited ? --backlog_ : backlog_.load();
  const size_t given = --given_;
  if ((backlog < kBacklogWorthTelling && backlog_told_) || (given == 0 && last_agreed_))
    tell_done();
}

// Without memory for the message the coordinator learns of it late: with this rank's next bucket,
// or when its connection ends.
void Engine::tell_done() noexcept {
  try {
    parts_.post(message::BucketDone{});
  } catch (const std::bad_alloc&) {
    return;
  }
}

void Engine::on(message::BucketDone) {
  report_backlog();
  tell_finished();
}

// A lane that ends its last bucket either sees `last_agreed_` or is seen here to have ended it.
void Engine::tell_finished() {
  if (!last_agreed_ || given_ > 0 || any_unsettled_ || failure_)
    return;
  if (!std::exchange(finished_told_, true))
    parts_.control->finished();
}

void Engine::report_backlog() {
  if (parts_.rank != 0)
    return;
  const size_t backlog = backlog_;
  if (backlog < kBacklogWorthTelling) {
    if (backlog_told_.exchange(false))
      parts_.control->backlog(backlog);
    return;
  }
  backlog_told_ = true;
  parts_.control->backlog(backlog);
  // A lane that finished before it could see the flag has told nobody.
  if (backlog_ < kBacklogWorthTelling && backlog_told_.exchange(false))
    parts_.control->backlog(backlog_);
}

void Engine::on(message::Broken broken) {
  if (failure_ || closed_) {
    for (ReadyTensor& tensor : broken.bucket) {
      if (failure_)
        fail(std::move(tensor.op), *failure_);
      else
        end(std::move(tensor.op));
    }
    return;
  }
  PeerFailure accusation{
      .rank = broken.why.culprit(), .cause = broken.why.message(), .code = broken.why.code()};
  // What this process could not get from its system, or does wrong, the others hear of by its name.
  if (accusation.rank < 0 && (accusation.code == Code::System || accusation.code == Code::Internal))
    accusation.rank = parts_.rank;
  for (ReadyTensor& tensor : broken.bucket) broken_.emplace_back(std::move(tensor.op), broken.why);
  parts_.control->report(accusation);
}

void Engine::on(message::Failed failed) {
  const PeerFailure& failure = failed.failure;
  parts_.emitter->emit(
      {.kind = EventKind::PeerFailed,
       .name = failure.cause,
       .code = failure.code,
       .number = static_cast<uint64_t>(failure.rank)});
  if (!failure.left) {
    fail_everything(failure);
    return;
  }
  if (failure.rank == parts_.rank || failure.rank == 0) {
    last_agreed_ = true;
    tell_finished();
  }
  if (failure.rank == parts_.rank) {
    MutexLock lock(mutex_);
    left_ = true;
    changed_.notify_all();
    return;
  }
  for (const GroupTable::GroupPtr& group : parts_.groups->all())
    if (!failure_ && !group->departed && (failure.rank == 0 || group->has(failure.rank)))
      depart(*group, failure);
}

// Other sets go on.
void Engine::depart(Group& group, const PeerFailure& failure) {
  group.departed = failure;
  group.joined = false;
  {
    MutexLock lock(mutex_);
    departed_[group.id] = Status(failure.code, subject(failure, parts_.rank)).blame(failure.rank);
  }
  for (PendingOp& op : pending_.take_all_of(group.id)) fail(std::move(op), failure);
}

void Engine::fail(PendingOp op, const PeerFailure& failure) {
  Status why = verdict_on(op, failure, parts_.rank);
  parts_.completion->settle(std::move(op), std::move(why));
}

void Engine::end(PendingOp op) {
  Status why(
      closed_->code(),
      describe(op.request.signature.kind, op.request.name) + ": " + closed_->message());
  parts_.completion->settle(std::move(op), std::move(why));
}

void Engine::fail_everything(const PeerFailure& failure) {
  if (failure_)
    return;
  failure_ = failure;
  const Status why = Status(failure.code, subject(failure, parts_.rank)).blame(failure.rank);
  {
    MutexLock lock(mutex_);
    health_ = why;
    left_ = true;  // nobody will acknowledge a goodbye any more
    changed_.notify_all();
  }
  for (const GroupTable::GroupPtr& group : parts_.groups->all())
    if (group->included())
      group->executor->abort(why);
  for (auto& [op, status] : std::exchange(broken_, {})) fail(std::move(op), failure);
  for (PendingOp& op : pending_.take_all()) fail(std::move(op), failure);
}

void Engine::on(message::Close close) {
  if (closed_)
    return;
  closed_ = close.why;
  if (!close.lanes_idle)
    for (const GroupTable::GroupPtr& group : parts_.groups->all())
      if (group->included())
        group->executor->abort(close.why);
  for (auto& [op, status] : std::exchange(broken_, {})) end(std::move(op));
  for (PendingOp& op : pending_.take_all()) end(std::move(op));
}

}  // namespace farandole
