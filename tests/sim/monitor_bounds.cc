#include "tests/sim/monitor_bounds.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::sim {
namespace {

// One item of a message, with the longest cause there is; and one member.
constexpr size_t kItemBytes = 1024;
constexpr size_t kMemberBytes = 256;

}  // namespace

BoundsMonitor::BoundsMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings), plan_(plan), alone_(static_cast<size_t>(plan.size)) {
  const auto size = static_cast<size_t>(plan.size);
  // Each announcement, its answer (what needs who has left is refused to each anew), and the second
  // one of an id that was forgotten; each rank's end; the store.
  const auto adds = std::ranges::count_if(
      plan.ops, [](const Op& op) { return op.signature.kind == CollectiveKind::AddProcessSet; });
  const size_t joins = plan.joins ? 1 + plan.process_sets.size() + static_cast<size_t>(adds) : 0;
  const size_t items = 3 * (plan.ops.size() + joins) * size + size + 2 * plan.stores.size() + 8;
  most_queued_ = items * kItemBytes + size * kMemberBytes;
}

void BoundsMonitor::on_submitted(int rank, const control::Key& key, const Signature&, TimePoint) {
  announced_[key].insert(rank);
}

void BoundsMonitor::answered(int rank, const control::Key& key) {
  const auto found = announced_.find(key);
  if (found == announced_.end())
    return;
  found->second.erase(rank);
  if (found->second.empty())
    announced_.erase(found);
}

void BoundsMonitor::on_agreement(int rank, const Agreement& agreement) {
  if (alone_[static_cast<size_t>(rank)])
    return;
  for (const ReadyOp& op : agreement.ready) answered(rank, {op.process_set, op.name});
  for (const Rejection& item : agreement.rejected) answered(rank, {item.process_set, item.name});
}

void BoundsMonitor::on_failure(int rank, const PeerFailure& failure, TimePoint) {
  if (!failure.left || failure.rank == rank || failure.rank == 0)
    alone_[static_cast<size_t>(rank)] = true;
}

void BoundsMonitor::on_store_request(int rank, const control::StoreRequest& request) {
  if (request.kind == control::StoreRequest::Kind::Get) {
    gets_.emplace(rank, request.number);
    return;
  }
  const size_t bytes = request.key.size() + request.value.size();
  size_t& largest = largest_[request.key];
  most_stored_ += bytes - std::min(largest, bytes);
  largest = std::max(largest, bytes);
}

void BoundsMonitor::on_store_reply(int rank, const control::StoreReply& reply) {
  // Afterwards its own worker may have answered, before the coordinator hears of it.
  if (!alone_[static_cast<size_t>(rank)])
    gets_.erase({rank, reply.request});
}

void BoundsMonitor::on_tables(int rank, const Tables& tables) {
  const auto size = static_cast<size_t>(plan_.size);
  if (tables.cached > static_cast<size_t>(plan_.cache_capacity))
    violated(fmt::format("I12: rank {} has cached {} ids", rank, tables.cached));
  const size_t most_pending =
      std::min(announced_.size(), static_cast<size_t>(plan_.max_pending) * size);
  if (tables.pending > most_pending)
    violated(fmt::format(
        "I12: {} tensors are pending at the coordinator, of {} announced",
        tables.pending,
        most_pending));
  const size_t most_stored = std::min(most_stored_, static_cast<size_t>(plan_.store_bytes) * size);
  if (tables.stored_bytes > most_stored)
    violated(fmt::format(
        "I12: the store holds {} bytes, of {} asked for", tables.stored_bytes, most_stored));
  if (tables.store_waits > gets_.size())
    violated(fmt::format("I12: {} gets wait, of {}", tables.store_waits, gets_.size()));
  if (tables.queued_bytes > most_queued_)
    violated(fmt::format("I12: {} bytes wait to be sent by rank {}", tables.queued_bytes, rank));
}

}  // namespace farandole::sim
