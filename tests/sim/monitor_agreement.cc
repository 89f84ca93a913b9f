#include "tests/sim/monitor_agreement.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::sim {

bool fit(const std::vector<Signature>& signatures) {
  const Signature& first = signatures.front();
  const bool rows_vary =
      first.kind == CollectiveKind::Allgather || first.kind == CollectiveKind::Alltoall;
  const bool adds =
      first.kind == CollectiveKind::Allreduce || first.kind == CollectiveKind::Reducescatter;
  return std::ranges::all_of(signatures, [&](const Signature& s) {
    if (s.kind != first.kind || s.dtype != first.dtype || s.shape.size() != first.shape.size())
      return false;
    if (adds && (s.reduce != first.reduce || s.prescale != first.prescale))
      return false;
    if (first.kind == CollectiveKind::Broadcast && s.root != first.root)
      return false;
    return std::equal(
        s.shape.begin() + (rows_vary ? 1 : 0),
        s.shape.end(),
        first.shape.begin() + (rows_vary ? 1 : 0));
  });
}

std::vector<int64_t> extents_of(const std::vector<Signature>& signatures) {
  std::vector<int64_t> extents;
  for (const Signature& s : signatures) {
    if (s.kind == CollectiveKind::Allgather)
      extents.push_back(s.shape.at(0));
    if (s.kind == CollectiveKind::Alltoall)
      extents.insert(extents.end(), s.splits.begin(), s.splits.end());
  }
  return extents;
}

AgreementMonitor::AgreementMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings), plan_(plan), seen_(static_cast<size_t>(plan.size)) {}

void AgreementMonitor::on_submitted(int rank, const control::Key& key, const Signature& signature) {
  seen(rank).submissions[key] = {signature, true};
}

void AgreementMonitor::on_failure(int rank, const PeerFailure& failure, TimePoint) {
  Seen& own = seen(rank);
  if (!failure.left)
    own.failed = true;
  else if (failure.rank == 0 || failure.rank == rank)
    own.alone = true;
  if (failure.left && !goodbyes_.contains(failure.rank))
    violated(
        fmt::format("rank {} was told that rank {} left, which it did not", rank, failure.rank));
}

std::vector<Signature> AgreementMonitor::collect(
    const control::Key& key, const std::vector<int>& members) {
  std::vector<Signature> signatures;
  for (const int member : members) {
    const auto found = seen(member).submissions.find(key);
    // Who has heard of the end has given up what was in flight.
    const bool counts = found != seen(member).submissions.end() &&
                        (found->second.in_flight || seen(member).failed || seen(member).alone);
    if (counts)
      signatures.push_back(found->second.signature);
  }
  return signatures;
}

void AgreementMonitor::check_ready(const ReadyOp& op) {
  const std::vector<int> members = plan_.members(op.process_set);
  const std::vector<Signature> signatures = collect({op.process_set, op.name}, members);
  if (members.empty() || signatures.size() != members.size())
    violated(fmt::format(
        "I4: \"{}\" of process set {} was agreed upon; only {} of {} members have submitted it",
        op.name,
        op.process_set,
        signatures.size(),
        members.size()));
  else if (!fit(signatures))
    violated(fmt::format("I4: \"{}\" was agreed upon and does not fit together", op.name));
  else if (op.extents != extents_of(signatures))
    violated(fmt::format("I4: \"{}\" was agreed upon with the rows of something else", op.name));
}

void AgreementMonitor::check_rejected(const Rejection& rejection) {
  const std::vector<int> members = plan_.members(rejection.process_set);
  const auto departed = [&](int member) { return goodbyes_.contains(member); };
  switch (rejection.why.code()) {
    case Code::InvalidArgument:
      if (!members.empty())
        violated("I4: rejected without cause: " + rejection.why.message());
      return;
    case Code::PeerLost:
      if (std::ranges::none_of(members, departed))
        violated("I4: rejected, though nobody has left: " + rejection.why.message());
      return;
    case Code::Mismatch: {
      const auto signatures = collect({rejection.process_set, rejection.name}, members);
      if (signatures.size() != members.size() || fit(signatures))
        violated("I4: rejected, though it fits: " + rejection.why.message());
      return;
    }
    default:
      violated("I4: rejected for an odd reason: " + rejection.why.to_string());
  }
}

void AgreementMonitor::on_agreement(int rank, const Agreement& agreement) {
  Seen& own = seen(rank);
  const bool first = !own.alone && agreement.round > newest_round_;
  if (first) {
    newest_round_ = agreement.round;
    for (const ReadyOp& op : agreement.ready) check_ready(op);
    for (const Rejection& rejection : agreement.rejected) check_rejected(rejection);
  }
  const auto answer = [&](const control::Key& key, bool ready, bool ever) {
    const auto found = own.submissions.find(key);
    const bool in_flight = found != own.submissions.end() && found->second.in_flight;
    if ((ready && !in_flight) || (ever && found == own.submissions.end()))
      violated(
          fmt::format("I4: rank {} was given \"{}\", which it has not submitted", rank, key.name));
    if (in_flight)
      found->second.in_flight = false;
  };
  for (const ReadyOp& op : agreement.ready) {
    const std::vector<int> members = plan_.members(op.process_set);
    answer({op.process_set, op.name}, std::ranges::find(members, rank) != members.end(), false);
  }
  // Where a set is broken, each announcement is rejected on its own, for all to hear: a rank may
  // hear of one before it has said its own.
  for (const Rejection& rejection : agreement.rejected)
    answer({rejection.process_set, rejection.name}, false, own.alone);
}

}  // namespace farandole::sim
