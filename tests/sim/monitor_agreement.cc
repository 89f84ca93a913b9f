#include "tests/sim/monitor_agreement.h"

#include <algorithm>

#include "core/base/format.h"
#include "tests/support/group_of_name.h"
#include "tests/support/way_of_name.h"

namespace farandole::sim {

namespace {

// What the root has of a scatter; null where it has joined.
const Signature* of_root(
    const std::vector<Signature>& signatures, const std::vector<int>& submitted) {
  const auto root = std::ranges::find(submitted, signatures.front().root);
  return root == submitted.end() ? nullptr
                                 : &signatures[static_cast<size_t>(root - submitted.begin())];
}

// What is sent, and what there is memory for.
bool messages_fit(const std::vector<Signature>& signatures) {
  const Signature& first = signatures.front();
  const auto fits = [](const Signature& has, const Signature& other) {
    // A number beside the rank: of the receiver, as none is told in these plans.
    return has.operand.size() < 2 || (has.shape == other.shape && has.dtype == other.dtype);
  };
  return std::ranges::all_of(signatures, [&](const Signature& s) {
    return s.kind == first.kind && s.root == first.root && fits(s, first) && fits(first, s);
  });
}

}  // namespace

bool fit(const std::vector<Signature>& signatures) {
  const Signature& first = signatures.front();
  if (first.kind == CollectiveKind::Message)
    return messages_fit(signatures);
  const bool rows_vary = gathers(first.kind) || first.kind == CollectiveKind::Alltoall;
  const bool adds = first.kind == CollectiveKind::Allreduce ||
                    first.kind == CollectiveKind::Reducescatter ||
                    first.kind == CollectiveKind::Reduce;
  return std::ranges::all_of(signatures, [&](const Signature& s) {
    if (has_root(first.kind) && s.root != first.root)
      return false;
    if (first.kind == CollectiveKind::Scatter)  // the root alone says the rest
      return s.kind == first.kind;
    if (s.kind != first.kind || s.dtype != first.dtype || s.shape.size() != first.shape.size())
      return false;
    if (s.operand != first.operand)
      return false;
    if (adds && (s.reduce != first.reduce || s.prescale != first.prescale))
      return false;
    return std::equal(
        s.shape.begin() + (rows_vary ? 1 : 0),
        s.shape.end(),
        first.shape.begin() + (rows_vary ? 1 : 0));
  });
}

bool can_be_done(
    const std::vector<Signature>& signatures,
    const std::vector<int>& submitted,
    const std::vector<int>& members) {
  const Signature& first = signatures.front();
  if (has_root(first.kind) && std::ranges::find(members, first.root) == members.end())
    return false;
  const Signature* const root = of_root(signatures, submitted);
  if (first.kind == CollectiveKind::Scatter && root != nullptr && root->shape.empty())
    return false;
  return !reduces(first.kind) || first.reduce != ReduceOp::Adasum ||
         first.kind == CollectiveKind::Allreduce;
}

std::vector<int64_t> extents_of(
    const std::vector<Signature>& signatures,
    const std::vector<int>& submitted,
    const std::vector<int>& members) {
  std::vector<int64_t> extents;
  const CollectiveKind kind = signatures.front().kind;
  if (kind == CollectiveKind::Message)
    if (const Signature* sent = of_root(signatures, submitted)) {
      extents = {static_cast<int64_t>(sent->dtype), 0};
      extents.insert(extents.end(), sent->shape.begin(), sent->shape.end());
      return extents;
    }
  if (const Signature* root = of_root(signatures, submitted);
      kind == CollectiveKind::Scatter && root != nullptr) {
    extents = {static_cast<int64_t>(root->dtype), 0};
    extents.insert(extents.end(), root->splits.begin(), root->splits.end());
    extents.insert(extents.end(), root->shape.begin() + 1, root->shape.end());
    return extents;
  }
  for (const int member : members) {
    const auto own = std::ranges::find(submitted, member);
    const bool joined = own == submitted.end();
    const Signature& s = signatures[joined ? 0 : static_cast<size_t>(own - submitted.begin())];
    if (gathers(kind))
      extents.push_back(joined ? 0 : s.shape.at(0));
    if (kind == CollectiveKind::Alltoall && joined)
      extents.insert(extents.end(), members.size(), 0);
    else if (kind == CollectiveKind::Alltoall)
      extents.insert(extents.end(), s.splits.begin(), s.splits.end());
  }
  return extents;
}

bool needs_joined(
    const std::vector<Signature>& signatures,
    const std::vector<int>& members,
    const std::vector<int>& joined) {
  const Signature& first = signatures.front();
  if (first.kind == CollectiveKind::AddProcessSet ||
      first.kind == CollectiveKind::RemoveProcessSet || first.kind == CollectiveKind::Message)
    return !joined.empty();
  if (has_root(first.kind) && std::ranges::find(joined, first.root) != joined.end())
    return true;
  if (first.kind != CollectiveKind::Alltoall && first.kind != CollectiveKind::Scatter)
    return false;
  for (const Signature& s : signatures)
    for (size_t place = 0; place < members.size() && place < s.splits.size(); ++place)
      if (s.splits[place] > 0 && std::ranges::find(joined, members[place]) != joined.end())
        return true;
  return false;
}

AgreementMonitor::AgreementMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings),
      plan_(plan),
      sets_(plan.process_sets),
      seen_(static_cast<size_t>(plan.size)) {}

std::vector<int> AgreementMonitor::members(uint32_t process_set, const std::string& name) const {
  if (const Way way = testing::way_of_name(name); way.any())
    return {way.low(), way.high()};
  if (process_set == 0)
    return plan_.members(0);
  const auto found = sets_.find(process_set);
  return found == sets_.end() ? std::vector<int>() : found->second;
}

// At any time of the newest round.
bool AgreementMonitor::possible(const Collected& found, const std::vector<int>& members) const {
  const Signature& wanted = found.signatures.front();
  if (is_carried(wanted.kind))
    return can_be_done(found.signatures, found.submitted, members);
  const auto is_there = [&](uint32_t id) {
    return !removed_.contains(id) || removed_in_round_.contains(id);
  };
  if (wanted.kind == CollectiveKind::RemoveProcessSet) {
    const auto id = static_cast<uint32_t>(wanted.operand.at(0));
    return sets_.contains(id) && !removed_.contains(id);
  }
  const std::vector<int> all = plan_.members(0);
  return !std::ranges::equal(wanted.operand, all) &&
         std::ranges::none_of(sets_, [&](const auto& set) {
           return is_there(set.first) && std::ranges::equal(wanted.operand, set.second);
         });
}

void AgreementMonitor::check_change(const ReadyOp& op, const Signature& wanted) {
  if (wanted.kind == CollectiveKind::RemoveProcessSet) {
    const auto id = static_cast<uint32_t>(wanted.operand.at(0));
    if (!sets_.contains(id) || !removed_.insert(id).second)
      violated(fmt::format("I4: process set {} was removed and did not exist", id));
    removed_in_round_.insert(id);
    removals_[id] = op.name;
    return;
  }
  if (op.extents.size() != 1 || op.extents[0] <= 0 ||
      (!sets_.empty() && op.extents[0] <= sets_.rbegin()->first))
    violated(fmt::format("I4: \"{}\" has added a set by a number of another", op.name));
  if (!op.extents.empty())
    sets_[static_cast<uint32_t>(op.extents[0])].assign(
        wanted.operand.begin(), wanted.operand.end());
}

void AgreementMonitor::on_submitted(
    int rank, const control::Key& key, const Signature& signature, TimePoint) {
  seen(rank).submissions[key] = {signature, true, true, ++seen(rank).submitted};
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

// A rank may have joined, and others have what it had submitted before anew, before it hears what
// became of that.
bool AgreementMonitor::is_open(int rank, const control::Key& key) {
  const auto found = seen(rank).submissions.find(key);
  return found != seen(rank).submissions.end() && found->second.open;
}

void AgreementMonitor::close(uint32_t process_set, const std::string& name) {
  for (Seen& of : seen_)
    if (const auto found = of.submissions.find({process_set, name}); found != of.submissions.end())
      found->second.open = false;
}

bool AgreementMonitor::waits(int rank, const control::Key& key) {
  const auto found = seen(rank).submissions.find(key);
  // Who has heard of the end has given up what was in flight.
  return found != seen(rank).submissions.end() &&
         (found->second.in_flight || seen(rank).failed || seen(rank).alone);
}

AgreementMonitor::Collected AgreementMonitor::collect(
    const control::Key& key, const std::vector<int>& members) {
  Collected found;
  for (const int member : members) {
    if (is_open(member, key)) {
      found.signatures.push_back(seen(member).submissions.at(key).signature);
      found.submitted.push_back(member);
    } else if (!key.name.empty() && is_open(member, {key.process_set, {}})) {
      found.joined.push_back(member);
    }
  }
  return found;
}

// Whether each member has all of one group of that name in flight, or has joined, and they are not
// of one size.
bool AgreementMonitor::is_torn(const control::Key& key, const std::vector<int>& members) {
  const std::string group = testing::group_of_name(key.name).group;
  std::set<uint32_t> sizes;
  for (const int member : members) {
    uint32_t size = 0;
    uint32_t there = 0;
    for (const auto& [other, submission] : seen(member).submissions)
      if (const auto own = testing::group_of_name(other.name);
          submission.open && other.process_set == key.process_set && own.group == group) {
        size = own.count;
        ++there;
      }
    if (there == 0 && is_open(member, {key.process_set, {}}))
      continue;
    if (there != std::max(size, 1U))
      return false;
    sizes.insert(size);
  }
  return sizes.size() > 1;
}

void AgreementMonitor::check_stand_in(const ReadyOp& op, const Collected& found) {
  if (op.stand_in.has_value() != !found.joined.empty())
    violated(fmt::format(
        "I4: of \"{}\" {} members have joined, and what to put in {} told",
        op.name,
        found.joined.size(),
        op.stand_in ? "is" : "is not"));
  else if (
      op.stand_in && (op.stand_in->signature != found.signatures.front() ||
                      op.stand_in->contributors != found.signatures.size()))
    violated(
        fmt::format("I4: members that have joined are told something else of \"{}\"", op.name));
}

void AgreementMonitor::check_ready(const ReadyOp& op) {
  const std::vector<int> members = this->members(op.process_set, op.name);
  const Collected found = collect({op.process_set, op.name}, members);
  if (removed_.contains(op.process_set))
    violated(fmt::format("I4: \"{}\" was agreed upon in a set that was removed", op.name));
  else if (members.empty() || !found.whole(members.size()))
    violated(fmt::format(
        "I4: \"{}\" of process set {} was agreed upon; only {} of {} members have submitted it",
        op.name,
        op.process_set,
        found.signatures.size(),
        members.size()));
  else if (!fit(found.signatures))
    violated(fmt::format("I4: \"{}\" was agreed upon and does not fit together", op.name));
  else if (op.name.empty())
    check_join(op, members);
  else if (needs_joined(found.signatures, members, found.joined))
    violated(fmt::format("I4: \"{}\" was agreed upon and needs who has joined", op.name));
  else if (
      is_carried(found.signatures.front().kind) &&
      !can_be_done(found.signatures, found.submitted, members))
    violated(fmt::format("I4: \"{}\" was agreed upon and cannot be done", op.name));
  else if (!is_carried(found.signatures.front().kind))
    check_change(op, found.signatures.front());
  else if (op.extents != extents_of(found.signatures, found.submitted, members))
    violated(fmt::format("I4: \"{}\" was agreed upon with the rows of something else", op.name));
  else
    check_stand_in(op, found);
}

void AgreementMonitor::check_join(const ReadyOp& op, const std::vector<int>& members) {
  if (op.extents.size() != 1 || std::ranges::find(members, op.extents[0]) == members.end())
    violated(fmt::format("I4: the rank that joined set {} last is none of it", op.process_set));
}

bool AgreementMonitor::preceded_removal(const control::Key& key, const Collected& found) {
  const std::vector<int> members = this->members(key.process_set, key.name);
  if (members.empty() || found.submitted.size() != members.size() || !possible(found, members))
    return false;
  const control::Key removal{0, removals_.at(key.process_set)};
  return std::ranges::all_of(members, [&](int rank) {
    const auto& own = seen(rank).submissions;
    const auto later = own.find(removal);
    return later != own.end() && own.at(key).number < later->second.number;
  });
}

void AgreementMonitor::check_rejected(const Rejection& rejection, const Collected& found) {
  const std::vector<int> all = this->members(rejection.process_set);
  const std::vector<int> members = this->members(rejection.process_set, rejection.name);
  const auto departed = [&](int member) { return goodbyes_.contains(member); };
  switch (rejection.why.code()) {
    case Code::InvalidArgument: {
      if (removed_.contains(rejection.process_set)) {
        if (!found.torn && preceded_removal({rejection.process_set, rejection.name}, found))
          violated("I4: rejected by a later removal: " + rejection.why.message());
        return;
      }
      if (members.empty())
        return;
      if (!found.whole(members.size()) || !fit(found.signatures) || possible(found, members))
        violated("I4: rejected without cause: " + rejection.why.message());
      return;
    }
    case Code::PeerLost:
      if (std::ranges::none_of(all, departed))
        violated("I4: rejected, though nobody has left: " + rejection.why.message());
      return;
    case Code::Mismatch: {
      if (rejection.why.message().starts_with("group \"")) {
        if (!found.torn)
          violated("I4: rejected, though all mean one group: " + rejection.why.message());
        return;
      }
      if (!found.whole(members.size()) ||
          (fit(found.signatures) && !needs_joined(found.signatures, members, found.joined)))
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
    removed_in_round_.clear();
    // Rejected before the joins that end in the same round.
    std::vector<Collected> found;
    for (const Rejection& r : agreement.rejected) {
      const control::Key key{r.process_set, r.name};
      found.push_back(collect(key, members(r.process_set, r.name)));
      found.back().torn = is_torn(key, members(r.process_set, r.name));
    }
    for (const ReadyOp& op : agreement.ready) {
      check_ready(op);
      close(op.process_set, op.name);
    }
    for (size_t i = 0; i < found.size(); ++i) check_rejected(agreement.rejected[i], found[i]);
    for (const Rejection& rejection : agreement.rejected)
      close(rejection.process_set, rejection.name);
  }
  const auto answer = [&](const control::Key& key, bool ready, bool ever) {
    const auto found = own.submissions.find(key);
    const bool in_flight = found != own.submissions.end() && found->second.in_flight;
    const bool stands_in = !key.name.empty() && waits(rank, {key.process_set, {}});
    if ((ready && !in_flight && !stands_in) || (ever && found == own.submissions.end()))
      violated(
          fmt::format("I4: rank {} was given \"{}\", which it has not submitted", rank, key.name));
    if (in_flight)
      found->second.in_flight = false;
  };
  for (const ReadyOp& op : agreement.ready) {
    const std::vector<int> members = this->members(op.process_set, op.name);
    answer({op.process_set, op.name}, std::ranges::find(members, rank) != members.end(), false);
  }
  // Where a set is broken, each announcement is rejected on its own, for all to hear: a rank may
  // hear of one before it has said its own.
  for (const Rejection& rejection : agreement.rejected)
    answer({rejection.process_set, rejection.name}, false, own.alone);
}

}  // namespace farandole::sim
